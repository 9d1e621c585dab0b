"""Runs of the flows page: what is going on now, what ended, and one run in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from ui.web.components.figures import ago, compact, count, duration, lasted, stamp
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.parts import bar, caps, chip, joined, pairs, table
from ui.web.components.runs import counted, dot, progress, subject

TONES = {
    "done": "ok",
    "failed": "bad",
    "crashed": "bad",
    "cancelled": "warn",
    "cancelling": "warn",
    "running": "accent",
}


def running(active: Sequence[Any], waiting: Sequence[Any]) -> Markup:
    """Runs with their progress, commands that have no run yet, and commands that ended without one."""
    return h(
        "div",
        h("div", caps("running"), style="margin:6px 0 8px"),
        [_active(run) for run in active],
        [_job(job) for job in waiting],
    )


def _active(run: Any) -> Markup:
    part, words = progress(run)
    held = run.progress or {}
    rate = f"{compact(held['rate'])} {held.get('unit', 'rows')}/s" if held.get("rate") else ""
    done = (
        f"{count(held.get('done'))} of {count(held.get('total'))} {held.get('unit', '')}" if held.get("total") else ""
    )
    stop = (
        h("span", "stopping …", cls="sx-step off", role="button", aria_disabled="true")
        if run.status == "cancelling"
        else h("span", "Cancel", cls="sx-step", **act("cancel", run.id))
    )
    head = h(
        "div",
        dot(run.status),
        h("b", run.verb),
        h("span", run.dataset or ""),
        h("span", subject(run), cls="sx-faint sx-cut", style="margin-right:auto"),
        stop,
        cls="sx-row",
    )
    foot = h(
        "div",
        h("span", joined([done, rate])),
        h("span", joined([words, lasted(run.started, None)])),
        cls="sx-between sx-soft",
        style="font-size:12.5px;font-variant-numeric:tabular-nums",
    )
    return h("div", head, bar(part), foot, cls="sx-live-run active")


def _job(job: Any) -> Markup:
    said = job.said()
    if job.running:
        return h(
            "div",
            h(
                "div",
                dot("running"),
                h("b", "starting"),
                h("span", " ".join(job.command), cls="sx-mono sx-soft sx-cut"),
                cls="sx-row",
            ),
            h("pre", said, cls="sx-pre") if said else None,
            cls="sx-live-run active",
        )
    head = h(
        "div",
        dot("failed"),
        h("b", "the command ended with an error"),
        h("span", "Dismiss", cls="sx-step", style="margin-left:auto", **act("clear")),
        cls="sx-row",
    )
    return h(
        "div",
        head,
        h("pre", said or "it said nothing", cls="sx-pre"),
        h("span", str(job.log), cls="sx-mono sx-faint"),
        cls="sx-live-run",
    )


def history(runs: Sequence[Any], chosen: str) -> Markup:
    """Every run that is recorded, newest first."""
    rows, actions, on = [], [], None
    for number, run in enumerate(runs):
        if chosen and run.id.startswith(chosen):
            on = number
        cost = run.cost or {}
        rows.append(
            (
                h("span", dot(run.status), run.status, cls="sx-row"),
                h("b", run.verb),
                run.dataset or "–",
                h("span", subject(run), cls="sx-soft"),
                h("span", counted(run), cls="sx-soft"),
                lasted(run.started, run.finished),
                duration(cost["cpu_s"]) if "cpu_s" in cost else "–",
                run.place,
                run.actor,
                h("span", ago(run.started), title=stamp(run.started)),
                h("span", run.id[:8], cls="sx-mono sx-faint"),
            )
        )
        actions.append(("run", run.id[:8]))
    heads = ["status", "verb", "dataset", "what", "counts", "took", "CPU", "place", "actor", "started", "run"]
    body = table(heads, rows, numeric=(5, 6), nowrap=(0, 1, 2, 7, 8, 9, 10), actions=actions, on=on)
    return h(
        "div",
        h(
            "div",
            caps("history"),
            h("span", f"newest {len(runs)}", cls="sx-faint", style="font-size:12px"),
            cls="sx-row",
            style="margin:10px 0 8px",
        ),
        body if runs else h("div", "nothing has run yet", cls="sx-faint"),
    )


def details(run: Any) -> Markup:
    """One run: times, counts, cost, what was asked and what went wrong."""
    error = h("pre", run.error, cls="sx-pre", style="margin:0") if run.error else None
    left = pairs(
        [
            ("run", h("span", run.id, cls="sx-mono")),
            ("status", chip(run.status, TONES.get(run.status, ""))),
            (
                "dataset",
                h("a", run.dataset, cls="sx-link", **link("dataset", ref=run.dataset)) if run.dataset else None,
            ),
            ("actor", run.actor),
            ("place", run.place),
            ("host", f"{run.host}, pid {run.pid}"),
            ("started", stamp(run.started)),
            ("finished", stamp(run.finished)),
            ("flow run", h("span", run.prefect_id, cls="sx-mono") if run.prefect_id else None),
        ]
    )
    middle = pairs(
        [
            *((name, count(value)) for name, value in (run.counts or {}).items()),
            *(
                (name, f"{value:,}" if isinstance(value, (int, float)) else str(value))
                for name, value in (run.cost or {}).items()
            ),
        ],
        numbers=True,
    )
    asked = orjson.dumps(run.request or {}, option=orjson.OPT_INDENT_2).decode()
    columns = [
        h("div", caps("run"), left),
        h("div", caps("counts and cost"), middle),
        h("div", caps("request"), h("pre", asked, cls="sx-pre")),
    ]
    return h(
        "section",
        error,
        h("div", columns, style="display:grid;grid-template-columns:1.2fr .7fr 1.3fr;gap:28px;margin-top:4px"),
        cls="sx-panel",
    )
