"""What changed between two dataset versions: rows, characters, tokens, languages, sources, licences, and score shifts.

Samples are known by their sample id, content by its content id. Rows and categories are joined and counted by DuckDB,
which spills beyond its memory; shifts of scores come from one pass over each side. The distance of two score
distributions is the two-sample statistic of Kolmogorov and Smirnov (Smirnov 1939), over samples drawn alike on both
sides by the hash in the sample id, at most KS_ROWS each; `ks_rows` says how many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.access import check
from catalog.digests import id_words
from catalog.query.engine import Request, one_line
from catalog.query.statements import parse
from catalog.query.views import open_view, quoted
from catalog.statistics import Moments

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved
    from catalog.meta.models import ColumnRecord

KS_ROWS = 100_000
LISTED = 50
"""Values of a category that are listed, those that changed most first."""


BINS = 32
"""Bins of the histograms that two versions share."""


def diff_versions(cat: Catalog, a: str, b: str, *, memory: str = "2GB", histograms: bool = False) -> dict[str, Any]:
    """Compare version `a` with version `b`: "added" is in b only. Of one dataset or of two.

    histograms: give every score counts of both sides over the same bins, of the samples that its distance is from.
    """
    # A dataset without a version is an empty table under its plain name.
    sides = [found if found.version else found._replace(ref=found.dataset.name) for found in map(cat.resolve, (a, b))]
    for side in sides:
        check(cat, "read", side.ref)
    old, new = sides
    columns = [{column.alias: column for column in cat.columns(side.dataset.name)} for side in sides]
    digests = [side.version.digest if side.version else "" for side in sides]
    facts = [(side.version.statistics if side.version else {}) for side in sides]
    body: dict[str, Any] = {
        "a": old.ref,
        "b": new.ref,
        "same": digests[0] == digests[1],
        "rows": change(*[side.version.rows if side.version else 0 for side in sides]),
        "chars": change(*[held.get("chars", 0) for held in facts]),
    }
    request = Request(cat, memory)
    with one_line(request):
        body |= _samples(request, old, new)
        body["sources"] = _category(request, old, new, "source")
        body["licences"] = _category(request, old, new, "licence")
        shared = set(columns[0]) & set(columns[1])
        body["languages"] = _category(request, old, new, "language") if "language" in shared else {}
        body["tokens"] = _tokens(request, old, new) if "tokens" in shared else None
        request.close()
    body["columns"] = {
        "only_in_a": sorted(set(columns[0]) - set(columns[1])),
        "only_in_b": sorted(set(columns[1]) - set(columns[0])),
        "made_differently": sorted(n for n in shared if columns[0][n].fingerprint != columns[1][n].fingerprint),
    }
    body["scores"] = _scores(cat, old, new, columns, histograms)
    return body


def change(a: int, b: int) -> dict[str, int]:
    return {"a": a, "b": b, "change": b - a}


def _rows(request: Request, query: str, *sides: Resolved) -> list[tuple]:
    for side in sides:
        if side.ref not in request.views:
            request.register(parse(request.con, f"SELECT 1 FROM {quoted(side.ref)}"))
    return request.con.sql(query).fetchall()


def _samples(request: Request, old: Resolved, new: Resolved) -> dict[str, Any]:
    """Samples on either side, and those whose content differs."""
    query = f"""
        SELECT count(*) FILTER (a.sample_id IS NULL), count(*) FILTER (b.sample_id IS NULL),
               count(*) FILTER (a.sample_id = b.sample_id), count(*) FILTER (a.content_id <> b.content_id)
        FROM (SELECT sample_id, content_id FROM {quoted(old.ref)}) a
        FULL JOIN (SELECT sample_id, content_id FROM {quoted(new.ref)}) b ON a.sample_id = b.sample_id
    """
    added, removed, common, changed = _rows(request, query, old, new)[0]
    return {"added": added, "removed": removed, "common": common, "content_changed": changed}


def _category(request: Request, old: Resolved, new: Resolved, column: str) -> dict[str, dict[str, int]]:
    """Rows by value on both sides, the largest changes first; no value is "unknown"."""
    query = f"""
        SELECT coalesce(value, 'unknown'), coalesce(sum(a), 0)::BIGINT AS a, coalesce(sum(b), 0)::BIGINT AS b FROM (
            SELECT {column}::VARCHAR AS value, count(*) AS a, NULL AS b FROM {quoted(old.ref)} GROUP BY 1
            UNION ALL
            SELECT {column}::VARCHAR, NULL, count(*) FROM {quoted(new.ref)} GROUP BY 1
        ) t GROUP BY 1 ORDER BY abs(coalesce(sum(b), 0) - coalesce(sum(a), 0)) DESC, 3 DESC, 1 LIMIT {LISTED}
    """
    return {value: change(a, b) for value, a, b in _rows(request, query, old, new)}


def _tokens(request: Request, old: Resolved, new: Resolved) -> dict[str, Any]:
    """Tokens on both sides, with the rows that they were counted on."""
    sums = [
        _rows(request, f"SELECT coalesce(sum(tokens), 0)::BIGINT, count(tokens) FROM {quoted(side.ref)}", side)[0]
        for side in (old, new)
    ]
    return change(sums[0][0], sums[1][0]) | {"counted_rows": [rows for _, rows in sums]}


def _scores(
    cat: Catalog, old: Resolved, new: Resolved, columns: list[dict[str, ColumnRecord]], histograms: bool
) -> dict[str, dict[str, Any]]:
    """Shift of every numeric column that both sides have under the same recipe."""
    names = [n for n in columns[0] if n in columns[1] and columns[0][n].fingerprint == columns[1][n].fingerprint]
    sides = [_Values(cat, side, names) for side in (old, new)]
    out = {}
    for name in sides[0].moments.keys() & sides[1].moments.keys():
        a, b = (side.moments[name] for side in sides)
        samples = [side.sample(name) for side in sides]
        out[name] = {
            "mean": [a.mean if a.count else None, b.mean if b.count else None],
            "shift": b.mean - a.mean if a.count and b.count else None,
            "rows": [a.count, b.count],
            "ks": kolmogorov_smirnov(*samples),
            "ks_rows": [len(sample) for sample in samples],
            **({"histogram": aligned(*samples)} if histograms else {}),
        }
    return dict(sorted(out.items(), key=lambda item: -(item[1]["ks"] or 0)))


class _Values:
    """One pass over the numeric columns of a version: exact means, and a sample drawn by sample id."""

    def __init__(self, cat: Catalog, side: Resolved, names: list[str]) -> None:
        view = open_view(cat, side.ref)
        kinds = view.types()
        names = [n for n in names if n in kinds and (pa.types.is_integer(kinds[n]) or pa.types.is_floating(kinds[n]))]
        self.moments = {name: Moments() for name in names}
        self.samples: dict[str, list[np.ndarray]] = {name: [] for name in names}
        every = max(1, -(-(side.version.rows if side.version else 0) // KS_ROWS))
        limit = np.uint64((1 << 64) // every - 1)
        for batch in cat.scan(side.ref, ["sample_id", *names], batch_rows=65_536) if names else ():
            drawn = id_words(batch.column(0))[:, 1] <= limit
            for at, name in enumerate(names, 1):
                values = pc.cast(batch.column(at), pa.float64()).to_numpy(zero_copy_only=False)
                finite = np.isfinite(values)
                self.moments[name].add(values[finite])
                self.samples[name].append(values[finite & drawn])

    def sample(self, name: str) -> np.ndarray:
        held = self.samples[name]
        return np.concatenate(held) if held else np.empty(0)


def aligned(a: np.ndarray, b: np.ndarray) -> dict[str, list[float]] | None:
    """Counts of both sides over the same bins, which span both; the outermost two per cent at each end share a bin.

    None where a side is empty or all values are one.
    """
    if not len(a) or not len(b):
        return None
    both = np.concatenate([a, b])
    low, high = (float(value) for value in np.quantile(both, [0.02, 0.98]))
    if not high > low:
        low, high = float(both.min()), float(both.max())
    if not high > low:
        return None
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(side, low, high), edges)[0].tolist() for side in (a, b)]
    return {"edges": edges.tolist(), "a": counts[0], "b": counts[1]}


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float | None:
    """Largest distance between two empirical distribution functions; None where a side is empty."""
    if not len(a) or not len(b):
        return None
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    below = [np.searchsorted(side, both, side="right") / len(side) for side in (a, b)]
    return float(np.abs(below[0] - below[1]).max())
