"""Queries that a team keeps by name, and the row set inside a query: the filter of a statement over one dataset.

A kept query was read by DuckDB's parser when it was saved, so it only reads; whether its tables are still there is seen
when it runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput, NameTaken, NotFound, StrataError
from catalog.meta.models import now
from catalog.meta.proposals import SavedQuery
from catalog.query.engine import Request, one_line
from catalog.query.statements import Statement, dicts, parse
from catalog.refs import check_name

if TYPE_CHECKING:
    from catalog.catalog import Catalog

LONGEST = 100_000
"""Characters of a query that is kept."""
TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_]*|\d+\.?\d*|\s+|.""", re.DOTALL
)
AFTER = {"group", "order", "limit", "offset", "having", "window", "qualify", "union", "except", "intersect", "using"}


def save_query(cat: Catalog, name: str, query: str, *, note: str = "", replace: bool = False) -> SavedQuery:
    """Keep a query by name. Saving the same again changes nothing; another one under a name that is taken is refused
    unless `replace`.
    """
    check(cat, "write", f"query {check_name(name)}")
    query = query.strip()
    if len(query) > LONGEST:
        raise BadInput(f"a query may have {LONGEST:,} characters, not {len(query):,}")
    parsed(cat, query)
    with cat.session() as session:
        held = session.get(SavedQuery, name)
        if held is not None and (held.query, held.note) == (query, note or held.note):
            return held
        if held is not None and not replace:
            raise NameTaken(f"a query {name!r} of {held.actor} is kept already; choose another name, or replace it")
        if held is None:
            held = SavedQuery(name=name, query=query, note=note, actor=cat.settings.actor)
        else:
            held.query, held.note = query, note or held.note
            held.actor, held.created = cat.settings.actor, now()
        session.add(held)
        try:
            session.commit()
        except IntegrityError:
            raise NameTaken(f"the query {name!r} was just saved by another process; look at it, then repeat") from None
        return held


def saved_queries(cat: Catalog) -> list[SavedQuery]:
    """Every kept query, by name."""
    check(cat, "read", "queries")
    with cat.session() as session:
        return list(session.exec(select(SavedQuery).order_by(SavedQuery.name)))


def saved_query(cat: Catalog, name: str) -> SavedQuery:
    """One kept query; `NotFound` names near ones."""
    check(cat, "read", f"query {name}")
    with cat.session() as session:
        held = session.get(SavedQuery, name)
    if held is None:
        raise NotFound("query", name, [one.name for one in saved_queries(cat)], "see `strata queries list`")
    return held


def delete_query(cat: Catalog, name: str) -> None:
    """Forget a kept query; nothing that was made from it changes."""
    check(cat, "write", f"query {name}")
    held = saved_query(cat, name)
    with cat.session() as session:
        session.delete(held)
        session.commit()


def parsed(cat: Catalog, query: str) -> Statement:
    """A statement as DuckDB's parser reads it; what does more than read is refused."""
    request = Request(cat)
    with one_line(request):
        found = parse(request.con, query)
        request.close()
    return found


class Filter(NamedTuple):
    """SELECT ... FROM ref WHERE where: a row set that can be saved as a selection. cut: the query shows only some of
    its rows (LIMIT, DISTINCT)."""

    ref: str
    where: str
    cut: bool = False


def filter_of(cat: Catalog, query: str) -> Filter:
    """The filter of a statement that has one over the rows of one dataset; `BadInput` says why another has none."""
    found = parsed(cat, query)
    reason = _unfit(found)
    if reason:
        raise BadInput(f"this query is no filter of one dataset: {reason}")
    name = found.tables[0][1]
    if cat.find(name.partition("@")[0].lower()) is None:
        raise NotFound("dataset", name, [dataset.name for dataset in cat.datasets()])
    where = _where_text(found.text)
    again = parsed(cat, f"SELECT * FROM {_quoted(name)} WHERE {where}") if where else None
    if again is None or _bare(again.node["where_clause"]) != _bare(found.node["where_clause"]):
        raise BadInput("this query is no filter of one dataset: its WHERE could not be cut out; write it plainly")
    modifiers = {item["type"] for item in found.node["modifiers"]}
    return Filter(
        name.lower(), where, bool(modifiers & {"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"})
    )


def find_filter(cat: Catalog, query: str) -> Filter | None:
    """`filter_of`, or None."""
    try:
        return filter_of(cat, query)
    except StrataError:
        return None


def _unfit(found: Statement) -> str:
    """Why a statement has no filter over one dataset; "" when it has."""
    node = found.node
    if found.explain:
        return "it explains a plan"
    if node["type"] != "SELECT_NODE" or node["cte_map"]["map"]:
        return "it joins the results of several statements"
    table = node["from_table"] or {}
    if table.get("type") != "BASE_TABLE" or len(found.tables) != 1:
        return "its rows are not those of one table"
    if found.tables[0][0].lower() == "strata":
        return "a system table holds no samples"
    if table.get("sample") or node.get("sample") or table.get("column_name_alias"):
        return "it draws a sample or renames columns"
    if node["group_expressions"] or node["group_sets"] or node["having"] or node["qualify"]:
        return "it groups rows"
    if node["where_clause"] is None:
        return "it has no WHERE, so it means every row"
    if any(item.get("class") == "SUBQUERY" for item in dicts(node["where_clause"])):
        return "its WHERE asks another query"
    return ""


def _where_text(query: str) -> str:
    """What stands between WHERE and the next clause, as written."""
    words = [token for token in TOKEN.findall(query.strip().rstrip(";")) if not token.startswith(("--", "/*"))]
    depth, start, end = 0, None, len(words)
    for at, word in enumerate(words):
        token = word.lower()
        depth += (token == "(") - (token == ")")
        if depth:
            continue
        if token == "where" and start is None:
            start = at + 1
        elif token in AFTER and start is not None:
            end = min(end, at)
    return "".join(words[start:end]).strip() if start is not None else ""


def _bare(tree: Any) -> Any:
    """A parse tree without places in the text."""
    if isinstance(tree, dict):
        return {key: _bare(value) for key, value in tree.items() if key != "query_location"}
    return [_bare(item) for item in tree] if isinstance(tree, list) else tree


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
