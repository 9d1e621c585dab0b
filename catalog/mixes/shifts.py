"""How what is served shifts from one mix to another: sources, languages, lengths and every score that both have.

Taken from a sample of each mix's order, evenly spread and said with the figures: sources weigh as they are served, not as
they are stored. A shift of a number is the two-sample Kolmogorov-Smirnov statistic, the greatest gap between the two
distribution functions (0: alike, 1: apart), beside the value below which chance stays in 95 of 100 draws.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.pull.reader import MixReader

SAMPLE = 10_000
WORDS = ("source", "licence", "language")
MOST_VALUES = 12


def shifts(cat: Catalog, a: str, b: str, sample: int = SAMPLE) -> dict[str, Any]:
    """{"sampled": [of a, of b], "shares": column -> value -> [a, b], "numbers": column -> {means, medians, shift, chance}}.

    Numbers are sorted by how far their shift lies above chance.
    """
    sides = [cat.mix(ref) for ref in (a, b)]
    known = [_columns(side) for side in sides]
    names = {name: kind for name, kind in known[0].items() if known[1].get(name) == kind}
    words = [name for name in WORDS if name in names]
    numbers = [
        name for name, kind in names.items()
        if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and kind.bit_width < 64)  # 64 bits are ids and groups
    ]  # fmt: skip
    rows = [side.take(_spread(len(side), sample), [*words, *numbers]) for side in sides]
    shares = {name: _shares(*(batch.column(name).to_pylist() for batch in rows)) for name in words}
    found = {name: _shift(*(_values(batch.column(name)) for batch in rows)) for name in numbers}
    kept = {name: held for name, held in found.items() if held}
    order = sorted(kept, key=lambda name: kept[name]["chance"] - kept[name]["shift"])
    return {
        "sampled": [batch.num_rows for batch in rows],
        "shares": shares,
        "numbers": {name: kept[name] for name in order},
    }


def _columns(reader: MixReader) -> dict[str, pa.DataType]:
    """Columns that every part has, with their types."""
    sources = reader.sources
    names = {name for name in sources.own[0] if all(name in own for own in sources.own)}
    names |= set.intersection(*(set(fields) for fields in sources.fields))
    schema = sources.schema(sorted(names - {"_index", "_part", "_epoch", "added", "removed", "messages", "meta"}))
    return {field.name: field.type for field in schema if not field.name.startswith("_")}


def _spread(total: int, sample: int) -> np.ndarray:
    return np.unique(np.linspace(0, total - 1, min(sample, total)).astype(np.int64))


def _values(column: pa.Array) -> np.ndarray:
    held = column.cast(pa.float64()).drop_null().to_numpy()
    return held[np.isfinite(held)]


def _shares(a: list[Any], b: list[Any]) -> dict[str, list[float]]:
    counts = [Counter(str(value) if value is not None else "none" for value in side) for side in (a, b)]
    common = [value for value, _ in (counts[0] + counts[1]).most_common(MOST_VALUES)]
    return {
        value: [round(count[value] / max(len(side), 1), 6) for count, side in zip(counts, (a, b), strict=True)]
        for value in common
    }


def _shift(a: np.ndarray, b: np.ndarray) -> dict[str, float] | None:
    """None where a side has no value."""
    if not len(a) or not len(b):
        return None
    return {
        "mean a": float(a.mean()), "mean b": float(b.mean()), "median a": float(np.median(a)), "median b": float(np.median(b)),
        "shift": ks_statistic(a, b), "chance": 1.358 * float(np.sqrt((len(a) + len(b)) / (len(a) * len(b)))),
    }  # fmt: skip


def ks_statistic(a: np.ndarray, b: np.ndarray) -> float:
    """Greatest gap between the empirical distribution functions (Smirnov 1939)."""
    a, b = np.sort(a), np.sort(b)
    at = np.concatenate([a, b])
    gaps = np.searchsorted(a, at, side="right") / len(a) - np.searchsorted(b, at, side="right") / len(b)
    return float(np.abs(gaps).max())
