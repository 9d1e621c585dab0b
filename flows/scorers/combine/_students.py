"""Students of a distillation: trained on a sample's features, stored as arrays, applied with numpy alone."""

from __future__ import annotations

from typing import Any

import numpy as np

BUCKETS = 2**18


def train(kind: str, features: Any, wanted: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The arrays of a trained student; features: sparse n-grams, or unit vectors."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # sums over threads come in no fixed order
        return {"ngram": _linear, "ridge": _linear, "gbdt": _trees, "mlp": _network}[kind](features, wanted, seed)


def apply(kind: str, state: dict[str, np.ndarray], features: Any) -> np.ndarray:
    """Predictions of a student for rows of features."""
    if kind in ("ngram", "ridge"):
        return np.asarray(features @ state["weights"]).ravel() + state["intercept"][0]
    features = np.asarray(features, np.float64)
    return (_in_trees if kind == "gbdt" else _in_network)(state, features)


def _linear(features: Any, wanted: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    from sklearn.linear_model import Ridge

    sparse = hasattr(features, "tocsr")
    model = Ridge(alpha=1.0, solver="lsqr" if sparse else "auto", tol=1e-6).fit(features, wanted)
    return {"weights": np.asarray(model.coef_, np.float64), "intercept": np.array([float(model.intercept_)])}


def _trees(features: np.ndarray, wanted: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(max_iter=200, early_stopping=False, random_state=seed)
    model.fit(np.asarray(features, np.float64), wanted)
    trees = [found.nodes for (found,) in model._predictors]
    nodes = np.concatenate(trees)
    starts = np.cumsum([0, *(len(tree) for tree in trees[:-1])])
    names = ("value", "feature_idx", "num_threshold", "left", "right", "is_leaf")
    return {**{name: np.ascontiguousarray(nodes[name]) for name in names}, "starts": starts,
            "base": np.asarray(model._baseline_prediction, np.float64).ravel()}  # fmt: skip


def _in_trees(state: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    total = np.full(len(features), state["base"][0])
    rows = np.arange(len(features))
    for start in state["starts"]:
        at = np.full(len(features), start)
        while not state["is_leaf"][at].all():
            inner = ~state["is_leaf"][at].astype(bool)
            node = at[inner]
            left = features[rows[inner], state["feature_idx"][node]] <= state["num_threshold"][node]
            at[inner] = start + np.where(left, state["left"][node], state["right"][node])
        total += state["value"][at]
    return total


def _network(features: np.ndarray, wanted: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    from sklearn.neural_network import MLPRegressor

    centre, spread = float(wanted.mean()), float(wanted.std()) or 1.0
    model = MLPRegressor(
        hidden_layer_sizes=(64,), alpha=1e-3, max_iter=400, early_stopping=len(wanted) >= 200, random_state=seed
    )
    model.fit(np.asarray(features, np.float64), (wanted - centre) / spread)
    return {"first": model.coefs_[0], "first_bias": model.intercepts_[0], "second": model.coefs_[1],
            "second_bias": model.intercepts_[1], "scale": np.array([centre, spread])}  # fmt: skip


def _in_network(state: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    hidden = np.maximum(features @ state["first"] + state["first_bias"], 0)
    return (hidden @ state["second"] + state["second_bias"]).ravel() * state["scale"][1] + state["scale"][0]
