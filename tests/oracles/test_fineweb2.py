"""FineWeb2's rules against datatrove's filters with the released configurations (data/fineweb2_golden.json)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.scorers.text._chars import read_chars
from flows.scorers.text._words import given_words
from flows.scorers.text.fineweb2 import Params, broken_rules, judge, settings, stop_words_of
from flows.scorers.text.fineweb_lines import Params as LineParams
from flows.scorers.text.fineweb_lines import line_measures
from flows.scorers.text.gopher_quality import quality
from flows.scorers.text.gopher_repetition import repetition

ORACLES = {
    "fineweb2": "datatrove's filters with the released configurations: the same rules broken, verdicts by language",
}

HELD = json.loads((Path(__file__).parent / "data/fineweb2_golden.json").read_text("utf-8"))
RULES = {
    "dup_line_frac": "dup_line_frac",
    "line_punct_ratio": "line_punct_ratio",
    "char_dup_ratio": "char_dup_ratio",
    "newline_word_ratio": "list_ratio",
    "alpha_word_share": "gopher_below_alpha_threshold",
    "stop_words": "gopher_enough_stop_words",
    "word_count": "gopher_short_doc",
} | {f"dup_{n}gram_char_frac": f"duplicated_{n}_n_grams" for n in range(5, 11)}
RULES |= {f"top_{n}gram_char_frac": f"top_{n}_gram" for n in (2, 3, 4)}


@pytest.mark.parametrize(
    "row",
    [row for row in HELD["rows"] if "words" in row],
    ids=lambda row: f"{row['language']}-{'+'.join(row['verdicts'])}",
)
def test_on_the_originals_words_the_same_rules_are_broken(row):
    """Its filters stop at the first broken rule: each verdict must be among ours, and `keep` must be kept by all."""
    chars, words, code = read_chars(pa.array([row["text"]])), given_words([row["words"]]), row["language"]
    values = quality(chars, words, []) | repetition(chars, words) | line_measures(chars, words, LineParams())
    stop_words = np.array([len(set(row["words"]) & set(settings()[code]["stop_words"]))])
    broken = broken_rules(values, values["word_count"], stop_words, code, Params())
    ours = {RULES[name] for name, hit in broken.items() if hit[0]}
    theirs = {verdict for verdict in row["verdicts"] if verdict != "keep"}
    assert theirs <= ours and bool(ours) == bool(theirs), (ours, theirs)


def test_verdicts_with_our_own_words_agree():
    """A third of the pieces are Markdown with links, which every tokeniser cuts differently."""
    agreed: dict[str, list[bool]] = defaultdict(list)
    for code in {row["language"] for row in HELD["rows"]}:
        rows = [row for row in HELD["rows"] if row["language"] == code]
        _, broken, _, _ = judge(pa.array([row["text"] for row in rows]), code, Params())
        theirs = [any(verdict != "keep" for verdict in row["verdicts"]) for row in rows]
        agreed[code] = [bool(n) == drop for n, drop in zip(broken, theirs, strict=True)]
    share = sum(map(sum, agreed.values())) / sum(map(len, agreed.values()))
    assert len(agreed) == 20 and share > 0.88, {code: sum(v) / len(v) for code, v in agreed.items()}


def test_thresholds_are_the_published_ones():
    """Read from configs/ of the repository: German, Chinese, Japanese."""
    german, chinese, japanese = (settings()[code] for code in ("de", "zh", "ja"))
    assert german["max"]["dup_line_frac"] == 0.263 and german["max"]["mean_word_length"] == 15
    assert german["stop_words"][:4] == ["der", "und", "die", "in"] and len(german["stop_words"]) == 15
    assert chinese["max"]["top_2gram_char_frac"] == 0.256 and chinese["min"]["line_punct_ratio"] == 0.106
    assert japanese["min"]["alpha_word_share"] == 0.759 and japanese["max"]["newline_word_ratio"] == 0.13
    assert len(settings()) > 160 and "en" not in settings()


def test_stop_words_of_languages_without_spaces_are_found_inside_phrases():
    texts = pa.array(["日本語の文を書きます", "ABC", None])
    assert stop_words_of(read_chars(texts), texts, "ja").tolist() == [
        sum(word in "日本語の文を書きます" for word in settings()["ja"]["stop_words"]),
        0,
        0,
    ]
    assert Counter(settings()["ja"]["stop_words"])["の"] == 1
