"""strata ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, pairs, progress, table

FILES, ROWS, FORM, MANY = "Dataset", "Records", "Format", "Many sources"


def ingest(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH...", help="Files, folders, globs, s3:// URIs or hf:// ids.")
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Dataset to make or append to.", rich_help_panel=FILES)
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(metavar="TIER", help="Tier of a new dataset.", show_default="L0", rich_help_panel=FILES),
    ] = None,
    role: Annotated[
        str | None, typer.Option(metavar="target|eval|calibration", help="What it is used for.", rich_help_panel=FILES)
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            "--license",
            metavar="ID",
            help="Licence of rows that state none (SPDX id).",
            rich_help_panel=FILES,
        ),
    ] = None,
    evidence: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the licence is stated.", rich_help_panel=FILES)
    ] = None,
    use_class: Annotated[
        str | None, typer.Option(metavar="CLASS", help="commercial, research or unspecified.", rich_help_panel=FILES)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the source.", show_default="the dataset's", rich_help_panel=FILES),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.", rich_help_panel=FILES)] = None,
    note_: Annotated[str | None, typer.Option("--note", help="Why it is here.", rich_help_panel=FILES)] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="text, chat, preference, task or knowledge; detected if not given.",
            rich_help_panel=ROWS,
        ),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="ROLE=FIELD", help="Which field is which; repeat for more.", rich_help_panel=ROWS
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Field that names a record.", rich_help_panel=ROWS)
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Reader; detected if not given.", rich_help_panel=FORM)
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header", help="Whether a CSV has a header; detected if not given.", rich_help_panel=FORM
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Column names of a CSV without header.", rich_help_panel=FORM)
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Of a CSV; detected if not given.", rich_help_panel=FORM)
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going", help="Keep the rows before the place where a file is broken.", rich_help_panel=ROWS
        ),
    ] = False,
    leaks: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD,FIELD",
            help="Of an eval: what is a leak: text, question, choices, answer or a field such as context.",
            show_default="text",
            rich_help_panel=FILES,
        ),
    ] = None,
    on_leak: Annotated[
        str | None,
        typer.Option(
            metavar="flag|cut|drop",
            help="Of an eval: what becomes of rows that hold a leak.",
            show_default="flag",
            rich_help_panel=FILES,
        ),
    ] = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Also count rows that another dataset holds.", rich_help_panel=ROWS)
    ] = False,
    check_held: Annotated[
        bool,
        typer.Option(
            "--check-held",
            help="Say what share is held already, or in published mixes, and which evals it leaks.",
            rich_help_panel=ROWS,
        ),
    ] = False,
    max_held: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", min=0, max=1, help="Refuse when more than this share is held.", rich_help_panel=ROWS
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Read and check everything; publish nothing.", rich_help_panel=ROWS),
    ] = False,
    infer: Annotated[
        bool, typer.Option("--infer", help="Only propose the mapping, with five rendered rows.", rich_help_panel=ROWS)
    ] = False,
    sources: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="sources.yaml: run them all, continue past a bad one.", rich_help_panel=MANY),
    ] = None,
    json: Json = False,
) -> None:
    """Read files into a dataset: its next version, streamed and resumable. The same files again change nothing.

    Example: strata ingest web/*.jsonl.gz --as web --licence CC-BY-4.0
    """
    from catalog.errors import BadInput

    mapping = {name: str(value) for name, value in pairs(map_ or [], "--map").items()}
    reading = {
        "format": format,
        "header": header,
        "columns": columns.split(",") if columns else None,
        "delimiter": delimiter,
    }
    reading = {name: value for name, value in reading.items() if value is not None}
    if sources is not None:
        if paths or as_:
            raise BadInput("--sources names paths and datasets itself: give it alone")
        _sources(sources, json)
        return
    if not paths:
        raise BadInput("say what to ingest: a file, a folder, a glob or a URI; or --sources sources.yaml")
    if infer:
        _infer(paths, {"kind": kind, "given": mapping, "key": key, **reading}, json)
        return
    if not as_:
        raise BadInput("say how to call the dataset: --as NAME")
    facts_ = {"tier": tier, "role": role, "licence": licence, "licence_evidence": evidence, "source": source,
              "owner": owner, "note": note_, "use_class": use_class}  # fmt: skip
    cat = opened()
    with progress(f"ingest {as_}") as show:
        report = cat.ingest(
            paths, as_, kind=kind, mapping=mapping, key=key, reading=reading, keep_going=keep_going, overlap=overlap,
            progress=show, check_held=check_held, max_held=max_held, dry_run=dry_run, **{name: value for name, value in facts_.items() if value is not None},
        )  # fmt: skip
    if (leaks is not None or on_leak is not None) and not dry_run:
        from catalog.evals import declare

        declare(cat, as_, fields=leaks.split(",") if leaks is not None else None, action=on_leak)
    report.notes += _unchecked(cat, as_)
    emit(json, report, lambda: _report(report))


def _unchecked(cat: Any, name: str) -> list[str]:
    """Which verdicts a registered eval made stale; the checks are queued, and one command runs them."""
    from ui.cli.evals import waiting

    held = cat.find(name)
    return waiting(cat, name) if held is not None and held.role == "eval" else []


def _report(report: Any) -> None:
    counts = report.counts
    facts({
        "dataset": report.ref, "status": report.status, "records in": counts["in"], "kept": counts["kept"],
        **{name: count for name, count in counts.items() if name not in ("in", "kept") and count},
        "mapping": f"{report.mapping.kind}: {report.mapping.why}", "licence": report.licence or "none stated (--licence ID)",
        "rate": f"{report.rows_per_second:,.0f} records/s" if report.seconds and counts["in"] else None,
        "overlap with the catalog": f"{100 * report.overlap:.1f} %" if report.overlap is not None else None,
        "held already": report.held.said() if report.held else None,
        "held by": ", ".join(f"{name} {count:,}" for name, count in report.held.datasets.most_common(5)) if report.held else None,
    })  # fmt: skip
    for reason, count in report.reasons.items():
        print(f"quarantined {number(count)}: {reason}")
    for file in report.files:
        if file.error:
            note(f"{file.uri}: {file.error}")
    for line in report.notes:
        note(line)


def _infer(paths: list[str], options: dict[str, Any], json: bool) -> None:
    from catalog.ingest.infer import infer as propose
    from ui.shapes import plain

    proposed = {path: propose(path, **options) for path in paths}
    reading = {name: options[name] for name in ("header", "columns", "delimiter", "format") if name in options}
    found = [
        {"uri": path, **plain(mapping), **_sample_held(path, mapping, reading)} for path, mapping in proposed.items()
    ]

    def human() -> None:
        for one in found:
            facts({"input": one["uri"], "kind": one["kind"], "dialect": one["dialect"], "why": one["why"],
                   "fields": ", ".join(f"{role}={field}" for role, field in one["fields"].items()),
                   "columns": ", ".join(f"{name}={field}" for name, field in one["row"].items()), "key": one["key"],
                   "held already": one.get("held")})  # fmt: skip
            for row in one["preview"]:
                text = " ".join(
                    str(row.get("text") or f"quarantined: {row.get('quarantined')} {row.get('detail')}").split()
                )
                print(f"  line {row['line']}: {text[:160]}{'...' if len(text) > 160 else ''}")

    emit(json, found, human)


def _sample_held(path: str, mapping: Any, reading: dict[str, Any]) -> dict[str, str]:
    """What share of the first records is held, where there is a catalog to look in; none is made for the question."""
    from catalog import Catalog
    from catalog.plugins import plugins
    from catalog.settings import load_settings
    from ui.cli.output import HOME

    settings = load_settings(HOME[0])
    if settings.database.startswith("sqlite:///") and not (settings.home / "meta.db").exists():
        return {}
    cat = Catalog(settings)
    if not plugins("sketch") or not cat.datasets():
        return {}
    from catalog.ingest.overlap import sample_held

    held = sample_held(cat, path, mapping, **reading)
    return {"held": f"of the first {held.rows} records {held.said()}; `--dry-run` says it of all"}


def _sources(path: Path, json: bool) -> None:
    from catalog.ingest.sources import ingest_sources

    cat = opened()
    with progress("ingest sources") as show:
        rows = ingest_sources(cat, path, progress=show)
    from ui.shapes import plain

    held = plain(rows)
    shown = [{**row, "why": row["failed"] or row["error"]} for row in held]
    columns = ["name", "status", "new", "unchanged", "appended", "quarantined", "overlap", "near", "mixes", "why"]
    others = list(dict.fromkeys(name for row in held for name in row["shared"]))
    matrix = [{"rows of": row["name"], **{f"in {name}": row["shared"].get(name, 0) for name in others}} for row in held]

    def human() -> None:
        table(shown, columns)
        if others:
            table(
                matrix,
                ["rows of", *(f"in {name}" for name in others)],
                title="held too, as they are or nearly",
                as_named=True,
            )

    emit(json, held, human)
    if any(row["failed"] or row["error"] for row in held):
        raise typer.Exit(2)
