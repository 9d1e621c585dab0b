"""Fact tracing by clusters against judging every sample: how often the source is judged, and how many questions that takes.

    python benchmarks/trace_clusters.py XQUAD.jsonl DOLLY.jsonl [--facts 200] [--rows 1000] [--most 32] [--json]

Held: the 240 English paragraphs of XQuAD (Artetxe et al. 2020, arXiv:1910.11856) among the first rows of Dolly, which are about
other things. A fact is a question with its answer; the paragraph that it was asked of supports it, and it alone counts.

Brute force asks about every sample and reaches every source. A way of choosing candidates reaches a source when the source is
among those it would have judged; a verifier without error is assumed, so that only the choice is measured. `likeness`: clusters
chosen without a language model. `picked`: named by their commonest words and picked by a script wherever a name holds a word of
the fact that few clusters are named by: a stand-in for a language model that shows the path and its questions, not its skill.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from agents.asking import Asker
from agents.evidence import WORD, keyed, read_fact
from agents.scope import places_of
from agents.trace import PURPOSE, attribute
from agents.trace_clusters import by_clusters
from catalog import Catalog
from catalog.testing import text_dataset
from flows import score
from flows.endpoints import account
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered

CLUSTERS = (1, 2, 4, 8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xquad")
    parser.add_argument("dolly")
    parser.add_argument("--facts", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--most", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [row for row in _read(given.xquad) if row["lang"] == "en"]
    facts = [(f"{held['question']} {held['answer']}", row["text"]) for row in rows for held in row["qas"]]
    facts = random.Random(0).sample(facts, min(given.facts, len(facts)))
    others = [
        "\n".join(row[name] for name in ("instruction", "context", "response"))
        for row in _read(given.dolly)[: given.rows]
    ]
    with tempfile.TemporaryDirectory() as folder:
        cat = Catalog.open(Path(folder) / "home")
        text_dataset(cat, Path(folder), "held", [*(row["text"] for row in rows), *others], licence="CC-BY-SA-4.0")
        score(cat, "held", ["minilm"])
        score(cat, "held", ["cluster_leaves"], params={"most": given.most})
        out = measured(cat, facts)
    print(json.dumps(out, indent=None if given.json else 1))


def _read(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def measured(cat: Catalog, facts: list[tuple[str, str]]) -> dict[str, Any]:
    """Share of the facts whose source is among the samples that would be judged, and those samples a fact."""
    held = cat.resolve("held").dataset.rows
    column = next(column for column in cat.columns("held") if column.alias == "cluster_leaf")
    texts = {row["sample_id"]: row["text"] for batch in cat.scan("held") for row in batch.to_pylist()}
    out: dict[str, Any] = {"facts": len(facts), "rows": held, **{k: column.report[k] for k in ("leaves", "largest", "depth")},
                           "brute force": {"reached": 1.0, "judged a fact": held}}  # fmt: skip
    for limit in (5, 20):
        found = [attribute(cat, text, ["held"], limit=limit)["samples"] for text, _ in facts]
        reached = sum(
            any(texts[s["sample_id"]] == source for s in samples) for samples, (_, source) in zip(found, facts)
        )
        out[f"search, {limit}"] = {"reached": reached / len(facts), "judged a fact": limit}
    out |= {f"likeness, {count} clusters": held for count, held in _reached(cat, facts, None).items()}
    with metered(stand_in) as meter:
        save_endpoint(cat, "e", url=meter.url, model="script", revision="1")
        account.set_budget(cat, "b", requests=10**6)
        out |= {f"picked, {count} clusters": held for count, held in _reached(cat, facts, ("e", "b")).items()}
        out["picked: questions in all"] = dict(Counter(_kind(seen) for seen in meter.seen))
    return out


def _reached(cat: Catalog, facts: list[tuple[str, str]], paid: tuple[str, str] | None) -> dict[int, dict[str, float]]:
    """For the first so many of the clusters that are chosen: share of facts reached, and samples to judge a fact."""
    reached, judged = Counter(), Counter()
    for at, (text, source) in enumerate(facts, 1):
        helper = Asker(cat, *paid, PURPOSE) if paid else None
        held = by_clusters(cat, places_of(cat, ["held"])[0], read_fact(text), helper, clusters=max(CLUSTERS))
        order = [one["cluster"] for one in held.clusters]
        for count in CLUSTERS:
            rows = [row for row in held.rows if row["cluster"] in order[:count]]
            reached[count] += any(row["text"] == source for row in rows)
            judged[count] += len(rows)
        if at % 50 == 0:
            print(f"{at} facts", file=sys.stderr, flush=True)
    return {count: {"reached": reached[count] / len(facts), "judged a fact": round(judged[count] / len(facts), 1)}
            for count in CLUSTERS}  # fmt: skip


def _kind(seen: dict[str, Any]) -> str:
    return "pick" if "choose clusters" in seen["messages"][0]["content"] else "name"


def stand_in(body: dict[str, Any]) -> str:
    """Names are the commonest words; picked is what holds a word of the claim that at most three listed names hold."""
    text = body["messages"][-1]["content"]
    if _kind(body) == "name":
        words = Counter(
            word.casefold() for word in WORD.findall(text.split("\n", 1)[1]) if keyed(word) and not word[0].isdigit()
        )
        return orjson.dumps({"keywords": [word for word, _ in words.most_common(8)]}).decode()
    claim = {keyed(word) for word in WORD.findall(text.split("\n", 1)[0].removeprefix("Claim:"))} - {""}
    names = {
        int(at): {keyed(w) for w in WORD.findall(line)} for at, line in re.findall(r"^(\d+): (.*)$", text, re.MULTILINE)
    }
    often = Counter(word for held in names.values() for word in held)
    return orjson.dumps(
        {"clusters": [at for at, held in names.items() if any(often[w] <= 3 for w in held & claim)]}
    ).decode()


if __name__ == "__main__":
    main()
