"""Sentence vectors and clusters: the contract on a tiny encoder, k-means on points of known clusters."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from catalog.testing import sentences
from flows.models import load_encoder
from flows.models.testing import tiny_encoder

ORACLES = {
    "minilm": "the mean of the last layer over real tokens, by transformers",
    "kmeans": "cosine distance to the mean of each group",
}

ODD = [None, "", "x", "שלום עולם", "你好，世界", "\u202eabc\u0000\ufffd", "👩‍👩‍👧‍👦 e\u0301\u0301", "word " * 200_000]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def embed(texts: list, model: str, **params) -> dict[str, pa.Array]:
    plugin = get_scorer("minilm")
    ctx = Context(params=plugin.parse_params({"model": model, **params}), dtype="float32")
    ctx.model = plugin.load(ctx)
    return plugin.function(pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.string())}), ctx)


def matrix(column: pa.Array) -> np.ndarray:
    return np.array(column.to_pylist(), np.float64)


def test_empty_batch_and_odd_texts(model):
    kind = get_scorer("minilm").out("embedding").type
    assert embed([], model)["embedding"].type == kind
    got = embed(ODD, model)
    assert got["embedding"].type == kind
    assert got["_state"].to_pylist() == [states.UNDEFINED] * 2 + [states.VALUE] * (len(ODD) - 2)
    assert got["embedding"].is_valid().to_pylist() == [False] * 2 + [True] * (len(ODD) - 2)
    assert np.linalg.norm(matrix(got["embedding"][2:]), axis=1) == pytest.approx(1, abs=1e-5)


def test_vectors_are_the_normalised_mean_over_real_tokens(model):
    import torch
    from transformers import AutoModel

    net = AutoModel.from_pretrained(model, dtype=torch.float64, attn_implementation="eager").eval()
    texts = sentences(12, low=1, high=50)
    got = matrix(embed(texts, model, max_tokens=32)["embedding"])
    encoder = load_encoder(model)
    for row, text in enumerate(texts):
        ids = encoder.tokenizer.encode(text).ids
        ids = ids if len(ids) <= 32 else [*ids[:31], ids[-1]]
        with torch.inference_mode():
            mean = net(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
        assert got[row] == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)


@pytest.mark.parametrize("pooling", ["weighted", "cls", "last"])
def test_other_poolings_equal_their_definition(model, pooling):
    import torch
    from transformers import AutoModel

    net = AutoModel.from_pretrained(model, dtype=torch.float64, attn_implementation="eager").eval()
    texts = sentences(8, low=1, high=40)
    got = matrix(embed(texts, model, pooling=pooling)["embedding"])
    for row, text in enumerate(texts):
        with torch.inference_mode():
            states = net(input_ids=torch.tensor([load_encoder(model).tokenizer.encode(text).ids])).last_hidden_state[0]
        place = np.arange(1, len(states) + 1)
        want = {"weighted": place @ states.numpy(), "cls": states[0].numpy(), "last": states[-1].numpy()}[pooling]
        assert got[row] == pytest.approx(want / np.linalg.norm(want), abs=1e-5)


def test_vectors_do_not_depend_on_batches(model):
    texts = sentences(20, seed=5, low=1, high=60)
    whole = matrix(embed(texts, model)["embedding"])
    pieces = [matrix(embed(texts[i : i + 3], model)["embedding"]) for i in range(0, 20, 3)]
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-5)


def test_bundled_encoder_puts_a_paraphrase_near():
    cat, kitten, stocks = matrix(
        embed(["A cat sits on the mat.", "A kitten is on the rug.", "Stock prices fell sharply."], "minilm-l6")[
            "embedding"
        ]
    )
    assert cat @ kitten > 0.5 > 0.3 > cat @ stocks


# -- k-means -----------------------------------------------------------------------------------------------------------


def points(seed: int = 0, each: int = 60, groups: int = 4) -> tuple[pa.Table, np.ndarray]:
    """Rows around `groups` random directions, of unequal numbers, and the group of each row."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, 384))
    labels = np.repeat(np.arange(groups), [each * (i + 1) for i in range(groups)])
    vectors = (centres[labels] + 0.3 * rng.normal(size=(len(labels), 384))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 384)
    ids = [f"{i:032x}" for i in range(len(labels))]
    return pa.table({"sample_id": ids, "content_id": ids, "embedding": column}), labels


def fit(table: pa.Table, rows: int = 50, **params) -> Context:
    plugin = get_scorer("kmeans")
    ctx = Context(params=plugin.parse_params(params))
    ctx.state = plugin.fit(lambda: iter(table.to_batches(max_chunksize=rows)), ctx)
    return ctx


def clusters(table: pa.Table, ctx: Context) -> dict[str, pa.Array]:
    return get_scorer("kmeans").function(table.combine_chunks().to_batches()[0], ctx)


def test_kmeans_finds_separated_groups_and_their_cosine_distance():
    table, labels = points()
    ctx = fit(table, clusters=4)
    got = clusters(table, ctx)
    cluster = got["cluster"].to_numpy()
    assert (cluster == 3 - labels).all()  # numbered from the largest
    centroids = ctx.state["centroids"]
    cosine = (matrix(table["embedding"]) * centroids[cluster]).sum(1)
    assert got["centroid_distance"].to_numpy() == pytest.approx(1 - cosine, abs=1e-5)
    assert ctx.state["report"]["clusters"] == 4


def test_kmeans_does_not_depend_on_the_order_or_the_batches_of_the_rows():
    table, _ = points(seed=1)
    order = np.random.default_rng(2).permutation(table.num_rows)
    once, again = fit(table, clusters=6, sample=200), fit(table.take(order), rows=7, clusters=6, sample=200)
    assert np.array_equal(once.state["centroids"], again.state["centroids"])
    whole = clusters(table, once)["cluster"].to_numpy()
    assert np.array_equal(clusters(table.take(order), again)["cluster"].to_numpy(), whole[order])
    assert once.state["report"]["fitted_on"] == 200


def test_another_seed_may_move_the_centroids_and_the_same_never_does():
    table, _ = points(seed=3, groups=8, each=10)
    one, same, other = fit(table, clusters=5), fit(table, clusters=5), fit(table, clusters=5, seed=7)
    assert np.array_equal(one.state["centroids"], same.state["centroids"])
    assert not np.array_equal(one.state["centroids"], other.state["centroids"])


def test_rows_without_a_vector_are_undefined_and_do_not_count():
    table, _ = points(each=5)
    gaps = table.set_column(
        2, "embedding", pa.array([None, *table["embedding"].to_pylist()[1:]], table["embedding"].type)
    )
    ctx = fit(gaps, clusters=4)
    got = clusters(gaps, ctx)
    assert got["cluster"][0].as_py() is None and got["_state"][0].as_py() == states.UNDEFINED
    assert ctx.state["report"]["rows"] == table.num_rows - 1
    empty = get_scorer("kmeans").function(pa.RecordBatch.from_pylist([], gaps.schema), ctx)
    assert empty["cluster"].type == pa.int32() and len(empty["cluster"]) == 0


def test_fewer_distinct_rows_than_clusters_and_none_at_all():
    table, _ = points(each=1, groups=2)
    assert len(fit(pa.concat_tables([table, table]), clusters=16).state["centroids"]) == 3
    with pytest.raises(BadInput, match="no row has an embedding"):
        fit(table.slice(0, 0))


def test_many_rows_are_fitted_in_mini_batches_and_found_again():
    table, labels = points(seed=4, each=3000, groups=4)
    got = clusters(table, fit(table, rows=4096, clusters=4))["cluster"].to_numpy()
    assert len({(a, b) for a, b in zip(labels, got, strict=True)}) == 4
