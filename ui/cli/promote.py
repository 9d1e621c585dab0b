"""strata promote, strata select save|list|show."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, number, opened, pairs, progress, table


def promote(
    ref: Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Dataset to promote.")],
    to: Annotated[str, typer.Option(metavar="TIER", help="L1, L2, L3 or L4.")],
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="YAML file, or the name of a shipped recipe.")
    ] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Keep only rows for which this holds.")] = None,
    select: Annotated[
        str | None, typer.Option(metavar="SELECTION", help="Keep only the rows of a saved selection.")
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NEWNAME", help="Name of the new dataset.", show_default="NAME-l1")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="A variable of the recipe; repeat for more.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the waterfall; write nothing.")] = False,
    json: Json = False,
) -> None:
    """Make the dataset of the next tier, or refuse with every missing item named. Every dropped row keeps its reason.

    Example: strata promote web --to L1 --recipe web --dry-run
    """
    from flows import promote as run
    from ui.shapes import plain

    with progress("promote") as show:
        report = run(
            opened(), ref, to, recipe=recipe, variables=pairs(set_ or [], "--set"), where=where, selection=select,
            name=as_, dry_run=dry_run, show=show,
        )  # fmt: skip
    held = plain(report)
    emit(json, held, lambda: _waterfall(held))


def _waterfall(held: dict[str, Any]) -> None:
    """What each rule removes alone, and what it removes after the rules before it."""
    fall = held["waterfall"]
    unit, total = fall["unit"], fall["total"]
    zero = [0, 0]
    rows = [
        {"rule": rule, "alone": fall["alone"].get(rule, zero)[0], f"alone, {unit}": fall["alone"].get(rule, zero)[1],
         "removes": fall["sequence"].get(rule, zero)[0], f"removes, {unit}": fall["sequence"].get(rule, zero)[1]}
        for rule in fall["rules"]
    ]  # fmt: skip
    if held["unchanged"]:
        print(f"{held['target']} is up to date with {held['source']}: nothing was done")
        return
    table(rows, ["rule", "alone", f"alone, {unit}", "removes", f"removes, {unit}"], empty="the recipe drops nothing")
    verb = "would keep" if held["dry_run"] else "kept"
    share = f" ({100 * fall['kept'][0] / total[0]:.1f} %)" if total[0] else ""
    print(
        f"{held['source']} -> {held['target']} ({held['tier']}): {verb} {number(fall['kept'][0])} of {number(total[0])} rows{share}"
    )
    facts({"edited": held["edited"], "columns carried": len(held["carried"])})
    for item in held["missing"]:
        print(f"missing for {held['tier']}: {item}")


def select_save(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the selection.")],
    dataset: Annotated[str, typer.Argument(metavar="DATASET[@vN]", help="Dataset it selects from.")],
    where: Annotated[str, typer.Option(metavar="SQL", help="Rows for which this holds.")],
    missing: Annotated[
        str, typer.Option(metavar="error|drop|keep", help="What a row without a value means.")
    ] = "error",
    note: Annotated[str, typer.Option(help="Why it exists.")] = "",
    json: Json = False,
) -> None:
    """Save a named row set: a recipe without copied rows. Saving again makes its next version.

    Example: strata select save good web --where "quality > 0.7" --missing drop
    """
    from catalog.selections import save

    made = save(opened(), name, dataset, where, missing=missing, note=note)
    held = _selection(made)
    emit(json, held, lambda: facts(held))


def select_list(json: Json = False) -> None:
    """List the saved selections.

    Example: strata select list
    """
    from catalog.selections import selections

    rows = [_selection(made) for made in selections(opened())]
    emit(
        json,
        rows,
        lambda: table(rows, ["selection", "dataset", "where", "missing", "note"], empty="no selection is saved"),
    )


def select_show(
    ref: Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Selection.")], json: Json = False
) -> None:
    """Show a selection and count its rows.

    Example: strata select show good
    """
    from catalog.selections import count_selection, find_selection

    cat = opened()
    made = find_selection(cat, ref)
    held = {**_selection(made), "rows": count_selection(cat, ref)}
    emit(json, held, lambda: facts(held))


def _selection(made: Any) -> dict[str, Any]:
    return {"selection": f"{made.name}@v{made.version}", "dataset": made.dataset, "where": made.where,
            "missing": made.missing, "owner": made.owner, "note": made.note, "created": made.created}  # fmt: skip
