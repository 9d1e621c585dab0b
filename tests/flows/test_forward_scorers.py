"""Scorers from a forward pass: the contract on tiny models, edges of texts and turns, and the bundled model once."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from catalog.schema import MESSAGES
from catalog.testing import sentences
from flows.models import Piece, encode_heads, forward_sums, load_causal_lm, load_tokenizer
from flows.models.testing import tiny_language_model
from flows.models.tokens import batches_by_length

ODD = [
    None,
    "",
    " ",
    "x",
    "שלום עולם",
    "你好，世界",
    "\u202eabc\u0000\ufffd",
    "👩‍👩‍👧‍👦 e\u0301\u0301",
    "word " * 200_000,
]
PASSES = ["lm_stats", "ifd_cherry_stats", "ifd_superfiltering_stats"]
SCORES = {
    "perplexity": "lm_stats",
    "bits_per_byte": "lm_stats",
    "ifd_cherry": "ifd_cherry_stats",
    "ifd_superfiltering": "ifd_superfiltering_stats",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return tiny_language_model(tmp_path_factory.mktemp("lm"))


def turn(role: str, content: str | None) -> dict:
    return {"role": role, "content": content}


def batch_of(texts: list) -> pa.RecordBatch:
    """Texts, and each text as an answer to the one before it."""
    chats = [[turn("user", f"Say number {i}."), turn("assistant", text)] for i, text in enumerate(texts)]
    return pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.string()), "messages": pa.array(chats, MESSAGES)})


def run(name: str, batch: pa.RecordBatch, model: str, **params) -> dict[str, pa.Array]:
    """A pass over the batch, or a score over the pass it is read from."""
    plugin = get_scorer(name)
    if name in SCORES:
        sums = run(SCORES[name], batch, model, **params)
        held = {field: batch.column(field) for field in batch.schema.names}
        batch = pa.RecordBatch.from_pydict({**held, **{k: v for k, v in sums.items() if k != "_state"}})
    ctx = Context(params=plugin.parse_params({"model": model, "max_tokens": 128, **params}), dtype="float32")
    ctx.model = plugin.load(ctx) if plugin.load else None
    return plugin.function(batch, ctx)


@pytest.mark.parametrize("name", [*PASSES, *SCORES])
def test_empty_batch_has_the_declared_types(name, model):
    got = run(name, batch_of([]), model)
    for out in get_scorer(name).writes:
        assert len(got[out.name]) == 0
        assert got[out.name].type == out.type


@pytest.mark.parametrize("name", [*PASSES, *SCORES])
def test_odd_texts_do_not_raise_and_gaps_have_a_state(name, model):
    got = run(name, batch_of(ODD), model)
    outs = get_scorer(name).writes
    for out in outs:
        assert len(got[out.name]) == len(ODD)
        assert got[out.name].type == out.type
    first = got[outs[0].name]
    assert first[0].as_py() is None and first[1].as_py() is None
    assert first[len(ODD) - 1].as_py() is not None
    if "_state" in got:
        valued = [state == states.VALUE for state in got["_state"].to_pylist()]
        assert valued == first.is_valid().to_pylist()


@pytest.mark.parametrize("name", [*PASSES, *SCORES])
def test_values_do_not_depend_on_batches_or_order(name, model):
    texts = sentences(30, seed=3, low=1, high=40)
    whole = run(name, batch_of(texts), model)
    order = random.Random(0).sample(range(len(texts)), len(texts))
    shuffled = batch_of(texts).take(pa.array(order))
    pieces = [run(name, shuffled.slice(start, 7), model) for start in range(0, len(texts), 7)]
    for out in get_scorer(name).writes:
        again = np.concatenate([piece[out.name].to_numpy(zero_copy_only=False) for piece in pieces])
        assert again == pytest.approx(whole[out.name].to_numpy(zero_copy_only=False)[order], rel=1e-4)


@pytest.mark.parametrize("name", PASSES)
def test_progress_counts_every_scored_row_once(name, model):
    plugin, done = get_scorer(name), []
    ctx = Context(params=plugin.parse_params({"model": model, "max_tokens": 128}), dtype="float32", tick=done.append)
    ctx.model = plugin.load(ctx)
    plugin.function(batch_of(sentences(9)), ctx)
    assert sum(done) == 9


@pytest.mark.parametrize(("score", "source"), SCORES.items())
def test_scores_declare_the_parameters_of_their_pass(score, source):
    assert get_scorer(score).params().model_dump() == get_scorer(source).params().model_dump()


def test_padding_budget_changes_nothing_but_speed(model):
    lm = load_causal_lm(model)
    pieces = [Piece(e.ids, 1) for e in encode_heads(lm.tokenizer, sentences(20, low=2, high=50), 256)]
    alone, together = forward_sums(lm, pieces, budget=1), forward_sums(lm, pieces, budget=10_000)
    for name in ("nll", "entropy", "lowest"):
        assert getattr(alone, name) == pytest.approx(getattr(together, name), rel=1e-4)
    assert (alone.tokens == together.tokens).all()


def test_bfloat16_agrees_to_a_hundredth(model):
    pieces = [Piece(e.ids, 1) for e in encode_heads(load_tokenizer(model), sentences(10), 256)]
    fine, coarse = (forward_sums(load_causal_lm(model, "cpu", dtype), pieces) for dtype in ("float32", "bfloat16"))
    assert coarse.nll == pytest.approx(fine.nll, rel=1e-2)


def test_a_model_that_scales_its_logits_is_read_whole(tmp_path):
    import torch

    lm = load_causal_lm(tiny_language_model(tmp_path / "granite", family="Granite", logits_scaling=4.0))
    assert not lm.split
    encodings = encode_heads(lm.tokenizer, sentences(4), 256)
    sums = forward_sums(lm, [Piece(e.ids, 1) for e in encodings])
    for row, encoding in enumerate(encodings):
        ids = torch.tensor([encoding.ids])
        with torch.inference_mode():
            loss = lm.model(input_ids=ids, labels=ids).loss.item()
        assert sums.nll[row] / sums.tokens[row] == pytest.approx(loss, rel=1e-5)


def test_the_beginning_of_a_long_text_is_tokenised_as_in_the_whole(model):
    tokenizer = load_tokenizer(model)
    texts = [" ".join(sentences(300)), "a" * 50_000, " " * 50_000 + "b", "你好" * 10_000]
    for text, encoding in zip(texts, encode_heads(tokenizer, texts, 100), strict=True):
        assert encoding.ids[:100] == tokenizer.encode(text, add_special_tokens=False).ids[:100]


def test_batches_hold_every_item_once_within_the_budget():
    lengths = [random.Random(i).randint(1, 90) for i in range(200)]
    groups = batches_by_length(lengths, 256)
    assert sorted(i for group in groups for i in group) == list(range(200))
    assert all(max(lengths[i] for i in group) * len(group) <= 256 for group in groups)
    assert batches_by_length([500], 256) == [[0]]


def test_ifd_without_a_response_or_an_instruction_is_out_of_validity(model):
    chats = [
        None,
        [],
        [turn("user", "hello")],
        [turn("user", "hello"), turn("assistant", "")],
        [turn("user", "hello"), turn("assistant", None)],
        [turn("assistant", "I speak first")],
        [turn("user", "hello"), turn("assistant", "A fine morning to you.")],
        [turn("user", "hello"), turn("assistant", "A fine morning."), turn("user", "and now?")],
        [turn("user", "word " * 300), turn("assistant", "There is no room for this.")],
    ]
    batch = pa.RecordBatch.from_pydict({"messages": pa.array(chats, MESSAGES)})
    for form in ("ifd_cherry", "ifd_superfiltering"):
        for name in (f"{form}_stats", form):
            got = run(name, batch, model)["_state"].to_pylist()
            assert got == [states.OUT_OF_VALIDITY] * 6 + [states.VALUE] * 2 + [states.UNDEFINED]


def test_earlier_turns_are_part_of_the_instruction(model):
    last = [turn("user", "And the owl?"), turn("assistant", "The owl counts every star.")]
    history = [turn("system", "Be brief."), turn("user", "What does the fox do?"), turn("assistant", "It jumps.")]
    spelt = [
        turn("user", "system: Be brief.\n\nuser: What does the fox do?\n\nassistant: It jumps.\n\nuser: And the owl?")
    ]
    batch = pa.RecordBatch.from_pydict({"messages": pa.array([history + last, [*spelt, last[1]], last], MESSAGES)})
    values = run("ifd_superfiltering", batch, model, max_tokens=512)["ifd_superfiltering"].to_pylist()
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    assert values[0] != pytest.approx(values[2], rel=1e-3)


def test_more_tokens_than_positions_are_refused(model):
    with pytest.raises(BadInput, match="2048 positions"):
        run("lm_stats", batch_of(["x y"]), model, max_tokens=4096)


def test_bundled_model_finds_fluent_english_likelier_than_shuffled_words():
    fluent = (
        "The committee met on Tuesday to discuss the budget for the coming year. After a long debate the members "
        "agreed that the library should stay open on Sundays, and that the road by the river needs repair."
    )
    words = fluent.split()
    random.Random(1).shuffle(words)
    got = run("perplexity", batch_of([fluent, " ".join(words)]), "smollm2-135m")["perplexity"].to_pylist()
    assert 5 < got[0] < 60
    assert got[1] > 4 * got[0]
