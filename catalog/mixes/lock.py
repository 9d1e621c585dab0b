"""Freeze a spec: row sets, counts, order and verdicts in one JSON document whose digest names it.

The same spec on the same store gives the same lock. Nothing here writes; `publish` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import select

from catalog.errors import BadInput, Corrupt, NotFound
from catalog.meta.models import Mix
from catalog.mixes.budget import Supply
from catalog.mixes.copies import with_copies
from catalog.mixes.orders import STEP, by_position, epochs, order_items
from catalog.mixes.origins import origin_facts
from catalog.mixes.parts import FoundPart, find_parts, licence_counts, scan
from catalog.mixes.rounds import with_rounds
from catalog.mixes.spec import OrderSpec, Spec, label, part_name
from catalog.mixes.stages import Planned, plan, stage_body, stage_facts
from catalog.mixes.verdicts import contamination_verdict, licence_verdict
from catalog.pull.fetch import content_ids
from catalog.pull.layout import Layout, PartRows, digest_of, order_digest, orders_json, runs_of
from catalog.pull.order import LARGEST, Order
from catalog.pull.rowset import RowSet
from catalog.pull.stored import Stored
from catalog.refs import parse_ref
from catalog.schema import table_schema
from catalog.store import open_table

if TYPE_CHECKING:
    from catalog.catalog import Catalog

FORMAT = 1
WITNESSES = 64
"""Probes whose content ids are kept in the lock and compared when a reader opens it."""


@dataclass(frozen=True)
class Draft:
    """A lock and what its side files will hold."""

    lock: dict[str, Any]
    layout: Layout

    @property
    def row_sets(self) -> list[RowSet]:
        return [part.rows for part in self.layout.parts]

    @property
    def orders(self) -> list[Stored]:
        return [held for kept in self.layout.stored.values() for held in kept]


@dataclass(frozen=True)
class Found:
    """A spec with its copies and rounds spelt out, its parts looked up, and what they have."""

    spec: Spec
    parts: list[FoundPart]
    supplies: list[Supply]


def look_up(cat: Catalog, spec: Spec) -> Found:
    """Resolve the parts of a spec; every refusal names the part."""
    spec = with_copies(cat, spec)
    parts = find_parts(cat, spec)
    need_tokens(spec, parts)
    supplies = [Supply(p.rows.rows, p.tokens if _has_tokens(p) else None) for p in parts]
    return Found(with_rounds(spec, supplies), parts, supplies)


def draft(cat: Catalog, spec: Spec, found: Found | None = None) -> Draft:
    """Build the lock of a spec; raises the one-line refusals, changes nothing. found: what was looked up already."""
    held = found or look_up(cat, spec)
    spec, parts = held.spec, held.parts
    planned = plan(spec, held.supplies)
    order = Order([made.segment for made in planned])
    if order.total > LARGEST:
        raise BadInput(f"a mix of {order.total:,} items is past the limit of {LARGEST:,}; publish it as several mixes")
    runs = runs_of(spec.order.model_dump())
    layout = Layout(order, [PartRows(p.rows, p.key) for p in parts], spec.seed, spec.order.shuffle, runs)
    tokens = [count_tokens(cat, layout, number, found) for number, found in enumerate(parts)]
    layout = replace(layout, stored=stored_orders(cat, spec, layout, planned, parts))
    lock = {
        "format": FORMAT,
        "name": spec.name,
        "algorithms": layout.algorithms,
        "spec": spec_body(spec),
        "unit": spec.unit,
        "seed": spec.seed,
        "order": spec.order.written(),
        "parts": [lock_part(found) for found in parts],
        "segments": [segment.to_json() for segment in order.segments],
        "totals": totals(order, [found.rows.rows for found in parts], tokens, spec.tokens),
        "licences": licence_verdict(parts, spec.use, spec.waive),
        "contamination": contamination_verdict(cat, parts),
    }
    if layout.stored:
        lock["orders"] = orders_json(layout)
    if spec.stages is not None:
        facts = [stage_body(made.stage, made.order) for made in planned if made.stage]
        names, rows = [part_name(part) for part in spec.parts], [found.rows.rows for found in parts]
        lock["stages"] = stage_facts(order, names, facts, rows, list(zip(*tokens, strict=True)))
    return Draft(seal_lock(cat, lock, layout, parts), layout)


def seal_lock(cat: Catalog, lock: dict[str, Any], layout: Layout, parts: list[FoundPart]) -> dict[str, Any]:
    """The lock with its order digest, its witnesses and its own digest."""
    datasets = {found.found.dataset.id: found.found.dataset for found in parts}
    tables = {name: open_table(cat.table_uri(d), d.lance_version, cat.settings.storage) for name, d in datasets.items()}
    lock = {**lock, **origin_facts(lock, [found.found.dataset.tier for found in parts])}
    lock = {**lock, **sealed(layout, [tables[found.found.dataset.id] for found in parts])}
    return {**lock, "digest": digest_of(lock)}


def spec_body(spec: Spec) -> dict[str, Any]:
    """A spec as its lock keeps it."""
    body = spec.model_dump(mode="json", exclude_none=True)
    body["order"] = spec.order.written()
    for stage, held in zip(body.get("stages", ()), spec.stages or (), strict=True):
        if held.order is not None:
            stage["order"] = held.order.written()
    return body


def totals(order: Order, rows: Sequence[int], tokens: Sequence[Sequence[int | None]], column: str) -> dict[str, Any]:
    """What the mix serves of every part. tokens[part][segment], None where they are not counted."""
    served = [[end - begin for begin, end in ranges] for ranges in zip(*order.ranges(), strict=True)]
    summed = [None if None in held else sum(value or 0 for value in held) for held in tokens]
    return {
        "samples": order.total,
        "tokens": None if None in summed else sum(value or 0 for value in summed),
        "token_column": column,
        "parts": [
            {
                "samples": sum(counts),
                "epochs": round(sum(counts) / held, 9),
                "tokens": value,
                "share": round(sum(counts) / order.total, 9),
            }
            for counts, held, value in zip(served, rows, summed, strict=True)
        ],
    }


def stored_orders(
    cat: Catalog, spec: Spec, layout: Layout, planned: Sequence[Planned | None], parts: list[FoundPart]
) -> dict[int, list[Stored]]:
    """The orders by a column, and table order in a stage of a shuffled mix; for items that no order covers yet.

    planned: what made each segment; None: it stands already.
    """
    out: dict[int, list[Stored]] = {}
    for made, ranges in zip(planned, layout.order.ranges(), strict=True):
        for number, (begin, end) in enumerate(ranges):
            begin = max(begin, *(held.end for held in layout.stored.get(number, ()) if held.begin <= begin), begin)
            if made is None or begin >= end or not needs_order(made.order, spec.order):
                continue
            found = parts[number]
            values = part_values(cat, made.order, found, f"mix {spec.name}: {label(number, found.part)}")
            out.setdefault(number, []).extend(order_items(layout, number, begin, end, made.order, values))
    return out


def needs_order(order: OrderSpec, base: OrderSpec) -> bool:
    """Does a stage rearrange what the shuffle of the mix gives it?"""
    return order.by is not None or (order.shuffle == "none" != base.shuffle)


def part_values(cat: Catalog, order: OrderSpec, found: FoundPart, place: str) -> Any:
    """What a part is ordered by, by position in its row set; its fingerprint is pinned with those of the filter."""
    if order.by is None:
        return pa.array(np.arange(found.rows.rows))
    dataset = found.found.dataset
    columns = {column.alias: column for column in cat.columns(dataset.name)}
    own = table_schema(dataset.kind, dataset.tier).names
    if order.by not in columns and order.by not in own:
        raise NotFound(f"column of {dataset.name}", order.by, {*columns, *own}, f"{place} is ordered by it; score it")
    if order.by in columns:
        found.fingerprints[order.by] = columns[order.by].fingerprint
    physical = columns[order.by].physical if order.by in columns else order.by
    return by_position(scan(cat, found, [physical]), physical, found.rows)


def _has_tokens(found: FoundPart) -> bool:
    return found.token_column is not None and found.uncovered == 0


def need_tokens(spec: Spec, parts: list[FoundPart]) -> None:
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


def count_tokens(cat: Catalog, layout: Layout, number: int, found: FoundPart) -> list[int | None]:
    """Tokens the part serves in each segment, to the last one: whole epochs by the sum, others row by row."""
    ranges, rows = [held[number] for held in layout.order.ranges()], found.rows.rows
    if not _has_tokens(found) or found.token_column is None:
        return [None] * len(ranges)
    sums, partial = [0] * len(ranges), []
    for segment, (begin, end) in enumerate(ranges):
        for first, last in epochs(begin, end, rows):
            if last - first == rows:
                sums[segment] += found.tokens
            else:
                partial.append((segment, first, last))
    if partial:
        column = found.token_column.physical
        tests = [(segment, _chosen(layout, number, first, last)) for segment, first, last in partial]
        for batch in scan(cat, found, [column]):
            ids, values = batch.column("_rowid").to_numpy(), batch.column(column)
            for segment, test in tests:
                mask = test(ids)
                sums[segment] += int(pc.sum(values.filter(pa.array(mask))).as_py() or 0)
    return list(sums)


def _chosen(layout: Layout, number: int, begin: int, end: int) -> Callable[[np.ndarray], np.ndarray]:
    """Tells which row ids are among items begin to end of a part, all of one epoch."""
    if not layout.stored.get(number):
        return lambda ids: layout.in_items(number, ids, begin, end)
    rows = layout.parts[number].rows
    inside = np.zeros(rows.rows, bool)
    for at in range(begin, end, STEP):
        inside[layout.positions(number, np.arange(at, min(at + STEP, end)))] = True
    return lambda ids: inside[rows.rank(ids)]


def lock_part(found: FoundPart) -> dict[str, Any]:
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
        **({"sample_weight": found.sample_weight} if found.sample_weight else {}),
    }


def sealed(layout: Layout, tables: list[Any]) -> dict[str, Any]:
    """The order digest over the probes, and a few probes as witnesses. tables: one for each part."""
    indices = layout.probes()
    located = layout.locate(indices)
    held = content_ids(tables, located)
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
