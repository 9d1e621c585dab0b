"""Which of some rows is the one to keep, over the whole catalog, and why two rows are called duplicates.

The keeper is the first row under a policy: licence, then tier, then source, then date, then the sample id. It follows
from the rows that hold the content, and is never stored: two ingests at the same time, in whatever order they publish,
leave one keeper, and a retraction makes the next row keeper at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.digests import id_words
from catalog.errors import BadInput, NotFound
from catalog.index.held import matches
from catalog.index.standing import opened, sketch
from catalog.samples import sample_id_of

if TYPE_CHECKING:
    from catalog.catalog import Catalog

FACTS = ("sample_id", "content_id", "text", "source", "licence", "created", "chars")


@dataclass(frozen=True)
class KeeperPolicy:
    """Criteria in order; what a list names comes in its order, before anything it does not name, nothing stated last."""

    order: tuple[str, ...] = ("licence", "tier", "source", "date")
    licences: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ("L4", "L3", "L2", "L1", "L0")
    sources: tuple[str, ...] = ()

    def key(self, row: dict[str, Any]) -> tuple[Any, ...]:
        found: list[Any] = []
        for name in self.order:
            if name == "date":
                found.append((row["created"] is None, row["created"] or ""))
                continue
            if name not in ("licence", "tier", "source"):
                raise BadInput(f"a keeper policy knows licence, tier, source and date, not {name!r}")
            wanted, value = getattr(self, f"{name}s"), row[name]
            found.append(wanted.index(value) if value in wanted else len(wanted) + (value is None))
        return (*found, row["sample_id"], row["dataset"])


def keeper(rows: list[dict[str, Any]], policy: KeeperPolicy | None = None) -> dict[str, Any]:
    """The row to keep of some that hold the same."""
    return min(rows, key=(policy or KeeperPolicy()).key)


def holders(cat: Catalog, sample_id: str, *, near: bool = True) -> list[dict[str, Any]]:
    """Every row of the catalog whose content is that of a sample, or nearly; the sample's own rows included."""
    mine = _rows(cat, sample_id_of(cat, sample_id))
    method = sketch()
    keys, has = method.keys([mine[0]["text"]])
    import pyarrow as pa

    words, found = id_words(pa.array([mine[0]["content_id"]])), []
    for dataset, segment in opened(cat):
        same, _, rows = matches(segment, words, keys, has if near else np.zeros(1, bool))
        at = np.unique(segment.rows[rows])
        exact = set(segment.rows[rows[: same.size]].tolist())
        if at.size:
            for row in _take(cat, dataset, at):
                found.append({**row, "exact": row["row_id"] in exact})
    return found


def explain_pair(cat: Catalog, a: str, b: str, policy: KeeperPolicy | None = None) -> dict[str, Any]:
    """Why two samples are duplicates or not, and which of them is kept.

    {"rows": [a, b], "same_content", "jaccard", "estimate", "bands", "near", "keeper", "because"}
    """
    rows = [_rows(cat, sample_id_of(cat, one))[0] for one in (a, b)]
    shared = sketch().explain(rows[0]["text"], rows[1]["text"])
    chosen, said = keeper(rows, policy), policy or KeeperPolicy()
    keys = [said.key(row) for row in rows]
    differ = next((name for name, x, y in zip([*said.order, "sample_id"], *keys) if x != y), "dataset")
    same = rows[0]["content_id"] == rows[1]["content_id"]
    return {
        "rows": [{name: row[name] for name in ("dataset", "tier", *FACTS) if name != "text"} for row in rows],
        "same_content": same,
        **shared,
        "near": same or bool(shared["bands"]),
        "keeper": chosen["sample_id"],
        "keeper_dataset": chosen["dataset"],
        "because": differ,
    }


def _rows(cat: Catalog, sample_id: str) -> list[dict[str, Any]]:
    found = []
    for dataset in cat.datasets():
        where = f"sample_id = '{sample_id}' AND removed IS NULL"
        table = cat.lance(dataset.name).scanner(columns=list(FACTS), filter=where, with_row_id=True).to_table()
        found += [_with(dataset, row) for row in table.to_pylist()]
    if not found:
        raise NotFound("live sample", sample_id, [], "it was removed or retracted; `strata trace` says when")
    return found


def _take(cat: Catalog, dataset: Any, ids: np.ndarray) -> list[dict[str, Any]]:
    table = cat.lance(dataset.name)
    held = table._take_rows(ids.tolist(), columns=[*FACTS, "removed", "_rowid"])
    return [_with(dataset, row) for row in held.to_pylist() if row.pop("removed") is None]


def _with(dataset: Any, row: dict[str, Any]) -> dict[str, Any]:
    row_id = row.pop("_rowid")
    return {
        **row,
        "licence": row["licence"] or dataset.licence,
        "dataset": dataset.name,
        "tier": dataset.tier,
        "row_id": row_id,
    }
