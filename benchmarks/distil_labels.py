"""Held-out rank correlation of distilled scorers with judgements that were published, on rows they did not learn from.

    python benchmarks/distil_labels.py --data FOLDER
    python benchmarks/distil_labels.py --data FOLDER --no-vectors

FOLDER holds web_quality_dclm.jsonl (499 web pages with a 0/1 label by people) and sft_alpaca_17k_with_quality_flags.jsonl
(Alpaca rows; of the publisher's random sample, whether a language model's rating reached 4.5). For every student of
`distil` its own report: Spearman over pooled out-of-fold predictions with a bootstrap interval, and with length. Labels of
two values tie nearly all pairs, so 1 cannot be reached: `best` is the Spearman of a score that orders them perfectly.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--no-vectors", action="store_true", help="leave out the students that read sentence vectors")
    parser.add_argument("--vector-rows", type=int, default=3000, help="rows at most that get a sentence vector")
    given = parser.parse_args()
    for name, (texts, labels) in {"DCLM": dclm(given.data), "Alpaca": alpaca(given.data)}.items():
        print(f"{name}: {len(texts):,} rows, {labels.mean():.1%} positive")
        show(name, "ngram", batch_of(texts, labels), "")
        if given.no_vectors:
            continue
        few = slice(0, given.vector_rows)
        batch = batch_of(texts[few], labels[few])
        batch = batch.append_column("embedding", vectors(batch))
        for student in ("ngram", "ridge", "gbdt", "mlp"):
            show(f"{name}, {batch.num_rows:,} rows", student, batch, "embedding")


def dclm(folder: Path) -> tuple[list[str], np.ndarray]:
    rows = lines(folder / "web_quality_dclm.jsonl")
    return [row["text"] for row in rows], np.array([float(row["label"]) for row in rows])


def alpaca(folder: Path) -> tuple[list[str], np.ndarray]:
    """The random sample alone: the rest of the file is there because it was selected."""
    rows = lines(folder / "sft_alpaca_17k_with_quality_flags.jsonl")
    rows = [row for row in rows if row["in_random_9k"]]
    texts = ["\n\n".join(part for part in (row["instruction"], row["input"], row["output"]) if part) for row in rows]
    return texts, np.array([float(row["claude_ge_4_5"]) for row in rows])


def lines(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def batch_of(texts: list[str], labels: np.ndarray) -> pa.RecordBatch:
    from catalog.digests import content_id

    return pa.record_batch({
        "sample_id": [f"{at:032x}" for at in range(len(texts))], "label": pa.array(labels),
        "content_id": [content_id("text", {"text": text}) for text in texts], "text": pa.array(texts, pa.string()),
    })  # fmt: skip


def vectors(batch: pa.RecordBatch) -> pa.Array:
    from catalog.plugins import Context, get_scorer

    plugin = get_scorer("minilm")
    ctx = Context(params=plugin.parse_params({}), dtype="float32")
    ctx.model = plugin.load(ctx)  # type: ignore[misc]
    return plugin.function(batch, ctx)["embedding"]


def show(name: str, student: str, batch: pa.RecordBatch, column: str) -> None:
    from catalog.plugins import Context, get_scorer
    from catalog.statistics import spearman

    plugin = get_scorer("distil")
    given = {"teacher": "label", "student": student, "floor": -1.0, "vectors": column if student != "ngram" else ""}
    ctx = Context(params=plugin.parse_params(given))

    def scan(columns: Any = None) -> Any:
        return iter([batch])

    report = plugin.fit(scan, ctx)["report"]  # type: ignore[misc]
    labels = batch["label"].to_numpy()
    best = spearman(labels + np.random.default_rng(0).random(len(labels)) * 0.5, labels)
    print(f"  {name:<22} {student:<6} spearman {report['spearman']:.3f} [{report['low']:.3f}, {report['high']:.3f}], best "
          f"{best:.3f}; with length: student {report['length']['student']:+.3f}, label {report['length']['teacher']:+.3f}",
          flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
