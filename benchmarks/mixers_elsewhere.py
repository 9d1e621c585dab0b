"""Mixers' predictors on tables of runs that they were not written for: rank correlation of runs left out, five folds.

    python benchmarks/mixers_elsewhere.py

The runs of the data mixing laws (26 of 5 parts, 40 of 7; 22 validation sets) and the first of RegMix's (17 parts, 13 sets), as
stored for the tests. Prints median and range over the validation sets, and how many of them a mixer refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from catalog.errors import BadInput
from catalog.mixers import Predictor
from flows.mixers._search import learned, out_of_fold
from flows.mixers.mixing_laws import fit_law, law_of
from flows.mixers.regmix import fit_linear, fit_trees

DATA = Path(__file__).parents[1] / "tests" / "oracles" / "data"


def laws(weights: np.ndarray, losses: np.ndarray) -> Predictor:
    return law_of(fit_law(weights, losses, starts=2, delta=0.01, seed=0))


def tables() -> dict[str, tuple[np.ndarray, list[np.ndarray]]]:
    """Name -> shares of the runs, and their losses on every validation set."""
    held = json.loads((DATA / "mixing_laws_runs.json").read_text())
    found = {name: (np.array(t["weights"]), [np.array(v) for v in t["results"].values()]) for name, t in held.items()}
    runs = np.load(DATA / "regmix_runs.npz")
    for count in (32, 64, 128, 512):
        found[f"RegMix {count}"] = (runs["train_weights"][:count] / 1000, list(runs["train_losses"][:count].T))
    return found


def left_out(fit: Callable[[np.ndarray, np.ndarray], Predictor], weights: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Predictions for every run by a fit on the other folds."""
    return out_of_fold(lambda rows: fit(weights[rows], losses[rows]), weights, 5, 42)


def main() -> None:
    for name, (weights, results) in tables().items():
        for label, fit in (("trees", fit_trees), ("linear", fit_linear), ("laws", laws)):
            if label == "laws" and len(weights) > 128:
                continue
            ranks, explained = [], []
            for losses in results:
                guess = left_out(fit, weights, losses)
                try:
                    known = learned(label, guess, losses, "")
                except BadInput:
                    continue
                ranks.append(known["spearman_out_of_fold"])
                explained.append(known["explained_out_of_fold"])
            said = "refused on every set"
            if ranks:
                said = (
                    f"Spearman {np.median(ranks):.2f} ({min(ranks):.2f} to {max(ranks):.2f}), explained "
                    f"{np.median(explained):.2f} (least {min(explained):.2f}), refused on {len(results) - len(ranks)}"
                )
            print(f"{name:<11} {len(weights):>4} runs of {weights.shape[1]:>2} parts  {label:<7} {said}", flush=True)


if __name__ == "__main__":
    main()
