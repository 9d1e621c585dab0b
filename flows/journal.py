"""Batches of the gpu and api classes, kept as they finish: a crash costs one of them, not the fragment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa

from catalog.catalog import Catalog
from flows.job import Job


def read_journal(path: Path, fields: pa.Schema, rows: int) -> pa.RecordBatch | None:
    """What a run before this one computed; None where there is nothing, or what a crash left of it."""
    try:
        with pa.OSFile(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
    except (OSError, pa.ArrowInvalid):
        return None
    return batch if batch.schema.equals(fields) and batch.num_rows == rows else None


def write_journal(path: Path, batch: pa.RecordBatch) -> None:
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        part.rename(path)
    except FileNotFoundError:
        pass  # the same command in another process has just published and taken the folder away


def journal_folder(cat: Catalog, job: Job) -> Path:
    return cat.settings.journal / job.key.replace(":", "-")


def forget_journal(cat: Catalog, job: Job) -> None:
    shutil.rmtree(journal_folder(cat, job), ignore_errors=True)
