"""Do Gopher, C4 and FineWeb drop the same documents here as in datatrove? Whole texts, default thresholds, own words.

    python benchmarks/text_verdicts.py --peer /path/to/env/bin/python
    python benchmarks/text_verdicts.py --texts pages.jsonl articles.jsonl --peer /path/to/env/bin/python

--texts: JSON lines with `text`; by default the web pages and encyclopedia articles of examples/data. --peer: interpreter
of an environment that holds datatrove[io,processing] and spacy. Printed: share of equal verdicts by filter, and end to
end (does any of the four drop the document). C4's page rules are taken over the whole page, as the paper has them;
datatrove looks for brackets and "lorem ipsum" only in lines that passed the earlier rules.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples/data"
DEFAULT = [str(EXAMPLES / "web_quality_dclm.jsonl"), str(EXAMPLES / "encyclopedia_wikitext2.jsonl")]
FILTERS = ("gopher_quality", "gopher_repetition", "c4_lines", "fineweb_lines")
GRAMS = {2: 0.2, 3: 0.18, 4: 0.16, 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1}


def theirs(texts: list[str]) -> list[list[bool]]:
    """Dropped by each of datatrove's filters? A text on which a filter fails is dropped."""
    from datatrove.data import Document
    from datatrove.pipeline import filters as known

    made = (
        known.GopherQualityFilter(),
        known.GopherRepetitionFilter(),
        known.C4QualityFilter(),
        known.FineWebQualityFilter(),
    )

    def dropped(one, text: str) -> bool:
        try:
            return one.filter(Document(text=text, id="0")) is not True
        except ZeroDivisionError:
            return True

    return [[dropped(one, text) for one in made] for text in texts]


def ours(texts: list[str]) -> list[list[bool]]:
    """The same thresholds on Strata's numbers; a row without a number is dropped."""
    import pyarrow as pa

    from catalog.plugins import Context, get_scorer

    batch, rules = pa.record_batch({"text": pa.array(texts, pa.string())}), (_quality, _repetition, _c4, _lines)
    drops = []
    for name, rule in zip(FILTERS, rules, strict=True):
        scorer = get_scorer(name)
        found = scorer.function(batch, Context(params=scorer.parse_params({})))
        names = [out.name for out in scorer.writes]
        columns = zip(*(found[column].to_pylist() for column in names), strict=True)
        rows = (dict(zip(names, values, strict=True)) for values in columns)
        drops.append([_undefined(row) or rule(row) for row in rows])
    return [list(row) for row in zip(*drops, strict=True)]


def _undefined(row: dict) -> bool:
    return any(value is None or math.isnan(value) for value in row.values())


def _quality(v: dict) -> bool:
    size = not 50 <= v["word_count"] <= 100_000 or not 3 <= v["mean_word_length"] <= 10
    symbols = v["hash_word_ratio"] > 0.1 or v["ellipsis_word_ratio"] > 0.1
    lines = v["bullet_line_share"] > 0.9 or v["ellipsis_line_share"] > 0.3
    return size or symbols or lines or v["alpha_word_share"] < 0.8 or v["stop_word_count"] < 2


def _repetition(v: dict) -> bool:
    lines = v["dup_line_frac"] > 0.3 or v["dup_para_frac"] > 0.3
    chars = v["dup_line_char_frac"] > 0.2 or v["dup_para_char_frac"] > 0.2
    return lines or chars or any(v[f"{'top' if n < 5 else 'dup'}_{n}gram_char_frac"] > top for n, top in GRAMS.items())


def _c4(v: dict) -> bool:
    return v["c4_lorem_ipsum"] > 0 or v["c4_curly_brackets"] > 0 or v["c4_sentences"] < 5


def _lines(v: dict) -> bool:
    closed = v["line_punct_ratio"] < 0.12
    return closed or v["short_line_ratio"] > 0.67 or v["char_dup_ratio"] > 0.01 or v["newline_word_ratio"] > 0.3


def ask_peer(python: str, texts: list[str]) -> list[list[bool]]:
    """`theirs`, in another environment."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(texts, file)
        file.flush()
        done = subprocess.run([python, __file__, "--as-peer", file.name], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", nargs="+", default=DEFAULT, help="JSON lines with a field `text`")
    parser.add_argument("--peer", help="interpreter of an environment that holds datatrove[io,processing]")
    parser.add_argument("--as-peer", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_peer:
        print(json.dumps(theirs(json.loads(Path(given.as_peer).read_text("utf-8")))))
        return
    texts = [json.loads(line)["text"] for file in given.texts for line in Path(file).read_text("utf-8").splitlines()]
    drops = ours(texts)
    print(f"{len(texts)} texts; dropped by any of the four: {sum(map(any, drops))}")
    if not given.peer:
        print("no --peer named: nothing to compare with")
        return
    peers = ask_peer(given.peer, texts)
    for i, name in enumerate(FILTERS):
        equal = sum(a[i] == b[i] for a, b in zip(drops, peers, strict=True))
        print(f"  {name:18s} {100 * equal / len(texts):6.2f} % equal")
    equal = sum(any(a) == any(b) for a, b in zip(drops, peers, strict=True))
    print(f"  {'end to end':18s} {100 * equal / len(texts):6.2f} % equal")


if __name__ == "__main__":
    main()
