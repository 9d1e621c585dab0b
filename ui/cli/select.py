"""strata selectors, strata select save|list|show."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, number, opened, pairs, table


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

    if name:
        held = _row(get_selector(name))
        emit(json, held, lambda: _selector(held))
        return
    rows = [_row(held) for held in plugins("selector").values() if experimental or not held.experimental]
    emit(json, rows, lambda: table(rows, ["name", "summary", "citation"], empty="no selector is installed"))


def _row(held: Any) -> dict[str, Any]:
    params = {
        name: {"type": getattr(body.annotation, "__name__", str(body.annotation)),
               "default": None if body.is_required() else body.get_default(call_default_factory=True),
               "required": body.is_required(), "description": body.description}
        for name, body in held.params.model_fields.items()
    }  # fmt: skip
    return {"name": held.name, "summary": held.summary, "version": held.version, "reads": list(held.reads),
            "citation": held.citation, "experimental": held.experimental, "most_rows": held.most_rows,
            "params": params}  # fmt: skip


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
    json: Json = False,
) -> None:
    """Save a named row set: a WHERE, or what a selector chooses within a budget. Saving again makes its next version.

    What a selector chose is frozen: the selection keeps its rows whatever happens to the dataset.

    Example: strata select save good web --where "quality > 0.7" --missing drop
             strata select save best --from web --selector topk --by quality --budget 1000
    """
    from catalog.errors import BadInput

    source = from_ or dataset
    if source is None or (from_ and dataset and from_ != dataset):
        raise BadInput("say once what to select from: --from DATASET")
    cat = opened()
    if selector is None:
        from catalog.selections import save as keep

        if where is None or budget is not None or by is not None or param:
            raise BadInput('say what to keep: --where "quality > 0.7", or --selector topk --by COLUMN --budget 1000')
        made = keep(cat, name, source, where, missing=missing, note=note)
    else:
        from flows.selecting import select

        if budget is None:
            raise BadInput(f"selector {selector} chooses within a budget: --budget 1000 (--unit samples or tokens)")
        params = {**({"by": by} if by else {}), **pairs(param or [], "--param")}
        made = select(cat, name, source, selector, budget, unit=unit, params=params, where=where, missing=missing,
                      tokens=tokens, seed=seed, note=note)  # fmt: skip
    held = _selection(made) | _reported(cat, made)
    emit(json, held, lambda: _show(held))


def list_selections(json: Json = False) -> None:
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


def show(ref: Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Selection.")], json: Json = False) -> None:
    """Show a selection, count its rows, and compare what a selector chose with a random choice of equal budget.

    Example: strata select show good
    """
    from catalog.selections import count_selection, find_selection

    cat = opened()
    made = find_selection(cat, ref)
    held = {**_selection(made), "rows": count_selection(cat, ref)} | _reported(cat, made)
    emit(json, held, lambda: _show(held))


def _selection(made: Any) -> dict[str, Any]:
    return {"selection": f"{made.name}@v{made.version}", "dataset": made.dataset, "where": made.where,
            "missing": made.missing, "owner": made.owner, "note": made.note, "created": made.created}  # fmt: skip


def _reported(cat: Any, made: Any) -> dict[str, Any]:
    from flows.selecting import selection_report

    report = selection_report(cat, f"{made.name}@v{made.version}")
    return {"report": report} if report else {}


def _show(held: dict[str, Any]) -> None:
    report = held.get("report")
    facts({key: value for key, value in held.items() if key != "report"})
    if not report:
        return
    recipe, rows, budget = report["recipe"], report["rows"], report["budget"]
    facts({
        "selector": f"{recipe['selector']} {recipe['params']}", "seed": recipe["seed"], "digest": report["digest"],
        "chosen": f"{number(rows['chosen'])} of {number(rows['candidates'])} candidates",
        "spent": f"{number(budget['spent'])} of {number(budget['amount'])} {budget['unit']}",
        "left out": f"{number(report['read']['without a value'])} without a value",
        "overlap with random": f"{100 * report['overlap']['of chosen']:.1f} % (by chance {100 * report['overlap']['by chance']:.1f} %)",
    })  # fmt: skip
    means = [{"column": name, **values} for name, values in report["means"].items()]
    table(means, ["column", "chosen", "random", "candidates"], title="means, beside a random choice of equal budget")
    if report.get("method"):
        facts(report["method"])
