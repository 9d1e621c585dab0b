"""The loop of an ingest: records in, fragments and checkpoints out. Publishes nothing."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.digests import digest_words
from catalog.ingest.batches import Defaults, with_ids, writer_schema
from catalog.ingest.fragments import FragmentWriter, words_of
from catalog.ingest.identity import NEW, Identity, Known
from catalog.ingest.lanes import prepare_regular, regular_shape
from catalog.ingest.plan import Input
from catalog.ingest.prepare import Job, Prepared, prepare
from catalog.ingest.records import BROKEN_FILE, Reject, excerpt
from catalog.ingest.streams import BrokenFile
from catalog.ingest.tally import Tally
from catalog.ingest.worker import LARGE, MOST, prepare_beside
from catalog.meta.models import Dataset
from catalog.runs import Progress
from catalog.store import checkpoints, open_table

if TYPE_CHECKING:
    from catalog.catalog import Catalog

REJECTS = 5000  # quarantined records held in memory before they are set aside
MET = 1_000_000  # live rows met again before the place is checkpointed


@dataclass
class Work:
    """One ingest, decided: what to read into which dataset, under which checkpoint key."""

    cat: Catalog
    dataset: Dataset
    inputs: list[Input]
    key: str
    run_id: str
    source: str
    licence: str | None
    fragment_rows: int
    keep_going: bool
    progress: Any = None


@dataclass
class Outcome:
    """What is ready to be published. head: the version whose rows the new ones were compared with."""

    tally: Tally = field(default_factory=Tally)
    fragments: list[dict[str, Any]] = field(default_factory=list)
    units: int = 0
    resumed: int = 0
    head: int = 0
    identity: Identity | None = None
    recounted: bool = False  # rows were taken out while publishing: statistics must be read from the table
    errors: dict[int, str] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass
class _Unit:
    """What one fragment brings, until it is checkpointed."""

    tally: Tally = field(default_factory=Tally)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    met: list[np.ndarray] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    parts: int = 0


def stream(work: Work) -> Outcome:
    """Read every input to its end, resuming behind the last checkpoint."""
    outcome = Outcome(head=work.dataset.head)
    known = _known(work)
    outcome.identity = Identity(known)
    place = _resume(work, outcome)
    todo = [(at, item) for at, item in enumerate(work.inputs) if item.status != "unchanged" and at >= place[0]]
    if not todo:
        return outcome
    loop = _Loop(work, outcome)
    try:
        for at, item in todo:
            loop.read(at, item, place[1] if at == place[0] else None)
        loop.finish()
    finally:
        loop.writer.stop()
    return outcome


def _known(work: Work) -> Known:
    if not work.dataset.head:
        return Known(None)
    table = open_table(work.cat.table_uri(work.dataset), work.dataset.lance_version, work.cat.settings.storage)
    where = "removed IS NULL OR removed = 0" if work.dataset.removed else None
    return Known(lambda columns: table.scanner(columns=columns, filter=where, batch_size=65536).to_batches())


def _resume(work: Work, outcome: Outcome) -> tuple[int, dict[str, Any] | None]:
    """Take over finished units; where to go on: (input, place in it)."""
    place: tuple[int, dict[str, Any] | None] = (0, None)
    assert outcome.identity is not None
    for unit, body in sorted(checkpoints.load(work.cat, work.key).items()):
        if "." in unit:
            continue
        outcome.tally.merge(body["tally"])
        outcome.errors.update({int(at): text for at, text in body["errors"].items()})
        if body["fragment"]:
            outcome.fragments.append(body["fragment"])
            outcome.identity.seen.add(words_of(work.cat, work.dataset, body["fragment"]))
        if body["met"]:
            outcome.identity.seen.add(np.frombuffer(bytes.fromhex(body["met"]), np.uint64))
        outcome.units += 1
        outcome.head = min(outcome.head, body["head"])
        place = (body["at"], body["next"])
    outcome.resumed = outcome.tally.counts["in"]
    return place


class _Loop:
    """State of the loop: the open fragment and what it brings."""

    def __init__(self, work: Work, outcome: Outcome) -> None:
        self.work, self.outcome = work, outcome
        self.schema = writer_schema(work.dataset.kind)
        self.writer = FragmentWriter(work.cat, work.dataset, self.schema)
        self.unit, self.place = _Unit(), (0, None)
        self.pending: tuple[Future[dict[str, Any]], _Unit, tuple[int, Any]] | None = None
        total = sum(item.size for item in work.inputs if item.status != "unchanged")
        self.progress = Progress(work.cat, work.run_id, total, "bytes", work.progress)

    def read(self, at: int, item: Input, place: dict[str, Any] | None) -> None:
        """Read one input from `place` on (None: from where the plan says)."""
        work, place = self.work, place or item.start
        defaults = Defaults(work.source, work.licence, item.source.uri, work.dataset.head + 1)
        job = Job(item.source, item.mapping, work.source, defaults, place)
        chunks: Any = _chunks(job, item.size - (place or {}).get("offset", 0))
        self.place = (at, place)
        try:
            for chunk in self._waiting(chunks):
                self._take(at, item, chunk)
                self.place = (at, chunk.next)
                self.progress.tick(min(chunk.read, max(0, self.progress.total - self.progress.done)))
                if self.writer.rows >= work.fragment_rows or sum(map(len, self.unit.met)) > MET:
                    self._close()
        except BrokenFile as error:
            self._broken(at, error)
        finally:
            chunks.close()
        self.place = (at + 1, None)

    def _waiting(self, chunks: Iterator[Prepared]) -> Iterator[Prepared]:
        """The chunks, with the time spent on them, here or in the other process, and on waiting for them."""
        while True:
            with self._timed("wait for chunks"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            for what, seconds in chunk.seconds.items():
                self.outcome.timings[what] += seconds
            yield chunk

    def _take(self, at: int, item: Input, chunk: Prepared) -> None:
        """Name the rows of a chunk, write the new ones, count all."""
        unit, identity, batch = self.unit, self.outcome.identity, chunk.batch
        assert identity is not None
        with self._timed("repeats"):
            ids, state = identity.assign(chunk.ids, chunk.contents, chunk.keyed, goes_on=item.status == "appended")
            if ids is not chunk.ids:
                batch = with_ids(batch, ids)
        unit.tally.add_fates(at, state, chunk.rejects)
        unit.rejects += [_listed(reject, item.source.uri) for reject in chunk.rejects]
        if len(unit.rejects) >= REJECTS:
            self._set_aside()
        contents = chunk.contents
        if (state != NEW).any():
            unit.met.append(digest_words(ids)[state != NEW, 0])
            fresh = state == NEW
            batch, ids, contents = batch.filter(pa.array(fresh)), _only(ids, fresh), _only(contents, fresh)
        if not batch.num_rows:
            return
        with self._timed("statistics"):
            unit.tally.add_rows(batch, ids, contents)
        with self._timed("wait for Lance"):
            self.writer.put(batch)

    def _broken(self, at: int, error: BrokenFile) -> None:
        """A file that breaks fails the ingest, unless the rows before the break are to be kept."""
        if not self.work.keep_going:
            raise error
        reject = Reject(None, error.facts.get("offset"), BROKEN_FILE, error.message, excerpt(error.message))  # type: ignore[arg-type]
        self.unit.tally.add_fates(at, np.empty(0, np.uint8), [reject])
        self.unit.rejects.append(_listed(reject, self.work.inputs[at].source.uri))
        self.unit.errors[str(at)] = error.message

    def _set_aside(self) -> None:
        """Store rejects apart, so that a file of nothing but broken records needs no memory."""
        unit = f"{self.outcome.units + (self.pending is not None):06d}.{self.unit.parts:04d}"
        checkpoints.save(self.work.cat, self.work.key, unit, {"rejects": self.unit.rejects})
        self.unit.parts += 1
        self.unit.rejects = []

    def _close(self) -> None:
        """End the open fragment; the one before it has been written meanwhile and is checkpointed."""
        self._checkpoint()
        self.pending = (self.writer.close(), self.unit, self.place)
        self.unit = _Unit()

    def _checkpoint(self) -> None:
        if self.pending is None:
            return
        future, unit, (at, following) = self.pending
        with self._timed("wait for Lance"):
            fragment = future.result()
        body = {
            "fragment": fragment,
            "tally": unit.tally.to_json(),
            "rejects": unit.rejects,
            "met": np.concatenate(unit.met).tobytes().hex() if unit.met else "",
            "errors": unit.errors,
            "head": self.outcome.head,
            "at": at,
            "next": following,
        }
        checkpoints.save(self.work.cat, self.work.key, f"{self.outcome.units:06d}", body)
        self.outcome.units += 1
        self.outcome.tally.merge(body["tally"])
        self.outcome.errors.update({int(name): text for name, text in unit.errors.items()})
        if fragment:
            self.outcome.fragments.append(fragment)
        self.pending = None

    def finish(self) -> None:
        """Close and checkpoint the last fragment."""
        self._close()
        self._checkpoint()

    @contextmanager
    def _timed(self, what: str) -> Any:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.outcome.timings[what] += time.perf_counter() - began


def _chunks(job: Job, size: int) -> Iterator[Prepared]:
    """The fastest way to the chunks of a file: threads where it is regular, processes where it is large."""
    cores = min(len(os.sched_getaffinity(0)), MOST)
    if (shape := regular_shape(job)) is not None:
        return prepare_regular(job, shape, cores)
    return prepare_beside(job, cores) if size >= LARGE and cores > 1 else prepare(job)


def _only(digests: bytes, mask: np.ndarray) -> bytes:
    return np.frombuffer(digests, np.uint8).reshape(-1, 16)[mask].tobytes()


def _listed(reject: Reject, uri: str) -> dict[str, Any]:
    return asdict(reject if reject.file else replace(reject, file=uri))
