"""Freeze a spec: row sets, counts, order and verdicts in one JSON document whose digest names it.

The same spec on the same store gives the same lock. Nothing here writes; `publish` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import select

from catalog.errors import BadInput, Corrupt, NotFound
from catalog.meta.models import Mix
from catalog.mixes.budget import Supply, items
from catalog.mixes.copies import with_copies
from catalog.mixes.parts import FoundPart, find_parts, licence_counts, scan
from catalog.mixes.spec import Spec, label
from catalog.mixes.verdicts import contamination_verdict, licence_verdict
from catalog.pull.fetch import content_ids
from catalog.pull.layout import ALGORITHMS, Layout, PartRows, digest_of, order_digest
from catalog.pull.order import Order, whole
from catalog.pull.rowset import RowSet
from catalog.refs import parse_ref

if TYPE_CHECKING:
    from catalog.catalog import Catalog

FORMAT = 1
WITNESSES = 64
"""Probes whose content ids are kept in the lock and compared when a reader opens it."""


@dataclass(frozen=True)
class Draft:
    """A lock and the row sets its side files will hold."""

    lock: dict[str, Any]
    row_sets: list[RowSet]


def draft(cat: Catalog, spec: Spec) -> Draft:
    """Build the lock of a spec; raises the one-line refusals, changes nothing."""
    spec = with_copies(cat, spec)
    parts = find_parts(cat, spec)
    _need_tokens(spec, parts)
    supplies = [Supply(p.rows.rows, p.tokens if _has_tokens(p) else None) for p in parts]
    counts = items(spec, supplies)
    segment = whole(counts)
    layout = Layout(Order([segment]), [PartRows(p.rows, p.key) for p in parts], spec.seed, spec.order.shuffle)
    totals = [_totals(cat, layout, number, found, counts[number]) for number, found in enumerate(parts)]
    every_token = [total["tokens"] for total in totals]
    lock = {
        "format": FORMAT,
        "name": spec.name,
        "algorithms": dict(ALGORITHMS),
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "unit": spec.unit,
        "seed": spec.seed,
        "order": spec.order.model_dump(),
        "parts": [_part(found) for found in parts],
        "segments": [segment.to_json()],
        "totals": {
            "samples": layout.order.total,
            "tokens": None if None in every_token else sum(every_token),
            "token_column": spec.tokens,
            "parts": [
                {**total, "share": round(count / layout.order.total, 9)}
                for total, count in zip(totals, counts, strict=True)
            ],
        },
        "licences": licence_verdict(parts),
        "contamination": contamination_verdict(cat, parts),
    }
    lock |= _sealed(cat, layout, parts)
    lock["digest"] = digest_of(lock)
    return Draft(lock, [found.rows for found in parts])


def _has_tokens(found: FoundPart) -> bool:
    return found.token_column is not None and found.uncovered == 0


def _need_tokens(spec: Spec, parts: list[FoundPart]) -> None:
    for number, found in enumerate(parts):
        if spec.unit != "tokens" and found.part.tokens is None:
            continue
        name, dataset = label(number, found.part), found.found.dataset.name
        if not _has_tokens(found):
            held = f"covers all but {found.uncovered:,} of its rows" if found.token_column else "is not there"
            alias = "" if spec.tokens == "tokens" else f" --as {spec.tokens}"
            raise BadInput(
                f"mix {spec.name}: {name}: tokens are counted by column {spec.tokens!r}, which {held}; "
                f"run `strata score {dataset} token_count{alias}`"
            )
        if not found.tokens:
            raise BadInput(f"mix {spec.name}: {name} has no tokens; remove it or count it in samples")


def _totals(cat: Catalog, layout: Layout, number: int, found: FoundPart, count: int) -> dict[str, Any]:
    """What the part serves, tokens to the last one: whole epochs by the sum, an unfinished one row by row."""
    epochs, left = divmod(count, found.rows.rows)
    tokens = None
    if _has_tokens(found) and found.token_column:
        tokens = epochs * found.tokens
        if left:
            column = found.token_column.physical
            for batch in scan(cat, found, [column]):
                mask = layout.in_last_epoch(number, batch.column("_rowid").to_numpy(), count)
                tokens += int(pc.sum(batch.column(column).filter(pa.array(mask))).as_py() or 0)
    return {"samples": count, "epochs": round(count / found.rows.rows, 9), "tokens": tokens}


def _part(found: FoundPart) -> dict[str, Any]:
    dataset, version = found.found.dataset, found.found.version
    assert version is not None
    return {
        "dataset": dataset.name,
        "dataset_id": dataset.id,
        "kind": dataset.kind,
        "tier": dataset.tier,
        "version": version.number,
        "version_digest": version.digest,
        "where": found.where,
        "filter": found.filter,
        "fingerprints": found.fingerprints,
        "key": found.key,
        "rows": found.rows.to_json(),
        "tokens": found.tokens if _has_tokens(found) else None,
        "token_fingerprint": found.token_column.fingerprint if _has_tokens(found) and found.token_column else None,
        "licences": licence_counts(found),
    }


def _sealed(cat: Catalog, layout: Layout, parts: list[FoundPart]) -> dict[str, Any]:
    """The order digest over the probes, and a few probes as witnesses."""
    from catalog.store import open_table

    tables = {}
    for found in parts:
        dataset = found.found.dataset
        tables[dataset.id] = open_table(cat.table_uri(dataset), dataset.lance_version, cat.settings.storage)
    indices = layout.probes()
    located = layout.locate(indices)
    held = content_ids([tables[found.found.dataset.id] for found in parts], located)
    chosen = np.unique(np.linspace(0, len(indices) - 1, min(WITNESSES, len(indices))).astype(int))
    return {
        "probes": len(indices),
        "witnesses": [[int(indices[at]), held[at]] for at in chosen],
        "order_digest": order_digest(layout, indices, located, held),
    }


def find_mix(cat: Catalog, ref: str) -> Mix:
    """The mix a reference names, the newest version without one."""
    name, wanted = parse_ref(ref)
    with cat.session() as session:
        held = session.exec(select(Mix).where(Mix.name == name)).all()
        if not held:
            raise NotFound("mix", name, session.exec(select(Mix.name)).all(), "see `strata mix list`")
    if wanted is None:
        return max(held, key=lambda mix: mix.version)
    for mix in held:
        if mix.version == wanted:
            return mix
    raise NotFound("mix", ref, [f"{name}@v{mix.version}" for mix in held])


def load_lock(cat: Catalog, ref: str) -> dict[str, Any]:
    """The lock of a mix; `Corrupt` when it is not what was published."""
    mix = find_mix(cat, ref)
    body = {name: value for name, value in mix.lock.items() if name != "digest"}
    if digest_of(body) != mix.digest or mix.lock.get("digest") != mix.digest:
        raise Corrupt(
            f"the lock of {mix.name}@v{mix.version} was changed after it was published; publish the mix again"
        )
    return mix.lock
