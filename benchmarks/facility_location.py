"""Facility location: exact lazy greedy against apricot-select, in processor seconds on one core.

    python benchmarks/facility_location.py --rows 10000 --peer /path/to/python-with-apricot
    python benchmarks/facility_location.py --rows 100000 --neighbours 100 --peer ...
    python benchmarks/facility_location.py --rows 100000 --shards 1

apricot needs an older numpy, hence an interpreter of its own. It holds all similarities as float64 (80 GB for 100,000
rows), or with --neighbours only the nearest of each row. Ours is exact up to 20,000 rows and with --shards 1, and goes
in parts above. The vectors are unit vectors around 1,000 centres of unequal size, or --isotropic, the worst case.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

PEER = """
import json, sys, time, resource, numpy as np
from apricot import FacilityLocationSelection
chosen, neighbours = map(int, sys.argv[1:3])
points = np.load(sys.argv[3]).astype(np.float64)
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


def unit(rows: int, dimensions: int, isotropic: bool) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1000, dimensions))
    points = rng.standard_normal((rows, dimensions))
    if not isotropic:
        points += centres[rng.zipf(1.3, rows) % 1000]
    return (points / np.linalg.norm(points, axis=1)[:, None]).astype(np.float32)


def coverage(points: np.ndarray, order: list[int]) -> float:
    """The objective over a tenth of the rows, for sets chosen in different ways."""
    return float(np.maximum(points[::10] @ points[order].T, 0).max(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--chosen", type=int, default=100)
    parser.add_argument("--isotropic", action="store_true")
    parser.add_argument("--shards", type=int, help="parts; without it as the selector does")
    parser.add_argument("--neighbours", type=int, default=0)
    parser.add_argument("--peer", help="Python with apricot-select 0.6.1")
    asked = parser.parse_args()
    points = unit(asked.rows, asked.dimensions, asked.isotropic)
    order, ours = strata(points, asked.chosen, asked.shards)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"strata   {asked.rows} rows, {asked.chosen} chosen: {ours:.1f} s, peak {peak} MB, "
          f"coverage {coverage(points, order):.4f}", flush=True)  # fmt: skip
    if not asked.peer:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/points.npy"
        np.save(path, points)
        numbers = [str(asked.chosen), str(asked.neighbours), path]
        done = subprocess.run([asked.peer, "-c", PEER, *numbers], capture_output=True, text=True)
    if done.returncode:
        print("apricot  failed:", (done.stderr.strip().splitlines() or ["killed"])[-1])
        sys.exit(1)
    held = json.loads(done.stdout.strip().splitlines()[-1])
    same = sum(a == b for a, b in zip(order, held["order"]))
    print(f"apricot  {held['seconds']:.1f} s, peak {held['peak_mb']} MB, coverage {coverage(points, held['order']):.4f}; "
          f"ours is {held['seconds'] / ours:.1f} times as fast; {same} of {asked.chosen} picks equal")  # fmt: skip


def strata(points: np.ndarray, chosen: int, shards: int | None) -> tuple[list[int], float]:
    """The selector's order and its processor seconds."""
    import pyarrow as pa

    from catalog.selectors import Budget, Choice, get_selector

    plugin = get_selector("facility_location")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), points.shape[1])
    ids = np.array([f"{i:032x}" for i in range(len(points))], "S32")
    choice = Choice(plugin.parse_params({"shards": shards}), ids)
    began = time.process_time()
    made = plugin.function(
        pa.table({"embedding": vectors}), Budget(chosen, "samples", np.ones(len(ids), np.int64)), choice
    )
    return made.order.tolist(), time.process_time() - began


if __name__ == "__main__":
    main()
