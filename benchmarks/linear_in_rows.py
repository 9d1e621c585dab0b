"""Processor time of k-means and small clusters (fit and map), the cluster tree and GOT-D by rows: each should grow with the rows alone.

    python benchmarks/linear_in_rows.py [ROWS ...] [--rounds 3]

Vectors of 384 numbers around 64 directions, in batches as a scan gives them. The sizes are run in turns, round after round,
on one thread, and the least processor seconds of each are reported, so that a busy machine disturbs all alike. The problem
that GOT-D solves has at most `--rows` rows, so its fit is constant: 5,000 rows against 500 texts here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from catalog.plugins import Context, get_scorer
from flows.scorers.embedding import gotd as gotd_module

SIZES = [10_000, 20_000, 40_000, 80_000]
WIDTH = 384


def batches(rows: int) -> list[pa.RecordBatch]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(64, WIDTH)).astype(np.float32)
    made = []
    for start in range(0, rows, 10_000):
        count = min(10_000, rows - start)
        points = centres[rng.integers(64, size=count)] + 0.5 * rng.normal(size=(count, WIDTH)).astype(np.float32)
        ids = [f"{i * 2654435761 % 2**128:032x}" for i in range(start, start + count)]
        held = pa.FixedSizeListArray.from_arrays(pa.array(points.astype(np.float32).ravel()), WIDTH)
        made.append(pa.record_batch({"sample_id": ids, "content_id": ids, "embedding": held}))
    return made


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    made = work()
    return time.process_time() - began, made


def kmeans(held: list[pa.RecordBatch]) -> dict[str, float]:
    plugin = get_scorer("kmeans")
    ctx = Context(params=plugin.parse_params({"clusters": 64}))
    learn = plugin.fit
    assert learn
    fit, ctx.state = timed(lambda: learn(lambda columns=None: iter(held), ctx))
    mapped, columns = timed(lambda: [plugin.function(batch, ctx)["cluster"] for batch in held])
    tree = get_scorer("cluster_tree")
    ctx = Context(params=tree.parse_params({}))
    named = [batch.append_column("cluster", own) for batch, own in zip(held, columns, strict=True)]
    join = tree.fit
    assert join
    return {"kmeans fit": fit, "kmeans map": mapped,
            "cluster_tree fit": timed(lambda: join(lambda columns=None: iter(named), ctx))[0]}  # fmt: skip


def leaves(held: list[pa.RecordBatch]) -> dict[str, float]:
    plugin = get_scorer("cluster_leaves")
    ctx = Context(params=plugin.parse_params({}))
    learn = plugin.fit
    assert learn
    fit, ctx.state = timed(lambda: learn(lambda columns=None: iter(held), ctx))
    return {"cluster_leaves fit": fit, "cluster_leaves map": timed(lambda: [plugin.function(b, ctx) for b in held])[0]}


def gotd(held: list[pa.RecordBatch]) -> dict[str, float]:
    plugin = get_scorer("gotd")
    ctx = Context(params=plugin.parse_params({"rows": 5_000, "target_rows": 500, "iterations": 50}))
    rng = np.random.default_rng(1)
    wanted = rng.normal(size=(500, WIDTH)).astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)

    def fit():
        points, _ = gotd_module.sample_vectors(lambda columns=None: iter(held), ctx.params.rows, ctx.seed)
        return gotd_module.solve(points, wanted, ctx.params)

    seconds, ctx.state = timed(fit)
    return {"gotd fit": seconds, "gotd map": timed(lambda: [plugin.function(batch, ctx) for batch in held])[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    held = {rows: batches(rows) for rows in asked.sizes}
    best: dict[str, dict[int, float]] = {}
    with threadpool_limits(1):
        for _ in range(asked.rounds):
            for rows in asked.sizes:
                for name, seconds in (kmeans(held[rows]) | leaves(held[rows]) | gotd(held[rows])).items():
                    mine = best.setdefault(name, {})
                    mine[rows] = min(seconds, mine.get(rows, np.inf))
    print("processor seconds        " + "".join(f"{rows:>12,}" for rows in asked.sizes) + "    us a row, first to last")
    for name, mine in best.items():
        each = " ".join(f"{1e6 * seconds / rows:.1f}" for rows, seconds in mine.items())
        print(f"{name:<25}" + "".join(f"{seconds:>12.2f}" for seconds in mine.values()) + f"    {each}")


if __name__ == "__main__":
    main()
