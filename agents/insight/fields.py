"""Checks of fields: empty, constant, of two types, without a licence."""

from __future__ import annotations

from collections.abc import Iterator

from agents.insight.look import Finding, Flag, Look, check, grade, named, of_meta

FIELDS = ("url", "author", "created", "licence", "answer", "verifier", "tools")
NEARLY = 0.95
LEAST = 20
"""Rows below which a share says nothing."""


def _nearly(count: int, rows: int) -> str | None:
    return "medium" if rows >= LEAST and NEARLY <= count / rows < 1 else None


@check("near_empty_field")
def near_empty_field(look: Look) -> Iterator[Flag]:
    """A sample field that 95 % of the rows or more leave empty, but not all."""
    for name in FIELDS:
        if name in look.types:
            yield Flag(
                f"coalesce({name}, '') = ''", f"{name} is empty in {{count}} rows ({{share}})",
                f"fill {name} at the source or leave it out of the mapping: what so few rows have cannot be filtered by",
                _nearly,
            )  # fmt: skip


@check("near_empty_meta")
def near_empty_meta(look: Look) -> Iterator[Flag]:
    """A key of meta that 95 % of the rows or more lack or leave empty, but not all."""
    for key in look.meta_keys():
        if key.filled and look.count >= LEAST and 1 - key.filled / look.count >= NEARLY:
            yield Flag(
                f"coalesce({of_meta(key.name)}, '') IN ('', '[]', '{{}}')",
                f"meta.{named(key.name)} is empty in {{count}} rows ({{share}})",
                "a key of so few rows often comes from one file of many, or from a broken join: look where it is filled",
                _nearly,
            )


@check("constant_field")
def constant_field(look: Look) -> Iterator[Finding]:
    """A URL, author or date that every row shares."""
    names = [name for name in ("url", "author", "created", "answer") if name in look.types]
    parts = ", ".join(f"count(nullif({n}, '')), min({n}) = max({n})" for n in names)
    held = look.ask(f"SELECT {parts} FROM {look.rows}")[0]
    for at, name in enumerate(names):
        if look.count >= LEAST and held[2 * at] == look.count and held[2 * at + 1]:
            yield look.finding(
                f"{name} is the same in every row", "medium" if name in ("url", "answer") else "low", look.count,
                f"SELECT {name}, count(*) AS rows FROM {look.rows} GROUP BY ALL ORDER BY rows DESC",
                "a value that never varies tells nothing of a row: it belongs to the dataset, or the mapping read the "
                "wrong column", shows="figures",
            )  # fmt: skip


@check("constant_meta")
def constant_meta(look: Look) -> Iterator[Finding]:
    """A key of meta that every row has with one value."""
    for key in look.meta_keys():
        if look.count >= LEAST and key.filled == look.count and key.constant:
            value = of_meta(key.name)
            yield look.finding(
                f"meta.{named(key.name)} is the same in every row", "low", look.count,
                f"SELECT {value} AS value, count(*) AS rows FROM {look.rows} GROUP BY ALL ORDER BY rows DESC",
                "a value that never varies tells nothing of a row; where it should vary, a join or an export broke",
                shows="figures",
            )  # fmt: skip


@check("mixed_types")
def mixed_types(look: Look) -> Iterator[Flag]:
    """A key of meta that is a number in some rows and text in others."""
    for key in look.meta_keys():
        few, kind = min((key.numbers, "a number"), (key.texts, "text"))
        if few and look.count >= LEAST:
            kinds = "('UBIGINT', 'BIGINT', 'DOUBLE')" if kind == "a number" else "('VARCHAR')"
            path = of_meta(key.name).replace("json_extract_string", "json_extract")
            yield Flag(
                f"json_type({path}) IN {kinds}", f"meta.{named(key.name)} is {kind} in {{count}} rows, else the other",
                "one type a field: readers and filters compare 10 and '10' differently", grade(medium=0.0, high=2),
            )  # fmt: skip


@check("no_licence")
def no_licence(look: Look) -> Iterator[Flag]:
    """Rows without a licence."""
    if not look.dataset.licence:
        yield Flag(
            "coalesce(licence, '') = ''", "{count} rows ({share}) name no licence, and the dataset declares none",
            "find the licence and its evidence at the source; a mix that declares its use will not take such rows",
            grade(medium=0.0, high=2), command=f"strata card {look.dataset.name}",
        )  # fmt: skip
