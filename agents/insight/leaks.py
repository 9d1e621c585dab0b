"""Checks of leaks: eval items, canaries, secrets and personal data, splits that overlap.

What a scorer measures is read from its column. Where that was not scored, secrets and personal data are looked for in a
sample of the rows, and the finding says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from agents.insight.look import SAMPLES, Finding, Flag, Look, check, grade, named, of_meta
from catalog.query.views import quoted

SCANNED = 20_000
"""Rows in which secrets and personal data are looked for where no column tells."""
GUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@check("eval_leak")
def eval_leak(look: Look) -> Iterator[Flag]:
    """Rows that hold half of an eval item's words or more, from the column of the leak check."""
    column = look.alias("eval_leak")
    if look.dataset.role == "eval":
        return
    if column is None:
        if any(held.role == "eval" for held in look.cat.datasets()):
            look.notes.append(f"eval leaks: not checked; run strata score {look.dataset.name} eval_overlap")
        return
    yield Flag(
        f"{quoted(column)} >= 0.5", "{count} rows hold half of an eval item or more",
        "training on them makes that eval worthless: drop them at promotion, and look which mixes served them",
        grade(medium=0.0, high=0.001), command="strata trace --eval EVAL",
    )  # fmt: skip


@check("eval_copy")
def eval_copy(look: Look) -> Iterator[Finding]:
    """Rows whose content is, to the letter, an item of a dataset of role eval."""
    if look.dataset.role == "eval":
        return
    for held in look.cat.datasets():
        if held.role != "eval":
            continue
        ref = quoted(f"{held.name}@v{held.head}")
        query = f"SELECT sample_id, content_id FROM {look.rows}\nWHERE content_id IN (SELECT content_id FROM {ref})"
        count, ids = look.ask(f"SELECT count(*), min(sample_id, {SAMPLES}) FROM ({query})")[0]
        if count:
            yield look.finding(
                f"{count:,} rows are items of the eval {held.name}", "high", count, query,
                "these are the exam questions: retract them", samples=tuple(ids or ()),
                command=f"strata score {look.dataset.name} eval_overlap",
            )  # fmt: skip


@check("canary")
def canary(look: Look) -> Iterator[Flag]:
    """Canary strings, by which benchmarks ask to be kept out of training (BIG-bench, arXiv:2206.04615)."""
    yield Flag(
        f"regexp_matches(text, '(?i)canary.{{0,60}}{GUID}|benchmark data should never appear in training')",
        "{count} rows hold the canary of a benchmark", "the page carries benchmark data: drop it, and its whole source if it "
        "comes from a copy of the benchmark", grade(medium=2, high=0.0),
    )  # fmt: skip


def _scored(look: Look, output: str, words: str, advice: str) -> Iterator[Flag]:
    column = look.alias(output)
    yield Flag(
        f"{quoted(str(column))} > 0", f"{{count}} rows ({{share}}) hold {words}, by the column {column}", advice,
        grade(medium=0.0, high=0.01) if output == "secrets_count" else grade(medium=0.01, high=0.2),
    )  # fmt: skip


def _sampled(look: Look, count: Callable[[Any], Any], scorer: str, words: str, advice: str) -> Iterator[Finding]:
    """Look into a sample: the rows of the smallest sample ids, which are hashes, so that it is a fair one."""
    import pyarrow as pa

    taken = f"SELECT sample_id, text FROM {look.rows}"
    if look.count > SCANNED:
        taken += f" WHERE sample_id < '{int(2**32 * SCANNED / look.count):08x}'"
    hits: list[str] = []
    seen = 0
    for batch in look.stream(taken):
        seen += batch.num_rows
        texts = batch.column("text").cast(pa.string())
        hits += [batch.column("sample_id")[at].as_py() for at, n in enumerate(count(texts)) if n]
    if not hits:
        return
    hits.sort()
    listed = ", ".join(f"'{one}'" for one in hits[:1000])
    whole = seen >= look.count
    yield look.finding(
        f"{len(hits):,} of {seen:,} rows {'' if whole else 'of a sample '}hold {words}", "high" if scorer == "secrets" else "low",
        len(hits), f"SELECT sample_id, left(text, 300) AS text FROM {look.rows}\nWHERE sample_id IN ({listed})", advice,
        shows="rows" if len(hits) <= 1000 else "figures", samples=tuple(hits[:SAMPLES]),
        command=f"strata score {look.dataset.name} {scorer}", detail={"sampled_rows": seen, "rows": look.count},
    )  # fmt: skip


@check("secrets")
def secrets(look: Look) -> Iterator[Flag | Finding]:
    """Keys, tokens and passwords: from the column where scored, else in a sample of at most 20,000 rows."""
    from flows.scorers.text.secrets import SIEVE, find_secrets

    words, advice = (
        "keys, tokens or passwords",
        "revoke what is live, then mask or drop: a model repeats what it has seen",
    )
    if look.alias("secrets_count"):
        yield from _scored(look, "secrets_count", words, advice)
        return
    import pyarrow.compute as pc

    def counted(texts: Any) -> list[int]:
        may = pc.match_substring_regex(texts, SIEVE).fill_null(False).to_pylist()
        return [len(find_secrets(texts[at].as_py())) if hit else 0 for at, hit in enumerate(may)]

    yield from _sampled(look, counted, "secrets", words, advice)


@check("personal_data")
def personal_data(look: Look) -> Iterator[Flag | Finding]:
    """Mail addresses, numbers of telephones, cards and accounts: from the column, else in a sample of 20,000 rows."""
    from flows.scorers.text.pii import count_pii

    words, advice = "personal data", "mask it at promotion (the pii edit), and check that the licence covers it"
    if look.alias("pii_count"):
        yield from _scored(look, "pii_count", words, advice)
        return
    yield from _sampled(look, lambda texts: sum(count_pii(texts).values()), "pii", words, advice)


@check("split_overlap")
def split_overlap(look: Look) -> Iterator[Finding]:
    """Content that stands in two splits of the dataset, as a key of meta or the source names them."""
    expressions = {f"meta.{named(key.name)}": of_meta(key.name) for key in look.named(r"_?(split|subset|fold|partition)")
                   if 2 <= key.distinct <= 20}  # fmt: skip
    if "source" in look.types:
        expressions["source"] = (
            r"nullif(regexp_extract(lower(source), '(^|[^a-z])(train|test|valid|validation|dev|eval)([^a-z]|$)', 2), '')"
        )
    for name, split in expressions.items():
        groups = (
            f"SELECT count(*) AS n, min(sample_id) AS id FROM {look.rows} WHERE {split} IS NOT NULL "
            f"GROUP BY content_id HAVING min({split}) <> max({split})"
        )
        count, ids = look.ask(f"SELECT coalesce(sum(n), 0)::BIGINT, max_by(id, n, {SAMPLES}) FROM ({groups})")[0]
        if count:
            query = (
                f"SELECT sample_id, content_id, {split} AS split FROM {look.rows} WHERE {split} IS NOT NULL\n"
                f"QUALIFY min({split}) OVER (PARTITION BY content_id) <> max({split}) OVER (PARTITION BY content_id)"
            )
            yield look.finding(
                f"{count:,} rows have a copy in another split ({name})", "high", count, query,
                "what was trained on is tested on: drop the copies from the training side", samples=tuple(ids or ()),
            )  # fmt: skip
