"""Checks of templates: first lines, last lines, openings and whole skeletons that many different texts share.

A shared string is told by its MD5 in the query, so that the query itself holds no sample text; running it shows the texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from agents.insight.look import Flag, Look, check, grade

MOST = 3
"""Templates that are reported for each check."""
FIRST = r"split_part(ltrim(text, E' \n\t\r'), E'\n', 1)"
LAST = r"split_part(rtrim(text, E' \n\t\r'), E'\n', -1)"
SKELETON = r"regexp_replace(regexp_replace(left(text, 300), '[0-9]+', '0', 'g'), '[A-Z][A-Za-z'']+', 'X', 'g')"
ADVICE = "cut the template, keep one text of each, or leave it in by decision: models learn to say what repeats"


def _shared(look: Look, part: str, where: str, what: str, least: float, words: str) -> Iterator[Flag]:
    """Flags for the commonest values of `part`, where they stand in different contents."""
    floor = max(10, int(least * look.count))
    common = look.ask(
        f"SELECT hash({part}), count(*) AS n FROM {look.rows} WHERE {where} "
        f"GROUP BY 1 HAVING n >= {floor} ORDER BY n DESC, 1 LIMIT {4 * MOST}"
    )
    if not common:
        return
    marks = ", ".join(str(mark) for mark, _ in common)
    held = look.ask(
        f"SELECT any_value({part}), count(DISTINCT content_id) AS n FROM {look.rows} "
        f"WHERE {where} AND hash({part}) IN ({marks}) GROUP BY hash({part}) HAVING n >= {floor} ORDER BY n DESC, 1"
    )
    for value, _ in held[:MOST]:
        mark = hashlib.md5(value.encode()).hexdigest()
        yield Flag(
            f"{where} AND md5({part}) = '{mark}'", f"{{count}} texts ({{share}}) {what}", words,
            grade(medium=0.02, high=0.2), quote=value[:200],
        )  # fmt: skip


@check("shared_first_line", "text")
def shared_first_line(look: Look) -> Iterator[Flag]:
    """A first line that 1 % of the texts or more begin with."""
    where = rf"contains(text, E'\n') AND length({FIRST}) BETWEEN 8 AND 500"
    yield from _shared(look, FIRST, where, "begin with one and the same line", 0.01, ADVICE)


@check("shared_last_line", "text")
def shared_last_line(look: Look) -> Iterator[Flag]:
    """A last line that 1 % of the texts or more end with."""
    where = rf"contains(text, E'\n') AND length({LAST}) BETWEEN 8 AND 500"
    yield from _shared(look, LAST, where, "end with one and the same line", 0.01, ADVICE)


@check("shared_opening", "text", "task")
def shared_opening(look: Look) -> Iterator[Flag]:
    """Forty characters that 2 % of the texts or more begin with."""
    yield from _shared(look, "left(text, 40)", "length(text) > 80", "begin with the same 40 characters", 0.02, ADVICE)


@check("reply_opening", "chat", "preference")
def reply_opening(look: Look) -> Iterator[Flag]:
    """Twenty-five characters that 1 % of the answers or more begin with."""
    part = f"left({look.last}, 25)"
    yield from _shared(
        look, part, f"length({look.last}) > 40", "answer with the same 25 characters", 0.01,
        "a model trained on this opens its answers alike: rewrite or thin out",
    )  # fmt: skip


@check("skeleton")
def skeleton(look: Look) -> Iterator[Flag]:
    """Texts (their first 300 characters) that are one template with other numbers and names."""
    where = f"length(text) > 30 AND length({SKELETON}) > 20"
    yield from _shared(
        look, SKELETON, where, "are one template with other numbers and names", 0.005,
        "texts filled into a form teach the form: keep a few of each, and count them as one source",
    )  # fmt: skip


@check("escaped_newlines")
def escaped_newlines(look: Look) -> Iterator[Flag]:
    r"""Texts whose line breaks are the two characters \n."""
    yield Flag(
        r"regexp_matches(text, '[^\\]\\n[^\n]*[^\\]\\n') AND NOT contains(text, E'\n')",
        r"{count} texts ({share}) hold \n as two characters in place of line breaks",
        "the text was escaped once too often: decode it at ingest", grade(medium=0.0, high=0.05),
    )  # fmt: skip


@check("placeholders")
def placeholders(look: Look) -> Iterator[Flag]:
    """Texts that say that nothing is there: [deleted], null, lorem ipsum, an unfilled slot of a template."""
    body = r"regexp_replace(text, '^(user|assistant|system): ', '')"
    yield Flag(
        rf"regexp_matches({body}, '(?i)^\s*(\[?(deleted|removed)\]?|null|none|nan|n/a|undefined|todo|tbd|\[object object\])\s*$') "
        r"OR regexp_matches(text, '(?i)lorem ipsum dolor|\{\{ ?[a-z_.]{1,40} ?\}\}')",
        "{count} texts ({share}) hold a placeholder in place of content", "drop them, or fill the template anew",
        grade(medium=0.001, high=0.05),
    )  # fmt: skip
