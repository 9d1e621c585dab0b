"""Quality rules tried on all rows: thresholds of several columns at once, each with lines of their own for some languages.

A deck holds what the rules read (values, labels as codes, weights, row ids), from one scan of the stored columns; moving a
threshold counts again on the deck, without a scan. What it keeps is what a selection of `rules_where` would hold. Past
`DECK_ROWS` no deck is made, because it would hold something of every row: `catalog.explore.explore` counts there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.explore import EXCERPT, columns_of, explore, is_number, weight_of

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved

DECK_ROWS = 4_000_000
OPERATORS = (">=", "<=", ">", "<")
HOLDS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
LISTED = 12
MOST = 16
"""Rules at once: a deck holds a number of every row for each column."""


@dataclass(frozen=True)
class Rule:
    """Rows are kept where the column is on this side of the line; languages: (language, line of its own)."""

    column: str
    operator: str
    line: float
    languages: tuple[tuple[str, float], ...] = ()


def write_rules(rules: Sequence[Rule]) -> str:
    """ "quality>=0.4,de:0.3|word_count<900", as an address keeps it."""
    parts = []
    for rule in rules:
        own = "".join(f",{language}:{line!r}" for language, line in rule.languages)
        parts.append(f"{rule.column}{rule.operator}{rule.line!r}{own}")
    return "|".join(parts)


def parse_rules(text: str) -> list[Rule]:
    """What `write_rules` wrote, or people write: "quality >= 0.4, de: 0.3 | word_count < 900"."""
    made = []
    for part in filter(None, (part.strip() for part in text.split("|"))):
        found = re.fullmatch(r"([^<>=]+)(<=|>=|<|>)([^,]+)((?:,[^,:]+:[^,:]+)*)", part)
        try:
            if not found:
                raise ValueError(part)
            own = [item.rsplit(":", 1) for item in filter(None, found[4].split(","))]
            lines = tuple((language.strip(), float(line)) for language, line in own)
            made.append(Rule(found[1].strip(), found[2], float(found[3]), lines))
        except ValueError:
            raise BadInput(
                f'the rule {part[:60]!r} cannot be read; write "column>=0.4" or "column>=0.4,de:0.3"'
            ) from None
    return made


def try_rules(
    cat: Catalog,
    ref: str,
    rules: Sequence[Rule | str],
    *,
    missing: str = "error",
    examples: int = 20,
    hold: Callable[[tuple[str, ...]], Deck] | None = None,
) -> dict[str, Any]:
    """What rules would keep together of all rows of a version, as a selection of the same WHERE would; changes nothing.

    rules: `Rule`s, or as `parse_rules` reads them. The report is that of `preview`, with "notes" on what has no effect.
    Up to DECK_ROWS rows it is counted on a deck (hold: where the caller keeps decks, by columns), beyond by scans.
    """
    check(cat, "read", ref)
    found = cat.resolve(ref)
    asked = [one for rule in rules for one in (parse_rules(rule) if isinstance(rule, str) else [rule])]
    if not 0 < len(asked) <= MOST:
        raise BadInput(f'give 1 to {MOST} rules, not {len(asked)}, for example "word_count >= 60"')
    columns = tuple(sorted({rule.column for rule in asked}))
    language, whole = _read_by(cat, found, columns)
    where = rules_where(asked, language, whole)
    if missing not in ("drop", "keep"):
        cat.predicate(found.ref, where, missing)  # refuses, and names the columns that have holes
    rows = found.version.rows if found.version else 0
    if rows <= DECK_ROWS:
        held = hold(columns) if hold else deck(cat, found.ref, columns)
        return preview(cat, held, asked, missing=missing, examples=examples)
    return _scanned(cat, found, asked, (language, whole), missing, examples)


def _scanned(
    cat: Catalog,
    found: Resolved,
    rules: Sequence[Rule],
    by: tuple[str | None, frozenset[str]],
    missing: str,
    wanted: int,
) -> dict[str, Any]:
    """The report of `preview` without a deck."""
    table = cat.lance(found.dataset.name)

    def rows(where: str) -> int:
        return table.count_rows(cat.predicate(found.ref, where, "drop"))

    steps = []
    for at, rule in enumerate(rules, 1):
        alone = rules_where([rule], *by)
        steps.append({"rule": alone, "alone": rows(alone), "left": rows(rules_where(rules[:at], *by))})
    own = {language for rule in rules for language, _ in rule.languages}
    unheard = sorted(name for name in own if by[0] and not rows(f"{_quoted(by[0])} = {_text(name)}"))
    report = explore(cat, found.ref, rules_where(rules, *by), missing=missing, examples=wanted)
    return {**report, "steps": steps, "notes": _notes(found.ref, unheard)}


def _notes(ref: str, unheard: Sequence[str]) -> list[str]:
    return [f"no row of {ref} has the language {name!r}: its line decides nothing" for name in unheard]


def _read_by(cat: Catalog, found: Resolved, columns: Sequence[str]) -> tuple[str | None, frozenset[str]]:
    """The column of languages, and which columns hold whole numbers; refuses what no rule can be about."""
    known = columns_of(cat, found)
    for name in columns:
        if name not in known:
            raise NotFound(f"column of {found.dataset.name}", name, known)
        if not is_number(known[name]):
            raise BadInput(f"{name} of {found.ref} is {known[name]}, not a number; a rule needs a number")
    language = {column.output: column.alias for column in cat.columns(found.dataset.name)}.get("language")
    return language, frozenset(name for name in columns if pa.types.is_integer(known[name]))


def rules_where(rules: Sequence[Rule], language: str | None, whole: frozenset[str] = frozenset()) -> str:
    """The WHERE that keeps what all rules keep. whole: columns of whole numbers, whose lines are written as such."""
    return " AND ".join(_where(rule, language, rule.column in whole) for rule in rules)


def _where(rule: Rule, language: str | None, whole: bool) -> str:
    name = _quoted(rule.column)

    def side(line: float) -> str:
        return f"{name} {rule.operator} {_line(rule.operator, line, whole)}"

    if not rule.languages:
        return side(rule.line)
    if language is None:
        raise BadInput(
            f"the rule on {rule.column} has lines by language, but no column says the language; score langid"
        )
    key = _quoted(language)
    own = [f"({key} = {_text(value)} AND {side(line)})" for value, line in rule.languages]
    others = ", ".join(_text(value) for value, _ in rule.languages)
    rest = f"(({key} IS NULL OR NOT {key} IN ({others})) AND {side(rule.line)})"
    return f"({' OR '.join([*own, rest])})"


def _line(operator: str, line: float, whole: bool) -> str:
    """A line as SQL; of whole numbers the whole number that splits them alike."""
    if not np.isfinite(line):
        raise BadInput(f"a line must be a number, not {line}")
    if not whole:
        return repr(float(line))
    return str(int(np.ceil(line)) if operator in (">=", "<") else int(np.floor(line)))


def _quoted(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, eq=False)
class Deck:
    """What rules on some columns read of every row of a version.

    values: NaN where a row has none. labels: codes and what they stand for. sums: rows and weight of every code.
    """

    ref: str
    rows: int
    ids: np.ndarray
    values: dict[str, np.ndarray]
    whole: frozenset[str]
    labels: dict[str, tuple[np.ndarray, list[Any]]]
    sums: dict[str, tuple[np.ndarray, np.ndarray]]
    weights: np.ndarray
    total: int
    weight: str
    language: str | None


def deck(cat: Catalog, ref: str, columns: Sequence[str]) -> Deck:
    """Read the columns of all rows of a version, once."""
    check(cat, "read", ref)
    found = cat.resolve(ref)
    rows = found.version.rows if found.version else 0
    if rows > DECK_ROWS:
        raise BadInput(f"{found.ref} has {rows:,} rows, more than the {DECK_ROWS:,} that rules are tried on while you "
                       f"drag; write them as a filter instead")  # fmt: skip
    language, whole = _read_by(cat, found, columns)
    facets = [name for name in (language, "source") if name]
    weight = weight_of(cat, found)
    wanted = list(dict.fromkeys([*columns, *facets, weight]))
    parts = list(cat.scan(found.ref, wanted, batch_rows=131_072, with_row_id=True))
    labels = {name: _codes([part.column(name) for part in parts]) for name in facets}
    weights = _joined([pc.fill_null(part.column(weight), 0).to_numpy() for part in parts], np.dtype(np.int64))
    return Deck(
        ref=found.ref,
        rows=sum(part.num_rows for part in parts),
        ids=_joined([part.column("_rowid").to_numpy() for part in parts], np.dtype(np.uint64)),
        values={
            name: _joined([_values(part.column(name)) for part in parts], np.dtype(np.float64)) for name in columns
        },
        whole=whole,
        labels=labels,
        sums={
            name: (np.bincount(codes, minlength=len(names)), np.bincount(codes, weights, len(names)))
            for name, (codes, names) in labels.items()
        },
        weights=weights,
        total=int(weights.sum()),
        weight=weight,
        language=language,
    )


def _joined(parts: list[np.ndarray], kind: np.dtype) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _values(column: pa.Array) -> np.ndarray:
    """Values in their own precision (whole numbers in double); what is not a number lies above all, as filters have it."""
    kind = pa.float32() if column.type == pa.float32() else pa.float64()
    values = pc.cast(column, kind, safe=False).to_numpy(zero_copy_only=False)
    odd = np.isnan(values) & column.is_valid().to_numpy(zero_copy_only=False)
    return np.where(odd, np.inf, values).astype(values.dtype) if odd.any() else values


def _codes(parts: list[pa.Array]) -> tuple[np.ndarray, list[Any]]:
    """Numbers of the values of a label, and the values; a missing one is the last."""
    coded = pa.chunked_array(parts, parts[0].type if parts else pa.string()).combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    return coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int32), [*names, None]


def kept(held: Deck, rule: Rule) -> np.ndarray:
    """Whether one rule keeps each row."""
    values = held.values[rule.column]
    lines = _lines(held, rule)
    with np.errstate(invalid="ignore"):
        return HOLDS[rule.operator](values, lines)


def _lines(held: Deck, rule: Rule) -> np.ndarray:
    """The line of each row, or one line for all, in the precision of the values."""
    kind = held.values[rule.column].dtype
    if not rule.languages:
        return np.asarray(rule.line, kind)
    if held.language is None:
        raise BadInput(
            f"the rule on {rule.column} has lines by language, but no column says the language; score langid"
        )
    codes, names = held.labels[held.language]
    own = dict(rule.languages)
    return np.array([own.get(name, rule.line) for name in names], kind)[codes]


def preview(
    cat: Catalog, held: Deck, rules: Sequence[Rule], *, missing: str = "drop", examples: int = 20
) -> dict[str, Any]:
    """What the rules keep together: the report of `catalog.explore.explore`, "notes", and "steps", one for each rule.

    A step is {"rule", "alone": rows that this rule alone keeps, "left": rows left after it and those before it}.
    missing: "keep" keeps rows without a value in one of the columns.
    """
    together, steps = np.ones(held.rows, bool), []
    sides = [kept(held, rule) for rule in rules]
    for rule, side in zip(rules, sides, strict=True):
        together &= side
        steps.append({"rule": _where(rule, held.language, rule.column in held.whole), "alone": int(side.sum()),
                      "left": int(together.sum())})  # fmt: skip
    if missing == "keep":
        for rule in rules:
            together |= np.isnan(held.values[rule.column])
    chosen = np.flatnonzero(together)
    weights = held.weights[chosen]
    spoken = held.labels[held.language][1] if held.language else []
    unheard = sorted({name for rule in rules for name, _ in rule.languages} - set(spoken))
    return {
        "ref": held.ref,
        "where": rules_where(rules, held.language, held.whole),
        "missing": missing,
        "weight": held.weight,
        **_entry(held.rows, len(chosen), held.total, int(weights.sum())),
        "facets": {name: _facet(held, name, chosen, weights) for name in held.labels},
        "steps": steps,
        "edges": [_edge(cat, held, rule, side, together, examples) for rule, side in zip(rules, sides, strict=True)],
        "notes": _notes(held.ref, unheard),
    }


def _entry(rows: int, inside: int, total: int, inside_total: int) -> dict[str, Any]:
    share = round(inside / rows, 6) if rows else None
    return {"rows": rows, "kept": inside, "share": share, "total": total, "kept_total": inside_total}


def _facet(held: Deck, name: str, chosen: np.ndarray, weights: np.ndarray) -> list[dict[str, Any]]:
    """Counts by a label, commonest first; what is beyond LISTED is one entry."""
    codes, names = held.labels[name]
    rows, totals = held.sums[name]
    own = codes[chosen]
    inside, inside_totals = np.bincount(own, minlength=len(names)), np.bincount(own, weights, len(names))
    order = sorted(np.flatnonzero(rows).tolist(), key=lambda at: (-rows[at], str(names[at])))
    groups = [([at], names[at]) for at in order[:LISTED]]
    groups += [(order[LISTED:], f"{len(order) - LISTED} others")] if len(order) > LISTED else []
    return [
        {"value": value, **_entry(*(int(sums[at].sum()) for sums in (rows, inside, totals, inside_totals)))}
        for at, value in groups
    ]


def _edge(cat: Catalog, held: Deck, rule: Rule, side: np.ndarray, together: np.ndarray, wanted: int) -> dict[str, Any]:
    """The rows nearest to the line: on the kept side those that all rules keep, beyond it any."""
    values, lines = held.values[rule.column], _lines(held, rule)
    sides = {}
    for name, mask in (("kept", together & side), ("dropped", ~side)):
        rows = np.flatnonzero(mask)
        far = np.abs(values[rows].astype(np.float64) - (lines[rows] if lines.ndim else lines))
        rows, far = rows[np.isfinite(far)], far[np.isfinite(far)]
        if len(rows) > wanted:
            near = far <= np.partition(far, wanted - 1)[wanted - 1]
            rows, far = rows[near], far[near]
        rows = rows[np.lexsort((held.ids[rows], far))][:wanted]
        sides[name] = _examples(cat, held, rows, values[rows])
    return {"column": rule.column, "operator": rule.operator, "threshold": rule.line, **sides}


def _examples(cat: Catalog, held: Deck, rows: np.ndarray, values: np.ndarray) -> list[dict[str, Any]]:
    if not len(rows):
        return []
    ids = held.ids[rows].tolist()
    got = cat.lance(held.ref.partition("@")[0])._take_rows(ids, columns=["sample_id", "text"]).to_pylist()
    return [{"sample_id": row["sample_id"], "value": float(value), "text": (row["text"] or "")[:EXCERPT]}
            for row, value in zip(got, values, strict=True)]  # fmt: skip
