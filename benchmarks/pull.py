"""Samples a second into a training loop, shuffled, and how that compares with other readers of the same texts.

    python benchmarks/pull.py
    python benchmarks/pull.py --rows 1000000 --seconds 15

Every reader hands batches of 256 texts to Python as lists of strings, in shuffled order. Ours and the bare take visit
rows in a uniform random order over the whole table; Hugging Face streaming shuffles inside a buffer of 10,000 rows. The
clock starts when a reader is asked for its first batch ("first" is how long that took); rates are of the time after it.
"per CPU s" counts the CPU time of all threads of this process (not of workers) and hardly feels a busy machine.
Texts are recombined from real paragraphs (benchmarks/_documents.py), about 640 bytes each; files are in the page cache.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _documents import documents

from catalog import Catalog
from catalog.mixes import publish
from catalog.testing import append_texts

BATCH = 256
BUFFER = 10_000


def measure(batches: Callable[[], Generator[list[str], None, None]], seconds: float) -> dict[str, float]:
    """First-batch latency, then samples a second for `seconds`."""
    began = time.perf_counter()
    source = batches()
    next(source)
    first = time.perf_counter() - began
    began, spent, count = time.perf_counter(), time.process_time(), 0
    for texts in source:
        count += len(texts)
        if time.perf_counter() - began > seconds:
            break
    seen = {"rate": count / (time.perf_counter() - began), "first": first}
    seen["cpu"] = count / (time.process_time() - spent)
    source.close()
    return seen


def ours(cat: Catalog, workers: int) -> Generator[list[str], None, None]:
    for batch in cat.mix("bench").torch(BATCH, workers=workers, columns=["text"], prefetch=8):
        yield batch["text"]


def ours_arrow(cat: Catalog) -> Generator[list[str], None, None]:
    for batch in cat.mix("bench").batches(batch_rows=BATCH, columns=["text"]):
        yield batch.column("text").to_pylist()


def bare_take(cat: Catalog, block: int = 4096) -> Generator[list[str], None, None]:
    """Lance alone: random row ids, blocks of 4,096, cut into batches."""
    table, rng = cat.lance("texts"), np.random.default_rng(0)
    order = rng.permutation(table.count_rows())
    for begin in range(0, len(order), block):
        found = table._take_rows(order[begin : begin + block].tolist(), columns=["text"])
        texts = found.column("text").to_pylist()
        for at in range(0, len(texts), BATCH):
            yield texts[at : at + BATCH]


def hf_map(path: Path) -> Generator[list[str], None, None]:
    import datasets

    held = datasets.Dataset.from_parquet(str(path), cache_dir=str(path.parent / "hf"))
    for batch in held.shuffle(seed=0).iter(batch_size=BATCH):
        yield batch["text"]


def hf_stream(path: Path) -> Generator[list[str], None, None]:
    import datasets

    held = datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)
    for batch in held.shuffle(seed=0, buffer_size=BUFFER).iter(batch_size=BATCH):
        yield batch["text"]


def lancedb_stream(folder: Path, **options: Any) -> Generator[list[str], None, None]:
    import lancedb
    from lancedb.streaming import StreamingDataset
    from torch.utils.data import DataLoader

    table = lancedb.connect(folder).open_table("texts")
    rows = StreamingDataset(table, columns=["text"], shuffle_seed=0, **options)
    yield from DataLoader(rows, batch_size=BATCH, collate_fn=lambda rows: [row["text"] for row in rows])


def prepare(folder: Path, rows: int) -> tuple[Catalog, Path, Path]:
    """The same texts as a mix, a Parquet file and a LanceDB table."""
    import lancedb

    texts = documents(rows, copies=0.0)
    cat = Catalog.open(folder / "home")
    append_texts(cat, "texts", texts, fragments=max(1, rows // 200_000))
    publish(cat, {"name": "bench", "parts": [{"dataset": "texts", "weight": 1, "max_epochs": 20}]})
    table = pa.table({"text": texts})
    pq.write_table(table, folder / "texts.parquet", row_group_size=10_000)
    lancedb.connect(folder / "lancedb").create_table("texts", table)
    print(f"{rows:,} texts, {sum(map(len, texts)) / rows:.0f} characters on average")
    return cat, folder / "texts.parquet", folder / "lancedb"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many passes over all readers")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cat, parquet, lancedb = prepare(Path(folder), given.rows)
        readers: dict[str, Callable[[], Generator[list[str], None, None]]] = {
            "strata torch, 0 workers": lambda: ours(cat, 0),
            "strata torch, 2 workers": lambda: ours(cat, 2),
            "strata Arrow batches": lambda: ours_arrow(cat),
            "bare Lance take, blocks of 4,096": lambda: bare_take(cat),
            "Hugging Face map-style, shuffled": lambda: hf_map(parquet),
            f"Hugging Face streaming, buffer {BUFFER:,}": lambda: hf_stream(parquet),
            "LanceDB StreamingDataset, defaults": lambda: lancedb_stream(lancedb),
            "LanceDB StreamingDataset, 4,096 x 4 splits": lambda: lancedb_stream(
                lancedb, read_batch_size=4096, num_splits=4
            ),
        }
        found: dict[str, dict[str, float]] = {}
        for _ in range(given.rounds):
            for name, reader in readers.items():
                seen = measure(reader, given.seconds)
                held = found.setdefault(name, seen)
                if seen["rate"] > held["rate"]:
                    found[name] = seen
                found[name]["cpu"] = max(seen["cpu"], held["cpu"])
        base = found["strata torch, 0 workers"]["rate"]
        print(f"{'reader':46}{'samples/s':>12}{'strata is':>12}{'per CPU s':>12}{'first batch':>14}")
        for name, seen in found.items():
            cpu = "" if "workers" in name and "0 workers" not in name else f"{seen['cpu']:,.0f}"
            print(f"{name:46}{seen['rate']:12,.0f}{base / seen['rate']:11.2f}x{cpu:>12}{seen['first']:12.2f} s")


if __name__ == "__main__":
    main()
