"""Files beside a lock, named by the SHA-256 of their bytes: written whole or not at all, and checked by their name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from catalog.errors import Corrupt


def save(path: Path, pieces: Iterable[bytes]) -> None:
    """Write the file under its final name in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{path.stem}.{os.getpid()}"
    with open(draft, "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def must_exist(path: Path, what: str) -> None:
    """Refuse to open what is gone."""
    if not path.exists():
        raise Corrupt(f"{what} file {path} is gone; restore it from a backup or publish the mix again")


def check(path: Path, what: str, digest: str) -> None:
    """Compare the bytes with the name."""
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise Corrupt(f"{what} file {path} was changed: its digest is {found[:16]}, its name says otherwise")
