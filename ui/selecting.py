"""Selectors and saved selections as every face shows and makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.row_sets import save_selection as save_selection

if TYPE_CHECKING:
    from catalog import Catalog
    from catalog.meta.models import Selection
    from catalog.selectors import Selector

HEADS: tuple[str, ...] = ("column", "chosen", "random", "RS2", "lowest round", "highest round", "candidates")
_KEYS = ("chosen", "random", "rs2", "low", "high", "candidates")


def selector_row(held: Selector) -> dict[str, Any]:
    """A selector as its declaration says it."""
    params = {
        name: {"type": getattr(body.annotation, "__name__", str(body.annotation)),
               "default": None if body.is_required() else body.get_default(call_default_factory=True),
               "required": body.is_required(), "description": body.description}
        for name, body in held.params.model_fields.items()
    }  # fmt: skip
    return {"name": held.name, "summary": held.summary, "version": held.version, "reads": list(held.reads),
            "citation": held.citation, "experimental": held.experimental, "most_rows": held.most_rows,
            "params": params}  # fmt: skip


def selection_row(made: Selection) -> dict[str, Any]:
    """One line of the saved selections."""
    return {"selection": f"{made.name}@v{made.version}", "dataset": made.dataset, "where": made.where,
            "missing": made.missing, "owner": made.owner, "note": made.note, "created": made.created}  # fmt: skip


def described(cat: Catalog, ref: str) -> dict[str, Any]:
    """A selection, the rows it holds today, and the report of the selector that made it, if one did."""
    from catalog.selections import count_selection, find_selection
    from flows.selecting import selection_report

    made = find_selection(cat, ref)
    report = selection_report(cat, f"{made.name}@v{made.version}")
    return {**selection_row(made), "rows": count_selection(cat, ref)} | ({"report": report} if report else {})


def beside(report: dict[str, Any]) -> tuple[list[list[Any]], int]:
    """Rows under `HEADS`, and how many columns are left out of them because random rounds give the same.

    First the columns the choice read, then those whose mean lies outside all rounds, by how far; then sources, diversity.
    """
    read = {str(value) for value in report["recipe"]["params"].values()} | {
        "chars",
        report["recipe"].get("tokens") or "",
    }
    means = report["means"]
    first = [name for name in means if name in read]
    told = sorted(
        (name for name in means if name not in read and _apart(means[name]) > 0), key=lambda n: -_apart(means[n])
    )
    held = {f"mean {name}": means[name] for name in [*first, *told]}
    held |= {f"source {name}": values for name, values in report.get("sources", {}).items()}
    if vendi := report.get("vendi"):
        held[f"Vendi score of {vendi['rows']} {vendi['column']}"] = vendi
    rows = [[name, *(values.get(key) for key in _KEYS)] for name, values in held.items()]
    return rows, len(means) - len(first) - len(told)


def _apart(values: dict[str, float | None]) -> float:
    """How far a mean lies outside what the rounds span, in spans."""
    chosen, low, high = values.get("chosen"), values.get("low"), values.get("high")
    if chosen is None or low is None or high is None or low <= chosen <= high:
        return 0.0
    return max(low - chosen, chosen - high) / max(high - low, 1e-12)
