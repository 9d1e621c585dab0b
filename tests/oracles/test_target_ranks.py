"""Ranks before target texts against loops: the authors' round robin of RDS+, and BETR's best rank of the paper."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from catalog.testing import sentences, text_dataset
from flows import score
from flows.models.testing import tiny_encoder
from flows.scorers.embedding import _ranks
from flows.scorers.embedding._ranks import best_ranks, mean_reciprocal, places

ORACLES = {
    "target_rank": "the round robin of the authors' code, as a loop over turns",
    "betr": "ranks by a loop; planted target texts against others",
}


def sides(rows: int = 60, texts: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(rows + texts, 12)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made[:rows], made[rows:]


@pytest.mark.parametrize("held", [1, 200, 1 << 24])
def test_the_order_is_that_of_texts_taking_turns(monkeypatch, held):
    monkeypatch.setattr(_ranks, "_HELD", held)
    points, target = sides()
    lists = [sorted(range(60), key=lambda i, q=q: -float(points[i] @ target[q])) for q in range(7)]
    taken: list[int] = []
    while any(lists):
        for mine in lists:
            if mine and (row := mine.pop(0)) not in taken:
                taken.append(row)
    rank, turn = best_ranks(points, target)
    assert np.argsort(places(turn)).tolist() == taken
    cosine = points.astype(np.float64) @ target.T.astype(np.float64)
    ranks = np.array([[1 + (cosine[:, q] > cosine[i, q]).sum() for q in range(7)] for i in range(60)])
    assert (rank == ranks.min(axis=1)).all()
    assert mean_reciprocal(points, target) == pytest.approx((1 / ranks).mean(axis=1), abs=1e-12)


def test_a_column_of_the_order(tmp_path):
    model = tiny_encoder(tmp_path / "model", dimensions=16)
    cat = Catalog.open(tmp_path / "home")
    texts = sentences(40, seed=5, low=5)
    text_dataset(cat, tmp_path, "d", texts)
    text_dataset(cat, tmp_path, "goal", texts[:3])
    score(cat, "d", ["target_rank"], params={"model": model}, target="goal")
    table = pa.concat_tables(
        pa.Table.from_batches([batch]) for batch in cat.scan("d", ["text", "target_order_goal", "target_rank_goal"])
    )
    order = dict(zip(table["text"].to_pylist(), table["target_order_goal"].to_pylist(), strict=True))
    assert sorted(order.values()) == list(range(40)) and {order[text] for text in texts[:3]} == {0, 1, 2}
    assert table["target_rank_goal"].to_numpy().min() == 1
    with pytest.raises(BadInput, match="needs a target dataset"):
        score(cat, "d", ["target_rank"], params={"model": model})


@pytest.mark.parametrize("aggregate", ["max", "mean"])
def test_betr_finds_texts_like_the_target_among_rows_it_did_not_rank(aggregate):
    rng = np.random.default_rng(1)
    near = "orbit planet telescope comet galaxy star nebula moon eclipse rocket".split()
    far = "recipe butter flour oven sugar dough bake cream vanilla pastry".split()

    def made(words, count):
        return [" ".join(rng.choice(words, 12)) for _ in range(count)]

    def scan_of(texts, mark):
        ids = [f"{mark}{i:031x}" for i in range(len(texts))]
        batch = pa.record_batch({"sample_id": ids, "content_id": ids, "text": texts})
        return lambda columns=None: iter([batch])

    plugin = get_scorer("betr")
    ctx = Context(params=plugin.parse_params({"share": 0.2, "aggregate": aggregate}), dtype="float32")
    ctx.target = scan_of(made(near, 20), "b")
    assert plugin.fit
    ctx.state = plugin.fit(scan_of(made(near, 40) + made(far, 160), "a"), ctx)
    assert ctx.state["report"]["positive"] == 40 and ctx.state["report"]["auc"] > 0.95
    fresh = pa.record_batch({"text": made(near, 30) + made(far, 30)})
    got = plugin.function(fresh, ctx)["betr"].to_numpy()
    assert got[:30].min() > got[30:].max()
