"""An incident: somebody names an address, a sample, a text or an eval item; what of it is held, and where?

The answer says how the words were read and with which arguments `retract` would reach exactly that, so that nothing wider
is taken out than was looked at. A text is looked for by content and by near-duplicate keys in the standing index, then by
words; what was taken out before is told with its receipt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.access import check
from catalog.digests import content_id, id_words
from catalog.errors import BadInput, NotFound, StrataError
from catalog.receipts import receipts_of
from catalog.samples import SHORTEST, sample_id_of
from catalog.support import compared, words_of

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.meta.models import Dataset

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
SHOWN = 20
"""Samples that an answer lists; all are counted."""
EXCERPT = 300
NEAR = 0.5
"""Share of the asked text's five-word pieces that a near copy holds at least."""


def locate(cat: Catalog, asked: str, *, nearest: bool = False) -> dict[str, Any]:
    """{"read_as", "ask", "samples", "hits", "gone", "already", "candidates", "notes", ...}: what is held of what was asked.

    read_as: address, sample, eval item, source or text. ask: arguments for `retract`, None where nothing is held. hits:
    up to 20 samples. gone, already: samples that were taken out before, and the receipts of it. candidates: like it, for
    a person to judge. nearest: of a text of which nothing is held, look for what comes nearest in words and meaning.
    """
    check(cat, "read", "incidents")
    text = asked.strip()
    if not text:
        raise BadInput("nothing was asked: paste an address, a sample id, a text or an eval item")
    if ADDRESS.fullmatch(text):
        return _address(cat, text)
    if re.fullmatch(f"[0-9a-fA-F]{{{SHORTEST},32}}", text):
        try:
            return _sample(cat, sample_id_of(cat, text))
        except NotFound:
            if len(text) == 32:
                raise
    for dataset in cat.datasets():
        if text in _sources(cat, dataset):
            return _source(cat, text)
    return _text(cat, text, nearest)


def _answer(read_as: str, ask: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"samples": 0, "hits": [], "gone": 0, "already": [], "candidates": [], "notes": []}
    return {"read_as": read_as, "ask": ask, **empty, **more}


def _address(cat: Catalog, text: str) -> dict[str, Any]:
    """Rows of that page; `wider` says how many samples more begin with the same words."""
    quoted = text.replace("'", "''")
    page, prefix = f"url = '{quoted}'", f"starts_with(url, '{quoted}')"
    exact, hits = _live(cat, page)
    begin, more = _live(cat, prefix)
    gone = _gone(cat, prefix)
    narrow = bool(exact)
    ask: dict[str, Any] | None = {"where": page} if narrow else {"match": text} if begin else None
    wider = {"ask": {"match": text}, "samples": len(begin)} if narrow and len(begin) > len(exact) else None
    found = exact if narrow else begin
    return _answer("address", ask, samples=len(found), hits=hits if narrow else more, wider=wider, gone=len(gone), already=receipts_of(cat, gone),
                   whole="this page" if narrow else "every page whose address begins so")  # fmt: skip


def _sample(cat: Catalog, sample: str) -> dict[str, Any]:
    for dataset in cat.datasets():
        if dataset.role == "eval" and cat.lance(dataset.name).count_rows(f"sample_id = '{sample}' AND removed IS NULL"):
            return _item(cat, dataset, sample)
    found, hits = _live(cat, f"sample_id = '{sample}'")
    gone = set() if found else _gone(cat, f"sample_id = '{sample}'")
    if not found and not gone:
        raise NotFound("sample", sample, [], "`strata search` and the page of a dataset show sample ids")
    return _answer("sample", {"ids": [sample]} if found else None, samples=len(found), hits=hits,
                   gone=len(gone), already=receipts_of(cat, gone))  # fmt: skip


def _item(cat: Catalog, dataset: Dataset, item: str) -> dict[str, Any]:
    """An item of an eval: the rows that leak it, which are what is to be taken out; the eval itself stays."""
    from catalog.leaks import trace_eval

    report = trace_eval(cat, dataset.name)
    leaked = [one for one in report["leaked"] if one["item"] == item]
    ids = sorted({row["sample_id"] for one in leaked for row in one["rows"]})
    shares = {row["sample_id"]: row["share"] for one in leaked for row in one["rows"]}
    found, hits = _live(cat, _among(ids)) if ids else (set(), [])
    for hit in hits:
        hit["share"] = shares.get(hit["sample_id"])
    unchecked = [one["dataset"] for one in report["unchecked"]]
    notes = [f"not checked against this eval: {', '.join(unchecked)}; `strata evals check` does"] if unchecked else []
    return _answer("eval item", {"ids": ids} if ids else None, samples=len(found), hits=hits, eval=report["eval"], item=item,
                   notes=notes)  # fmt: skip


def _source(cat: Catalog, text: str) -> dict[str, Any]:
    quoted = text.replace("'", "''")
    found, hits = _live(cat, f"source = '{quoted}'")
    return _answer("source", {"match": text} if found else None, samples=len(found), hits=hits)


def _text(cat: Catalog, text: str, nearest: bool) -> dict[str, Any]:
    """A text: the same content, near copies of it, and where there is neither what comes nearest."""
    own = content_id("text", {"text": text})
    where = f"content_id = '{own}' OR {_equal(text)}"
    same = _live(cat, where)
    for dataset in cat.datasets():
        if dataset.role == "eval" and (ids := _ids_in(cat, dataset, where)):
            return _item(cat, dataset, min(ids))
    near = _near(cat, text, same[0])
    gone = _gone(cat, where)
    notes: list[str] = []
    candidates = near
    if nearest and not same[0] and not near:
        candidates, notes = _nearest(cat, text)
    return _answer("text", {"ids": sorted(same[0])} if same[0] else None, samples=len(same[0]), hits=same[1],
                   candidates=candidates, gone=len(gone), already=receipts_of(cat, gone), notes=notes)  # fmt: skip


def _equal(text: str) -> str:
    return "text = '" + text.replace("'", "''") + "'"


def _near(cat: Catalog, text: str, known: set[str]) -> list[dict[str, Any]]:
    """Rows that share a near-duplicate key with the text and hold half of its words' pieces, nearest first."""
    from catalog.index.held import matches
    from catalog.index.standing import opened, sketch
    from catalog.plugins import plugins

    if not plugins("sketch"):
        return []
    keys, has = sketch().keys([text])
    asked = id_words(pa.array([content_id("text", {"text": text})]))
    found: dict[str, dict[str, Any]] = {}
    for dataset, segment in opened(cat):
        if dataset.role == "eval":
            continue
        rows = np.unique(segment.rows[matches(segment, asked, keys, has)[2]])
        if len(rows):
            listed = (
                cat.lance(dataset.name)
                ._take_rows(rows[:200].tolist(), columns=["sample_id", "text", "url"])
                .to_pylist()
            )
            for row in listed:
                if row["sample_id"] not in known:
                    held = found.setdefault(row["sample_id"], _hit(row) | {"datasets": [], "full": row["text"] or ""})
                    held["datasets"].append(dataset.name)
    mine = words_of(text)
    for held in found.values():
        held |= compared(mine, words_of(held.pop("full")), 5)
    kept = [held for held in found.values() if held["overlap"] >= NEAR]
    return sorted(kept, key=lambda held: (-held["overlap"], held["sample_id"]))[:SHOWN]


def _nearest(cat: Catalog, text: str) -> tuple[list[dict[str, Any]], list[str]]:
    from catalog.support import support

    try:
        held = support(cat, text, limit=5)
    except StrataError as error:
        return [], [error.message]
    found = [
        {"sample_id": hit["sample_id"], "datasets": [hit["dataset"]], "text": " ".join(hit["text"].split())[:EXCERPT],
         "url": None, "overlap": hit["overlap"], "longest": hit["longest"], "cosine": hit["cosine"]}
        for hit in held["nearest"]
    ]  # fmt: skip
    return found, held["notes"]


def _hit(row: dict[str, Any]) -> dict[str, Any]:
    return {"sample_id": row["sample_id"], "url": row["url"], "text": " ".join((row["text"] or "").split())[:EXCERPT]}


def _live(cat: Catalog, where: str) -> tuple[set[str], list[dict[str, Any]]]:
    """Sample ids of the rows in any version that a filter holds for, evals left out, and the first of them."""
    ids: set[str] = set()
    hits: dict[str, dict[str, Any]] = {}
    for dataset in cat.datasets():
        mine = _ids_in(cat, dataset, where) if dataset.role != "eval" else set()
        shown = sorted(mine)[:SHOWN]
        for row in _rows(cat, dataset, shown):
            if row["sample_id"] in hits or len(hits) < SHOWN:
                hits.setdefault(row["sample_id"], _hit(row) | {"datasets": []})["datasets"].append(dataset.name)
        ids |= mine
    return ids, list(hits.values())


def _ids_in(cat: Catalog, dataset: Dataset, where: str) -> set[str]:
    from catalog.retract import LIVE

    found = cat.lance(dataset.name).to_table(columns=["sample_id"], filter=f"({where}) AND ({LIVE})")
    return set(found.column(0).to_pylist())


def _rows(cat: Catalog, dataset: Dataset, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    table = cat.lance(dataset.name)
    return table.to_table(columns=["sample_id", "text", "url"], filter=_among(ids), limit=4 * SHOWN).to_pylist()


def _gone(cat: Catalog, where: str) -> set[str]:
    """Samples that a filter holds for and that were taken out."""
    ids: set[str] = set()
    for dataset in cat.datasets():
        found = cat.lance(dataset.name).to_table(columns=["sample_id"], filter=f"({where}) AND removed = 0")
        ids |= set(found.column(0).to_pylist())
    return ids


def _among(ids: list[str]) -> str:
    return "sample_id IN (" + ", ".join(f"'{one}'" for one in ids) + ")"


def _sources(cat: Catalog, dataset: Dataset) -> dict[str, int]:
    version = cat.resolve(dataset.name).version
    return (version.statistics if version else {}).get("facets", {}).get("source", {})
