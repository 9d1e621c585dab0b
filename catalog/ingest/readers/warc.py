"""Web archives: WARC (HTML responses, text extracted by trafilatura) and WET (plain text records).

A record is an HTML or text response, or a conversion record; requests, metadata and other content types are no records.
A page without extractable text is quarantined as empty. Offsets count decompressed bytes.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

from catalog.errors import Missing
from catalog.ingest.records import BROKEN_ROW, EMPTY, NOT_UTF8, OVERSIZE, Chunk, Reject, Source, excerpt, reader
from catalog.ingest.streams import BrokenFile, Stream, StreamFile

CHUNK_PAGES = 256
PAGES = ("text/html", "application/xhtml+xml", "text/plain")


@reader("warc", suffixes=(".warc", ".wet"), growable=False, key="warc_id")
def read(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of pages; `at` is {"offset", "line"} of the next record."""
    iterate, extract = _libraries(source.uri)
    start, number = (at["offset"], at["line"]) if at else (0, 1)
    rows: list[dict[str, Any]] = []
    lines, offsets, rejects, began, broken = [], [], [], start, None
    with Stream(source.uri, source.storage, start) as stream:
        records = iterate(_Counted(stream))
        while True:
            record, found, offset = None, None, stream.offset
            try:
                if record := next(records, None):
                    found = _page(record, source.options.max_record_bytes, extract)
                    whole = found is None or (isinstance(found, tuple) and found[0] == OVERSIZE)
                    cut = not whole and record.raw_stream.limit > 0  # bytes that its header promises are not there
                    offset = start + records.get_record_offset()  # this reads the record to its end
                    if cut:
                        raise ValueError(f"the record at byte {offset} is cut off")
            except BrokenFile as error:
                record, broken = None, error
            except Exception as error:
                reason = f"{source.uri} is broken near record {number}: {error}"
                record, broken = (
                    None,
                    BrokenFile(f"{reason}; fetch it again, or keep the pages before with --keep-going"),
                )
            full = len(rows) + len(rejects) >= CHUNK_PAGES or offset - began > source.options.block_bytes
            if (record is None or full) and (rows or rejects):
                yield Chunk(rows, lines, offsets, {"offset": offset, "line": number}, offset - began, rejects)
                rows, lines, offsets, rejects, began = [], [], [], [], offset
            if broken:
                raise broken
            if record is None:
                return
            if isinstance(found, dict):
                rows.append(found)
                lines.append(number)
                offsets.append(offset)
            elif found:
                rejects.append(Reject(number, offset, *found))
            number += found is not None


def _libraries(uri: str) -> tuple[Any, Any]:
    try:
        import trafilatura
        from warcio.archiveiterator import ArchiveIterator
    except ImportError as error:
        raise Missing(f"reading {uri} needs {error.name}: pip install 'strata-catalog[ingest]'") from None
    logging.getLogger("trafilatura").setLevel(logging.ERROR)  # it warns of every page without text
    return ArchiveIterator, trafilatura.extract


class _Counted(io.BufferedReader):
    """A stream with the `tell` that warcio asks for."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(StreamFile(stream), 1 << 20)
        self.count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data

    def tell(self) -> int:
        return self.count


def _page(record: Any, limit: int, extract: Any) -> dict[str, Any] | tuple[str, str, str] | None:
    """A page as a row, (reason, detail, excerpt) of why there is none, or None for what is no page."""
    headers = record.rec_headers
    media = (headers.get_header("Content-Type") or "").split(";")[0].strip().lower()
    if record.rec_type == "response":
        if record.http_headers is None:
            return None
        media = (record.http_headers.get_header("Content-Type") or "").split(";")[0].strip().lower()
    elif record.rec_type != "conversion":
        return None
    if media not in PAGES:
        return None
    body = record.content_stream().read(limit + 1)
    url = headers.get_header("WARC-Target-URI") or ""
    if len(body) > limit:
        return OVERSIZE, f"more than {limit} bytes", excerpt(url)
    try:
        text = _text(body, media, extract)
    except UnicodeDecodeError as error:
        return NOT_UTF8, f"byte 0x{body[error.start]:02x} at position {error.start}", excerpt(url)
    except Exception as error:  # an HTML parser may fail on anything; the page is lost, the archive is not
        return BROKEN_ROW, f"{type(error).__name__}: {error}"[:200], excerpt(url)
    if not text or text.isspace():
        return EMPTY, f"no text could be extracted from {len(body)} bytes of {media}", excerpt(url)
    row = {
        "text": text,
        "url": url,
        "created": headers.get_header("WARC-Date"),
        "warc_id": (headers.get_header("WARC-Record-ID") or "").strip("<>").removeprefix("urn:uuid:"),
        "languages": headers.get_header("WARC-Identified-Content-Language"),
        "status": record.http_headers.get_statuscode() if record.http_headers else None,
    }
    return {name: value for name, value in row.items() if value}


def _text(body: bytes, media: str, extract: Any) -> str:
    if media == "text/plain":
        return body.decode()
    return extract(body, include_comments=False, include_tables=True) or ""
