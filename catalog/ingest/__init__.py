"""Bring data in: readers, dialects, mapping, quarantine, ids, and the ingest itself."""

from catalog.ingest.infer import infer
from catalog.ingest.mapping import Mapping
from catalog.ingest.records import Chunk, Reader, Reject, Source, reader
from catalog.ingest.run import IngestReport, ingest

__all__ = ["Chunk", "IngestReport", "Mapping", "Reader", "Reject", "Source", "infer", "ingest", "reader"]
