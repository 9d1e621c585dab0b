"""strata receipts list|show, and strata incident."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, opened, table


def incident(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Address, sample id, source, text or eval item.")],
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Of a text that is not held, look for what comes nearest.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what of an address, a sample, a text or an eval item is held, and whom it reached; changes nothing.

    Example: strata incident https://example.org/page
    """
    from catalog.incidents import locate

    cat = opened()
    held = locate(cat, text, nearest=nearest)
    held["reach"] = cat.retract(reason="a look", dry_run=True, **held["ask"]) if held["ask"] else None
    emit(json, held, lambda: _incident(held))


def _incident(held: dict[str, Any]) -> None:
    reach = held["reach"] or {}
    facts({
        "read as": held["read_as"], "samples held": held["samples"], "taken out already": held["gone"],
        "rows": ", ".join(f"{name} {rows:,}" for name, rows in reach.get("rows", {}).items()),
        "exact copies": ", ".join(f"{name} {rows:,}" for name, rows in reach.get("copies", {}).items()),
        "made from them": ", ".join(f"{name} {rows:,}" for name, rows in reach.get("children", {}).items()),
        "mixes": ", ".join(f"{mix['mix']} {mix['samples']:,} times" for mix in reach.get("mixes", [])),
        "pulls": len(reach.get("pulls", [])), "training runs": ", ".join(run["run"] or "" for run in reach.get("runs", [])),
        "receipts": ", ".join(one["run"][:12] for one in held["already"]),
    })  # fmt: skip
    table(held["hits"], ["sample_id", "datasets", "text"], empty="nothing of it is held")
    if held["candidates"]:
        table(held["candidates"], ["sample_id", "datasets", "overlap", "text"], title="like it")
    for line in held["notes"]:
        note(line)


def list_receipts(json: Json = False) -> None:
    """List what was taken out, newest first.

    Example: strata receipts list
    """
    from catalog.receipts import receipts

    held = receipts(opened())
    rows = [
        {"receipt": one["run"][:12], "done": (one["done"] or "stopped half way")[:19], "reason": one["reason"], "by": one["actor"],
         "samples": one["samples"], "rows": sum(one["rows"].values()), "mixes": len(one["mixes"]), "pulls": len(one["pulls"])}
        for one in held
    ]  # fmt: skip
    columns = ["receipt", "done", "reason", "by", "samples", "rows", "mixes", "pulls"]
    emit(json, held, lambda: table(rows, columns, empty="nothing was taken out yet"))


def show_receipt(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run of the retraction, or the first six digits and more.")],
    json: Json = False,
) -> None:
    """Print the receipt of a retraction: samples, mixes with the indices that served them, pulls and training runs.

    Example: strata receipts show 3fa2b1c0 --json
    """
    from catalog.receipts import receipt

    held = receipt(opened(), run)

    def human() -> None:
        facts({
            "receipt": held["run"], "reason": held["reason"], "by": held["actor"], "done": held["done"] or "stopped half way",
            "samples": held["samples"], "digest": held["digest"],
            "rows": ", ".join(f"{name} {rows:,}" for name, rows in held["rows"].items()),
        })  # fmt: skip
        table(held["mixes"], ["mix", "samples", "indices"], empty="no mix served them")
        table(held["pulls"], ["began", "by", "on", "mix", "samples", "first"], empty="nobody had pulled them")
        if held["runs"]:
            table(held["runs"], ["mix", "run", "samples", "first_step", "last_step"])

    emit(json, held, human)
