"""SQL: kept queries, a schema browser, an editor, and one read-only statement as a table, a chart, a file, a selection."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.csv
import streamlit as st

from catalog import Catalog
from catalog.errors import StrataError
from catalog.queries import Filter, filter_of, saved_queries, saved_query
from ui.web.charts import result as chart
from ui.web.components import address, shell
from ui.web.components.ask_box import ask_box
from ui.web.components.figures import count, duration
from ui.web.components.kept_queries import forget, keep_form, listed
from ui.web.components.markup import Markup, act, h, link, live
from ui.web.components.parts import caps, chip
from ui.web.components.query_selection import make_selection
from ui.web.queries import statements

LIMITS = ["100", "1000", "10000"]
SHORT = 14  # rows of a result that are shown without a scroll bar
FEW = 6  # columns of a table that a search shows without opening it
GROUPED = st.column_config.NumberColumn(format="localized")


@st.cache_data(show_spinner=False, max_entries=512)
def _columns(_cat: Catalog, home: str, name: str, lance_version: int) -> list[tuple[str, str]]:
    return statements.columns_of(_cat, name)


def browser(cat: Catalog, opened: str, words: str) -> Markup:
    """Datasets and system tables that have the words in their name or a column; the opened one lists its columns."""
    held = cat.datasets()
    names = [(dataset.name, f"{dataset.tier} · {count(dataset.rows)} rows", dataset.lance_version) for dataset in held]
    tables = [(name, "", 0) for name in statements.system_tables()]
    blocks = []
    for title, group in (("datasets", names), ("system tables", tables)):
        rows = [_entry(cat, *entry, opened, words) for entry in group]
        kept = [row for row in rows if row]
        blocks += [h("div", caps(title), cls="sx-tree-head"), *(kept or [h("div", "no match", cls="sx-tree-none")])]
    return h("div", blocks)


def _entry(cat: Catalog, name: str, note: str, version: int, opened: str, words: str) -> Markup | None:
    on = name == opened
    columns = _columns(cat, str(cat.settings.home), name, version) if on or words else []
    hits = [column for column in columns if words.casefold() in column[0].casefold()] if words else columns
    if words and not hits and words.casefold() not in name.casefold():
        return None
    head = h(
        "div",
        h("span", "▾" if on else "▸", cls="sx-faint"),
        h("span", name, cls="sx-cut sx-mono"),
        h("span", note, cls="sx-faint sx-num", style="margin-left:auto;font-size:12px"),
        cls="sx-tree-row" + (" on" if on else ""),
        aria_expanded="true" if on else "false",
        **act("table", "" if on else name),
    )
    shown = (hits or columns) if on else hits[:FEW] if words else []
    return h("div", head, h("div", [_column(*column) for column in shown])) if shown else head


def _column(name: str, kind: str) -> Markup:
    """A column; a click writes its name at the end of the query."""
    return h(
        "div",
        h("span", name, cls="sx-cut"),
        h("span", kind, cls="sx-faint sx-cut"),
        cls="sx-tree-col",
        title=f"{name}: {kind}; a click puts it into the query",
        **act("column", name),
    )


def _act(cat: Catalog, name: str, value: str) -> None:
    if name == "table":
        address.put(table=value)
    elif name == "forget":
        forget(cat, value)
    elif name == "column":
        written = value if re.fullmatch(r"[a-z_][a-z0-9_]*", value) else f'"{value}"'
        held = st.session_state.get("sql_text", "").rstrip()
        st.session_state["sql_text"] = f"{held} {written}".strip()


def schema(cat: Catalog) -> None:
    """The left side: kept queries, datasets and system tables."""
    words = address.text_box("Find a table or column", "find", placeholder="part of a name")
    kept = listed(saved_queries(cat), address.get("saved"), words, not shell.barred())
    body = h("div", kept, browser(cat, address.get("table"), words), cls="sx-frame sx-tree", data_keep="tree")
    live(body, "tree", partial(_act, cat))


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
        "filter": _filter(cat, query),
    }
    st.session_state["sql_result"] = held
    return held


def _filter(cat: Catalog, query: str) -> tuple[Filter | None, str]:
    """The filter of a query, or why it has none."""
    try:
        return filter_of(cat, query), ""
    except StrataError as error:
        return None, error.message


def result(cat: Catalog, held: dict[str, Any]) -> None:
    table: pa.Table = held["table"]
    facts = [
        h("b", f"{count(table.num_rows)} row{'s' if table.num_rows != 1 else ''}"),
        f"{table.num_columns} columns",
        duration(held["seconds"]) if held["seconds"] >= 1 else f"{1000 * held['seconds']:.0f} ms",
    ]
    marks = [chip(held["note"], "warn")] if held["note"] else [chip("complete", "ok")]
    line, view, save = st.columns([4, 1, 0.9], gap="small", vertical_alignment="center")
    with line:
        words = h("span", [[item, h("span", " · ", cls="sx-faint")] for item in facts[:-1]], facts[-1])
        shell.show(h("div", words, marks, cls="sx-wrap"))
    with view:
        kind = address.choice("Show as", "chart", list(chart.KINDS), "table", label_visibility="collapsed",
                              format_func=chart.KINDS.get)  # fmt: skip
    with save:
        downloads(table)
    if kind == "table" or not chart.numbers(table) or not table.num_rows:
        if kind != "table":
            shell.show(shell.note("A chart needs a row and a column of numbers; here is the table."))
        grid(table)
    else:
        charted(table, kind)
    found, why = held["filter"]
    make_selection(cat, held["query"], found, why, table.schema.names)


def grid(table: pa.Table) -> None:
    whole = {field.name: GROUPED for field in table.schema if _whole(field.type)}
    height = "auto" if table.num_rows <= SHORT else 560
    st.dataframe(shown(table), hide_index=True, height=height, width="stretch", row_height=35, column_config=whole)


def charted(table: pa.Table, kind: str) -> None:
    """Boxes for the axes, and the chart; columns that are not there any more count as not chosen."""
    across, high = chart.axes(table)
    boxes = st.columns(3, gap="small")
    with boxes[0]:
        x = address.choice("Across", "x", across, across[0])
    with boxes[1]:
        y = address.choice("Height", "y", high, next((name for name in high if name != x), high[0]))
    with boxes[2]:
        colour = address.choice("Colour", "by", ["", *across], "", format_func=lambda name: name or "none")
    chart.draw(table, kind, x, y, colour if colour not in (x, y) else "")
    if table.num_rows > chart.DRAWN:
        shell.show(shell.note(f"The first {count(chart.DRAWN)} rows are drawn."))


def downloads(table: pa.Table) -> None:
    """What is shown, as a file."""
    with st.popover("Download", width="stretch", disabled=not table.num_columns):
        for label, (write, suffix, kind) in FILES.items():
            st.download_button(
                label, partial(write, table), f"result.{suffix}", kind, width="stretch", on_click="ignore"
            )


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


def as_parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    return out.getvalue().to_pybytes()


def as_lines(table: pa.Table) -> bytes:
    """One JSON object a row."""
    import orjson

    return b"".join(orjson.dumps(row, default=str) + b"\n" for row in table.to_pylist())


FILES: dict[str, tuple[Callable[[pa.Table], bytes], str, str]] = {
    "CSV": (as_csv, "csv", "text/csv"),
    "Parquet": (as_parquet, "parquet", "application/vnd.apache.parquet"),
    "Arrow": (as_arrow, "arrow", "application/vnd.apache.arrow.file"),
    "JSON lines": (as_lines, "jsonl", "application/jsonl"),
}


def asked(cat: Catalog) -> str:
    """The query of the address: as written there, or the kept one that it names."""
    query, saved = address.get("q"), address.get("saved")
    return query or (saved_query(cat, saved).query if saved else "")


def editor(cat: Catalog, query: str) -> int:
    """The editor; Run (or Ctrl+Enter in it) moves what was typed into the address. Returns the row limit."""
    if st.session_state.get("sql_of") != query:
        st.session_state["sql_text"], st.session_state["sql_of"] = query or statements.examples(cat)[0][1], query

    def moved() -> None:
        st.session_state.pop("sql_result", None)
        st.session_state["sql_of"] = st.session_state["sql_text"].strip()
        address.put(q=st.session_state["sql_text"].strip(), x=None, y=None, by=None)

    st.text_area(
        "Query", key="sql_text", height=150, label_visibility="collapsed", placeholder='SELECT … FROM "dataset"'
    )
    go, keep, limit, hint = st.columns([0.7, 0.8, 0.95, 3.4], gap="small", vertical_alignment="center")
    go.button("Run", type="primary", on_click=moved, width="stretch")
    with keep:
        keep_form(cat, address.get("saved"))
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
    return int(rows)


def page() -> None:
    cat = shell.catalog()
    shell.show(shell.title("SQL", "over every dataset version and what is known about them"))
    left, right = st.columns([1, 3.4], gap="medium")
    with left, shell.guarded():
        schema(cat)
    with right, shell.guarded():
        with shell.guarded():
            ask_box(cat, chart.KINDS)
        query = ""
        with shell.guarded():
            query = asked(cat)
        limit = editor(cat, query)
        samples = [h("a", title, cls="sx-step", **link("sql", q=text)) for title, text in statements.examples(cat)]
        live(h("div", samples, cls="sx-wrap"), "examples")
        if kept := st.session_state.pop("sql_kept", ""):
            shell.show(shell.note(f"Kept as {kept}: strata sql --saved {kept}", "ok"))
        if query:
            with shell.guarded():
                result(cat, run(cat, query, limit))
        else:
            shell.show(shell.note(h("span", "Choose an example or write a query, then run it.", cls="sx-soft")))


page()
