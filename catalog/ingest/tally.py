"""What an ingest counts while rows stream by: enough to publish a version without reading the rows again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.digests import add, as_hex, as_int, digest_of_words, digest_words
from catalog.ingest.identity import HELD, RETRACTED
from catalog.ingest.records import Reject
from catalog.statistics import RowStatistics

NULLABLE = ("licence", "url", "author", "created", "meta", "offset", "answer")
COUNTS = ("in", "kept", "held", "retracted", "quarantined")


class Tally:
    """Counts of rows by fate and file, reasons, nulls, row statistics and the digest of the new rows."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.nulls: Counter[str] = Counter()
        self.files: dict[str, Counter[str]] = {}
        self.statistics = RowStatistics()
        self.digest = 0

    def add_fates(self, file: int, state: np.ndarray, rejects: list[Reject]) -> None:
        """Count the records of a chunk: in = kept + held + retracted + quarantined."""
        held, gone = int((state == HELD).sum()), int((state == RETRACTED).sum())
        found = {
            "in": len(state) + len(rejects),
            "kept": len(state) - held - gone,
            "held": held,
            "retracted": gone,
            "quarantined": len(rejects),
        }
        self.counts.update(found)
        self.files.setdefault(str(file), Counter()).update(found)
        self.reasons.update(reject.reason for reject in rejects)

    def add_rows(self, batch: pa.RecordBatch, ids: bytes, contents: bytes) -> None:
        """Count the rows of a batch that will be written; ids and contents: 16 bytes a row."""
        self.statistics.add(batch)
        self.nulls.update({name: batch.column(name).null_count for name in NULLABLE if name in batch.schema.names})
        self.digest = add(self.digest, digest_of_words(digest_words(ids), digest_words(contents)))

    def merge(self, body: dict[str, Any]) -> None:
        """Add what `to_json` of another tally said."""
        self.counts.update(body["counts"])
        self.reasons.update(body["reasons"])
        self.nulls.update(body["nulls"])
        for file, counts in body["files"].items():
            self.files.setdefault(file, Counter()).update(counts)
        self.statistics.merge(body["statistics"])
        self.digest = add(self.digest, as_int(body["digest"]))

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": dict(self.counts),
            "reasons": dict(self.reasons),
            "nulls": dict(self.nulls),
            "files": {file: dict(counts) for file, counts in self.files.items()},
            "statistics": self.statistics.to_json(),
            "digest": as_hex(self.digest),
        }
