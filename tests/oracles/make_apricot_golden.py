"""Golden order and gains of facility location by apricot-select 0.6.1 (Python 3.11, numpy 1.26), for test_selectors.py.

apricot needs numba and an older numpy than ours, so it runs once in an environment of its own:

    pip install "numpy<2" apricot-select==0.6.1 && python tests/oracles/make_apricot_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def similarity(rows: int, dimensions: int, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((rows, dimensions))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return np.maximum(points @ points.T, 0)


def main() -> None:
    from apricot import FacilityLocationSelection

    found = []
    for rows, dimensions, chosen, seed in ((400, 8, 60, 0), (1500, 16, 40, 1), (200, 3, 200, 2)):
        model = FacilityLocationSelection(chosen, metric="precomputed", optimizer="lazy", verbose=False)
        model.fit(similarity(rows, dimensions, seed))
        found.append({"rows": rows, "dimensions": dimensions, "seed": seed, "order": model.ranking.tolist(),
                      "gains": [round(float(gain), 6) for gain in model.gains]})  # fmt: skip
    path = Path(__file__).parent / "data" / "apricot_golden.json"
    path.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
