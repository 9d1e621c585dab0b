"""Runs as a strip and as lines: what is going on, what ended and how."""

from __future__ import annotations

from typing import Any

from ui.web.components.figures import ago, compact, duration, lasted, share
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import bar

ACTIVE = ("running", "cancelling")


def dot(status: str) -> Markup:
    return h("span", cls=f"sx-dot {status}", title=status)


def progress(run: Any) -> tuple[float, str]:
    """Share done, and the words beside the bar."""
    held = run.progress or {}
    done, total, rate = held.get("done", 0), held.get("total", 0), held.get("rate", 0)
    if not total:
        return 0.0, "starting"
    left = f", {duration((total - done) / rate)} left" if rate and done < total else ""
    return done / total, f"{share(done, total)}{left}"


def counted(run: Any) -> str:
    """Counts of a run in one line: "400 in, 399 kept"."""
    shown = [(name, value) for name, value in (run.counts or {}).items() if value or name in ("in", "kept", "computed")]
    return ", ".join(f"{compact(value)} {name}" for name, value in shown)


def subject(run: Any) -> str:
    """What a run works on: its scorers, its target tier, its mix."""
    request = run.request or {}
    if run.verb == "score":
        names = list(request.get("scorers") or [])
        return ", ".join(names[:3]) + (f" +{len(names) - 3}" if len(names) > 3 else "")
    if run.verb == "promote":
        return f"to {request.get('to', '')}"
    if run.verb == "mix":
        return str((request.get("spec") or {}).get("name", ""))
    return ""


def strip(runs: list[Any], limit: int = 5) -> Markup:
    """Everything active, then the newest that ended."""
    active = [run for run in runs if run.status in ACTIVE]
    ended = [run for run in runs if run.status not in ACTIVE][: max(0, limit - len(active))]
    made = [_active(run) for run in active] + [_ended(run) for run in ended]
    return h("div", made or h("span", "nothing has run yet", cls="sx-faint"), cls="sx-strip")


def _active(run: Any) -> Markup:
    part, words = progress(run)
    return h(
        "a",
        dot(run.status),
        h("b", run.verb),
        run.dataset or "",
        h("span", subject(run), cls="sx-faint"),
        bar(part),
        h("span", words, cls="sx-num"),
        cls="sx-run",
        **link("flows", dataset=run.dataset, run=run.id[:8]),
    )


def _ended(run: Any) -> Markup:
    if run.status == "done":
        tail = f"{lasted(run.started, run.finished)} · {ago(run.finished)}"
    else:
        tail = f"{run.status} {ago(run.finished)}"
    return h(
        "a",
        dot(run.status),
        h("b", run.verb),
        run.dataset or "",
        h("span", subject(run), cls="sx-faint"),
        h("span", tail, cls="sx-faint"),
        cls="sx-run",
        **link("flows", dataset=run.dataset, run=run.id[:8]),
        title=run.error or counted(run),
    )
