"""Vectors of any encoder by name: columns of several widths side by side, and scorers that read any of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.errors import BadInput, Missing, NotFound
from catalog.plugins import Context, get_scorer
from catalog.search import search
from catalog.testing import attach_columns, sentences, text_dataset
from flows import score
from flows.models import hidden_size, load_encoder
from flows.models.testing import tiny_encoder, tiny_language_model

TEXTS = sentences(30, seed=3, low=4, high=30)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory) -> str:
    return tiny_encoder(tmp_path_factory.mktemp("narrow"), dimensions=64)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory) -> str:
    return tiny_language_model(tmp_path_factory.mktemp("decoder"))


def dataset(home) -> Catalog:
    cat = Catalog.open(home / "home")
    text_dataset(cat, home, "d", TEXTS)
    return cat


def vectors(cat, alias: str) -> np.ndarray:
    held = [batch[alias] for batch in cat.scan("d", ["sample_id", alias])]
    return np.array([row for part in held for row in part.to_pylist()], np.float64)


def forward(model: str, text: str) -> np.ndarray:
    """Last hidden states by transformers itself, in double precision."""
    import torch
    from transformers import AutoModel

    net = AutoModel.from_pretrained(model, dtype=torch.float64, attn_implementation="eager").eval()
    with torch.inference_mode():
        ids = torch.tensor([load_encoder(model).tokenizer.encode(text).ids])
        return net(input_ids=ids).last_hidden_state[0].numpy()


def test_columns_of_several_encoders_side_by_side(tmp_path, narrow, decoder):
    cat = dataset(tmp_path)
    score(cat, "d", ["minilm"], params={"model": narrow}, aliases={"embedding": "small"}, dtype="float32")
    score(cat, "d", ["minilm"], params={"model": narrow, "pooling": "max"}, aliases={"embedding": "top"})
    score(cat, "d", ["minilm"], params={"model": decoder, "pooling": "last"}, aliases={"embedding": "last"})
    score(cat, "d", ["minilm"], params={"model": decoder, "pooling": "weighted"}, aliases={"embedding": "rds"})
    kinds = {column.alias: column.type for column in cat.columns("d")}
    assert [kinds[name].partition("[")[2] for name in ("small", "top", "last", "rds")] == ["64]", "64]", "32]", "32]"]
    texts = [text for batch in cat.scan("d", ["text"]) for text in batch["text"].to_pylist()]
    for row in range(3):
        encoded, decoded = forward(narrow, texts[row]), forward(decoder, texts[row])
        place = np.arange(1, len(decoded) + 1)
        wanted = {"small": encoded.mean(0), "top": encoded.max(0), "last": decoded[-1], "rds": place @ decoded}
        for name, want in wanted.items():
            assert vectors(cat, name)[row] == pytest.approx(want / np.linalg.norm(want), abs=2e-3)


def test_scorers_read_a_named_column_of_any_width(tmp_path, narrow):
    cat = dataset(tmp_path)
    score(cat, "d", ["minilm"], params={"model": narrow}, aliases={"embedding": "small"})
    done = score(cat, "d", ["kmeans", "outliers", "semdedup"], params={"vectors": "small", "clusters": 3})
    assert set(done.columns) >= {"cluster", "centroid_distance", "knn_distance", "semdedup_keep"}
    assert "embedding" not in {column.alias for column in cat.columns("d")}  # nothing of 384 numbers was made
    again = score(cat, "d", ["kmeans"], params={"model": narrow, "clusters": 3})
    assert again.run_id is None  # a column by name and its recipe by parameters are the same thing
    hit = search(cat, "d", TEXTS[4], mode="vector", column="small", limit=1)
    assert hit["text"][0].as_py() == TEXTS[4] and hit["score"][0].as_py() == pytest.approx(1, abs=1e-3)


def test_a_target_is_embedded_by_the_encoder_of_the_named_column(tmp_path, narrow):
    cat = dataset(tmp_path)
    text_dataset(cat, tmp_path, "goal", TEXTS[:5])
    score(cat, "d", ["minilm"], params={"model": narrow, "pooling": "cls"}, aliases={"embedding": "small"})
    score(cat, "d", ["target_similarity"], params={"vectors": "small"}, target="goal")
    best = [v for b in cat.scan("d", ["target_similarity_max_goal"]) for v in b[-1].to_pylist()]
    texts = [t for b in cat.scan("d", ["text"]) for t in b["text"].to_pylist()]
    assert all(best[texts.index(text)] == pytest.approx(1, abs=1e-3) for text in TEXTS[:5])


def test_vectors_no_encoder_made_are_read_from_the_target_too(tmp_path):
    rng = np.random.default_rng(0)
    cat = dataset(tmp_path)
    text_dataset(cat, tmp_path, "goal", TEXTS[:5])
    points = {"d": rng.normal(size=(30, 6)).astype(np.float32), "goal": rng.normal(size=(5, 6)).astype(np.float32)}
    attach_columns(cat, "d", {"image": pa.FixedSizeListArray.from_arrays(points["d"].ravel(), 6)})
    ask = {"params": {"vectors": "image"}, "target": "goal"}
    with pytest.raises(BadInput, match="target goal@v1 has no column image"):
        score(cat, "d", ["target_similarity"], **ask)
    attach_columns(cat, "goal", {"image": pa.FixedSizeListArray.from_arrays(points["goal"].ravel(), 6)})
    score(cat, "d", ["target_similarity"], **ask)
    unit = {k: v / np.linalg.norm(v, axis=1, keepdims=True) for k, v in points.items()}
    got = [v for b in cat.scan("d", ["target_similarity_max_goal"]) for v in b[-1].to_pylist()]
    assert got == pytest.approx((unit["d"] @ unit["goal"].T).max(1), abs=1e-6)
    got = [v for b in cat.scan("d", ["target_similarity_mean_goal"]) for v in b[-1].to_pylist()]
    assert got == pytest.approx((unit["d"] @ unit["goal"].T).mean(1), abs=1e-6)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, narrow):
    cat = dataset(tmp_path)
    attach_columns(cat, "d", {"number": pa.array(np.arange(30.0))})
    with pytest.raises(NotFound, match="nothing_here"):
        score(cat, "d", ["kmeans"], params={"vectors": "nothing_here"})
    with pytest.raises(BadInput, match="holds double, not vectors"):
        score(cat, "d", ["kmeans"], params={"vectors": "number"})
    with pytest.raises(Missing, match="no folder with config.json"):
        score(cat, "d", ["minilm"], params={"model": "./no-such-model"})
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text("{}")
    with pytest.raises(BadInput, match="states no hidden_size"):
        score(cat, "d", ["minilm"], params={"model": str(tmp_path / "odd")})


def test_the_bundled_decoder_embeds_too():
    plugin = get_scorer("minilm")
    ctx = Context(params=plugin.parse_params({"model": "smollm2-135m", "pooling": "weighted"}), dtype="float32")
    assert plugin.load
    ctx.model = plugin.load(ctx)
    texts = ["A cat sits on the mat.", "A kitten is on the rug.", "Stock prices fell sharply on Monday."]
    made = plugin.function(pa.RecordBatch.from_pydict({"text": pa.array(texts)}), ctx)["embedding"]
    assert made.type.list_size == hidden_size("smollm2-135m") == 576
    cat, kitten, stocks = np.array(made.to_pylist())
    assert cat @ kitten > cat @ stocks
