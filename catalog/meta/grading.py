"""Table of grades that were given to many rows at once."""

# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Text
from sqlmodel import Field, SQLModel

from catalog.meta.models import json_column, new_id, now


class GradeBulk(SQLModel, table=True):
    """One grade for all rows of a filter: one act, taken back as one. See catalog.grades.bulk."""

    __tablename__ = "gradebulk"  # type: ignore[assignment]

    id: str = Field(default_factory=new_id, primary_key=True)
    campaign_id: str = Field(index=True)
    grader: str
    where: str = Field(sa_column=Column(Text, nullable=False))
    missing: str = "error"
    answer: dict = json_column()  # scale or label -> value
    items: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # covered by the act
    left: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # matched, and with people already
    lowest: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # first item that is covered
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # which: a bit an item, compressed
    note: str = ""
    created: str = Field(default_factory=now)
    superseded: str | None = None  # when it was taken back
    undone_by: str | None = None
