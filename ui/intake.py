"""Sources as every face shows them: where each stands, and the one thing that is to be done next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from catalog.errors import NotFound, StrataError
from catalog.ingest.register import WAITING, Source, sources, stated

if TYPE_CHECKING:
    from catalog import Catalog

STATUSES = {
    "failed": "could not be taken in",
    "waiting": "not read yet",
    "licence": "licence to verify",
    "quarantine": "quarantine to look at",
    "overlap": "overlap to check",
    "score": "scores missing",
    "ready": "ready for L1",
    "in": "taken in",
}
"""Where a source stands, in the order in which it passes: what is missing first, names the status."""


def intake_rows(cat: Catalog, status: str | None = None) -> list[dict[str, Any]]:
    """Sources by name, each with its status and next step; of one status, or all."""
    evals = [held.name for held in cat.datasets() if held.role == "eval"]
    made = [intake_row(source, evals) for source in sources(cat)]
    return [row for row in made if status is None or row["status"] == status]


def intake_row(source: Source, evals: list[str]) -> dict[str, Any]:
    """One source, flat."""
    dataset, record = source.dataset, source.record
    spec = record.spec if record else {}
    at, todo, command = _next(source, evals)
    return {
        "name": source.name, "status": at, "next": todo, "command": command,
        "reason": record.reason if record else "",
        "ref": f"{dataset.name}@v{dataset.head}" if dataset else None,
        "rows": dataset.rows if dataset else None,
        "kind": dataset.kind if dataset else spec.get("kind"),
        "tier": dataset.tier if dataset else spec.get("tier"),
        "role": dataset.role if dataset else spec.get("role"),
        "licence": dataset.licence if dataset else spec.get("licence"),
        "licences": source.licences,
        "evidence": dataset.licence_evidence if dataset else spec.get("licence_evidence"),
        "verified": dataset.licence_verified if dataset else None,
        "verified_by": dataset.licence_verified_by if dataset else None,
        "quarantined": source.quarantined, "reasons": source.reasons, "looked": record.looked if record else 0,
        "overlap": record.held if record and record.held else None,
        "stale_overlap": bool(record and dataset and record.held and record.held.get("ref") != f"{dataset.name}@v{dataset.head}"),
        "expectations": spec.get("expectations") or {},
        "delivery": record.status if record else "",
        "owner": dataset.owner if dataset else spec.get("owner"),
        "uri": spec.get("uri") or [], "file": record.file if record else "",
        "seen": record.seen if record else (dataset.created if dataset else None),
        "promoted": [child.name for child in source.children],
    }  # fmt: skip


def _next(source: Source, evals: list[str]) -> tuple[str, str, str]:
    """Status, next step in words, and the command that takes it."""
    record, dataset, name = source.record, source.dataset, source.name
    if record is not None and source.failed:
        what = "meet the expectation, or change it" if record.status == "failed expectation" else "mend the source"
        return "failed", f"{what}, then read it again", f"strata intake again {name}"
    if dataset is None:
        return WAITING, "read it", f"strata intake again {name}"
    if not dataset.licence_verified:
        known = stated(source) or dataset.licence
        todo = "verify the licence" if known else "find out the licence"
        return "licence", todo, f"strata intake verify {name}" + ("" if known else " --licence ID")
    if source.quarantined > (record.looked if record else 0):
        return "quarantine", f"look at {source.quarantined:,} quarantined rows", f"strata intake accept {name}"
    if dataset.role:
        return "in", "nothing", ""
    held = record.held if record else {}
    if held.get("ref") != f"{name}@v{dataset.head}" or (evals and held.get("leaks") is None):
        return (
            "overlap",
            "check what is held already" + (" and the evals" if evals else ""),
            f"strata intake check {name}",
        )
    return _promotion(source)


def _promotion(source: Source) -> tuple[str, str, str]:
    dataset, name = source.dataset, source.name
    assert dataset is not None
    if any(child.parent == f"{name}@v{dataset.head}" for child in source.children) or dataset.tier != "L0":
        return "in", "nothing", ""
    if missing := missing_scorers(source):
        more = f" and {len(missing) - 2} more" if len(missing) > 3 else ""
        shown = missing[:2] if more else missing
        return "score", f"score {', '.join(shown)}{more}", f"strata score {name} {' '.join(missing)}"
    if not needed(dataset.kind):
        return "in", "nothing: no recipe for its kind", ""
    again = " again" if source.children else ""
    return "ready", f"promote{again} to L1", f"strata promote {name} --to L1"


def missing_scorers(source: Source) -> list[str]:
    """What the recipe to L1 reads and no whole run has computed yet."""
    return [scorer for scorer in needed(source.dataset.kind) if scorer not in source.scorers] if source.dataset else []


@cache
def needed(kind: str) -> tuple[str, ...]:
    """Scorers that the recipe to L1 reads; none where the kind has no recipe."""
    from flows.promote import DEFAULT_RECIPES
    from flows.recipe import load_recipe

    name = DEFAULT_RECIPES.get((kind, "L1"))
    return tuple(item.scorer for item in load_recipe(name).scores) if name else ()


def score_missing(cat: Catalog, names: Sequence[str], show: Any = None) -> dict[str, list[str]]:
    """Compute what the recipe to L1 reads of each source, so that its dry run can be shown; by source, the scorers that ran."""
    from flows import score

    known = {source.name: source for source in sources(cat)}
    done: dict[str, list[str]] = {}
    for name in names:
        if name not in known or known[name].dataset is None:
            raise NotFound("source that is in", name, known, "see `strata intake list`")
        done[name] = missing_scorers(known[name])
    for name, scorers in done.items():
        if scorers:
            score(cat, name, scorers, show=show)
    return done


def propose_promotion(cat: Catalog, names: Sequence[str]) -> list[dict[str, Any]]:
    """A proposal for each source to become L1, with the effect of its dry run; one that is refused says why."""
    from agents.proposals import proposals, propose

    open_ = {held.args.get("ref"): held for held in proposals(cat, "open", of="promote")}
    made = []
    for name in names:
        try:
            held = open_.get(name) or propose(cat, "promote", {"ref": name, "to": "L1"}, title=f"{name} to L1")
            made.append(
                {"source": name, "proposal": held.id, "seen": held.seen, "effect": held.effect["summary"], "why": ""}
            )
        except StrataError as error:
            made.append({"source": name, "proposal": None, "seen": None, "effect": "", "why": error.message})
    return made


def approve_many(cat: Catalog, given: Sequence[str], show: Any = None) -> list[dict[str, Any]]:
    """Approve proposals one after the other, past those that are refused. given: ids, or "id:digits of the look"."""
    from agents.proposals import approve

    done = []
    for at, one in enumerate(given, 1):
        proposal, _, seen = one.partition(":")
        try:
            held = approve(cat, proposal, seen=seen or None)
            done.append({"proposal": held.id, "title": held.title, "status": held.status, "why": ""})
        except StrataError as error:
            done.append({"proposal": proposal, "title": "", "status": "refused", "why": error.message})
        if show:
            show(at, len(given), "proposals")
    return done
