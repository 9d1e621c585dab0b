"""The views of a catalog in words: names, types, directions and what the plug-in that made a column says of it.

Facts of metadata only; no row is read and nothing that a sample, a note or a card says is in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Sort = Literal["number", "label", "text", "flag", "other"]
FIELDS = {
    "sample_id": "identity of the row", "content_id": "identity of its content; copies share one", "text": "the text",
    "source": "name of the source", "licence": "declared licence, null where unknown", "url": "address of origin",
    "author": "who wrote it", "created": "date as declared, ISO 8601 text", "file": "file it was read from",
    "chars": "characters of the text", "added": "version that added the row", "answer": "ground truth",
}  # fmt: skip
SYSTEM = {
    "strata.datasets": "one row a dataset: name, kind, tier, role, licence, owner, head, rows, parent, created",
    "strata.versions": "one row a version: dataset, number, rows, added, removed, actor, created, note",
    "strata.columns": "one row a computed column: dataset, alias, scorer, type, better, covered",
    "strata.runs": "one row a run: verb, dataset, status, actor, started, finished",
    "strata.mixes": "one row a mix version: name, version, actor, created",
}
FEW = 64
"""Values up to which a column of text counts as labels."""
LABELS = {"source", "licence", "author", "language"}
PLACES = {"line", "offset", "added"}
"""Numbers that place a row and measure nothing."""


@dataclass(frozen=True)
class Column:
    """sort: what can be done with it. values: of labels, most frequent first, as far as they were counted."""

    name: str
    type: str
    sort: Sort
    doc: str = ""
    better: str | None = None
    output: str = ""
    values: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        return [word for word in re.split(r"[^a-z0-9]+", self.name.casefold()) if word]


@dataclass(frozen=True)
class Table:
    """One dataset as SQL sees it."""

    name: str
    rows: int
    kind: str
    role: str | None
    columns: tuple[Column, ...] = field(default_factory=tuple)

    def column(self, name: str) -> Column | None:
        return next((held for held in self.columns if held.name == name), None)


def tables_of(cat: Catalog) -> list[Table]:
    """Every published dataset at its newest version."""
    return [table_of(cat, dataset.name) for dataset in cat.datasets()]


def table_of(cat: Catalog, name: str) -> Table:
    """One dataset at its newest version."""
    from catalog.query.views import open_view

    view = open_view(cat, name)
    dataset, version = view.found.dataset, view.found.version
    computed = {column.alias: column for column in cat.columns(dataset.name)}
    outputs = {column.output for column in computed.values()}
    said = _docs(outputs)
    facets = (version.statistics if version else {}).get("facets", {})
    columns = []
    for shown, kind in view.types().items():
        held = computed.get(shown)
        counts = (held.statistics.get("facets") if held else facets.get(shown)) or {}
        values = tuple(value for value in list(counts)[:FEW] if value != "unknown")
        columns.append(Column(
            shown, str(_inner(kind)), _sort(shown, kind, len(counts)), said.get(held.output, "") if held else FIELDS.get(shown, ""),
            held.better if held else None, held.output if held else shown, values,
        ))  # fmt: skip
    return Table(dataset.name, version.rows if version else 0, dataset.kind, dataset.role, tuple(columns))


def described(tables: list[Table]) -> str:
    """The tables as a language model is told of them: no value of any row."""
    out = []
    for table in tables:
        out.append(
            f'"{table.name}": {table.rows:,} rows of kind {table.kind}' + (f", {table.role}" if table.role else "")
        )
        for column in table.columns:
            better = f", {column.better} is better" if column.better else ""
            out.append(f"  {column.name} {column.type}{better}" + (f": {column.doc}" if column.doc else ""))
    return "\n".join([*out, *(f"{name}: {what}" for name, what in SYSTEM.items())])


def _docs(outputs: set[str]) -> dict[str, str]:
    from catalog.plugins import plugins

    return {out.name: out.doc for held in plugins("scorer").values() for out in held.writes if out.name in outputs}


def _inner(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _sort(name: str, kind: pa.DataType, values: int) -> Sort:
    inner = _inner(kind)
    if pa.types.is_boolean(inner):
        return "flag"
    if pa.types.is_integer(inner) or pa.types.is_floating(inner):
        return "other" if name in PLACES or name.endswith("_state") else "number"
    if pa.types.is_string(inner) or pa.types.is_large_string(inner):
        return "label" if name in LABELS or 0 < values <= FEW or pa.types.is_dictionary(kind) else "text"
    return "other"
