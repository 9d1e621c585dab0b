"""The page that asks for a token. It stands alone: no script, nothing from elsewhere."""

from __future__ import annotations

from ui.web.components.markup import Markup, h

STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 15px/1.5 "Source Sans", system-ui, sans-serif;
  background: light-dark(#fdfdfc, #131516); color: light-dark(#1d2125, #e6e7e4); }
main { width: min(400px, calc(100vw - 48px)); padding-bottom: 12vh; }
.layers { display: grid; gap: 4px; width: 56px; } .layers i { height: 6px; border-radius: 3px; }
h1 { font-size: 22px; font-weight: 600; letter-spacing: -0.01em; margin: 16px 0 4px; }
p { margin: 0 0 20px; color: light-dark(#565d64, #a3a9ab); }
p.bad { color: light-dark(#a8322a, #ec8178); }
label { display: block; font-size: 13px; color: light-dark(#565d64, #a3a9ab); margin-bottom: 5px; }
input { box-sizing: border-box; width: 100%; font: 14px "Source Code Pro", ui-monospace, monospace; padding: 9px 11px;
  border-radius: 6px; border: 1px solid light-dark(#b9b9b2, #50575b); background: light-dark(#fff, #181b1c); color: inherit; }
button { width: 100%; margin-top: 14px; padding: 9px 0; font: 600 15px "Source Sans", system-ui, sans-serif; border: 0;
  border-radius: 6px; background: light-dark(#0f6b66, #1d837b); color: #fff; cursor: pointer; }
button:hover { background: light-dark(#0c5854, #176d66); }
:focus-visible { outline: 2px solid light-dark(#0f6b66, #45b5a9); outline-offset: 2px; }
footer { margin-top: 26px; padding-top: 14px; border-top: 1px solid light-dark(#e4e4df, #2a2e30); font-size: 13px;
  color: light-dark(#565d64, #a3a9ab); }
code { font: 12.5px "Source Code Pro", ui-monospace, monospace; background: light-dark(#f1f1ed, #1d2021); padding: 1px 5px;
  border-radius: 4px; white-space: nowrap; }
"""
LAYERS = ("#4a6fa5", "#5b8a5e", "#b5653a", "#b58a3c", "#8b8f94")


def page(address: str, said: str, *, failed: bool = False) -> str:
    """The form. address: where to go on; said: why somebody is asked."""
    fields = [
        h("input", type="hidden", name="next", value=address),
        h("label", "Token", for_="token"),
        h("input", id="token", name="token", type="password", autocomplete="current-password", required=True,
          autofocus=True, spellcheck="false", aria_describedby="said"),
        h("button", "Sign in", type="submit"),
    ]  # fmt: skip
    body = h(
        "main",
        h("div", [h("i", style=f"background:{colour}") for colour in LAYERS], cls="layers", aria_hidden="true"),
        h("h1", "Sign in to Strata"),
        h("p", said, id="said", cls="bad" if failed else None, role="alert" if failed else None),
        h("form", fields, method="post", action="/sign-in"),
        h("footer", "What you do stands under the token's name and within its rights. Whoever administers this catalog "
          "makes one: ", h("code", "strata token create NAME --verbs read")),
    )  # fmt: skip
    head = h(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        h("title", "Sign in · Strata"),
        h("style", Markup(STYLE)),
    )
    return "<!doctype html>" + h("html", head, h("body", body), lang="en")
