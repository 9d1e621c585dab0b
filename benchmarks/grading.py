"""How long a grader waits: the next item, a put and a skip of a campaign over many rows.

    python benchmarks/grading.py --rows 1000000

What is touched is what one of two wanted graders left behind: graded items whose second place is open.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlalchemy import insert, update
from sqlmodel import col

from catalog import Catalog, grades
from catalog.meta.models import Campaign, Grade, GradeCursor, GradeSlot, new_id, now
from catalog.testing import append_texts, attach_columns

RUBRIC = {"name": "clarity", "about": "How clear is the text?", "scales": {"clarity": {"low": 1, "high": 5}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--touched", type=int, default=250_000, help="items that one grader has left behind")
    parser.add_argument("--orders", nargs="*", default=["uncertain", "disagreeing", "stratified"])
    asked = parser.parse_args()
    rows, turns = asked.rows, asked.turns
    with tempfile.TemporaryDirectory() as folder:
        cat = Catalog.open(Path(folder) / "home")
        for at in range(0, rows, 100_000):
            append_texts(cat, "web", [f"text {n} of many, to be graded" for n in range(at, min(at + 100_000, rows))])
        random = np.random.default_rng(0)
        attach_columns(cat, "web", {"score": random.random(rows), "other": random.random(rows)})
        for order, more in (
            ("random", {}),
            ("uncertain", {"columns": ["score"], "threshold": 0.5}),
            ("disagreeing", {"columns": ["score", "other"]}),
            ("stratified", {"columns": ["score"]}),
        ):
            if order not in ("random", *asked.orders):
                continue
            began = time.perf_counter()
            grades.create(cat, order, "web", RUBRIC, order=order, graders=2, **more)
            print(f"create, order {order:<12} {time.perf_counter() - began:6.2f} s")
        shown(cat, "random", "ann", turns, "nothing touched")
        left_behind(cat, "random", asked.touched)
        shown(cat, "random", "ann", turns, f"{asked.touched:,} graded by this grader")
        shown(cat, "random", "bob", turns, f"{asked.touched:,} graded by another")
        shown(cat, "random", "bob", turns, "after each a skip", skip=True)
        shown(cat, "random", "ann", turns, "behind what others skipped")


def left_behind(cat: Catalog, name: str, count: int) -> None:
    """What ann leaves behind who graded so many items alone."""
    campaign = grades.find(cat, name)
    start = campaign.frontier
    facts = {"campaign_id": campaign.id, "content_id": "", "dataset": campaign.ref, "rubric": "clarity", "grader": "ann",
             "value": "3", "number": 3.0, "suggestion": False, "note": "", "created": now(), "act": "grade",
             "name": "clarity", "target": "", "revision": 1}  # fmt: skip
    with cat.session() as session:
        for at in range(start, count, 50_000):
            items = range(at, min(at + 50_000, count))
            ids = [new_id() for _ in items]
            session.execute(insert(GradeSlot), [
                {"id": held if place == 0 else new_id(), "campaign_id": campaign.id, "item": item, "place": place,
                 "status": "open" if place else "graded", "grader": None if place else "ann"}
                for item, held in zip(items, ids) for place in (0, 1)
            ])  # fmt: skip
            session.execute(insert(Grade), [
                {"id": new_id(), "slot_id": held, "item": item, "sample_id": f"{item:032x}", **facts}
                for item, held in zip(items, ids)
            ])  # fmt: skip
        session.execute(update(Campaign).where(col(Campaign.id) == campaign.id).values(frontier=count))
        session.merge(GradeCursor(campaign_id=campaign.id, grader="ann", item=count, served=count))
        session.commit()


def shown(cat: Catalog, name: str, grader: str, turns: int, what: str, skip: bool = False) -> None:
    took: dict[str, list[float]] = {"next": [], "skip" if skip else "put": []}
    for _ in range(turns):
        began = time.perf_counter()
        item = grades.next_item(cat, name, grader)
        assert item is not None
        middle = time.perf_counter()
        _ = grades.skip(cat, item["item"], grader=grader) if skip else grades.put(
            cat, item["item"], {"clarity": 3}, grader=grader)  # fmt: skip
        took["next"].append(middle - began)
        took["skip" if skip else "put"].append(time.perf_counter() - middle)
    line = ", ".join(
        f"{verb} median {1e3 * np.median(t):.0f} ms, slowest {1e3 * max(t):.0f} ms" for verb, t in took.items()
    )
    print(f"{what:<34} {line}")


if __name__ == "__main__":
    main()
