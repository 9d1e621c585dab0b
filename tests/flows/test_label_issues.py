"""Labels that were flipped are found from embeddings, and the right ones are suggested."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from catalog import states
from catalog.plugins import Context, get_scorer


def test_flipped_labels_are_found_and_mended():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=300)
    points = np.eye(3, 16)[truth] * 3 + rng.standard_normal((300, 16)) * 0.4
    given = truth.copy()
    given[:15] = (given[:15] + 1) % 3
    meta = [json.dumps({"kind": "abc"[label]}) for label in given]
    meta[20], meta[21] = None, json.dumps({"other": 1})
    batch = pa.record_batch({
        "sample_id": [f"{i:032x}" for i in range(300)],
        "content_id": [f"{i:032x}" for i in range(300)],
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(points.astype(np.float32).ravel()), 16),
        "meta": pa.array(meta),
    })  # fmt: skip
    plugin = get_scorer("label_issues")
    made = plugin.function(lambda: iter([batch.slice(0, 130), batch.slice(130)]),
                           Context(params=plugin.parse_params({"label": "kind"})))  # fmt: skip
    issue = np.array([bool(value) for value in made["label_issue"].to_pylist()])
    assert issue[:15].mean() > 0.9 and issue[22:].mean() < 0.03
    assert [made["label_suggested"][i].as_py() for i in range(15)].count(None) == 0
    assert np.mean([made["label_suggested"][i].as_py() == "abc"[truth[i]] for i in range(15)]) > 0.9
    assert made["_state"].to_pylist()[20:22] == [states.UNDEFINED] * 2 and made["label_quality"][20].as_py() is None
