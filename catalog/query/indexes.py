"""Indexes of a table, published like everything else: the head moves to the Lance version that has the index.

Lance keeps them honest: rows that came after an index, or whose column was written again, are searched without it until
`gc --compact` or a rebuild takes them in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.runs import run
from catalog.schema import table_schema

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog

FLAT_ROWS = 100_000
"""Vectors below this number are compared one by one: some 0.1 s a query, exact, nothing to build."""
FEW_VALUES = 1000
"""A column with at most so many values gets a bitmap for each, others a B-tree."""
TEXT = {
    # Words by the Unicode rules and dictionaries, so that Chinese, Japanese and Thai have words too. English endings are
    # cut; no word is thrown away, so that "to be or not to be" finds something.
    "base_tokenizer": "icu/split", "language": "English", "stem": True, "remove_stop_words": False, "lower_case": True,
    "ascii_folding": True, "with_position": False,
}  # fmt: skip


SORTS = {"INVERTED": "text", "BITMAP": "scalar", "BTREE": "scalar"}
"""What people call a kind of index; anything else is "vector"."""


def build_index(
    cat: Catalog, name: str, what: str | None = None, *, sort: str | None = None, force: bool = False
) -> dict[str, Any]:
    """Build or rebuild an index: "text" (words), a vector column such as "embedding", or any other column by value.

    sort: "text", "vector" or "scalar"; what the column must be for, and with "text" or "vector" alone which column is
    meant. Returns {"column", "kind", "rows", "built"}. A vector index below 100,000 rows is not built unless `force`d:
    the exact comparison is as fast.
    """
    check(cat, "write", name)
    found = cat.resolve(name)
    wanted: str = what or _meant(cat, found.dataset.name, sort)
    column, kind = index_kind(cat, name, wanted)
    if sort is not None and (held := SORTS.get(kind, "vector")) != sort:
        raise BadInput(f"{wanted} of {found.dataset.name} takes a {held} index, not a {sort} one; leave --kind out")
    rows = found.dataset.rows
    told = {"dataset": found.dataset.name, "column": wanted, "kind": kind, "rows": rows, "built": True}
    if not rows:
        raise BadInput(f"{found.dataset.name} has no rows to index; ingest some first")
    valued = _valued(cat, found.dataset.name, wanted, rows)
    if not valued:
        raise BadInput(f"{wanted} of {found.dataset.name} has no value in any row yet; score some first")
    if kind.startswith("IVF") and rows < FLAT_ROWS and not force:
        return told | {
            "built": False,
            "note": f"below {FLAT_ROWS:,} rows vectors are compared exactly, without an index",
        }
    from catalog.store.publish import publish

    def change(table: Any, _: Any) -> Any:
        if kind == "INVERTED":
            table.create_scalar_index(column, kind, replace=True, **TEXT)
        elif kind.startswith("IVF"):
            parts = max(1, min(4096, round(valued**0.5)))
            table.create_index(column, kind, metric="cosine", num_partitions=parts, replace=True)
        else:
            table.create_scalar_index(column, kind, replace=True)
        return table

    key = f"index:{found.dataset.id}:{column}"
    with run(cat, "index", key, dataset=found.dataset.name, column=wanted, kind=kind):
        publish(cat, found.dataset.id, change, lambda session, current: None)
    return told


def _meant(cat: Catalog, name: str, sort: str | None) -> str:
    """The column of an index that was named by its sort alone."""
    if sort in (None, "text"):
        return "text"
    if sort not in ("vector", "scalar"):
        raise BadInput(f"--kind {sort!r} is not one of vector, text, scalar")
    vectors = [alias for alias, kind in _kinds(cat, name).items() if SORTS.get(kind, "vector") == "vector"]
    if sort == "scalar" or len(vectors) > 1:
        raise BadInput(f"say which column of {name} to index" + (f": {', '.join(vectors)}" if vectors else ""))
    if not vectors:
        raise BadInput(f"{name} has no column of vectors; `strata score {name} minilm` computes one")
    return vectors[0]


def _valued(cat: Catalog, name: str, what: str, rows: int) -> int:
    """Rows with a value, from stored statistics."""
    held = next((column for column in cat.columns(name) if column.alias == what), None)
    return rows if held is None else held.states.get("value", held.covered)


def _kinds(cat: Catalog, name: str) -> dict[str, str]:
    """Text and every column of vectors with the kind of index it takes: those that a search reads."""
    schema, found = cat.lance(name).schema, {"text": "INVERTED"}
    for column in cat.columns(name):
        if column.physical in schema.names and pa.types.is_fixed_size_list(schema.field(column.physical).type):
            found[column.alias] = index_kind(cat, name, column.alias)[1]
    return found


def indexes(cat: Catalog, name: str) -> list[dict[str, Any]]:
    """The indexes of a dataset, and the columns that a search reads without one: column, kind, rows it holds, state."""
    name = cat.resolve(name).dataset.name
    table = cat.lance(name)
    shown = {column.physical: column.alias for column in cat.columns(name)}
    rows, out = table.count_rows(), []
    for held in table.describe_indices():
        column = shown.get(held.field_names[0]) or held.field_names[0]
        inside = min(int(held.num_rows_indexed), rows)
        late = (
            f"{rows - inside:,} rows came later and are searched without it; `strata index {name} {column}` adds them"
        )
        kind = index_kind(cat, name, column)[1]
        out.append({"column": column, "sort": SORTS.get(kind, "vector"), "kind": kind, "rows": inside,
                    "of": rows, "state": "whole" if inside == rows else late})  # fmt: skip
    for column, kind in _kinds(cat, name).items():
        if all(row["column"] != column for row in out):
            how = "every text is read" if kind == "INVERTED" else "vectors are compared one by one"
            out.append({"column": column, "sort": SORTS.get(kind, "vector"), "kind": kind, "rows": 0, "of": rows,
                        "state": f"none: {how}"})  # fmt: skip
    return sorted(out, key=lambda row: row["column"])


def index_kind(cat: Catalog, name: str, what: str) -> tuple[str, str]:
    """Physical column and kind of index for a shown column."""
    found = cat.resolve(name)
    computed = {column.alias: column for column in cat.columns(found.dataset.name)}
    own = table_schema(found.dataset.kind, found.dataset.tier)
    if what == "text":
        return "text", "INVERTED"
    if what in computed:
        column = computed[what].physical
        field = cat.lance(found.dataset.name).schema.field(column)
        if pa.types.is_fixed_size_list(field.type):
            return column, "IVF_FLAT" if field.type.list_size % 8 else "IVF_RQ"  # which packs eight at a time
        values = (computed[what].statistics.get("distinct") or FEW_VALUES + 1) <= FEW_VALUES
    elif what in own.names and what != "removed":
        column, field = what, cat.lance(found.dataset.name).schema.field(what)
        facets = (found.version.statistics if found.version else {}).get("facets", {})
        values = what in facets and len(facets[what]) < FEW_VALUES
    else:
        raise NotFound(f"column of {found.dataset.name}", what, {*own.names, *computed} - {"removed"})
    if pa.types.is_dictionary(field.type):
        raise BadInput(f"{what} is kept as codes of its values, which need no index")
    if pa.types.is_nested(field.type):
        raise BadInput(f"{what} holds {field.type}, which cannot be indexed: index text, a vector or a plain column")
    return column, "BITMAP" if values else "BTREE"


def has_index(table: lance.LanceDataset, column: str) -> bool:
    """Whether the published table has an index on a physical column."""
    return any(column in held.field_names for held in table.describe_indices())
