"""Campaigns as every face shows and makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog import Catalog
    from catalog.meta.models import Campaign

PLAIN = {"name": "preference", "about": "Which of the two is better training data?"}
"""What pairs are asked when no rubric says otherwise."""


def campaign_row(held: Campaign) -> dict[str, Any]:
    """One line of a list of campaigns."""
    return {
        "campaign": held.name, "ref": held.ref, "rubric": held.rubric["name"], "kind": held.kind,
        "order": held.recipe["order"], "items": held.items, "touched": held.frontier, "graders": held.graders,
        "closed": held.closed, "note": held.note,
    }  # fmt: skip


def rubric_of(source: str | dict[str, Any] | None, pairs: int = 0) -> dict[str, Any]:
    """A rubric's body from a mapping or the name of a shipped one; never from a file. Scales need anchors."""
    from json import loads

    from catalog.errors import BadInput, NotFound
    from flows.scorers.judge._rubric import read_rubric, shipped

    if source is None:
        if not pairs:
            raise BadInput("say what is asked: a rubric, or the name of a shipped one; only pairs need none")
        return dict(PLAIN)
    if isinstance(source, str):
        if source not in shipped():
            raise NotFound("rubric", source, shipped(), "give its body, or the name of a shipped one")
        return loads(shipped()[source].model_dump_json())
    return loads(read_rubric(source).model_dump_json())


def agreement(cat: Catalog, name: str, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """How far graders agree, and how right each is on planted items."""
    from catalog import grades

    return {**grades.agreement_of(cat, name, resamples=resamples, seed=seed), "gold": grades.gold_report(cat, name)}
