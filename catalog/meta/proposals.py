"""Tables of what waits for a person: proposed writes, and the queries a team keeps."""

# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from catalog.meta.models import json_column, new_id, now


class Proposal(SQLModel, table=True):
    """A write somebody asks for, and what became of it; see agents.proposals."""

    id: str = Field(default_factory=new_id, primary_key=True)
    verb: str  # promote, score, select ...
    args: dict = json_column()
    title: str = ""
    effect: dict = json_column()  # of the dry run that was shown: rows, tokens, money, licences ...
    seen: str = ""  # digest of args and effect: who approves says what they saw
    reasons: list = json_column(list)  # {"text", "samples": [ids]}
    agent: str = ""  # "mix", "assistant" ...; empty: a person asked
    model: str = ""  # of the language model that took part, with its revision
    actor: str = ""  # in whose name
    status: str = Field(default="open", index=True)  # open, applying, done, failed, rejected
    revision: int = 1  # edits of the arguments
    decided_by: str | None = None
    decided: str | None = None
    note: str = ""  # of who decided
    history: list = json_column(list)  # arguments before each edit, and who edited
    result: dict = json_column()
    error: str | None = None
    host: str = ""  # of who applies it
    pid: int = 0
    process_start: str = ""
    created: str = Field(default_factory=now)


class SavedQuery(SQLModel, table=True):
    """A statement of SQL by name."""

    __tablename__ = "savedquery"  # type: ignore[assignment]

    name: str = Field(primary_key=True)
    query: str = Field(sa_column=Column(Text, nullable=False))
    note: str = ""
    actor: str = ""
    created: str = Field(default_factory=now)
