"""Writes data/datatrove_golden.json: what datatrove's functions say about data/web_texts.json.

Run it with the interpreter of an environment that holds datatrove[io,processing]==0.10.1 (it needs its own):

    python tests/oracles/make_datatrove_golden.py

For each text it records the words its English tokeniser found, the values that its Gopher and FineWeb filters compare
with thresholds, the lines its C4 filter keeps, and each filter's verdict.
"""

from __future__ import annotations

import json
import re
import unicodedata
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.gopher_repetition_filter import (
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words

DATA = Path(__file__).parent / "data"
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def quality(text: str, words: list[str]) -> dict:
    solid = [w for w in words if any(c not in PUNCTUATION_SET for c in w)]
    lines = text.splitlines()
    n = len(words)
    return {
        "word_count": len(solid),
        "mean_word_length": float(np.mean([len(w) for w in solid])) if solid else None,
        "hash_word_ratio": text.count("#") / n if n else None,
        "ellipsis_word_ratio": (text.count("...") + text.count("…")) / n if n else None,
        "bullet_line_share": sum(s.lstrip().startswith(("•", "-")) for s in lines) / len(lines) if lines else None,
        "ellipsis_line_share": sum(s.rstrip().endswith(("...", "…")) for s in lines) / len(lines) if lines else None,
        "alpha_word_share": sum(any(c.isalpha() for c in w) for w in words) / n if n else None,
        "stop_word_count": len(STOP_WORDS & set(words)),
    }


def repetition(text: str, words: list[str]) -> dict:
    paragraphs = re.split(r"\n{2,}", text.strip())
    lines = re.split(r"\n+", text)
    values = {}
    for name, items in (("para", paragraphs), ("line", lines)):
        number, chars = find_duplicates(items)
        values[f"dup_{name}_frac"] = number / len(items)
        values[f"dup_{name}_char_frac"] = chars / len(text)
    for n in (2, 3, 4):
        grams = get_n_grams(words, n)
        values[f"top_{n}gram_char_frac"] = find_top_duplicate(grams) / len(text) if grams else 0.0
    for n in range(5, 11):
        values[f"dup_{n}gram_char_frac"] = find_all_duplicate(words, n) / len(text)
    return values


def fineweb(text: str, words: list[str]) -> dict:
    lines = [line for line in text.split("\n") if line.strip()]
    solid = len(text.replace("\n", ""))
    return {
        "line_punct_ratio": sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines) / len(lines)
        if lines
        else None,
        "short_line_ratio": sum(len(line) <= 30 for line in lines) / len(lines) if lines else None,
        "char_dup_ratio": find_duplicates(lines)[1] / solid if solid else None,
        "newline_word_ratio": text.count("\n") / len(words) if words else None,
    }


def c4_kept(text: str) -> list[str]:
    """The lines it keeps; the two rules that drop a whole page are left out, as they are measures of their own."""
    document = Document(text=text, id="0")
    C4QualityFilter(min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False).filter(document)
    return document.text.split("\n") if document.text else []


def verdict(kind: type, text: str) -> str:
    try:
        found = kind().filter(Document(text=text, id="0"))
    except ZeroDivisionError:
        return "error"
    return "keep" if found is True else found[1]


def symbol_words(words: list[str]) -> list[str]:
    """Words it counts although none of their characters is a letter or a number (for example "•")."""
    counted = [w for w in words if any(c not in PUNCTUATION_SET for c in w)]
    return [w for w in counted if not any(unicodedata.category(c)[0] in "LN" for c in w)]


def main() -> None:
    texts = json.loads((DATA / "web_texts.json").read_text("utf-8"))["texts"]
    filters = (GopherQualityFilter, GopherRepetitionFilter, FineWebQualityFilter)
    golden = {}
    for name, text in texts.items():
        words = split_into_words(text)
        golden[name] = {
            "words": words,
            "symbol_words": symbol_words(words),
            "gopher_quality": quality(text, words),
            "gopher_repetition": repetition(text, words),
            "fineweb_lines": fineweb(text, words),
            "c4_kept": c4_kept(text),
            "verdicts": {kind.__name__: verdict(kind, text) for kind in filters},
        }
    source = f"datatrove {version('datatrove')}, spacy {version('spacy')}; written by make_datatrove_golden.py"
    out = {"source": source, "golden": golden}
    (DATA / "datatrove_golden.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
