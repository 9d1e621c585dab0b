"""Facility location: exact lazy greedy against apricot-select, in processor seconds on one core.

    python benchmarks/facility_location.py --rows 2000 --peer /path/to/python-with-apricot
    python benchmarks/facility_location.py --rows 100000 --neighbours 100 --peer ...

apricot needs an older numpy, hence an interpreter of its own. It holds all similarities (rows squared), or with
--neighbours only the nearest of each row; ours is exact and holds the vectors alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

PEER = """
import json, sys, time, resource, numpy as np
from apricot import FacilityLocationSelection
rows, dimensions, chosen, neighbours = map(int, sys.argv[1:5])
points = np.random.default_rng(0).standard_normal((rows, dimensions)); points /= np.linalg.norm(points, axis=1)[:, None]
FacilityLocationSelection(2, metric="precomputed", optimizer="lazy").fit(np.maximum(points[:50] @ points[:50].T, 0))
began = time.process_time()
if neighbours:
    model = FacilityLocationSelection(chosen, metric="cosine", optimizer="lazy", n_neighbors=neighbours).fit(points)
else:
    model = FacilityLocationSelection(chosen, metric="precomputed", optimizer="lazy").fit(np.maximum(points @ points.T, 0))
seconds = time.process_time() - began
print(json.dumps({"seconds": seconds, "order": model.ranking.tolist(),
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""


def unit(rows: int, dimensions: int) -> np.ndarray:
    points = np.random.default_rng(0).standard_normal((rows, dimensions))
    return points / np.linalg.norm(points, axis=1)[:, None]


def coverage(points: np.ndarray, order: list[int]) -> float:
    """The objective over a tenth of the rows, for sets chosen in different ways."""
    return float(np.maximum(points[::10] @ points[order].T, 0).max(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--chosen", type=int, default=100)
    parser.add_argument("--neighbours", type=int, default=0)
    parser.add_argument("--peer", help="Python with apricot-select 0.6.1")
    asked = parser.parse_args()
    from flows.selectors.facility_location import lazy_greedy

    points = unit(asked.rows, asked.dimensions)
    vectors = points.astype(np.float32)
    began = time.process_time()
    order, _ = lazy_greedy(vectors, np.ones(asked.rows, np.int64), asked.chosen)
    ours = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"strata   {asked.rows} rows, {asked.chosen} chosen: {ours:.1f} s, peak {peak} MB, "
          f"coverage {coverage(points, order.tolist()):.4f}", flush=True)  # fmt: skip
    if not asked.peer:
        return
    numbers = [asked.rows, asked.dimensions, asked.chosen, asked.neighbours]
    done = subprocess.run([asked.peer, "-c", PEER, *map(str, numbers)], capture_output=True, text=True)
    if done.returncode:
        print("apricot  failed:", (done.stderr.strip().splitlines() or ["killed"])[-1])
        sys.exit(1)
    held = json.loads(done.stdout.strip().splitlines()[-1])
    same = sum(a == b for a, b in zip(order.tolist(), held["order"]))
    print(f"apricot  {held['seconds']:.1f} s, peak {held['peak_mb']} MB, coverage {coverage(points, held['order']):.4f}; "
          f"ours is {held['seconds'] / ours:.1f} times as fast; {same} of {asked.chosen} picks equal")  # fmt: skip


if __name__ == "__main__":
    main()
