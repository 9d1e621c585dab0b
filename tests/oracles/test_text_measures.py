"""Readability, lexical diversity, RedPajama signals and ZIP ratios against their packages (data/text_golden.json)."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import Context, get_scorer
from flows.scorers.text.compression import ratio
from flows.scorers.text.lexical_diversity import mtld
from flows.scorers.text.readability import Counts, count, formulas, syllables
from flows.scorers.text.rpv2_signals import signals

ORACLES = {
    "readability": "textstat on its counts; the printed formulas",
    "lexical_diversity": "lexicalrichness on its words",
    "rpv2_signals": "RedPajama-Data's own functions",
    "compression": "ZIP's ratio to the bit; zlib",
}

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "data/text_golden.json").read_text("utf-8"))


def _texts() -> list[str]:
    held = list(json.loads((HERE / "data/web_texts.json").read_text("utf-8"))["texts"].values())
    pages = (HERE.parents[1] / "examples/data/web_quality_dclm.jsonl").read_text("utf-8").splitlines()[:200:5]
    return held + [json.loads(line)["text"][:1500] for line in pages]


TEXTS = _texts()
PAIRS = list(zip(TEXTS, GOLDEN, strict=True))


def _score(name: str, texts: list[str]) -> dict[str, list]:
    scorer = get_scorer(name)
    ctx = Context(params=scorer.parse_params({}))
    found = scorer.function(pa.record_batch({"text": pa.array(texts, pa.string())}), ctx)
    return {key: column.to_pylist() for key, column in found.items()}


@pytest.mark.parametrize(("text", "golden"), PAIRS, ids=range(len(PAIRS)))
def test_signals_equal_redpajamas(text, golden):
    ours, theirs = signals(text) if text.strip() else {}, golden["rpv2"]
    if "👩" in text:  # NLTK 3.10 cuts emoji of several parts, the pattern of WordPunct does not
        del ours["rps_no_latin_word_share"], theirs["rps_no_latin_word_share"]
    if ours:
        assert ours == pytest.approx(theirs, abs=1e-6)  # it rounds to eight digits


@pytest.mark.parametrize(("text", "golden"), PAIRS, ids=range(len(PAIRS)))
def test_readability_equals_textstat_on_its_counts(text, golden):
    t = golden["textstat"]
    if not t["words"]:
        return
    ours = formulas(Counts(t["words"], t["sentences"], t["syllables"], t["polysyllables"], t["letters"]))
    for name in ("flesch_ease", "flesch_kincaid", "smog"):
        assert ours[name] == pytest.approx(t[name], abs=1e-9), name
    rounded = 0.08 * t["letters"] / t["words"]  # it rounds the 0.0588 of the paper to 0.058
    assert ours["coleman_liau"] - rounded == pytest.approx(t["coleman_liau"], abs=1e-9)


def test_fog_and_ari_are_the_printed_formulas():
    """100 words in 5 sentences, 10 of them hard, 450 letters, 150 syllables."""
    ours = formulas(Counts(100, 5, 150, 10, 450))
    assert ours["gunning_fog"] == pytest.approx(0.4 * (20 + 10))
    assert ours["ari"] == pytest.approx(4.71 * 4.5 + 0.5 * 20 - 21.43)
    assert ours["flesch_ease"] == pytest.approx(206.835 - 20.3 - 126.9)


def test_counts_equal_textstats_and_syllables_come_close():
    pairs = [(count(text), golden["textstat"]) for text, golden in PAIRS]
    for ours, theirs in pairs:
        assert (ours.words, ours.sentences) == (theirs["words"], theirs["sentences"])
    long = [(ours, theirs) for ours, theirs in pairs if theirs["words"] >= 50]
    assert len(long) > 30
    for ours, theirs in long:
        assert abs(ours.letters - theirs["letters"]) <= 0.01 * theirs["letters"] + 2
        assert ours.syllables / theirs["syllables"] == pytest.approx(1, abs=0.25)


SYLLABLES = (
    "the 1 water 2 reading 2 created 3 idea 3 science 2 beautiful 3 university 5 table 2 houses 2 walked 1 wanted 2"
)
SYLLABLES += (
    " every 2 make 1 makes 1 people 2 international 5 business 2 readability 5 quiet 2 radio 3 being 2 area 3 eye 1"
)


def test_syllables_of_words_whose_number_a_dictionary_gives():
    words = SYLLABLES.split()
    wrong = {w: syllables(w) for w, n in zip(words[::2], words[1::2], strict=True) if syllables(w) != int(n)}
    assert len(wrong) <= 3, wrong


@pytest.mark.parametrize(("text", "golden"), PAIRS, ids=range(len(PAIRS)))
def test_mtld_equals_lexicalrichness_on_its_words(text, golden):
    theirs = golden["diversity"]
    if theirs["words"]:
        numbers = {word: i for i, word in enumerate(dict.fromkeys(theirs["words"]))}
        ours = mtld([numbers[word] for word in theirs["words"]], 0.72)
        assert ours == pytest.approx(theirs["mtld"], abs=1e-9)


def test_diversity_end_to_end_ranks_as_lexicalrichness():
    from scipy.stats import spearmanr

    ours = _score("lexical_diversity", TEXTS)
    keep = [i for i, golden in enumerate(GOLDEN) if len(golden["diversity"]["words"]) >= 50]
    for name, key in (("type_token_ratio", "ttr"), ("mtld", "mtld")):
        theirs = [GOLDEN[i]["diversity"][key] for i in keep]
        assert spearmanr([ours[name][i] for i in keep], theirs).statistic > 0.93, name


@pytest.mark.parametrize(("text", "golden"), PAIRS, ids=range(len(PAIRS)))
def test_compression_is_zips_to_the_bit(text, golden):
    assert ratio(text) == golden["zip"]


def test_compression_is_the_closed_form():
    data = b"['" + b"ab" * 500 + b"']"
    assert ratio("ab" * 500) == len(data) / len(zlib.compress(data, 9)) > 20
    assert _score("compression", ["", "x"])["compression_ratio"] == pytest.approx([4 / 12, 5 / 13])
    assert np.isclose(_score("compression", ["ab" * 500])["compression_ratio"][0], ratio("ab" * 500))
