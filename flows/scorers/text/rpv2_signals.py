"""Document signals of RedPajama-V2 (Weber et al. 2024, arXiv:2411.12372) that the Gopher, C4 and FineWeb columns lack.

Raw words are runs of word characters and runs of punctuation (NLTK's WordPunct); normalised words are those of the text
without ASCII punctuation, in lower case, cut at white space, in NFD. Entropy is in nats. The line signals of RedPajama
(uppercase, numbers, words) are given as means over the lines, normalised for numbers and words. The signals need
no word list; those that do (LDNOOBW, UT1, stop words) are not here.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter

import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._rows import Values, score_rows

RAW_WORD = re.compile(r"\w+|[^\w\s]+")
SENTENCE = re.compile(r"\b[^.!?]+[.!?]*")
LINE = re.compile(r"[^\n]*\n|[^\n]+$")
LATIN = re.compile(r"[a-zA-Z]")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

OUTS = (
    Out("rps_sentences", pa.int32(), "sentences: runs up to . ! or ?", range=(0, None)),
    Out("rps_unique_word_share", pa.float32(), "different normalised words per normalised word", "higher", (0, 1)),
    Out("rps_unigram_entropy", pa.float32(), "entropy of the normalised words, in nats", "higher", (0, None)),
    Out("rps_caps_word_share", pa.float32(), "share of raw words in capitals only", "lower", (0, 1)),
    Out("rps_no_latin_word_share", pa.float32(), "share of raw words without a letter A to Z", "lower", (0, 1)),
    Out("rps_curly_bracket_ratio", pa.float32(), "curly brackets per character", "lower", (0, 1)),
    Out(
        "rps_lorem_ipsum_ratio", pa.float32(), "occurrences of 'lorem ipsum' per normalised character", "lower", (0, 1)
    ),
    Out("rps_line_uppercase_share", pa.float32(), "share of uppercase characters of a line, mean", "lower", (0, 1)),
    Out("rps_line_numeric_share", pa.float32(), "share of numeric characters of a line, mean", "lower", (0, 1)),
    Out("rps_line_words", pa.float32(), "words of a line, mean", range=(0, None)),
)


def normalize(text: str) -> str:
    """Without ASCII punctuation, lower case, single spaces, NFD."""
    return unicodedata.normalize("NFD", " ".join(text.translate(NO_PUNCTUATION).lower().split()))


def signals(text: str) -> Values:
    """The signals of one text that is not empty."""
    raw, normal = RAW_WORD.findall(text), normalize(text)
    counts = Counter(normal.split())
    total = sum(counts.values())
    lines = LINE.findall(text)
    plain = [normalize(line) for line in lines]
    return {
        "rps_sentences": len(SENTENCE.findall(text)),
        "rps_unique_word_share": len(counts) / total if total else None,
        "rps_unigram_entropy": sum(-n / total * math.log(n / total) for n in counts.values()) if total else None,
        "rps_caps_word_share": sum(map(str.isupper, raw)) / len(raw) if raw else None,
        "rps_no_latin_word_share": 1 - sum(LATIN.search(word) is not None for word in raw) / len(raw) if raw else None,
        "rps_curly_bracket_ratio": (text.count("{") + text.count("}")) / len(text),
        "rps_lorem_ipsum_ratio": normal.count("lorem ipsum") / len(normal) if normal else None,
        "rps_line_uppercase_share": sum(sum(map(str.isupper, line)) / len(line) for line in lines) / len(lines),
        "rps_line_numeric_share": sum(sum(map(str.isnumeric, line)) / len(line) for line in plain if line) / len(lines),
        "rps_line_words": sum(len(line.split()) for line in plain) / len(lines),
    }


@scorer(
    "rpv2_signals",
    version="1",
    reads=["text"],
    writes=OUTS,
    cost="cpu",
    citation="Weber et al. 2024, arXiv:2411.12372",
    stage="filter",
)
def rpv2_signals(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_rows(batch["text"], OUTS, signals)
