"""References: `name`, `name@v3`, `name@tag`. Names are safe as file names, SQL identifiers (quoted) and URLs."""

from __future__ import annotations

import re
from typing import NamedTuple

from catalog.errors import BadInput

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
RESERVED = {"strata", "main", "temp", "information_schema", "pg_catalog"}


class Ref(NamedTuple):
    """A parsed reference; `version` is None for the head, a number, or a tag."""

    name: str
    version: int | str | None

    def __str__(self) -> str:
        if self.version is None:
            return self.name
        return f"{self.name}@v{self.version}" if isinstance(self.version, int) else f"{self.name}@{self.version}"


def parse_ref(text: str) -> Ref:
    """Split `name[@vN|@tag]`; `BadInput` when it is not one."""
    name, at, version = text.strip().partition("@")
    check_name(name)
    if not at:
        return Ref(name, None)
    if re.fullmatch(r"v\d{1,9}", version):
        return Ref(name, int(version[1:]))
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", version):
        return Ref(name, version)
    raise BadInput(f"{text!r} is not a reference: write name, name@v3 or name@tag")


def check_name(name: str) -> str:
    """The name itself if it is safe, else `BadInput` that says what is allowed."""
    if not NAME.fullmatch(name) or ".." in name or name.endswith(".") or name in RESERVED:
        raise BadInput(
            f"{name!r} cannot be a name: use 1-80 of a-z, 0-9, '_', '-', '.', starting with a letter or digit, "
            f"and none of {', '.join(sorted(RESERVED))}"
        )
    return name
