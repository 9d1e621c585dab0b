"""Write fragments beside the parsing: one thread feeds Lance from a short queue, so that both cores work."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.digests import id_words
from catalog.errors import Corrupt
from catalog.store import write_fragment
from catalog.store.native import lance_part

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.meta.models import Dataset

QUEUE = 4  # batches of a few megabytes that may wait


class Stopped(Exception):
    """Raised inside the writing thread when the ingest gives up; the file it was writing is left to `strata gc`."""


class FragmentWriter:
    """Streams batches into fragments. `close()` ends the current one and returns its future metadata."""

    def __init__(self, cat: Catalog, dataset: Dataset, schema: pa.Schema) -> None:
        self.uri, self.storage, self.schema = cat.table_uri(dataset), cat.settings.storage, schema
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="strata-write")
        self.batches: queue.Queue[pa.RecordBatch | type[Stopped] | None] = queue.Queue(QUEUE)
        self.future: Future[dict[str, Any]] | None = None
        self.rows = 0

    def put(self, batch: pa.RecordBatch) -> None:
        if self.future is None:
            self.batches = queue.Queue(QUEUE)
            self.future = self.pool.submit(write_fragment, self.uri, self.storage, self.schema, _drain(self.batches))
        self._offer(batch)
        self.rows += batch.num_rows

    def close(self) -> Future[dict[str, Any]]:
        """End the fragment; an empty one is {}."""
        future, self.rows = self.future, 0
        if future is None:
            future = Future()
            future.set_result({})
            return future
        self._offer(None)
        self.future = None
        return future

    def _offer(self, item: pa.RecordBatch | None) -> None:
        """Wait for room, but not for a thread that has failed."""
        while True:
            try:
                self.batches.put(item, timeout=0.2)
                return
            except queue.Full:
                if self.future is not None and self.future.done():
                    self.future.result()
                    raise

    def stop(self) -> None:
        """Give up what is not closed and wait for the thread."""
        if self.future is not None:
            while not self.batches.empty():
                try:
                    self.batches.get_nowait()
                except queue.Empty:
                    break
            self.batches.put(Stopped)
        self.pool.shutdown(wait=True)


def _drain(batches: queue.Queue[Any]) -> Iterator[pa.RecordBatch]:
    while (item := batches.get()) is not None:
        if item is Stopped:
            raise Stopped
        yield item


def read_unpublished(
    cat: Catalog, dataset: Dataset, fragment: dict[str, Any], columns: list[str] | None = None
) -> pa.Table:
    """Columns of a fragment that is written but not published."""
    try:
        return lance_part("file").LanceFileReader(_path(cat, dataset, fragment), storage_options=cat.settings.storage or None, columns=columns).read_all(
            batch_size=65536
        ).to_table()  # fmt: skip
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise Corrupt(
            f"a finished part of an earlier run of this ingest is gone ({reason}); `strata gc --abandon`, then repeat"
        ) from None


def sample_of(cat: Catalog, dataset: Dataset, fragments: list[dict[str, Any]], count: int) -> list[str]:
    """Texts of up to `count` rows, evenly spaced over unpublished fragments."""
    texts: list[str] = []
    rows = sum(fragment["physical_rows"] for fragment in fragments)
    for fragment in fragments:
        take = -(-count * fragment["physical_rows"] // rows)
        at = np.unique(np.linspace(0, fragment["physical_rows"] - 1, take).astype(int)).tolist()
        reader = lance_part("file").LanceFileReader(
            _path(cat, dataset, fragment), storage_options=cat.settings.storage or None, columns=["text"]
        )
        texts += [text[:2000] for text in reader.take_rows(at).to_table().column("text").to_pylist() if text]
    return texts


def words_of(cat: Catalog, dataset: Dataset, fragment: dict[str, Any]) -> np.ndarray:
    """First halves of the sample ids in an unpublished fragment."""
    return id_words(read_unpublished(cat, dataset, fragment, ["sample_id"]).column("sample_id"))[:, 0]


def _path(cat: Catalog, dataset: Dataset, fragment: dict[str, Any]) -> str:
    return f"{cat.table_uri(dataset)}/data/{fragment['files'][0]['path']}"
