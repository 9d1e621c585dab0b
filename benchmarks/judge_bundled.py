"""How well the bundled language model (135M parameters) can be read as a judge, how the place of a text sways it, and
how its verdicts go with people's labels, on web pages of the DCLM authors (label 1: keep).

    python benchmarks/judge_bundled.py --data FOLDER --rows 60
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument(
        "--free", type=int, default=12, help="rows that are also judged without a schema, a minute each"
    )
    parser.add_argument("--characters", type=int, default=1200, help="of a page that are shown")
    given = parser.parse_args()
    from catalog import Catalog
    from catalog.testing import append_texts
    from flows.endpoints.registry import save_endpoint

    for structured, rows in ((False, given.free), (True, given.rows)):  # a catalog each: answers are counted by model
        if not rows:
            continue
        texts, labels = pages(given.data, rows, given.characters)
        with tempfile.TemporaryDirectory() as home:
            cat = Catalog.open(home)
            append_texts(cat, "web", texts)
            save_endpoint(cat, "smol", model="smollm2-135m", api="transformers", structured=structured)
            graded(cat, structured, labels)
            if structured:
                compared(cat, labels)


def pages(folder: Path, rows: int, characters: int) -> tuple[list[str], dict[str, int]]:
    """As many of each label, in file order, cut so that two fit into the model's window."""
    found: dict[int, list[str]] = {0: [], 1: []}
    with open(folder / "web_quality_dclm.jsonl", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if len(found[row["label"]]) < rows // 2 and row["text"][:characters].strip():
                found[row["label"]].append(row["text"][:characters])
    return found[0] + found[1], {text: label for label, held in found.items() for text in held}


def graded(cat: Any, structured: bool, labels: dict[str, int]) -> None:
    from flows import score
    from flows.judge_report import judge_report

    began, column = time.perf_counter(), "judge_educational_value"
    score(cat, "web", [column], params={"endpoint": "smol", "retries": 1})
    held = judge_report(cat, "web", column)
    print(f"{column}, {'under the schema' if structured else 'free text'}: states {held['states']}, answers "
          f"{held['answers']['asked']}, parse rate {held['answers']['parse_rate']:.3f}, mean {held['mean']}, "
          f"{beside(cat, column, labels)}, {time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip


def compared(cat: Any, labels: dict[str, int]) -> None:
    from flows import score
    from flows.judge_report import judge_report

    began = time.perf_counter()
    score(cat, "web", ["pairs_educational_value"], params={"endpoint": "smol", "rounds": 1})
    held = judge_report(cat, "web", "pairs_educational_value")
    print(f"pairs: parse rate {held['answers']['parse_rate']:.3f}, {beside(cat, 'pairs_educational_value', labels)}, "
          f"{time.perf_counter() - began:.0f} s\n{json.dumps(held['position'], indent=1)}", flush=True)  # fmt: skip


def beside(cat: Any, column: str, labels: dict[str, int]) -> str:
    """Area under the ROC curve of the column for the labels."""
    from sklearn.metrics import roc_auc_score

    rows = cat.sql(f"select text, {column} as score from web where {column} is not null").table.to_pylist()
    wanted = [labels[row["text"]] for row in rows]
    if len(set(wanted)) < 2:
        return f"{len(rows)} values of one label"
    return f"AUC {roc_auc_score(wanted, [row['score'] for row in rows]):.3f} on {len(rows)} rows"


if __name__ == "__main__":
    main()
