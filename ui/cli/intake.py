"""strata intake list|verify|accept|check|score|promote|approve|again|forget."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, opened, progress, table

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Sources.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Source.")]


def list_sources(
    status: Annotated[
        str | None,
        typer.Option(metavar="STATUS", help="failed, waiting, licence, quarantine, overlap, score, ready or in."),
    ] = None,
    json: Json = False,
) -> None:
    """List the sources: where each stands, why one failed, and what is to be done next.

    Example: strata intake list --status failed
    """
    from catalog.errors import BadInput
    from ui.intake import STATUSES, intake_rows

    if status is not None and status not in STATUSES:
        raise BadInput(f"status {status!r} is not one of {', '.join(STATUSES)}")
    rows = intake_rows(opened(), status)
    shown = [{**row, "verified": row["verified"] or "", "licence": row["licence"] or ""} for row in rows]
    columns = ["name", "status", "rows", "licence", "verified", "quarantined", "owner", "next", "reason"]
    emit(json, rows, lambda: table(shown, columns, empty="no source; `strata ingest --sources FILE` reads many"))


def verify(
    names: Names,
    licence: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Licence that the evidence shows.", show_default="what each declares"),
    ] = None,
    json: Json = False,
) -> None:
    """Say that you have read the evidence of a licence; datasets made from a source follow it.

    Example: strata intake verify web wiki
    """
    from catalog.ingest.register import verify_licence

    cat = opened()
    done = verify_licence(cat, names, licence)
    emit(json, done, lambda: facts({name: f"{held}, verified by {cat.settings.actor}" for name, held in done.items()}))


def accept(names: Names, json: Json = False) -> None:
    """Say that you have looked at the quarantined rows of sources; more of them later ask again.

    Example: strata intake accept web
    """
    from catalog.ingest.register import accept_quarantine

    done = accept_quarantine(opened(), names)
    emit(json, done, lambda: facts({name: f"{rows:,} quarantined rows looked at" for name, rows in done.items()}))


def check(names: Names, json: Json = False) -> None:
    """Say what of sources is held elsewhere, in mixes, and which evals they leak; each row is read once.

    Example: strata intake check web
    """
    from catalog.index.held import Held
    from catalog.ingest.register import check_source

    cat, done = opened(), {}
    with progress("check sources") as show:
        for at, name in enumerate(names, 1):
            done[name] = check_source(cat, name)
            show(at, len(names), "sources")
    keys = ("rows", "exact", "near", "mixes", "leaks")
    emit(json, done, lambda: facts({n: Held(**{k: held[k] for k in keys}).said() for n, held in done.items()}))


def score(names: Names, json: Json = False) -> None:
    """Compute what the recipe to L1 reads of sources, where it is missing; the dry run of a promotion needs it.

    Example: strata intake score web wiki
    """
    from ui.intake import score_missing

    done = score_missing(opened(), names)
    emit(json, done, lambda: facts({name: ", ".join(ran) or "nothing was missing" for name, ran in done.items()}))


def promote(names: Names, json: Json = False) -> None:
    """Propose that sources become L1: the effect of each is worked out and nothing is changed before an approval.

    Example: strata intake promote web wiki
    """
    from ui.intake import propose_promotion

    done = propose_promotion(opened(), names)
    shown = [{**one, "proposal": (one["proposal"] or "")[:12]} for one in done]
    emit(json, done, lambda: table(shown, ["source", "proposal", "effect", "why"]))
    if any(one["why"] for one in done):
        raise typer.Exit(2)


def approve(
    given: Annotated[
        list[str], typer.Argument(metavar="ID[:SEEN]...", help="Proposals, each with digits of its look.")
    ],
    json: Json = False,
) -> None:
    """Approve many proposals one after the other, past those that are refused.

    Example: strata intake approve 3fa2b1:91c04d22 77e0aa:1b20cc31
    """
    from ui.intake import approve_many

    with progress("approve") as show:
        done = approve_many(opened(), given, show)
    shown = [{**one, "proposal": one["proposal"][:12]} for one in done]
    emit(json, done, lambda: table(shown, ["proposal", "title", "status", "why"]))
    if any(one["why"] for one in done):
        raise typer.Exit(2)


def again(names: Names, json: Json = False) -> None:
    """Read sources of a sources file again, by the entry that is kept; the rest of the file is left alone.

    Example: strata intake again web
    """
    from catalog.ingest.register import again as read

    cat = opened()
    done: list[Any] = []
    for name in names:
        with progress(f"ingest {name}") as show:
            done.append(read(cat, name, show))
    shown = [{**vars(one), "why": one.failed or one.error} for one in done]
    emit(json, done, lambda: table(shown, ["name", "status", "new", "unchanged", "appended", "quarantined", "why"]))
    if any(one["why"] for one in shown):
        raise typer.Exit(2)


def forget(name: Name, json: Json = False) -> None:
    """Take a source that never came in off the list.

    Example: strata intake forget nowhere
    """
    from catalog.ingest.register import forget_source

    forget_source(opened(), name)
    emit(json, {"forgotten": name}, lambda: note(f"{name} is off the list"))
