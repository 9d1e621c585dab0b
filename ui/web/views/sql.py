"""SQL: a schema browser, an editor, and the rows of one read-only statement."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pyarrow.csv
import streamlit as st

from catalog import Catalog
from ui.web.components import address, shell
from ui.web.components.figures import count, duration
from ui.web.components.markup import Markup, act, h, link, live
from ui.web.components.parts import caps, chip
from ui.web.components.selections import save_form
from ui.web.queries import statements

LIMITS = ["100", "1000", "10000"]
SHORT = 14  # rows of a result that are shown without a scroll bar
GROUPED = st.column_config.NumberColumn(format="localized")


def browser(cat: Catalog, opened: str) -> Markup:
    """Datasets and system tables; the opened one lists its columns."""
    datasets = [(dataset.name, f"{dataset.tier} · {count(dataset.rows)} rows") for dataset in cat.datasets()]
    blocks = [h("div", caps("datasets"), cls="sx-tree-head")]
    blocks += [_entry(cat, name, note, opened) for name, note in datasets]
    blocks += [h("div", caps("system tables"), cls="sx-tree-head")]
    blocks += [_entry(cat, name, "", opened) for name in statements.system_tables()]
    return h("div", blocks, cls="sx-frame sx-tree", data_keep="tree")


def _entry(cat: Catalog, name: str, note: str, opened: str) -> Markup:
    on = name == opened
    head = h(
        "div",
        h("span", "▾" if on else "▸", cls="sx-faint"),
        h("span", name, cls="sx-cut sx-mono"),
        h("span", note, cls="sx-faint sx-num", style="margin-left:auto;font-size:12px"),
        cls="sx-tree-row" + (" on" if on else ""),
        **act("table", "" if on else name),
    )
    if not on:
        return head
    columns = [
        h(
            "div",
            h("span", column, cls="sx-cut", title=column),
            h("span", kind, cls="sx-faint sx-cut", title=kind),
            cls="sx-tree-col",
        )
        for column, kind in statements.columns_of(cat, name)
    ]
    return h("div", head, h("div", columns))


def _open(name: str, value: str) -> None:
    address.put(table=value)


def run(cat: Catalog, query: str, limit: int) -> dict[str, Any]:
    """Rows of a query, kept in the session until another one is run."""
    held = st.session_state.get("sql_result")
    if held and held["query"] == query and held["limit"] == limit:
        return held
    began = time.perf_counter()
    with st.spinner("running …"):
        found = cat.sql(query, limit=limit)
        table = found.arrow()
    held = {
        "query": query,
        "limit": limit,
        "table": table,
        "note": found.note,
        "truncated": found.truncated,
        "seconds": time.perf_counter() - began,
    }
    st.session_state["sql_result"] = held
    return held


def result(cat: Catalog, held: dict[str, Any]) -> None:
    table: pa.Table = held["table"]
    facts = [
        h("b", f"{count(table.num_rows)} row{'s' if table.num_rows != 1 else ''}"),
        f"{table.num_columns} columns",
        duration(held["seconds"]) if held["seconds"] >= 1 else f"{1000 * held['seconds']:.0f} ms",
    ]
    marks = [chip(held["note"], "warn")] if held["note"] else [chip("complete", "ok")]
    line, csv, arrow = st.columns([5, 0.75, 0.75], gap="small", vertical_alignment="center")
    with line:
        shell.show(
            h(
                "div",
                h("span", [[item, h("span", " · ", cls="sx-faint")] for item in facts[:-1]], facts[-1]),
                marks,
                cls="sx-wrap",
            )
        )
    csv.download_button(
        "CSV",
        lambda: as_csv(table),
        "result.csv",
        "text/csv",
        width="stretch",
        on_click="ignore",
        disabled=not table.num_columns,
    )
    arrow.download_button(
        "Arrow",
        lambda: as_arrow(table),
        "result.arrow",
        "application/vnd.apache.arrow.file",
        width="stretch",
        on_click="ignore",
        disabled=not table.num_columns,
    )
    whole = {field.name: GROUPED for field in table.schema if _whole(field.type)}
    height = "auto" if table.num_rows <= SHORT else 560
    st.dataframe(shown(table), hide_index=True, height=height, width="stretch", row_height=35, column_config=whole)
    if (simple := statements.simple_filter(cat, held["query"])) is not None:
        save_form(cat, simple.ref, simple.where)


def _whole(kind: pa.DataType) -> bool:
    """Counts and sums: integers, and the wide decimals that DuckDB sums them to."""
    return pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0)


def shown(table: pa.Table) -> pa.Table:
    """What the grid draws: nested values as short text, so that a page of vectors does not travel."""
    for at, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            cells = [None if value is None else str(value)[:200] for value in table.column(at).to_pylist()]
            table = table.set_column(at, field.name, pa.array(cells, pa.string()))
    return table


def as_csv(table: pa.Table) -> bytes:
    """CSV with nested values as JSON text."""
    import orjson

    for at, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            cells = [
                None if value is None else orjson.dumps(value, default=str).decode()
                for value in table.column(at).to_pylist()
            ]
            table = table.set_column(at, field.name, pa.array(cells, pa.string()))
    out = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, out)
    return out.getvalue().to_pybytes()


def as_arrow(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue().to_pybytes()


def editor(cat: Catalog) -> tuple[str, int]:
    """Query and row limit of the address; Run (or Ctrl+Enter in the editor) moves what was typed there."""
    query = address.get("q")
    if st.session_state.get("sql_of") != query:
        st.session_state["sql_text"], st.session_state["sql_of"] = query or statements.examples(cat)[0][1], query

    def moved() -> None:
        st.session_state.pop("sql_result", None)
        st.session_state["sql_of"] = st.session_state["sql_text"].strip()
        address.put(q=st.session_state["sql_text"].strip())

    st.text_area(
        "Query", key="sql_text", height=150, label_visibility="collapsed", placeholder='SELECT … FROM "dataset"'
    )
    go, limit, hint = st.columns([0.7, 0.9, 4], gap="small", vertical_alignment="center")
    go.button("Run", type="primary", on_click=moved, width="stretch")
    with limit:
        rows = address.choice(
            "Row limit",
            "limit",
            LIMITS,
            "1000",
            label_visibility="collapsed",
            format_func=lambda value: f"{int(value):,} rows",
        )
    with hint:
        shell.show(
            h(
                "span",
                "Read-only. A dataset is ",
                h("code", '"name"'),
                " or ",
                h("code", '"name@v3"'),
                ", metadata is ",
                h("code", "strata.*"),
                ".",
                cls="sx-faint",
                style="font-size:13px",
            )
        )
    return address.get("q"), int(rows)


def page() -> None:
    cat = shell.catalog()
    shell.show(shell.title("SQL", "over every dataset version and what is known about them"))
    left, right = st.columns([1, 3.4], gap="medium")
    with left, shell.guarded():
        live(browser(cat, address.get("table")), "tree", _open)
    with right:
        query, limit = editor(cat)
        samples = [h("a", title, cls="sx-step", **link("sql", q=text)) for title, text in statements.examples(cat)]
        live(h("div", samples, cls="sx-wrap"), "examples")
        if query:
            with shell.guarded():
                result(cat, run(cat, query, limit))
        else:
            shell.show(shell.note(h("span", "Choose an example or write a query, then run it.", cls="sx-soft")))


page()
