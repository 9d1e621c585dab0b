"""strata promote."""

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
