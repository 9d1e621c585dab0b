"""The home page over a thousand datasets of fifty columns: CPU seconds of each part, and of the page as Streamlit draws it.

    python benchmarks/home.py [DATASETS]

The datasets are metadata alone: home opens no table. A part is the best of three; the page is a rerun of a warm session.
CPU seconds, because they are the same on a machine that others use.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog import Catalog
from catalog.meta.models import ColumnRecord, Dataset, Edge, Run, Version

COLUMNS = 50
APP = Path(__file__).parents[1] / "ui" / "web" / "app.py"


def fill(cat: Catalog, count: int) -> None:
    """Datasets in four tiers, each of the upper ones promoted from the one before."""
    histogram = {"counts": list(range(64)), "edges": [float(at) for at in range(65)]}
    facets = {"licence": {"MIT": 600_000, "unknown": 400_000}, "source": {f"site-{at}": 20_000 for at in range(50)}}
    waterfall = {"unit": "tokens", "total": [1_000_000, 10**9], "kept": [600_000, 7 * 10**8],
                 "alone": {f"rule_{at}": [at, at] for at in range(40)}}  # fmt: skip
    with cat.session() as session:
        for at in range(count):
            parent = f"set-{at - 1}@v1" if at % 4 else None
            session.add(Dataset(id=f"d{at}", name=f"set-{at}", kind="text", tier=f"L{at % 4}", uri=f"t/{at}", head=1, rows=10**6,
                                parent=parent))  # fmt: skip
            session.add(Version(dataset_id=f"d{at}", number=1, digest=str(at), rows=10**6, added=10**6,
                                statistics={"chars": 4 * 10**9, "facets": facets}))  # fmt: skip
            for number in range(COLUMNS):
                name = ("tokens", "language")[number] if number < 2 else f"score_{number}"
                session.add(ColumnRecord(dataset_id=f"d{at}", alias=name, physical=name, state="s", fingerprint=f"{at}-{number}",
                                         scorer=name, output=name, type="double", covered=10**6, run_id=f"r{at}-{number // 9}",
                                         statistics={"mean": 400.0, "count": 10**6, "histogram": histogram,
                                                     "facets": {"en": 900_000, "de": 100_000}}))  # fmt: skip
            session.add(Run(verb="score", key=f"k{at}", status="done" if at % 50 else "failed", dataset=f"set-{at}"))
            if parent:
                session.add(Edge(run_id="r", verb="promote", source=parent, target=f"set-{at}@v1",
                                 counts={"in": 10**6, "kept": 600_000}, details={"waterfall": waterfall}))  # fmt: skip
        session.commit()


def best(work: Callable[[], Any], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def main() -> None:
    from streamlit.testing.v1 import AppTest

    from ui.web.components.cards import lanes
    from ui.web.queries import flow, overview, waiting

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STRATA_HOME"] = folder
        cat = Catalog.open(folder)
        fill(cat, count)
        cards = overview.cards(cat)
        flowing = flow.flows(cat, cards)
        parts = {"cards": lambda: overview.cards(cat), "waiting": lambda: waiting.waiting(cat, cards),
                 "news": lambda: waiting.news(cat), "flows": lambda: flow.flows(cat, cards),
                 "lanes": lambda: lanes(cards, False, flowing), "facets": lambda: overview.facets(cards)}  # fmt: skip
        for name, work in parts.items():
            print(f"{name:8} {best(work):.3f} s")
        page = AppTest.from_file(str(APP), default_timeout=300).run()
        print(f"page     {best(lambda: page.run()):.3f} s, {len(lanes(cards, False, flowing)):,} bytes of lanes")


if __name__ == "__main__":
    main()
