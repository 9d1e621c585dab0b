"""Rehydration against the repetitions published for FineWeb2, and through a catalog into a mix that serves them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from catalog.catalog import Catalog
from catalog.errors import BadInput
from catalog.mixes import publish
from catalog.plugins import Context
from catalog.testing import attach_columns, sentences, text_dataset
from flows import score
from flows.scorers.dedup.rehydrate import Params, distribution, rehydrate, repetitions

GOLDEN = json.loads((Path(__file__).parent / "data" / "rehydration.json").read_text())
ORACLES = {"rehydrate": "the repetitions published for FineWeb2 (265 of 266 languages tried, six kept here)"}


@pytest.mark.parametrize("language", sorted(GOLDEN))
@pytest.mark.parametrize("most", [5, 10])
def test_published_repetitions(language, most):
    held = GOLDEN[language]
    got = repetitions(np.array(held["rates"]) / 100, held["global"] / 100, most)
    changes = [at for at in range(len(got)) if not at or got[at] != got[at - 1]]
    assert {str(held["sizes"][at]): int(got[at]) for at in changes} == held["repetitions"][str(most)]


def documents(held, most):
    """Documents with the published counts and rates: one row a document, and the flag of the filters."""
    sizes, gone = [], []
    for size, rate, kept in zip(held["sizes"], held["rates"], held["kept"], strict=True):
        removed = round(kept * rate / (100 - rate)) if rate < 100 else 5
        sizes += [size] * (kept + removed)
        gone += [True] * removed + [False] * kept
    return np.array(sizes), np.array(gone)


def test_the_distribution_is_counted_and_cut_where_it_was_published_to_be():
    sizes, gone = documents(GOLDEN["swh_Latn"], 10)
    start, rates, total = distribution(sizes, gone, 0.001)
    assert start.tolist() == GOLDEN["swh_Latn"]["sizes"]
    assert rates * 100 == pytest.approx(np.array(GOLDEN["swh_Latn"]["rates"]), abs=1e-6)
    assert total * 100 == pytest.approx(GOLDEN["swh_Latn"]["global"], abs=1e-6)
    order = np.random.default_rng(0).permutation(sizes.size)
    table = pa.record_batch({
        "minhash_cluster_size": pa.array(sizes[order], pa.int32()), "minhash_keep": np.ones(sizes.size, bool),
        "low": gone[order],
    })  # fmt: skip
    got = rehydrate(
        lambda: iter([table]),
        Context(params=Params(removed="low")),
    )
    copies = got["rehydrate_copies"].to_numpy()
    assert set(copies[gone[order]]) == {0}
    want = GOLDEN["swh_Latn"]["repetitions"]["10"]
    limits = np.array(sorted(map(int, want)))
    place = np.searchsorted(limits, sizes[order], side="right") - 1
    expected = np.array([want[str(limit)] for limit in limits])[place]
    assert (copies[~gone[order]] == expected[~gone[order]]).all()


def test_few_sizes_no_filter_and_no_better_size_are_defined():
    assert repetitions(np.array([0.5]), 0.5, 10).tolist() == [1]
    assert repetitions(np.array([0.6, 0.1, 0.3]), 0.4, 10).tolist() == [1, 10, 4]
    assert repetitions(np.full(9, 0.2), 0.2, 10).tolist() == [1] * 9
    with pytest.raises(BadInput, match="--param removed="):
        rehydrate(lambda: iter(()), Context(params=Params()))


def test_a_mix_serves_each_row_as_often_as_its_copies(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    texts = sentences(60, seed=2, low=30)
    rows = [text for at, text in enumerate(texts) for _ in range(1 + at % 4)]
    text_dataset(cat, tmp_path, "web", [{"id": str(at), "text": text} for at, text in enumerate(rows)])
    flags = [(texts.index(text) % 4 == 0 and texts.index(text) % 8 < 5) or texts.index(text) % 20 == 2 for text in rows]
    attach_columns(cat, "web", {"low": pa.array(flags)})
    score(cat, "web", ["rehydrate"], params={"removed": "low", "most": 4})
    held = [r for b in cat.scan("web", ["text", "rehydrate_copies", "minhash_cluster_size"]) for r in b.to_pylist()]
    copies = {row["text"]: row["rehydrate_copies"] for row in held if row["rehydrate_copies"]}
    assert len(set(copies.values())) > 1 and max(copies.values()) == 4
    made = publish(cat, {"name": "m", "parts": [{"dataset": "web", "copies": "rehydrate_copies"}], "seed": 3})
    served = Counter(text for batch in cat.mix("m").batches() for text in batch["text"].to_pylist())
    assert served == Counter(copies) and made.lock["parts"][0]["dataset"] == "web"
    with pytest.raises(BadInput, match="m2"):
        part = {"dataset": "web", "copies": "rehydrate_copies", "where": "rehydrate_copies > 50"}
        publish(cat, {"name": "m2", "parts": [part]})
