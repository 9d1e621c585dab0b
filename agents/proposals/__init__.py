"""Writes that somebody proposes and a person approves; see `book`."""

from agents.proposals.book import OPEN, approve, edit, find, proposals, propose, reject, waiting
from agents.proposals.verbs import verbs

__all__ = ["OPEN", "approve", "edit", "find", "proposals", "propose", "reject", "verbs", "waiting"]
