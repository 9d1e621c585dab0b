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


def consent(
    name: Name,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the consent back.")] = False,
    json: Json = False,
) -> None:
    """Consent, as the owner, that text of a dataset goes to endpoints that are not yours; without, it stays here.

    Example: strata consent web-l2
    """
    opened().consent(name, not withdraw)
    said = "stays here" if withdraw else "may go to endpoints that are not yours"
    emit(json, {"name": name, "consent": not withdraw}, lambda: print(f"text of {name} {said}"))


def drop(name: Name, json: Json = False) -> None:
    """Take a dataset out of the catalog; refused while a mix, a tag or a child points to it.

    Example: strata drop web
    """
    opened().drop(name)
    emit(json, {"dropped": name}, lambda: print(f"{name} is dropped; `strata gc` frees its space"))


def retract(
    reason: Annotated[str, typer.Option(help="Why; kept in the audit and on the receipt.")],
    match: Annotated[
        str | None,
        typer.Option(metavar="URL_PREFIX|ID|SOURCE", help="Beginning of an address, a sample id, or a source."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Filter over sample fields and computed columns.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sample ids or their beginnings, one a line.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only in these datasets; repeat for more.")
    ] = None,
    copies: Annotated[bool, typer.Option("--copies", help="Also exact copies under other ids.")] = False,
    children: Annotated[bool, typer.Option("--children", help="Also rows made from the samples.")] = False,
    receipt: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the receipt there, as JSON.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would reach; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Take samples out of every version and every mix that holds them; a tombstone stays, no other index moves.

    Example: strata retract --match https://example.org/ --reason 'takedown request 17' --dry-run
    """
    from json import dumps

    from catalog.errors import BadInput

    try:
        listed = [line.strip() for line in ids.read_text().splitlines() if line.strip()] if ids else None
    except UnicodeDecodeError:
        raise BadInput(f"{ids} is not a text file of sample ids, one a line") from None
    held = opened().retract(reason=reason, match=match, where=where, ids=listed, datasets=dataset, copies=copies,
                            children=children, dry_run=dry_run)  # fmt: skip
    if receipt:
        try:
            receipt.write_text(dumps(held, indent=2, default=str) + "\n", "utf-8")
        except OSError as error:
            raise BadInput(
                f"the receipt cannot be written to {receipt}: {error.strerror}; `strata receipts show` has it"
            ) from None

    def human() -> None:
        verb = "would reach" if dry_run else "reached"
        total = sum(held["rows"].values())
        print(f"{verb} {number(total)} rows of {number(held['samples'])} samples")
        facts(held["rows"])
        for kind, word in (("copies", "exact copies under other ids"), ("children", "rows made from them")):
            if held[kind]:
                done = "" if kind in held["included"] else f" (not included: --{kind})"
                print(f"{number(sum(held[kind].values()))} {word} in {', '.join(held[kind])}{done}")
        for mix in held["mixes"]:
            first = ", ".join(str(index) for index in mix["indices"][:3])
            print(f"mix {mix['mix']} serves them {number(mix['samples'])} times, at {first}{' ...' if mix['samples'] > 3 else ''}: "
                  "its pulls leave them out, other indices stay")  # fmt: skip
        for pull in held["pulls"]:
            print(f"pulled from {pull['mix']} by {pull['by']} since {pull['began'][:19]}: {number(pull['samples'])} of them, "
                  f"first at {pull['first']}")  # fmt: skip
        if held["without_the_columns"]:
            print(f"not asked, because they lack a column of the filter: {', '.join(held['without_the_columns'])}")

    emit(json, held, human)
