"""The SQL page: what can be named, and examples that run on what is there."""

from __future__ import annotations

import re

from sqlmodel import select

from catalog import Catalog
from catalog.meta.models import ColumnRecord
from catalog.query.system import HIDDEN, TABLES, arrow_type
from catalog.query.views import open_view


def columns_of(cat: Catalog, name: str) -> list[tuple[str, str]]:
    """Columns of a dataset view or of a system table, with short type names."""
    if name.startswith("strata."):
        table = TABLES[name.removeprefix("strata.")].__table__  # type: ignore[attr-defined]
        held = [("dataset", "string")] if "dataset_id" in table.columns else []
        return held + [
            (column.name, str(arrow_type(column.type))) for column in table.columns if column.name not in HIDDEN
        ]
    return [(column, short(str(kind))) for column, kind in open_view(cat, name).types().items()]


def system_tables() -> list[str]:
    return [f"strata.{name}" for name in TABLES]


def short(kind: str) -> str:
    """list<item: struct<...>> and vectors in a word."""
    if kind.startswith("list<") and "struct<" in kind:
        return "list of struct"
    if match := re.match(r"fixed_size_list<.*?>?\[(\d+)\]", kind):
        return f"vector[{match[1]}]"
    if match := re.match(r"dictionary<values=(\w+)", kind):
        return match[1]
    return re.sub(r"<item: (\w+)>", r" of \1", kind)


LARGEST = (
    ("newest rows", 'SELECT sample_id, source, licence, chars, left(text, 120) AS text\nFROM "{name}"\nLIMIT 100'),
    (
        "rows by source and licence",
        "SELECT source, coalesce(licence, 'unknown') AS licence, count(*) AS rows, sum(chars) AS chars\n"
        'FROM "{name}"\nGROUP BY ALL ORDER BY rows DESC',
    ),
)
"""Over the largest dataset."""
NEEDING = (
    (
        "language",
        "rows by language",
        "SELECT language, count(*) AS rows, round(avg(language_confidence), 3) AS confidence\n"
        'FROM "{name}"\nGROUP BY language ORDER BY rows DESC',
    ),
    (
        "verdict",
        "why rows were dropped",
        'SELECT {column} AS reason, count(*) AS rows, sum(chars) AS chars\nFROM "{name}"\n'
        "GROUP BY reason ORDER BY rows DESC",
    ),
    (
        "word_count",
        "long pages",
        'SELECT sample_id, word_count, left(text, 120) AS text\nFROM "{name}"\nWHERE word_count > 500\nLIMIT 100',
    ),
)
"""Over the first dataset that has this output of a scorer."""
SYSTEM = (
    (
        "the catalog",
        "SELECT name, tier, kind, rows, coalesce(licence, 'unknown') AS licence, parent\n"
        "FROM strata.datasets ORDER BY tier, name",
    ),
    (
        "coverage of every column",
        "SELECT dataset, alias, scorer, covered, type\nFROM strata.columns ORDER BY dataset, scorer, alias",
    ),
    (
        "recent runs",
        "SELECT verb, dataset, status, counts, cost, started, finished\nFROM strata.runs ORDER BY started DESC LIMIT 50",
    ),
)


def examples(cat: Catalog) -> list[tuple[str, str]]:
    """Title and query; each names only what exists."""
    datasets = sorted(cat.datasets(), key=lambda dataset: -dataset.rows)
    made = [(title, query.format(name=dataset.name)) for dataset in datasets[:1] for title, query in LARGEST]
    names = {dataset.id: dataset.name for dataset in datasets}
    with cat.session() as session:
        held = session.exec(select(ColumnRecord.dataset_id, ColumnRecord.output, ColumnRecord.alias)).all()
    for output, title, query in NEEDING:
        found = [(names[at], alias) for at, made_by, alias in held if made_by == output and at in names]
        usable = [item for item in found if item[1] == output or output == "verdict"]
        if usable:
            name, column = min(usable)
            made.append((title, query.format(name=name, column=column)))
    return made + list(SYSTEM)
