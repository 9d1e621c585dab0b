"""Fact tracing on passages with known support: precision and recall of samples, and of "nothing held supports it".

    python benchmarks/trace_support.py XQUAD.jsonl [--questions 400] [--verify 40] [--json]

XQUAD.jsonl: the English rows of XQuAD (Artetxe et al. 2020, arXiv:1910.11856): paragraphs with questions and answers. Every
second paragraph is held, its neighbours of the same article are not, so that what is missing has near relatives that are
there. Three facts a question:

held     question and answer of a held paragraph: it alone counts as support (another may tell the same; not looked for)
absent   question and answer of a paragraph that is not held: nothing supports it
wrong    a held question with the answer to another question of its paragraph: nothing supports it, the words are all there

A sample is taken for support when its likeness is at least the threshold. verify: the bundled SmolLM2-135M judges that many
facts, a third of each sort.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from agents.trace import NEAR, attribute
from catalog import Catalog
from catalog.testing import text_dataset

LIMIT = 5


def facts_of(rows: list[dict[str, Any]], questions: int) -> list[dict[str, Any]]:
    """{"sort", "text", "source"}: source is the text of the paragraph that supports it, "" for none."""
    rng, out = random.Random(0), []
    for number, row in enumerate(rows):
        answers = [held["answer"] for held in row["qas"]]
        for held in row["qas"]:
            text = f"{held['question']} {held['answer']}"
            if number % 2:
                out.append({"sort": "absent", "text": text, "source": ""})
                continue
            out.append({"sort": "held", "text": text, "source": row["text"]})
            if others := [a for a in answers if a not in held["answer"] and held["answer"] not in a]:
                out.append({"sort": "wrong", "text": f"{held['question']} {rng.choice(others)}", "source": ""})
    kept = []
    for sort in ("held", "absent", "wrong"):
        mine = [fact for fact in out if fact["sort"] == sort]
        kept += rng.sample(mine, min(questions, len(mine)))
    return kept


def catalog_of(rows: list[dict[str, Any]], home: Path) -> Catalog:
    """The held paragraphs, with vectors."""
    from flows import score

    cat = Catalog.open(home / "home")
    text_dataset(cat, home, "passages", [row["text"] for row in rows[::2]], licence="CC-BY-SA-4.0")
    score(cat, "passages", ["minilm"])
    return cat


def measured(facts: list[dict[str, Any]], answers: list[dict[str, Any]], taken: Any) -> dict[str, Any]:
    """Precision and recall over samples; over facts, how often what nothing supports is said so, and what is held is not."""
    right = wrong = first = any_right = 0
    empty = {sort: [0, 0] for sort in ("held", "absent", "wrong")}
    for fact, answer in zip(facts, answers, strict=True):
        chosen = [sample for sample in answer["samples"] if taken(sample)]
        hits = [sample["source"] == fact["source"] for sample in chosen]
        right, wrong = right + sum(hits), wrong + len(hits) - sum(hits)
        any_right += any(hits)
        first += bool(answer["samples"]) and answer["samples"][0]["source"] == fact["source"]
        empty[fact["sort"]][0] += not chosen
        empty[fact["sort"]][1] += 1
    held = sum(fact["sort"] == "held" for fact in facts)
    precision, recall = right / max(1, right + wrong), any_right / max(1, held)
    return {
        "precision": precision, "recall": recall, "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "first is the source": first / max(1, held),
        **{f"nothing said to support: {sort}": n / max(1, of) for sort, (n, of) in empty.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--verify", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [json.loads(line) for line in Path(given.file).read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["lang"] == "en"]
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        cat = catalog_of(rows, Path(folder))
        texts = {row["sample_id"]: row["text"] for batch in cat.scan("passages") for row in batch.to_pylist()}

        def traced(fact: dict[str, Any], **options: Any) -> dict[str, Any]:
            held = attribute(cat, fact["text"], ["passages"], limit=LIMIT, **options)
            for sample in held["samples"]:
                sample["source"] = texts[sample["sample_id"]]
            return held

        facts = facts_of(rows, given.questions)
        answers = [traced(fact) for fact in facts]
        out["facts"] = len(facts)
        out["rows held"] = len(texts)
        for cut in (0.5, NEAR, 0.7, 0.8, 0.9):
            out[f"likeness {cut:g}"] = measured(facts, answers, lambda sample, cut=cut: sample["score"] >= cut)
        if given.verify:
            out["SmolLM2-135M"] = verified(cat, rows, given.verify, traced)
    print(json.dumps(out, indent=None if given.json else 1))


def verified(cat: Catalog, rows: list[dict[str, Any]], count: int, traced: Any) -> dict[str, Any]:
    """The bundled model as the one that verifies."""
    from flows.endpoints import account
    from flows.endpoints.registry import save_endpoint

    save_endpoint(cat, "smol", api="transformers", model="smollm2-135m")
    account.set_budget(cat, "b", requests=100_000)
    facts = facts_of(rows, max(1, count // 3))
    answers = [traced(fact, endpoint="smol", budget="b") for fact in facts]
    return {"facts": len(facts), **measured(facts, answers, lambda sample: sample["verdict"] == "supports")}


if __name__ == "__main__":
    main()
