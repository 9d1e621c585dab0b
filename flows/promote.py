"""Promotion: run a recipe, check the contract, write the next tier's dataset and a reason for every dropped row.

The verdict of each row becomes a column of the source (`verdict_<new name>`); the kept rows are copied with every
computed column, so that nothing is measured twice. Edited rows keep their sample id, get a new content id, and are
empty in the computed columns. A repeat on a grown source updates the same dataset by difference.
"""

from __future__ import annotations

from typing import Any

from catalog.catalog import Catalog, Resolved
from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.meta.models import Selection
from catalog.plugins import get_transform
from catalog.refs import parse_ref
from catalog.runs import run
from catalog.schema import TIERS, table_schema
from catalog.selections import find_selection
from catalog.tiers import evidence_of, require
from catalog.where import version_filter, where_columns
from flows.planner import fingerprint, plan
from flows.promotion import Promotion, PromotionReport
from flows.recipe import PromotionRecipe, load_recipe
from flows.runner import score
from flows.waterfall import Waterfall, expressions, used_columns, verdicts

DEFAULT_RECIPES = {
    ("text", "L1"): "web",
    ("chat", "L1"): "sft",
    ("task", "L1"): "sft",
    ("preference", "L1"): "preference",
}


def promote(
    cat: Catalog,
    ref: str,
    to: str,
    *,
    recipe: str | dict[str, Any] | None = None,
    variables: dict[str, Any] | None = None,
    where: str | None = None,
    selection: str | None = None,
    name: str | None = None,
    dry_run: bool = False,
    show: Any = None,
) -> PromotionReport:
    """Promote a dataset version to the next tier, or refuse with every missing item named.

    A dry run computes no column and writes nothing; it needs the columns its rules read, and names the missing ones.
    """
    from catalog.access import check

    found = cat.resolve(ref)
    check(cat, "read" if dry_run else "write", found.dataset.name)
    body = _recipe_for(found, to, recipe, variables, where, selection)
    chosen = _chosen(cat, found, selection) if selection else None
    body = _with_names(cat, found, body)
    target = name or f"{found.dataset.name}-{to.lower()}"
    _check_target(cat, found, target, to)
    _check_names(cat, found, body, where)
    if not dry_run:
        plain = [item.scorer for item in body.scores if not item.params and not item.target]
        if plain:  # together, so that they share passes
            score(cat, found.ref, plain, show=show)
        for item in body.scores:
            if item.params or item.target:
                score(cat, found.ref, [item.scorer], params=item.params, target=item.target, show=show)
        found = cat.resolve(found.ref)
    _check_columns(cat, found, body, where, dry_run)
    if chosen is not None:
        where = _selected(cat, found, chosen) + (f" AND ({where})" if where else "")
    used = used_columns(cat, found, body, where)
    evidence = evidence_of(
        cat, found, used=used, edits=tuple(body.edits), selects=bool(where or body.keep or body.drop)
    )
    if not dry_run:
        require(to, evidence, target)
    unit = "tokens" if any(c.alias == "tokens" for c in cat.columns(found.dataset.name)) else "chars"
    waterfall = Waterfall(unit, list(expressions(body, where)))
    report = PromotionReport(found.ref, target, to, dry_run, waterfall)
    if dry_run:
        from catalog.tiers import missing

        report.missing = missing(to, evidence)
        for _ in verdicts(cat, found, body, where, at=found.dataset.lance_version, waterfall=waterfall):
            pass
        return report
    request = {"to": to, "recipe": body.model_dump(mode="json"), "where": where, "target": target}
    if chosen is not None:
        request["selection"] = f"{chosen.name}@v{chosen.version}"
    work = fingerprint({**request, "source": found.ref, "digest": found.version.digest if found.version else ""})
    with run(cat, "promote", f"promote:{work}", dataset=found.dataset.name, **request) as record:
        Promotion(cat, found, body, where, target, report, record.id, work, show).execute()
    return report


def _recipe_for(
    found: Resolved, to: str, recipe: Any, variables: dict[str, Any] | None, where: str | None, selection: str | None
) -> PromotionRecipe:
    if to not in TIERS[1:]:
        raise BadInput(f"{to!r} is not a tier to promote to; there are L1, L2, L3, L4")
    source = recipe or DEFAULT_RECIPES.get((found.dataset.kind, to))
    if source is None:
        if not (where or selection) and to == "L2":
            raise BadInput("promotion to L2 needs a choice: --recipe select-web, --where SQL or --select SELECTION")
        source = {"name": f"selection to {to}", "to": to}
    body = load_recipe(source, variables)
    for at, edit in enumerate(body.edits):
        if get_transform(edit).reads and at:
            raise BadInput(
                f"recipe {body.name!r}: {edit} reads what is known of the unedited text; name it first of edits"
            )
    if body.edits and found.dataset.kind != "text":
        raise BadInput(
            f"recipe {body.name!r} edits text, and {found.dataset.name} is {found.dataset.kind}; edits work on kind text"
        )
    if body.to != to:
        raise BadInput(f"recipe {body.name!r} promotes to {body.to}, not {to}")
    if body.kinds and found.dataset.kind not in body.kinds:
        raise BadInput(
            f"recipe {body.name!r} is for {', '.join(body.kinds)}; {found.dataset.name} is {found.dataset.kind}"
        )
    return body


def _with_names(cat: Catalog, found: Resolved, body: PromotionRecipe) -> PromotionRecipe:
    """Put the aliases of the recipe's own columns in place of {name} in its rules."""
    names = {}
    for item in body.scores:
        if item.name:
            step = plan(cat, found.ref, [item.scorer], params=item.params, target=item.target).steps[-1]
            names[item.name] = next(iter(step.aliases.values()))

    def filled(text: str) -> str:
        for name, alias in names.items():
            text = text.replace("{" + name + "}", alias)
        return text

    drop = [
        r.model_copy(update={"where": filled(r.where), "by_language": {k: filled(v) for k, v in r.by_language.items()}})
        for r in body.drop
    ]
    return body.model_copy(update={"drop": drop, "keep": filled(body.keep) if body.keep else None})


def _chosen(cat: Catalog, found: Resolved, ref: str) -> Selection:
    held = find_selection(cat, ref)
    if parse_ref(held.dataset).name != found.dataset.name:
        raise BadInput(f"selection {ref!r} is over {held.dataset}, not {found.dataset.name}")
    return held


def _selected(cat: Catalog, found: Resolved, held: Selection) -> str:
    """A selection as a condition that is true or false on every row: what absent values mean is its own affair.

    It keeps the rows that the selection holds: those of its version where it names one, and by its own `missing`.
    """
    cat.predicate(found.ref, held.where, held.missing)  # refuses what it does not cover, as everywhere
    condition = f"coalesce(({held.where})::boolean, false)"
    if held.missing == "keep":
        columns = {c.alias: c for c in cat.columns(found.dataset.name)}
        own = set(table_schema(found.dataset.kind, found.dataset.tier).names)
        used = where_columns(held.where, own | set(columns), found.dataset.name) - own
        holes = [f'"{name}" IS NULL' for name in sorted(used) if columns[name].covered < found.dataset.rows]
        condition = " OR ".join([condition, *holes])
    pinned = cat.resolve(held.dataset)
    if parse_ref(held.dataset).version is not None and pinned.number != found.number:
        rows = version_filter(pinned.dataset, pinned.number)
        condition = f"({condition})" + (f" AND ({rows})" if rows else "")
    return f"({condition})"


def _check_target(cat: Catalog, found: Resolved, target: str, to: str) -> None:
    if found.dataset.role == "eval":
        raise Refused(f"{found.ref} has role eval and is protected: evals are not promoted", missing=["role"])
    held = cat.find(target)
    if held is None:
        if noun := cat._noun(target):
            raise NameTaken(f"the name {target!r} is taken by a {noun}; choose another with --as")
    elif held.tier != to or (held.parent or "").split("@")[0] != found.dataset.name:
        raise NameTaken(
            f"{target!r} exists (tier {held.tier}, from {held.parent or 'ingest'}); choose another with --as"
        )


def _check_names(cat: Catalog, found: Resolved, body: PromotionRecipe, where: str | None) -> None:
    """Refuse a condition over a column that neither is there nor will be, before anything is computed."""
    known = set(table_schema(found.dataset.kind, found.dataset.tier).names)
    known |= {column.alias for column in cat.columns(found.dataset.name)}
    texts = [rule.expression for rule in body.drop] + [text for text in (body.keep, where) if text]
    try:
        for text in texts:
            where_columns(text, known, found.dataset.name)
    except NotFound:
        for item in body.scores:
            for step in plan(cat, found.ref, [item.scorer], params=item.params, target=item.target).steps:
                known |= set(step.aliases.values())
        for text in texts:
            where_columns(text, known, found.dataset.name)


def _check_columns(cat: Catalog, found: Resolved, body: PromotionRecipe, where: str | None, dry_run: bool) -> None:
    """Every column a rule reads exists and covers the source."""
    if dry_run:
        lacking = []
        for item in body.scores:
            try:
                todo = plan(cat, found.ref, [item.scorer], params=item.params, target=item.target).todo
            except BadInput as error:
                lacking.append(f"{item.scorer} ({error})")
                continue
            lacking += [f"{step.scorer} ({step.missing} rows)" for step in todo]
        if lacking:
            names = " ".join(item.scorer for item in body.scores)
            raise Refused(
                f"a dry run computes nothing, and these are missing: {', '.join(lacking)}; `strata score {found.dataset.name} {names}` first",
                missing=lacking,
            )
    used = used_columns(cat, found, body, where)
    partial = [c for c in cat.columns(found.dataset.name) if c.alias in used and c.covered < found.dataset.rows]
    if partial and body.missing == "error":
        listed = ", ".join(f"{c.alias} ({c.covered} of {found.dataset.rows} rows)" for c in partial)
        raise Refused(
            f"rules of {body.name!r} read columns that do not cover {found.ref}: {listed}; score the rest or set missing: drop | keep",
            missing=[c.alias for c in partial],
        )
