"""Parts of the lance package, imported so that threads may do it at once."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def lance_part(name: str) -> Any:
    """The module `lance.<name>`. The package goes first: threads that import two of its modules at once find it half made."""
    import_module("lance")
    return import_module(f"lance.{name}")
