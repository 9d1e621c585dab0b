"""What a document is made of: shares of its characters in HTML tags, maths, code, tables, lists and headings. Ours.

A line has one form, the first that fits: code (inside a fence of ``` or ~~~), table (two or more bars, or two or more
tabs), list (a bullet, or a number and a point or bracket), heading (# of Markdown). Maths are the spans $...$, $$...$$,
\\(...\\), \\[...\\] and \\begin{equation} ... \\end{equation} that hold a letter or digit; tags are <...> that start like
HTML. Shares overlap where maths stand in a list; they are of all characters that are not white space.
"""

from __future__ import annotations

import re

import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._rows import Values, score_rows

FENCE = re.compile(r"\s{0,3}(```|~~~)")
TABLE = re.compile(r"[^|\n]*\|[^|\n]*\||[^\t\n]*\S\t[^\t\n]*\t\s*\S")
LIST = re.compile(r"\s*(?:[-*+•‣◦▪·]\s|\(?\d{1,3}[.)]\s|[a-z]\)\s)")
HEADING = re.compile(r"#{1,6}\s")
MATHS = re.compile(
    r"\$\$[^$]{1,2000}\$\$|(?<![\\$\w])\$(?=[^\s$])[^$\n]{0,300}(?<=[^\s\\$])\$(?![\d\w$])|\\\([^\n]{1,500}?\\\)"
    r"|\\\[.{1,2000}?\\\]|\\begin\{(?:equation|align|gather|math)\*?\}.{1,4000}?\\end\{(?:equation|align|gather|math)\*?\}",
    re.S,
)
TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>|<!--.{0,5000}?-->", re.S)
FORMS = ("code", "table", "list", "heading")

OUTS = (
    Out("html_tag_share", pa.float32(), "share of characters in HTML tags and comments", "lower", (0, 1)),
    Out("maths_share", pa.float32(), "share of characters in formulas of TeX", None, (0, 1)),
    Out("code_share", pa.float32(), "share of characters in fenced code", None, (0, 1)),
    Out("table_share", pa.float32(), "share of characters in table rows", None, (0, 1)),
    Out("list_share", pa.float32(), "share of characters in list items", None, (0, 1)),
    Out("heading_share", pa.float32(), "share of characters in headings", None, (0, 1)),
)


def solid(text: str) -> int:
    """Characters that are not white space."""
    return len("".join(text.split()))


def line_forms(text: str) -> dict[str, int]:
    """Characters of the lines of each form."""
    held: dict[str, int] = {name: 0 for name in FORMS}
    fence = ""
    for line in text.splitlines():
        mark = FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
            held["code"] += solid(line)
        elif fence:
            held["code"] += solid(line)
        else:
            forms = (("table", TABLE), ("list", LIST), ("heading", HEADING))
            form = next((name for name, pattern in forms if pattern.match(line)), None)
            if form:
                held[form] += solid(line)
    return held


def measure(text: str) -> Values:
    """The shares of one text that is not blank."""
    total = solid(text)
    maths = (
        sum(solid(found) for found in MATHS.findall(text) if re.search(r"\w", found))
        if "$" in text or "\\" in text
        else 0
    )
    tags = sum(solid(found) for found in TAG.findall(text)) if "<" in text else 0
    forms = {f"{name}_share": held / total for name, held in line_forms(text).items()}
    return {"html_tag_share": tags / total, "maths_share": maths / total} | forms


@scorer(
    "format_shares",
    version="1",
    reads=["text"],
    writes=OUTS,
    cost="cpu",
    citation="ours",
    experimental=True,
)
def format_shares(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_rows(batch["text"], OUTS, measure, lambda text: bool(text.strip()))
