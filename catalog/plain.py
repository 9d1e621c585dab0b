"""What verbs return, as plain JSON values: one shape for the command line, HTTP, MCP and agents."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def plain(value: Any) -> Any:
    """JSON values of anything a verb returns: rows, dataclasses, Arrow, numpy. NaN and infinities become null."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    for method in ("to_pylist", "model_dump", "to_json", "tolist", "isoformat"):
        if not isinstance(value, type) and callable(convert := getattr(value, method, None)):
            return plain(convert())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return str(value)
