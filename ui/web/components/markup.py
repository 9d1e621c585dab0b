"""HTML built from Python, escaped by default, and the one component that shows it.

    h("a", "web", cls="name", **link("dataset", ref="web"))

Sample text is untrusted: only `h` and `Markup` produce tags, everything else is escaped. `live` mounts markup and tells
the page which element with an action was clicked; such elements are real links, so a middle click opens a new tab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any
from urllib.parse import urlencode

VOID = {"br", "hr", "img", "input"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """Escape a value; lists are joined, None is nothing, markup stays."""
    if value is None or value is False:
        return Markup("")
    if isinstance(value, Markup):
        return value
    if isinstance(value, (list, tuple)) or (isinstance(value, Iterable) and not isinstance(value, (str, bytes))):
        return Markup("".join(text(item) for item in value))
    return Markup(escape(str(value)))


def h(tag: str, *children: Any, **attributes: Any) -> Markup:
    """An element. cls is class; a trailing or inner underscore is a hyphen (data_act, stroke_width); None leaves out."""
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = "class" if name == "cls" else name.rstrip("_").replace("_", "-")
        parts.append(name if value is True else f'{name}="{escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    if tag in VOID:
        return Markup(opening)
    return Markup(f"{opening}{text(children)}</{tag}>")


def url(page: str, **query: Any) -> str:
    """Relative address of a page with its state."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return page + (f"?{urlencode(given)}" if given else "")


def link(page: str, **query: Any) -> dict[str, str]:
    """Attributes of an element that opens a page."""
    address = url(page, **query)
    return {"href": address or "./", "data_act": f"go:{address}"}


def act(name: str, value: Any = "") -> dict[str, str]:
    """Attributes of an element that asks the page for something."""
    return {"data_act": f"{name}:{value}", "role": "button", "tabindex": "0"}


def around(name: str, value: Any = "") -> dict[str, str]:
    """Attributes of an element that holds a control: a click anywhere on it asks the same. The control has the keyboard."""
    return {"data_act": f"{name}:{value}"}


_SCRIPT = """
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".sx-live");
  if (root.__html !== data.html) {
    const kept = {};
    root.querySelectorAll("[data-keep]").forEach((el) => (kept[el.dataset.keep] = el.scrollTop));
    root.innerHTML = data.html;
    root.__html = data.html;
    root.querySelectorAll("[data-keep]").forEach((el) => {
      if (el.dataset.keep in kept) el.scrollTop = kept[el.dataset.keep];
    });
    root.querySelectorAll(".sx-body, .sx-pre, .sx-scroll").forEach((el) => {  // what scrolls is reached by keyboard
      const scrolls = el.scrollHeight > el.clientHeight + 1 || el.scrollWidth > el.clientWidth + 1;
      if (scrolls && !el.querySelector("a[href], button, input, [tabindex]")) el.tabIndex = 0;
    });
  }
  const send = (event) => {
    const el = event.target.closest("[data-act]");
    if (!el || !root.contains(el) || event.metaKey || event.ctrlKey || event.shiftKey || event.button > 0) return;
    event.preventDefault();
    setTriggerValue("act", el.dataset.act);
  };
  root.onclick = send;
  root.onkeydown = (event) => {
    const role = event.target.getAttribute("role");  // a link opens with Enter alone
    const asks = event.key === "Enter" || (event.key === " " && (role === "button" || role === "checkbox"));
    if (asks && event.target.matches("[data-act]")) send(event);
  };
}
"""


def live(markup: Markup, key: str, handle: Callable[[str, str], None] | None = None) -> None:
    """Show markup. A click on an element with an action follows a link, or calls handle(name, value) and reruns."""
    import streamlit as st

    from ui.web.components.address import follow

    mount = st.components.v2.component(
        "strata_live", html='<div class="sx-live"></div>', js=_SCRIPT, isolate_styles=False
    )
    result = mount(key=key, data={"html": text(markup)}, on_act_change=lambda: None)
    asked = getattr(result, "act", None)
    if not asked:
        return
    name, _, value = str(asked).partition(":")
    if name == "go":
        follow(value)
    elif handle is not None:
        handle(name, value)
        st.rerun()
