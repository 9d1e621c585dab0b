"""strata datasets, show, explore, confounds, sql, search, index."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, table

Ref = Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Dataset, with a version or tag if not the newest.")]
Missing = Annotated[str, typer.Option(metavar="error|drop|keep", help="What a row without a value means to --where.")]


def datasets(
    tier: Annotated[str | None, typer.Option(metavar="TIER", help="Only this tier.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only this kind.")] = None,
    json: Json = False,
) -> None:
    """List the datasets: tier, kind, rows, licence, role.

    Example: strata datasets --tier L1
    """
    from catalog.errors import BadInput
    from catalog.schema import KINDS, TIERS
    from ui.shapes import dataset_row

    for given, legal, option in ((tier, TIERS, "--tier"), (kind, KINDS, "--kind")):
        if given is not None and given not in legal:
            raise BadInput(f"{option} {given!r} is not one of {', '.join(legal)}")
    rows = [dataset_row(held) for held in opened().datasets()]
    rows = [row for row in rows if tier in (None, row["tier"]) and kind in (None, row["kind"])]
    shown = [{**row, "licence": row["licence"] or "none stated", "role": row["role"] or ""} for row in rows]
    columns = ["name", "version", "tier", "kind", "rows", "licence", "role", "parent"]
    emit(json, rows, lambda: table(shown, columns, empty="no datasets yet; `strata ingest FILE --as NAME` makes one"))


def show(
    ref: Ref,
    rows: Annotated[int, typer.Option(metavar="N", min=0, help="Also print N rows.")] = 0,
    json: Json = False,
) -> None:
    """Show a dataset version: counts, licence, columns with coverage, versions, tags.

    Example: strata show web@v2 --rows 3
    """
    from ui.shapes import show as look

    held = look(opened(), ref, rows)
    emit(json, held, lambda: _dataset(held))


def _dataset(held: dict[str, Any]) -> None:
    names = ("ref", "tier", "kind", "role", "rows", "digest", "owner", "parent", "note", "created")
    statistics = held["statistics"]
    facts({**{name: held[name] for name in names}, "licence": held["licence"] or "none stated",
           "characters": statistics.get("chars"), "tags": ", ".join(f"{k}=v{v}" for k, v in held["tags"].items())})  # fmt: skip
    for name, counts in (statistics.get("facets") or {}).items():
        if name in ("licence", "language", "source"):
            print(f"{name}: " + ", ".join(f"{value} {number(count)}" for value, count in list(counts.items())[:8]))
    columns = [
        {**row, "coverage": f"{100 * row['coverage']:.1f} %" if row["coverage"] is not None else ""}
        for row in held["columns"]
    ]
    table(columns, ["column", "scorer", "type", "scope", "coverage", "mean", "min", "max", "length_correlation"],
          title="columns", empty="no computed columns; `strata score` makes them")  # fmt: skip
    table(
        held["versions"],
        ["version", "rows", "added", "removed", "retracted", "actor", "created", "note"],
        title="versions",
    )
    for row in held.get("sample", []):
        text = " ".join(str(row.get("text") or "").split())
        print(f"{row['sample_id'][:12]}  {text[:200]}{'...' if len(text) > 200 else ''}")


def explore(
    ref: Ref,
    where: Annotated[str, typer.Argument(metavar="SQL", help="The filter to try.")],
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Break the counts down by it; repeat for more. Language and source if not given."
        ),
    ] = None,
    examples: Annotated[int, typer.Option(metavar="N", min=0, max=200, help="Rows on either side of each line.")] = 3,
    missing: Missing = "error",
    json: Json = False,
) -> None:
    """Say what a filter would keep of all rows, by facet, with the rows just on either side of each line.

    Example: strata explore web "quality_linear > 0.7 AND language = 'en'" --by language --examples 5
    """
    held = opened().explore(ref, where, by=by, examples=examples, missing=missing)

    def human() -> None:
        kept(held)
        around(held)

    emit(json, held, human)


def kept(held: dict[str, Any]) -> None:
    """How much a filter or rules keep, in a line."""
    share = f" ({percent(held['share'])})" if held["share"] is not None else ""
    print(
        f"{held['ref']}: keeps {number(held['kept'])} of {number(held['rows'])} rows{share}, "
        f"{number(held['kept_total'])} of {number(held['total'])} {held['weight']}"
    )


def around(held: dict[str, Any]) -> None:
    """What is kept by facet, and the rows nearest to each line."""
    weight = held["weight"]
    for name, rows in held["facets"].items():
        shown = [
            {name: row["value"] if row["value"] is not None else "unknown", "rows": row["rows"], "kept": row["kept"],
             "share": percent(row["share"]), f"{weight} kept": row["kept_total"]}
            for row in rows
        ]  # fmt: skip
        table(shown, [name, "rows", "kept", "share", f"{weight} kept"])
    for edge in held["edges"]:
        for side in ("kept", "dropped"):
            print(f"\nnearest {edge['column']} {edge['operator']} {number(edge['threshold'])}, {side}:")
            for row in edge[side]:
                text = " ".join(row["text"].split())
                print(
                    f"{number(row['value']):>10}  {row['sample_id'][:12]}  {text[:160]}{'...' if len(text) > 160 else ''}"
                )


def percent(share: float | None) -> str:
    """A share as people read it."""
    return "" if share is None else f"{100 * share:.1f} %"


def confounds(
    ref: Ref,
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="A column of numbers.")],
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Strongest N of the numbers.")] = 15,
    json: Json = False,
) -> None:
    """Say what a score goes along with: length, other columns, language, source.

    Example: strata confounds web quality_linear
    """
    held = opened().confounds(ref, column)

    def human() -> None:
        numbers = [
            {"column": e["column"], "spearman": e["spearman"], "95 % interval": f"{e['low']} to {e['high']}",
             "length held fixed": e.get("length_fixed"), "rows": e["rows"]}
            for e in held["numbers"][:limit]
        ]  # fmt: skip
        table(numbers, ["column", "spearman", "95 % interval", "length held fixed", "rows"],
              title=f"{column} of {held['ref']}, rank correlation", empty="nothing else to compare with")  # fmt: skip
        labels = [
            {"label": g["column"], "eta squared": g["eta_squared"],
             "medians": ", ".join(f"{v['value']} {number(v['median'])} ({number(v['rows'])})" for v in g["top"][:5])}
            for g in held["labels"]
        ]  # fmt: skip
        if labels:
            table(labels, ["label", "eta squared", "medians"], title="share of the rank variance between labels")
        if held["sampled"] < held["rows"]:
            note(f"from a sample of {number(held['sampled'])} of {number(held['rows'])} rows")

    emit(json, held, human)


def sql(
    query: Annotated[str, typer.Argument(metavar="[SQL]", help="One read-only statement.")] = "",
    saved: Annotated[
        str | None, typer.Option(metavar="NAME", help="Run the query that is kept by this name; see `strata queries`.")
    ] = None,
    format: Annotated[str, typer.Option(metavar="table|json|csv|arrow", help="How to print the result.")] = "table",
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="At most N rows; a note says when more were cut. 0: all of them.")
    ] = 10_000,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Stop the query after this time.")] = 60.0,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Memory the query may use.")] = "2GB",
    json: Json = False,
) -> None:
    """Run read-only SQL over views "name", "name@v3" and the system tables strata.*.

    Example: strata sql "SELECT language, count(*) FROM web GROUP BY 1 ORDER BY 2 DESC"
    """
    from catalog.errors import BadInput
    from catalog.queries import saved_query

    if bool(query) == bool(saved):
        raise BadInput('say once what to run: a statement, or --saved NAME; for example strata sql "SHOW TABLES"')
    form = "json" if json else format
    if form not in ("table", "json", "csv", "arrow"):
        raise BadInput(f"--format {form!r} is not one of table, json, csv, arrow")
    cat = opened()
    query = saved_query(cat, saved).query if saved else query
    result = cat.sql(query, limit=limit or None, timeout=timeout, memory=memory)
    if form == "table":
        rows = [{name: _short(value) for name, value in row.items()} for row in result.rows()]
        table(rows, result.columns, empty="no rows", as_named=True)
    elif form == "json":
        emit(True, result.arrow(), lambda: None)
    else:
        from ui.querying import arrow_stream, csv_stream

        for part in (csv_stream if form == "csv" else arrow_stream)(result.reader()):
            sys.stdout.buffer.write(part)
    if result.note:
        note(result.note + "; --limit N shows more")


def _short(value: Any) -> Any:
    return " ".join(value.split())[:120] if isinstance(value, str) and len(value) > 120 else value


def search(
    ref: Ref,
    words: Annotated[str, typer.Argument(metavar="WORDS", help="What to look for.")] = "",
    mode: Annotated[
        str | None, typer.Option(metavar="hybrid|vector|text", help="How to look; the best there is if not given.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(metavar="SAMPLE_ID", help="Find samples like this one; its first 6 characters do.")
    ] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Only rows for which this holds.")] = None,
    missing: Missing = "error",
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Hits at most.")] = 10,
    column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of vectors that meaning is read from.")
    ] = "embedding",
    json: Json = False,
) -> None:
    """Search a dataset by words, by meaning, by both, or by example.

    Example: strata search web "how volcanoes erupt" --mode hybrid
    """
    from ui.querying import search_hits

    held = search_hits(
        opened(), ref, words, mode=mode, like=like, where=where, missing=missing, limit=limit, column=column
    )

    def human() -> None:
        for hit in held["hits"]:
            text = " ".join(str(hit["text"] or "").split())
            print(f"{number(hit['score']):>8}  {hit['sample_id'][:12]}  {text[:200]}{'...' if len(text) > 200 else ''}")
        if not held["hits"]:
            print("nothing found")
        for line in held["notes"]:
            note(line)

    emit(json, held, human)


def index(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Dataset.")],
    column: Annotated[
        str | None, typer.Argument(metavar="[COLUMN]", help="text, a column of vectors, or any plain column.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="vector|text|scalar", help="Kind of index; what the column takes if not given."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where comparing every vector is as fast: below 100,000 rows.")
    ] = False,
    json: Json = False,
) -> None:
    """Build the index of a column, or rebuild it; without a column or a kind, list the indexes and their state.

    Example: strata index web text
    """
    from catalog.errors import BadInput

    if kind not in (None, "vector", "text", "scalar"):
        raise BadInput(f"--kind {kind!r} is not one of vector, text, scalar")
    cat = opened()
    if column is None and kind is None:
        rows = cat.indexes(name)
        shown = [{**row, "index": f"{row['sort']} ({row['kind']})" if row["rows"] else "none"} for row in rows]
        emit(json, rows, lambda: table(shown, ["column", "index", "rows", "of", "state"]))
        return
    held = cat.index(name, column, sort=kind, force=force)

    def human() -> None:
        if held["built"]:
            print(f"{held['dataset']}: {held['column']} is indexed ({held['kind']}, {number(held['rows'])} rows)")
        else:
            print(f"{held['dataset']}: {held['column']} is not indexed: {held['note']}; --force builds one")

    emit(json, held, human)
