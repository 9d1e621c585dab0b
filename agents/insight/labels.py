"""Checks of languages and dates: what was declared beside what is there."""

from __future__ import annotations

from collections.abc import Iterator

from agents.insight.look import Flag, Look, check, grade, named, of_meta
from catalog.query.views import quoted

FEW = 0.05
SURE = 0.5
DATES = r"date|dates?_.*|.*_(date|at|time)|created|published|timestamp|year|time|updated"
EARLIEST = "1900"


@check("declared_language")
def declared_language(look: Look) -> Iterator[Flag]:
    """Rows whose declared language (a key of meta) is not the one that was measured."""
    column = look.alias("language")
    keys = list(look.named(r"_?(lang|language|locale|language_code|lang_code)"))
    if keys and column is None:
        look.notes.append(f"declared languages: not checked; run strata score {look.dataset.name} langid")
    for key in keys if column else ():
        said = f"regexp_extract(lower({of_meta(key.name)}), '^[a-z]{{2,3}}')"
        if set_of := look.ask(f"SELECT count(DISTINCT {said}) FROM {look.rows} WHERE length({of_meta(key.name)}) <= 7")[
            0
        ][0]:
            yield Flag(
                f"length({of_meta(key.name)}) BETWEEN 2 AND 7 AND {_sure(look, str(column))} AND length({said}) = "
                f"length({quoted(str(column))}) AND {said} <> {quoted(str(column))}",
                f"{{count}} rows ({{share}}) are declared in meta.{named(key.name)} as another language than was measured",
                "short texts mislead the measure; long ones are in the wrong pile: correct the label or drop them",
                grade(low=0.001, medium=0.02, high=0.2), detail={"declared_languages": set_of},
            )  # fmt: skip


def _sure(look: Look, column: str) -> str:
    """SQL of a measured language that can be trusted: known, of a text that is long enough, and confident."""
    confidence = look.alias("language_confidence")
    parts = [f"{quoted(column)} <> 'unknown'", "chars >= 40"]
    return " AND ".join(parts + ([f"{quoted(confidence)} >= {SURE}"] if confidence else []))


@check("stray_languages")
def stray_languages(look: Look) -> Iterator[Flag]:
    """Languages of less than 5 % of the rows each, in a dataset that is of one language for 80 % and more."""
    column = look.alias("language")
    if column is None:
        look.notes.append(f"language mix: not checked; run strata score {look.dataset.name} langid")
        return
    held = look.ask(
        f"SELECT {quoted(column)} AS l, count(*) AS n FROM {look.rows} WHERE {_sure(look, column)} GROUP BY 1 ORDER BY n DESC, 1"
    )
    total = sum(n for _, n in held)
    if len(held) > 1 and held[0][1] >= 0.8 * total:
        main = str(held[0][0])
        yield Flag(
            f"{_sure(look, column)} AND {quoted(column)} <> '{main}'",
            f"{{count}} rows ({{share}}) are in another language than {main}, which {held[0][1]:,} rows are in",
            "keep them on purpose or not at all: a few rows of a language are too few to learn and enough to confuse",
            grade(low=0.001, medium=0.02, high=2), detail={"languages": len(held)},
        )  # fmt: skip


def _dates(look: Look) -> Iterator[tuple[str, str]]:
    """(name, SQL of its value as text) of everything that names a time."""
    if "created" in look.types:
        yield "created", "created"
    for key in look.named(DATES):
        yield f"meta.{named(key.name)}", of_meta(key.name)


def _year(value: str) -> str:
    return f"TRY_CAST(regexp_extract({value}, '^\\s*([0-9]{{4}})([-/.T ]|$)', 1) AS INTEGER)"


@check("future_dates")
def future_dates(look: Look) -> Iterator[Flag]:
    """Dates after the day this version was published."""
    for name, value in _dates(look):
        yield Flag(
            f"{_year(value)} BETWEEN {int(look.day[:4]) + 1} AND 9999 OR "
            f"(TRY_CAST({value} AS DATE) > DATE '{look.day}' AND {_year(value)} IS NOT NULL)",
            f"{{count}} rows have a date in {name} after {look.day}, when this version was published",
            "a clock, a parser or somebody guessed: no split by time holds with such rows", grade(medium=0.0, high=0.1),
        )  # fmt: skip


@check("implausible_dates")
def implausible_dates(look: Look) -> Iterator[Flag]:
    """The first of January 1970, and years that no digital record has."""
    for name, value in _dates(look):
        known = look.ask(f"SELECT median({_year(value)}) FROM {look.rows}")[0][0]
        if known is None:
            continue
        old = f" OR {_year(value)} < {EARLIEST}" if known >= 1980 else ""
        yield Flag(
            f"{value} LIKE '1970-01-01%' OR {value} LIKE '0001-%' OR {value} LIKE '0000-%'{old}",
            f"{{count}} rows have a date in {name} that stands for none", "an empty date was written as the clock's zero: set it null",
            grade(medium=0.0, high=0.1),
        )  # fmt: skip
