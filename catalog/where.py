"""Filters over rows: the rows of a version, and a user's WHERE with aliases resolved and coverage checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from catalog.errors import BadInput, Corrupt, NotFound
from catalog.meta.models import ColumnRecord, Dataset
from catalog.schema import table_schema

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved

TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_]*|\d+\.?\d*(?:[eE][+-]?\d+)?|.""", re.DOTALL)
WORDS = {
    "and", "or", "not", "is", "null", "in", "like", "ilike", "between", "true", "false", "case", "when", "then", "else",
    "end", "as", "cast", "int", "integer", "bigint", "double", "float", "string", "boolean", "escape", "similar", "to",
}  # fmt: skip


def version_filter(dataset: Dataset, number: int) -> str | None:
    """Rows of a version; None when that is every row of the table."""
    if number >= dataset.head:
        return "removed IS NULL" if dataset.removed else None
    return f"added <= {number} AND (removed IS NULL OR removed > {number})"


def where_columns(where: str, known: set[str], dataset: str) -> set[str]:
    """Names in a WHERE that are columns; an unknown one is `NotFound` with near matches."""
    used = set()
    tokens = [token for token in TOKEN.findall(where) if not token.isspace()]
    for at, token in enumerate(tokens):
        name = token[1:-1].replace('""', '"') if token.startswith('"') else token
        is_name = token.startswith('"') or re.fullmatch(r"[A-Za-z_]\w*", token)
        if not is_name or (not token.startswith('"') and token.lower() in WORDS):
            continue
        if at + 1 < len(tokens) and tokens[at + 1] == "(" and not token.startswith('"'):
            continue  # a function
        if name not in known:
            raise NotFound(f"column of {dataset}", name, known)
        used.add(name)
    return used


def where_filter(cat: Catalog, found: Resolved, where: str, missing: str = "error") -> str:
    """Translate a user's WHERE to physical names for Lance."""
    if missing not in ("error", "drop", "keep"):
        raise BadInput(f"missing must be drop, keep or error, not {missing!r}")
    if ";" in re.sub(r"'(?:[^']|'')*'", "", where):
        raise BadInput(f"a filter is one expression without ';': {where!r}")
    columns = {column.alias: column for column in cat.columns(found.dataset.name)}
    own = set(table_schema(found.dataset.kind, found.dataset.tier).names)
    used = where_columns(where, own | set(columns), found.dataset.name)
    partial = [columns[name] for name in sorted(used - own) if not _covers(columns[name], found)]
    if partial and missing == "error":
        parts = ", ".join(f"{c.alias} ({c.covered} of {found.dataset.rows} rows)" for c in partial)
        raise BadInput(
            f"the filter reads columns that do not cover every row of {found.ref}: {parts}; "
            f"score the rest or say missing: drop | keep"
        )
    translated = "".join(_translate(token, columns) for token in TOKEN.findall(where))
    check_filter(cat, found, translated, where)
    if partial and missing == "keep":
        holes = " OR ".join(f"{column.physical} IS NULL" for column in partial)
        return f"({translated}) OR {holes}"
    return translated


def _covers(column: ColumnRecord, found: Resolved) -> bool:
    return column.covered >= (found.dataset.rows or 0)


def _translate(token: str, columns: dict[str, ColumnRecord]) -> str:
    name = token[1:-1] if token.startswith('"') else token
    return columns[name].physical if name in columns else (name if token.startswith('"') else token)


def check_filter(cat: Catalog, found: Resolved, translated: str, original: str) -> None:
    """Let Lance parse the filter now, so that a mistake is one line and nothing has started."""
    table = cat.lance(found.dataset.name)
    try:
        table.scanner(filter=translated, limit=1, columns=["added"]).to_table()
    except (ValueError, OSError) as error:
        reason = re.sub(r",? ?(rust|/).*$", "", str(error).splitlines()[0])[:200]
        if "LanceError(IO)" in reason:
            raise Corrupt(f"{found.dataset.name} cannot be read: {reason}; run `strata doctor`") from None
        raise BadInput(f"the filter {original!r} cannot be used on {found.ref}: {reason}") from None
