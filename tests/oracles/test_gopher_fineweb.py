"""Gopher, FineWeb and C4 measures against datatrove's own functions and against one-character-at-a-time loops.

data/datatrove_golden.json holds datatrove's words and values for data/web_texts.json (make_datatrove_golden.py made it):
given the same words the measures must be equal. The loops below restate the rules in plain Python over strings.
"""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.scorers.text._chars import read_chars
from flows.scorers.text._lines import newline_lines, paragraphs, run_lines, text_lines
from flows.scorers.text._words import ABBREVIATIONS, given_words, split_words
from flows.scorers.text.c4_lines import Params as C4Params
from flows.scorers.text.c4_lines import line_rules
from flows.scorers.text.fineweb_lines import Params as LineParams
from flows.scorers.text.fineweb_lines import line_measures
from flows.scorers.text.gopher_quality import quality
from flows.scorers.text.gopher_repetition import repetition

ORACLES = {
    "gopher_quality": "datatrove 0.10.1 on its own words: equal; a plain loop over strings",
    "gopher_repetition": "datatrove 0.10.1 on its own words: equal; a plain loop over strings",
    "fineweb_lines": "datatrove 0.10.1 on its own words: equal; a plain loop over strings",
    "c4_lines": "datatrove 0.10.1 on its own words: equal; a plain loop over strings",
}

DATA = Path(__file__).parent / "data"
TEXTS = json.loads((DATA / "web_texts.json").read_text("utf-8"))["texts"]
GOLDEN = json.loads((DATA / "datatrove_golden.json").read_text("utf-8"))["golden"]
NAMES = list(GOLDEN)
STOP_WORDS = ["the", "be", "to", "of", "and", "that", "have", "with"]

CHARS = read_chars(pa.array([TEXTS[name] for name in NAMES]))
WORDS = given_words([GOLDEN[name]["words"] for name in NAMES])
QUALITY = quality(CHARS, WORDS, STOP_WORDS)
REPETITION = repetition(CHARS, WORDS)
LINES = line_measures(CHARS, WORDS, LineParams())


def _row(values: dict, row: int) -> dict:
    """Numbers of one row, None for undefined."""
    return {key: None if column[row] != column[row] else float(column[row]) for key, column in values.items()}


@pytest.mark.parametrize("name", NAMES)
def test_quality_equals_datatrove_on_its_words(name):
    ours, theirs = _row(QUALITY, NAMES.index(name)), dict(GOLDEN[name]["gopher_quality"])
    symbols = GOLDEN[name]["symbol_words"]  # it takes symbols that its table lacks ("•", emoji) for words
    count, mean = theirs.pop("word_count"), theirs.pop("mean_word_length")
    assert ours.pop("word_count") == count - len(symbols)
    length = ours.pop("mean_word_length")
    if count > len(symbols):
        expected = (mean * count - sum(map(len, symbols))) / (count - len(symbols))
        assert length == pytest.approx(expected, abs=1e-12)
    else:
        assert length is None
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_repetition_equals_datatrove_on_its_words(name):
    assert _row(REPETITION, NAMES.index(name)) == pytest.approx(GOLDEN[name]["gopher_repetition"], abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_line_measures_equal_datatrove_on_its_words(name):
    assert _row(LINES, NAMES.index(name)) == pytest.approx(GOLDEN[name]["fineweb_lines"], abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_thresholds_on_the_numbers_give_datatroves_verdicts(name):
    row = NAMES.index(name)
    verdicts = GOLDEN[name]["verdicts"]
    assert _repetitive(_row(REPETITION, row)) == (verdicts["GopherRepetitionFilter"] != "keep")
    if None not in _row(LINES, row).values():
        assert _bad_lines(_row(LINES, row)) == (verdicts["FineWebQualityFilter"] != "keep")
    if None not in _row(QUALITY, row).values():
        assert _bad_quality(_row(QUALITY, row)) == (verdicts["GopherQualityFilter"] != "keep")


def _repetitive(v: dict) -> bool:
    limits = {"dup_line_frac": 0.3, "dup_para_frac": 0.3, "dup_line_char_frac": 0.2, "dup_para_char_frac": 0.2}
    limits |= {f"top_{n}gram_char_frac": limit for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16))}
    limits |= {f"dup_{n}gram_char_frac": round(0.2 - n / 100, 2) for n in range(5, 11)}
    return any(v[key] > limit for key, limit in limits.items())


def _bad_lines(v: dict) -> bool:
    closed = v["line_punct_ratio"] < 0.12
    return closed or v["short_line_ratio"] > 0.67 or v["char_dup_ratio"] > 0.01 or v["newline_word_ratio"] > 0.3


def _bad_quality(v: dict) -> bool:
    size = not 50 <= v["word_count"] <= 100_000 or not 3 <= v["mean_word_length"] <= 10
    symbols = v["hash_word_ratio"] > 0.1 or v["ellipsis_word_ratio"] > 0.1
    lines = v["bullet_line_share"] > 0.9 or v["ellipsis_line_share"] > 0.3
    return size or symbols or lines or v["alpha_word_share"] < 0.8 or v["stop_word_count"] < 2


@pytest.mark.parametrize("name", NAMES)
def test_c4_keeps_the_lines_datatrove_keeps(name):
    values = line_rules(CHARS, C4Params())
    row = NAMES.index(name)
    kept = round(values["c4_kept_share"][row] * values["c4_lines"][row]) if values["c4_lines"][row] else 0
    assert kept == len(GOLDEN[name]["c4_kept"])
    assert (values["c4_sentences"][row] > 0) == bool(kept)


# -- loops over single strings -------------------------------------------------------------------------------------

ALPHABET = st.sampled_from(
    [*"aabbc the.,'’#-•…!?1_2:/@NtTSsdm \n\n\n\t\r\x0b\x85\u2028é\u0301日本カ👩\u200d👧\ufe0f\u00a0"]
    + [
        "the ",
        "a b ",
        "...",
        "n't ",
        "'s",
        " 's ",
        "'ll ",
        "’re ",
        "U.S. ",
        "J. ",
        "Mr. ",
        "Sept.",
        " vs. ",
        "|",
        " @-@ ",
        "http://a.b/c-d?e. ",
        "://",
    ]
)
TEXT = st.lists(ALPHABET, max_size=60).map("".join)
ROWS = st.lists(TEXT, min_size=1, max_size=5)


def _category(char: str) -> str:
    return "E" if char in "\ufe0f" else "M" if char == "\u200d" else unicodedata.category(char)[0]


def _naive_words(text: str) -> list[str]:
    """The rules of `_words` (split), one character at a time."""
    words: list[str] = []
    for i, char in enumerate(text):
        if char.isspace():
            continue
        before = text[i - 1] if i and not text[i - 1].isspace() else ""
        if before and _continues(text, i, before, char):
            words[-1] += char
        else:
            words.append(char)
    return words


def _in_link(text: str, i: int) -> bool:
    """Is the character within an address that began before it?"""
    for link in re.finditer("://", text):
        tail = re.match(r"[^\s<>()\[\]{}\"'`|]*", text[link.start() :])
        end = link.start() + len(tail[0].rstrip(".,;:!?"))
        start = link.start()
        while start and _category(text[start - 1]) in "LM" and text[start - 1] not in "\ufe0f":
            start -= 1
        if start < link.start() and end > link.start() + 3 and start < i < end:
            return True
    return False


def _leads(text: str, i: int) -> bool:
    """Does the character at i belong to the word behind it?"""
    if text[i] == "@" and not _word(_at(text, i - 1)) and _category(_at(text, i + 1)) in "LN":
        return True  # a mention: @name
    if text[i] == "@" or _at(text, i - 1) == "@":  # @-@
        first = i if text[i] == "@" else i - 1
        middle = _at(text, first + 1)
        return _at(text, first + 2) == "@" and not middle.isspace() and _category(middle) in "PSC" and i <= first + 1
    if i and not text[i - 1].isspace():
        return False
    if text[i] in "'’":
        tail = "".join(itertools.takewhile(_word, text[i + 1 :])).lower()
        return tail in ("s", "m", "d", "re", "ve", "ll")
    return text[i] in "|-" and _word(_at(text, i + 1))


def _alone(char: str) -> bool:
    return "ぁ" <= char <= "ヿ" or "一" <= char <= "鿿"


def _at(text: str, i: int) -> str:
    return text[i] if 0 <= i < len(text) else " "


def _word(char: str) -> bool:
    return _category(char) in "LMN"


def _joins(text: str, i: int) -> bool:
    """Is the punctuation at i within a word?"""
    char, left, right = text[i], _at(text, i - 1), _at(text, i + 1)
    kinds = _category(left) + _category(right)
    if char in "'’":
        return kinds == "LL"
    if char == ".":
        return kinds == "NN" or (kinds == "LL" and not (left.islower() and right.isupper()))
    return kinds == "NN" if char in ",:/" else char == "@" and set(kinds) <= set("LN")


def _initial(text: str, i: int) -> bool:
    before = _category(_at(text, i - 1)) == "L" and not _word(_at(text, i - 2)) and _at(text, i - 2) not in "'’"
    letters = "".join(itertools.takewhile(_word, text[:i][::-1]))[::-1]
    before = before or letters in ABBREVIATIONS.split()
    return text[i] == "." and before and _at(text, i + 1) != "." and not _joins(text, i)


def _clitic(text: str, i: int) -> bool:
    """Does an English clitic start at i?"""
    for quote in (i, i + 1):
        if _at(text, quote) in "'’" and _joins(text, quote):
            tail = "".join(itertools.takewhile(_word, text[quote + 1 :])).lower()
            nt = _at(text, quote - 1) in "nN" and tail == "t"
            if quote == i + nt and (nt or tail in ("s", "m", "d", "re", "ve", "ll")):
                return True
    return False


def _inside(text: str, i: int) -> bool:
    return text[i] == "_" or _word(text[i]) or (text[i] in "'’.,:/@" and _joins(text, i))


def _continues(text: str, i: int, before: str, char: str) -> bool:
    if _in_link(text, i) or _leads(text, i - 1):
        return True
    if _clitic(text, i):
        return False
    if char in "\u200d\ufe0f" or _category(char) == "M" or _initial(text, i):
        return True
    if before == "\u200d" and _category(char) in "SP":
        return True
    if _alone(char):
        return False
    return char == before or (_inside(text, i) and _inside(text, i - 1) and not _alone(before))


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_words_and_lines_equal_plain_python(rows):
    chars = read_chars(pa.array(rows))
    split, spaced = split_words(chars, "split"), split_words(chars, "whitespace")
    cut = {
        "words": (_strings(split), [_naive_words(text) for text in rows]),
        "spaced": (_strings(spaced), [text.split() for text in rows]),
        "splitlines": (_strings(text_lines(chars)), [text.splitlines() for text in rows]),
        "newlines": (_strings(newline_lines(chars)), [text.split("\n") for text in rows]),
        "runs": (_strings(run_lines(chars)), [re.split(r"\n+", text) for text in rows]),
        "paragraphs": (_strings(paragraphs(chars)), [re.split(r"\n{2,}", text.strip()) for text in rows]),
    }
    for name, (ours, theirs) in cut.items():
        assert ours == theirs, name


def _strings(spans) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(len(spans.chars))]
    for row, text in zip(spans.row, spans.chars.strings(spans.start, spans.end).to_pylist(), strict=True):
        rows[row].append(text)
    return rows


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_measures_equal_plain_python(rows):
    chars = read_chars(pa.array(rows))
    words = split_words(chars)
    ours = quality(chars, words, STOP_WORDS) | repetition(chars, words) | line_measures(chars, words, LineParams())
    for row, text in enumerate(rows):
        assert _row(ours, row) == pytest.approx(_naive(text, _strings(words)[row]), abs=1e-12), text


def _naive(text: str, words: list[str]) -> dict:
    lines, filled = text.splitlines(), [line for line in text.split("\n") if line.strip()]
    solid = [w for w in words if any(_category(c) in "LN" for c in w)]
    values = {
        "word_count": len(solid),
        "mean_word_length": _ratio(sum(map(len, solid)), len(solid)),
        "hash_word_ratio": _ratio(text.count("#"), len(words)),
        "ellipsis_word_ratio": _ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_line_share": _ratio(sum(line.strip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_line_share": _ratio(sum(line.strip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_word_share": _ratio(sum(any(c.isalpha() for c in w) for w in words), len(words)),
        "stop_word_count": len(set(STOP_WORDS) & set(words)),
        "line_punct_ratio": _ratio(sum(line.endswith((".", "!", "?")) for line in filled), len(filled)),
        "short_line_ratio": _ratio(sum(len(line) <= 30 for line in filled), len(filled)),
        "char_dup_ratio": _ratio(_duplicates(filled)[1], len(text.replace("\n", ""))),
        "newline_word_ratio": _ratio(text.count("\n"), len(words)),
    }
    for name, items in (("line", re.split(r"\n+", text)), ("para", re.split(r"\n{2,}", text.strip()))):
        number, held = _duplicates(items)
        values[f"dup_{name}_frac"] = number / len(items) if text else None
        values[f"dup_{name}_char_frac"] = _ratio(held, len(text))
    for n in (2, 3, 4):
        grams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
        top = max(grams, key=grams.__getitem__, default="")
        values[f"top_{n}gram_char_frac"] = _ratio(len(top) * grams[top], len(text))
    for n in range(5, 11):
        values[f"dup_{n}gram_char_frac"] = _ratio(_stepped_over(words, n), len(text))
    return values


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _duplicates(items: list[str]) -> tuple[int, int]:
    again = [item for i, item in enumerate(items) if item in items[:i]]
    return len(again), sum(map(len, again))


def _stepped_over(words: list[str], n: int) -> int:
    seen, held, i = set(), 0, 0
    while i <= len(words) - n:
        gram = tuple(words[i : i + n])
        if gram in seen:
            held, i = held + sum(map(len, gram)), i + n
        else:
            seen.add(gram)
            i += 1
    return held
