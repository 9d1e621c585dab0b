"""Samples a second into a training loop, shuffled, and how that compares with other readers of the same texts.

    python benchmarks/pull.py
    python benchmarks/pull.py --rows 1000000 --seconds 15 --mosaic PYTHON-WITH-MOSAICML-STREAMING

Every reader hands batches of 256 texts to Python as lists of strings, in shuffled order, of a table with one more column
or none that is not read. Ours, the bare take and map-style visit rows in a uniform random order over the whole table;
streaming readers shuffle inside a buffer (Hugging Face, 10,000 rows) or inside blocks of shards (MosaicML). "local copy"
is ours after `mix.local(["text"])`, a mapped Arrow file made once, which is what map-style always reads; making either is
in "first batch", the time from asking for a reader to its first batch. Rates are of the time after it. "CPU us" counts the
processor time of all threads and worker processes a sample, and hardly feels a busy machine.
Texts are recombined from real paragraphs (benchmarks/_documents.py), about 640 bytes each; files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _clock import tree_seconds
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
    began, spent, count = time.perf_counter(), tree_seconds(os.getpid()), 0
    for texts in source:
        count += len(texts)
        if time.perf_counter() - began > seconds:
            break
    rate = count / (time.perf_counter() - began)
    seen = {"rate": rate, "first": first, "cpu": 1e6 * (tree_seconds(os.getpid()) - spent) / count}
    source.close()
    return seen


def mosaic(python: str, folder: Path, workers: int, seconds: float) -> dict[str, float]:
    """MosaicML Streaming in its own environment; its newest version asks for older libraries than ours."""
    peer = str(Path(__file__).with_name("_mosaic.py"))
    command = [python, peer, str(folder / "texts.jsonl"), str(folder / "mds"), str(workers), str(seconds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        assert running.stdout is not None
        line = next((line for line in running.stdout if line.startswith(b"{")), None)
        os.killpg(running.pid, signal.SIGKILL)  # its workers too: they do not end by themselves
    if line is None:
        raise SystemExit(f"MosaicML Streaming failed; to see why: {' '.join(command)}")
    return json.loads(line)


def ours(cat: Catalog, workers: int, *, local: bool = False) -> Generator[list[str], None, None]:
    mix = cat.mix("bench")
    for batch in (mix.local(["text"]) if local else mix).torch(BATCH, workers=workers, columns=["text"], prefetch=8):
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


def hf_map(path: Path, workers: int | None = None) -> Generator[list[str], None, None]:
    """Map-style; by its own iterator, its fastest way, or through a torch DataLoader."""
    import datasets
    from torch.utils.data import DataLoader

    held: Any = datasets.Dataset.from_parquet(str(path), cache_dir=str(path.parent / "hf"))
    if workers is None:
        for batch in held.shuffle(seed=0).iter(batch_size=BATCH):
            yield batch["text"]
        return
    how = "forkserver" if workers else None  # Lance is in this process, and does not survive a fork
    yield from DataLoader(
        held, batch_size=BATCH, shuffle=True, num_workers=workers, collate_fn=texts_of, multiprocessing_context=how
    )


def hf_stream(path: Path, workers: int | None = None) -> Generator[list[str], None, None]:
    import datasets
    from torch.utils.data import DataLoader

    held: Any = datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)
    held = held.shuffle(seed=0, buffer_size=BUFFER)
    if workers is None:
        for batch in held.iter(batch_size=BATCH):
            yield batch["text"]
        return
    yield from DataLoader(held, batch_size=BATCH, num_workers=workers, collate_fn=texts_of)


def texts_of(rows: list[dict[str, str]]) -> list[str]:
    return [row["text"] for row in rows]


def lancedb_stream(folder: Path, **options: Any) -> Generator[list[str], None, None]:
    import lancedb
    from lancedb.streaming import StreamingDataset
    from torch.utils.data import DataLoader

    table = lancedb.connect(folder).open_table("texts")
    rows = StreamingDataset(table, columns=["text"], shuffle_seed=0, **options)
    yield from DataLoader(rows, batch_size=BATCH, collate_fn=texts_of)


def prepare(folder: Path, rows: int) -> tuple[Catalog, Path, Path]:
    """The same texts as a mix, a Parquet file and a LanceDB table."""
    import lancedb

    texts = documents(rows, copies=0.0)
    cat = Catalog.open(folder / "home")
    append_texts(cat, "texts", texts, fragments=max(1, rows // 200_000))
    publish(cat, {"name": "bench", "parts": [{"dataset": "texts", "weight": 1, "max_epochs": 20}]})
    table = pa.table({"text": texts})
    pq.write_table(table, folder / "texts.parquet", row_group_size=10_000)
    (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts), "utf-8")
    lancedb.connect(folder / "lancedb").create_table("texts", table)
    print(f"{rows:,} texts, {sum(map(len, texts)) / rows:.0f} characters on average")
    return cat, folder / "texts.parquet", folder / "lancedb"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many passes over all readers")
    parser.add_argument("--mosaic", metavar="PYTHON", help="an interpreter that has mosaicml-streaming and torch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readers = faces(*prepare(folder, given.rows))
        runs = {label: partial(measure, reader, given.seconds) for label, reader in readers.items()}
        for workers in (0, 2) if given.mosaic else ():
            label = f"MosaicML Streaming, {workers} workers"
            runs[label] = partial(mosaic, given.mosaic, folder, workers, given.seconds)
        found: dict[str, list[dict[str, float]]] = {label: [] for label in runs}
        for _ in range(given.rounds):
            for label, run in runs.items():
                found[label].append(run())
        show(found)


def faces(cat: Catalog, parquet: Path, lancedb: Path) -> dict[str, Callable[[], Generator[list[str], None, None]]]:
    """The readers that run in this process, by name."""
    return {
        "strata torch, 0 workers": lambda: ours(cat, 0),
        "strata torch, 2 workers": lambda: ours(cat, 2),
        "strata local copy, 0 workers": lambda: ours(cat, 0, local=True),
        "strata local copy, 2 workers": lambda: ours(cat, 2, local=True),
        "strata Arrow batches": lambda: ours_arrow(cat),
        "bare Lance take, blocks of 4,096": lambda: bare_take(cat),
        "Hugging Face map-style, its own iterator": lambda: hf_map(parquet),
        "Hugging Face map-style, 0 workers": lambda: hf_map(parquet, 0),
        "Hugging Face map-style, 2 workers": lambda: hf_map(parquet, 2),
        f"Hugging Face streaming, buffer {BUFFER:,}": lambda: hf_stream(parquet),
        "Hugging Face streaming, 0 workers": lambda: hf_stream(parquet, 0),
        "LanceDB StreamingDataset, defaults": lambda: lancedb_stream(lancedb),
        "LanceDB StreamingDataset, 4,096 x 4 splits": lambda: lancedb_stream(
            lancedb, read_batch_size=4096, num_splits=4
        ),
    }


def show(found: dict[str, list[dict[str, float]]]) -> None:
    """The fastest round of each reader, the least processor time of any, and how many times as fast ours is."""
    best = {name: max(rounds, key=lambda seen: seen["rate"]) for name, rounds in found.items()}
    cpu = {name: min(seen["cpu"] for seen in rounds) for name, rounds in found.items()}
    table, copy = "strata torch, 0 workers", "strata local copy, 0 workers"
    print(
        f"{'reader':44}{'samples/s':>11}{'CPU us':>8}{'first batch':>13}{'tables are':>12}{'CPU':>7}{'copy is':>9}{'CPU':>7}"
    )
    for name, seen in best.items():
        print(
            f"{name:44}{seen['rate']:11,.0f}{cpu[name]:8.2f}{seen['first']:11.2f} s"
            f"{best[table]['rate'] / seen['rate']:11.2f}x{cpu[name] / cpu[table]:6.2f}x"
            f"{best[copy]['rate'] / seen['rate']:8.2f}x{cpu[name] / cpu[copy]:6.2f}x"
        )


if __name__ == "__main__":
    main()
