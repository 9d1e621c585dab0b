"""Peak memory by access pattern and size: every task in a process of its own, over tables of 10k, 100k and 1M rows.

    python benchmarks/memory.py --rows 10000 100000
    python benchmarks/memory.py --rows 1000000 --only ingest minhash

The figure is the highest resident set of the task's process as the kernel records it (VmHWM); scoring runs without worker
processes, each of which would take as much again. Python with the catalog imported and nothing read is the line "import". Texts are
recombined from real paragraphs (benchmarks/_documents.py); vectors are random, 128 wide, on the unit sphere.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

WIDTH, CHUNK = 128, 50_000


def prepare(home: str, rows: int) -> None:
    """A table of texts with random vectors and a score, a target, and the same texts as a file."""
    from benchmarks._documents import documents
    from catalog import Catalog
    from catalog.testing import append_texts, attach_columns

    cat = Catalog.open(home)
    with open(Path(home) / "texts.jsonl", "w", encoding="utf-8") as file:
        for start in range(0, rows, CHUNK):
            texts = documents(min(CHUNK, rows - start), seed=start)
            file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
            append_texts(cat, "web", texts)
    append_texts(cat, "target", documents(2_000, seed=-1))

    def columns(count: int, seed: int) -> dict[str, pa.Array]:
        rng = np.random.default_rng(seed)
        points = rng.standard_normal((count, WIDTH), np.float32)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), WIDTH)
        return {"vec": vectors, "grade": pa.array(rng.random(count))}

    for name in ("web", "target"):
        attach_columns(cat, name, columns(cat.lance(name).count_rows(), 0))


def scored(*names: str, **options: object) -> Callable[[str], None]:
    def task(home: str) -> None:
        from catalog import Catalog
        from flows import score

        score(Catalog.open(home), "web", list(names), workers=1, **options)  # type: ignore[arg-type]

    return task


def ingested(home: str) -> None:
    from catalog import Catalog
    from catalog.ingest import ingest

    ingest(Catalog.open(home), [str(Path(home) / "texts.jsonl")], "again")


def queried(home: str) -> None:
    from catalog import Catalog

    cat = Catalog.open(home)
    cat.sql("SELECT count(*), avg(grade), quantile_cont(grade, 0.9) FROM web")
    cat.sql("SELECT sample_id, text FROM web ORDER BY grade DESC LIMIT 20")


def selected(home: str) -> None:
    from catalog import Catalog
    from flows.selecting import select

    select(Catalog.open(home), "best", "web", "topk", 1_000, params={"by": "grade", "order": "highest"})


def pulled(home: str) -> None:
    from catalog import Catalog
    from catalog.mixes import publish

    cat = Catalog.open(home)
    publish(cat, {"name": "bench", "parts": [{"dataset": "web", "weight": 1.0}]})
    for number, _ in enumerate(cat.mix("bench").batches(batch_rows=256, columns=["text"])):
        if number > 200:
            break


TASKS: dict[str, tuple[str, Callable[[str], None]]] = {
    "import": ("", lambda home: __import__("catalog").Catalog.open(home) and None),
    "ingest": ("stream", ingested),
    "gopher_quality": ("map", scored("gopher_quality")),
    "kmeans": ("fit", scored("kmeans", params={"vectors": "vec"})),
    "dsir": ("fit on a target", scored("dsir", target="target")),
    "exact_dup": ("global", scored("exact_dup")),
    "minhash": ("global", scored("minhash")),
    "unit_dup": ("global", scored("unit_dup")),
    "substring_dup": ("global", scored("substring_dup")),
    "outliers": ("global, vectors", scored("outliers", params={"vectors": "vec"})),
    "semdedup": ("global, vectors", scored("semdedup", params={"vectors": "vec"})),
    "sql": ("query", queried),
    "topk": ("select", selected),
    "pull": ("publish and pull", pulled),
}


def peak() -> int:
    """Highest resident set of this process in bytes. VmHWM starts anew with a program; ru_maxrss would not."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def child(name: str, home: str) -> None:
    began = time.process_time()
    TASKS[name][1](home)
    print(json.dumps({"peak": peak(), "cpu": time.process_time() - began}))


def measured(home: str, only: list[str] | None) -> Iterator[tuple[str, dict]]:
    for name in TASKS:
        if only and name not in only and name != "import":
            continue
        done = subprocess.run(
            [sys.executable, __file__, "--child", name, "--home", home], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        )  # fmt: skip
        if done.returncode:
            print(f"{name:<16} failed: {done.stderr.strip().splitlines()[-1][:160]}")
            continue
        yield name, json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--only", nargs="+", choices=sorted(TASKS))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.home)
        return
    for rows in options.rows:
        with tempfile.TemporaryDirectory(prefix="strata-bench-") as home:
            prepare(home, rows)
            print(f"\n{rows:,} rows        {'pattern':<18}{'peak MB':>10}{'cpu s':>9}")
            for name, seen in measured(home, options.only):
                print(f"{name:<16} {TASKS[name][0]:<18}{seen['peak'] / 1e6:>10,.0f}{seen['cpu']:>9.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
