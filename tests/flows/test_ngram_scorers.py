"""DSIR, overlap with evals and the linear classifier: planted signals, edge rows, reports, refusals, golden values."""

from __future__ import annotations

import hashlib
import json
import random
import re
from pydoc_data.topics import topics

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import REGISTRY, Context, EvalSet
from flows.scorers.ngram import dsir, eval_overlap, quality_linear  # noqa: F401  (importing registers the scorers)
from flows.scorers.ngram._agreement import auc_delong, auc_of
from flows.scorers.ngram._hashing import ngram_hashes, word_hashes

ORACLES = {
    "quality_linear": "the trained model's own probabilities; DeLong's interval by hand and by simulation",
}

EDGE = ["", " \n\t", None, "x", "你好世界" * 30, "שלום עולם", "a\u0000b\ufffe", "🎉🎉 ❤️", "é" * 5000, "wörd " * 20_000]


def scan_of(texts, rows=1024, meta=None):
    def scan(columns=None):
        for start in range(0, len(texts), rows):
            yield batch_of(texts[start : start + rows], start, meta and meta[start : start + rows])

    return scan


def batch_of(texts, start=0, meta=None):
    return pa.record_batch(
        {
            "sample_id": pa.array([f"{start + i:032x}" for i in range(len(texts))], pa.string()),
            "content_id": pa.array([hashlib.md5(repr(text).encode()).hexdigest() for text in texts], pa.string()),
            "text": pa.array(texts, pa.string()),
            "meta": pa.array(meta or [None] * len(texts), pa.string()),
        }
    )


def fitted(name, rows, seed=0, target=None, evals=(), **params):
    plugin = REGISTRY["scorer"][name]
    ctx = Context(params=plugin.parse_params(params), seed=seed, target=target, evals=evals)
    ctx.state = plugin.fit(scan_of(rows), ctx)
    for value in ctx.state.values():
        assert isinstance(value, np.ndarray) or json.dumps(value)
    return ctx


def score(name, ctx, texts, rows=1024):
    plugin, parts = REGISTRY["scorer"][name], []
    for batch in scan_of(texts, rows)() if texts else [batch_of([])]:
        parts.append(plugin.function(batch, ctx))
        for out in plugin.writes:
            assert parts[-1][out.name].type == out.type and len(parts[-1][out.name]) == batch.num_rows
    return {key: [value for part in parts for value in part[key].to_pylist()] for key in parts[0]}


@pytest.fixture(scope="module")
def paragraphs():
    found = [" ".join(part.split()) for topic in sorted(topics) for part in topics[topic].split("\n\n")]
    chosen = sorted({part for part in found if 20 <= len(part.split()) <= 120})
    random.Random(0).shuffle(chosen)
    return chosen[:600]


CODE = [f"def f{i}(x): return [y ** {i} for y in range(x) if y % {i + 2}]  # keeps {i} of them" for i in range(60)]


def fitted_on_prose(name, paragraphs):
    labelled = [json.dumps({"label": i % 2}) for i in range(60)]
    mixed = [CODE[i] if i % 2 else paragraphs[i] for i in range(60)]
    on = {
        "dsir": {"target": scan_of(CODE)},
        "eval_overlap": {"evals": (EvalSet("e@v1", scan_of(paragraphs[:50])),)},
        "quality_linear": {"target": scan_of(mixed, meta=labelled)},
    }
    return fitted(name, paragraphs, **on[name])


@pytest.mark.parametrize("name", ["dsir", "eval_overlap", "quality_linear"])
def test_edge_rows_and_batch_sizes(paragraphs, name):
    ctx = fitted_on_prose(name, paragraphs)
    rows = EDGE + paragraphs[:60] + CODE[:20] + EDGE
    whole = score(name, ctx, rows)
    assert all(score(name, ctx, rows, rows=size) == whole for size in (1, 7, 33))
    assert whole[name][2] is None and whole["_state"][2] == states.UNDEFINED
    assert all(
        (value is None) == (state != states.VALUE) for value, state in zip(whole[name], whole["_state"], strict=True)
    )
    low, high = REGISTRY["scorer"][name].out(name).range
    held = [value for value in whole[name] if value is not None]
    assert all(np.isfinite(held)) and len(held) >= len(rows) - 8
    assert (low is None or min(held) >= low) and (high is None or max(held) <= high)
    assert all(column == [] for column in score(name, ctx, []).values())


# -- DSIR ----------------------------------------------------------------------------------------------------------


def test_dsir_prefers_the_target_and_reports_the_kl_reduction(paragraphs):
    code = ["\n".join(CODE[i : i + 12]) for i in range(48)]
    rows = paragraphs + code
    ctx = fitted("dsir", rows, target=scan_of(code[:30]))
    weight = score("dsir", ctx, rows)["dsir"]
    assert min(weight[600:630]) > max(weight[:600])
    report = ctx.state["report"]
    long = sum(len(re.findall(r"\w+|[^\w\s]+", row)) >= 100 for row in rows)
    assert (report["raw_rows"], report["target_rows"], report["kl_rows"]) == (648, 30, long // 10)
    assert report["kl_reduction"] == pytest.approx(report["kl_random"] - report["kl_selected"])
    assert report["kl_selected"] < report["kl_random"] / 2
    assert ctx.state["log_ratio"].shape == (10_000,)
    same = fitted("dsir", rows, target=scan_of(rows))
    assert abs(same.state["report"]["kl_target_from_raw"]) < 1e-12 and not same.state["log_ratio"].any()


def test_dsir_on_no_rows_and_on_targets_without_text(paragraphs):
    ctx = fitted("dsir", [], target=scan_of(paragraphs[:5]))
    assert ctx.state["report"]["raw_rows"] == 0 and ctx.state["report"]["kl_reduction"] is None
    assert fitted("dsir", [None, ""], target=scan_of(paragraphs[:5])).state["report"]["raw_ngrams"] == 0
    with pytest.raises(BadInput, match="the target has no text"):
        fitted("dsir", paragraphs, target=scan_of([None, " "]))
    with pytest.raises(BadInput, match="needs a target dataset"):
        fitted("dsir", paragraphs)


def test_dsir_golden():
    ctx = fitted("dsir", ["the cat sat on the mat", "stocks fell on monday"], target=scan_of(["a cat sat"]))
    got = score("dsir", ctx, ["the cat sat", "stocks fell", "unseen words"])["dsir"]
    assert got == pytest.approx([-27.91096427628609, -46.59092749816856, 0.0], abs=1e-9)


def test_hash_golden():
    """Stored near-duplicate signatures, eval indexes and classifier weights rest on these numbers."""
    hashes, offsets = word_hashes(["Hello, wörld 世界"])
    assert hashes.tolist() == [4709949849595525731, 10852321091658830041, 12097914179227013719, 13414055907294797739]
    assert ngram_hashes(hashes, offsets, 4)[0].tolist() == [10208358710913586395]


# -- overlap with evals ----------------------------------------------------------------------------------------------


def words(count, first=0):
    return " ".join(f"word{first + i}" for i in range(count))


def test_planted_items_are_found_and_clean_text_is_not(paragraphs):
    item, other = paragraphs[0], paragraphs[1]
    evals = (EvalSet("one@v2", scan_of([item, "too short", None])), EvalSet("two@v1", scan_of([other, item])))
    ctx = fitted("eval_overlap", [], evals=evals)
    rows = [
        item,
        item.upper().replace(" ", " \n "),
        item.replace(",", " ,, ").replace(".", " ... "),
        f"{words(len(item.split()))} {item}",
        paragraphs[2],
        other,
        "",
    ]
    got = score("eval_overlap", ctx, rows)
    share, hits, source = got["eval_overlap"], got["eval_overlap_hits"], got["eval_overlap_source"]
    assert share[:3] == [1, 1, 1] and hits[0] == hits[1] == hits[2] == hits[3] > 0
    assert 0.3 < share[3] < 0.8
    assert share[4:] == [0, 1, 0] and hits[4] == hits[6] == 0
    assert source == ["one@v2"] * 4 + [None, "two@v1", None]
    one, two = ctx.state["report"]["evals"]
    assert (one["ref"], one["items"], one["too_short"], [entry[1:] for entry in one["untested"]]) == (
        "one@v2", 3, 2, [["text", 2], ["text", 0]]
    )  # fmt: skip
    assert (two["ref"], two["items"], two["too_short"], two["untested"]) == ("two@v1", 2, 0, [])


def test_items_of_8_to_12_words_match_whole_and_longer_ones_by_13(paragraphs):
    ctx = fitted("eval_overlap", [], evals=(EvalSet("e@v1", scan_of([words(8), words(7, 100), words(20, 200)])),))
    rows = [f"x {words(8)} y", words(7), f"x {words(7, 100)} y", words(12, 200), words(13, 204), words(30, 195)]
    got = score("eval_overlap", ctx, rows)
    assert got["eval_overlap"] == pytest.approx([0.8, 0, 0, 0, 1, 20 / 30])
    assert got["eval_overlap_hits"] == [1, 0, 0, 0, 1, 8]
    assert ctx.state["report"]["ngrams"] == {"8": 1, "13": 8}


def test_overlap_without_spaces_and_with_full_width_forms():
    item = "敏捷的棕色狐狸跳过了那只懒狗然后回家"
    ctx = fitted("eval_overlap", [], evals=(EvalSet("zh@v1", scan_of([item, words(13)])),))
    got = score("eval_overlap", ctx, [f"昨天，{item}。", item[:5] + "很" + item[5:10], words(13).replace("w", "ｗ")])
    assert got["eval_overlap"] == pytest.approx([18 / 20, 0, 1])


def test_overlap_refuses_without_evals_and_takes_empty_ones():
    with pytest.raises(BadInput, match="no dataset has role eval"):
        fitted("eval_overlap", [])
    ctx = fitted("eval_overlap", [], evals=(EvalSet("e@v1", scan_of([])), EvalSet("short@v1", scan_of(["a b c"]))))
    assert score("eval_overlap", ctx, [words(40), None])["eval_overlap"] == [0, None]
    with pytest.raises(BadInput, match="shortest 8 is above n 5"):
        REGISTRY["scorer"]["eval_overlap"].parse_params({"n": 5})


# -- linear classifier ----------------------------------------------------------------------------------------------


def labelled(paragraphs, value=lambda better: int(better)):
    texts = [part for pair in zip(paragraphs[:60], CODE, strict=True) for part in pair]
    return texts, [json.dumps({"label": value(i % 2 == 0), "other": i}) for i in range(len(texts))]


def test_classifier_learns_and_reports_out_of_sample_agreement(paragraphs):
    texts, meta = labelled(paragraphs)
    ctx = fitted("quality_linear", [], target=scan_of([*texts, "no label", None], meta=[*meta, "{}", '{"label": 1}']))
    report = ctx.state["report"]
    assert (report["rows"], report["positive"], report["unlabelled"], report["folds"]) == (120, 60, 2, 5)
    assert report["auc_low"] <= report["auc"] <= report["auc_high"] and report["auc"] > 0.99
    assert "DeLong" in report["interval"] and -1 <= report["correlation_with_log_length"] <= 1
    got = score("quality_linear", ctx, paragraphs[60:160] + ["def g(x): return x ** 2", None])["quality_linear"]
    assert np.mean(got[:100]) > 0.8 and got[100] < 0.5 and got[101] is None


def test_labels_that_say_nothing_give_an_interval_around_a_half(paragraphs):
    labels = np.random.default_rng(1).permutation([0, 1] * 150)
    meta = [json.dumps({"label": int(label)}) for label in labels]
    report = fitted("quality_linear", [], target=scan_of(paragraphs[:300], meta=meta)).state["report"]
    assert report["auc_low"] < 0.5 < report["auc_high"] and report["auc_high"] - report["auc_low"] < 0.15


def test_copies_of_one_text_never_train_and_test_each_other(paragraphs):
    """Random labels, each text four times with the same label: leaking folds would score near 1."""
    labels = np.random.default_rng(0).permutation([0, 1] * 40)
    texts = [text for text in paragraphs[:80] for _ in range(4)]
    meta = [json.dumps({"label": int(label)}) for label in labels for _ in range(4)]
    assert fitted("quality_linear", [], target=scan_of(texts, meta=meta)).state["report"]["auc"] < 0.75


@pytest.mark.parametrize(("value", "positive"), [(bool, "true"), (lambda b: "good" if b else "bad", "good")])
def test_labels_of_any_json_type(paragraphs, value, positive):
    texts, meta = labelled(paragraphs, value)
    ctx = fitted("quality_linear", [], target=scan_of(texts, meta=meta), positive=positive)
    assert ctx.state["report"]["positive"] == 60


def test_classifier_equals_the_model_that_was_trained(paragraphs):
    from flows.scorers.ngram._linear import train_logistic, unit_matrix

    texts, meta = labelled(paragraphs)
    ctx = fitted("quality_linear", [], target=scan_of(texts, meta=meta), buckets=4096)
    model = train_logistic(unit_matrix(texts, 4096), np.arange(120) % 2 == 0, 10.0)
    want = model.predict_proba(unit_matrix(paragraphs[:200], 4096))[:, 1]
    assert score("quality_linear", ctx, paragraphs[:200])["quality_linear"] == pytest.approx(want, abs=1e-6)


def test_classifier_refuses_targets_it_cannot_learn_from(paragraphs):
    texts, meta = labelled(paragraphs)
    with pytest.raises(BadInput, match="the target has 19 rows"):
        fitted("quality_linear", [], target=scan_of(texts[:19], meta=meta[:19]))
    with pytest.raises(BadInput, match="'grade', 0 of them '1'"):
        fitted("quality_linear", [], target=scan_of(texts, meta=meta), label="grade")
    with pytest.raises(BadInput, match="120 rows with meta field 'label', 0 of them 'A'"):
        fitted("quality_linear", [], target=scan_of(texts, meta=meta), positive="A")
    one = [json.dumps({"label": int(i == 0)}) for i in range(120)]
    with pytest.raises(BadInput, match="a single row"):
        fitted("quality_linear", [], target=scan_of(texts, meta=one))


def test_area_and_interval_by_hand():
    labels = np.array([1, 1, 1, 0, 0], bool)
    value = np.array([0.9, 0.8, 0.3, 0.3, 0.1])
    assert auc_of(labels, value) == pytest.approx(5.5 / 6)
    area, low, high = auc_delong(labels, value)
    variance = np.var([1, 1, 0.75], ddof=1) / 3 + np.var([2.5 / 3, 1], ddof=1) / 2
    assert area == pytest.approx(5.5 / 6) and high == 1
    assert low == pytest.approx(5.5 / 6 - 1.959963984540054 * np.sqrt(variance))


def test_interval_covers_the_true_area():
    """Normal scores one standard deviation apart have an area of 0.760; 95 % of intervals should hold it."""
    rng, covered = np.random.default_rng(0), 0
    labels = np.arange(160) % 2 == 0
    for _ in range(300):
        _, low, high = auc_delong(labels, rng.normal(size=160) + labels)
        covered += low <= 0.7602499389065233 <= high
    assert 0.91 <= covered / 300 <= 0.985
