"""Checks of repetition and of dominance: copies, ids that repeat, questions with two answers, one source above all."""

from __future__ import annotations

from collections.abc import Iterator

from agents.insight.look import SAMPLES, Finding, Look, check, named, of_meta

MOST = 0.9
LEAST = 50
DOMAIN = "nullif(regexp_extract(lower(url), '^[a-z][a-z0-9+.-]*://(?:www\\.)?([^/?#:]+)', 1), '')"


def _severity(count: int, rows: int) -> str:
    return "high" if count >= 0.1 * rows else "medium" if count >= 0.01 * rows else "low"


@check("duplicate_content")
def duplicate_content(look: Look) -> Iterator[Finding]:
    """Rows whose content another row has already."""
    count, query, ids = look.repeated("content_id")
    if count:
        yield look.finding(
            f"{count:,} rows repeat the content of another row", _severity(count, look.count), count, query,
            "exact copies weigh more in training than anybody decided: keep one of each at promotion",
            samples=ids, command=f"strata score {look.dataset.name} exact_dup",
        )  # fmt: skip


@check("duplicate_url")
def duplicate_url(look: Look) -> Iterator[Finding]:
    """Rows whose URL another row has already."""
    count, query, ids = look.repeated("url", "url <> ''")
    if count and count < look.count - 1:
        yield look.finding(
            f"{count:,} rows share their URL with an earlier row", "medium" if count < look.count / 2 else "low", count,
            query, "pages cut into chunks share a URL; else it is a page crawled twice: keep the newest", samples=ids,
        )  # fmt: skip


@check("duplicate_key")
def duplicate_key(look: Look) -> Iterator[Finding]:
    """An id in meta that nearly every row has for itself, but not all."""
    for key in look.named(r"_?(id|uuid|guid|idx|index|key|hash)|.*_(id|uuid)"):
        if key.filled < LEAST or key.distinct < 0.7 * key.filled:
            continue
        value = of_meta(key.name)
        count, query, ids = look.repeated(value, f"{value} <> ''")
        if count:
            yield look.finding(
                f"meta.{named(key.name)} looks like an id, and {count:,} rows repeat one", "medium", count, query,
                "two rows of one id: a file was read twice, or two exports were joined without renumbering", samples=ids,
            )  # fmt: skip


@check("two_answers", "chat", "task")
def two_answers(look: Look) -> Iterator[Finding]:
    """One question with two different answers."""
    asked, said = ("text", "answer") if look.dataset.kind == "task" else ("messages[:-2]::VARCHAR", str(look.last))
    groups = (
        f"SELECT count(*) AS n, min(sample_id) AS id FROM {look.rows} WHERE {said} IS NOT NULL "
        f"GROUP BY {asked} HAVING min({said}) <> max({said})"
    )
    count, ids = look.ask(f"SELECT coalesce(sum(n), 0)::BIGINT, max_by(id, n, {SAMPLES}) FROM ({groups})")[0]
    if count:
        query = (
            f"SELECT sample_id, {said} AS answer, text FROM {look.rows} WHERE {said} IS NOT NULL\n"
            f"QUALIFY min({said}) OVER (PARTITION BY {asked}) <> max({said}) OVER (PARTITION BY {asked})"
        )
        hard = look.dataset.kind == "task"
        yield look.finding(
            f"{count:,} rows ask what another row asks, and answer otherwise", "high" if hard else "low", count, query,
            "a verifier would reward one and punish the other: adjudicate or drop both" if hard
            else "several answers to one request may be meant (rollouts, styles); where they are not, keep the best",
            samples=tuple(ids or ()),
        )  # fmt: skip


def _dominated(look: Look, what: str, expression: str) -> Iterator[Finding]:
    counts = (
        f"SELECT value, count(*) AS rows FROM (SELECT {expression} AS value FROM {look.rows}) WHERE value IS NOT NULL "
        "GROUP BY 1 ORDER BY rows DESC, 1"
    )
    values, total, most, first = look.ask(
        f"SELECT count(*), sum(rows)::BIGINT, max(rows), arg_max(value, rows) FROM ({counts})"
    )[0]
    if values and values > 1 and total >= LEAST and most >= MOST * total:
        private = what.startswith("meta.")  # its values are text of samples
        yield look.finding(
            f"one {what}{'' if private else ', ' + named(str(first)) + ','} has {most:,} of the {total:,} rows that name one "
            f"({values:,} in all)", "low", most, counts,
            f"a mix of this dataset is a mix of one {what}: cap it, or find more of the others", shows="figures",
            detail={"values": values, "share": round(most / total, 4)}, quote=str(first)[:200] if private else None,
        )  # fmt: skip


@check("one_source")
def one_source(look: Look) -> Iterator[Finding]:
    """One of several sources has 90 % of the rows or more."""
    yield from _dominated(look, "source", "source")
    for key in look.named(r"_?(source|origin|corpus|site|publisher|dataset)"):
        if 1 < key.distinct <= 10_000:
            yield from _dominated(look, f"meta.{named(key.name)}", f"nullif({of_meta(key.name)}, '')")


@check("one_domain")
def one_domain(look: Look) -> Iterator[Finding]:
    """One of several web domains has 90 % of the rows or more."""
    yield from _dominated(look, "domain", DOMAIN)


@check("one_licence")
def one_licence(look: Look) -> Iterator[Finding]:
    """One of several licences has 90 % of the rows or more."""
    yield from _dominated(look, "licence", "nullif(licence, '')")
