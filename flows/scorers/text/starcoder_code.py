"""StarCoder's measures of source files (Li et al. 2023, arXiv:2305.06161, section 3), as numbers.

The released filters (bigcode-project/bigcode-dataset) drop a file whose longest line has more than 1,000 characters,
whose lines have more than 100 on average, of which less than 0.25 of the characters are letters or digits (or less than
a share of letters that depends on the extension), that says "<?xml version=" in its first 100 characters, and, for HTML,
whose visible text is less than 0.2 of the file or 100 characters. Lines are those of splitlines().
"""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import DIGIT, LETTER, Chars, ratio, score_slices
from flows.scorers.text._lines import text_lines

HIDDEN = ("script", "style")


class Visible(HTMLParser):
    """Length of the text outside of scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.depth = self.length = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.depth += tag in HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self.depth = max(0, self.depth - (tag in HIDDEN))

    def handle_data(self, data: str) -> None:
        self.length += 0 if self.depth else len(data)


def visible_length(text: str) -> int:
    """Characters that a reader of the page sees; all of them where there is no markup."""
    if "<" not in text and "&" not in text:
        return len(text)
    parser = Visible()
    try:
        parser.feed(text)
        parser.close()
    except AssertionError:  # a broken declaration ("<![x"): the standard parser gives up there
        return parser.length
    return parser.length


def measures(chars: Chars, texts: pa.Array) -> dict[str, np.ndarray]:
    """The measures of each row."""
    lines, size = text_lines(chars), np.diff(chars.rows)
    longest = np.zeros(len(chars), np.int64)
    np.maximum.at(longest, lines.row, lines.length)
    letters = (chars.bits & LETTER) > 0
    head = np.array([(text or "")[:100].find("<?xml version=") >= 0 for text in texts.to_pylist()], np.int64)
    visible = np.array([visible_length(text or "") for text in texts.to_pylist()], np.int64)
    return {
        "code_max_line": longest,
        "code_mean_line": ratio(lines.per_row(lines.length), lines.per_row()),
        "code_alphanum_share": ratio(chars.count(letters | ((chars.bits & DIGIT) > 0)), size),
        "code_alpha_share": ratio(chars.count(letters), size),
        "code_xml": head,
        "html_visible_share": ratio(visible, size),
    }


@scorer(
    "starcoder_code",
    version="1",
    reads=["text"],
    writes=[
        Out("code_max_line", pa.int32(), "characters of the longest line", "lower", (0, None)),
        Out("code_mean_line", pa.float32(), "characters of a line, mean", "lower", (0, None)),
        Out("code_alphanum_share", pa.float32(), "share of characters that are letters or digits", "higher", (0, 1)),
        Out("code_alpha_share", pa.float32(), "share of characters that are letters", "higher", (0, 1)),
        Out("code_xml", pa.int32(), "1 where the first 100 characters declare XML", "lower", (0, 1)),
        Out(
            "html_visible_share", pa.float32(), "visible text per character of HTML; 1 without markup", "higher", (0, 1)
        ),
    ],
    cost="cpu",
    citation="Li et al. 2023, arXiv:2305.06161, section 3",
    stage="filter",
)
def starcoder_code(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    from flows.scorers.text._chars import slices

    parts = iter(list(slices(batch["text"])))
    return score_slices(batch["text"], lambda chars: measures(chars, next(parts)))
