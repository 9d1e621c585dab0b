"""Processor time of a process and of those it started, from /proc: workers of a loader count like its own threads."""

from __future__ import annotations

import os
from pathlib import Path


def tree_seconds(root: int) -> float:
    """User and system seconds of `root` and all its descendants that still run; reaped children count with their parent."""
    parent, spent = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        number = int(entry.name)
        parent[number], spent[number] = int(fields[1]), sum(map(int, fields[11:15]))
    total = 0
    for number, ticks in spent.items():
        at = number
        while at not in (0, root):
            at = parent.get(at, 0)
        total += ticks if at == root else 0
    return total / os.sysconf("SC_CLK_TCK")
