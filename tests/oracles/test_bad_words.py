"""C4's list of bad words against datatrove's C4BadWordsFilter (data/bad_words_golden.json, make_bad_words.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from catalog import states
from catalog.plugins import Context, get_scorer
from flows.scorers.text.bad_words import lists

ORACLES = {
    "bad_words": "datatrove's C4BadWordsFilter",
}

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "bad_words_golden.json").read_text("utf-8"))
PAGES = Path(__file__).parents[2] / "examples/data/web_quality_dclm.jsonl"
FRAMES = ("{}", "it was {}, twice", "x{}", "{}y", "_{} and ({})!", "über{}", "A\n{}\n")


def _score(rows: list[tuple[str | None, str | None]], **params) -> dict[str, list]:
    scorer = get_scorer("bad_words")
    columns = {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(("text", "language"))}
    found = scorer.function(pa.record_batch(columns), Context(params=scorer.parse_params(params)))
    return {name: column.to_pylist() for name, column in found.items()}


def test_pages_have_datatroves_verdict():
    pages = [json.loads(line)["text"] for line in PAGES.read_text("utf-8").splitlines()]
    verdicts = [found for _, number, _, found in GOLDEN if number is None]
    counts = _score([(page, "en") for page in pages])["bad_words"]
    assert [count > 0 for count in counts] == verdicts and 5 < sum(verdicts) < 100


@pytest.mark.parametrize("code", sorted(lists()))
def test_entries_in_sentences_have_datatroves_verdict(code):
    rows = [(FRAMES[frame].format(*[lists()[code][number]] * 2), found)
            for name, number, frame, found in GOLDEN if name == code and number is not None]  # fmt: skip
    counts = _score([(text, code) for text, _ in rows], fold=False)["bad_words"]
    assert [count > 0 for count in counts] == [found for _, found in rows]
    assert any(found for _, found in rows)
    folded = _score([(text, code) for text, _ in rows])["bad_words"]
    assert all(more >= less for more, less in zip(folded, counts, strict=True))


def test_entries_count_each_time_and_per_length():
    word = next(entry for entry in lists()["en"] if entry.isalpha() and len(entry) == 4)
    found = _score([(f"{word} {word.upper()}, {word}s", "en"), ("nothing of it", "en")])
    assert found["bad_words"] == [2, 0]
    assert found["bad_words_per_1000"][0] == pytest.approx(2000 / 16)


def test_words_can_be_added_and_allowed():
    word = next(entry for entry in lists()["en"] if entry.isalpha())
    assert _score([(f"{word} Blimey!", "en")], add=["blimey"], allow=[word.upper()])["bad_words"] == [1]


def test_a_language_without_a_list_is_out_of_validity():
    found = _score([("some words", "sw"), ("some words", "unknown"), ("", "en"), (None, None), ("words", None)])
    out, undefined = states.OUT_OF_VALIDITY, states.UNDEFINED
    assert found["_state"] == [out, out, undefined, undefined, undefined] and found["bad_words"] == [None] * 5
