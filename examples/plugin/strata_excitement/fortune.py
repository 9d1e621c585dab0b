"""Fortune files: short texts between lines that hold a single percent sign."""

from collections.abc import Iterator

from catalog.ingest.records import Chunk, Source, reader
from catalog.ingest.streams import Stream

MARK = b"\n%\n"


def _is_fortune(head: bytes) -> bool:
    return head.count(MARK) > 1


@reader("fortune", suffixes=(".fortune",), sniff=_is_fortune)
def read(source: Source, at: dict | None) -> Iterator[Chunk]:
    """One chunk: such files are small. The line of a text is its number in the file."""
    with Stream(source.uri, source.storage) as stream:
        parts = b"".join(stream.blocks()).decode("utf-8", "replace").split(MARK.decode())
    texts = [text.strip("\n") for text in parts if text.strip()]
    start = at["line"] - 1 if at else 0
    rows = [{"text": text} for text in texts[start:]]
    yield Chunk(rows, range(start + 1, len(texts) + 1), None, {"line": len(texts) + 1}, sum(map(len, parts)))
