"""Proposals about rows: score them, name a set of them, promote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from agents.proposals.verbs import Args, declare, licences_of
from catalog.errors import BadInput, Refused
from catalog.plain import plain

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class Score(Args):
    """Compute columns of a dataset."""

    name: str = Field(description="dataset, or dataset@vN")
    scorers: list[str] = Field(min_length=1)
    params: dict[str, Any] | None = None
    target: str | None = Field(None, description="dataset that says what good text looks like")
    sample: int | None = Field(None, ge=1, description="score a uniform sample of so many rows")
    select: str | None = Field(None, description="score the rows of a saved selection only")
    dtype: str | None = None


class Select(Args):
    """Name a set of rows: a WHERE, or what a selector chooses within a budget."""

    name: str
    source: str = Field(description="dataset, or for a selector also a saved selection")
    where: str | None = None
    missing: Literal["error", "drop", "keep"] = "error"
    selector: str | None = None
    budget: int | None = None
    unit: Literal["samples", "tokens"] | None = None
    params: dict[str, Any] | None = None
    seed: int | None = None
    note: str = ""


class Promote(Args):
    """Make the dataset of the next tier."""

    ref: str
    to: Literal["L1", "L2", "L3", "L4"]
    recipe: str | dict[str, Any] | None = Field(None, description="name of a shipped recipe, or the recipe itself")
    variables: dict[str, Any] | None = Field(None, description="values for the recipe's variables")
    where: str | None = None
    select: str | None = None
    name: str | None = Field(None, description="name of the new dataset")


def _planned(cat: Catalog, args: Score) -> tuple[Any, list[Any]]:
    from flows import plan
    from flows.estimate import estimate

    given = {"params": args.params or {}, "target": args.target, "sample": args.sample, "selection": args.select}
    planned = plan(cat, args.name, args.scorers, dtype=args.dtype, **given)
    return planned, estimate(cat, planned)


def score_effect(cat: Catalog, args: Score) -> dict[str, Any]:
    """What scoring would compute, and what it costs."""
    planned, costs = _planned(cat, args)
    missing = sum(item.missing for item in costs)
    money = [item.money for item in costs if item.cost == "api" and item.missing]
    steps = [{"scorer": item.scorer, "cost": item.cost, "missing": item.missing, "tokens": item.tokens, "money": item.money}
             for item in costs]  # fmt: skip
    unpriced = [item.scorer for item in costs if item.cost == "api" and item.missing and item.money is None]
    return {
        "summary": f"{missing:,} values of {', '.join(args.scorers)} on {planned.rows:,} rows of {planned.ref}",
        "dataset": planned.ref, "rows": planned.rows, "values": missing, "tokens": max((item.tokens for item in costs), default=0),
        "money": sum(item or 0.0 for item in money) if not unpriced else None, "steps": steps,
        "licences": licences_of(cat, planned.ref),
        "warnings": [f"{name} has no price: what it costs is not known" for name in unpriced],
        "volatile": {"seconds": sum(item.seconds or 0.0 for item in costs)},
    }  # fmt: skip


def score_apply(cat: Catalog, args: Score) -> dict[str, Any]:
    """Run it here when it is short, else on a Prefect server; then the result names the flow run."""
    from flows import score
    from flows.deployments import submit
    from flows.estimate import expected_seconds
    from flows.places import SHORT_SECONDS, choose

    planned, costs = _planned(cat, args)
    seconds = expected_seconds(costs)
    place = choose(cat, planned, seconds=seconds, guessed=[item.scorer for item in costs if item.seconds is None])
    if place.kind == "inline" and planned.todo and seconds > SHORT_SECONDS:
        place = choose(cat, planned, "home")
    options = {
        "params": args.params or {},
        "target": args.target,
        "sample": args.sample,
        "selection": args.select,
        "dtype": args.dtype,
    }
    if place.kind == "inline" or not planned.todo:
        return {"place": "inline", **plain(score(cat, args.name, args.scorers, **options))}
    options |= {"dtype": planned.dtype or args.dtype, "selection": planned.selection}
    at, flow_run = submit(cat, place, planned, args.scorers, options)
    return {"place": place.kind, "ref": planned.ref, "flow_run": flow_run, "server": at.url}


def select_effect(cat: Catalog, args: Select) -> dict[str, Any]:
    """How many rows a WHERE names today; of a selector what it may choose from."""
    from catalog.explore import explore

    if args.selector is not None:
        if args.budget is None:
            raise BadInput(f"selector {args.selector} chooses within a budget; give one")
        from catalog.selectors import get_selector

        get_selector(args.selector)
        found = cat.resolve(args.source) if cat._noun(args.source.partition("@")[0]) == "dataset" else None
        rows = found.version.rows if found is not None and found.version is not None else None
        unit = args.unit or "samples"
        return {"summary": f"{args.name}: at most {args.budget:,} {unit} of {args.source} by {args.selector}",
                "from": args.source, "rows": min(rows, args.budget) if rows and unit == "samples" else None,
                "licences": licences_of(cat, args.source) if found else {}, "warnings": []}  # fmt: skip
    if not args.where:
        raise BadInput("say what to keep: a WHERE, or a selector with a budget")
    held = explore(cat, args.source, args.where, missing=args.missing, examples=0)
    kept, tokens = held["kept"], held["kept_total"] if held["weight"] == "tokens" else None
    share = f", {100 * kept / held['rows']:.1f} %" if held["rows"] else ""
    return {"summary": f"{args.name}: {kept:,} of {held['rows']:,} rows of {held['ref']}{share}", "from": held["ref"],
            "rows": kept, "tokens": tokens, "licences": licences_of(cat, args.source),
            "warnings": [] if kept else ["it holds no row"]}  # fmt: skip


def select_apply(cat: Catalog, args: Select) -> dict[str, Any]:
    from flows.row_sets import save_selection

    made = save_selection(cat, **args.model_dump())
    return {"selection": f"{made.name}@v{made.version}"}


def promote_effect(cat: Catalog, args: Promote) -> dict[str, Any]:
    """The waterfall of a dry run; refused with every missing item named."""
    report = _promoted(cat, args, dry_run=True)
    if report["missing"]:
        raise Refused(f"{args.ref} may not enter {args.to}: {'; '.join(map(str, report['missing']))}",
                      missing=report["missing"])  # fmt: skip
    fall = report["waterfall"]
    kept, total = fall["kept"], fall["total"]
    tokens = fall["unit"] == "tokens"
    return {
        "summary": f"{report['target']} ({args.to}): {kept[0]:,} of {total[0]:,} rows of {report['source']}",
        "rows": kept[0], "dropped": total[0] - kept[0], "tokens": kept[1] if tokens else None, "from": report["source"],
        "target": report["target"], "rules": fall["sequence"], "unit": fall["unit"], "licences": licences_of(cat, args.ref),
        "warnings": ["nothing changed since it was last promoted"] if report["unchanged"] else [],
    }  # fmt: skip


def promote_apply(cat: Catalog, args: Promote) -> dict[str, Any]:
    """Do it; says of how many rows, and of their weight, so many were kept."""
    report = _promoted(cat, args)
    fall = report["waterfall"]
    return {"dataset": report["target"], "kept": fall["kept"], "total": fall["total"], "unchanged": report["unchanged"]}


def _promoted(cat: Catalog, args: Promote, dry_run: bool = False) -> dict[str, Any]:
    from flows import promote

    _no_file(args.recipe)
    given = {"recipe": args.recipe, "variables": args.variables, "where": args.where, "selection": args.select}
    return plain(promote(cat, args.ref, args.to, name=args.name, dry_run=dry_run, **given))


def _no_file(recipe: Any) -> None:
    if isinstance(recipe, str) and ("/" in recipe or recipe.endswith((".yaml", ".yml"))):
        raise BadInput(f"a proposal names a shipped recipe or holds one; {recipe!r} is a file")


declare(Score, score_effect, score_apply)
declare(Select, select_effect, select_apply)
declare(Promote, promote_effect, promote_apply)
