"""A query becomes a selection: its WHERE, which follows the dataset, or exactly the rows it gives, which are frozen.

    select_query(cat, "long-pages", 'SELECT * FROM web WHERE word_count > 800')                     # a filter
    select_query(cat, "top-100", 'SELECT sample_id FROM web ORDER BY chars DESC LIMIT 100', freeze=True)

Frozen rows are ranks in a column of the dataset (`catalog.ranks`), like a selector's choice; the recipe is the SQL and the
version that it read.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.access import check
from catalog.catalog import Catalog, Resolved
from catalog.errors import BadInput, NameTaken
from catalog.meta.models import Selection
from catalog.queries import filter_of, parsed
from catalog.query.statements import Statement
from catalog.ranks import held_ranks, publish_ranks
from catalog.refs import check_name
from catalog.runs import run
from catalog.selections import save, versions
from flows.planner import fingerprint

MOST = 1_000_000
"""Rows that one query may freeze."""


def select_query(
    cat: Catalog, name: str, query: str, *, freeze: bool = False, missing: str = "error", note: str = ""
) -> Selection:
    """Save the rows of a query as the next version of selection `name`.

    Without `freeze` the query must be SELECT ... FROM one dataset WHERE ...; its WHERE is saved. With it the query gives a
    column sample_id, and those rows of the dataset version it reads are saved, in the order of the result.
    """
    check(cat, "write", check_name(name))
    if not freeze:
        held = filter_of(cat, query)
        return save(cat, name, held.ref, held.where, missing=missing, note=note)
    if (noun := cat._noun(name)) and noun != "selection":
        raise NameTaken(f"the name {name!r} is taken by a {noun}; choose another")
    found, ids = _ids(cat, parsed(cat, query), query)
    check(cat, "write", found.dataset.name)
    recipe = {
        "selector": "sql", "version": "1", "query": query.strip(), "dataset": found.ref, "params": {}, "seed": 0,
        "population": {"digest": found.version.digest if found.version else ""},
        "rows": hashlib.sha256("".join(ids).encode()).hexdigest(),
    }  # fmt: skip
    digest = fingerprint(recipe)
    column = held_ranks(cat, found, digest)
    if column is None:
        with run(cat, "select", f"select:{digest}", dataset=found.dataset.name, recipe=recipe) as record:
            every, chosen = _rows(cat, found, ids)
            report = {"rows": {"chosen": len(chosen), "candidates": len(every)}}
            label = f"{name}_v{max((one.version for one in versions(cat, name)), default=0) + 1}"
            column = publish_ranks(
                cat,
                found,
                label.replace("-", "_").replace(".", "_"),
                digest,
                recipe,
                report,
                every,
                chosen,
                None,
                record.id,
            )
    return save(cat, name, found.ref, f'"{column.alias}" >= 0', missing="drop", note=note)


def _ids(cat: Catalog, statement: Statement, query: str) -> tuple[Resolved, list[str]]:
    """The dataset version that a query reads and the sample ids that it gives, once each."""
    named = [name for schema, name in statement.tables
             if schema.lower() != "strata" and name.lower() not in statement.ctes]  # fmt: skip
    if statement.explain or len(set(named)) != 1:
        raise BadInput(
            f"rows can be frozen from a query over one dataset, and this one reads {len(set(named)) or 'none'}: "
            "filter one dataset by what you joined, or save the ids in a WHERE"
        )
    found = cat.resolve(named[0].lower())
    text = query.strip().rstrip(";")
    columns = [row["column_name"] for row in cat.sql(f"DESCRIBE {text}").rows()]
    if "sample_id" not in columns:
        raise BadInput(
            f"the result has no column sample_id, so it says nothing of single rows (it has {', '.join(columns[:5])}): "
            "add sample_id to the SELECT, and do not group"
        )
    result = cat.sql(f"SELECT sample_id FROM (\n{text}\n) q", limit=MOST + 1).arrow().column("sample_id")
    if len(result) > MOST:
        raise BadInput(f"the query gives more than {MOST:,} rows, which cannot be frozen; save its filter instead")
    ids = list(dict.fromkeys(item for item in result.to_pylist() if item is not None))
    if not ids:
        raise BadInput("the query gives no row, so there is nothing to save; widen it")
    return found, ids


def _rows(cat: Catalog, found: Resolved, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Row ids of the whole version, and of the samples in their order."""
    wanted, place = pa.array(ids, pa.string()), np.full(len(ids), -1, np.int64)
    every = [np.empty(0, np.uint64)]
    for batch in cat.scan(
        found.ref, ["sample_id"], batch_rows=65_536, with_row_id=True, at=found.dataset.lance_version
    ):
        rows = batch.column("_rowid").to_numpy().astype(np.uint64)
        at = pc.index_in(batch.column("sample_id"), value_set=wanted)
        hit = at.is_valid().to_numpy(zero_copy_only=False)
        place[at.drop_null().to_numpy().astype(np.int64)] = rows[hit].astype(np.int64)
        every.append(rows)
    if (place < 0).any():
        lost = ids[int(np.flatnonzero(place < 0)[0])]
        raise BadInput(f"sample {lost[:40]!r} of the result is no sample of {found.ref}; select its own sample_id")
    return np.concatenate(every), place.astype(np.uint64)
