"""Planted leaks: how many eval items are found, by how they were changed, and how much clean text is taken for a leak.

    python benchmarks/decontamination.py [--evals FILE ...] [--clean FILE ...] [--pages FILE] [--most 2000]
    python benchmarks/decontamination.py --reworded "NAME;ITEMS:FIELD;REWORDED:FIELD[;NEGATIVES:FIELD]" ... --embed
    python benchmarks/decontamination.py --parallel XQUAD.jsonl --embed

The last two measure reworded and translated items: see _reworded.py.

Every item of every eval is planted: verbatim, with case and white space changed, inside a page of other text, and with
its numbers changed (digits and spelled ones; items without numbers are left out there). "Reworded" is made by rule:
sentences in another order, names and every ninth word replaced; it is no human paraphrase. A row is found when a
declared share is reached by one of its own eval's items; items the scorer lists as untested count as missed, and are
also given apart. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

DATA = ROOT / "examples" / "data"
EVALS = [str(DATA / "eval_gsm8k_test.jsonl"), str(DATA / "eval_mmlu.jsonl")]
CLEAN = ["math_gsm8k_train", "web_quality_dclm", "encyclopedia_wikitext2", "sft_dolly", "multilingual_opensource_guide"]
SPELLED = "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty".split()
NAMES = "Aylin Bruno Chidi Dagny Emre Farah Goran Hana".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evals", nargs="*", default=EVALS)
    parser.add_argument("--clean", nargs="*", default=[str(DATA / f"{name}.jsonl") for name in CLEAN])
    parser.add_argument("--pages", default=str(DATA / "web_quality_dclm.jsonl"), help="text to embed items in")
    parser.add_argument("--fields", nargs="*", default=[], metavar="EVAL=FIELD,FIELD", help="what of an eval is a leak")
    parser.add_argument("--most", type=int, default=2000, help="items planted of one eval at most")
    parser.add_argument("--show", type=int, default=0, help="print this many false alarms and misses of each kind")
    parser.add_argument("--reworded", nargs="*", default=[], metavar="CASE", help="reworded or translated items")
    parser.add_argument("--parallel", metavar="FILE", help="one text in several languages a row")
    parser.add_argument("--embed", action="store_true", help="measure eval_nearest too (MiniLM)")
    given = parser.parse_args()
    if given.reworded or given.parallel:
        import _reworded

        for case in given.reworded:
            _reworded.run(case, given.most, given.embed)
        if given.parallel:
            _reworded.parallel(given.parallel, given.most, given.embed)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(given, folder)


def run(given: argparse.Namespace, folder: str) -> None:
    from catalog import Catalog
    from catalog.evals import declare, eval_sets, evals
    from catalog.plugins import Context
    from flows.job import scan_of
    from flows.scorers.ngram.eval_overlap import Params, eval_overlap, fit

    cat = Catalog.open(folder)
    for path in given.evals:
        cat.ingest([path], name_of(path), role="eval")
    for name, fields in (entry.split("=") for entry in given.fields):
        declare(cat, name, fields=fields.split(","))
    for path in given.clean:
        cat.ingest([path], "clean-" + name_of(path))
    ctx = Context(params=Params(n=13, shortest=8, span=8, common=20))
    ctx.evals = eval_sets(cat, evals(cat), lambda ref: scan_of(cat, ref, ["text"]))
    start = time.perf_counter()
    ctx.state = fit(lambda: iter(()), ctx)
    print(
        f"index of {sum(e['items'] for e in ctx.state['report']['evals']):,} items in {time.perf_counter() - start:.1f} s"
    )
    lines = Path(given.pages).read_text("utf-8").splitlines()
    pages = [text for line in lines if len(text := json.loads(line)["text"]) > 400]

    def check(texts: list[str]) -> list[list[dict]]:
        found = []
        for at in range(0, len(texts), 1024):
            held = eval_overlap(pa.record_batch({"text": pa.array(texts[at : at + 1024], pa.string())}), ctx)
            found += [json.loads(items or "[]") for items in held["eval_leak_items"].to_pylist()]
        return [[item for item in items if item["leak"]] for items in found]

    untested = {entry["ref"]: entry for entry in ctx.state["report"]["evals"]}
    print(f"{'eval':22}{'change':14}{'items':>7}{'found':>8}{'right item':>12}{'of tested':>11}")
    for held in ctx.evals:
        rows = [
            row
            for batch in held.scan(["text"])
            for row in zip(batch["sample_id"].to_pylist(), batch["text"].to_pylist())
        ]
        cannot = {entry[0] for entry in untested[held.ref]["untested"]}
        for change, make in CHANGES.items():
            planted = []
            for sample, text in rows[: given.most]:
                rng = random.Random(f"{change} {sample}")
                made = make(re.sub(r"(?m)^user: ", "", text), rng, pages)
                if made is not None:
                    planted.append((sample, made))
            if not planted:
                continue
            hits = check([text for _, text in planted])
            any_ = sum(any(item["eval"] == held.ref for item in items) for items in hits)
            own = sum(
                any(item["item"] == sample for item in items) for (sample, _), items in zip(planted, hits, strict=True)
            )
            tested = [bool(items) for (sample, _), items in zip(planted, hits, strict=True) if sample not in cannot]
            share = sum(tested) / max(len(tested), 1)
            print(
                f"{held.ref:22}{change:14}{len(planted):7,}{any_ / len(planted):8.2%}{own / len(planted):12.2%}{share:11.2%}"
            )
            for (_, text), items in [pair for pair in zip(planted, hits, strict=True) if not pair[1]][: given.show]:
                print("   missed:", " ".join(text.split())[:150], items)
    false = total = 0
    for path in given.clean:
        texts = [t or "" for b in cat.scan("clean-" + name_of(path), ["text"]) for t in b["text"].to_pylist()]
        start = time.perf_counter()
        hits = check(texts)
        seconds = time.perf_counter() - start
        flagged = [(text, items) for text, items in zip(texts, hits, strict=True) if items]
        false, total = false + len(flagged), total + len(texts)
        size = sum(map(len, texts)) / max(len(texts), 1)
        print(
            f"{name_of(path):36}{len(texts):7,} rows of {size:6,.0f} characters  {len(flagged):4} flagged {len(texts) / seconds:9,.0f} rows/s"
        )
        for text, items in flagged[: given.show]:
            print("   flagged:", " ".join(text.split())[:200], items[0])
    low, high = wilson(false, total)
    print(f"flagged of clean text: {false} of {total:,} = {false / max(total, 1):.3%} [{low:.3%}, {high:.3%}]")


def name_of(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", Path(path).name.split(".")[0].lower())


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Confidence interval of a share."""
    share, size = hits / max(of, 1), max(of, 1)
    middle, half = share + z * z / (2 * size), z * (share * (1 - share) / size + z * z / (4 * size * size)) ** 0.5
    return max((middle - half) / (1 + z * z / size), 0), (middle + half) / (1 + z * z / size)


def verbatim(text: str, rng: random.Random, pages: list[str]) -> str:
    return text


def spaced(text: str, rng: random.Random, pages: list[str]) -> str:
    case = rng.choice([str.upper, str.lower, str.title])
    return re.sub(r"\s+", lambda _: rng.choice([" ", "  ", "\n", "\n\n", "\t "]), case(text))


def embedded(text: str, rng: random.Random, pages: list[str]) -> str:
    page = rng.choice(pages)
    at = rng.randint(0, len(page) // 2)
    return f"{page[:at]}\n{text}\n{page[at:]}"


def numbered(text: str, rng: random.Random, pages: list[str]) -> str | None:
    """Every number becomes another one, of as many or one more or fewer digits."""
    changed = re.sub(
        r"\d[\d,]*(?:\.\d+)?", lambda m: str(rng.randint(2, 10 ** max(1, len(m[0]) + rng.randint(-1, 1)))), text
    )
    changed = re.sub(rf"\b(?:{'|'.join(SPELLED)})\b", lambda _: rng.choice(SPELLED), changed)
    return changed if changed != text else None


def reworded(text: str, rng: random.Random, pages: list[str]) -> str:
    sentences = re.split(r"(?<=[.?!])\s+", text)
    body = sentences[:-1]
    rng.shuffle(body)
    words = " ".join([*body, sentences[-1]]).split(" ")
    names = {word: rng.choice(NAMES) for word in words if word.istitle() and word.isalpha() and len(word) > 3}
    changed = [names.get(word, word) for word in words]
    return " ".join("such" if at % 9 == 8 else word for at, word in enumerate(changed))


CHANGES: dict[str, Callable[[str, random.Random, list[str]], str | None]] = {
    "verbatim": verbatim, "case, spaces": spaced, "in a page": embedded, "numbers": numbered, "reworded": reworded,
}  # fmt: skip


if __name__ == "__main__":
    main()
