"""The cards of a catalog as documents to be found: facts from metadata, a few excerpts from rows, vectors kept in the home.

Excerpts and vectors are kept in one file below the home (`discover.arrow`), by dataset and by all that decides them, so
that a second question reads no table and runs no model. The file is a cache: it may be deleted, and where it cannot be
written everything works, slower.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import orjson
import pyarrow as pa
from sqlmodel import select

from agents.need import NAMES
from catalog.access import check
from catalog.card_index import CardIndex, Document
from catalog.errors import NotFound
from catalog.meta.models import ColumnRecord, Dataset, Selection, Version
from catalog.schema import table_schema
from catalog.where import where_columns

if TYPE_CHECKING:
    from catalog.catalog import Catalog

EXCERPTS, WIDTH, EMBEDDED = 8, 300, 3
"""Texts that are looked at for each dataset, characters of each that are kept, and how many are passages of their own."""
LOOKED, LABEL = 64, 64
"""Rows whose fields are looked at, and characters up to which a value of an unmapped field is a label."""
IDS = re.compile(r"(^|_)(id|hash|url|uri|path|file)(_|$)")
TITLED_ROWS = 50_000
"""Rows up to which clusters get their titles here: every text of the dataset is read once for them."""
FORMAT = "3"
Embed = Callable[[list[str]], np.ndarray]


@dataclass
class Card:
    """What is known of one dataset. excerpts: [{"sample_id", "text"}]; filled: fields with a value in
    how many of the rows `looked` at; values: short ones of unmapped fields."""

    dataset: Dataset
    version: Version
    columns: list[ColumnRecord]
    selections: list[Selection]
    excerpts: list[dict[str, str]] = field(default_factory=list)
    looked: int = 0
    filled: dict[str, int] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)

    @property
    def ref(self) -> str:
        return f"{self.dataset.name}@v{self.version.number}"

    def facet(self, name: str) -> dict[str, int] | None:
        """Rows by value of a sample field or a computed column; None where nobody counted."""
        if name in (held := self.version.statistics.get("facets", {})):
            return held[name]
        column = next((c for c in self.columns if c.alias == name), None) or next(
            (c for c in self.columns if c.output == name), None
        )
        return column.statistics.get("facets") if column else None

    def licences(self) -> dict[str, int]:
        """Rows by declared licence; "unknown" for those without."""
        return self.facet("licence") or {self.dataset.licence or "unknown": self.version.rows}

    def document(self) -> Document:
        dataset = self.dataset
        labels = [value for c in self.columns for value in _labels(c)]
        fields = {
            "name": dataset.name,
            "note": dataset.note,
            "sources": ", ".join(list(self.facet("source") or {})[:20]),
            "languages": ", ".join(NAMES.get(code, code) for code in list(self.facet("language") or {})[:20]),
            "licences": ", ".join(name for name in list(self.licences())[:20] if name != "unknown"),
            "kind": f"{dataset.kind} {dataset.role or ''} {dataset.tier}",
            "columns": ", ".join([*(c.alias for c in self.columns), *self.filled]),
            "labels": ", ".join(labels[:60]),
            "values": ", ".join(self.values),
            "clusters": ". ".join(self.titles),
            "selections": ". ".join(f"{s.name} {s.note}" for s in self.selections),
            "excerpts": " ".join(item["text"] for item in self.excerpts),
        }
        return Document(self.ref, {name: text for name, text in fields.items() if text.strip()}, title=("name", "note"))


def _labels(column: ColumnRecord) -> list[str]:
    """Short values of a text column of few values: the names of classes, not text of samples."""
    facets = column.statistics.get("facets") or {}
    if column.type not in ("string", "large_string") or column.output == "language":
        return []
    return [value for value in facets if len(value) <= 64 and not value.isdigit()]


def cards_of(cat: Catalog) -> list[Card]:
    """Every published dataset the caller may read, from metadata alone."""
    check(cat, "read", "datasets")
    with cat.session() as session:
        datasets = cat.datasets()
        versions = {(v.dataset_id, v.number): v for v in session.exec(select(Version))}
        columns: dict[str, list[ColumnRecord]] = {}
        for column in session.exec(select(ColumnRecord).order_by(ColumnRecord.alias)):
            columns.setdefault(column.dataset_id, []).append(column)
        selections: dict[str, dict[str, Selection]] = {}
        for held in session.exec(select(Selection).order_by(Selection.name, Selection.version)):  # type: ignore[arg-type]
            selections.setdefault(held.dataset.partition("@")[0], {})[held.name] = held
    made = [
        Card(d, versions[d.id, d.head], columns.get(d.id, []), list(selections.get(d.name, {}).values()))
        for d in datasets
        if (d.id, d.head) in versions
    ]
    for card in made:
        card.selections = [held for held in card.selections if _bears(card, held)]
    return made


def _bears(card: Card, held: Selection) -> bool:
    """Whether the dataset has what a selection asks for: one of that name before it, or before a column went, may have had."""
    known = {*table_schema(card.dataset.kind, card.dataset.tier).names, *(column.alias for column in card.columns)}
    try:
        where_columns(held.where, known, card.dataset.name)
    except NotFound:
        return False
    return True


def index_of(
    cat: Catalog, cards: Sequence[Card], embed: Embed | None, known: Collection[str] | None = None
) -> CardIndex:
    """The index over the cards; what is not in the cache is read and embedded now.

    known: ids of all datasets there are, where `cards` are some of them: what is kept of the others stays.
    """
    kept, changed = _load(cat), False
    for card in cards:
        key = _key(card)
        held = kept.get(card.dataset.id)
        if held is None or held["key"] != key:
            held = kept[card.dataset.id] = {"key": key, **_looked_at(cat, card), "text": "", "vectors": []}
            changed = True
        for name in ("excerpts", "looked", "filled", "values", "titles"):
            setattr(card, name, held[name])
    index = CardIndex([card.document() for card in cards])
    if embed is not None:
        for card, document in zip(cards, index.documents, strict=True):
            held = kept[card.dataset.id]
            passages = [*document.passages(), *(item["text"] for item in card.excerpts[:EMBEDDED])]
            if held["text"] != (digest := _digest(passages)):
                held["text"], held["vectors"] = digest, np.asarray(embed(passages), np.float32).tolist()
                changed = True
        vectors = [kept[card.dataset.id]["vectors"] for card in cards]
        if cards:
            index.vectors = np.array([vector for mine in vectors for vector in mine], np.float32)
            index.owners = np.repeat(np.arange(len(cards)), [len(mine) for mine in vectors])
    gone = kept.keys() - (set(known) if known is not None else {card.dataset.id for card in cards})
    if changed or gone:
        _save(cat, {name: held for name, held in kept.items() if name not in gone})
    return index


def _looked_at(cat: Catalog, card: Card) -> dict[str, Any]:
    """Evenly spaced rows: the beginning of some texts, which fields have a value, and short values of unmapped fields."""
    dataset = card.dataset
    table, physical = cat.lance(dataset.name), dataset.rows + dataset.removed

    def spaced(count: int, names: list[str]) -> list[dict[str, Any]]:
        at = sorted({int(place) for place in np.linspace(0, max(physical - 1, 0), count)}) if physical else []
        rows = table.take(at, columns=[*names, "removed"]).to_pylist() if at else []
        return [row for row in rows if row["removed"] is None]

    rows = spaced(LOOKED, ["created", "url", "author", "meta"])
    filled: Counter[str] = Counter()
    values: dict[str, None] = {}
    for row in rows:
        extra = orjson.loads(row["meta"]) if row["meta"] else {}
        filled.update(name for name in ("created", "url", "author") if row[name])
        for key, value in list(extra.items())[:40]:
            if value not in (None, ""):
                filled[str(key)[:64]] += 1
            if isinstance(value, str) and len(value) <= LABEL and not IDS.search(key.casefold()):
                values[value] = None
    excerpts = [
        {"sample_id": row["sample_id"], "text": " ".join((row["text"] or "")[: 2 * WIDTH].split())[:WIDTH]}
        for row in spaced(EXCERPTS, ["sample_id", "text"])
    ]
    return {
        "excerpts": excerpts, "looked": len(rows), "filled": dict(filled), "values": list(values)[:LOOKED],
        "titles": _titles(cat, card),
    }  # fmt: skip


def _titles(cat: Catalog, card: Card) -> list[str]:
    if card.dataset.rows > TITLED_ROWS or not any(
        column.alias == "cluster" and "int" in column.type for column in card.columns
    ):
        return []
    from flows.cluster_titles import cluster_titles

    return [held["title"] for held in cluster_titles(cat, card.ref)[:20] if held["title"]]


def _key(card: Card) -> str:
    clusters = [c.fingerprint for c in card.columns if c.alias == "cluster"]
    return _digest([FORMAT, card.dataset.uri, str(card.version.number), str(card.version.rows), *clusters])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _load(cat: Catalog) -> dict[str, dict[str, Any]]:
    try:
        with pa.memory_map(str(cat.settings.home / "discover.arrow")) as file:
            rows = pa.ipc.open_file(file).read_all().to_pylist()
        return {row["id"]: orjson.loads(row["facts"]) | {"vectors": row["vectors"]} for row in rows}
    except (OSError, pa.ArrowInvalid, KeyError, orjson.JSONDecodeError):
        return {}


def _save(cat: Catalog, kept: dict[str, dict[str, Any]]) -> None:
    table = pa.table(
        {
            "id": pa.array(list(kept), pa.string()),
            "facts": pa.array(
                [orjson.dumps({k: v for k, v in held.items() if k != "vectors"}) for held in kept.values()], pa.binary()
            ),
            "vectors": pa.array([held["vectors"] for held in kept.values()], pa.list_(pa.list_(pa.float32()))),
        }
    )
    final = cat.settings.home / "discover.arrow"
    part = final.with_suffix(f".{uuid4().hex}.part")
    with contextlib.suppress(OSError):
        with pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        os.replace(part, final)
