"""Golden numbers by the cells of the authors' notebook (github.com/reds-lab/projektor, MIT), for test_projektor.py.

git clone https://github.com/reds-lab/projektor && python tests/oracles/make_projektor_golden.py projektor

The notebook's own measurements are not published, so its cells run on planted ones: the fit, its predictions for mixtures
that it has not seen, the projection onto a larger size, and the gradient of the distance from dual potentials.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np


def planted(seed: int) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """Errors, distances and accuracies on the notebook's grid: tenths of two sources, the third takes the rest."""
    rng, errors, distances, accuracies = np.random.default_rng(seed), [], [], []
    for first in range(11):
        p = np.array([[first, second, 10 - first - second] for second in range(11 - first)]) / 10
        distance = 1.5 + ((p - [0.5, 0.3, 0.2]) ** 2).sum(axis=1) + 0.02 * rng.standard_normal(len(p))
        accuracy = 70 - 12 * distance + 4 * p[:, 0] - 6 * p[:, 1] ** 2 * distance + 0.2 * rng.standard_normal(len(p))
        errors.append((100 - accuracy).tolist())
        distances.append(distance.tolist())
        accuracies.append(accuracy.tolist())
    return errors, distances, accuracies


def cell(notebook: dict[str, Any], mark: str, number: int = 0) -> str:
    """The code of the cell that holds a mark."""
    code = ["".join(held["source"]) for held in notebook["cells"] if held["cell_type"] == "code"]
    return [text for text in code if mark in text][number]


def main() -> None:
    notebook = json.loads((Path(sys.argv[1]) / "projektor_cifar10_example.ipynb").read_text())
    from sklearn.linear_model import LinearRegression

    names: dict[str, Any] = {"np": np, "LinearRegression": LinearRegression}
    exec(cell(notebook, "def get_qs"), names)
    names["qsreserrlog"], names["qsotlog"], names["qsaccs"] = names["get_qs"](*planted(0))
    for text in (cell(notebook, "# q1 mask"), cell(notebook, "A1 = "), cell(notebook, "model.fit(")):
        exec(text, names)
    learned = {
        "p": names["qss1"],
        "q": names["qss2"],
        "distance": names["ot_non_zero_elements"],
        "value": names["y_train"],
    }
    learned["predicted"] = names["model_predicted_train"]
    exec(cell(notebook, "otqfit = model.predict"), names)
    whole = {
        "p": names["qss1"],
        "q": names["qss2"],
        "distance": names["ot_non_zero_elements"],
        "predicted": names["otqfit"][:, 0],
    }
    names["A"], names["B"] = whole["predicted"], whole["predicted"] + np.linspace(0, 9, len(whole["p"]))
    exec(cell(notebook, "acc_10k ="), names)
    found = {
        "learned": {name: held.tolist() for name, held in learned.items()},
        "whole": {name: held.tolist() for name, held in whole.items()},
        "large": names["B"].tolist(), "projected": names["acc_10k"].tolist(), "gradient": gradients(notebook),
    }  # fmt: skip
    path = Path(__file__).parent / "data" / "projektor_golden.json"
    path.write_text(json.dumps(found) + "\n")


def gradients(notebook: dict[str, Any]) -> dict[str, Any]:
    """The calibrated gradient of the distance in both free shares, by the notebook's lines, for drawn potentials."""
    text = cell(notebook, "# Calibrated Gradient for Q1")
    begin, end = text.index("        # Calibrated Gradient for Q1"), text.index("        if (gd_q1 == 0)")
    rng, lengths = np.random.default_rng(1), [12, 30, 8]
    names: dict[str, Any] = {"np": np, "q1": 0.24, "q2": 0.6, "ot_dist": 1.7, "ot_dist_n1": 1.6, "full_ds_len": 50}
    duals = [rng.standard_normal(length) for length in lengths]
    for size in ("", "_n1"):
        names |= {f"fds{number}{size}": held for number, held in enumerate(duals, 1)}
        names |= {f"ds{number}_len{size}": len(held) for number, held in enumerate(duals, 1)}
        names |= {f"fall{size}": np.concatenate(duals), f"full_ds_len{size}": 50, f"b0{size}": 1.0}
        names |= {f"{kind}q{number}{size}": 0.0 for kind in ("b1", "b2", "c1", "c2") for number in (1, 2)}
    exec(textwrap.dedent(text[begin:end]), names)
    return {"duals": [held.tolist() for held in duals], "slope": [float(names["gd_q1"]), float(names["gd_q2"])]}


if __name__ == "__main__":
    main()
