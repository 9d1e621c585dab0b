"""What of some rows the catalog holds already: by content and nearly, where, and how much of it is in published mixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import select

from catalog.digests import id_words
from catalog.evals import CHECK, eval_sets, evals
from catalog.index.segments import Segment, hits, unsorted
from catalog.index.standing import opened, sketch
from catalog.meta.models import Dataset, Mix

if TYPE_CHECKING:
    from catalog.catalog import Catalog


Index = list[tuple[Dataset, Segment]]
SLICE = 65536


@dataclass
class Held:
    """Counts of asked rows. exact: content held by another dataset; near: that, or a shared near-duplicate key.

    mixes: rows that a published mix locks, as they are or nearly. datasets, tiers: rows held by each. leaks: eval ->
    rows with a leak of it; None where there is no eval to check against.
    """

    rows: int = 0
    exact: int = 0
    near: int = 0
    mixes: int = 0
    datasets: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    leaks: dict[str, int] | None = None

    def share(self, count: int) -> float:
        return count / self.rows if self.rows else 0.0

    def said(self) -> str:
        """The line that a person reads before accepting a source."""
        text = f"{self.share(self.near):.1%} already held ({self.share(self.exact):.1%} word for word), "
        text += f"{self.share(self.mixes):.1%} already in published mixes"
        if self.leaks is not None:
            most = ", ".join(f"{ref} {count}" for ref, count in sorted(self.leaks.items()))
            text += f"; rows that leak an eval: {most or 'none'}"
        return text


def held_of(cat: Catalog, batches: Iterable[pa.RecordBatch], *, without: Dataset | None = None) -> Held:
    """Check rows (content_id, text) against everything held and every eval.

    without: the dataset they are or will be of; it, what was made from it and what it was made from do not count.
    """
    index, locked = _others(opened(cat), without), _locked(cat)
    method, found, check = sketch(), Held(), _eval_check(cat)
    for batch in batches:
        keys, has = method.keys(batch.column("text").to_pylist())
        _count(found, index, locked, id_words(batch.column("content_id")), keys, has)
        if check is not None:
            found.leaks = check(batch, found.leaks or {})
    found.datasets = Counter({name: count for name, count in found.datasets.items() if count})
    return found


def held_dataset(cat: Catalog, dataset: Dataset) -> Held:
    """The same for the live rows of a dataset, from its own segments: nothing is read or hashed again, no leak checked."""
    index, locked, found = opened(cat), _locked(cat), Held()
    for own, segment in index:
        if own.id == dataset.id:
            words, keys, has = unsorted(segment)
            for at in range(0, len(has), SLICE):
                part = slice(at, at + SLICE)
                _count(found, _others(index, dataset), locked, words[part], keys[part], has[part])
    found.datasets = Counter({name: count for name, count in found.datasets.items() if count})
    return found


def _others(index: Index, without: Dataset | None) -> Index:
    return [(d, segment) for d, segment in index if d.role != "eval" and not _kin(d, without)]


def _count(
    found: Held, index: Index, locked: dict[str, list[Any]], words: np.ndarray, keys: np.ndarray, has: np.ndarray
) -> None:
    """Add rows, by their content words and keys, to the counts."""
    count = len(has)
    exact, near, mixed = (np.zeros(count, bool) for _ in range(3))
    by_dataset: dict[str, np.ndarray] = {}
    tier_of = {dataset.name: dataset.tier for dataset, _ in index}
    for dataset, segment in index:
        same, like, rows = matches(segment, words, keys, has)
        exact[same] = True
        touched = np.unique(np.concatenate([same, like]))
        near[touched] = True
        by_dataset.setdefault(dataset.name, np.zeros(count, bool))[touched] = True
        for rowset in locked.get(dataset.id, []):
            inside = rowset.contains(segment.rows[rows].astype(np.int64))
            mixed[np.concatenate([same, like])[inside]] = True
    found.rows += count
    found.exact, found.near = found.exact + int(exact.sum()), found.near + int(near.sum())
    found.mixes += int(mixed.sum())
    tiers: dict[str, np.ndarray] = {}
    for name, mask in by_dataset.items():
        found.datasets[name] += int(mask.sum())
        tiers[tier_of[name]] = tiers.get(tier_of[name], np.zeros(count, bool)) | mask
    for tier, mask in tiers.items():
        found.tiers[tier] += int(mask.sum())


def matches(
    segment: Segment, words: np.ndarray, keys: np.ndarray, has: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries of equal content, queries that share a key, and the segment's rows of both, in that order."""
    asked, at = hits(segment.content[0], words[:, 0])
    true = segment.content[1][at] == words[asked, 1]
    asked, at = asked[true], segment.content_row[at[true]].astype(np.int64)
    owners = np.flatnonzero(has)
    like, rows = [np.empty(0, np.int64)], [at]
    for band in range(segment.keys.shape[0]):
        query, place = hits(segment.keys[band], keys[owners, band])
        like.append(owners[query])
        rows.append(segment.keys_row[band][place].astype(np.int64))
    return asked, np.concatenate(like), np.concatenate(rows)


def _kin(dataset: Dataset, other: Dataset | None) -> bool:
    if other is None:
        return False
    parents = [(d.parent or "").split("@")[0] for d in (dataset, other)]
    return dataset.id == other.id or parents[0] == other.name or parents[1] == dataset.name


def _locked(cat: Catalog) -> dict[str, list[Any]]:
    """Row sets of published mixes, by dataset."""
    from catalog.pull import rowset

    found: dict[str, list[Any]] = {}
    with cat.session() as session:
        for mix in session.exec(select(Mix)):
            for part in mix.lock.get("parts", []):
                held = rowset.load(part["rows"], cat.settings.locks, verify=False)
                found.setdefault(part["dataset_id"], []).append(held)
    return found


_FITS: dict[str, Any] = {}


def _eval_check(cat: Catalog) -> Any:
    """A function that counts the rows of a batch that leak each eval; the index of the evals is kept between calls."""
    import json

    from catalog.plugins import Context, get_scorer

    named = evals(cat)
    if not named:
        return None
    plugin = get_scorer(CHECK)
    ctx = Context(params=plugin.parse_params({}))
    key = json.dumps(named, sort_keys=True)
    if key not in _FITS:
        _FITS.clear()

        def scan(ref: str) -> Any:
            return lambda wanted=None: cat.scan(ref, ["sample_id", *(wanted or ["text"])])

        ctx.evals = eval_sets(cat, named, scan)
        assert plugin.fit is not None
        _FITS[key] = plugin.fit(lambda *_: iter(()), ctx)
    ctx.state = _FITS[key]

    def count(batch: pa.RecordBatch, leaks: dict[str, int]) -> dict[str, int]:
        for at in range(0, batch.num_rows, 1024):
            got = plugin.function(batch.slice(at, 1024), ctx)["eval_leak_items"]
            for listed in got.drop_null().to_pylist():
                for ref in {item["eval"] for item in json.loads(listed) if item["leak"]}:
                    leaks[ref] = leaks.get(ref, 0) + 1
        return leaks

    return count
