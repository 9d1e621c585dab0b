"""Checks of tasks and labels: answers that stand in the prompt, positions and labels that give themselves away."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from agents.insight.look import Finding, Flag, Look, check, grade, literal, named, of_meta

LABELS = r"labels?|class(es)?|category|categories|target|sentiment|rating|topic|verdict|is_[a-z_]+|has_[a-z_]+"
NO_CHOICES = "(choices IS NULL OR len(choices) = 0)"


@check("answer_in_prompt", "task")
def answer_in_prompt(look: Look) -> Iterator[Flag]:
    """Free answers of eight characters and more that stand word for word in their prompt."""
    yield Flag(
        f"{NO_CHOICES} AND length(trim(answer)) >= 8 AND NOT regexp_matches(answer, '^[0-9., /-]*$') "
        "AND contains(lower(text), lower(trim(answer)))",
        "{count} answers ({share}) stand in their prompt", "meant where answers are extracted from a passage; else the prompt "
        "leaks the solution, and what is measured is copying", grade(medium=0.0, high=0.05),
    )  # fmt: skip


@check("answer_announced", "task")
def answer_announced(look: Look) -> Iterator[Flag]:
    """Prompts that say "answer: X", where X is the answer."""
    where = " OR ".join(
        f"contains(lower(text), {literal(words)} || lower(trim(answer)))"
        for words in ("answer: ", "answer is ", "#### ")
    )
    yield Flag(
        f"trim(answer) <> '' AND ({where})", "{count} prompts ({share}) announce their answer",
        "the solution was left in the prompt: cut it where the mapping joins the fields", grade(medium=0.0, high=0.01),
    )  # fmt: skip


def _letters(look: Look) -> list[tuple[str, int]]:
    return look.ask(
        f"SELECT upper(answer) AS letter, count(*) AS n FROM {look.rows} WHERE len(choices) > 1 "
        "AND regexp_matches(answer, '^[A-Za-z]$') GROUP BY 1 ORDER BY n DESC, 1"
    )


@check("option_position", "task")
def option_position(look: Look) -> Iterator[Finding]:
    """The right option stands far more often in one place than chance would put it there."""
    held = _letters(look)
    total = sum(n for _, n in held)
    if total < 50:
        return
    expected, odd = look.ask(
        f"SELECT avg(1 / len(choices)), avg(1 / len(choices) * (1 - 1 / len(choices))) FROM {look.rows} "
        "WHERE len(choices) > 1 AND regexp_matches(answer, '^[A-Za-z]$')"
    )[0]
    letter, most = held[0]
    if most / total >= 1.25 * expected and most / total - expected >= 5 * sqrt(odd / total):
        yield look.finding(
            f"option {letter} is right in {most:,} of {total:,} questions; chance would make it {expected:.1%}",
            "high" if most / total >= 2 * expected else "medium", most,
            f"SELECT answer, count(*) AS rows FROM {look.rows} WHERE len(choices) > 1 GROUP BY ALL ORDER BY rows DESC",
            "who always says that letter scores above chance: shuffle the options with a fixed seed", shows="figures",
            detail={"expected": round(expected, 4), "share": round(most / total, 4)},
        )  # fmt: skip


@check("option_length", "task")
def option_length(look: Look) -> Iterator[Finding]:
    """The right option is the longest far more often than chance would have it."""
    chosen = "length(choices[ascii(upper(answer)) - 64])"
    longest = "list_max([length(choices[1]), length(choices[2]), length(choices[3]), length(choices[4])])"
    query = (
        f"SELECT count(*) FILTER ({chosen} = {longest}) AS right_is_longest, count(*) AS questions FROM {look.rows}\n"
        "WHERE len(choices) BETWEEN 3 AND 4 AND regexp_matches(answer, '^[A-Da-d]$')"
    )
    hits, total = look.ask(query)[0]
    if total >= 50 and hits / total >= 0.55:
        yield look.finding(
            f"the right option is the longest in {hits:,} of {total:,} questions", "medium", hits, query,
            "length gives the answer away: rewrite the wrong options, or report scores beside this baseline", shows="figures",
        )  # fmt: skip


@check("label_skew")
def label_skew(look: Look) -> Iterator[Finding]:
    """A label in meta of which one value has 90 % of the rows or more."""
    for key in look.named(LABELS):
        if key.filled < 50 or not 2 <= key.distinct <= 50:
            continue
        value = of_meta(key.name)
        query = f"SELECT {value} AS label, count(*) AS rows FROM {look.rows} WHERE {value} <> '' GROUP BY ALL ORDER BY rows DESC"
        held = look.ask(query)
        total = sum(rows for _, rows in held)
        if len(held) > 1 and held[0][1] >= 0.9 * total:
            yield look.finding(
                f"one value of meta.{named(key.name)} has {held[0][1]:,} of {total:,} rows ({len(held)} values in all)", "medium",
                held[0][1], query, "a classifier that always says so looks good: balance it, or report by label", shows="figures",
                quote=str(held[0][0])[:200],
            )  # fmt: skip
