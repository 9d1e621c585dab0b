"""strata datasets, show, card, lineage, diff, sql, search."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, table

Ref = Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Dataset, with a version or tag if not the newest.")]


def datasets(
    tier: Annotated[str | None, typer.Option(metavar="TIER", help="Only this tier.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only this kind.")] = None,
    json: Json = False,
) -> None:
    """List the datasets: tier, kind, rows, licence, role.

    Example: strata datasets --tier L1
    """
    from ui.shapes import dataset_row

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


def card(ref: Ref, json: Json = False) -> None:
    """Print the card of a dataset version: facts, licences, counts, columns and provenance.

    Example: strata card web --json
    """
    from ui.cli.mix import flat

    held = opened().card(ref)
    emit(json, held, lambda: facts(flat(held)) if isinstance(held, dict) else print(held))


def lineage(ref: Ref, json: Json = False) -> None:
    """Show where a dataset came from and what was made of it.

    Example: strata lineage web-l1
    """
    held = opened().lineage(ref)

    def human() -> None:
        rows = [
            {**edge, "counts": ", ".join(f"{k} {number(v)}" for k, v in (edge.get("counts") or {}).items())}
            for edge in held["edges"]
        ]
        table(rows, ["source", "verb", "target", "counts"], empty="nothing is known to come before or after it")

    emit(json, held, human)


def diff(
    a: Annotated[str, typer.Argument(metavar="A")], b: Annotated[str, typer.Argument(metavar="B")], json: Json = False
) -> None:
    """Compare two dataset versions, or two mixes: rows, tokens, languages, sources, score shifts.

    Example: strata diff web@v1 web@v2
    """
    from ui.cli.mix import flat

    held = opened().diff(a, b)
    emit(json, held, lambda: facts(flat(held)))


def sql(
    query: Annotated[str, typer.Argument(metavar="SQL", help="One read-only statement.")],
    format: Annotated[str, typer.Option(metavar="table|json|csv|arrow", help="How to print the result.")] = "table",
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="At most N rows; a note says when more were cut.")
    ] = 10_000,
    json: Json = False,
) -> None:
    """Run read-only SQL over views "name", "name@v3" and the system tables strata.*.

    Example: strata sql "SELECT language, count(*) FROM web GROUP BY 1 ORDER BY 2 DESC"
    """
    from ui.querying import sql_table

    made, cut = sql_table(opened(), query, limit)
    if cut:
        note(f"only the first {limit:,} rows are shown; --limit N shows more")
    _write(made, "json" if json else format)


def _write(made: Any, form: str) -> None:
    from catalog.errors import BadInput

    if form == "table":
        rows = made.to_pylist()
        table(
            [{name: _short(value) for name, value in row.items()} for row in rows], made.column_names, empty="no rows"
        )
    elif form == "json":
        emit(True, made, lambda: None)
    elif form == "csv":
        from pyarrow import csv

        csv.write_csv(_flat_columns(made), sys.stdout.buffer)
    elif form == "arrow":
        import pyarrow as pa

        with pa.ipc.new_stream(sys.stdout.buffer, made.schema) as writer:
            writer.write_table(made)
    else:
        raise BadInput(f"--format {form!r} is not one of table, json, csv, arrow")


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else None
    return " ".join(text.split())[:120] if text and len(text) > 120 else value


def _flat_columns(made: Any) -> Any:
    """CSV holds no nested values: they become JSON text."""
    import orjson
    import pyarrow as pa

    from ui.shapes import plain

    for at, field in enumerate(made.schema):
        if pa.types.is_nested(field.type):
            texts = [
                None if value is None else orjson.dumps(plain(value)).decode() for value in made.column(at).to_pylist()
            ]
            made = made.set_column(at, field.name, pa.array(texts, pa.string()))
    return made


def search(
    ref: Ref,
    words: Annotated[str, typer.Argument(metavar="WORDS", help="What to look for.")] = "",
    mode: Annotated[
        str | None, typer.Option(metavar="hybrid|vector|text", help="How to look; the best there is if not given.")
    ] = None,
    like: Annotated[str | None, typer.Option(metavar="SAMPLE_ID", help="Find samples like this one.")] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Only rows for which this holds.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000)] = 10,
    json: Json = False,
) -> None:
    """Search a dataset by words, by meaning, by both, or by example.

    Example: strata search web "how volcanoes erupt" --mode hybrid
    """
    from ui.querying import search_rows

    rows = search_rows(opened(), ref, words, mode=mode, like=like, where=where, limit=limit)

    def human() -> None:
        for row in rows:
            text = " ".join(str(row.get("text") or "").split())
            score = next(
                (
                    row[name]
                    for name in ("score", "_score", "_relevance_score", "_distance")
                    if row.get(name) is not None
                ),
                None,
            )
            print(f"{number(score):>10}  {row['sample_id'][:12]}  {text[:160]}{'...' if len(text) > 160 else ''}")
        if not rows:
            print("nothing found")

    emit(json, rows, human)
