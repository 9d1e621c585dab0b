"""Optimal transport: GOT-D's fit and map by rows, and the solver against POT's, in processor seconds on one core.

    python benchmarks/transport.py --rows 5000 10000 20000 40000
    python benchmarks/transport.py --rows 5000 --peer

The vectors are random unit vectors of 384 numbers; the target is shifted along one axis. The fit solves its problem
between at most 5,000 and 2,000 rows, so that only its reading grows; the map has one product and one exponential a pair
of row and target row.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from catalog.plugins import Context, get_scorer
from flows.scorers.embedding._transport import cost, plan_cost, sinkhorn

WIDE = 384


def unit(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((rows, WIDE)) + shift * np.eye(WIDE)[0]
    return (points / np.linalg.norm(points, axis=1)[:, None]).astype(np.float32)


def scan_of(points: np.ndarray):
    ids = [f"{i:032x}" for i in range(len(points))]

    def scan(columns=None):
        for start in range(0, len(points), 2048):
            part = points[start : start + 2048]
            held = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), WIDE)
            yield pa.record_batch({"sample_id": ids[start : start + 2048], "embedding": held})

    return scan


def gotd(rows: int) -> None:
    plugin = get_scorer("gotd")
    scan = scan_of(unit(rows, 0))
    ctx = Context(params=plugin.parse_params({"vectors": "embedding"}), target=scan_of(unit(2000, 1, 2.0)))
    began = time.process_time()
    ctx.state = plugin.fit(scan, ctx)
    fitted = time.process_time()
    for batch in scan():
        plugin.function(batch, ctx)
    done = time.process_time()
    print(
        f"{rows:>9,} rows: fit {fitted - began:6.2f} s ({ctx.state['report']['iterations']} iterations), "
        f"map {done - fitted:6.2f} s, {(done - fitted) / rows * 1e6:.0f} µs a row",
        flush=True,
    )


def peer() -> None:
    """One problem of 2,000 x 1,000 at the same strength and accuracy, POT in logarithms and ours."""
    import ot

    price, epsilon = cost(unit(2000, 2), unit(1000, 3, 2.0)), 0.02
    began = time.process_time()
    f, g, error, steps = sinkhorn(price, epsilon, 2000)
    ours = time.process_time() - began
    a, b = np.full(2000, 1 / 2000), np.full(1000, 1 / 1000)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = ot.sinkhorn(a, b, price, epsilon, method="sinkhorn_log", numItermax=2000, stopThr=1e-9)
    theirs = time.process_time() - began
    print(
        f"Strata {ours:.2f} s ({steps} iterations, last change {error:.1e}), cost {plan_cost(price, f, g, epsilon):.9f}"
    )
    print(f"POT    {theirs:.2f} s, cost {float((plan * price).sum()):.9f}; {theirs / ours:.1f} times as long")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000])
    parser.add_argument("--peer", action="store_true", help="time POT's solver beside ours")
    args = parser.parse_args()
    for rows in args.rows:
        gotd(rows)
    if args.peer:
        peer()


if __name__ == "__main__":
    main()
