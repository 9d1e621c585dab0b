"""Plans and runs as every face shows them: estimate, place, run, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flows.estimate import Estimate, estimate, expected_seconds
from flows.places import Place, duration
from ui.shapes import plain, plan_rows

if TYPE_CHECKING:
    from catalog import Catalog
    from flows.planner import Plan

__all__ = ["choose_by", "estimate", "plan_facts", "run_plan", "seconds_of"]


def plan_facts(planned: Plan, costs: Sequence[Estimate]) -> dict[str, Any]:
    """A plan with its costs, step by step; a step that cannot be piloted has no time, and the sum says so."""
    steps = plan_rows(planned)
    for row, item in zip(steps, costs, strict=True):
        row |= {"tokens": item.tokens, "tokens_from": item.tokens_from, "device": item.device, "basis": item.basis}
        if item.cost == "api":
            row["money"] = None if item.money is None else round(item.money, 6)
        row["seconds"] = round(item.seconds, 2) if item.seconds is not None else None
        row["time"] = "unknown" if item.seconds is None else duration(item.seconds) if item.missing else "done"
        if item.seconds and row["pattern"] != "map":
            row["time"] = f"about {row['time']}"
    known = seconds_of(costs)
    return {
        "ref": planned.ref,
        "rows": planned.rows,
        "sample": planned.sample,
        "selection": planned.selection,
        "missing": sum(row["missing"] for row in steps),
        "seconds": round(known, 2),
        "unknown": [item.scorer for item in costs if item.seconds is None],
        "steps": steps,
    }


def seconds_of(costs: Sequence[Estimate]) -> float:
    """Time of the steps whose time is known."""
    return sum(item.seconds or 0.0 for item in costs)


def choose_by(costs: Sequence[Estimate]) -> dict[str, Any]:
    """What `flows.places.choose` asks: expected seconds, and the scorers of which no pilot can tell."""
    return {"seconds": expected_seconds(costs), "guessed": [item.scorer for item in costs if item.seconds is None]}


def run_plan(
    cat: Catalog,
    place: Place,
    ref: str,
    scorers: list[str],
    planned: Plan,
    options: dict[str, Any],
    *,
    show: Any = None,
    say: Callable[[str], None] = lambda line: None,
    detach: bool = False,
) -> dict[str, Any]:
    """Run a plan where `place` says and return the report; detached, return the flow run that goes on."""
    from flows import score

    if place.kind == "inline" or not planned.todo:
        return {"place": "inline", **plain(score(cat, ref, scorers, show=show, **options))}
    from flows.deployments import submit
    from flows.watching import watch

    # What was planned is what runs: a worker's own choice of a number format would make other columns.
    options = {**options, "dtype": planned.dtype or options.get("dtype"), "selection": planned.selection}
    at, flow_run = submit(cat, place, planned, scorers, options, say=say)
    running = {"place": place.kind, "ref": planned.ref, "flow_run": flow_run, "server": at.url}
    if detach:
        return running
    try:
        held = watch(cat, at, flow_run, show)
    except KeyboardInterrupt:
        return running  # only the watching ends; the run goes on where it is
    # Nothing is missing now, so this computes nothing: it reads the coverage that the run left.
    report = plain(score(cat, ref, scorers, **{**options, "refit": False}))
    report["counts"] |= held.counts if held else {}
    return {**running, **report, "run_id": held.id if held else None}
