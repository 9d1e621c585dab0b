"""How the values of columns are spread and go together: distribution functions by label, and a matrix of correlations.

Both read all rows up to a limit, and above it those with the smallest sample ids, which are hashes: a fair sample, the
same each time, and `sampled` says how many rows it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.explore import SAMPLE, SERIAL, columns_of, floats, is_number, sample_rows
from catalog.statistics import ranks

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved

STEPS = 200
GROUPS = 6
MATRIX_ROWS = 50_000
MATRIX_COLUMNS = 40
LEAST = 10
"""Pairs of values that a correlation needs."""


def distribution(cat: Catalog, ref: str, column: str, by: str | None = None) -> dict[str, Any]:
    """The empirical distribution function of a column, and one for each of the commonest values of a label.

    {"column", "by", "rows", "sampled", "groups": [{"name": None for all rows, "rows", "values": quantiles at 0, 0.5 % ..
    100 %, "mean"}]}; a group without values is left out.
    """
    check(cat, "read", ref)
    found = cat.resolve(ref)
    known = columns_of(cat, found)
    for name in filter(None, (column, by)):
        if name not in known:
            raise NotFound(f"column of {found.dataset.name}", name, known)
    if not is_number(known[column]):
        raise BadInput(f"{column} of {found.ref} is {known[column]}, not a number; count its values instead")
    if by and not pa.types.is_string(known[by]):
        raise BadInput(f"{by} of {found.ref} is {known[by]}; break the distribution down by a label")
    table, sampled = sample_rows(cat, found, [column, *([by] if by else [])], SAMPLE)
    values = floats(table.column(column))
    there = np.isfinite(values)
    groups = [_group(None, values[there])]
    if by:
        labels: Any = table.column(by).combine_chunks().dictionary_encode()
        codes = labels.indices.fill_null(len(labels.dictionary)).to_numpy(zero_copy_only=False)
        names = [*labels.dictionary.to_pylist(), None]
        counts = np.bincount(codes, minlength=len(names))
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda at: (-counts[at], str(names[at])))[:GROUPS]
        groups += [_group(names[at] or "unknown", values[there & (codes == at)]) for at in order]
    rows = found.version.rows if found.version else 0
    return {"column": column, "by": by, "rows": rows, "sampled": sampled, "groups": [g for g in groups if g["rows"]]}


def _group(name: str | None, values: np.ndarray) -> dict[str, Any]:
    if not len(values):
        return {"name": name, "rows": 0}
    # the inverse of the step function, so that every point lies on it
    quantiles = np.percentile(values, np.linspace(0, 100, STEPS + 1), method="inverted_cdf")
    return {"name": name, "rows": len(values), "values": quantiles.tolist(), "mean": float(values.mean())}


def correlations(cat: Catalog, ref: str, columns: list[str] | None = None) -> dict[str, Any]:
    """Spearman's rank correlation of every pair of numeric columns, over the rows that have both; length comes first.

    columns: at most 40; without it the first 40 that vary. {"columns": ["chars", ...], "matrix": rows of numbers or None,
    "rows", "sampled", "left_out": columns that do not vary or have too few values}
    """
    check(cat, "read", ref)
    found = cat.resolve(ref)
    known = columns_of(cat, found)
    for name in columns or []:
        if name not in known:
            raise NotFound(f"column of {found.dataset.name}", name, known)
        if not is_number(known[name]):
            raise BadInput(f"{name} of {found.ref} is {known[name]}, not a number; leave it out")
    wanted = columns or [c.alias for c in cat.columns(found.dataset.name) if is_number(known[c.alias])]
    wanted = [name for name in dict.fromkeys(wanted) if name not in (*SERIAL, "chars")]
    if columns and len(wanted) > MATRIX_COLUMNS:
        raise BadInput(f"a matrix has at most {MATRIX_COLUMNS} columns, not {len(wanted)}; name fewer")
    table, sampled = sample_rows(cat, found, ["chars", *wanted], MATRIX_ROWS)
    held = {name: floats(table.column(name)) for name in ["chars", *wanted]}
    usable = [name for name in held if name == "chars" or _varies(held[name])]
    names = usable[: MATRIX_COLUMNS + 1]
    rows = found.version.rows if found.version else 0
    return {
        "columns": names,
        "matrix": _matrix([held[name] for name in names]),
        "rows": rows,
        "sampled": sampled,
        "left_out": [name for name in held if name not in names],
    }


def _varies(values: np.ndarray) -> bool:
    values = values[np.isfinite(values)]
    return len(values) >= LEAST and bool((values != values[0]).any())


def _matrix(columns: list[np.ndarray]) -> list[list[float | None]]:
    """Pairwise over the rows that have both; columns without holes are ranked once."""
    there = [np.isfinite(values) for values in columns]
    whole = [bool(mask.all()) and len(mask) > 0 for mask in there]
    placed = [_standard(ranks(values)) if full else None for values, full in zip(columns, whole)]
    size = len(columns)
    made: list[list[float | None]] = [[None] * size for _ in range(size)]
    for i in range(size):
        for j in range(i, size):
            made[i][j] = made[j][i] = _pair(columns, there, placed, i, j)
    return made


def _pair(columns: list[np.ndarray], there: list[np.ndarray], placed: list[Any], i: int, j: int) -> float | None:
    if placed[i] is not None and placed[j] is not None:
        a, b = placed[i], placed[j]
    else:
        both = there[i] & there[j]
        if both.sum() < LEAST:
            return None
        a, b = _standard(ranks(columns[i][both])), _standard(ranks(columns[j][both]))
    if not a.any() or not b.any():
        return None
    return round(float(np.clip(a @ b, -1, 1)), 4)


def _standard(values: np.ndarray) -> np.ndarray:
    """Centred and of length one; zeros where the values do not vary."""
    centred = values - values.mean()
    length = float(np.sqrt(centred @ centred))
    return centred / length if length > 0 else np.zeros(len(values))


def stale_columns(cat: Catalog, found: Resolved) -> dict[str, list[str]]:
    """Alias -> why its values may not be what a run of today would give: an older method, an older row set, other evals."""
    from catalog.evals import CHECK, stale
    from catalog.meta.models import Recipe
    from catalog.plugins import plugins

    known, columns = plugins("scorer"), cat.columns(found.dataset.name)
    with cat.session() as session:
        recipes = {c.fingerprint: session.get(Recipe, c.fingerprint) for c in columns}
    checks = [entry for entry in stale(cat) if entry["object"] == found.dataset.name]
    made: dict[str, list[str]] = {}
    for column in columns:
        recipe, scorer, why = recipes[column.fingerprint], known.get(column.scorer), []
        if scorer and recipe and (old := recipe.body.get("version")) and old != scorer.version:
            why.append(f"made by {column.scorer} {old}; {scorer.version} is installed")
        if column.scope == "population" and column.population and column.population != _newest(found):
            why.append(f"for {column.population}, not {_newest(found)}")
        if column.scorer == CHECK and checks:
            why.append(f"not checked against {checks[0]['against']}")
        if why:
            made[column.alias] = why
    return made


def _newest(found: Resolved) -> str:
    return f"{found.dataset.name}@v{found.dataset.head}"
