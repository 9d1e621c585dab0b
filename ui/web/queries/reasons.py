"""Why a row is where it is: the recipes of the promotions it came through, rule by rule, with the row's own values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import col, select

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.meta.models import ColumnRecord, Edge

PROMOTE, KEPT = "promote", "kept"
NAME = re.compile(r"'(?:[^']|'')*'|\"([^\"]+)\"|([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Rule:
    """One drop rule as it was for this row's language. state: passed, dropped, or not reached."""

    name: str
    where: str
    values: dict[str, Any]
    state: str


@dataclass(frozen=True)
class Reason:
    """One promotion. arrived: the row came with it into this dataset; else what became of it in another."""

    dataset: str
    arrived: bool
    verdict: str
    recipe: str
    when: str
    rules: list[Rule] = field(default_factory=list)


def reasons(cat: Catalog, found: Resolved, row: dict[str, Any], columns: Sequence[ColumnRecord]) -> list[Reason]:
    """The promotion that brought the row here, then those that looked at it, oldest first."""
    made = []
    with cat.session() as session:
        name = found.dataset.name
        arrived = session.exec(
            select(Edge).where(Edge.verb == PROMOTE, Edge.target == f"{name}@v{row['added']}")
        ).first()
        looked = session.exec(
            select(Edge).where(Edge.verb == PROMOTE, col(Edge.source).startswith(f"{name}@v", autoescape=True))
            .order_by(col(Edge.created))
        ).all()  # fmt: skip
    if arrived:
        made.append(_reason(arrived, arrived.source.partition("@")[0], True, KEPT, row))
    for column in columns:
        verdict = row.get(column.alias)
        if column.scorer != PROMOTE or verdict is None:
            continue
        own = [edge for edge in looked if edge.run_id == column.run_id] or [
            edge for edge in looked if _alias(edge) == column.alias
        ]
        if own:
            made.append(_reason(own[-1], own[-1].target.partition("@")[0], False, str(verdict), row))
    return made


def _alias(edge: Edge) -> str:
    return f"verdict_{edge.target.partition('@')[0]}".replace("-", "_").replace(".", "_")


def _reason(edge: Edge, dataset: str, arrived: bool, verdict: str, row: dict[str, Any]) -> Reason:
    recipe = edge.details.get("recipe") or {}
    rules, state = [], "passed"
    for rule in recipe.get("drop") or []:
        here = "dropped" if rule["name"] == verdict else state
        where = (rule.get("by_language") or {}).get(row.get("language") or "", rule["where"])
        rules.append(Rule(rule["name"], where, _values(where, row), here))
        state = "not reached" if here == "dropped" else state
    return Reason(dataset, arrived, verdict, recipe.get("name") or "a recipe", edge.created, rules)


def _values(where: str, row: dict[str, Any]) -> dict[str, Any]:
    """What the row has in the columns that a rule names."""
    names = [quoted or bare for quoted, bare in NAME.findall(where) if quoted or bare]
    return {name: row[name] for name in dict.fromkeys(names) if name in row}
