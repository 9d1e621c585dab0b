"""strata selectors, strata select save|list|show|overlap."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, pairs, table


def selectors(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show one selector in full.")] = None,
    experimental: Annotated[bool, typer.Option("--experimental", help="Also those without an oracle.")] = False,
    json: Json = False,
) -> None:
    """List the selectors: methods that turn columns and a budget into chosen rows.

    Example: strata selectors topk
    """
    from catalog.plugins import plugins
    from catalog.selectors import get_selector
    from ui.selecting import selector_row

    if name:
        held = selector_row(get_selector(name))
        emit(json, held, lambda: _selector(held))
        return
    rows = [selector_row(held) for held in plugins("selector").values() if experimental or not held.experimental]
    emit(json, rows, lambda: table(rows, ["name", "summary", "citation"], empty="no selector is installed"))


def _selector(row: dict[str, Any]) -> None:
    facts({**{key: row[key] for key in ("name", "summary", "version", "citation", "most_rows")},
           "reads": ", ".join(row["reads"])})  # fmt: skip
    params = [{"param": name, **body} for name, body in row["params"].items()]
    table(params, ["param", "type", "default", "description"], title="parameters", empty="no parameters")


def save(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the selection.")],
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET[@vN]]", help="Dataset it selects from; the same as --from.")
    ] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Rows for which this holds.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="REF", help="Dataset, or a saved selection to choose from.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option(metavar="NAME", help="Method that chooses; see `strata selectors`.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column the selector reads; as --param by=COLUMN.")
    ] = None,
    budget: Annotated[int | None, typer.Option(metavar="N", help="How much the selector may choose.")] = None,
    unit: Annotated[str, typer.Option(metavar="samples|tokens", help="Unit of the budget.")] = "samples",
    tokens: Annotated[str, typer.Option(metavar="COLUMN", help="Column that counts tokens.")] = "tokens",
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="K=V", help="A parameter of the selector; repeat for more.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of whatever is random.")] = 0,
    missing: Annotated[
        str, typer.Option(metavar="error|drop|keep", help="What a row without a value means.")
    ] = "error",
    note: Annotated[str, typer.Option(help="Why it exists.")] = "",
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="SQL", help="A statement whose rows are meant, or @NAME of a kept one."),
    ] = None,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="With --query: exactly the rows of its sample_id column, not its WHERE.")
    ] = False,
    stages: Annotated[
        str | None, typer.Option(metavar="FILE", help="Recipe: several selectors and filters in sequence, as YAML.")
    ] = None,
    json: Json = False,
) -> None:
    """Save a named row set: a WHERE, or what a selector chooses within a budget. Saving again makes its next version.

    What a selector chose is frozen: the selection keeps its rows whatever happens to the dataset.

    Example: strata select save good web --where "quality > 0.7" --missing drop
             strata select save best --from web --selector topk --by quality --budget 1000
             strata select save top --query "SELECT sample_id FROM web ORDER BY chars DESC LIMIT 100" --freeze
    """
    from catalog.errors import BadInput
    from ui.selecting import described, save_selection

    source = from_ or dataset
    if (source is None and not query) or (from_ and dataset and from_ != dataset):
        raise BadInput("say once what to select from: --from DATASET, or --query SQL")
    given = {**({"by": by} if by else {}), **pairs(param or [], "--param")}
    chooses = {"unit": unit, "tokens": tokens, "seed": seed} if selector else {}
    if stages:
        from flows.stages import read_stages

        chooses = {"stages": read_stages(stages), "seed": seed}
    cat = opened()
    if query or freeze:
        chooses |= {"query": query, "freeze": freeze or None}
    made = save_selection(cat, name, source, selector=selector, where=where, budget=budget, missing=missing, note=note,
                          params=given or None, **chooses)  # fmt: skip
    held = described(cat, f"{made.name}@v{made.version}")
    emit(json, held, lambda: _show(held))


def list_selections(json: Json = False) -> None:
    """List the saved selections.

    Example: strata select list
    """
    from catalog.selections import selections
    from ui.selecting import selection_row

    rows = [selection_row(made) for made in selections(opened())]
    emit(
        json,
        rows,
        lambda: table(rows, ["selection", "dataset", "where", "missing", "note"], empty="no selection is saved"),
    )


def show(ref: Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Selection.")], json: Json = False) -> None:
    """Show a selection, count its rows, and compare what a selector chose with a random choice of equal budget.

    Example: strata select show good
    """
    from ui.selecting import described

    held = described(opened(), ref)
    emit(json, held, lambda: _show(held))


def overlap(
    a: Annotated[str, typer.Argument(metavar="A", help="Selection, dataset version, or a filter over --from.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; both are of one dataset.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="DATASET[@vN]", help="What filters are over.")] = None,
    missing: Annotated[
        str, typer.Option(metavar="error|drop|keep", help="What a row without a value means to a filter given here.")
    ] = "error",
    examples: Annotated[int, typer.Option(metavar="N", min=0, max=200, help="Rows of each part that are shown.")] = 3,
    json: Json = False,
) -> None:
    """Count the rows of one dataset that only A holds, only B, and both. Changes nothing.

    Rows are told apart by their place in the dataset, not by their text; `strata trace --overlap` counts content that datasets share,
    `strata compare` says how far two sets are apart.

    Example: strata select overlap good short
             strata select overlap "word_count > 200" "word_count < 900" --from web --missing drop
    """
    from catalog.overlap import overlap_of

    held = overlap_of(opened(), a, b, dataset=from_, missing=missing, examples=examples)
    emit(json, held, lambda: _overlap(held))


def _overlap(held: dict[str, Any]) -> None:
    from catalog.overlap import PARTS

    weight, union = held["weight"], sum(held[part]["rows"] for part in PARTS)
    titles = {"only_a": f"only {held['a']['name']}", "both": "both", "only_b": f"only {held['b']['name']}"}
    rows = [
        {"rows held by": title, "rows": held[part]["rows"], weight: held[part]["total"],
         "of either": f"{100 * held[part]['rows'] / union:.1f} %" if union else ""}
        for part, title in titles.items()
    ]  # fmt: skip
    table(rows, ["rows held by", "rows", weight, "of either"])
    for part, title in titles.items():
        if held[part]["examples"]:
            print(f"\n{title}:")
        for row in held[part]["examples"]:
            print(f"{row['sample_id'][:12]}  {' '.join(row['text'].split())[:160]}")


def _show(held: dict[str, Any]) -> None:
    from ui.selecting import HEADS, beside

    report = held.get("report")
    facts({key: value for key, value in held.items() if key != "report"})
    if not report:
        return
    if "budget" not in report:  # the rows of a query
        facts({"frozen from": report["recipe"].get("query"), "read": report["recipe"].get("dataset")})
        return
    recipe, rows, budget = report["recipe"], report["rows"], report["budget"]
    facts({
        "selector": f"{recipe['selector']} {recipe['params']}", "seed": recipe["seed"], "digest": report["digest"],
        "chosen": f"{number(rows['chosen'])} of {number(rows['candidates'])} candidates",
        "spent": f"{number(budget['spent'])} of {number(budget['amount'])} {budget['unit']}",
        "left out": f"{number(report['read']['without a value'])} without a value",
        "overlap with random": f"{100 * report['overlap']['of chosen']:.1f} % (by chance {100 * report['overlap']['by chance']:.1f} %)",
        **({"RS2 sees": f"{number(rows['rs2'])} rows in {report['rounds']} rounds"} if "rs2" in rows else {}),
    })  # fmt: skip
    told, within = beside(report)
    lines = [dict(zip(HEADS, line)) for line in told]
    table(lines, list(HEADS), title="beside a random choice of equal budget and rounds of RS2")
    if within:
        note(f"{within} more columns lie where random rounds put them: --json lists all")
    if report.get("method"):
        facts(report["method"])
