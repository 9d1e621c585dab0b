"""How much clean text the shipped L1 recipe drops, by language; and what `langid` answers, by language.

    python benchmarks/false_drops.py
    python benchmarks/false_drops.py --texts guide.jsonl xquad.jsonl --sentences sentences.jsonl

--texts: JSON lines with `text` and `lang`, by default the excerpt of the multilingual guide in examples/data. The recipe
runs as users run it (`strata promote`) in a catalog of its own; rows with the same text count once, and rows dropped as
duplicates are left out of the rate. Rows of fewer than --min-chars characters (120 for Chinese and Japanese: a
character says more) are not documents and are left out too. --sentences: the same fields; `langid` is asked for each,
for its first 12 characters, for each sentence joined with one in a language of another script or family, and for what it
says of the languages its model does not know. --prose: lines that are a link or a mention and nothing else are taken out
of the Markdown first, as extractors of main text take them out of a page: what a list of names loses is no false drop.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

DEFAULT = Path(__file__).parents[1] / "examples/data/multilingual_opensource_guide.jsonl"
DENSE = ("zh", "ja")
UNSUPPORTED = ("lg", "mi", "sn", "st", "tn", "ts", "xh", "zu")
"""Languages of the sentences that lid.176 has no label for."""
SAME = {"nb": "no", "zh-hans": "zh", "zh-hant": "zh"}
LINE = "  {:6s} {:6d} {:8.1f} %   {}"


LINK_LINE = re.compile(r"^[ \t]*(?:[*+-]|\d+\.)?[ \t]*(?:\[[^\]]*\]\([^)]*\)|@[\w-]+)[ \t]*\n", re.M)


def read(files: list[str], min_chars: int = 0, sections: bool = False, prose: bool = False) -> list[dict[str, str]]:
    """Distinct rows with their language."""
    rows = [json.loads(line) for file in files for line in Path(file).read_text("utf-8").splitlines() if line.strip()]
    if prose:
        rows = [row | {"text": LINK_LINE.sub("", row["text"] + "\n")} for row in rows]
    if sections:
        rows = [row | {"text": rendered(part)} for row in rows for part in re.split(r"\n(?=## )", row["text"])]
    found = {row["text"]: {"text": row["text"], "lang": SAME.get(row["lang"], row["lang"])} for row in rows}
    return [row for row in found.values() if len(row["text"]) >= min_chars * (0.4 if row["lang"] in DENSE else 1)]


def rendered(text: str) -> str:
    """Markdown as a reader sees it: no HTML tags, image and link targets, rules, marks of headings and emphasis."""
    text = re.sub(r"<[^<>]*>|!\[[^\]]*\]\([^)]*\)|^\s*[-*_]{3,}\s*$|^#+ |\{:[^}]*\}", "", text, flags=re.M)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\*\*|__|(?<!\w)[_*](?=\w)|(?<=\w)[_*](?!\w)|`", "", text)
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", text).strip()


def promoted(rows: list[dict[str, str]], recipe: str) -> list[tuple[str, str]]:
    """(language, verdict) of each row under the recipe."""
    from catalog import Catalog
    from catalog.testing import text_dataset
    from flows import promote

    with tempfile.TemporaryDirectory() as folder:
        cat = Catalog.open(Path(folder) / "home")
        text_dataset(cat, Path(folder), "clean", rows)  # type: ignore[arg-type]
        promote(cat, "clean", "L1", recipe=recipe)
        batches = cat.scan("clean", ["meta", "verdict_clean_l1"])
        pairs = [(row["meta"], row["verdict_clean_l1"]) for batch in batches for row in batch.to_pylist()]
    return [(json.loads(meta)["lang"], verdict) for meta, verdict in pairs]


def report_drops(rows: list[dict[str, str]], recipe: str) -> None:
    """One line a language."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for language, verdict in promoted(rows, recipe):
        if not verdict.endswith("_duplicate"):
            table[language][verdict] += 1
    print("false drops of recipe", recipe, "on clean text")
    for language, counts in sorted(table.items()):
        total = sum(counts.values())
        reasons = ", ".join(f"{name} {n}" for name, n in counts.most_common() if name != "kept")
        print(LINE.format(language, total, 100 * (1 - counts["kept"] / total), reasons))


def answers(texts: list[str]) -> list[str | None]:
    """What `langid` says."""
    import pyarrow as pa

    from catalog.plugins import Context, get_scorer

    scorer = get_scorer("langid")
    ctx = Context(params=scorer.parse_params({}))
    assert scorer.load is not None
    ctx.model = scorer.load(ctx)
    found: Any = scorer.function(pa.record_batch({"text": pa.array(texts, pa.string())}), ctx)
    return found["language"].to_pylist()


def report_languages(rows: list[dict[str, str]], seed: int = 0) -> None:
    """Right, wrong and unknown by language; then short, mixed and unsupported text."""
    said = answers([row["text"] for row in rows])
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for row, code in zip(rows, said, strict=True):
        table[row["lang"]]["right" if code == row["lang"] else code or "none"] += 1
    print("langid on single sentences: right, unknown, wrong in %")
    for language, counts in sorted(table.items()):
        total = sum(counts.values())
        right, unknown = counts["right"], counts["unknown"]
        wrong = ", ".join(f"{c} {n}" for c, n in counts.most_common(5) if c not in ("right", "unknown"))
        shares = (100 * n / total for n in (right, unknown, total - right - unknown))
        print(f"  {language:4s} {{:6.1f}} {{:6.1f}} {{:6.1f}}   {wrong}".format(*shares))
    supported = [row for row in rows if row["lang"] not in UNSUPPORTED]
    print("unknown in %:")
    print(f"  single sentences in supported languages {_unknown([row['text'] for row in supported]):6.1f}")
    print(
        f"  in languages the model does not know    {_unknown([r['text'] for r in rows if r['lang'] in UNSUPPORTED]):6.1f}"
    )
    print(f"  their first 12 characters               {_unknown([row['text'][:12] for row in supported]):6.1f}")
    print(f"  two sentences, one language             {_unknown(_pairs(supported, seed, mixed=False)):6.1f}")
    print(f"  two sentences, two languages            {_unknown(_pairs(supported, seed, mixed=True)):6.1f}")


def _unknown(texts: list[str]) -> float:
    said = answers(texts)
    return 100 * sum(code == "unknown" for code in said) / max(len(said), 1)


def _pairs(rows: list[dict[str, str]], seed: int, mixed: bool, count: int = 2000) -> list[str]:
    """Sentences of 60 characters or more joined to one in the same or an unrelated language."""
    from flows.scorers.text.langid import GROUP

    rng = random.Random(seed)
    long = [row for row in rows if len(row["text"]) >= 60 and row["lang"] not in ("bs", "la", "so", "yo")]
    by_language: dict[str, list[str]] = defaultdict(list)
    for row in long:
        by_language[row["lang"]].append(row["text"])
    pairs = []
    while len(pairs) < count:
        one, other = rng.choice(long), rng.choice(long)
        if GROUP.get(one["lang"], one["lang"]) == GROUP.get(other["lang"], other["lang"]):
            continue
        second = other["text"] if mixed else rng.choice(by_language[one["lang"]])
        pairs.append(f"{one['text']} {second}")
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", nargs="+", default=[str(DEFAULT)], help="JSON lines with `text` and `lang`")
    parser.add_argument("--sentences", nargs="+", help="JSON lines with `text` and `lang`, one sentence each")
    parser.add_argument("--min-chars", type=int, default=300, help="shorter rows are left out")
    parser.add_argument("--recipe", default="web", help="a shipped recipe's name or a file")
    parser.add_argument("--sections", action="store_true", help="cut Markdown at its second headings and render it")
    parser.add_argument("--prose", action="store_true", help="leave out lines that are a link or a mention alone")
    given = parser.parse_args()
    report_drops(read(given.texts, given.min_chars, given.sections, given.prose), given.recipe)
    if given.sentences:
        report_languages(read(given.sentences))


if __name__ == "__main__":
    main()
