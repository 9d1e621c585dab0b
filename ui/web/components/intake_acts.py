"""What a person does to sources: to those that are chosen at once, or to the one that is open."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from agents.proposals import proposals, reject
from catalog import Catalog
from catalog.ingest import register
from ui.intake import propose_promotion
from ui.web.components import address, intake_list, shell
from ui.web.components.figures import count, plural, share, stamp
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import caps, chip, joined, pairs, panel, ranked, table
from ui.web.queries import jobs

Rows = Sequence[Mapping[str, Any]]
ACTS = {"licence": "Verify licences", "quarantine": "Accept quarantine", "overlap": "Check overlap and evals",
        "score": "Score what L1 needs", "ready": "Promote to L1", "failed": "Read again"}  # fmt: skip
HERE = 50_000
"""Rows that are checked while the person waits; more run beside the server."""
SHOWN = 20


def bulk(cat: Catalog, rows: Rows, begin: Callable[[Sequence[str], str], None]) -> None:
    """Choose what is done to the chosen sources; by default what most of them wait for. begin: runs a command beside."""
    stands = Counter(row["status"] for row in rows if row["status"] in ACTS)
    default = stands.most_common(1)[0][0] if stands else "licence"
    box, clear = st.columns([5, 1], gap="small", vertical_alignment="bottom")
    held = address.get("do", default)
    chosen = box.segmented_control(
        f"With {plural(len(rows), 'chosen source')}", list(ACTS), default=held if held in ACTS else default, key=f"intake_do_{default}",
        format_func=lambda name: f"{ACTS[name]} ({stands[name]})" if stands[name] else ACTS[name],
    )  # fmt: skip
    if clear.button("Choose none", width="stretch", key="intake_none"):
        address.put(pick=None)
        st.rerun()
    {
        "licence": _verify,
        "quarantine": _accept,
        "overlap": _check,
        "score": _score,
        "ready": _promote,
        "failed": _again,
    }[chosen or default](cat, rows, begin)


def _button(label: str, key: str, verb: str = "write", disabled: bool = False) -> bool:
    return st.button(label, type="primary", key=key, **shell.writes(verb, disabled=disabled))


def _verify(cat: Catalog, rows: Rows, begin: Any) -> None:
    mine = [row for row in rows if row["rows"] is not None]
    lines = [
        (row["name"], intake_list.licence(row), _stated(row), intake_list.evidence(row["evidence"])) for row in mine
    ]
    live(table(["source", "licence", "rows declare", "stated at"], lines, nowrap=(0,)), "intake_verify")
    box, _ = st.columns([1.4, 3], gap="small")
    about = "Leave it empty where each is what it declares."
    said = box.text_input("Verified as", key="intake_licence", placeholder="as each declares", help=about).strip()
    actor = cat.settings.actor
    if _button(f"I read the evidence: verify {count(len(mine))} as {actor}", "intake_verify_go", disabled=not mine):
        done = register.verify_licence(cat, [row["name"] for row in mine], said or None)
        _done(f"{plural(len(done), 'licence')} verified by {actor}")


def _stated(row: Mapping[str, Any]) -> Markup:
    held = sorted(row["licences"].items(), key=lambda item: -item[1])
    return (
        joined([f"{name} {count(rows)}" for name, rows in held[:4]]) if held else h("span", "nothing", cls="sx-faint")
    )


def _accept(cat: Catalog, rows: Rows, begin: Any) -> None:
    mine = [row for row in rows if row["quarantined"]]
    lines = [(row["name"], count(row["quarantined"]), _share(row),
              joined([f"{why} {count(n)}" for why, n in sorted(row["reasons"].items(), key=lambda item: -item[1])[:4]])) for row in mine]  # fmt: skip
    live(table(["source", "rows", "of the records", "reasons"], lines, numeric=(1, 2), nowrap=(0,)), "intake_accept")
    if _button(f"I looked at them: accept for {plural(len(mine), 'source')}", "intake_accept_go", disabled=not mine):
        register.accept_quarantine(cat, [row["name"] for row in mine])
        _done("More quarantined rows will ask again")


def _share(row: Mapping[str, Any]) -> str:
    return share(row["quarantined"], row["quarantined"] + (row["rows"] or 0))


def _check(cat: Catalog, rows: Rows, begin: Any) -> None:
    mine = [row for row in rows if row["rows"] is not None]
    total = sum(row["rows"] for row in mine)
    said = "Each row is compared with everything held, every mix and every eval."
    shell.show(h("div", f"{said} {plural(total, 'row')} in {plural(len(mine), 'source')}.", cls="sx-soft"))
    if _button(f"Check {plural(len(mine), 'source')}", "intake_check_go", disabled=not mine):
        names = [row["name"] for row in mine]
        if total > HERE:
            begin(["intake", "check", *names], f"checking {plural(len(names), 'source')}")
            return
        bar = st.progress(0.0, "checking …")
        for at, name in enumerate(names, 1):
            register.check_source(cat, name)
            bar.progress(at / len(names), f"checked {name}")
        _done(f"{plural(len(names), 'source')} checked")


def _score(cat: Catalog, rows: Rows, begin: Any) -> None:
    mine = [row for row in rows if row["rows"] is not None]
    lines = [
        (row["name"], count(row["rows"]), h("span", row["command"], cls="sx-mono"))
        for row in mine
        if row["status"] == "score"
    ]
    live(table(["source", "rows", "what runs"], lines, numeric=(1,), nowrap=(0,)), "intake_score")
    names = [row["name"] for row in mine if row["status"] == "score"]
    if _button(f"Score {plural(len(names), 'source')}", "intake_score_go", disabled=not names):
        begin(["intake", "score", *names], f"scoring {plural(len(names), 'source')}")


def _promote(cat: Catalog, rows: Rows, begin: Any) -> None:
    names = [row["name"] for row in rows if row["status"] == "ready"]
    left = [row["name"] for row in rows if row["status"] != "ready"]
    if left:
        shell.show(shell.note(f"Not ready and left out: {', '.join(left[:8])}{' …' if len(left) > 8 else ''}"))
    said = "Each promotion is worked out as a dry run and waits below for an approval; nothing is changed before."
    shell.show(h("div", said, cls="sx-soft"))
    if _button(f"Propose {plural(len(names), 'promotion')}", "intake_promote_go", "propose", disabled=not names):
        with st.spinner("working out what each would keep …"):
            made = propose_promotion(cat, names)
        refused = [one for one in made if one["why"]]
        st.session_state["intake_refused"] = refused
        _done(f"{plural(len(made) - len(refused), 'promotion')} proposed")


def _again(cat: Catalog, rows: Rows, begin: Any) -> None:
    names = [row["name"] for row in rows if row["uri"]]
    lines = [(row["name"], row["reason"] or row["delivery"], ", ".join(row["uri"])) for row in rows if row["uri"]]
    live(table(["source", "last time", "read from"], lines, nowrap=(0,)), "intake_again")
    if _button(f"Read {plural(len(names), 'source')} again", "intake_again_go", disabled=not names):
        begin(["intake", "again", *names], f"reading {plural(len(names), 'source')} again")


def _done(said: str) -> None:
    st.session_state["intake_said"] = said
    address.put(pick=None)
    st.rerun()


def waiting(cat: Catalog, begin: Callable[[Sequence[str], str], None]) -> None:
    """Promotions to L1 that nobody has decided on, each with what its dry run kept."""
    refused = st.session_state.get("intake_refused") or []
    if refused:
        lines = [h("li", h("b", one["source"]), f": {one['why']}") for one in refused]
        shell.show(shell.note(h("div", "Not proposed:", h("ul", lines, style="margin:2px 0 0")), "warn"))
    held = [one for one in proposals(cat, "open", of="promote") if one.args.get("to") == "L1"]
    if not held:
        return
    lines = [_waiting(one) for one in held]
    heads = ["source", "becomes", "rows kept", "of them", "licences", "asked by", "state"]
    head = h("h2", f"{plural(len(held), 'promotion waits', 'promotions wait')} for an approval", cls="sx-h2")
    live(h("div", head, table(heads, lines, numeric=(2, 3), nowrap=(0, 1)), cls="sx-block"), "intake_waiting")
    yes, no, _ = st.columns([1, 1, 2.4], gap="small")
    if yes.button(f"Approve {count(len(held))}", type="primary", width="stretch", key="intake_yes", **shell.writes()):
        begin(
            ["intake", "approve", *(f"{one.id}:{one.seen}" for one in held)], f"promoting {plural(len(held), 'source')}"
        )
    if no.button(f"Reject {count(len(held))}", width="stretch", key="intake_no", **shell.writes()):
        for one in held:
            reject(cat, one.id, "rejected on the page Intake")
        st.rerun()


def _waiting(one: Any) -> tuple[Any, ...]:
    effect = one.effect
    kept, dropped = effect.get("rows") or 0, effect.get("dropped") or 0
    ref = str(one.args["ref"]).partition("@")[0]
    state = chip(one.status, "warn" if one.status == "open" else "bad", one.error)
    return (h("a", ref, cls="sx-link", **link("intake", source=ref)), effect.get("target", ""), count(kept), share(kept, kept + dropped),
            joined([f"{name} {count(rows)}" for name, rows in list((effect.get("licences") or {}).items())[:3]]), one.actor,
            h("div", state, h("div", one.error, cls="sx-why") if one.error else None))  # fmt: skip


def details(cat: Catalog, row: Mapping[str, Any], begin: Callable[[Sequence[str], str], None]) -> None:
    """One source in full, and what can be done to it alone."""
    name = row["name"]
    head = h("a", name, cls="sx-link", **link("dataset", ref=name)) if row["rows"] is not None else name
    live(h("div", h("h2", head, cls="sx-h2"), _facts(row), cls="sx-block"), "intake_source")
    if row["rows"] is not None and row["quarantined"]:
        held = list(register.quarantined(cat, name, SHOWN))
        shell.show(h("div", caps("quarantine"), intake_list.quarantined(held, row["quarantined"]), cls="sx-block"))
        st.download_button(
            f"Download all {count(row['quarantined'])} as CSV",
            lambda: _csv(cat, name),
            f"{name}-quarantine.csv",
            "text/csv",
            key="intake_csv",
        )
    if held := row["overlap"]:
        total = held["rows"] or 1
        body = [caps("held elsewhere, as it is or nearly"), ranked(held["datasets"], total)]
        if held.get("leaks"):
            body += [caps("rows that leak an eval"), ranked(held["leaks"], total)]
        shell.show(h("div", body, cls="sx-block"))
    again, drop, _ = st.columns([1, 1, 3], gap="small")
    if row["uri"] and again.button("Read it again", width="stretch", key="intake_one", **shell.writes()):
        begin(["intake", "again", name], f"reading {name} again")
    if row["rows"] is None and drop.button(
        "Take it off the list", width="stretch", key="intake_forget", **shell.writes()
    ):
        register.forget_source(cat, name)
        address.put(source=None)
        st.rerun()


def _facts(row: Mapping[str, Any]) -> Markup:
    promised = "; ".join(
        f"{name} {value}" for name, value in row["expectations"].items() if value not in (None, {}, [])
    )
    held = [
        ("why it failed", h("span", row["reason"], cls="sx-bad") if row["reason"] else None),
        ("next", h("span", row["next"], " ", h("code", row["command"]) if row["command"] else None)),
        ("read from", h("span", ", ".join(row["uri"]), cls="sx-mono") if row["uri"] else None),
        ("sources file", h("span", row["file"], cls="sx-mono") if row["file"] else None),
        ("kind", row["kind"]), ("rows declare", _stated(row)),
        ("evidence", intake_list.evidence(row["evidence"])),
        ("promises", promised), ("owner", row["owner"]), ("last delivery", stamp(row["seen"])),
        ("promoted as", joined([h("a", one, cls="sx-link", **link("dataset", ref=one)) for one in row["promoted"]]) if row["promoted"] else None),
    ]  # fmt: skip
    return panel(None, pairs([(name, value) for name, value in held if value]))


def _csv(cat: Catalog, name: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["file", "line", "offset", "reason", "detail", "excerpt"])
    for one in register.quarantined(cat, name):
        writer.writerow([one.file, one.line, one.offset, one.reason, one.detail, one.excerpt])
    return out.getvalue()


def said(job: jobs.Job) -> str:
    """The last lines of a command that failed."""
    return job.said() or "it left no output; the server's log has more"
