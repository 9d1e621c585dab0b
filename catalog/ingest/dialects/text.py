"""Plain documents: one field holds the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catalog.ingest.dialect import Convert, Row, dialect
from catalog.ingest.turns import text_of

NAMES = (
    "text content raw_content body document markdown article page_content passage raw_text full_text text_content "
    "abstract paragraph sentence code story description transcript review comment post tweet lyrics poem chapter "
    "html_text cleaned_text clean_text source_code file_content"
)


@dialect(
    "text", kind="text", rank=60, roles={"text": NAMES}, needs="text", check=lambda rows, fields: strings(rows, fields)
)
def text(fields: dict[str, str]) -> Convert:
    """A document in one field."""
    name = fields["text"]

    def convert(row: Row) -> Row:
        return {"text": text_of(row, name)}

    return convert


def strings(rows: Sequence[Row], fields: Mapping[str, str]) -> str | None:
    name = fields["text"]
    held = sum(isinstance(row.get(name), str) for row in rows)
    return None if held * 2 >= len(rows) else f"{name} is a string in {held} of {len(rows)} rows"
