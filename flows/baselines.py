"""What a selector chose, beside what no method at all would choose: a plain random set of equal budget, and rounds of RS2.

RS2 (Okanovic et al. 2023, arXiv:2305.18424) trains on a fresh random subset each round, so over some rounds it sees more
rows than any fixed choice of the same budget. The rounds also show how far chance alone moves a figure: a choice whose
figure lies between the lowest and the highest of them has not been told from chance.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.catalog import Catalog, Resolved
from catalog.meta.models import ColumnRecord
from catalog.pull.fetch import take_rows
from catalog.ranks import SCORER
from catalog.selectors import Budget, Choice, Chosen

ROUNDS = 4  # of RS2, the plain random set being the first
SOURCES = 12  # of which shares are given
VECTORS = 400  # rows of each set whose diversity is measured


def report_of(
    cat: Catalog, found: Resolved, made: Chosen, budget: Budget, keys: np.ndarray, ids: np.ndarray, seed: int
) -> dict[str, Any]:
    """Facts of a choice beside the baselines. keys, ids: sample ids and row ids of the candidates."""
    rounds = _rounds(budget, keys, seed)
    sets = {"chosen": np.sort(ids[made.order]), "candidates": np.sort(ids)}
    sets |= {f"round {number}": np.sort(ids[rows]) for number, rows in enumerate(rounds)}
    shared = len(np.intersect1d(made.order, rounds[0]))
    means, sources = _measured(cat, found, sets)
    weights = made.weights if made.weights is not None and len(made.weights) else None
    return {
        "rows": {"chosen": len(made.order), "random": len(rounds[0]), "candidates": len(ids),
                 "rs2": len(np.unique(np.concatenate(rounds)))},
        "rounds": len(rounds),
        "budget": {"amount": budget.amount, "unit": budget.unit, "spent": int(budget.costs[made.order].sum())},
        "overlap": {"rows": shared, "of chosen": shared / len(made.order), "by chance": len(rounds[0]) / len(ids)},
        "means": {alias: _beside(held) for alias, held in means.items()},
        "sources": {name: _beside(held) for name, held in sources.items()},
        **_diversity(cat, found, sets),
        **({"weights": {"sum": float(weights.sum()), "most": float(weights.max())}} if weights is not None else {}),
        **({"method": made.report} if made.report else {}),
    }  # fmt: skip


def _rounds(budget: Budget, keys: np.ndarray, seed: int) -> list[np.ndarray]:
    """Positions of the rounds of RS2 without replacement; the first is the plain random choice of this budget."""
    from flows.selectors.rs2 import Params, rounds

    parts = list(islice(rounds(budget, Choice(Params(round=0, replacement=False), keys, seed)), ROUNDS))
    return parts or [np.empty(0, np.int64)]


def _beside(held: dict[str, float | None]) -> dict[str, float | None]:
    """One figure of every set: chosen, random, mean, lowest and highest of the rounds, candidates."""
    rounds = [value for name, value in held.items() if name.startswith("round") and value is not None]
    return {
        "chosen": held["chosen"], "random": held.get("round 0"),
        "rs2": sum(rounds) / len(rounds) if rounds else None,
        "low": min(rounds, default=None), "high": max(rounds, default=None), "candidates": held.get("candidates"),
    }  # fmt: skip


def _measured(cat: Catalog, found: Resolved, sets: dict[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Mean of every numeric column and shares of the sources over each set of row ids, in one pass of narrow columns."""
    table = cat.lance(found.dataset.name, found.dataset.lance_version)
    numeric = {"chars": "chars"} | {
        c.alias: c.physical
        for c in cat.columns(found.dataset.name)
        if c.scorer != SCORER and _is_number(table.schema, c.physical)
    }
    sums = {alias: {name: [0.0, 0] for name in sets} for alias in numeric}
    sources: dict[str, Counter[str]] = {name: Counter() for name in sets}
    scanner = table.scanner(columns=list(dict.fromkeys([*numeric.values(), "source"])), with_row_id=True,
                            filter=cat.predicate(found.ref), batch_size=65536)  # fmt: skip
    for batch in scanner.to_batches():
        rowids = batch.column("_rowid").to_numpy()
        inside = {name: np.isin(rowids, held, assume_unique=True) for name, held in sets.items()}
        named = pc.fill_null(batch.column("source").cast(pa.string()), "unknown")
        for name, mask in inside.items():
            for entry in pc.value_counts(named.filter(pa.array(mask))):
                sources[name][entry["values"].as_py()] += entry["counts"].as_py()
        for alias, physical in numeric.items():
            values = batch.column(physical).cast(pa.float64()).to_numpy(zero_copy_only=False)
            finite = np.isfinite(values)
            for name, mask in inside.items():
                sums[alias][name][0] += float(values[mask & finite].sum())
                sums[alias][name][1] += int((mask & finite).sum())
    means = {
        alias: {name: total / count if count else None for name, (total, count) in held.items()}
        for alias, held in sums.items()
    }
    leading = [value for value, _ in sources["candidates"].most_common(SOURCES)]
    shares = {
        value: {name: counts[value] / max(counts.total(), 1) for name, counts in sources.items()} for value in leading
    }
    return means, shares


def _is_number(schema: pa.Schema, name: str) -> bool:
    if name not in schema.names:
        return False
    kind = schema.field(name).type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _diversity(cat: Catalog, found: Resolved, sets: dict[str, np.ndarray]) -> dict[str, Any]:
    """Vendi score of equally many rows of each set, by the first column of vectors; nothing where there is none."""
    from flows.compare import vendi

    table = cat.lance(found.dataset.name, found.dataset.lance_version)
    column = next((c for c in cat.columns(found.dataset.name) if _is_vector(table.schema, c)), None)
    size = min(VECTORS, *(len(rows) for rows in sets.values()))
    if column is None or size < 2:
        return {}
    held: dict[str, float | None] = {}
    for name, rows in sets.items():
        picked = rows[np.random.default_rng(0).permutation(len(rows))[:size]]
        values = take_rows(table, picked, [column.physical], found.ref)[column.physical].combine_chunks().drop_null()
        points = np.stack(values.to_numpy(zero_copy_only=False)).astype(np.float64) if len(values) else np.empty((0, 1))
        points = points[np.isfinite(points).all(axis=1)]
        points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
        held[name] = vendi(points) if len(points) > 1 else None
    return {"vendi": {"column": column.alias, "rows": size, **_beside(held)}}


def _is_vector(schema: pa.Schema, column: ColumnRecord) -> bool:
    return column.physical in schema.names and pa.types.is_fixed_size_list(schema.field(column.physical).type)
