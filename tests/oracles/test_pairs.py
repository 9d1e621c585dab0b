"""Measures of pairs of vectors and of alignment with a target, against torch's losses and norms."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.scorers.embedding._vectors import unit

ORACLES = {
    "pair_similarity": "torch's cosine_similarity",
    "neg_clip_loss": "torch's cross entropy of CLIP's logits; a loop over divisions into batches",
    "normsim": "torch.norm of the similarities; the quadratic form of the target's covariance",
}
torch = pytest.importorskip("torch")


def vectors(rows: int, seed: int, wide: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, wide)).astype(np.float32)


def column(points: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(points.astype(np.float32).ravel()), points.shape[1])


def batch_of(left: np.ndarray, right: np.ndarray) -> pa.RecordBatch:
    ids = [f"{i:032x}" for i in range(len(left))]
    return pa.record_batch({"sample_id": ids, "content_id": ids, "image": column(left), "caption": column(right)})


def context(name: str, **params) -> Context:
    return Context(params=get_scorer(name).parse_params({"left": "image", "right": "caption", **params}))


def test_similarity_is_torchs():
    left, right = vectors(50, 0), vectors(50, 1)
    got = get_scorer("pair_similarity").function(batch_of(left, right), context("pair_similarity"))
    want = torch.nn.functional.cosine_similarity(torch.tensor(left), torch.tensor(right)).numpy()
    assert got["pair_similarity"].to_numpy() == pytest.approx(want, abs=1e-6)
    left[3], right[5] = 0, np.nan
    got = get_scorer("pair_similarity").function(batch_of(left, right), context("pair_similarity"))
    assert got["pair_similarity"][3].as_py() == 0 and got["pair_similarity"][5].as_py() is None


def run(left: np.ndarray, right: np.ndarray, **params) -> np.ndarray:
    batch = batch_of(left, right)
    made = get_scorer("neg_clip_loss").function(
        lambda columns=None: iter([batch[:20], batch[20:]]), context("neg_clip_loss", **params)
    )
    return made["neg_clip_loss"].to_numpy()


def clip_loss(left: np.ndarray, right: np.ndarray, temperature: float) -> np.ndarray:
    logits = torch.tensor(unit(left.astype(float)) @ unit(right.astype(float)).T) / temperature
    own = torch.arange(len(left))
    entropy = torch.nn.functional.cross_entropy
    return ((entropy(logits, own, reduction="none") + entropy(logits.T, own, reduction="none")) / 2).numpy()


@pytest.mark.parametrize("temperature", [0.01, 0.07])
def test_in_one_batch_it_is_minus_the_loss_times_the_temperature(temperature):
    left = vectors(60, 2)
    right = left + 0.5 * vectors(60, 3)
    got = run(left, right, temperature=temperature, divisions=2)
    assert got == pytest.approx(-temperature * clip_loss(left, right, temperature), abs=1e-6)


def test_divisions_are_averaged_and_a_row_has_its_value_wherever_it_stands():
    import xxhash

    left, right = vectors(50, 4), vectors(50, 5)
    want = np.zeros(50)
    for division in range(3):
        keys = [xxhash.xxh64_intdigest(f"{i:032x}".encode(), division) for i in range(50)]
        for part in np.array_split(np.argsort(np.array(keys, np.uint64)), 5):
            want[part] -= 0.01 * clip_loss(left[part], right[part], 0.01) / 3
    assert run(left, right, batch=10, divisions=3) == pytest.approx(want, abs=1e-6)


def test_a_caption_that_fits_everything_loses_to_one_that_fits_its_image():
    left = vectors(200, 6, 32)
    right = left + 0.9 * vectors(200, 7, 32)
    mean = unit(left).mean(axis=0)
    left[0] = right[0] = mean * 100  # like every other row, and like itself
    left[:, :] += 20 * mean
    right[:, :] += 20 * mean
    plain = get_scorer("pair_similarity").function(batch_of(left, right), context("pair_similarity"))
    rank = [int((values.to_numpy() > values[0].as_py()).sum()) for values in (plain["pair_similarity"],)]
    loss = run(left, right)
    assert rank[0] < 5 < (loss > loss[0]).sum()


def test_alignment_is_torchs_norm():
    rows, target = vectors(40, 8), vectors(25, 9)
    plugin = get_scorer("normsim")
    ids = [f"{i:032x}" for i in range(40)]
    held = pa.record_batch({"sample_id": ids[:25], "embedding": column(target)})
    ctx = Context(params=plugin.parse_params({"vectors": "embedding"}), target=lambda columns=None: iter([held]))
    ctx.state = plugin.fit(lambda columns=None: iter([]), ctx)
    got = plugin.function(pa.record_batch({"sample_id": ids, "embedding": column(rows)}), ctx)
    similar = torch.tensor(unit(rows.astype(float)) @ unit(target.astype(float)).T)
    for name, p in (("normsim_2", 2), ("normsim_inf", float("inf"))):
        assert got[name].to_numpy() == pytest.approx(torch.norm(similar, p=p, dim=1).numpy(), abs=1e-5)
    centre = unit(target.astype(float))
    want = [x @ (centre.T @ centre / 25) @ x for x in unit(rows.astype(float))]
    assert got["vas"].to_numpy() == pytest.approx(want, abs=1e-6)


def test_columns_that_do_not_fit_are_refused_in_one_line():
    batch = batch_of(vectors(3, 1), vectors(3, 2, 4))
    for given, words in (
        ({}, "share no space"),
        ({"left": ""}, "say which columns"),
        ({"left": "sample_id"}, "not vectors"),
    ):
        with pytest.raises(BadInput, match=words):
            get_scorer("pair_similarity").function(batch, context("pair_similarity", **given))
    with pytest.raises(BadInput, match="--limit"):
        run(vectors(30, 1), vectors(30, 2), limit=5)
    assert run(vectors(1, 1), vectors(1, 2)).tolist() == [0.0]
