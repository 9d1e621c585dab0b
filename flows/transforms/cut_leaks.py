"""Cut eval items out of a text: the spans that `eval_overlap` found, where the eval's declared action is `cut`."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from catalog.plugins import transform


@transform("cut_leaks", version="1", citation="ours; spans of the eval_overlap scorer", reads=["eval_leak_items"])
def cut_leaks(text: pa.StringArray, items: pa.StringArray) -> pa.StringArray:
    """Take out the spans of leaked items of evals that ask for `cut`; the text around them closes with a blank line.

    Null where nothing is cut. A leak known only with its numbers masked has no span: drop such rows by a rule.
    """
    return pa.array(
        [_cut(value, listed) for value, listed in zip(text.to_pylist(), items.to_pylist(), strict=True)],
        pa.string(),
    )


def _cut(value: str | None, listed: str | None) -> str | None:
    if value is None or listed is None:
        return None
    items: list[dict[str, Any]] = json.loads(listed)
    spans = sorted(tuple(span) for item in items if item["leak"] and item["action"] == "cut" for span in item["spans"])
    if not spans:
        return None
    kept, at = [], 0
    for start, end in spans:
        if start > at:
            kept.append(value[at:start].rstrip())
        at = max(at, end)
    kept.append(value[at:].lstrip(" .?!;,\n"))
    return "\n\n".join(part for part in kept if part)
