"""Proposals as every face shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.proposals.verbs import Verb
    from catalog.meta.proposals import Proposal


def proposal_row(held: Proposal) -> dict[str, Any]:
    """One line of the list."""
    return {"id": held.id[:12], "verb": held.verb, "status": held.status, "title": held.title, "effect": held.effect.get("summary"),
            "by": held.actor, "created": held.created, "decided_by": held.decided_by}  # fmt: skip


def proposal_facts(held: Proposal) -> dict[str, Any]:
    """All of a proposal but where it was carried out."""
    return held.model_dump(exclude={"host", "pid", "process_start"})


def verb_row(held: Verb) -> dict[str, Any]:
    """A verb that can be proposed, with the JSON schema of its arguments."""
    return {"verb": held.name, "does": held.doc, "args": held.args.model_json_schema()}
