"""Start from what is known: columns under some evals become columns under more, at the cost of the evals that came.

A scorer that fits on the evals may declare `extend` (see `catalog.plugins.Scorer`). When a dataset has its columns under
a recipe that differs in the evals alone, and shares at least one of them, the new columns are made from those. The
fitted state of the added evals is stored under a fingerprint of its own and serves every dataset that lacks them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from catalog.meta.models import ColumnRecord, Recipe

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.plugins import Scorer
    from flows.planner import Step

HELD_STATE = "held_state"


def extension(
    cat: Catalog, scorer: Scorer, recipe: dict[str, Any], known: dict[str, ColumnRecord]
) -> dict[str, Any] | None:
    """The columns to start from: those that share most evals, then those that cover most rows; None: there are none."""
    best: tuple[tuple[int, int], dict[str, Any]] | None = None
    mine = {
        print_: column for column in known.values() if (print_ := column.fingerprint) and column.scorer == scorer.name
    }
    with cat.session() as session:
        recipes = {print_: session.get(Recipe, print_) for print_ in mine}
    for print_, held in recipes.items():
        if held is None or _without_evals(held.body) != _without_evals(recipe):
            continue
        before = held.body.get("evals") or []
        shared = [entry for entry in recipe["evals"] if entry in before]
        if not shared or len(shared) == len(recipe["evals"]) == len(before):
            continue
        outputs = {c.output: c.physical for c in known.values() if c.fingerprint == print_}
        if {out.name for out in scorer.writes} - set(outputs):
            continue
        rank = (len(shared), mine[print_].covered)
        if best is None or rank > best[0]:
            added = [entry for entry in recipe["evals"] if entry not in before]
            gone = len(shared) < len(before)
            best = rank, {"outputs": outputs, "state": mine[print_].state, "added": added, "gone": gone}
    return best[1] if best else None


def added_step(step: Step) -> Step | None:
    """The step whose fit covers the added evals alone."""
    from flows.planner import fingerprint

    if not step.extends or not step.extends["added"]:
        return None
    recipe = {**step.recipe, "evals": step.extends["added"]}
    refs = tuple(entry["ref"] for entry in recipe["evals"])
    return replace(step, recipe=recipe, fingerprint=fingerprint(recipe), evals=refs, extends=None)


def held_columns(step: Step) -> dict[str, str]:
    """Name in the batch -> physical column of what the step starts from."""
    if not step.extends:
        return {}
    return {f"held_{name}": physical for name, physical in step.extends["outputs"].items()} | {
        HELD_STATE: step.extends["state"]
    }


def _without_evals(recipe: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key != "evals"}
