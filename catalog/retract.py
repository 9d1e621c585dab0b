"""Take samples out of everything: what a request reaches is shown first, then tombstones are written at once.

A request names a filter, sample ids, or a text that is matched as what it looks like: an address (all that begin so), a
sample id, or a source. Exact copies under other ids, and rows made from the samples, are counted, and retracted too when
asked for. A lock is never changed: its pulls leave the rows out, no other index moves, and the receipt says at which
indices of which pulls they were served.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import Session, select

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.meta.models import Dataset, Edge, Version, now
from catalog.reach import reached
from catalog.receipts import keep
from catalog.runs import add_counts, run
from catalog.store.publish import publish
from catalog.store.rows import mark_removed
from catalog.versions import measure_columns, record_columns, version_facts
from catalog.where import version_filter, where_filter

if TYPE_CHECKING:
    from catalog.catalog import Catalog

LIVE = "removed IS NULL OR removed > 0"


def retract(
    cat: Catalog,
    *,
    reason: str,
    match: str | None = None,
    where: str | None = None,
    ids: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    copies: bool = False,
    children: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Take samples out of every version of every dataset that holds them; locks skip them and shift nothing.

    match: the beginning of an address, a sample id, or a source. where: a filter, tried on each dataset that has the columns
    it names (or on `datasets`). ids: sample ids. copies, children: retract exact copies and what was made from the samples
    too; both are counted in any case. Returns the receipt: rows by dataset, copies, children, mixes with the indices that
    serve them, pulls that did, and datasets that were not asked because they lack a column of the filter.
    """
    if not reason.strip():
        raise BadInput("a retraction needs a reason: --reason 'takedown request of ...'")
    if sum(map(bool, (match, where, ids))) != 1:
        raise BadInput("say what to retract, in one way: --match URL_PREFIX|ID|SOURCE, --where SQL or --ids FILE")
    check(cat, "read" if dry_run else "write", "retract")
    held = [d for d in cat.datasets() if not datasets or d.name in datasets]
    if datasets and (unknown := set(datasets) - {d.name for d in held}):
        raise NotFound("dataset", sorted(unknown)[0], [d.name for d in cat.datasets()])
    if match:
        where, ids = _read_as(cat, match)
    wanted, without = set(ids or ()), []
    for dataset in held if where else ():
        try:
            wanted |= _matching(cat, dataset, str(where))
        except NotFound:
            if datasets or len(without) + 1 == len(held):
                raise
            without.append(dataset.name)
    beyond = {"copies": _copies(cat, wanted), "children": _children(cat, wanted)}
    for kind, asked in (("copies", copies), ("children", children)):
        if asked:
            wanted |= {sample for found in beyond[kind].values() for sample in found}
    hits = {d.name: rows for d in cat.datasets() if len(rows := _rows_of(cat, d, wanted))}
    receipt: dict[str, Any] = {
        "reason": reason,
        "asked": {"match": match, "where": where, "ids": len(ids or ())},
        "samples": len(wanted),
        "rows": {name: len(rows) for name, rows in hits.items()},
        "copies": {name: len(found) for name, found in beyond["copies"].items()},
        "children": {name: len(found) for name, found in beyond["children"].items()},
        "included": [kind for kind, asked in (("copies", copies), ("children", children)) if asked],
        **reached(cat, {cat.resolve(name).dataset.id: rows for name, rows in hits.items()}),
        "without_the_columns": without,
        "dry_run": dry_run,
    }
    if dry_run or not hits:
        return receipt
    with run(cat, "retract", f"retract:{now()}", where=where, reason=reason, samples=len(wanted)) as record:
        receipt |= {"run": record.id, "actor": cat.settings.actor, "done": None}
        keep(cat, record.id, _sealed(receipt), wanted)  # first, so that one that is stopped half way is known
        for name, rows in hits.items():
            _retract_rows(cat, name, rows, reason, record.id)
        receipt = _sealed({**receipt, "done": now()})
        keep(cat, record.id, receipt, wanted)
    return receipt


def _sealed(receipt: dict[str, Any]) -> dict[str, Any]:
    """A receipt with the digest of all it says."""
    body = {name: value for name, value in receipt.items() if name != "digest"}
    return body | {"digest": hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()}


def _read_as(cat: Catalog, match: str) -> tuple[str | None, list[str] | None]:
    """A filter or sample ids, by what the text looks like."""
    from catalog.samples import sample_id_of

    text = match.strip()
    quoted = text.replace("'", "''")
    if re.match(r"[a-z][a-z0-9+.-]*://", text):
        return f"starts_with(url, '{quoted}')", None
    if re.fullmatch(r"[0-9a-fA-F]{6,32}", text):
        return None, [sample_id_of(cat, text)]
    sources = {name for d in cat.datasets() if d.head for name in _sources(cat, d.name)}
    if text in sources:
        return f"source = '{quoted}'", None
    raise NotFound(
        "source",
        text,
        sorted(sources),
        "--match takes the beginning of an address (https://...), a sample id or a source",
    )


def _sources(cat: Catalog, name: str) -> list[str]:
    version = cat.resolve(name).version
    return list((version.statistics if version else {}).get("facets", {}).get("source", {}))


def _matching(cat: Catalog, dataset: Dataset, where: str) -> set[str]:
    """Sample ids of the rows in any version for which a filter holds."""
    translated = where_filter(cat, cat.resolve(dataset.name), where)
    found = cat.lance(dataset.name).to_table(columns=["sample_id"], filter=f"({translated}) AND ({LIVE})")
    return set(found.column("sample_id").to_pylist())


def _rows_of(cat: Catalog, dataset: Dataset, wanted: set[str]) -> np.ndarray:
    """Row ids of the samples in one table."""
    found = [batch.column("_rowid").to_numpy() for batch in _having(cat, dataset, "sample_id", wanted, [])]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _having(cat: Catalog, dataset: Dataset, column: str, values: set[str], also: list[str]) -> Iterator[pa.RecordBatch]:
    """Live rows whose column is one of the values, with their row ids."""
    if not values:
        return
    held = pa.array(sorted(values), pa.string())
    scanner = cat.lance(dataset.name).scanner(columns=[column, *also], filter=LIVE, with_row_id=True)
    for batch in scanner.to_batches():
        hit = batch.filter(pc.is_in(batch.column(column), value_set=held))
        if hit.num_rows:
            yield hit


def _copies(cat: Catalog, wanted: set[str]) -> dict[str, set[str]]:
    """Samples of other ids with the same content, by dataset."""
    contents = {
        content for dataset in cat.datasets() for batch in _having(cat, dataset, "sample_id", wanted, ["content_id"])
        for content in batch.column("content_id").to_pylist()
    }  # fmt: skip
    found = {}
    for dataset in cat.datasets():
        ids = {
            sample for batch in _having(cat, dataset, "content_id", contents, ["sample_id"])
            for sample in batch.column("sample_id").to_pylist()
        } - wanted  # fmt: skip
        if ids:
            found[dataset.name] = ids
    return found


def _children(cat: Catalog, wanted: set[str]) -> dict[str, set[str]]:
    """Samples made from these, and from those in turn, by dataset."""
    found: dict[str, set[str]] = {}
    fresh = set(wanted)
    while fresh:
        parents, fresh = pa.array(sorted(fresh), pa.string()), set()
        for dataset in cat.datasets():
            table = cat.lance(dataset.name)
            if "parents" not in table.schema.names:
                continue
            known = found.get(dataset.name, set()) | wanted
            for batch in table.scanner(columns=["sample_id", "parents"], filter=LIVE).to_batches():
                lists = batch.column("parents")
                rows = (
                    pc.list_parent_indices(lists).filter(pc.is_in(pc.list_flatten(lists), value_set=parents)).unique()
                )
                made = set(batch.column("sample_id").take(rows).to_pylist()) - known
                if made:
                    found.setdefault(dataset.name, set()).update(made)
                    fresh |= made
    return found


def _retract_rows(cat: Catalog, name: str, rows: np.ndarray, reason: str, run_id: str) -> None:
    dataset, made = cat.resolve(name).dataset, []

    def change(table: Any, current: Dataset) -> Any:
        done, count = mark_removed(cat, table, rows, 0, retract=True)
        with cat.session() as session:
            numbers = session.exec(select(Version.number).where(Version.dataset_id == current.id)).all()
        after = current.model_copy(update={"removed": current.removed + count})
        sizes = {n: done.count_rows(version_filter(after, n)) for n in numbers}
        made.append((count, version_facts(done), measure_columns(cat, current, done), sizes))
        return done

    def record(session: Session, current: Dataset) -> None:
        count, facts, measured, sizes = made[0]
        for version in session.exec(select(Version).where(Version.dataset_id == current.id)):
            version.retracted += version.rows - sizes[version.number]
            version.rows = sizes[version.number]
            if version.number == current.head:
                version.statistics = facts["statistics"]
            session.add(version)
        current.rows, current.removed = facts["rows"], current.removed + count
        session.add(current)
        record_columns(session, current, measured)
        add_counts(session, run_id, retracted=count)
        session.add(
            Edge(
                run_id=run_id,
                verb="retract",
                source=name,
                target=f"{name}@v{current.head}",
                counts={"retracted": count},
                details={"reason": reason},
            )
        )

    publish(cat, dataset.id, change, record)
