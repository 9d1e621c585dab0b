"""What a filter would keep, on all rows and before anything is decided; and what a score is confounded with."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.schema import table_schema
from catalog.statistics import ranks, spearman

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved

FACETS = ("language", "source")
WEIGHTS = ("tokens", "chars")
"""What rows are weighed by: tokens where every row has them, else characters."""
LISTED = 12
EXCERPT = 400
SAMPLE = 200_000
COMPARISON = re.compile(r"""("(?:[^"]|"")+"|[A-Za-z_]\w*)\s*(<=|>=|<|>)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)""")


def explore(
    cat: Catalog,
    ref: str,
    where: str,
    *,
    by: tuple[str, ...] | list[str] | None = None,
    examples: int = 20,
    missing: str = "error",
) -> dict[str, Any]:
    """What `where` keeps of a dataset version, counted on all of its rows; changes nothing.

    by: columns to break the counts down by (default: language and source where they are). examples: for each comparison
    of a number in the filter, so many rows just on either side of the line. Kept means what a selection of this filter
    would hold: rows for which it is null are not kept, unless `missing` is "keep".

    Returns {"ref", "where", "rows", "kept", "share", "weight": "tokens" | "chars", "total", "kept_total", "facets":
    {column: [{"value", "rows", "kept", "share", "total", "kept_total"}]}, "edges": [{"column", "operator", "threshold",
    "kept": [...], "dropped": [...]}]}; an example is {"sample_id", "value", "text"} (the first 400 characters).
    """
    check(cat, "read", ref)
    found = cat.resolve(ref)
    known = columns_of(cat, found)
    facets = _facets(found, known, by)
    weight = weight_of(cat, found)
    lines = _lines(where, known)
    wanted = list(dict.fromkeys([*facets, weight, *(name for name, _, _ in lines)]))
    table: dict[str, dict[Any, np.ndarray]] = {name: defaultdict(lambda: np.zeros(4, np.int64)) for name in facets}
    sums = np.zeros(4, np.int64)  # rows, weight, kept rows, kept weight
    edges = [_Edge(*line, examples) for line in lines]
    for kept in (True, False):  # the filter first: a mistake in it ends here
        scan = cat.scan(
            found.ref, wanted, where=where if kept else None, missing=missing, batch_rows=65536, with_row_id=True
        )
        for batch in scan:
            weights = pc.fill_null(batch.column(weight), 0).to_numpy(zero_copy_only=False).astype(np.int64)
            at = 2 if kept else 0
            sums[at : at + 2] += (batch.num_rows, weights.sum())
            for name in facets:
                _count(table[name], batch.column(name), weights, at)
            for edge in edges:
                edge.look(batch, kept)
    return {
        "ref": found.ref,
        "where": where,
        "missing": missing,
        "weight": weight,
        **_entry(sums),
        "facets": {name: _rows(table[name]) for name in facets},
        "edges": [edge.to_json(cat, found) for edge in edges],
    }


def confounds(cat: Catalog, ref: str, column: str) -> dict[str, Any]:
    """What a numeric column goes along with: length, every other numeric column, language, source, licence.

    On a sample of at most 200,000 rows (those of the smallest sample ids, which are hashes). For numbers: Spearman's rank
    correlation with a 95 % interval (Fisher, variance 1.06 / (n - 3): Fieller, Hartley and Pearson 1957), and the same
    with length held fixed (first-order partial rank correlation). For labels: eta squared of Kruskal and Wallis' H,
    (H - k + 1) / (n - k), the share of the rank variance that lies between labels (Tomczak and Tomczak 2014). Strongest
    first. Neither says which is the cause.
    """
    check(cat, "read", ref)
    found = cat.resolve(ref)
    known = columns_of(cat, found)
    if column not in known:
        raise NotFound(f"column of {found.dataset.name}", column, known)
    if not is_number(known[column]):
        raise BadInput(f"{column} of {found.ref} is {known[column]}, not a number; explore it with sql or a filter")
    numbers = [name for name, kind in known.items() if is_number(kind) and name not in (column, "chars", *SERIAL)]
    labels = [name for name, kind in known.items() if _is_label(name, kind)]
    data, read = sample_rows(cat, found, [column, "chars", *numbers, *labels])
    values = floats(data.column(column))
    there = np.isfinite(values)
    if there.sum() < 10:
        raise BadInput(
            f"{column} of {found.ref} has {there.sum()} values; ten are needed to say what goes along with it"
        )
    length = np.log1p(floats(data.column("chars")))
    entries = [_relation("length", values, length, None)]
    entries += [_relation(name, values, floats(data.column(name)), length) for name in numbers]
    groups = [_grouped(name, values[there], data.column(name).filter(pa.array(there))) for name in labels]
    return {
        "ref": found.ref,
        "column": column,
        "rows": found.dataset.rows
        if found.number == found.dataset.head
        else (found.version.rows if found.version else 0),
        "sampled": read,
        "values": int(there.sum()),
        "numbers": sorted((e for e in entries if e), key=lambda e: -abs(e["spearman"])),
        "labels": sorted((g for g in groups if g), key=lambda g: -g["eta_squared"]),
    }


SERIAL = ("line", "offset", "added", "removed")


def columns_of(cat: Catalog, found: Resolved) -> dict[str, pa.DataType]:
    """Names and types of what a version's rows hold: sample fields and computed columns by alias."""
    schema = cat.lance(found.dataset.name).schema
    own = {field.name: field.type for field in table_schema(found.dataset.kind, found.dataset.tier)}
    return own | {c.alias: schema.field(c.physical).type for c in cat.columns(found.dataset.name)}


def _facets(found: Resolved, known: dict[str, pa.DataType], by: Any) -> list[str]:
    if by is None:
        return [name for name in FACETS if name in known]
    for name in by:
        if name not in known:
            raise NotFound(f"column of {found.dataset.name}", name, known)
        if not (
            pa.types.is_string(known[name]) or pa.types.is_integer(known[name]) or pa.types.is_boolean(known[name])
        ):
            raise BadInput(f"counts cannot be broken down by {name} ({known[name]}); use a label or a whole number")
    return list(dict.fromkeys(by))


def weight_of(cat: Catalog, found: Resolved) -> str:
    held = {column.alias: column for column in cat.columns(found.dataset.name)}
    return "tokens" if "tokens" in held and held["tokens"].covered >= (found.dataset.rows or 0) > 0 else "chars"


def _lines(where: str, known: dict[str, pa.DataType]) -> list[tuple[str, str, float]]:
    """Comparisons of a column with a number, outside quoted strings."""
    bare = re.sub(r"'(?:[^']|'')*'", "''", where)
    out = []
    for name, operator, number in COMPARISON.findall(bare):
        name = name[1:-1].replace('""', '"') if name.startswith('"') else name
        if name in known and is_number(known[name]):
            out.append((name, operator, float(number)))
    return list(dict.fromkeys(out))


def is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _is_label(name: str, kind: pa.DataType) -> bool:
    return (
        (name in ("source", "licence") or not name.startswith("verdict_"))
        and pa.types.is_string(kind)
        and (name in ("source", "licence") or name not in {field.name for field in table_schema("task")})
    )


class _Edge:
    """The rows nearest to one line of the filter: kept ones on its side, others beyond it."""

    def __init__(self, column: str, operator: str, threshold: float, wanted: int) -> None:
        self.column, self.operator, self.threshold, self.wanted = column, operator, threshold, wanted
        empty = (np.empty(0), np.empty(0, np.uint64))
        self.near = {True: empty, False: empty}

    def look(self, batch: pa.RecordBatch, kept: bool) -> None:
        values = floats(batch.column(self.column))
        holds = HOLDS[self.operator](values, self.threshold)
        side = np.isfinite(values) & (holds if kept else ~holds)
        old, ids = self.near[kept]
        values = np.concatenate([old, values[side]])
        ids = np.concatenate([ids, batch.column("_rowid").to_numpy()[side]])
        order = np.lexsort((ids, np.abs(values - self.threshold)))[: self.wanted]
        self.near[kept] = values[order], ids[order]

    def to_json(self, cat: Catalog, found: Resolved) -> dict[str, Any]:
        table = cat.lance(found.dataset.name)
        sides = {}
        for kept, name in ((True, "kept"), (False, "dropped")):
            values, ids = self.near[kept]
            rows = table._take_rows(ids.tolist(), columns=["sample_id", "text"]).to_pylist() if len(ids) else []
            sides[name] = [
                {"sample_id": row["sample_id"], "value": float(value), "text": (row["text"] or "")[:EXCERPT]}
                for row, value in zip(rows, values, strict=True)
            ]
        return {"column": self.column, "operator": self.operator, "threshold": self.threshold, **sides}


HOLDS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def floats(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Values as float64, NaN where there is none."""
    return pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _count(into: dict[Any, np.ndarray], column: pa.Array, weights: np.ndarray, at: int) -> None:
    coded = column.dictionary_encode()
    codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
    names = [*coded.dictionary.to_pylist(), None]
    rows = np.bincount(codes, minlength=len(names))
    sums = np.bincount(codes, weights=weights, minlength=len(names))
    for name, count, total in zip(names, rows.tolist(), sums.tolist(), strict=True):
        if count:
            into[name][at : at + 2] += (count, int(total))


def _rows(table: dict[Any, np.ndarray]) -> list[dict[str, Any]]:
    """Largest values first; what is beyond LISTED is one entry."""
    ranked = sorted(table.items(), key=lambda item: (-item[1][0], str(item[0])))
    shown, rest = ranked[:LISTED], ranked[LISTED:]
    out = [{"value": value, **_entry(sums)} for value, sums in shown]
    if rest:
        out.append({"value": f"{len(rest)} others", **_entry(np.sum([sums for _, sums in rest], axis=0))})
    return out


def _entry(sums: np.ndarray) -> dict[str, Any]:
    rows, total, kept, kept_total = (int(value) for value in sums)
    share = round(kept / rows, 6) if rows else None
    return {"rows": rows, "kept": kept, "share": share, "total": total, "kept_total": kept_total}


def sample_rows(cat: Catalog, found: Resolved, columns: list[str], most: int = SAMPLE) -> tuple[pa.Table, int]:
    """Columns of all rows, or of the share with the smallest sample ids: they are hashes, so that this is a fair sample."""
    rows, where = found.dataset.rows or 0, None
    if rows > most:
        where = f"sample_id < '{int(2**32 * most / rows):08x}'"
    table = pa.Table.from_batches(list(cat.scan(found.ref, columns, where=where, batch_rows=65536)))
    return table, table.num_rows


def _relation(name: str, values: np.ndarray, other: np.ndarray, length: np.ndarray | None) -> dict[str, Any] | None:
    both = np.isfinite(values) & np.isfinite(other)
    count = int(both.sum())
    rho = _spearman(values[both], other[both])
    if rho is None:
        return None
    low, high = _interval(rho, count)
    body: dict[str, Any] = {"column": name, "spearman": round(rho, 4), "low": low, "high": high, "rows": count}
    if length is not None:
        body["length_fixed"] = _partial(
            rho, _spearman(values[both], length[both]), _spearman(other[both], length[both])
        )
    return body


def _spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    return spearman(a, b) if len(a) >= 10 else None


def _interval(rho: float, count: int) -> tuple[float, float]:
    middle, width = np.arctanh(np.clip(rho, -0.999999, 0.999999)), 1.96 * np.sqrt(1.06 / max(count - 3, 1))
    return round(float(np.tanh(middle - width)), 4), round(float(np.tanh(middle + width)), 4)


def _partial(xy: float, xz: float | None, yz: float | None) -> float | None:
    if xz is None or yz is None:
        return round(xy, 4)
    scale = np.sqrt(max(1 - xz**2, 0) * max(1 - yz**2, 0))
    return round(float((xy - xz * yz) / scale), 4) if scale > 1e-9 else None


def _grouped(name: str, values: np.ndarray, labels: pa.ChunkedArray) -> dict[str, Any] | None:
    """Eta squared, and the median of the commonest labels."""
    coded = labels.combine_chunks().dictionary_encode()
    codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
    names = [*coded.dictionary.to_pylist(), None]
    counts = np.bincount(codes, minlength=len(names))
    groups = int((counts > 0).sum())
    if groups < 2 or groups > len(values) // 5:
        return None
    places = ranks(values)
    means = np.bincount(codes, weights=places, minlength=len(names)) / np.maximum(counts, 1)
    between = float((counts * (means - places.mean()) ** 2).sum())
    total = float(((places - places.mean()) ** 2).sum())
    if total <= 0:
        return None
    size = len(values)
    h = (size - 1) * between / total
    eta = max(0.0, (h - groups + 1) / (size - groups))
    top = np.argsort(-counts, kind="stable")[: min(groups, 8)]
    medians = [
        {"value": names[at], "rows": int(counts[at]), "median": float(np.median(values[codes == at]))} for at in top
    ]
    return {"column": name, "eta_squared": round(eta, 4), "labels": groups, "rows": size, "top": medians}
