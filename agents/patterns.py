"""Questions that are read by rules: how many, share, average, top, distribution, comparison, which datasets.

A question becomes one statement of SQL, by patterns over its words, the names of datasets and those of columns; the same
every time. What no pattern reads is None, and never a guess at SQL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.need import LANGUAGES
from agents.tables import Column, Table
from catalog.query.views import quoted

NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
OPERATORS = [
    (r"(?:is |are |was )?(?:at least|no less than|not below|>=)", ">="), (r"(?:is |are |was )?(?:at most|no more than|not above|up to|<=)", "<="),
    (r"(?:is |are |was )?(?:above|over|greater than|more than|larger than|higher than|longer than|exceeds|>)", ">"),
    (r"(?:is |are |was )?(?:below|under|less than|smaller than|lower than|fewer than|shorter than|<)", "<"), (r"(?:is|equals|=|==)", "="),
]  # fmt: skip
SYNONYMS = {
    "chars": "length long longest shortest characters character chars size".split(), "tokens": "tokens token".split(),
    "licence": "licence licences license licenses".split(), "source": "source sources".split(),
    "language": "language languages".split(), "created": "date dates created".split(), "author": "author authors".split(),
}  # fmt: skip
AGGREGATES = {
    "average": "avg", "mean": "avg", "median": "median", "minimum": "min", "maximum": "max", "min": "min", "max": "max",
    "total": "sum", "sum": "sum", "smallest": "min", "largest": "max",
}  # fmt: skip
MOST = "highest|lowest|most|fewest|least|best|worst|longest|shortest|largest|smallest"
ROWS = r"\b(rows?|samples?|examples?|records?|documents?|texts?|items?)\b"
BINS = 20


@dataclass(frozen=True)
class Plan:
    """A statement and how to tell its result. rule: the pattern; axes: columns of the result for a chart."""

    sql: str
    rule: str
    said: str
    axes: dict[str, str] = field(default_factory=dict)
    tables: tuple[str, ...] = ()


def read_question(text: str, tables: Sequence[Table], named: str | None = None) -> Plan | None:
    """The plan of a question; None where no pattern reads it. named: the dataset that is meant where none is said."""
    folded = " ".join(text.casefold().replace("?", " ").split())
    if re.search(r"\bdatasets?\b|^(how many )?rows (by|per) (tier|kind|owner|role)$", folded) and (
        plan := _datasets(folded)
    ):
        return plan
    meant = _meant(folded, tables, named)
    if not meant:
        return None
    names = "|".join(_spelt(table) for table in sorted(tables, key=lambda table: -len(table.name)))
    rest = re.sub(rf"(?<![\w-])({names})(?![\w-])", " ", folded)
    for read in (_compare, _share, _distribution, _top, _aggregate, _count):
        if plan := read(rest, meant):
            return plan if _covers(plan, rest) else None
    return None


def _covers(plan: Plan, text: str) -> bool:
    """Whether all that narrows a question is in its SQL: one condition that is not understood makes another question of it."""
    held = re.sub(r'"[^"]*"', "", plan.sql)
    numbers = [number.replace(",", "") for number in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", text)]
    if any(not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", held) for number in numbers):
        return False
    filtered = "WHERE" in held.replace("WHERE isfinite", "") and not (plan.rule == "top" and held.count(" AND ") == 0)
    narrows = rf"\b(where|whose|having|only|with(?! the)(?! (?:{MOST})))\b"
    if (re.search(narrows, text) or any(re.search(rf"\b{name}\b", text) for name in LANGUAGES)) and not filtered:
        return False
    if re.search(r"\b(without|lacking|missing)\b", text) and "IS NULL" not in held:
        return False
    return not re.search(
        r"\b(not|except|excluding|since|before|after|until|today|yesterday|last|than average|or)\b", text
    )


def columns_in(text: str, table: Table, sorts: Sequence[str] = ("number", "label", "flag")) -> list[Column]:
    """Columns whose name stands in a text, the one named by most words first."""
    words = set(re.findall(r"[a-z0-9]+", text)) | {word.rstrip("s") for word in re.findall(r"[a-z0-9]+", text)}
    found = []
    for column in table.columns:
        if column.sort not in sorts:
            continue
        whole = re.search(rf"(?<![\w]){re.escape(column.name)}(?![\w])", text) is not None
        alias = any(
            word in words for word in SYNONYMS.get(column.output if column.output in SYNONYMS else column.name, ())
        )
        held = sum(word in words for word in column.words)
        if whole or alias or held == len(column.words):
            found.append(((whole, held, alias, -len(column.words)), column))
    if not found:
        part = [column for column in table.columns if column.sort in sorts
                and any(len(word) >= 4 and word in words for word in column.words)]  # fmt: skip
        return part if len(part) == 1 else []
    return [column for _, column in sorted(found, key=lambda item: item[0], reverse=True)]


def conditions(text: str, table: Table) -> list[str]:
    """Filters a text asks for: a column compared with a number, a label by its value, a language, a lack."""
    out = []
    for column in columns_in(text, table):
        own = [word for word in column.words if len(word) >= 4 and _alone(word, table)]
        spelt = {column.name, " ".join(column.words), *SYNONYMS.get(column.name, ()), *own}
        names = "|".join(sorted(map(re.escape, spelt), key=len, reverse=True))
        if column.sort == "number":
            for pattern, sign in OPERATORS:
                if found := re.search(rf"\b(?:{names})\s+{pattern}\s*({NUMBER})", text):
                    out.append(f"{quoted(column.name)} {sign} {found[1].replace(',', '')}")
                    break
        if column.sort == "label":
            for value in column.values:
                if re.search(
                    rf"\b(?:{names})\s+(?:is |of |= ?|equals )?['\"]?{re.escape(value.casefold())}(?!\w)", text
                ):
                    out.append(f"{quoted(column.name)} = {literal(value)}")
                    break
        if re.search(rf"\b(?:without|no|missing|lacking|null)\s+(?:a |an |any )?(?:{names})\b", text):
            out.append(f"{quoted(column.name)} IS NULL")
    language = next((c for c in table.columns if c.output == "language" and c.sort == "label"), None)
    if language is not None and not any(quoted(language.name) in part for part in out):
        codes = [code for name, code in LANGUAGES.items() if re.search(rf"\b{name}\b", text)]
        if codes:
            out.append(f"{quoted(language.name)} IN ({', '.join(literal(code) for code in dict.fromkeys(codes))})")
    return list(dict.fromkeys(out))


def _alone(word: str, table: Table) -> bool:
    """Whether a word is in the name of one column only."""
    return sum(word in column.words for column in table.columns if column.sort != "other") == 1


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _meant(text: str, tables: Sequence[Table], named: str | None) -> list[Table]:
    """Datasets of a question: those it names, else the given one, else the only one that is no eval."""
    found: dict[str, int] = {}
    for table in sorted(tables, key=lambda table: -len(table.name)):
        if held := re.search(rf"(?<![\w-]){_spelt(table)}(?![\w-])", text):
            found[table.name] = held.start()
            text = text[: held.start()] + " " * len(held[0]) + text[held.end() :]
    if found:
        return sorted((table for table in tables if table.name in found), key=lambda table: found[table.name])
    if named is not None:
        return [table for table in tables if table.name == named]
    open_ = [table for table in tables if table.role != "eval"]
    return open_ if len(open_) == 1 else []


def _spelt(table: Table) -> str:
    """A dataset's name as a pattern: web-l2 may be written web l2."""
    return re.sub(r"\\?-|_", "[-_ ]", re.escape(table.name.casefold()))


def _grouped(text: str, table: Table) -> tuple[Column | None, str]:
    """The column after "by", "per", "for each", and the text before it."""
    found = re.search(r"\b(?:by|per|for each|in each|for every|grouped by|across|of each)\s+(.+)$", text)
    if found is None:
        return None, text
    held = columns_in(found[1], table, ("label", "flag"))
    return (held[0], text[: found.start()]) if held else (None, text)


def _where(parts: list[str]) -> str:
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _told(parts: list[str]) -> str:
    return f" where {' and '.join(parts)}".replace('"', "") if parts else ""


def _datasets(text: str) -> Plan | None:
    by = next((name for name in ("tier", "kind", "licence", "owner", "role")
               if re.search(rf"\b(?:by|per|for each)\s+{name.replace('licence', 'licen[cs]e')}", text)), None)  # fmt: skip
    if re.search(r"\b(how many|number of|count)\b|^rows (by|per)\b", text):
        if by:
            sql = f"SELECT {by}, count(*) AS datasets, sum(rows) AS rows FROM strata.datasets GROUP BY 1 ORDER BY 2 DESC, 1"
            return Plan(sql, "datasets by", f"datasets by {by}", {"x": by, "y": "datasets"})
        return Plan("SELECT count(*) AS datasets, sum(rows) AS rows FROM strata.datasets", "datasets", "datasets")
    if re.search(
        r"^(which|what|list|show|name|all|the)\b.*\bdatasets?\b|\b(largest|biggest|smallest|newest) datasets?\b", text
    ):
        order = "created DESC" if "newest" in text else "rows" if "smallest" in text else "rows DESC"
        tier = re.search(r"\bl([0-4])\b", text)
        where = f" WHERE tier = 'L{tier[1]}'" if tier else ""
        sql = f"SELECT name, tier, kind, rows, licence, role FROM strata.datasets{where} ORDER BY {order}"
        return Plan(sql, "list of datasets", "datasets", {"x": "name", "y": "rows"})
    return None


def _compare(text: str, tables: list[Table]) -> Plan | None:
    if len(tables) < 2:
        return None
    first, second = tables[:2]
    held = [c for c in columns_in(text, first, ("number",)) if (o := second.column(c.name)) and o.sort == "number"]
    if not held:
        labels = [c for c in columns_in(text, first, ("label",)) if second.column(c.name)]
        if labels:
            name = quoted(labels[0].name)
            sides = [f"SELECT {literal(t.name)} AS dataset, {name}, count(*) AS rows, count(*) / sum(count(*)) OVER () AS share "
                     f"FROM {quoted(t.name)} GROUP BY 2" for t in (first, second)]  # fmt: skip
            return Plan(f"{' UNION ALL '.join(sides)} ORDER BY 2, 1", "comparison", f"{labels[0].name} of both",
                        {"x": labels[0].name, "y": "share", "colour": "dataset"}, (first.name, second.name))  # fmt: skip
        if not re.search(r"\b(rows|samples|size|larger|bigger|compare)\b", text):
            return None
        sides = [
            f"SELECT {literal(t.name)} AS dataset, count(*) AS rows FROM {quoted(t.name)}" for t in (first, second)
        ]
        return Plan(
            " UNION ALL ".join(sides),
            "comparison",
            "rows of both",
            {"x": "dataset", "y": "rows"},
            (first.name, second.name),
        )
    name = quoted(held[0].name)
    sides = [
        f"SELECT {literal(table.name)} AS dataset, count({name}) AS rows, avg({name}) AS mean, median({name}) AS median, "
        f"min({name}) AS least, max({name}) AS most FROM {quoted(table.name)}"
        for table in (first, second)
    ]
    return Plan(
        " UNION ALL ".join(sides),
        "comparison",
        f"{held[0].name} of both",
        {"x": "dataset", "y": "mean"},
        (first.name, second.name),
    )


def _share(text: str, tables: list[Table]) -> Plan | None:
    if not re.search(r"\b(share|percentage|percent|proportion|fraction|how much of)\b", text):
        return None
    table = tables[0]
    parts = conditions(text, table)
    if parts:
        inside = " AND ".join(parts)
        sql = (f"SELECT count(*) FILTER (WHERE {inside}) AS rows, count(*) AS of_rows, "
               f"count(*) FILTER (WHERE {inside}) / count(*) AS share FROM {quoted(table.name)}")  # fmt: skip
        return Plan(sql, "share", f"rows of {table.name}{_told(parts)}", {}, (table.name,))
    by = columns_in(text, table, ("label", "flag"))
    return _by_value(table, by[0], "share of each value") if by else None


def _distribution(text: str, tables: list[Table]) -> Plan | None:
    if not re.search(r"\b(distribution|histogram|spread|breakdown|distributed|values of)\b", text):
        return None
    table = tables[0]
    held = columns_in(text, table)
    if not held:
        return None
    if held[0].sort != "number":
        return _by_value(table, held[0], "distribution")
    name, view = quoted(held[0].name), quoted(table.name)
    sql = (
        f"WITH held AS (SELECT {name}::DOUBLE AS x FROM {view} WHERE isfinite({name}::DOUBLE)), "
        "ends AS (SELECT min(x) AS low, max(x) AS high FROM held), "
        f"places AS (SELECT CASE WHEN high > low THEN least({BINS - 1}, floor((x - low) / (high - low) * {BINS})) ELSE 0 END AS bin "
        "FROM held, ends) "
        f'SELECT low + (high - low) * bin / {BINS} AS "from", low + (high - low) * (bin + 1) / {BINS} AS "to", count(*) AS rows '
        "FROM places, ends GROUP BY bin, low, high ORDER BY bin"
    )
    return Plan(sql, "distribution", f"{held[0].name} of {table.name}", {"x": "from", "y": "rows"}, (table.name,))


def _by_value(table: Table, column: Column, rule: str) -> Plan:
    name = quoted(column.name)
    sql = (f"SELECT {name}, count(*) AS rows, count(*) / sum(count(*)) OVER () AS share FROM {quoted(table.name)} "
           "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100")  # fmt: skip
    return Plan(sql, rule, f"{column.name} of {table.name}", {"x": column.name, "y": "rows"}, (table.name,))


def _top(text: str, tables: list[Table]) -> Plan | None:
    found = re.search(r"\b(top|best|worst|bottom|lowest|highest|longest|shortest|largest|smallest|greatest)\b(?:\s+(\d+))?"
                      r"|\b(\d+)\s+(best|worst|lowest|highest|longest|shortest|largest|smallest|greatest)\b", text)  # fmt: skip
    if found is None:
        return None
    word, table = found[1] or found[4], tables[0]
    held = columns_in(text, table, ("number",))
    if not held:
        return None
    column, many = held[0], min(int(found[2] or found[3] or 10), 1000)
    low = word in ("lowest", "shortest", "smallest", "bottom")
    if word in ("best", "worst", "top") and column.better == "lower":
        low = word != "worst"
    elif word == "worst":
        low = True
    parts = [f"{quoted(column.name)} IS NOT NULL", *conditions(text, table)]
    shown = f"left(text, 200) AS text, {quoted(column.name)}" if table.column("text") else quoted(column.name)
    sql = (f"SELECT sample_id, {shown} FROM {quoted(table.name)}{_where(parts)} "
           f"ORDER BY {quoted(column.name)} {'ASC' if low else 'DESC'}, sample_id LIMIT {many}")  # fmt: skip
    return Plan(
        sql,
        "top",
        f"{many} rows of {table.name} with the {'lowest' if low else 'highest'} {column.name}",
        {},
        (table.name,),
    )


def _aggregate(text: str, tables: list[Table]) -> Plan | None:
    word = next((word for word in AGGREGATES if re.search(rf"\b{word}\b", text)), None)
    if word is None:
        return None
    table = tables[0]
    by, before = _grouped(text, table)
    held = columns_in(before, table, ("number",))
    if not held:
        return None
    parts = conditions(before, table)
    name, view, alias = quoted(held[0].name), quoted(table.name), quoted(f"{word} {held[0].name}")
    said = f"{word} {held[0].name} of {table.name}{_told(parts)}"
    value = f"{AGGREGATES[word]}({name}) AS {alias}, count({name}) AS rows"
    if by is None:
        return Plan(f"SELECT {value} FROM {view}{_where(parts)}", "aggregate", said, {}, (table.name,))
    sql = f"SELECT {quoted(by.name)}, {value} FROM {view}{_where(parts)} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100"
    return Plan(
        sql, "aggregate by", f"{said} by {by.name}", {"x": by.name, "y": f"{word} {held[0].name}"}, (table.name,)
    )


def _count(text: str, tables: list[Table]) -> Plan | None:
    if not re.search(
        r"\b(how many|number of|count of|count|how long|how big|size of)\b|^\s*(rows|samples|tokens|chars|characters)\b",
        text,
    ):
        return None
    table = tables[0]
    by, before = _grouped(text, table)
    summed = next((c for c in columns_in(before, table, ("number",)) if c.name in ("tokens", "chars")), None)
    if summed is not None and any(quoted(summed.name) in part for part in conditions(before, table)):
        summed = None  # it filters
    kinds = None if summed else re.search(r"\b(?:how many|number of)\s+(?:different |distinct )?(\w+)", before)
    parts, view = conditions(text, table), quoted(table.name)
    asked = columns_in(kinds[1], table, ("label",)) if kinds and not re.search(ROWS, kinds[1]) else []
    if asked and by is None and not parts:
        sql = f"SELECT count(DISTINCT {quoted(asked[0].name)}) AS {quoted(asked[0].name)} FROM {view}"
        return Plan(sql, "count of values", f"different values of {asked[0].name} in {table.name}", {}, (table.name,))
    if not (summed or parts or re.search(ROWS, before) or by):
        return None
    value, what = ("count(*)", "rows") if summed is None else (f"sum({quoted(summed.name)})", summed.name)
    if by is None:
        return Plan(
            f"SELECT {value} AS {quoted(what)} FROM {view}{_where(parts)}",
            "count",
            f"{what} of {table.name}{_told(parts)}",
            {},
            (table.name,),
        )
    sql = f"SELECT {quoted(by.name)}, {value} AS {quoted(what)} FROM {view}{_where(parts)} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100"
    return Plan(
        sql, "count by", f"{what} of {table.name}{_told(parts)} by {by.name}", {"x": by.name, "y": what}, (table.name,)
    )
