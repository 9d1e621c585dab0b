"""Bring leak verdicts up to date: the check that a registered eval queued, over the datasets from L2 on, and nothing else.

The queue is not stored: it is what `catalog.evals.stale` derives from the evals as they are and the verdicts there are,
so that no crash can lose an entry or leave one behind. A dataset that was checked before is tested against the added
evals alone (`flows/extending.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.evals import CHECK, queued

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def check_queued(cat: Catalog, name: str | None = None, *, show: Any = None) -> list[dict[str, Any]]:
    """Run every queued check (those that wait for one eval, if named); one row a dataset.

    {"dataset", "against", "rows", "leaking": rows that ask for an action now, "before": the same under the old verdict}
    """
    from flows.runner import score

    done = []
    for entry in queued(cat, name):
        before = _leaking(cat, entry["object"], set())
        held = {column.physical for column in cat.columns(entry["object"])}
        report = score(cat, entry["object"], [CHECK], show=show)
        fresh = {column.physical for column in cat.columns(entry["object"])} - held
        done.append(
            {
                "dataset": entry["object"],
                "against": entry["against"],
                "rows": report.counts["computed"] + report.counts["reused"],
                "before": before,
                "leaking": _leaking(cat, entry["object"], fresh),
            }
        )
    return done


def _leaking(cat: Catalog, name: str, among: set[str]) -> int | None:
    """Live rows with an action under the newest verdict of `among` (of all, if empty); None: there is no verdict."""
    found = [c for c in cat.columns(name) if c.output == "eval_leak_action" and (not among or c.physical in among)]
    if not found:
        return None
    newest = max(found, key=lambda column: column.created)
    return cat.lance(name).count_rows(f"removed IS NULL AND {newest.physical} IS NOT NULL")
