"""Prompts are files, agents/prompts/NAME.md; what was asked is known by the digest of its text."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files


@cache
def prompt(name: str) -> str:
    """The text of a prompt, without its last line break."""
    return files("agents").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").rstrip("\n")


def version(name: str) -> str:
    """Eight hex digits of the prompt's SHA-256: two answers under one version were asked alike."""
    return hashlib.sha256(prompt(name).encode()).hexdigest()[:8]
