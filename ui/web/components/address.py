"""State of a page lives in its address: widgets read it before they are drawn and write it when they change.

So every view can be linked, and Back works. A value equal to its default is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import streamlit as st

VIEWS = {
    "": "views/home.py",
    "discover": "views/discover.py",
    "dataset": "views/dataset.py",
    "grade": "views/grade.py",
    "flows": "views/flows.py",
    "experiments": "views/experiments.py",
    "incidents": "views/incidents.py",
    "intake": "views/intake.py",
    "sql": "views/sql.py",
    "assistant": "views/assistant.py",
    "mixes": "views/mixes.py",
    "admin": "views/admin.py",
}
"""Path in the address -> page script."""


def get(name: str, default: str = "") -> str:
    return st.query_params.get(name, default)


def get_int(name: str, default: int = 0) -> int:
    try:
        return max(0, int(get(name, str(default))))
    except ValueError:
        return default


def put(**changes: Any) -> None:
    """Change the address; None and "" remove a name."""
    for name, value in changes.items():
        if value in (None, "", []):
            if name in st.query_params:
                del st.query_params[name]
        else:
            st.query_params[name] = value if isinstance(value, list) else str(value)


def follow(address: str) -> None:
    """Open "page?name=value" inside the app."""
    page, _, query = address.partition("?")
    st.switch_page(VIEWS[page], query_params=parse_qs(query))  # lists, so that a repeated name keeps every value


def _writer(key: str, name: str, default: Any, clears: Sequence[str]) -> Callable[[], None]:
    def write() -> None:
        value = st.session_state.get(key)
        put(**{name: None if value == default else value}, **dict.fromkeys(clears))

    return write


def text_box(label: str, name: str, clears: Sequence[str] = (), **options: Any) -> str:
    """A text input held in the address. clears: names that a change removes, such as the page number."""
    key = f"in_{name}"
    st.session_state[key] = get(name)
    st.text_input(label, key=key, on_change=_writer(key, name, "", clears), **options)
    return get(name).strip()


def choice(
    label: str, name: str, options: Sequence[str], default: str = "", clears: Sequence[str] = (), **more: Any
) -> str:
    """A select box held in the address; a value that is not an option counts as the default."""
    key, held = f"in_{name}", get(name, default)
    st.session_state[key] = held if held in options else default
    st.selectbox(label, options, key=key, on_change=_writer(key, name, default, clears), **more)
    return st.session_state[key]


def choices(label: str, name: str, options: Sequence[str], clears: Sequence[str] = (), **more: Any) -> list[str]:
    """A multiselect held in the address."""
    key = f"in_{name}"
    held = [value for value in st.query_params.get_all(name) if value in options]
    st.session_state[key] = held
    st.multiselect(label, options, key=key, on_change=_writer(key, name, [], clears), **more)
    return held
