"""Top-N and filtered rows without reading every text: find the row ids first, then fetch those rows whole.

    SELECT sample_id, text FROM web WHERE quality > 0.9 ORDER BY quality DESC LIMIT 20

is run twice: once over the narrow columns with the row id in place of the wide ones, then as written (without WHERE and
OFFSET) over the few rows found. Only statements whose result cannot differ are treated so; `narrowed` says None for the
rest. (122 ms against 15 ms for Parquet became 20 ms on 1M rows of 100 characters.)
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pyarrow as pa

from catalog.query.statements import Statement, dicts
from catalog.query.views import ROW_ID, View, is_wide, readable

MOST_ROWS = 20_000
ROWWISE_CLASSES = {"COLUMN_REF", "CONSTANT", "CAST", "COMPARISON", "CONJUNCTION", "OPERATOR", "BETWEEN", "CASE"}
ROWWISE_FUNCTIONS = {
    "+", "-", "*", "/", "%", "||", "->", "->>", "abs", "array_extract", "ceil", "concat", "contains", "floor", "json_extract",
    "json_extract_string", "left", "len", "length", "list_extract", "ln", "log", "lower", "ltrim", "md5", "regexp_extract",
    "regexp_matches", "regexp_replace", "replace", "right", "round", "rtrim", "starts_with", "strip_accents", "strlen",
    "strpos", "struct_extract", "substr", "substring", "trim", "upper",
}  # fmt: skip


class Narrowed(NamedTuple):
    """first: tree whose result has the row id as first column; second: tree to run over the rows found."""

    first: dict[str, Any]
    second: dict[str, Any]
    columns: dict[str, str]  # shown -> physical names that the second tree may read


def narrowed(statement: Statement, view: View, limit: int | None) -> Narrowed | None:
    """The two-step form of a statement over one view, or None."""
    node = statement.node
    if statement.explain or not _plain(node) or not _known(node, view):
        return None
    modifiers = {item["type"]: item for item in node["modifiers"]}
    cut = modifiers.get("LIMIT_MODIFIER")
    rows = _rows(cut, limit)
    if rows is None or rows > MOST_ROWS or not (node["where_clause"] or "ORDER_MODIFIER" in modifiers):
        return None
    items = node["select_list"]
    conditions = [node["where_clause"], modifiers.get("ORDER_MODIFIER")]
    read = names(conditions)
    wide = {name.lower() for name, kind in view.types().items() if is_wide(kind)} - read
    heavy = [item for item in items if item["class"] == "STAR" or names(item) & wide]
    if not heavy or read & {(item.get("alias") or "").lower() for item in heavy}:
        return None
    if any(_by_place(order["expression"]) for order in modifiers.get("ORDER_MODIFIER", {}).get("orders", [])):
        return None
    first, second = copy.deepcopy(statement.tree), copy.deepcopy(statement.tree)
    row_id = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": [ROW_ID]}
    inner, outer = first["statements"][0]["node"], second["statements"][0]["node"]
    inner["select_list"] = [row_id, *[item for item in items if (item.get("alias") or "").lower() in read]]
    inner["modifiers"] = [item for item in inner["modifiers"] if item["type"] != "LIMIT_MODIFIER"] + [_limit(cut, rows)]
    outer["where_clause"] = None
    for item in outer["modifiers"]:
        if item["type"] == "LIMIT_MODIFIER":
            item["offset"] = None
    every = any(item["class"] == "STAR" for item in items)
    wanted = names([items, conditions])
    held = {shown: name for shown, name in view.columns.items() if every or shown.lower() in wanted}
    return Narrowed(first, second, held)


def fetch(view: View, row_ids: Any, columns: dict[str, str], most_bytes: int) -> tuple[pa.Table, bool]:
    """Rows in the order of `row_ids`, by physical names, and whether `most_bytes` ended it early."""
    names = list(dict.fromkeys(columns.values()))
    schema = pa.schema([view.scan.fields.field(name) for name in names])
    parts, size, ids = [schema.empty_table()], 0, row_ids.to_pylist()
    for at in range(0, len(ids), 1024):
        taken = view.scan.table._take_rows(ids[at : at + 1024], columns=names)
        cast = [taken.column(field.name).cast(readable(field.type)) for field in schema]
        parts.append(pa.Table.from_arrays(cast, schema=schema))
        size += parts[-1].nbytes
        if size > most_bytes and at + 1024 < len(ids):
            return pa.concat_tables(parts), True
    return pa.concat_tables(parts), False


def names(tree: Any) -> set[str]:
    """Every part of every column name in a tree, lower case."""
    return {part.lower() for item in dicts(tree) if item.get("class") == "COLUMN_REF" for part in item["column_names"]}


def _plain(node: dict[str, Any]) -> bool:
    """SELECT rows FROM one table, nothing grouped, sampled, deduplicated or windowed."""
    table = node.get("from_table") or {}
    return (
        node["type"] == "SELECT_NODE"
        and table.get("type") == "BASE_TABLE"
        and not (table["sample"] or table["column_name_alias"] or table["at_clause"])
        and not node["cte_map"]["map"]
        and not any(node[part] for part in ("group_expressions", "group_sets", "having", "qualify", "sample"))
        and node["aggregate_handling"] == "STANDARD_HANDLING"
        and all(item["type"] in ("ORDER_MODIFIER", "LIMIT_MODIFIER") for item in node["modifiers"])
        and all(_rowwise(item) for item in node["select_list"])
        and not any(item.get("class") in ("WINDOW", "PARAMETER") for item in dicts(node))
    )


def _known(node: dict[str, Any], view: View) -> bool:
    """Every name is a column or an alias of the select list; the table's own name alone would mean the whole row."""
    columns = {name.lower() for name in view.columns}
    aliases = {item["alias"].lower() for item in node["select_list"] if item.get("alias")}
    table = (node["from_table"]["alias"] or node["from_table"]["table_name"]).lower()
    for item in dicts(node):
        if item.get("class") == "COLUMN_REF":
            parts = [part.lower() for part in item["column_names"]]
            qualified = len(parts) > 1 and parts[0] == table and parts[1] in columns
            if not (parts[0] in columns or qualified or (len(parts) == 1 and parts[0] in aliases)):
                return False
    return True


def _rowwise(item: dict[str, Any]) -> bool:
    if item["class"] == "STAR":
        return not (item["columns"] or item["expr"] or item["replace_list"])
    for part in dicts(item):
        kind = part.get("class")
        if kind == "FUNCTION" and part["function_name"].lower() not in ROWWISE_FUNCTIONS:
            return False
        if kind is not None and kind != "FUNCTION" and kind not in ROWWISE_CLASSES:
            return False
    return True


def _rows(cut: dict[str, Any] | None, limit: int | None) -> int | None:
    """Rows the statement can give, None when that is open."""
    most = None if limit is None else limit + 1
    if cut is None:
        return most
    if cut["limit_type"] != "ROW_COUNT" or not (_integer(cut["offset"]) or cut["offset"] is None):
        return None
    if cut["limit"] is None:
        return most
    if not _integer(cut["limit"]):
        return None
    own = int(cut["limit"]["literal"]["text"])
    return own if most is None else min(own, most)


def _integer(item: dict[str, Any] | None) -> bool:
    return item is not None and item["class"] == "CONSTANT" and (item.get("literal") or {}).get("kind") == "INTEGER"


def _limit(cut: dict[str, Any] | None, rows: int) -> dict[str, Any]:
    number = {
        "class": "CONSTANT",
        "type": "VALUE_CONSTANT",
        "alias": "",
        "literal": {"kind": "INTEGER", "text": str(rows)},
    }
    return {
        "type": "LIMIT_MODIFIER", "limit": number, "offset": cut["offset"] if cut else None, "limit_type": "ROW_COUNT",
    }  # fmt: skip


def _by_place(item: dict[str, Any]) -> bool:
    """ORDER BY 2 and ORDER BY ALL mean places of the select list."""
    return item["class"] in ("CONSTANT", "STAR")
