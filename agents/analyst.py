"""Analyst: a question in words -> read-only SQL, its table, a chart that fits, and a sentence, with the SQL shown.

    question(cat, "average chars by language of web")

Without a language model a few kinds of question are read by rules (agents/patterns.py); what they do not read is said, with
the nearest kept queries and columns, and nothing is guessed. With one (agents/analyst_model.py) the model writes the SQL.
Either way the statement runs through the catalog's own reader of SQL, which refuses all that does more than read, with
limits of rows and time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agents.asking import Asker, asker
from agents.patterns import Plan, read_question
from agents.tables import Table, tables_of
from catalog.access import check
from catalog.card_index import words_of
from catalog.errors import BadInput

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PURPOSE = "agent:analyst"
OFF = "the language model is off: questions are read by rules; --endpoint E --budget B turns it on"
KINDS = (
    "how many rows of web by language", "share of web where chars above 500", "average chars of web by source",
    "top 10 of web by chars", "distribution of chars of web", "compare web and books by chars", "which datasets are there",
)  # fmt: skip
"""Questions that the rules read, as examples."""
LONGEST = 2000
ROWS = 1000
SECONDS = 30.0


def question(
    cat: Catalog, text: str, dataset: str | None = None, *, endpoint: str | None = None, budget: str | None = None,
    limit: int = ROWS, texts: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """{"question", "sql", "columns", "rows", "truncated", "chart", "sentence", "by", "attempts", "near", "notes"}.

    dataset: the one that is meant where the question names none. sql is None where nobody could write one; near then
    holds kept queries, columns and examples. texts: False leaves out columns of sample text, as for `cat.sql`.
    """
    check(cat, "read", "sql")
    text = " ".join(text.split())
    if not re.search(r"[^\W\d_]", text) or len(text) > LONGEST:
        raise BadInput(f"ask in words, {LONGEST:,} characters at most; for example: {KINDS[0]}")
    if not 1 <= limit <= 100_000:
        raise BadInput(f"limit must be 1 to 100,000, not {limit}")
    helper = asker(cat, endpoint, budget, PURPOSE)
    tables = tables_of(cat) if texts else [_without_text(table) for table in tables_of(cat)]
    named = cat.resolve(dataset).dataset.name if dataset is not None else None
    held: dict[str, Any] = {"question": text, "sql": None, "columns": [], "rows": [], "truncated": False,
                            "chart": None, "by": None, "attempts": [], "near": None}  # fmt: skip
    run = _runner(cat, limit, texts)
    if helper is not None and _by_model(cat, helper, tables, named, run, held):
        return held
    plan = read_question(text, tables, named)
    notes = helper.said() if helper is not None else [OFF]
    if plan is None:
        unread = (
            "no rule reads this question"
            if helper is None
            else "neither the language model nor a rule could answer this"
        )
        held["sentence"] = f"{unread}; the nearest columns and kept queries are listed"
        return held | {"near": nearest(cat, text, tables), "notes": notes}
    result = run(plan.sql, False)
    held |= _result(result, plan.sql) | {"by": f"rule: {plan.rule}"}
    return held | _told(plan, held, None) | {"notes": [*result.notes, *_holes(cat, plan.sql), *notes]}


def _by_model(
    cat: Catalog, helper: Asker, tables: Sequence[Table], named: str | None, run: Any, held: dict[str, Any]
) -> bool:
    """Fill in what a model's statement gave; False where none ran."""
    from agents.analyst_model import sentence, written

    asked = held["question"] + (f" (about the table {named})" if named else "")
    made, result, held["attempts"] = written(helper, asked, tables, run)
    if made is None:
        return False
    held |= _result(result, made.sql) | {"by": f"language model {helper.model}"}
    said = sentence(cat, helper, held["question"], made.sql, held["columns"], held["rows"])
    held |= _told(Plan(made.sql, "model", " ".join(made.says.split())[:120]), held, said)
    held["notes"] = [*result.notes, *_holes(cat, made.sql), *helper.said()]
    return True


def nearest(cat: Catalog, text: str, tables: Sequence[Table]) -> dict[str, Any]:
    """Kept queries and columns that share most words with a question, and questions that the rules read."""
    from catalog.queries import saved_queries

    words = set(words_of(text))
    queries = [
        (len(words & set(words_of(f"{q.name} {q.note} {q.query}"))), q.name, q.query) for q in saved_queries(cat)
    ]
    columns = [
        (len(words & set(words_of(f"{column.name} {column.doc}"))) + 2 * len(words & set(words_of(column.name))),
         table.name, column.name)
        for table in tables for column in table.columns if column.sort != "other"
    ]  # fmt: skip
    return {
        "queries": [
            {"name": name, "query": sql} for hits, name, sql in sorted(queries, key=lambda q: (-q[0], q[1]))[:5] if hits
        ],
        "columns": [
            f"{table}.{name}" for hits, table, name in sorted(columns, key=lambda c: (-c[0], *c[1:]))[:8] if hits
        ],
        "questions": list(KINDS),
    }


def _holes(cat: Catalog, sql: str) -> list[str]:
    """Columns of a statement that were not computed for every row of their dataset."""
    out, words = [], set(re.findall(r"\w+", sql))
    for dataset in cat.datasets():
        if re.search(rf"(?<![\w-]){re.escape(dataset.name)}(?![\w-])", sql):
            out += [f"{column.alias} of {dataset.name} covers {column.covered:,} of {dataset.rows:,} rows; the others have no value"
                    for column in cat.columns(dataset.name) if column.alias in words and column.covered < dataset.rows]  # fmt: skip
    return out


def _without_text(table: Table) -> Table:
    return replace(table, columns=tuple(column for column in table.columns if column.sort != "text"))


def _runner(cat: Catalog, limit: int, texts: bool) -> Any:
    def run(sql: str, explain: bool) -> Any:
        return cat.sql(f"EXPLAIN {sql}" if explain else sql, limit=limit, timeout=SECONDS, texts=texts)

    return run


def _result(result: Any, sql: str) -> dict[str, Any]:
    rows = [{name: _plain(value) for name, value in row.items()} for row in result.rows()]
    return {"sql": sql, "columns": list(result.columns), "rows": rows, "truncated": result.truncated}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return value


def _told(plan: Plan, held: dict[str, Any], said: str | None) -> dict[str, Any]:
    return {
        "chart": chart(plan, held["columns"], held["rows"]),
        "sentence": said or told(plan, held["columns"], held["rows"]),
    }


def chart(plan: Plan, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> dict[str, str] | None:
    """What draws a result: {"kind": bar, line, histogram or scatter, "x", "y"}; None where a table says it best."""
    if len(rows) < 2:
        return None
    if plan.axes:
        kind = "histogram" if plan.rule == "distribution" and plan.axes["x"] == "from" else "bar"
        return {"kind": kind, **plan.axes}
    sorts = {name: _sort([row[name] for row in rows]) for name in columns}
    numbers = [name for name, sort in sorts.items() if sort == "number"]
    first = columns[0]
    if sorts[first] in ("label", "time") and numbers:
        return {"kind": "line" if sorts[first] == "time" else "bar", "x": first, "y": numbers[0]}
    return {"kind": "scatter", "x": numbers[0], "y": numbers[1]} if len(numbers) == 2 == len(columns) else None


def _sort(values: Sequence[Any]) -> str:
    held = [value for value in values if value is not None]
    if held and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in held):
        return "number"
    if held and all(
        isinstance(value, (date, datetime)) or re.fullmatch(r"\d{4}-\d\d(-\d\d.*)?", str(value)) for value in held
    ):
        return "time"
    return "label" if held and all(isinstance(value, str) and len(value) <= 64 for value in held) else "other"


def told(plan: Plan, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """The result in a sentence, by rule: every number in it stands in the table."""
    if not rows:
        return f"{plan.said}: no rows." if plan.said else "No rows."
    first = rows[0]
    if plan.rule == "share" and first.get("of_rows"):
        return f"{_said(first['rows'])} of {_said(first['of_rows'])} {plan.said} ({100 * first['share']:.1f} %)."
    if plan.rule == "distribution" and "from" in columns:
        most = max(rows, key=lambda row: row["rows"])
        return f"{plan.said}: {_said(first['from'])} to {_said(rows[-1]['to'])}, most ({_said(most['rows'])} rows) from {_said(most['from'])} to {_said(most['to'])}."
    if plan.rule == "top":
        return f"{plan.said}: from {_said(first[columns[-1]])} to {_said(rows[-1][columns[-1]])}."
    if len(rows) == 1:
        held = [f"{_said(value)}" if len(columns) == 1 else f"{name} {_said(value)}" for name, value in first.items()]
        return f"{plan.said}: {', '.join(held)}."
    if plan.axes or len(columns) == 2:
        x, y = plan.axes.get("x", columns[0]), plan.axes.get("y", columns[-1])
        shown = ", ".join(f"{_said(row[x])} {_said(row[y])}" for row in rows[:5])
        return f"{plan.said}: {shown}{f' and {len(rows) - 5} more' if len(rows) > 5 else ''}."
    return f"{plan.said}: {len(rows):,} rows."


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return " ".join(str(value).split())[:60]
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
