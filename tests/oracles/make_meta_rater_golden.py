"""Golden weights by LightGBM 4.7.0 under the settings of Meta-rater's published pipeline, for test_meta_rater.py.

pip install lightgbm==4.7.0 && python tests/oracles/make_meta_rater_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def trials(seed: int, columns: int = 5, rows: int = 256) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, losses, and the weighting of least loss."""
    rng = np.random.default_rng(seed)
    best = rng.dirichlet(np.ones(columns) * 2)
    weights = rng.dirichlet(np.ones(columns), rows)
    loss = 3 + ((weights - best) ** 2).sum(axis=1) + 0.01 * rng.standard_normal(rows)
    return weights, loss, best


def main() -> None:
    import lightgbm

    found = []
    for seed in range(3):
        weights, loss, best = trials(seed)
        model = lightgbm.LGBMRegressor(
            objective="regression", n_estimators=1000, learning_rate=1e-2, seed=42, verbosity=-1
        )
        stop = lightgbm.early_stopping(stopping_rounds=5, verbose=False)
        model.fit(weights[:204], loss[:204], eval_set=[(weights[204:], loss[204:])], eval_metric="l2", callbacks=[stop])
        drawn = np.random.default_rng(42).dirichlet(np.ones(weights.shape[1]), 1_000_000)
        picked = drawn[np.argsort(model.predict(drawn))[:128]].mean(axis=0)
        found.append({"seed": seed, "weights": picked.tolist(), "best": best.tolist()})
    path = Path(__file__).parent / "data" / "meta_rater_golden.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
