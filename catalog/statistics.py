"""What is known about rows and columns without reading them again: counts, facets, quantiles, histograms, digests.

Counts, facets, means and extremes are exact over the live rows. Quantiles, histograms and correlations are exact up to
SAMPLE rows and come from every k-th row above that; `sampled_every` says so.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest

from catalog import states
from catalog.digests import add, as_hex, digest_of_words, id_words
from catalog.meta.models import ColumnRecord

SAMPLE = 1_000_000
LISTED = 1000  # values kept of a sample field
FACETS = 50  # values kept of a categorical column
DISTINCT = 20_000  # distinct values followed; beyond that a column is not a facet
BINS = 40
QUANTILES = (1, 5, 25, 50, 75, 95, 99)


class RowStatistics:
    """Statistics of the rows of a version, filled batch by batch; JSON-able and mergeable."""

    def __init__(self) -> None:
        self.rows = self.chars = self.bytes = 0
        self.facets: dict[str, Counter] = {name: Counter() for name in ("source", "licence", "file")}
        self.cut: set[str] = set()  # facets that lost rare values
        self.lengths = np.zeros(256, np.int64)  # counts of log-spaced character lengths, so that merges are exact

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch that has some of text, chars, source, licence, file."""
        names = batch.schema.names
        self.rows += batch.num_rows
        if "text" in names:
            self.bytes += pc.sum(pc.binary_length(batch.column("text"))).as_py() or 0
        length = batch.column("chars") if "chars" in names else pc.utf8_length(batch.column("text"))
        filled = pc.fill_null(length, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        self.chars += int(filled.sum())
        self.lengths += np.bincount(_length_bin(filled), minlength=256)
        for name, counter in self.facets.items():
            if name in names:
                for item in pc.value_counts(pc.fill_null(batch.column(name), "unknown")).to_pylist():
                    counter[item["values"]] += item["counts"]
                self._trim(name, DISTINCT, DISTINCT // 2)

    def merge(self, other: dict[str, Any]) -> None:
        """Add what `to_json` of another accumulator said."""
        self.rows += other["rows"]
        self.chars += other["chars"]
        self.bytes += other["bytes"]
        self.lengths += np.array(other["length_bins"], np.int64)
        for name, counter in self.facets.items():
            counter.update(other["facets"].get(name, {}))
            self._trim(name, DISTINCT, DISTINCT // 2)
        self.cut |= set(other.get("cut", ()))

    def _trim(self, name: str, above: int, keep: int) -> None:
        if len(self.facets[name]) > above:
            self.facets[name] = Counter(dict(self.facets[name].most_common(keep)))
            self.cut.add(name)

    def to_json(self) -> dict[str, Any]:
        total = np.cumsum(self.lengths)
        quantiles = {
            str(q): _length_of(int(np.searchsorted(total, self.rows * q / 100))) if self.rows else 0 for q in QUANTILES
        }
        for name in self.facets:
            self._trim(name, LISTED, LISTED)
        return {
            "rows": self.rows,
            "chars": self.chars,
            "bytes": self.bytes,
            "chars_quantiles": quantiles,
            "length_bins": self.lengths.tolist(),
            "facets": {name: dict(counter.most_common()) for name, counter in self.facets.items()},
            "cut": sorted(self.cut),
        }


def _length_bin(chars: np.ndarray) -> np.ndarray:
    return np.minimum(np.log1p(chars) * 12, 255).astype(np.int64)


def _length_of(index: int) -> int:
    return int(np.expm1((min(index, 255) + 0.5) / 12))


def keep_facts(column: ColumnRecord, facts: dict[str, Any]) -> None:
    """Write what `column_statistics` says of a column to its record, coverage included."""
    column.covered = sum(facts["states"].get(states.NAMES[code], 0) for code in states.DONE)
    column.states, column.statistics, column.digest = facts["states"], facts["statistics"], facts["digest"]


def column_statistics(table: Any, columns: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Statistics over the live rows of a Lance table: physical column -> {"states", "statistics", "digest"}.

    columns: physical name -> name of its state column. One scan for all; memory is bounded by SAMPLE values a column.
    """
    if not columns:
        return {}
    wanted = list(dict.fromkeys([*columns, *columns.values()]))
    where = "removed IS NULL"
    rows = table.count_rows(where)
    every = max(1, -(-rows // SAMPLE))
    held = {name: _Column(table.schema.field(name).type) for name in columns}
    counts: dict[str, Counter] = {state: Counter() for state in columns.values()}
    seen = 0
    lengths: list[np.ndarray] = []
    scanner = table.scanner(columns=["sample_id", "chars", *wanted], filter=where, batch_size=16384, scan_in_order=True)
    for batch in scanner.to_batches():
        ids = id_words(batch.column("sample_id"))
        pick = np.arange(-seen % every, batch.num_rows, every)
        seen += batch.num_rows
        lengths.append(batch.column("chars").fill_null(0).to_numpy()[pick])
        for state, counter in counts.items():
            for item in pc.value_counts(batch.column(state)).to_pylist():
                counter[item["values"]] += item["counts"]
        for name, column in held.items():
            column.add(ids, batch.column(name), pc.is_valid(batch.column(columns[name])), pick)
    chars = np.concatenate(lengths) if lengths else np.empty(0)
    return {
        name: {
            "states": {states.NAMES.get(code, "not computed"): n for code, n in counts[columns[name]].items()},
            "statistics": {**column.to_json(chars), **({"sampled_every": every} if every > 1 else {})},
            "digest": as_hex(column.digest),
        }
        for name, column in held.items()
    }


class Moments:
    """Count, mean and sum of squared deviations, merged batch by batch (Chan, Golub and LeVeque 1983), and extremes."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = 0.0
        self.low, self.high = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        if not len(values):
            return
        count, mean = len(values), float(values.mean())
        apart, whole = mean - self.mean, self.count + len(values)
        self.squares += float(((values - mean) ** 2).sum()) + apart**2 * self.count * count / whole
        self.mean += apart * count / whole
        self.count = whole
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))


class _Column:
    def __init__(self, kind: pa.DataType) -> None:
        self.numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        self.facet = pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind)
        self.count = self.nulls = self.odd = self.digest = 0
        self.moments = Moments()
        self.values: list[np.ndarray] = []
        self.facets: Counter | None = Counter() if self.facet else None

    def add(self, ids: np.ndarray, array: pa.Array, touched: pa.Array, pick: np.ndarray) -> None:
        self.count += len(array) - array.null_count
        self.nulls += array.null_count
        # Rows that no run has looked at stay out of the digest, so that an append leaves it as it was.
        seen = touched.to_numpy(zero_copy_only=False)
        self.digest = add(self.digest, digest_of_words(ids[seen], value_words(array.filter(touched))))
        if self.facets is not None:
            for item in pc.value_counts(array.drop_null()).to_pylist():
                self.facets[item["values"]] += item["counts"]
            if len(self.facets) > DISTINCT:
                self.facets = None
        if self.numeric:
            values = pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False)
            finite = values[np.isfinite(values)]
            self.odd += len(array) - array.null_count - len(finite)
            self.moments.add(finite)
            self.values.append(values[pick])

    def to_json(self, chars: np.ndarray) -> dict[str, Any]:
        body: dict[str, Any] = {"count": self.count, "nulls": self.nulls}
        if self.facets is not None:
            body["distinct"] = len(self.facets)
            if len(self.facets) <= FACETS or not self.numeric:
                body["facets"] = {str(value): n for value, n in self.facets.most_common(FACETS)}
        if not self.numeric or not self.moments.count:
            return body
        held = self.moments
        body |= {"mean": held.mean, "min": held.low, "max": held.high, "std": (held.squares / held.count) ** 0.5}
        if self.odd:
            body["not_finite"] = self.odd  # NaN and infinities: counted, in no mean, quantile or bin
        values = np.concatenate(self.values)
        keep = np.isfinite(values)
        if keep.any():
            finite = values[keep]
            heights, edges = np.histogram(finite, BINS, _range(held.low, held.high))
            body["quantiles"] = {str(q): float(v) for q, v in zip(QUANTILES, np.percentile(finite, QUANTILES))}
            body["histogram"] = {"edges": edges.tolist(), "counts": heights.tolist()}
            body["length_correlation"] = correlations(finite, chars[keep])
        return body


def _range(low: float, high: float) -> tuple[float, float]:
    """Ends of a histogram, apart enough for 40 bins of their own."""
    wide = max(abs(low), abs(high), 1.0) * 1e-12
    return (
        (low, high)
        if high - low > wide
        else (low - wide * BINS, low + wide * BINS if high <= low else high + wide * BINS)
    )


def correlations(a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    """Pearson's and Spearman's correlation; None where one side does not vary or there are less than three pairs."""
    if len(a) < 3 or (a == a[0]).all() or (b == b[0]).all():
        return {"pearson": None, "spearman": None}
    return {"pearson": _pearson(a, b), "spearman": _pearson(ranks(a), ranks(b))}


def _pearson(a: np.ndarray, b: np.ndarray) -> float | None:
    a, b = a / (np.abs(a).max() or 1), b / (np.abs(b).max() or 1)  # so that squares of huge values stay finite
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.corrcoef(a, b)[0, 1])
    return round(value, 4) if np.isfinite(value) else None


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks, ties shared."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Rank correlation; None where one side does not vary."""
    if not len(a) or (a == a[0]).all() or (b == b[0]).all():
        return None
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def value_words(array: pa.Array) -> np.ndarray:
    """Each value as two 64-bit words (bits or hash, and whether it is there), for digests."""
    words = np.zeros((len(array), 2), np.uint64)
    words[:, 1] = pc.is_valid(array).to_numpy(zero_copy_only=False)
    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        words[:, 0] = (
            pc.cast(array.fill_null(False if pa.types.is_boolean(array.type) else 0), pa.int64())
            .to_numpy()
            .view(np.uint64)
        )
    elif pa.types.is_floating(array.type):
        words[:, 0] = pc.cast(array.fill_null(0.0), pa.float64()).to_numpy(zero_copy_only=False).view(np.uint64)
    elif pa.types.is_string(array.type):
        coded = array.dictionary_encode()
        hashes = np.array(
            [xxh3_64_intdigest(value.encode()) for value in coded.dictionary.to_pylist()] or [0], np.uint64
        )
        words[:, 0] = hashes[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    elif pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        flat = np.ascontiguousarray(array.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)
        words[words[:, 1] == 1, 0] = [xxh3_64_intdigest(row.tobytes()) for row in flat]
    else:
        words[:, 0] = [xxh3_64_intdigest(repr(value).encode()) for value in array.to_pylist()]
    words[words[:, 1] == 0, 0] = 0
    return words
