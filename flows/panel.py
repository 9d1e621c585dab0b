"""Quality, diversity and complexity of a set, side by side: what a filter gains in one it may lose in another.

The three axes are those of Havrilla et al. 2024, "Surveying the Effects of Quality, Diversity, and Complexity in
Synthetic Data From Large Language Models", arXiv:2412.02980: quality helps on the tasks at hand, diversity on others,
complexity on both. Quality and complexity are columns that the set has; diversity is measured on its vectors:

vendi           effective number of different texts (arXiv:2210.02410), and the same over the rows that were measured
mean_distance   mean cosine distance of two rows, from the sum of the unit vectors: no pair is computed
clusters        effective number of clusters, exp of the entropy of their shares, where the set has the column

A set is a dataset version or a saved selection. Nothing is computed but these: score what is missing first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.catalog import Catalog
from catalog.errors import NotFound
from flows.sets import dataset_of, rows_of, set_vectors

QUALITY = ("quality_linear", "fasttext_quality", "distilled", "combined", "betr", "ifd_superfiltering", "ifd_cherry")
COMPLEXITY = ("perplexity", "entropy_mean", "flesch_kincaid", "mtld", "compression_ratio", "tokens", "word_count")


def panel(
    cat: Catalog,
    ref: str,
    *,
    quality: Sequence[str] = (),
    complexity: Sequence[str] = (),
    vectors: str = "embedding",
    rows: int = 5_000,
    seed: int = 0,
) -> dict[str, Any]:
    """{"rows", "quality": {column: facts}, "diversity": facts, "complexity": {column: facts}} of a set.

    quality, complexity: columns by alias; those of the known outputs that are there if not given. An axis without a column
    is empty, never guessed. Figures cover the rows that have a value, and say how many.
    """
    next(iter(rows_of(cat, ref, ["sample_id"])), None)  # an unknown name fails before anything is read
    own = {column.alias: column for column in cat.columns(dataset_of(cat, ref))}
    numbers = {name for name, column in own.items() if _is_number(column.type)}
    axes = {"quality": quality, "complexity": complexity}
    for axis, asked in axes.items():
        if wrong := [name for name in asked if name not in numbers]:
            raise NotFound(f"column of numbers of {ref}", wrong[0], sorted(numbers), f"the axis {axis} reads it")
    chosen = {
        axis: list(axes[axis])
        or [name for made in known for name in own if name in numbers and own[name].output == made]
        for axis, known in (("quality", QUALITY), ("complexity", COMPLEXITY))
    }
    names = list(dict.fromkeys([*chosen["quality"], *chosen["complexity"]]))
    values: dict[str, list[np.ndarray]] = {name: [np.empty(0)] for name in names}
    total = 0
    for batch in rows_of(cat, ref, ["sample_id", *names]):
        total += batch.num_rows
        for name in names:
            held = batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            values[name].append(held[np.isfinite(held)])
    facts = {name: _facts(np.concatenate(parts), own[name].better) for name, parts in values.items()}
    body: dict[str, Any] = {"ref": ref, "rows": total}
    body["quality"] = {name: facts[name] for name in chosen["quality"]}
    body["diversity"] = diversity(cat, ref, vectors, rows, seed) if vectors in own else {}
    if "cluster" in own:
        body["diversity"] |= _clusters(cat, ref)
    body["complexity"] = {name: facts[name] for name in chosen["complexity"]}
    return body


def diversity(cat: Catalog, ref: str, vectors: str, rows: int, seed: int) -> dict[str, Any]:
    """Facts from the vectors of at most `rows` rows, those with the lowest keyed hashes."""
    from flows.compare import vendi

    points = set_vectors(cat, ref, vectors, rows, seed).astype(np.float64)
    count = len(points)
    score = vendi(points)
    mean = (count - float(np.square(points.sum(axis=0)).sum())) / (count * (count - 1)) + 1 if count > 1 else None
    return {"vendi": score, "vendi_share": score / count, "mean_distance": mean, "measured_rows": count}


def _clusters(cat: Catalog, ref: str) -> dict[str, Any]:
    from collections import Counter

    shares: Counter = Counter()
    for batch in rows_of(cat, ref, ["cluster"]):
        shares.update(batch["cluster"].drop_null().to_pylist())
    part = np.array(list(shares.values()), float) / max(shares.total(), 1)
    return {
        "clusters": len(part),
        "effective_clusters": float(np.exp(-(part * np.log(part)).sum())) if len(part) else 0.0,
    }


def _facts(values: np.ndarray, better: str | None) -> dict[str, Any]:
    if not len(values):
        return {"covered": 0, "mean": None, "median": None, "low": None, "high": None, "better": better}
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
    return {"covered": len(values), "mean": float(values.mean()), "median": float(median), "low": float(low),
            "high": float(high), "better": better}  # fmt: skip


def _is_number(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "double", "halffloat", "bool"))
