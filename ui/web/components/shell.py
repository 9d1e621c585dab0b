"""What every page stands in: the theme, the open catalog, and the one place where errors are shown."""

from __future__ import annotations

import gc
import logging
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.access import granted, may
from catalog.errors import Refused, StrataError
from ui.api.tokens import catalog_for
from ui.web.components import address
from ui.web.components.markup import Markup, h, text
from ui.web.entry import sessions

SHEETS = (
    "theme.css",
    "home.css",
    "dataset.css",
    "flows.css",
    "sql.css",
    "mixes.css",
    "discover.css",
    "grade.css",
    "intake.css",
    "entry.css",
    "admin.css",
)
SETTLED = (0, 10, 30, 60, 200)
"""Seconds between the times that what is loaded is settled, after the start."""
log = logging.getLogger("strata.web")


@st.cache_resource(show_spinner=False)
def _style() -> str:
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text() for name in SHEETS)


@st.cache_resource(show_spinner=False)
def warm() -> None:
    """Import what the first click would wait for (Lance, DuckDB, the plug-ins) while the first page is looked at."""

    def load() -> None:
        import duckdb  # noqa: F401
        import lance  # noqa: F401

        from catalog.plugins import load_plugins

        load_plugins()
        import scipy.stats  # noqa: F401  # intervals of trials

        _settle()

    Thread(target=load, name="strata-warm", daemon=True).start()


def _settle() -> None:
    """Take what is loaded out of the reach of the garbage collector, again as pages are opened for the first time.

    Streamlit collects after every run of a page, and that would go through each object of every module: 125 ms of CPU
    time, during which nothing is sent to the browser, where 15 ms are enough."""
    if not st.runtime.exists():
        return
    for pause in SETTLED:
        time.sleep(pause)
        gc.collect()
        gc.freeze()


def theme() -> None:
    st.html(f"<style>{_style()}</style>")


@st.cache_resource(show_spinner=False)
def _open(home: str | None, database: str | None, tables: str | None) -> Catalog:
    return Catalog.open(home, database=database, tables=tables)


def _own() -> Catalog:
    """The catalog of STRATA_HOME, opened once a server."""
    return _open(*(os.environ.get(name) for name in ("STRATA_HOME", "STRATA_DATABASE_URL", "STRATA_TABLES_URI")))


def browser(cat: Catalog) -> str | None:
    """What this browser holds since somebody signed in."""
    return st.context.cookies.get(sessions.cookie_name(cat))


def seen() -> sessions.Seen:
    """What is behind this browser, looked up anew: a sign-in may have ended since the last interaction."""
    cat = _own()
    return sessions.behind(cat, browser(cat))


def catalog() -> Catalog:
    """The catalog, in the hands of who signed in; of the person at this machine where nobody has to.

    Where the sign-in has ended, nothing more is done: the page is drawn again, and says so."""
    if not sessions.wanted():
        return _own()
    token = seen().token
    if token is None:
        st.rerun()
        raise Refused("nobody is signed in; open the page anew")
    return catalog_for(_own(), token)


def barred(verb: str = "write") -> str:
    """Why who looks at this page may not write (or propose, or administer); empty when they may."""
    cat = catalog()
    if may(cat, verb):
        return ""
    return f"{cat.settings.actor} may only {granted(cat)}: this needs a token with the right to {verb}"


def writes(verb: str = "write", *, disabled: bool = False, help: str | None = None) -> dict[str, Any]:
    """Options of a control that changes something: st.button("Publish", **shell.writes(disabled=not name)).

    It is disabled, and says why, for whoever may not."""
    why = barred(verb)
    return {"disabled": disabled or bool(why), "help": why or help}


def place(cat: Catalog) -> str:
    """Where the catalog lives, as people write it."""
    home, own = str(cat.settings.home), str(Path.home())
    return "~" + home[len(own) :] if own != "/" and home.startswith(own + "/") else home


def show(markup: Markup) -> None:
    """Markup without actions."""
    st.html(h("div", markup, cls="sx-static"))


def tab_title(page: str) -> str:
    """What the browser calls the view: what it is about, the page, and the house."""
    about = next((held for name in ("ref", "campaign", "mix") if (held := address.get(name))), "")
    return " · ".join(name for name in (about, page, "Strata") if name)


def title(name: Any, sub: Any = None, *more: Any) -> Markup:
    return h("div", h("h1", name, cls="sx-h1"), *more, h("span", sub, cls="sx-sub") if sub else None, cls="sx-title")


@contextmanager
def guarded(*, whole: bool = False) -> Iterator[None]:
    """Show whatever goes wrong inside as one panel. What Streamlit raises to rerun or stop passes through.

    whole: the panel stands in the place of the page, and is its heading."""
    try:
        yield
    except StrataError as error:
        show(refusal(error, whole=whole))
    except Exception as error:
        log.exception("a page failed")
        show(breakdown(error, whole=whole))


def refusal(error: StrataError, *, whole: bool = False) -> Markup:
    """A failure with a known cause: the thing and the reason, then the remedy and what is missing."""
    head, _, remedy = error.message.partition("; ")
    missing = error.facts.get("missing")
    items = [h("li", item) for item in missing if str(item) not in head] if isinstance(missing, (list, tuple)) else []
    body = [h("h1" if whole else "div", head[:1].upper() + head[1:], cls="sx-head")]
    body += [h("div", remedy, cls="sx-soft")] if remedy else []
    body += [h("ul", items)] if items else []
    return h("div", h("div", body), cls="sx-note warn", role="alert")


def breakdown(error: Exception, *, whole: bool = False) -> Markup:
    """A failure nobody foresaw: what it says and where, short enough to be sent to somebody."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    lines = [f"{type(error).__name__}: {str(error)[:400]}"]
    lines += [
        f"  {os.path.basename(os.path.dirname(f.filename))}/{os.path.basename(f.filename)}:{f.lineno} in {f.name}"
        for f in frames
    ]
    body = h(
        "div",
        h("h1" if whole else "div", "This view could not be drawn", cls="sx-head"),
        h(
            "div",
            "Nothing was changed. Reload the page; if it happens again, run ",
            h("code", "strata doctor"),
            " and pass these lines on. The server's log has the rest.",
            cls="sx-soft",
        ),
        h("pre", "\n".join(lines), cls="sx-pre", style="margin-top:8px"),
        style="min-width:0;flex:1",
    )
    return h("div", body, cls="sx-note bad", role="alert")


def note(body: Any, tone: str = "") -> Markup:
    return h("div", h("div", body), cls=f"sx-note {tone}")


def empty(
    heading: str, sentence: Any, commands: str | None = None, after: Any = None, *, whole: bool = False
) -> Markup:
    """A state in which there is nothing to show, and the command that changes it. whole: it is all there is on the page."""
    return h(
        "div",
        LAYERS,
        h("h1" if whole else "h2", heading),
        h("p", text(sentence)),
        h("pre", commands, cls="sx-pre") if commands else None,
        h("p", after) if after else None,
        cls="sx-empty",
    )


LAYERS = Markup(
    '<div style="display:grid;gap:4px;width:56px">'
    + "".join(
        f'<i style="height:6px;border-radius:3px;background:var(--sx-l{n});opacity:.85"></i>' for n in range(4, -1, -1)
    )
    + "</div>"
)
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="22" height="22" viewBox="0 0 22 22">
<rect x="1" y="2" width="20" height="3.4" rx="1.7" fill="#4a6fa5"/><rect x="1" y="6.9" width="20" height="3.4" rx="1.7" fill="#5b8a5e"/>
<rect x="1" y="11.8" width="20" height="3.4" rx="1.7" fill="#b5653a"/><rect x="1" y="16.7" width="20" height="3.4" rx="1.7" fill="#b58a3c"/>
</svg>"""
