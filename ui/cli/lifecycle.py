"""strata rollback, tag, rename, drop, retract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.cli.output import Json, emit, facts, number, opened

Name = Annotated[str, typer.Argument(metavar="NAME", help="Dataset.")]


def _version(text: str) -> int:
    from catalog.errors import BadInput

    digits = text.removeprefix("v")
    if not digits.isdigit():
        raise BadInput(f"--to wants a version such as v3, not {text!r}")
    return int(digits)


def rollback(
    name: Name, to: Annotated[str, typer.Option(metavar="vN", help="Version whose rows come back.")], json: Json = False
) -> None:
    """Publish a new version with the rows of an old one; the versions between stay readable.

    Example: strata rollback web --to v3
    """
    from ui.shapes import version_row

    made = version_row(opened().rollback(name, _version(to)))
    emit(
        json,
        {"name": name, **made},
        lambda: print(f"{name} is at v{made['version']} now: {made['rows']:,} rows, as in {to}"),
    )


def tag(
    ref: Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Dataset version.")],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Name of the version: NAME@LABEL finds it.")],
    json: Json = False,
) -> None:
    """Name a version; what a tag points to is never collected.

    Example: strata tag web@v3 release-1
    """
    made = opened().tag(ref, label)
    name = ref.partition("@")[0]
    held = {"ref": f"{name}@{label}", "version": made.version}
    emit(json, held, lambda: print(f"{name}@{label} is v{made.version}"))


def rename(
    old: Annotated[str, typer.Argument(metavar="NAME", help="Dataset.")],
    new: Annotated[str, typer.Argument(metavar="NEWNAME", help="Its new name.")],
    json: Json = False,
) -> None:
    """Rename a dataset; versions, locks and lineage stay valid.

    Example: strata rename web web-2024
    """
    opened().rename(old, new)
    emit(json, {"old": old, "new": new}, lambda: print(f"{old} is called {new} now"))


def drop(name: Name, json: Json = False) -> None:
    """Take a dataset out of the catalog; refused while a mix, a tag or a child points to it.

    Example: strata drop web
    """
    opened().drop(name)
    emit(json, {"dropped": name}, lambda: print(f"{name} is dropped; `strata gc` frees its space"))


def retract(
    reason: Annotated[str, typer.Option(help="Why; kept in the audit and on the receipt.")],
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Filter over sample fields and computed columns.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sample ids or their beginnings, one a line.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only in these datasets; repeat for more.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would reach; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Take samples out of every version and every mix that holds them; a tombstone stays, no other index moves.

    Example: strata retract --where "url LIKE 'https://example.org/%'" --reason 'takedown request 17' --dry-run
    """
    from catalog.errors import BadInput

    try:
        listed = [line.strip() for line in ids.read_text().splitlines() if line.strip()] if ids else None
    except UnicodeDecodeError:
        raise BadInput(f"{ids} is not a text file of sample ids, one a line") from None
    held = opened().retract(reason=reason, where=where, ids=listed, datasets=dataset, dry_run=dry_run)

    def human() -> None:
        verb = "would reach" if dry_run else "reached"
        total = sum(held["rows"].values())
        print(f"{verb} {number(total)} rows of {number(held['samples'])} samples")
        facts(held["rows"])
        for mix in held["mixes"]:
            print(f"mix {mix} holds a dataset it is in: pulls leave those rows out, other indices stay")
        if held["without_the_columns"]:
            print(f"not asked, because they lack a column of the filter: {', '.join(held['without_the_columns'])}")

    emit(json, held, human)
