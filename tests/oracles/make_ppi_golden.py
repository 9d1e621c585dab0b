"""Golden intervals of the prediction-powered mean by ppi-python 0.2.3, for test_inference.py.

pip install ppi-python==0.2.3 && python tests/oracles/make_ppi_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def case(seed: int, labelled: int, others: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(labelled + others) + 1
    score = 0.7 * truth + noise * rng.standard_normal(labelled + others) + 0.5
    return truth[:labelled], score[:labelled], score[labelled:]


def main() -> None:
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    found = []
    for seed, labelled, others, noise in ((0, 50, 500, 0.2), (1, 30, 40, 1.0), (2, 200, 2000, 10.0), (3, 2, 3, 0.1)):
        data = case(seed, labelled, others, noise)
        for weight in (None, 1.0):
            low, high = ppi_mean_ci(*data, alpha=0.1, lam=weight)
            mean = ppi_mean_pointestimate(*data, lam=weight)
            found.append({"case": [seed, labelled, others, noise], "weight": weight, "mean": float(mean[0]),
                          "low": float(low[0]), "high": float(high[0])})  # fmt: skip
    path = Path(__file__).parent / "data" / "ppi_golden.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
