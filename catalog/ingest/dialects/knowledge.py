"""Records of facts: any object. The record stays whole in `meta`; its text is one "key: value" line a field."""

from __future__ import annotations

from typing import Any

from catalog.ingest.dialect import Convert, Row, dialect
from catalog.ingest.records import EMPTY
from catalog.ingest.turns import Unusable, to_json


@dialect("knowledge", kind="knowledge", rank=99, roles={}, needs="")
def knowledge(fields: dict[str, str]) -> Convert:
    """Any record."""

    def convert(row: Row) -> Row:
        lines = [line for key, value in row.items() if (line := _line(str(key), value))]
        if not lines:
            raise Unusable(EMPTY, "every field is empty")
        return {"text": "\n".join(lines)}

    return convert


def _line(key: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return f"{key}: {'yes' if value else 'no'}"
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return f"{key}: {', '.join(str(item) for item in value)}"
    return f"{key}: {value if isinstance(value, str | int | float) else to_json(value)}"
