"""Tables of language models behind an address: endpoints, budgets, and every call."""

# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel

from catalog.meta.models import json_column, now


class EndpointRecord(SQLModel, table=True):
    """A language model behind an address; see flows.endpoints.registry. No secret is in it."""

    __tablename__ = "endpoint"  # type: ignore[assignment]

    name: str = Field(primary_key=True)
    body: dict = json_column()
    actor: str = ""
    created: str = Field(default_factory=now)


class EndpointBudget(SQLModel, table=True):
    """What may be spent on endpoints under one name. Held: reserved by requests that are under way."""

    __tablename__ = "budget"  # type: ignore[assignment]

    name: str = Field(primary_key=True)
    money: float | None = None  # limits; None: without
    tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    requests: int | None = Field(default=None, sa_column=Column(BigInteger))
    spent_money: float = 0.0
    spent_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    spent_requests: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    held_money: float = 0.0
    held_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    held_requests: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    actor: str = ""
    created: str = Field(default_factory=now)


class Call(SQLModel, table=True):
    """One question to an endpoint, by the digest of all that decides its answer. Holds the answer, never the question."""

    digest: str = Field(primary_key=True)
    endpoint: str
    model: str
    revision: str  # pinned, or "unpinned:DAY"
    purpose: str = Field(default="", index=True)  # "judge_fineweb_edu", "agent:discover" ...
    sample_id: str | None = Field(default=None, index=True)
    run_id: str | None = None
    budget: str | None = None
    batch: str | None = Field(default=None, index=True)  # the batch that it waits in, or was answered in
    status: str = "sent"  # sent, batched, answered, failed
    held_money: float = 0.0
    held_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    money: float = 0.0
    tokens_in: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    tokens_out: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    attempts: int = 0
    lost: int = 0  # attempts that may have been billed and were never answered
    text: str | None = Field(default=None, sa_column=Column(Text))
    finish: str | None = None  # stop, length, refusal ...
    served_by: str = ""  # model and fingerprint as the server named them
    error: str | None = None
    host: str = ""
    pid: int = 0
    process_start: str = ""
    created: str = Field(default_factory=now)
    finished: str | None = None


class CallBatch(SQLModel, table=True):
    """Questions that were handed to a provider together, to be answered within a day; each is a `Call` of its own."""

    __tablename__ = "call_batch"  # type: ignore[assignment]

    id: str = Field(primary_key=True)
    endpoint: str
    purpose: str = ""
    run_id: str | None = None
    remote: str | None = None  # the provider's id; None: submitted, perhaps, by a process that died before it was told
    status: str = Field(default="making", index=True)  # making, running, ended
    cancelled: bool = False  # somebody asked for its end
    questions: int = 0
    done: int = 0  # as the provider counts while it runs; in the end, those with an answer
    failed: int = 0
    error: str | None = None
    host: str = ""
    pid: int = 0
    process_start: str = ""
    actor: str = ""
    created: str = Field(default_factory=now)
    finished: str | None = None
