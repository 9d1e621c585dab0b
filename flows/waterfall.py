"""Evaluate drop rules over a dataset: one verdict a row, and what each rule removes, alone and in sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.catalog import Catalog, Resolved
from catalog.errors import BadInput
from catalog.schema import table_schema
from catalog.where import where_columns
from flows.recipe import PromotionRecipe

KEPT = "kept"
NOT_SELECTED = "not_selected"


@dataclass
class Waterfall:
    """Counts of a verdict pass. Each cell is [rows, size]; size is tokens where a `tokens` column exists, else characters."""

    unit: str
    rules: list[str]
    total: list[int] = field(default_factory=lambda: [0, 0])
    kept: list[int] = field(default_factory=lambda: [0, 0])
    alone: dict[str, list[int]] = field(default_factory=dict)
    sequence: dict[str, list[int]] = field(default_factory=dict)
    by_language: dict[str, dict[str, int]] = field(default_factory=dict)
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def used_columns(cat: Catalog, found: Resolved, recipe: PromotionRecipe, where: str | None) -> set[str]:
    """Columns and fields that the rules read; unknown names are `NotFound`."""
    known = set(table_schema(found.dataset.kind, found.dataset.tier).names) | {
        c.alias for c in cat.columns(found.dataset.name)
    }
    used: set[str] = set()
    for text in [rule.expression for rule in recipe.drop] + [t for t in (recipe.keep, where) if t]:
        used |= where_columns(text, known, found.dataset.name)
    return used


def expressions(recipe: PromotionRecipe, where: str | None) -> dict[str, str]:
    """Reason -> SQL condition, in the order in which they apply."""
    rules = {rule.name: rule.expression for rule in recipe.drop}
    wanted = [f"({text})" for text in (recipe.keep, where) if text]
    if wanted:
        rules[NOT_SELECTED] = f"NOT ({' AND '.join(wanted)})"
    return rules


def verdicts(
    cat: Catalog, found: Resolved, recipe: PromotionRecipe, where: str | None, *, at: int, waterfall: Waterfall
) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Stream (batch of _rowid and the columns read, verdict strings), filling `waterfall` on the way."""
    import duckdb

    rules = expressions(recipe, where)
    used = used_columns(cat, found, recipe, where)
    aliases = {c.alias for c in cat.columns(found.dataset.name)}
    facets = {"source", "chars"} | ({"language"} & aliases) | ({"tokens"} & aliases)
    absent = {"error": None, "drop": "true", "keep": "false"}[recipe.missing]
    connection = duckdb.connect(config={"threads": "1"})
    parts = ", ".join(f"coalesce(({sql})::boolean, {absent or 'NULL'}) AS r{i}" for i, sql in enumerate(rules.values()))
    for batch in cat.scan(found.ref, sorted(used | facets), with_row_id=True, at=at, batch_rows=65536):
        connection.register("batch", pa.Table.from_batches([batch]))
        try:
            hit = connection.sql(f"SELECT {parts} FROM batch").to_arrow_table() if rules else None
        except duckdb.Error as error:
            reason = str(error).splitlines()[0][:200]
            raise BadInput(f"a rule of recipe {recipe.name!r} cannot be evaluated: {reason}") from None
        hits = [_hits(hit.column(i), name, recipe, found) for i, name in enumerate(rules)] if hit is not None else []
        verdict = np.full(batch.num_rows, len(rules))
        for i in reversed(range(len(rules))):
            verdict[hits[i]] = i
        _count(waterfall, batch, hits, verdict, list(rules))
        names = pa.array([*rules, KEPT])
        yield batch, names.take(pa.array(verdict))


def _hits(column: pa.ChunkedArray, name: str, recipe: PromotionRecipe, found: Resolved) -> np.ndarray:
    if column.null_count:
        raise BadInput(
            f"rule {name!r} of recipe {recipe.name!r} has no answer on {column.null_count} rows of a batch of {found.ref} "
            f"(a value is null there); say missing: drop | keep in the recipe, or coalesce() in the rule"
        )
    return column.to_numpy().astype(bool)


def _count(
    waterfall: Waterfall, batch: pa.RecordBatch, hits: list[np.ndarray], verdict: np.ndarray, rules: list[str]
) -> None:
    unit = "tokens" if "tokens" in batch.schema.names else "chars"
    size = np.nan_to_num(batch.column(unit).to_numpy(zero_copy_only=False).astype(float)).astype(np.int64)
    _add(waterfall.total, np.ones(len(verdict), bool), size)
    _add(waterfall.kept, verdict == len(rules), size)
    for i, name in enumerate(rules):
        _add(waterfall.alone.setdefault(name, [0, 0]), hits[i], size)
        _add(waterfall.sequence.setdefault(name, [0, 0]), verdict == i, size)
    names = np.array([*rules, KEPT])
    for facet, into in (("language", waterfall.by_language), ("source", waterfall.by_source)):
        if facet not in batch.schema.names:
            continue
        pairs = pa.table({"f": batch.column(facet), "v": pa.array(names[verdict])})
        for row in pairs.group_by(["f", "v"]).aggregate([([], "count_all")]).to_pylist():
            cell = into.setdefault(str(row["f"] if row["f"] is not None else "unknown"), {})
            cell[row["v"]] = cell.get(row["v"], 0) + row["count_all"]


def _add(cell: list[int], mask: np.ndarray, size: np.ndarray) -> None:
    cell[0] += int(mask.sum())
    cell[1] += int(size[mask].sum())
