"""What a row was before: the row of the same id in the dataset it was promoted from, or the parents it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.errors import NotFound

STEPS = 8
"""Datasets up the line that are looked at."""
MOST = 4
"""Parents shown."""


@dataclass(frozen=True)
class Parent:
    dataset: str
    sample_id: str
    content_id: str
    text: str


def parents_of(cat: Catalog, found: Resolved, row: dict[str, Any]) -> list[Parent]:
    """Parents with a text that may differ: by the row's own list, else the same sample in the nearest dataset above that
    holds other content. Empty where the row was never changed, or nothing above holds it any more."""
    asked = (list(row.get("parents") or []) or _said(row.get("meta")))[:MOST]
    ref = found.dataset.parent
    for _ in range(STEPS):
        if not ref:
            break
        try:
            above = cat.resolve(ref)
        except NotFound:
            break
        held = _held(cat, ref, asked or [row["sample_id"]])
        if asked and held:
            return held
        if changed := [parent for parent in held if parent.content_id != row["content_id"]]:
            return changed
        ref = above.dataset.parent
    return []


def _said(meta: str | None) -> list[str]:
    """Parents that a row's meta names: edits have them there too, below the tiers whose rows have a column for it."""
    try:
        body = orjson.loads(meta) if meta else None
    except orjson.JSONDecodeError:
        return []
    found = body.get("parents") if isinstance(body, dict) else None
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _held(cat: Catalog, ref: str, ids: list[str]) -> list[Parent]:
    where = " OR ".join(f"sample_id = '{name}'" for name in ids if name.isalnum())
    if not where:
        return []
    name = ref.partition("@")[0]
    parts = cat.scan(ref, ["sample_id", "content_id", "text"], where=where)
    rows = {row["sample_id"]: row for part in parts for row in part.to_pylist()}
    return [Parent(name, one, rows[one]["content_id"], rows[one]["text"] or "") for one in ids if one in rows]
