"""MosaicML Streaming on the same texts; run by benchmarks/pull.py with the interpreter of an environment that has it.

    PYTHON benchmarks/_mosaic.py texts.jsonl FOLDER WORKERS SECONDS

The first call writes the shards (uncompressed, 64 MB each, the library's defaults); the dataset is local, shuffled by the
library's default algorithm, and read through its own StreamingDataLoader in batches of 256. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

BATCH = 256


def without_kernels() -> None:
    """The library imports torchvision, whose wheels do not load beside a CPU build of torch; texts need none of it."""
    import torch

    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor boxes, Tensor scores, float threshold) -> Tensor")


def write(source: Path, folder: Path) -> None:
    from streaming import MDSWriter

    with MDSWriter(out=str(folder), columns={"text": "str"}) as writer, source.open(encoding="utf-8") as lines:
        for line in lines:
            writer.write({"text": json.loads(line)})


def processor_time() -> float:
    """Seconds of this process and everything it started that still runs."""
    from _clock import tree_seconds

    return tree_seconds(os.getpid())


def main() -> None:
    source, folder, workers, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    without_kernels()
    if not folder.exists():
        write(source, folder)
    from streaming import StreamingDataLoader, StreamingDataset
    from streaming.base.util import clean_stale_shared_memory  # of a run that was ended

    clean_stale_shared_memory()
    began = time.perf_counter()
    dataset = StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH, num_canonical_nodes=1)
    loader = StreamingDataLoader(dataset, batch_size=BATCH, num_workers=workers)
    batches = iter(loader)
    next(batches)
    first, began, spent, count = time.perf_counter() - began, time.perf_counter(), processor_time(), 0
    for batch in batches:
        count += len(batch["text"])
        if time.perf_counter() - began > seconds:
            break
    wall = time.perf_counter() - began
    print(json.dumps({"rate": count / wall, "first": first, "cpu": 1e6 * (processor_time() - spent) / count}))
    sys.stdout.flush()  # who started this ends it with its workers, which would go on reading ahead


if __name__ == "__main__":
    main()
