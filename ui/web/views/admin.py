"""Admin: tokens and actors, places of runs, endpoints and budgets, the audit, and whether the catalog is whole."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.access import granted, may
from ui import spending
from ui.web.components import address, shell
from ui.web.components import administration as draw
from ui.web.components.figures import count, plural
from ui.web.components.markup import h, live
from ui.web.components.pager import pager
from ui.web.components.parts import tabs
from ui.web.queries import administration as asks

TABS = {
    "tokens": "Tokens",
    "places": "Places",
    "spending": "Endpoints and budgets",
    "audit": "Audit",
    "health": "Health",
}
RIGHTS = {
    "read": "read: look at everything",
    "propose": "propose: look, and ask for changes",
    "write": "write: change data",
    "admin": "admin: everything, also tokens",
}


def turned_away(cat: Catalog) -> None:
    """What whoever may not administer sees."""
    who = cat.settings.actor
    said = [f"{who} may only {granted(cat)}. This page makes and revokes tokens, sets budgets and shows who did what; it needs a "
            "token with the right to admin. Whoever has one can make it:"]  # fmt: skip
    shell.show(shell.empty("For administrators", said, f"strata token create {who.split()[0]} --verbs admin"))


def tokens_tab(cat: Catalog) -> None:
    from ui.api import tokens

    with st.form("token_form", border=True):
        boxes = st.columns([1.6, 1.6, 1, 0.8], gap="small", vertical_alignment="bottom")
        name = boxes[0].text_input("Name", key="token_name", placeholder="who will use it", max_chars=80)
        right = boxes[1].selectbox("Right", list(RIGHTS), format_func=RIGHTS.get, key="token_right")
        days = boxes[2].number_input("Days until it expires", 1, 3650, value=90, key="token_days",
                                     help="Empty: until it is revoked.")  # fmt: skip
        made = boxes[3].form_submit_button("Create", type="primary", width="stretch")
    if made:
        with shell.guarded():
            secret = tokens.create(cat, name, right, days)
            said = h("div", h("div", f"A token for {name.strip()}. It is shown this once: copy it now.", cls="sx-head"),
                     h("code", secret, cls="sx-secret"))  # fmt: skip
            shell.show(shell.note(said, "warn"))
    _confirm(cat)
    seen = asks.actors(cat)
    held = tokens.tokens(cat)
    if held:
        live(draw.token_table(held, {row["actor"]: row["last"] for row in seen}), "tokens", _ask)
    else:
        shell.show(
            shell.note(
                h(
                    "span",
                    "No token yet. Make one for everybody who signs in or calls the API, here or with ",
                    h("code", "strata token create NAME --verbs read"),
                    ".",
                    cls="sx-soft",
                )
            )
        )
    if seen:
        shell.show(h("h2", "Who was here", cls="sx-h3"))
        shell.show(draw.actor_table(seen))


def _ask(name: str, value: str) -> None:
    address.put(token=value)


def _confirm(cat: Catalog) -> None:
    """A second click, because a revoked token does not come back."""
    from ui.api import tokens

    asked = address.get("token")
    held = (
        next((row for row in tokens.tokens(cat) if row["digest"] == asked and not row["revoked"]), None)
        if asked
        else None
    )
    if held is None:
        return
    shell.show(shell.note(h("span", "Revoke the token of ", h("b", held["name"]), f", who may {held['verbs']}? Whoever uses it is out at "
                            "once, and it does not come back."), "warn"))  # fmt: skip
    go, keep, _ = st.columns([0.7, 0.7, 4], gap="small")
    if go.button("Revoke", type="primary", key="revoke_go", width="stretch"):
        with shell.guarded():
            tokens.revoke(cat, held["digest"])
            address.put(token=None)
            st.toast(f"The token of {held['name']} is revoked")
            st.rerun()
    if keep.button("Keep it", key="revoke_keep", width="stretch"):
        address.put(token=None)
        st.rerun()


def places_tab(cat: Catalog) -> None:
    with st.spinner("asking the servers …"):
        held = asks.places(cat)
    shell.show(draw.place_table(held))
    shell.show(h("div", "Looking starts nothing. What runs and what waits is in Flows.", cls="sx-faint"))


def spending_tab(cat: Catalog) -> None:
    held = spending.budget_rows(cat)
    if held:
        shell.show(draw.budget_panels(held))
    with st.form("budget_form", border=True):
        boxes = st.columns([1.4, 1, 1, 1, 0.8], gap="small", vertical_alignment="bottom")
        name = boxes[0].text_input("Budget", key="budget_name", placeholder="grading")
        money = boxes[1].number_input("Money", 0.0, value=None, key="budget_money", placeholder="no limit")
        most = boxes[2].number_input("Tokens", 0, value=None, key="budget_tokens", placeholder="no limit")
        requests = boxes[3].number_input("Requests", 0, value=None, key="budget_requests", placeholder="no limit")
        asked = boxes[4].form_submit_button("Set", type="primary", width="stretch",
                                            help="The limits of a budget, which keeps what it has spent.")  # fmt: skip
    if asked:
        with shell.guarded():
            _set_budget(cat, name, money, most, requests)
    ends = spending.endpoint_rows(cat)
    if ends:
        shell.show(h("h2", "Endpoints", cls="sx-h3"))
        shell.show(draw.endpoint_table(ends))
    else:
        shell.show(shell.note(h("span", "No language model is set up: ", h("code", "strata endpoint add NAME --url URL --model MODEL"),
                                cls="sx-soft")))  # fmt: skip
    if calls := spending.call_rows(cat):
        shell.show(h("h2", "Calls by purpose and model", cls="sx-h3"))
        shell.show(draw.call_table(calls))


def _set_budget(cat: Catalog, name: str, money: float | None, tokens: int | None, requests: int | None) -> None:
    from catalog.errors import BadInput
    from flows.endpoints.account import set_budget
    from flows.endpoints.registry import NAME

    if not NAME.fullmatch(name.strip()):
        raise BadInput("a budget needs a name of lower-case letters, digits, - and _; whoever spends names it")
    set_budget(cat, name.strip(), money=money, tokens=tokens, requests=requests)
    st.toast(f"Budget {name.strip()} is set")
    st.rerun()


def audit_tab(cat: Catalog) -> None:
    names, verbs = asks.choices(cat)
    boxes = st.columns([1.2, 1, 1, 1.8, 0.7], gap="small", vertical_alignment="bottom")
    with boxes[0]:
        actor = address.choice(
            "Actor", "actor", ["", *names], "", ("at",), format_func=lambda value: value or "anybody"
        )
    with boxes[1]:
        verb = address.choice("Verb", "verb", ["", *verbs], "", ("at",), format_func=lambda value: value or "any")
    with boxes[2]:
        outcome = address.choice(
            "Outcome", "outcome", ["", "done", "refused"], "", ("at",), format_func=lambda value: value or "any"
        )
    with boxes[3]:
        thing = address.text_box("Object", "object", ("at",), placeholder="part of a name")
    wanted = asks.AuditFilter(actor, verb, thing, outcome)
    at = address.get_int("at")
    rows, total = asks.audit_page(cat, wanted, at)
    boxes[4].download_button("CSV", lambda: asks.audit_csv(cat, wanted), "audit.csv", "text/csv", width="stretch",
                             on_click="ignore", disabled=not total)  # fmt: skip
    if not rows:
        shell.show(shell.note(h("span", "Nothing in the audit is like that.", cls="sx-soft")))
        return
    live(
        pager(h("span", f"{at + 1:,}–{at + len(rows):,} of {count(total)}"), at, asks.PAGE, total), "audit_pages", _turn
    )
    shell.show(draw.audit_table(rows))


def _turn(name: str, value: str) -> None:
    address.put(at=value if value != "0" else None)


def health_tab(cat: Catalog) -> None:
    from sqlalchemy.engine import make_url

    from catalog.meta.session import newest_revision

    settings = cat.settings
    facts = {"home": shell.place(cat), "database": make_url(settings.database).render_as_string(hide_password=True),
             "schema": newest_revision(), "tables": settings.tables, "datasets": count(len(cat.datasets()))}  # fmt: skip
    shell.show(draw.about(facts, asks.versions()))
    one, two, _ = st.columns([0.9, 0.9, 3], gap="small")
    if one.button("Run doctor", width="stretch", help="Compares metadata with tables. It reads no rows."):
        with shell.guarded(), st.spinner("looking …"):
            began = time.perf_counter()
            _keep("doctor", cat.doctor(), time.perf_counter() - began)
    if two.button("Measure storage", width="stretch", help="Walks the folders of this catalog."):
        with shell.guarded(), st.spinner("measuring …"):
            began = time.perf_counter()
            _keep("storage", asks.storage(cat), time.perf_counter() - began)
    if held := st.session_state.get("admin_doctor"):
        found, seconds = held
        errors = sum(item.level == "error" for item in found)
        said = plural(errors, "error") if errors else "no errors"
        shell.show(draw.summary([h("b", f"Doctor: {said}"), plural(len(found), "finding"), f"{seconds:.1f} s"]))
        shell.show(draw.findings(found))
    if held := st.session_state.get("admin_storage"):
        shell.show(draw.sizes(held[0]))


def _keep(name: str, found: Any, seconds: float) -> None:
    st.session_state[f"admin_{name}"] = (found, seconds)


def page() -> None:
    cat = shell.catalog()
    if not may(cat, "admin"):
        turned_away(cat)
        return
    held = address.get("tab", "tokens")
    held = held if held in TABS else "tokens"
    shell.show(shell.title("Admin", "who may do what, where things run, what is paid, and whether all is whole"))
    live(tabs("admin", held, TABS), "tabs")
    draws = {
        "tokens": tokens_tab,
        "places": places_tab,
        "spending": spending_tab,
        "audit": audit_tab,
        "health": health_tab,
    }
    with shell.guarded():
        draws[held](cat)


page()
