"""Time and memory of `strata insight` over a text dataset, all checks, in a process of its own.

    python benchmarks/insight.py --rows 100000 1000000 --home /tmp/bench-insight

Texts: 40 to 90 words drawn from 20,000 made-up words, in lines of twelve, about 400 characters; no meta and no scores. What
is printed: wall and processor seconds, and the highest resident set.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STEP = 100_000


def build(home: str, rows: int) -> None:
    from catalog import Catalog
    from catalog.testing import append_texts

    cat, rng = Catalog.open(home), np.random.default_rng(0)
    if cat.find(f"rows{rows}"):
        return
    letters = np.array(list("abcdefghiklmnoprstuvwz"))
    words = ["".join(rng.choice(letters, n)) for n in rng.integers(2, 11, 20_000)]
    for begin in range(0, rows, STEP):
        texts = []
        for count in rng.integers(40, 90, min(STEP, rows - begin)):
            drawn = [words[at] for at in rng.integers(0, len(words), count)]
            lines = [" ".join(drawn[at : at + 12]).capitalize() + "." for at in range(0, count, 12)]
            texts.append("\n".join(lines))
        append_texts(cat, f"rows{rows}", texts)


def one(home: str, rows: int) -> None:
    """Measure in this process."""
    from agents.insight import insight
    from catalog import Catalog

    cat = Catalog.open(home)
    began = time.perf_counter()
    held = insight(cat, f"rows{rows}")
    used = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.perf_counter() - began
    print(json.dumps({
        "rows": rows, "findings": len(held["findings"]), "wall_s": round(wall, 1), "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": used.ru_maxrss >> 10,
    }))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--home", default="/tmp/bench-insight")
    parser.add_argument("--one", type=int)
    asked = parser.parse_args()
    if asked.one:
        one(asked.home, asked.one)
        return
    for rows in asked.rows:
        build(asked.home, rows)
        subprocess.run([sys.executable, __file__, "--home", asked.home, "--one", str(rows)], check=True)


if __name__ == "__main__":
    main()
