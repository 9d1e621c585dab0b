"""strata evals list|declare|check."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, opened, progress, table


def waiting(cat: Any, name: str | None = None) -> list[str]:
    """Lines about verdicts that do not know an eval yet."""
    from catalog.evals import stale

    rows = stale(cat, name)
    checks = [row["object"] for row in rows if not row["object"].startswith("mix:")]
    mixes = [row["object"].removeprefix("mix:") for row in rows if row["object"].startswith("mix:")]
    lines = []
    if checks:
        lines.append(f"leak checks queued for {', '.join(checks)}: `strata evals check` runs them")
    if mixes:
        lines.append(f"locks with a stale leak verdict: {', '.join(mixes)}; publish them again after the check")
    return lines


def list_evals(json: Json = False) -> None:
    """List the evals: what each protects, and which leak checks wait for it.

    Example: strata evals list
    """
    from catalog.evals import evals, policy, queued

    cat = opened()
    rows = []
    for entry in evals(cat):
        found = cat.resolve(entry["ref"])
        said = policy(cat, found.dataset.id)
        rows.append({
            "eval": entry["ref"], "items": found.version.rows if found.version else 0,
            "leaks": ", ".join(said.get("fields", ["text"])), "action": said.get("action", "flag"),
            "share": said.get("share", 0.5), "numbers": said.get("numbers", 0.8),
            "waiting": ", ".join(row["object"] for row in queued(cat, found.dataset.name)),
        })  # fmt: skip
    columns = ["eval", "items", "leaks", "action", "share", "numbers", "waiting"]
    emit(json, rows, lambda: table(rows, columns, empty="no dataset has role eval; `strata ingest ... --role eval`"))


def declare_eval(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Dataset of role eval.")],
    leaks: Annotated[
        str | None, typer.Option(metavar="FIELD,FIELD", help="Fields whose appearance in training data is a leak.")
    ] = None,
    on_leak: Annotated[
        str | None, typer.Option(metavar="flag|cut|drop", help="What becomes of rows that hold a leak.")
    ] = None,
    share: Annotated[
        float | None, typer.Option(metavar="SHARE", help="A leak from this share of an item's words on.")
    ] = None,
    numbers: Annotated[float | None, typer.Option(metavar="SHARE", help="The same with numbers masked.")] = None,
    json: Json = False,
) -> None:
    """Say what of an eval is a leak; verdicts under another declaration are stale, and their checks queued.

    Example: strata evals declare gsm8k --leaks question,answer --on-leak drop
    """
    from catalog.errors import BadInput
    from catalog.evals import declare

    if all(value is None for value in (leaks, on_leak, share, numbers)):
        raise BadInput("say what to declare: --leaks, --on-leak, --share or --numbers")
    cat = opened()
    fields = leaks.split(",") if leaks is not None else None
    held = declare(cat, name, fields=fields, action=on_leak, share=share, numbers=numbers)
    body = {"eval": name, **{key: getattr(held, key) for key in ("fields", "action", "share", "numbers")}}
    emit(json, body, lambda: facts({**body, "fields": ", ".join(held.fields)}))
    for line in waiting(cat, name):
        note(line)


def check(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only the checks that wait for this eval.")
    ] = None,
    json: Json = False,
) -> None:
    """Run the queued leak checks: datasets from L2 on against the evals that their verdicts do not know.

    A dataset that was checked before is compared with the added evals only; the result is that of a whole check.

    Example: strata evals check
    """
    from flows.leak_checks import check_queued

    cat = opened()
    if name is not None:
        cat.resolve(name)
    with progress("leak checks") as show:
        rows = check_queued(cat, name, show=show)
    columns = ["dataset", "against", "rows", "before", "leaking"]
    emit(json, rows, lambda: table(rows, columns, empty="no leak check waits"))
    for line in waiting(cat, name):
        note(line)
