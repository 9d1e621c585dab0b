r"""Formulas in a text ($…$, $$…$$, \(…\), \[…\]) as Markdown that shows them and nothing else.

Sample text is untrusted: every mark of Markdown around the formulas is escaped, so that no link, picture, colour or
HTML of a sample is drawn, and a formula with a command that reaches outside (a link, a file, a page's classes) stays text.
"""

from __future__ import annotations

import re

FORMULA = re.compile(
    r"\$\$(?P<a>[^$]{1,4000}?)\$\$|\\\[(?P<b>.{1,4000}?)\\\]|\\\((?P<c>.{1,1000}?)\\\)"
    r"|(?<![\\$\w])\$(?P<d>[^\s$](?:[^$\n]{0,1000}?[^\s$\\])?)\$(?![\d$])",
    re.DOTALL,
)
OUTSIDE = re.compile(
    r"\\(?:href|url|html\w*|include\w*|input|def|gdef|edef|xdef|let|newcommand|renewcommand|catcode)\b|`"
)
_ADDRESS = re.compile(r"(\\/\\/|\\@|(?<=w)ww)")  # a joiner of no width keeps addresses from becoming links
_MARK = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&@^=/])")


def has_formulas(text: str | None) -> bool:
    return bool(text and FORMULA.search(text))


def markdown(text: str) -> str:
    """The text as Markdown in which only the formulas are marked."""
    made, at = [], 0
    for found in FORMULA.finditer(text):
        body = next(group for group in found.groups() if group is not None).strip()
        if OUTSIDE.search(body) or not body:
            continue
        made.append(plain(text[at : found.start()]))
        whole = found["a"] is not None or found["b"] is not None
        body = " ".join(body.split())
        made.append(f"\n\n$$\n{body}\n$$\n\n" if whole else f"${body}$")
        at = found.end()
    return "".join([*made, plain(text[at:])])


def plain(text: str) -> str:
    """Text that Markdown shows as it is, line by line."""
    lines = [_ADDRESS.sub("\u2060\\1", _MARK.sub(r"\\\1", line)) for line in text.split("\n")]
    return "  \n".join(
        re.sub(r"^(\s+)", lambda m: "\u00a0" * len(m[1]), re.sub(r"^(\d+)", "\u200b\\1", line)) for line in lines
    )
