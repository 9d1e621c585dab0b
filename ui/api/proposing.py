"""Proposals over HTTP: ask with the right to propose, decide with the right to write."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from agents import proposals as book
from catalog.access import check
from ui.api.auth import Asked
from ui.proposing import proposal_facts, proposal_row, verb_row

router = APIRouter(tags=["proposals"])


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Reason(Strict):
    text: str
    samples: list[str] = Field([], max_length=20, description="ids of samples that show it")


class Wanted(Strict):
    """A write that a person approves."""

    verb: str = Field(description="see /proposals/verbs")
    args: dict[str, Any]
    title: str = ""
    reasons: list[Reason] = []


class Edited(Strict):
    args: dict[str, Any]
    note: str = ""


class Approved(Strict):
    """seen: the digest of the proposal as it was looked at; any other is refused."""

    seen: str = Field(min_length=8)
    note: str = ""


class Rejected(Strict):
    note: str = ""


@router.get("/proposals/verbs")
def verbs(cat: Asked) -> list[dict[str, Any]]:
    """The verbs that can be proposed, with the schema of their arguments."""
    check(cat, "read", "proposals")
    return [verb_row(held) for held in book.verbs()]


@router.get("/proposals")
def proposals(cat: Asked, status: str | None = None, limit: int = 200) -> list[dict[str, Any]]:
    """Proposals, newest first."""
    return [proposal_row(held) for held in book.proposals(cat, status, min(max(limit, 1), 1000))]


@router.post("/proposals")
def propose(body: Wanted, cat: Asked) -> dict[str, Any]:
    """Ask for a write; the answer holds its effect."""
    reasons = [reason.model_dump() for reason in body.reasons]
    return proposal_facts(book.propose(cat, body.verb, body.args, title=body.title, reasons=reasons))


@router.get("/proposals/{proposal}")
def proposal(proposal: str, cat: Asked) -> dict[str, Any]:
    """What it asks for, what that would do, why, and what became of it."""
    return proposal_facts(book.find(cat, proposal))


@router.post("/proposals/{proposal}/edit")
def edit(proposal: str, body: Edited, cat: Asked) -> dict[str, Any]:
    """Other arguments, and their effect."""
    return proposal_facts(book.edit(cat, proposal, body.args, body.note))


@router.post("/proposals/{proposal}/approve")
def approve(proposal: str, body: Approved, cat: Asked) -> dict[str, Any]:
    """Do it; 403 when the effect is no longer the one that was seen."""
    return proposal_facts(book.approve(cat, proposal, seen=body.seen, note=body.note))


@router.post("/proposals/{proposal}/reject")
def reject(proposal: str, body: Rejected, cat: Asked) -> dict[str, Any]:
    """Say no."""
    return proposal_facts(book.reject(cat, proposal, body.note))
