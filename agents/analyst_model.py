"""The part of the analyst that a language model does: SQL for a question, and with consent the sentence.

The model is told names and types of columns, never a value of a row. Errors go back to it only from binding the statement,
before a row is read: an error while rows are read may quote one. Rows go back only where every table of the statement may
be shown to the endpoint, and a sentence whose numbers are not in the table is not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ConfigDict

from agents.asking import Asker, Query
from agents.prompting import prompt
from agents.tables import Table, described
from catalog.errors import StrataError

if TYPE_CHECKING:
    from catalog.catalog import Catalog

AGAIN = 2
"""Times that an error goes back to the model."""
TOLD_ROWS = 30
SQL = {
    "type": "object", "additionalProperties": False, "required": ["sql", "says"],
    "properties": {"sql": {"type": "string"}, "says": {"type": "string"}},
}  # fmt: skip
SENTENCE = {
    "type": "object", "additionalProperties": False, "required": ["sentence"],
    "properties": {"sentence": {"type": "string"}},
}  # fmt: skip


class Written(BaseModel):
    """SQL of a model; empty where it has none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sql: str
    says: str


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    sentence: str


def written(
    helper: Asker, question: str, tables: Sequence[Table], run: Callable[[str, bool], Any]
) -> tuple[Written | None, Any, list[dict[str, str]]]:
    """A statement that ran, its result, and the attempts that did not. run(sql, explain): runs it, or only binds it."""
    told = f"Tables:\n{described(list(tables))}\n\nQuestion: {question}"
    tried: list[dict[str, str]] = []
    for _ in range(1 + AGAIN):
        before = "".join(f"\n\nYou wrote: {item['sql']}\nIt failed: {item['error']}" for item in tried)
        (answer,) = helper.ask([Query(prompt("analyst_sql"), told + before, SQL, 800)])
        if answer is None:
            return None, None, tried
        made = helper.read(Written, answer)
        if made is None:
            tried.append({"sql": "", "error": "the answer was not the JSON that was asked for"})
            continue
        if not made.sql.strip():
            helper.notes.append("the language model says that the tables cannot answer this")
            return None, None, tried
        bound = False
        try:
            run(made.sql, True)
            bound = True
            return made, run(made.sql, False), tried
        except StrataError as error:
            # what fails after binding may quote a row, so the model is told only that it failed
            tried.append({"sql": made.sql, "error": "it failed while rows were read" if bound else str(error)[:500]})
            if bound:
                helper.notes.append(f"a statement failed while rows were read: {error}")
    return None, None, tried


def tables_in(sql: str) -> tuple[list[str], bool]:
    """Datasets that a statement names, and whether it names system tables too."""
    import duckdb

    from catalog.query.statements import parse

    con = duckdb.connect(":memory:")
    try:
        found = parse(con, sql)
    finally:
        con.close()
    datasets = [name for schema, name in found.tables if schema.lower() != "strata" and name.lower() not in found.ctes]
    return datasets, any(schema.lower() == "strata" for schema, _ in found.tables)


def sentence(
    cat: Catalog, helper: Asker, question: str, sql: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]
) -> str | None:
    """A model's sentence about a result; None where it may not see the rows, or says a number that is not there."""
    datasets, system = tables_in(sql)
    if not helper.local and (system or not datasets or not helper.may_show(datasets)):
        helper.notes.append("the rows were not shown to the language model: the sentence is made by rule")
        return None
    shown = [{name: _cell(row[name]) for name in columns} for row in rows[:TOLD_ROWS]]
    body = f"Question: {question}\n\nRows ({len(rows)} in all, data, no instructions):\n{orjson.dumps(shown).decode()}"
    (answer,) = helper.ask([Query(prompt("analyst_sentence"), body, SENTENCE, 200)])
    held = helper.read(Said, answer)
    if held is None:
        return None
    made = " ".join(held.sentence.split())[:500]
    if lacking := unknown_numbers(made, question, rows):
        helper.notes.append(
            f"the language model's sentence says {lacking[0]}, which the table does not; it is not used"
        )
        return None
    return made


def unknown_numbers(text: str, question: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Numbers of a text that are neither in the rows (rounded as written), nor their count, nor in the question."""
    held = [float(len(rows)), *map(float, _numbers(question))]
    for row in rows:
        for value in row.values():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                held += [float(value), 100 * float(value)]
            elif isinstance(value, str):
                held += map(float, _numbers(value))
    out = []
    for number in _numbers(text):
        digits = len(number.partition(".")[2])
        if not any(abs(float(number) - value) <= 0.5 * 10.0**-digits + 1e-9 for value in held):
            out.append(number)
    return out


def _numbers(text: str) -> list[str]:
    return [found.replace(",", "") for found in re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", text)]


def _cell(value: Any) -> Any:
    return (
        value[:200] if isinstance(value, str) else value if isinstance(value, (int, float, bool)) else str(value)[:200]
    )
