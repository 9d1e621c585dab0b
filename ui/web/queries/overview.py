"""The home page in four queries over stored facts: no table is opened."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlmodel import col, func, select

from catalog import Catalog
from catalog.meta.models import ColumnRecord, Dataset, Version
from catalog.refs import parse_ref

UNKNOWN = "unknown"
FULL = ("language", "tokens")
"""Outputs whose statistics a card shows; those of other columns are not read."""


@dataclass(frozen=True)
class Card:
    """What a lane shows of a dataset, and what the facets filter by."""

    dataset: Dataset
    version: Version
    columns: tuple[str, ...]
    languages: dict[str, int]
    licences: dict[str, int]
    tokens: int | None
    parent_rows: int | None

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def kept(self) -> float | None:
        """Share of its parent's rows that it holds."""
        return self.version.rows / self.parent_rows if self.parent_rows else None

    def words(self) -> str:
        """What the search box looks through."""
        held = self.dataset
        parts = [held.name, held.note, held.owner, held.kind, held.tier, held.role or "", *self.licences, *self.columns]
        return " ".join([*parts, *self.languages, *self.version.statistics.get("facets", {}).get("source", {})]).lower()


def cards(cat: Catalog) -> list[Card]:
    """Every published dataset with the facts of its newest version."""
    datasets = cat.datasets()
    heads, parents = _versions(cat, datasets)
    columns = _columns(cat)
    found = []
    for dataset in datasets:
        version = heads.get(dataset.id)
        if version is None:
            continue
        held = columns.get(dataset.id, {})
        facets = version.statistics.get("facets", {})
        found.append(
            Card(
                dataset,
                version,
                tuple(sorted(held)),
                _languages(held),
                facets.get("licence") or {dataset.licence or UNKNOWN: version.rows},
                token_total(held.values(), version.rows),
                parents.get(dataset.parent or ""),
            )
        )
    return found


def _versions(cat: Catalog, datasets: Sequence[Dataset]) -> tuple[dict[str, Version], dict[str, int]]:
    """Newest version by dataset id, and rows of the versions that are parents, by reference."""
    ids = {dataset.name: dataset.id for dataset in datasets}
    wanted = {dataset.parent: parse_ref(dataset.parent) for dataset in datasets if dataset.parent}
    with cat.session() as session:
        newest = session.exec(
            select(Version).join(Dataset, Version.dataset_id == Dataset.id).where(Version.number == Dataset.head)
        )  # type: ignore[arg-type]
        heads = {version.dataset_id: version for version in newest}
        numbers = {(ids.get(ref.name), ref.version) for ref in wanted.values()}
        sizes = {
            (dataset_id, number): rows
            for dataset_id, number, rows in session.exec(
                select(Version.dataset_id, Version.number, Version.rows).where(
                    Version.dataset_id.in_({dataset_id for dataset_id, _ in numbers if dataset_id})  # type: ignore[attr-defined]
                )
            )
        }
    parents = {text: sizes.get((ids.get(ref.name) or "", ref.version)) for text, ref in wanted.items()}
    return heads, {text: rows for text, rows in parents.items() if rows}


class Facts(NamedTuple):
    """What a card reads of a column's record."""

    output: str
    covered: int
    statistics: dict[str, Any]


_kept: dict[str, tuple[Any, dict[str, dict[str, Facts | None]]]] = {}
"""Database -> what its columns were when they last changed, and these: reading fifty thousand records is not done anew."""
FRESH = 60
"""Seconds after which they are read again anyway: a rename leaves no trace in the sums."""


def _columns(cat: Catalog) -> dict[str, dict[str, Facts | None]]:
    """Dataset id -> alias -> the column's facts where a card shows them, else None."""
    with cat.session() as session:
        sums = session.exec(
            select(func.count(), func.max(ColumnRecord.created), func.sum(ColumnRecord.covered)).select_from(
                ColumnRecord
            )
        ).one()
        mark = (*sums, int(time.monotonic() // FRESH))
        held = _kept.get(cat.settings.database)
        if held is not None and held[0] == mark:
            return held[1]
        found: dict[str, dict[str, Facts | None]] = defaultdict(dict)
        for dataset_id, alias in session.exec(select(ColumnRecord.dataset_id, ColumnRecord.alias)):
            found[dataset_id][alias] = None
        stated = ColumnRecord.statistics
        wanted = (stated["facets"], stated["mean"], stated["count"])  # type: ignore[index]
        query = select(ColumnRecord.dataset_id, ColumnRecord.alias, ColumnRecord.output, ColumnRecord.covered, *wanted)  # type: ignore[call-overload]
        for dataset_id, alias, output, covered, facets, mean, count in session.exec(
            query.where(col(ColumnRecord.output).in_(FULL))
        ):  # type: ignore[attr-defined]
            found[dataset_id][alias] = Facts(output, covered, {"facets": facets or {}, "mean": mean, "count": count})
    _kept[cat.settings.database] = (mark, found)
    return found


def _languages(columns: dict[str, Any]) -> dict[str, int]:
    record = columns.get("language")
    return dict(record.statistics.get("facets", {})) if record is not None else {}


def token_total(columns: Iterable[Any], rows: int) -> int | None:
    """Tokens of a dataset where a token count covers every row, else None."""
    for record in columns:
        if record is not None and record.output == "tokens" and record.covered >= rows > 0:
            held = record.statistics
            return round(held["mean"] * held["count"]) if held.get("count") else None
    return None


def facets(found: Sequence[Card]) -> dict[str, dict[str, int]]:
    """Values of each facet with the number of datasets that have it, most frequent first."""
    counters: dict[str, Counter[str]] = {name: Counter() for name in ("kind", "language", "licence", "score")}
    for card in found:
        counters["kind"][card.dataset.kind] += 1
        counters["language"].update(list(card.languages))
        counters["licence"].update(list(card.licences))
        counters["score"].update(card.columns)
    return {name: dict(counter.most_common()) for name, counter in counters.items()}


def matching(
    found: Sequence[Card],
    words: str,
    *,
    kinds: Sequence[str] = (),
    languages: Sequence[str] = (),
    licences: Sequence[str] = (),
    scores: Sequence[str] = (),
) -> list[Card]:
    """Cards with every word, one of the kinds, languages and licences, and all of the scores."""
    asked = words.lower().split()
    return [
        card
        for card in found
        if all(word in card.words() for word in asked)
        and (not kinds or card.dataset.kind in kinds)
        and (not languages or any(name in card.languages for name in languages))
        and (not licences or any(name in card.licences for name in licences))
        and all(name in card.columns for name in scores)
    ]
