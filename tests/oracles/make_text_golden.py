"""Writes data/text_golden.json: readability, lexical diversity, RedPajama signals and ZIP ratios by their own packages.

Run it with an interpreter that holds textstat==0.7.13, lexicalrichness==0.5.1, nltk==3.9.1 or later, and clones of
github.com/togethercomputer/RedPajama-Data and github.com/USTC-StarTeam/ZIP:

    python tests/oracles/make_text_golden.py path/to/RedPajama-Data path/to/ZIP

The texts are the English ones of data/web_texts.json and the first 1,500 characters of pages in examples/data.
"""

from __future__ import annotations

import ast
import json
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def texts() -> list[str]:
    """The texts in order; `test_text_measures` builds the same list."""
    held = list(json.loads((HERE / "data/web_texts.json").read_text("utf-8"))["texts"].values())
    pages = (ROOT / "examples/data/web_quality_dclm.jsonl").read_text("utf-8").splitlines()[:200:5]
    return held + [json.loads(line)["text"][:1500] for line in pages]


def textstat_of(text: str) -> dict:
    import textstat as t

    return {
        "words": t.lexicon_count(text),
        "sentences": t.sentence_count(text),
        "syllables": t.syllable_count(text),
        "polysyllables": t.polysyllabcount(text),
        "letters": t.letter_count(text),
        "chars": t.char_count(text),
        "flesch_ease": t.flesch_reading_ease(text),
        "flesch_kincaid": t.flesch_kincaid_grade(text),
        "smog": t.smog_index(text),
        "coleman_liau": t.coleman_liau_index(text),
        "ari": t.automated_readability_index(text),
    }


def without_dictionary() -> None:
    """textstat downloads the CMU dictionary; without it every word is hyphenated by pyphen."""
    from importlib import import_module

    import_module("textstat.backend.counts._count_syllables").get_cmudict = lambda lang: {}


def diversity_of(text: str) -> dict:
    from lexicalrichness import LexicalRichness

    lex = LexicalRichness(text)
    return {"words": lex.wordlist, "ttr": lex.ttr if lex.words else None, "mtld": lex.mtld() if lex.words else None}


def signals_of(text: str) -> dict:
    from core.document import Document
    from core.quality_signals import content, lines, natural_language

    document = Document(text, domain=None)
    natural = {
        "rps_sentences": natural_language.RPS_Doc_Num_Sentences,
        "rps_unique_word_share": natural_language.RPS_Doc_Frac_Unique_Words,
        "rps_unigram_entropy": natural_language.RPS_Doc_Unigram_Entropy,
        "rps_caps_word_share": natural_language.RPS_Doc_Frac_All_Caps_Words,
        "rps_no_latin_word_share": natural_language.RPS_Doc_Frac_No_Alph_Words,
        "rps_curly_bracket_ratio": content.RPS_Doc_Curly_Bracket,
        "rps_lorem_ipsum_ratio": content.RPS_Doc_Lorem_Ipsum,
    }
    found = {name: kind()(document)[0][2] for name, kind in natural.items()}
    for name, kind in {
        "rps_line_uppercase_share": lines.RPS_Lines_Uppercase_Letter_Fraction,
        "rps_line_numeric_share": lines.RPS_Lines_Numerical_Chars_Fraction,
        "rps_line_words": lines.RPS_Lines_Num_Words,
    }.items():
        each = [score for _, _, score in kind()(document)]
        found[name] = sum(each) / len(each)
    return found


def zip_function(repo: Path):
    """get_compression_ratio of ZIP.py, without the imports of the file."""
    tree = ast.parse((repo / "ZIP.py").read_text("utf-8"))
    body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "get_compression_ratio"]
    space: dict = {"zlib": zlib}
    exec(compile(ast.Module(body, []), "ZIP.py", "exec"), space)
    return space["get_compression_ratio"]


def main() -> None:
    sys.path.insert(0, str(Path(sys.argv[1]) / "app/src"))
    without_dictionary()
    ratio = zip_function(Path(sys.argv[2]))
    rows = []
    for text in texts():
        row = {"textstat": textstat_of(text), "diversity": diversity_of(text), "rpv2": signals_of(text)}
        rows.append(row | {"zip": ratio([text])})
    body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (HERE / "data/text_golden.json").write_text(f"[\n{body}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
