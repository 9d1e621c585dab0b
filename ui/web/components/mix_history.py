"""Where a mix stands: its revisions, who signed it, who pulled it, and what recorded runs were served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.components.figures import ago, count, plural, share
from ui.web.components.lock import ref_of
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import asis, bar, chip, panel, short, table

FACES = {"torch": "torch loader", "hf": "Hugging Face", "arrow": "Arrow batches"}


def revisions(chain: Sequence[tuple[Any, int | None]], mix: Any) -> Markup:
    """The chain, oldest first: what each version changes, and from which index on."""
    if len(chain) < 2:
        about = "It revises no mix, and none revises it. Weights can change in mid-run: "
        command = h("code", f"strata mix revise {ref_of(mix)} --at-sample N --weights PART=W")
        return panel("Revisions", h("span", about, command, cls="sx-soft"))
    rows = []
    for held, at in chain:
        name = ref_of(held)
        shown = h("b", name) if held.digest == mix.digest else h("a", name, cls="sx-link", **link("mixes", mix=name))
        since = "the start" if at is None else f"index {count(at)}"
        rows.append((shown, since, _weights(held, at), f"{held.actor}, {ago(held.created)}"))
    about = "Every version serves what the one before it served below its index; a run goes on under the next one."
    body = table(["version", "changes from", "weights from there", "published by"], rows, nowrap=(0, 1, 3))
    return panel("Revisions", body, h("div", about, cls="sx-faint", style="margin-top:6px;font-size:12.5px"))


def _weights(mix: Any, at: int | None) -> str:
    if at is None:
        return "as its spec says"
    stage = next((stage for stage in mix.lock.get("stages", ()) if stage["start"] == at), None)
    return ", ".join(f"{name} {weight:g}" for name, weight in stage["weights"].items()) if stage else "–"


def signatures(held: Sequence[Mapping[str, Any]], ref: str) -> Markup:
    """Who stands for the lock."""
    if not held:
        command = h("code", f"strata mix sign {ref} --key FILE")
        about = "Not signed. That is legal: the digest still names the lock, but nobody stands for it. "
        return panel("Signatures", h("span", about, command, cls="sx-soft"))
    rows = [
        (
            short(entry["fingerprint"], 16),
            entry["signer"] or "–",
            ago(entry["signed"] or None),
            chip("valid", "ok") if entry["valid"] else chip("not of this lock", "bad"),
        )
        for entry in held
    ]
    return panel("Signatures", table(["key", "signer", "signed", "verdict"], rows, nowrap=(0, 2, 3)))


def pulls(streams: Sequence[Any], total: int) -> Markup:
    """Live pulls that were begun; how far each came is the trainer's to know."""
    if not streams:
        return panel("Pulls", h("span", "No pull of it was begun on this catalog.", cls="sx-soft"))
    rows = [
        (
            FACES.get(stream.face, stream.face),
            f"{stream.actor or '–'} on {stream.host or '–'}",
            f"{stream.rank} of {stream.world}",
            f"{count(stream.start)}–{count(stream.stop)}",
            ago(stream.created),
        )
        for stream in streams
    ]
    more = f"The newest {len(streams)} of {plural(total, 'pull')}. " if total > len(streams) else ""
    about = f"{more}The indices are those that were asked for, not those that were reached."
    body = table(["by way of", "by", "rank", "indices asked for", "began"], rows, nowrap=(0, 2, 3, 4))
    return panel("Pulls", body, h("div", about, cls="sx-faint", style="margin-top:6px;font-size:12.5px"))


def runs(names: Sequence[str], ref: str, chosen: str) -> Markup:
    """Runs with a ledger, as links that read it."""
    if not names:
        return panel(
            "Recorded runs",
            h(
                "span",
                "No run wrote a ledger. A ledger says what was served, step by step: ",
                h("code", "Ledger(mix, 'run-1')"),
                ", see the tab Train.",
                cls="sx-soft",
            ),
        )
    links = [
        h(
            "a",
            name,
            cls="sx-chip accent" if name == chosen else "sx-chip",
            **link("mixes", mix=ref, tab="history", run=name),
        )
        for name in names
    ]
    return panel("Recorded runs", h("div", links, cls="sx-wrap"))


def ledger(held: Mapping[str, Any]) -> Markup:
    """What one run was served: lost, repeated, and what is left of each part."""
    lost, repeated = (_number(held.get(name)) for name in ("lost", "repeated"))
    verdict = [
        chip(f"{count(lost)} lost" if lost else "nothing lost", "bad" if lost else "ok"),
        chip(f"{count(repeated)} repeated" if repeated else "nothing repeated", "bad" if repeated else "ok"),
    ]
    if held.get("records_by_mix"):
        verdict.append(
            h(
                "span",
                ", then ".join(f"{count(n)} under {mix}" for mix, n in held["records_by_mix"].items()),
                cls="sx-soft",
            )
        )
    rows = [
        (
            f"{part['part']} {part['dataset']}",
            count(part["samples"]),
            count(part["served"]),
            h("div", share(part["served"], part["samples"]), bar(part["served"] / part["samples"] if part["samples"] else 0), style="display:grid;gap:3px"),
            count(part["left"]),
        )
        for part in held["parts"]
    ]  # fmt: skip
    body = table(["part", "planned", "served", "share", "left"], rows, numeric=(1, 2, 3, 4), nowrap=(0,))
    return panel(["Run ", asis(held["run"])], h("div", verdict, cls="sx-wrap", style="margin-bottom:8px"), body)


def _number(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple)) else int(value or 0)
