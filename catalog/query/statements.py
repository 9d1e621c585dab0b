"""What a statement is and names, by DuckDB's own parser, before anything is bound or run.

Only statements that DuckDB can serialize (SELECT and its kin: WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES) get
through, and EXPLAIN of those. Query nodes and table functions are allowed by name, so that a new one is refused until
somebody has looked at it; the scalar functions that reach outside the query are refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from catalog.errors import BadInput

NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row"}
REFUSED_FUNCTIONS = {
    "current_connection_id", "current_query", "current_setting", "currval", "getenv", "getvariable",
    "json_serialize_plan", "nextval", "pg_sleep", "query", "query_table", "setval", "sleep_ms", "stats", "write_log",
}  # fmt: skip
EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(EXPLAIN(?:\s+ANALYZE)?)\b(.*)", re.IGNORECASE | re.DOTALL)
ALLOWED = "only SELECT, WITH, EXPLAIN, DESCRIBE, SUMMARIZE and SHOW TABLES can be run"


class Statement(NamedTuple):
    """One statement that only reads."""

    text: str  # without EXPLAIN
    explain: str  # "", "EXPLAIN" or "EXPLAIN ANALYZE"
    tree: dict[str, Any]  # DuckDB's parse tree as JSON, {"statements": [...]}
    tables: tuple[tuple[str, str], ...]  # (schema or "", name) as written, in order, once each
    ctes: frozenset[str]  # names that WITH defines, lower case

    @property
    def node(self) -> dict[str, Any]:
        return self.tree["statements"][0]["node"]


def parse(con: Any, query: str) -> Statement:
    """Parse one statement and refuse what does more than read."""
    explain, text = "", query
    if match := EXPLAIN.match(query):
        explain, text = " ".join(match[1].upper().split()), match[2]
    tree = json.loads(con.execute("SELECT json_serialize_sql(?)", [text]).fetchall()[0][0])
    if tree["error"]:
        raise BadInput(_reason(con, text, tree))
    count = len(tree["statements"])
    if count != 1:
        raise BadInput("the query is empty" if not count else f"one statement at a time, not {count}")
    found = list(dicts(tree["statements"][0]))
    if any(_is(node, "SHOW_REF") and node.get("show_type") == "SHOW_SPECIAL" for node in found):
        return _show(con, found)
    tables: dict[tuple[str, str], None] = {}
    for node in found:
        _check(node)
        if _is(node, "BASE_TABLE"):
            tables[(node.get("schema_name", ""), node["table_name"])] = None
    ctes = frozenset(
        entry["key"].lower() for node in found for entry in (node.get("cte_map") or {}).get("map", []) if "key" in entry
    )
    return Statement(text, explain, tree, tuple(tables), ctes)


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parse tree, parents first."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def _is(node: dict[str, Any], kind: str) -> bool:
    return node.get("type") == kind


def _check(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in NODES:
        raise BadInput(f"{kind.removesuffix('_QUERY_NODE').removesuffix('_NODE')} changes data; {ALLOWED}")
    if kind == "TABLE_FUNCTION":
        name = node["function"].get("function_name", "").lower()
        if name not in TABLE_FUNCTIONS:
            known = ", ".join(sorted(TABLE_FUNCTIONS))
            raise BadInput(f"the table function {name} is not available: SQL reads no files; there are: {known}")
    elif node.get("class") == "FUNCTION" and (name := node.get("function_name", "").lower()) in REFUSED_FUNCTIONS:
        raise BadInput(f"the function {name} is not available: SQL sees only tables of the catalog")
    elif kind == "BASE_TABLE":
        schema = node.get("schema_name", "")
        if node.get("catalog_name") or schema.lower() not in ("", "main", "strata"):
            where = ".".join(part for part in (node.get("catalog_name"), schema) if part)
            raise BadInput(
                f'no schema {where!r}: write a dataset as "name" or "name@v3", a system table as strata.name'
            )
        if node.get("at_clause"):
            raise BadInput(f'AT is not a way to name a version: write "{node["table_name"]}@v3"')


def _show(con: Any, found: list[dict[str, Any]]) -> Statement:
    """SHOW TABLES lists the catalog, not what happens to be registered."""
    what = next(node for node in found if _is(node, "SHOW_REF")).get("table_name", "").strip('"')
    if what != "tables":
        raise BadInput(f"SHOW {what.upper()} is not available: {ALLOWED}")
    return parse(con, "SELECT name, head AS version, tier, kind, rows FROM strata.datasets ORDER BY name")


def _reason(con: Any, text: str, tree: dict[str, Any]) -> str:
    if tree.get("error_type") == "parser":
        at = int(tree.get("position") or 0)
        line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
        hint = '; quote a version: "name@v3"' if text[at : at + 1] == "@" else ""
        return f"SQL: {tree['error_message']} (line {line}, column {column}){hint}"
    try:
        kinds = [statement.type.name for statement in con.extract_statements(text)]
    except Exception:  # DuckDB's own parser disagrees with its serializer; the statement is refused either way
        kinds = []
    return f"{' and '.join(kinds) or 'this statement'} is refused: {ALLOWED}"
