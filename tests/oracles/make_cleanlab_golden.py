"""Out-of-sample probabilities and labels of MNIST's and 20 Newsgroups' test sets, and cleanlab 2.9.0's answers on them.

Source: github.com/cleanlab/label-errors (Apache-2.0), cross_validated_predicted_probabilities and original_test_labels.
Probabilities are kept as whole ten-thousandths; cleanlab needs an environment of its own:

    pip install "numpy<2" cleanlab==2.9.0 && python tests/oracles/make_cleanlab_golden.py FOLDER_OF_LABEL_ERRORS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

FILTERS = ("prune_by_noise_rate", "both", "confident_learning", "low_normalized_margin", "prune_by_class")


def main(folder: Path) -> None:
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    arrays, facts = {}, {}
    for name in ("mnist", "20news"):
        given = np.load(folder / "cross_validated_predicted_probabilities" / f"{name}_test_set_pyx.npy")
        labels = np.load(folder / "original_test_labels" / f"{name}_test_set_original_labels.npy").astype(int)
        held = np.round(given * 10_000).astype(np.uint16)
        probabilities = held / 10_000
        issues = {f: find_label_issues(labels, probabilities, filter_by=f, n_jobs=1) for f in FILTERS}
        full = {f: int(find_label_issues(labels, given, filter_by=f, n_jobs=1).sum()) for f in FILTERS}
        facts[name] = {
            "counts": {f: int(mask.sum()) for f, mask in issues.items()},
            "published": full,
            "issues": {f: np.flatnonzero(mask).tolist() for f, mask in issues.items()},
            "joint": compute_confident_joint(labels, probabilities).tolist(),
            "quality": [round(float(q), 6) for q in get_label_quality_scores(labels, probabilities)[:200]],
        }
        arrays |= {f"{name}_probabilities": held, f"{name}_labels": labels.astype(np.uint8)}
    data = Path(__file__).parent / "data"
    np.savez_compressed(data / "cleanlab_golden.npz", **arrays)
    (data / "cleanlab_golden.json").write_text(json.dumps(facts) + "\n")
    print({name: (held["counts"], held["published"]) for name, held in facts.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
