"""Mask personal data: each match of the `pii` scorer's patterns becomes a tag that names what stood there."""

from __future__ import annotations

import pyarrow as pa

from catalog.plugins import transform


@transform("mask_pii", version="1", citation="ours; patterns and checksums of the pii scorer")
def mask_pii(text: pa.StringArray) -> pa.StringArray:
    """Replace e-mail addresses, phone, card and account numbers, IP addresses by tags such as <EMAIL>.

    Null where nothing was found, so that an untouched text keeps its identity and its columns.
    """
    from flows.scorers.text._pii import find_pii

    masked: list[str | None] = []
    for value in text.to_pylist():
        found = find_pii(value) if value else []
        if not found:
            masked.append(None)
            continue
        parts, at = [], 0
        for what, start, end in found:
            parts += [value[at:start], f"<{what.upper()}>"]
            at = end
        masked.append("".join([*parts, value[at:]]))
    return pa.array(masked, pa.string())
