"""One sample everywhere: the file and line it came from, the tiers that kept or dropped it, what is known about it, who
graded it, what was made of it, and the mixes that serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import col, select

from catalog.access import check
from catalog.errors import NotFound
from catalog.meta.models import Dataset, Grade, Mix
from catalog.samples import sample_id_of

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog

ORIGIN = ("source", "licence", "url", "author", "created", "file", "line", "offset", "content_id", "chars", "added")
CHILDREN = 100


def trace_sample(cat: Catalog, sample_id: str) -> dict[str, Any]:
    """Every row with this sample id (or the only one that begins so), in every dataset.

    {"sample_id", "rows": [{"dataset", "tier", "versions", "columns", "states", ...origin}], "children", "grades", "mixes"}
    `versions` is [first, last] of the versions that hold the row, last None while it is live, and [] once retracted.
    """
    check(cat, "read", "trace")
    sample_id = sample_id_of(cat, sample_id)
    quoted = sample_id
    rows: list[dict[str, Any]] = []
    children: list[dict[str, Any]] = []
    places: dict[str, np.ndarray] = {}
    for dataset in cat.datasets():
        table = cat.lance(dataset.name)
        found, ids = _rows(cat, dataset, table, quoted)
        rows += found
        if len(ids):
            places[dataset.id] = ids
        if "parents" in table.schema.names:
            children += _children(dataset, table, quoted)
    if not rows and not children:
        raise NotFound(
            "sample", sample_id, [], "a sample id is 32 hex digits; `strata search` and `strata sql` show them"
        )
    rows.sort(key=lambda row: (row["tier"], row["dataset"]))
    return {
        "sample_id": sample_id,
        "rows": rows,
        "children": children,
        "grades": _grades(cat, sample_id),
        "mixes": _mixes(cat, places),
    }


def _rows(
    cat: Catalog, dataset: Dataset, table: lance.LanceDataset, quoted: str
) -> tuple[list[dict[str, Any]], np.ndarray]:
    held = [c for c in cat.columns(dataset.name) if c.physical in table.schema.names]
    plain = [c for c in held if not pa.types.is_nested(table.schema.field(c.physical).type)]
    states = {c.scorer: c.state for c in held if c.state in table.schema.names}
    names = ["sample_id", *ORIGIN, "removed", *(c.physical for c in plain), *states.values()]
    found = table.scanner(
        columns=list(dict.fromkeys(names)), filter=f"sample_id = '{quoted}'", with_row_id=True
    ).to_table()
    out = []
    for row in found.to_pylist():
        gone = row["removed"]
        versions = [] if gone == 0 else [row["added"], None if gone is None else gone - 1]
        out.append(
            {
                "dataset": dataset.name,
                "tier": dataset.tier,
                "versions": versions,
                "retracted": gone == 0,
                **{name: row[name] for name in ORIGIN},
                "columns": {c.alias: row[c.physical] for c in plain},
                "states": {scorer: row[state] for scorer, state in states.items()},
            }
        )
    return out, found.column("_rowid").to_numpy()


def _children(dataset: Dataset, table: lance.LanceDataset, quoted: str) -> list[dict[str, Any]]:
    found = table.scanner(
        columns=["sample_id", "added"], filter=f"array_has(parents, '{quoted}') AND removed IS NULL", limit=CHILDREN
    ).to_table()
    return [{"dataset": dataset.name, "tier": dataset.tier, **row} for row in found.to_pylist()]


def _grades(cat: Catalog, sample_id: str) -> list[dict[str, Any]]:
    from catalog.grades.blind import readable

    with cat.session() as session:
        held = session.exec(
            select(Grade)
            .where(Grade.sample_id == sample_id, col(Grade.superseded).is_(None), readable(cat))
            .where(col(Grade.act).not_in(["skip", "edit"]))  # an edit is a text: published, it is one of the children
            .order_by(Grade.created)
        ).all()  # type: ignore[arg-type]
    return [grade.model_dump(exclude={"id", "sample_id"}) for grade in held]


def _mixes(cat: Catalog, places: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Mixes whose locked row sets hold one of the rows."""
    from catalog.pull import rowset

    with cat.session() as session:
        mixes = session.exec(select(Mix).order_by(Mix.name, Mix.version)).all()  # type: ignore[arg-type]
    out = []
    for mix in mixes:
        for part in mix.lock.get("parts", []):
            ids = places.get(part["dataset_id"])
            if ids is None:
                continue
            held = rowset.load(part["rows"], cat.settings.locks, verify=False)
            if held.contains(ids.astype(np.int64)).any():
                out.append({"mix": f"{mix.name}@v{mix.version}", "part": f"{part['dataset']}@v{part['version']}"})
    return out
