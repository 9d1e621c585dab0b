"""The page in Streamlit's own test runner: open a view with its state, and read what it says."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

APP = Path(__file__).parent / "app.py"


def components(at: AppTest) -> list[dict[str, Any]]:
    """What each component and piece of HTML of ours was given, in order; the style sheet is left out."""
    found: list[dict[str, Any]] = []

    def walk(node: Any) -> None:
        for child in getattr(node, "children", {}).values():
            if child.type == "bidi_component":
                found.append(json.loads(child.proto.json))
            elif child.type == "html" and "<style>" not in child.proto.body:
                found.append({"html": child.proto.body})
            walk(child)

    walk(at._tree)
    return found


def markup(at: AppTest) -> str:
    """All HTML of ours on a page that has not failed, in order."""
    assert not at.exception, [error.value for error in at.exception]
    return "\n".join(held.get("html", "") for held in components(at))


def plain(made: str) -> str:
    """What markup says: no tags, entities as their signs, one space between words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", made)).split())


def said(at: AppTest) -> str:
    """What the page says in markup of ours."""
    return plain(markup(at))


def alerts(at: AppTest) -> int:
    """Panels that say what went wrong."""
    return markup(at).count('role="alert"')


def view(at: AppTest, page: str, /, **query: Any) -> str:
    """Open a view with its state in the address; returns what it says."""
    at.run()
    at.query_params.clear()
    at.switch_page(f"views/{page}.py")
    for name, value in query.items():
        at.query_params[name] = value
    at.run()
    return said(at)
