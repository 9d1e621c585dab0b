"""strata server start|status|stop|worker, strata runs list|show|cancel."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, opened, progress, table

RunId = Annotated[str, typer.Argument(metavar="ID", help="Id of the run, or its beginning.")]


def start(
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1; a free one if not given.")] = None,
    idle: Annotated[float, typer.Option(metavar="MINUTES", help="Stop after this time without use; 0 never.")] = 30.0,
    json: Json = False,
) -> None:
    """Start the home's Prefect server and its worker, or find the one that runs.

    Example: strata server start --idle 120
    """
    from flows.server import facts as look
    from flows.server import start as begin

    cat = opened()
    begin(cat, port=port, idle_minutes=idle, say=note)
    held = look(cat)
    emit(json, held, lambda: _server(held))


def status(json: Json = False) -> None:
    """Show whether the home's server runs, its workers and its active runs.

    Example: strata server status --json
    """
    from flows.server import facts as look

    held = look(opened())
    emit(json, held, lambda: _server(held))


def _server(held: dict[str, Any]) -> None:
    if not held["running"]:
        print("no server runs; `strata server start` or `strata score ... --on home` starts it")
        return
    workers = ", ".join(f"{pool} {count}" for pool, count in held["workers"].items())
    facts({**held, "running": None, "workers": workers})


def stop(
    force: Annotated[
        bool, typer.Option("--force", help="Also while runs are active; the same commands resume them.")
    ] = False,
    json: Json = False,
) -> None:
    """Stop the home's server and its workers.

    Example: strata server stop
    """
    from flows.server import stop as end

    stopped = end(opened(), force=force)
    emit(json, {"stopped": stopped}, lambda: print("the server is stopped" if stopped else "no server runs"))


def worker(
    pool: Annotated[list[str] | None, typer.Option(metavar="cpu|gpu", help="Work pool; repeat for more.")] = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for the server.")] = 180.0,
) -> None:
    """Work for the team's server (PREFECT_API_URL) or the home's, until Ctrl-C. A dead worker's runs are put back.

    Example: PREFECT_API_URL=http://prefect:4200/api strata server worker --pool cpu
    """
    from flows.worker import serve_pools

    serve_pools(opened(), pool or ["cpu"], wait=wait, say=note)


def runs_list(
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs on this dataset.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Runs at most.")] = 20,
    json: Json = False,
) -> None:
    """List runs, newest first, with place, status, progress and counts.

    Example: strata runs list --dataset web
    """
    from ui.shapes import run_row

    cat = opened()
    rows = [run_row(run) for run in cat.runs(limit, dataset)]
    if dataset is not None and not rows:
        cat.resolve(dataset)  # one that nobody has is a mistake, not a dataset without runs
    brief = [
        {**row, "id": row["id"][:8], "progress": _share(row["progress"]), "counts": _counts(row["counts"])}
        for row in rows
    ]
    columns = ["id", "verb", "dataset", "status", "place", "progress", "counts", "started"]
    emit(json, rows, lambda: table(brief, columns, empty="nothing has run yet"))


def _share(body: dict[str, Any]) -> str:
    return f"{min(100.0, 100 * body['done'] / body['total']):.0f} %" if body.get("total") else ""


def _counts(body: dict[str, int]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in body.items())


def runs_show(
    run: RunId,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and show progress until the run ends.")] = False,
    json: Json = False,
) -> None:
    """Show one run; `--watch` follows it to its end, wherever it runs.

    Example: strata runs show 3f2a --watch
    """
    from flows.watching import find_run, follow
    from ui.shapes import run_row

    cat = opened()
    held = find_run(cat, run)
    if watch:
        with progress(f"{held['verb']} {held['dataset'] or ''}") as show:
            held = follow(cat, run, show)
    held = run_row(held["run"]) if held.get("run") is not None else held
    emit(
        json,
        held,
        lambda: facts(
            {**held, "progress": _share(held.get("progress") or {}), "counts": _counts(held.get("counts") or {})}
        ),
    )


def runs_cancel(run: RunId, json: Json = False) -> None:
    """Stop a run at its next batch; what is finished is kept and the same command resumes.

    Example: strata runs cancel 3f2a
    """
    from flows.watching import cancel_run

    done = cancel_run(opened(), run)
    emit(json, {"run": run, "done": done}, lambda: print(done))
