"""Which columns hold sample text, for readers that may not have it.

Such a reader's views are made without these columns, and the scans behind the views too. So it is DuckDB's binder that
decides: whatever an expression does with a column (substr, a struct of the row, COLUMNS, a filter that asks letter by
letter), the column is not there. A dataset whose owner consented (consent_llm) keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from catalog.errors import Refused
from catalog.query.views import Scan, View
from catalog.schema import OWN
from catalog.where import where_columns

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved
    from catalog.meta.models import ColumnRecord

FIELDS = {"text", "meta", *(field.name for fields in OWN.values() for field in fields)} - {"verifier"}
LABEL = 64
"""Characters of a value up to which a computed column of few values holds labels, not text."""
SYSTEM = {"quarantine": {"excerpt", "detail"}, "grades": {"note"}, "columns": {"statistics"}}
"""Columns of system tables that quote samples."""


def text_columns(cat: Catalog, found: Resolved) -> set[str]:
    """Columns of a dataset, by the names users write, that hold or may hold sample text."""
    schema = cat.lance(found.dataset.name).schema
    computed = {column.alias for column in cat.columns(found.dataset.name) if _may_quote(column, schema)}
    return FIELDS | computed


def _may_quote(column: ColumnRecord, schema: pa.Schema) -> bool:
    """Whether a computed column has strings that are no labels: short values, each of many rows."""
    if column.physical not in schema.names:
        return False
    kind = schema.field(column.physical).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_nested(kind):
        inner = kind.value_type if hasattr(kind, "value_type") else None
        return inner is None or not (pa.types.is_integer(inner) or pa.types.is_floating(inner))
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
    labels = column.statistics.get("facets") or {}
    few = 0 < 2 * len(labels) <= sum(labels.values())
    return textual and not (few and max(map(len, labels)) <= LABEL)


def without_text(cat: Catalog, view: View) -> tuple[View, set[str]]:
    """A view, and the scan behind it, without text; and the names that were left out."""
    gone = text_columns(cat, view.found) & set(view.columns)
    kept = {shown: held for shown, held in view.columns.items() if shown not in gone}
    names = list(dict.fromkeys(["added", *kept.values()]))
    return view._replace(scan=Scan(view.scan.table, names, view.scan.rows), columns=kept), gone


def refuse_text(cat: Catalog, ref: str, where: str) -> None:
    """Refuse a filter over text: its answers would spell the text out."""
    found = cat.resolve(ref)
    columns = text_columns(cat, found)
    known = {column.alias for column in cat.columns(found.dataset.name)}
    if used := where_columns(where, columns | known | set(_fields(found)), found.dataset.name) & columns:
        raise refusal(sorted(used)[0], found.dataset.name)


def _fields(found: Resolved) -> list[str]:
    from catalog.schema import table_schema

    return table_schema(found.dataset.kind, found.dataset.tier).names


def refusal(column: str, dataset: str) -> Refused:
    return Refused(
        f"{column} of {dataset} holds sample text, which may not leave this machine without consent: leave the column "
        f"out, ask the owner for consent (strata consent {dataset}), or start the server with --texts",
        missing=[f"consent of {dataset}"],
    )
