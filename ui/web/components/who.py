"""Who is signed in, the way out, and what a page shows to whom nobody signed in."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from catalog.access import granted
from ui.web.components import shell
from ui.web.components.markup import Markup, h
from ui.web.entry import sessions

RIGHTS = {"read": "may read", "propose": "may propose", "write": "may write", "admin": "may do everything"}


def here(page: str) -> str:
    """The address of this view."""
    query = urlencode([(name, value) for name in st.query_params for value in st.query_params.get_all(name)])
    return f"/{page}" + (f"?{query}" if query else "")


def signed_in(page: str) -> bool:
    """Say who is signed in, or show why nobody is; True when the page may be drawn."""
    if not sessions.wanted():
        return True
    seen = shell.seen()
    if seen.token is None:
        shell.show(ended(sessions.REASONS[seen.why], here(page)))
        return False
    cat = shell.catalog()
    shell.show(badge(cat.settings.actor, granted(cat)))
    return True


def badge(actor: str, right: str) -> Markup:
    out = h("form", h("button", "Sign out", type="submit", cls="sx-out"), method="post", action="/sign-out")
    return h("div", h("b", actor), h("span", RIGHTS[right], cls="sx-soft"), out, cls="sx-who")


def ended(why: str, address: str) -> Markup:
    """The panel in the place of a page."""
    return h(
        "div",
        shell.LAYERS,
        h("h1", why.partition(":")[0].rstrip(".")),
        h("p", [why.partition(": ")[2].capitalize(), " "] if ": " in why else None,
          "Nothing was changed. Sign in again and this view comes back as it was."),
        h("form", h("input", type="hidden", name="next", value=address),
          h("button", "Sign in again", type="submit", cls="sx-button"), method="get", action="/sign-in"),
        cls="sx-empty", role="alert",
    )  # fmt: skip
