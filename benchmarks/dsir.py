"""DSIR: rows a second of ours and of the authors' package (data-selection), on the same JSON lines, one process each.

    python benchmarks/dsir.py --rows 20000 [--data FILE.jsonl ...]

Both read the files, fit both distributions on all n-grams and compute every weight. Ours also measures the KL
reduction. The first pass of ours starts with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._documents import documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the raw dataset")
    parser.add_argument("--target-rows", type=int, default=500)
    parser.add_argument(
        "--data", nargs="*", default=[], help="JSON lines with a text field; default: Python's reference"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw, target = Path(folder, "raw.jsonl"), Path(folder, "target.jsonl")
        texts = documents(given.rows, given.data)
        aim = sorted(texts, key=lambda text: -text.count("class") / len(text))[: given.target_rows]
        for path, rows in ((raw, texts), (target, aim)):
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), encoding="utf-8")
        size = raw.stat().st_size / 1e6
        print(f"{given.rows} rows, {size:.1f} MB; target {len(aim)} rows")
        ours, our_time = timed(lambda: run_ours(raw, target))
        theirs, their_time = timed(lambda: run_official(raw, target, folder))
    agree = np.allclose(ours, theirs, rtol=1e-12, atol=1e-9)
    print(f"{'':24}{'seconds':>10}{'rows/s':>12}{'MB/s':>8}")
    print(f"{'strata dsir':24}{our_time:10.2f}{given.rows / our_time:12,.0f}{size / our_time:8.1f}")
    print(f"{'data-selection 1.0.3':24}{their_time:10.2f}{given.rows / their_time:12,.0f}{size / their_time:8.1f}")
    print(f"ratio {their_time / our_time:.1f}x; greatest difference {np.abs(ours - theirs).max():.1e}, equal: {agree}")


def timed(run: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def run_ours(raw: Path, target: Path) -> np.ndarray:
    from catalog.plugins import Context
    from flows.scorers.ngram.dsir import Params, dsir, fit

    def scan(path: Path) -> Callable[..., Iterator[pa.RecordBatch]]:
        def read(columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
            texts: list[str] = []
            for number, line in enumerate(path.open(encoding="utf-8")):
                texts.append(json.loads(line)["text"])
                if len(texts) == 4096:
                    yield batch(texts, number)
                    texts = []
            if texts:
                yield batch(texts, -1)

        return read

    def batch(texts: list[str], number: int) -> pa.RecordBatch:
        return pa.record_batch({"sample_id": [f"{number}:{i}" for i in range(len(texts))], "text": texts})

    ctx = Context(params=Params(), target=scan(target))
    ctx.state = fit(scan(raw), ctx)
    print("report:", ctx.state["report"])
    return np.concatenate([dsir(part, ctx)["dsir"].to_numpy(zero_copy_only=False) for part in scan(raw)()])


def run_official(raw: Path, target: Path, folder: str) -> np.ndarray:
    import re

    from data_selection import HashedNgramDSIR

    model = HashedNgramDSIR([str(raw)], [str(target)], cache_dir=f"{folder}/cache", num_proc=1)
    model.tokenizer = re.compile(r"\w+|[^\w\s]+").findall  # what nltk did when the package was written, and faster
    model.fit_importance_estimator(num_tokens_to_fit="all")
    model.compute_importance_weights()
    return np.load(f"{folder}/cache/log_importance_weights/0.npy")


if __name__ == "__main__":
    import data_selection  # noqa: F401  (imports are not measured)

    import flows.scorers.ngram.dsir  # noqa: F401

    main()
