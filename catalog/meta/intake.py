"""Tables of what comes in and what is taken out: sources with what became of them, and receipts of retractions."""

# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel

from catalog.meta.models import json_column, now


class Intake(SQLModel, table=True):
    """A source that a sources file names, as its last delivery left it; one that failed stays listed with the reason."""

    name: str = Field(primary_key=True)  # of the dataset it makes
    dataset_id: str | None = Field(default=None, index=True)  # None: nothing of it was ever published
    file: str = ""  # the sources file
    spec: dict = json_column()  # its entry, paths absolute
    status: str = ""  # new, appended, unchanged, failed expectation, error
    reason: str = ""  # why it failed, one line
    ref: str = ""  # version the last delivery is in
    held: dict = json_column()  # what of it the catalog has already, and which evals it leaks
    looked: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # quarantined rows a person accepted
    actor: str = ""
    created: str = Field(default_factory=now)
    seen: str = Field(default_factory=now)  # last delivery


class Receipt(SQLModel, table=True):
    """What a retraction took out, and whom it had reached by then."""

    run_id: str = Field(primary_key=True)
    digest: str
    body: dict = json_column()
    ids: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # of the samples, 16 bytes each, sorted
    created: str = Field(default_factory=now)
