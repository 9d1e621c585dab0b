"""Checks of length: nothing there, far too much, and many rows of exactly one length."""

from __future__ import annotations

from collections.abc import Iterator

from agents.insight.look import Flag, Look, check, grade

FAR = 6 * 1.4826
"""Six standard deviations of a normal distribution, in median absolute deviations (Rousseeuw and Croux 1993)."""
NARROWEST = 0.1
NEAR = 0.05
"""Lengths around a length that it is compared with: so large a share of it above and below."""
TIMES = 10
SHORTEST = 64


@check("near_empty_text")
def near_empty_text(look: Look) -> Iterator[Flag]:
    """Texts of fewer than ten characters, or of nothing but white space."""
    yield Flag(
        r"coalesce(chars, 0) < 10 OR NOT regexp_matches(text, '\S')", "{count} texts ({share}) hold next to nothing",
        "drop them at promotion: chars >= 10", grade(medium=0.01, high=0.1),
    )  # fmt: skip


@check("length_outliers")
def length_outliers(look: Look) -> Iterator[Flag]:
    """Texts whose length lies six robust standard deviations above the middle, on a log scale."""
    middle, spread = look.ask(f"SELECT median(ln(1 + chars)), mad(ln(1 + chars)) FROM {look.rows} WHERE chars >= 10")[0]
    if middle is None or look.count < 20:
        return
    limit = int(2.718281828459045 ** min(middle + FAR * max(spread, NARROWEST), 30.0))
    yield Flag(
        f"chars > {limit}", f"{{count}} texts are longer than {limit:,} characters, far from the middle of "
        f"{2.718281828459045**middle:,.0f}", "look whether files were glued together or logs crept in; cut or cap them",
        grade(medium=0.01, high=2), detail={"limit": limit, "median": round(2.718281828459045**middle)},
    )  # fmt: skip


@check("length_spikes")
def length_spikes(look: Look) -> Iterator[Flag]:
    """Many different texts of exactly one length: the mark of a cut at a limit."""
    measures = [("chars", "characters")]
    tokens = look.alias("tokens")
    measures += [(tokens, "tokens")] if tokens else []
    for column, unit in measures:
        held = dict(look.ask(f"SELECT {column}, count(*) FROM {look.rows} WHERE {column} >= {SHORTEST} GROUP BY 1"))
        floor = max(10, 0.005 * look.count)
        tall = [(n, length) for length, n in held.items() if n >= floor and n >= TIMES * _around(held, length)]
        for _, length in sorted(tall, reverse=True)[:3]:
            where = f"{column} = {length}"
            if look.ask(f"SELECT count(DISTINCT content_id) FROM {look.rows} WHERE {where}")[0][0] < floor:
                continue  # copies of one text
            longest = length == max(held)
            yield Flag(
                where, f"{{count}} texts have exactly {length:,} {unit}"
                + (", and none has more" if longest else f", {TIMES} times more than lengths near it"),
                "texts cut at a limit end in the middle of a sentence: get the whole ones, or drop the stumps",
                grade(medium=0.0, high=0.05), detail={"length": length, "unit": unit},
            )  # fmt: skip


def _around(held: dict[int, int], length: int) -> float:
    """Rows of a length near this one, on average; at least a tenth, so that an empty neighbourhood is no division."""
    reach = max(8, int(NEAR * length))
    near = sum(held.get(at, 0) for at in range(length - reach, length + reach + 1)) - held[length]
    return max(near / (2 * reach), 0.1)
