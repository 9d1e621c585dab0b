"""How much of new data the catalog holds already: before it is accepted, and of a published version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.digests import id_words
from catalog.errors import Refused
from catalog.ingest.fragments import read_unpublished

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.index.held import Held
    from catalog.ingest.mapping import Mapping
    from catalog.meta.models import Dataset


def check_new(cat: Catalog, dataset: Dataset, fragments: list[dict[str, Any]]) -> Held:
    """Check rows that are written and not published against everything held, every mix and every eval."""
    from catalog.index.held import held_of

    def batches() -> Iterator[pa.RecordBatch]:
        for fragment in fragments:
            yield from read_unpublished(cat, dataset, fragment, ["content_id", "text"]).to_batches(max_chunksize=8192)

    return held_of(cat, batches(), without=dataset)


def sample_held(cat: Catalog, uri: str, mapping: Mapping, **reading: Any) -> Held:
    """Check the first records of an input, which nothing was written of, under a proposed mapping."""
    from catalog.index.held import held_of
    from catalog.ingest.discover import discover
    from catalog.ingest.infer import peek
    from catalog.ingest.mapping import Mapped, compile_mapping
    from catalog.ingest.records import Chunk

    rows, mapped = peek(discover([uri], **reading)[0]), Mapped()
    compile_mapping(mapping)(Chunk(rows, list(range(1, len(rows) + 1)), None, {}), mapped)
    texts = [encoded.decode() for encoded in mapped.encoded]
    ids = [digest.hex() for digest in mapped.contents]
    return held_of(cat, [pa.record_batch({"content_id": ids, "text": texts})] if texts else [])


def accept(name: str, held: Held, most: float | None) -> None:
    """Refuse new data of which more than the share `most` is held already."""
    if most is not None and held.rows and held.share(held.near) > most:
        raise Refused(
            f"{name} stays as it is: {held.said()}, more than the {most:.0%} allowed; leave the held part out, or raise "
            "--max-held",
            missing=["new data"],
        )


def overlap_with_others(cat: Catalog, dataset: Dataset, ref: str) -> float | None:
    """Share of a version's rows whose content id is live in another dataset that was not made from it.

    Memory is 9 bytes a row of the version; the other datasets are scanned once, content ids only.
    """
    parts = [id_words(batch.column("content_id"))[:, 0] for batch in cat.scan(ref, ["content_id"], batch_rows=65536)]
    words = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
    if not len(words):
        return None
    hit = np.zeros(len(words), bool)
    for other in cat.datasets():
        if other.id == dataset.id or (other.parent or "").split("@")[0] == dataset.name:
            continue
        for batch in cat.scan(other.name, ["content_id"], batch_rows=65536):
            asked = np.unique(id_words(batch.column("content_id"))[:, 0])
            low, high = np.searchsorted(words, asked, "left"), np.searchsorted(words, asked, "right")
            for start, end in zip(low[high > low], high[high > low], strict=True):
                hit[start:end] = True
    return float(hit.mean())
