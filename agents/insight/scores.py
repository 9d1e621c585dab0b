"""Checks of computed columns and of row order: scores that measure length, holes, stale columns, drift along the file."""

from __future__ import annotations

from collections.abc import Iterator

from agents.insight.answers import LABELS
from agents.insight.look import Finding, Look, check, named, of_meta
from catalog.query.views import quoted

LENGTH = 0.9
SIZES = ("tokens", "word_count", "chars", "bytes")
BLOCKS = 20
DRIFT = 0.2
"""Share of the variance between blocks of the file from which on rows lie in an order."""


def _numeric(look: Look) -> Iterator[tuple[str, str]]:
    """(alias, scorer) of columns of numbers that are no counts of length themselves."""
    for name, held in look.computed.items():
        kind = look.types.get(name, "")
        if kind.startswith(("int", "uint", "float", "double", "halffloat")) and held.output not in SIZES:
            yield name, held.scorer


@check("score_is_length")
def score_is_length(look: Look) -> Iterator[Finding]:
    """A score whose rank correlation with the characters of the text is 0.9 and more, or -0.9 and less."""
    for name, _ in _numeric(look):
        column = look.computed[name]
        stored = (column.statistics.get("length_correlation") or {}).get("spearman")
        if stored is None or abs(stored) < LENGTH or column.statistics.get("distinct") in (0, 1):
            continue
        query = (
            f"SELECT corr(score, length) AS spearman, count(*) AS rows FROM (SELECT rank() OVER (ORDER BY {quoted(name)}) AS score, "
            f"rank() OVER (ORDER BY chars) AS length FROM {look.rows} WHERE isfinite({quoted(name)}::DOUBLE))"
        )
        measured, rows = look.ask(query)[0]
        if measured is None or abs(measured) < LENGTH:
            continue
        yield look.finding(
            f"{named(name)} follows the length of the text: rank correlation {measured:.2f}", "medium", rows, query,
            "a threshold on it is a threshold on length: divide by length, or hold length fixed", shows="figures",
            command=f"strata confounds {look.dataset.name} {name}", detail={"spearman": round(measured, 4)},
        )  # fmt: skip


@check("coverage")
def coverage(look: Look) -> Iterator[Finding]:
    """A computed column that some rows lack."""
    seen: set[str] = set()
    for name, held in look.computed.items():
        if held.scorer in seen or name not in look.types or held.scope == "population":
            continue
        state = next((s for s in (f"{held.scorer}_state", f"{name}_state") if s in look.types), None)
        if state is None:
            continue
        query = f"SELECT sample_id, {quoted(state)} AS state FROM {look.rows}\nWHERE {quoted(state)} IS NULL OR {quoted(state)} IN (4, 5)"
        count, ids, failed = look.ask(
            f"SELECT count(*), min(sample_id, 5), count(*) FILTER (state = 4) FROM ({query})"
        )[0]
        if count:
            seen.add(held.scorer)
            yield look.finding(
                f"{named(name)} covers {look.count - count:,} of {look.count:,} rows"
                + (f"; {failed:,} failed" if failed else ""),
                "medium" if count < look.count else "low", count, query,
                "filters over it are refused or drop rows in silence: score the rest",
                samples=tuple(ids or ()), command=f"strata score {look.dataset.name} {held.scorer}",
            )  # fmt: skip


@check("stale_column")
def stale_column(look: Look) -> Iterator[Finding]:
    """A column that was computed from another version's rows as a whole (ranks, clusters, duplicates)."""
    head = f"{look.dataset.name}@v{look.dataset.head}"
    for name, held in look.computed.items():
        if held.scope != "population" or not held.population or held.population == head:
            continue
        made = held.population
        if made.partition("@")[0] != look.dataset.name or name not in look.types:
            continue
        query = (
            "SELECT alias, scorer, population, covered FROM strata.columns\n"
            f"WHERE dataset = '{look.dataset.name}' AND alias = '{name}'"
        )
        yield look.finding(
            f"{named(name)} was computed over {made}; the newest version is {head}", "medium", look.count, query,
            "it knows nothing of the rows since: compute it again", shows="figures",
            command=f"strata score {look.dataset.name} {held.scorer}",
        )  # fmt: skip


@check("constant_score")
def constant_score(look: Look) -> Iterator[Finding]:
    """A score that is the same number for every row."""
    for name, scorer in _numeric(look):
        facts = look.computed[name].statistics
        if (
            look.count < 50
            or facts.get("count", 0) < 50
            or facts.get("min") != facts.get("max")
            or facts.get("min") is None
        ):
            continue
        if facts["min"] == 0 and (scorer in ("secrets", "eval_overlap") or scorer.startswith(("pii", "bad_words"))):
            continue  # nothing found is good news
        yield look.finding(
            f"{named(name)} is {facts['min']:g} in every row", "low", facts["count"],
            f"SELECT {quoted(name)}, count(*) AS rows FROM {look.rows} GROUP BY ALL ORDER BY rows DESC",
            "it tells no row from another: look at its parameters, or drop it", shows="figures",
        )  # fmt: skip


def _blocks(look: Look) -> str:
    """Rows with the place of each in its file, in twentieths."""
    return (
        f"SELECT *, least({BLOCKS - 1}, ((row_line - first) * {BLOCKS}) // greatest(last - first + 1, 1)) AS block FROM "
        "(SELECT *, line AS row_line, min(line) OVER (PARTITION BY file) AS first, max(line) OVER (PARTITION BY file) AS last "
        f"FROM (SELECT file, line, chars, meta, source FROM {look.rows}) WHERE line IS NOT NULL)"
    )


@check("length_drift")
def length_drift(look: Look) -> Iterator[Finding]:
    """Texts that grow longer or shorter along the file: a fifth of the variance of length lies between its twentieths."""
    if look.count < 200:
        return
    query = f"SELECT block, count(*) AS rows, avg(ln(1 + chars)) AS log_chars, median(chars) AS chars FROM ({_blocks(look)}) GROUP BY 1 ORDER BY 1"
    share, first, last = look.ask(
        "SELECT var_pop(m) / nullif(max(v), 0), arg_min(m, block), arg_max(m, block) FROM (SELECT block, avg(ln(1 + chars)) "
        f"OVER (PARTITION BY block) AS m, var_pop(ln(1 + chars)) OVER () AS v FROM ({_blocks(look)}))"
    )[0]
    if share is not None and share >= DRIFT:
        yield look.finding(
            f"length drifts along the file: {share:.0%} of its variance lies between twentieths of it", "low", look.count, query,
            "a pass in file order sees short and long texts apart, and the first N rows are no fair sample: shuffle",
            shows="figures", detail={"between": round(share, 4), "first": first, "last": last},
        )  # fmt: skip


@check("sorted_by_label")
def sorted_by_label(look: Look) -> Iterator[Finding]:
    """Rows that lie sorted by a label of meta along the file: Cramér's V of label and twentieth is 0.6 and more."""
    if look.count < 200:
        return
    for key in look.named(LABELS):
        if key.filled < 0.5 * look.count or not 2 <= key.distinct <= 20:
            continue
        cells = f"SELECT {of_meta(key.name)} AS label, block, count(*) AS n FROM ({_blocks(look)}) GROUP BY ALL"
        held = [row for row in look.ask(cells) if row[0] is not None]
        value = _cramer(held)
        if value >= 0.6:
            yield look.finding(
                f"rows lie sorted by meta.{named(key.name)}: Cramér's V with the place in the file is {value:.2f}", "low",
                look.count, f"{cells} ORDER BY block, n DESC",
                "batches of one label at a time, and the first N rows have few labels: shuffle before training or sampling",
                shows="figures", detail={"cramers_v": round(value, 4)},
            )  # fmt: skip


def _cramer(cells: list[tuple[str, int, int]]) -> float:
    """Cramér's V of a contingency table (Cramér 1946)."""
    import numpy as np

    rows, columns = (sorted({cell[at] for cell in cells}) for at in (0, 1))
    if len(rows) < 2 or len(columns) < 2:
        return 0.0
    table = np.zeros((len(rows), len(columns)))
    for label, block, n in cells:
        table[rows.index(label), columns.index(block)] += n
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    squared = ((table - expected) ** 2 / expected).sum()
    return float((squared / table.sum() / (min(table.shape) - 1)) ** 0.5)
