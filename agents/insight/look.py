"""What a check of `agents.insight` is given, and what it gives back.

A check is one function with the decorator `check`. It yields flags, which are conditions over rows: all of them are counted
in one shared pass over every row; or findings that it counted itself. Whatever it asks, it asks in read-only SQL over the
version's rows, so that a reader can ask the same.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from catalog.query.engine import Request, one_line
from catalog.query.statements import parse
from catalog.query.views import open_view, quoted
from catalog.where import where_columns

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved
    from catalog.meta.models import ColumnRecord, Selection

SEVERITIES = ("high", "medium", "low")
SAMPLES = 5
LABEL = 64
"""Characters of a name (of a field, a source, a domain) that a title may hold."""
KEYS = 200
"""Keys of `meta` that are looked at, the commonest first."""

Grade = Callable[[int, int], str | None]
"""(rows concerned, rows) -> severity, None where that is nothing to speak of."""


def grade(low: float = 0.0, medium: float = 0.01, high: float = 0.1, least: int = 1) -> Grade:
    """By share of the rows: from `low` on low, and so on; nothing below `least` rows. A level above one is never given."""

    def graded(count: int, rows: int) -> str | None:
        share = count / rows if rows else 0.0
        if count < least or share < low:
            return None
        return "high" if share >= high else "medium" if share >= medium else "low"

    return graded


@dataclass(frozen=True)
class Flag:
    """Rows for which an SQL condition holds. title: of the finding, with {count} and {share}. quote: sample text."""

    where: str
    title: str
    advice: str
    grade: Grade
    command: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    quote: str | None = None


@dataclass(frozen=True)
class Finding:
    """Something odd: counted over all rows, with the query that shows it.

    shows: "rows": the query gives the `count` rows concerned, one each; "figures": the numbers behind the finding.
    quote: sample text that a reader recognises it by; it stays out of all that leaves this machine. samples: ids.
    """

    check: str
    title: str
    severity: str
    count: int
    rows: int
    query: str
    advice: str
    shows: str = "rows"
    samples: tuple[str, ...] = ()
    command: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    quote: str | None = None


class Check(NamedTuple):
    name: str
    function: Callable[[Look], Iterable[Flag | Finding]]
    doc: str
    kinds: tuple[str, ...]


CHECKS: dict[str, Check] = {}


def check(name: str, *kinds: str) -> Callable[[Callable[[Look], Iterable[Flag | Finding]]], Any]:
    """Declare a check; kinds: of datasets that it is for (none named: all)."""

    def decorate(function: Callable[[Look], Iterable[Flag | Finding]]) -> Any:
        CHECKS[name] = Check(name, function, (inspect.getdoc(function) or "").partition("\n\n")[0], kinds)
        return function

    return decorate


class Key(NamedTuple):
    """A key of `meta`, over all rows. filled: rows where it is neither null nor ""; distinct: about."""

    name: str
    rows: int
    filled: int
    constant: bool
    distinct: int
    texts: int
    numbers: int


class Look:
    """One dataset version, or the rows of a selection, as checks see it."""

    def __init__(self, cat: Catalog, found: Resolved, selection: Selection | None = None, memory: str = "2GB") -> None:
        self.cat, self.found, self.dataset = cat, found, found.dataset
        view = open_view(cat, found.ref)
        self.types = {name: str(kind) for name, kind in view.types().items()}
        self.computed: dict[str, ColumnRecord] = {c.alias: c for c in cat.columns(found.dataset.name)}
        self.rows = quoted(found.ref)
        if selection is not None:
            self.rows = f"(SELECT * FROM {self.rows} WHERE {self._condition(selection)})"
        self.notes: list[str] = []
        self.checked = ""
        self._keys: list[Key] | None = None
        self.request = Request(cat, memory)
        self.count: int = self.ask(f"SELECT count(*) FROM {self.rows}")[0][0]

    def _condition(self, selection: Selection) -> str:
        if selection.missing != "keep":
            return f"({selection.where})"
        used = where_columns(selection.where, set(self.types), self.dataset.name) & set(self.computed)
        return " OR ".join([f"({selection.where})", *(f"{quoted(name)} IS NULL" for name in sorted(used))])

    def ask(self, query: str) -> list[tuple]:
        """Rows of one read-only statement over this version and any other dataset that it names."""
        with one_line(self.request):
            self.request.register(parse(self.request.con, query))
            return self.request.con.sql(query).fetchall()

    def stream(self, query: str) -> Iterator[Any]:
        """Record batches of a statement."""
        with one_line(self.request):
            self.request.register(parse(self.request.con, query))
            yield from self.request.con.sql(query).to_arrow_reader(10_000)

    def close(self) -> None:
        self.request.close()

    @property
    def day(self) -> str:
        """The day this version was published: nothing in it can be younger."""
        return (self.found.version.created if self.found.version else self.dataset.created)[:10]

    @property
    def last(self) -> str | None:
        """SQL of what a model is to learn to answer: the last turn, or the chosen one; None for other kinds."""
        column = {"chat": "messages", "preference": "chosen"}.get(self.dataset.kind)
        return f"{column}[-1].content" if column else None

    def alias(self, output: str, type_prefix: str = "") -> str | None:
        """The column of a scorer's output, by the name users write."""
        found = [name for name, held in self.computed.items() if held.output == output and name in self.types]
        return next((name for name in found if self.types[name].startswith(type_prefix)), None)

    def meta_keys(self) -> list[Key]:
        """What is known of each key of `meta`, read once."""
        if self._keys is None:
            found = self.ask(
                "SELECT e.key, count(*), count(*) FILTER (e.type <> 'NULL' AND e.value::VARCHAR NOT IN ('\"\"', '[]', '{}')), "
                "min(hash(e.value)) = max(hash(e.value)), approx_count_distinct(hash(e.value)), "
                "count(*) FILTER (e.type = 'VARCHAR'), count(*) FILTER (e.type IN ('UBIGINT', 'BIGINT', 'DOUBLE')) "
                f"FROM {self.rows} r, json_each(r.meta) e GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {KEYS + 1}"
            )
            if len(found) > KEYS:
                self.notes.append(f"meta has more than {KEYS} keys; the {KEYS} commonest were looked at")
            self._keys = [Key(*row) for row in found[:KEYS] if '"' not in row[0] and "\\" not in row[0]]
        return self._keys

    def named(self, pattern: str) -> Iterator[Key]:
        """Keys of `meta` whose name is like the pattern."""
        yield from (key for key in self.meta_keys() if re.fullmatch(pattern, key.name, re.IGNORECASE))

    def finding(self, title: str, severity: str, count: int, query: str, advice: str, **more: Any) -> Finding:
        """A finding that the check counted itself."""
        return Finding(self.checked, title, severity, count, self.count, query, advice, **more)

    def repeated(self, key: str, where: str = "true") -> tuple[int, str, tuple[str, ...]]:
        """Rows beyond the first of each value of a key: how many, the query that gives them, ids of the commonest."""
        groups = f"SELECT count(*) AS n, max(sample_id) AS id FROM {self.rows} WHERE {where} GROUP BY {key} HAVING count(*) > 1"
        surplus, ids = self.ask(f"SELECT coalesce(sum(n - 1), 0)::BIGINT, max_by(id, n, {SAMPLES}) FROM ({groups})")[0]
        query = (
            f"SELECT sample_id, {key} AS repeated FROM {self.rows} WHERE {where}\n"
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY sample_id) > 1"
        )
        return surplus, query, tuple(ids or ())


def count_flags(look: Look, flags: list[tuple[str, Flag]]) -> list[Finding]:
    """Every flag counted in one pass over all rows, with the smallest sample ids that it holds for."""
    if not flags:
        return []
    parts = [f"count(*) FILTER ({flag.where}), min(sample_id, {SAMPLES}) FILTER ({flag.where})" for _, flag in flags]
    (held,) = look.ask(f"SELECT {', '.join(parts)} FROM {look.rows}")
    found = []
    for at, (name, flag) in enumerate(flags):
        count, ids = held[2 * at], held[2 * at + 1]
        if (severity := flag.grade(count, look.count)) is not None and count:
            share = f"{count / look.count:.1%}"
            title = flag.title.replace("{count}", f"{count:,}").replace("{share}", share)
            query = f"SELECT sample_id, chars, left(text, 300) AS text FROM {look.rows}\nWHERE {flag.where}"
            found.append(
                Finding(
                    name,
                    title,
                    severity,
                    count,
                    look.count,
                    query,
                    flag.advice,
                    samples=tuple(ids or ()),
                    command=flag.command,
                    detail=flag.detail,
                    quote=flag.quote,
                )
            )
    return found


def literal(value: str) -> str:
    """A string of SQL."""
    return "'" + value.replace("'", "''") + "'"


def of_meta(key: str) -> str:
    """SQL of a key of `meta`, as text."""
    path = literal(f'$."{key}"')
    return f"json_extract_string(meta, {path})"


ONE = re.compile(r"^1 (row|text|answer|prompt|pair|conversation)s((?: \([^)]*\))?) ([a-z]+)\b(?: their\b)?")
VERBS = {"are": "is", "have": "has"}


def said(title: str) -> str:
    """A title whose count is one, in the singular."""
    if match := ONE.match(title):
        verb = VERBS.get(match[3], match[3] + "s")
        their = " its" if match[0].endswith(" their") else ""
        return f"1 {match[1]}{match[2]} {verb}{their}" + title[match.end() :]
    return title


def named(value: str) -> str:
    """A name of somebody's, short enough for a title."""
    clean = " ".join(value.split())
    return clean if len(clean) <= LABEL else clean[: LABEL - 1] + "…"
