"""What each eval protects, and which verdicts do not cover it yet.

An eval declares the fields of its items that are a leak (text, question, choices, answer, or any key of `meta`, such as
context or qas), from which share on, and the action: `flag` reports, `cut` takes the span out where text may be edited,
`drop` takes the row out. Without a declaration the whole prompt with its choices is protected, and rows are flagged.

Registering an eval, a new version of it or another declaration makes the verdicts stale that do not know it. What is
stale is the queue of leak checks: it is derived, so it cannot be lost; `strata evals check` works it off.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput
from catalog.meta.models import EvalPolicy, Mix, Recipe

if TYPE_CHECKING:
    from catalog.catalog import Catalog

ACTIONS = ("flag", "cut", "drop")
CHECK = "eval_overlap"
"""The scorer whose run is the verdict."""


def declare(
    cat: Catalog,
    name: str,
    *,
    fields: Sequence[str] | None = None,
    action: str | None = None,
    share: float | None = None,
    numbers: float | None = None,
) -> EvalPolicy:
    """Say what of an eval is a leak; what is not given stays. Verdicts under another declaration become stale."""
    check(cat, "write", name)
    dataset = cat.resolve(name).dataset
    if dataset.role != "eval":
        raise BadInput(f"{name} has role {dataset.role or 'none'}: only a dataset of role eval declares leaks")
    if action is not None and action not in ACTIONS:
        raise BadInput(f"action {action!r} is not one of {', '.join(ACTIONS)}")
    wanted = [field.strip() for field in fields or () if field.strip()]
    if fields is not None and not wanted:
        raise BadInput(f"{name}: name at least one field that is a leak, such as question,answer")
    for what, value in (("share", share), ("numbers", numbers)):
        if value is not None and not 0 < value <= 1:
            raise BadInput(f"{what} is a share of an item's words: above 0 and at most 1, not {value}")
    with cat.session() as session:
        held = session.get(EvalPolicy, dataset.id) or EvalPolicy(dataset_id=dataset.id, fields=["text"])
        given = {"fields": wanted or None, "action": action, "share": share, "numbers": numbers}
        for key, value in given.items():
            if value is not None:
                setattr(held, key, value)
        held.actor = cat.settings.actor
        session.add(held)
        session.commit()
        return held


def policy(cat: Catalog, dataset_id: str) -> dict[str, Any]:
    """The declaration of an eval, or {} where there is none."""
    with cat.session() as session:
        held = session.get(EvalPolicy, dataset_id)
    return {key: getattr(held, key) for key in ("fields", "action", "share", "numbers")} if held else {}


def evals(cat: Catalog) -> list[dict[str, Any]]:
    """Every published eval: reference, digest, and its declaration where it made one (as recipes name it)."""
    found = []
    for dataset in cat.datasets():
        if dataset.role == "eval":
            held = cat.resolve(dataset.name)
            entry = {"ref": held.ref, "digest": held.version.digest if held.version else ""}
            declared = policy(cat, dataset.id)
            found.append({**entry, "leak": declared} if declared else entry)
    return found


def eval_sets(cat: Catalog, listed: Sequence[dict[str, Any]], scan: Any) -> tuple[Any, ...]:
    """The evals of a recipe as scorers see them; scan(ref) makes the scan over one."""
    from catalog.plugins import EvalSet

    made = []
    for entry in listed:
        leak = entry.get("leak") or {}
        facts = {key: leak[key] for key in ("action", "share", "numbers") if key in leak}
        kind = cat.resolve(entry["ref"]).dataset.kind
        fields = tuple(leak.get("fields") or ("text",))
        made.append(EvalSet(entry["ref"], scan(entry["ref"]), kind, fields, **facts))
    return tuple(made)


def stale(cat: Catalog, name: str | None = None) -> list[dict[str, str]]:
    """Datasets from L2 on and mixes whose verdicts do not name every eval (or the one named) as it is now."""
    now = [entry for entry in evals(cat) if name is None or entry["ref"].split("@")[0] == name]
    found = []
    for dataset in cat.datasets():
        if dataset.tier in ("L0", "L1") or dataset.role == "eval":
            continue
        known = checked(cat, dataset.name)
        if missing := [entry["ref"] for entry in now if stamp(entry) not in known]:
            found.append(
                {
                    "object": dataset.name,
                    "against": ", ".join(missing),
                    "remedy": f"strata score {dataset.name} {CHECK}",
                }
            )
    with cat.session() as session:
        mixes = session.exec(select(Mix).order_by(Mix.name, Mix.version)).all()  # type: ignore[arg-type]
    for mix in mixes:
        tested = {e.get("stamp") or e["eval"] for e in mix.lock["contamination"]["evals"] if e["status"] == "checked"}
        if missing := [entry["ref"] for entry in now if not tested & {stamp(entry), entry["ref"]}]:
            found.append(
                {
                    "object": f"mix:{mix.name}@v{mix.version}",
                    "against": ", ".join(missing),
                    "remedy": f"score its parts, then publish {mix.name} again",
                }
            )
    return found


def queued(cat: Catalog, name: str | None = None) -> list[dict[str, str]]:
    """The leak checks that wait: datasets among the stale objects. Nothing else is queued when an eval is registered."""
    return [row for row in stale(cat, name) if not row["object"].startswith("mix:")]


def checked(cat: Catalog, name: str) -> set[str]:
    """Stamps of the evals that a whole run of the check over this dataset has named."""
    rows, known = cat.resolve(name).dataset.rows, set()
    with cat.session() as session:
        for column in cat.columns(name):
            if column.output == CHECK and column.covered >= rows:
                recipe = session.get(Recipe, column.fingerprint)
                known |= {stamp(entry) for entry in (recipe.body.get("evals") if recipe else None) or []}
    return known


def stamp(entry: dict[str, Any]) -> str:
    """Names an eval version and its declaration: a verdict holds for one stamp."""
    leak = entry.get("leak")
    return entry["digest"] + (":" + json.dumps(leak, sort_keys=True) if leak else "")
