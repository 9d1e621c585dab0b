"""Change a mix while it is trained on: other weights or a new part from global index N on, as the mix's next version.

A revision is a lock of its own, chained to the old by its digest. Indices below N are served as before; from N on, a new
segment (then the later stages) serves the new shares, and every part goes on at the item where it stands: rows and row
sets of the old parts are those of the old lock, whatever the catalog holds today. Since the row of (part, item) never
depends on the segment, nothing is lost, and max_epochs holds over both. A state of the old lock loads into the revision
while its index is at most N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput, Corrupt, NotFound
from catalog.meta.models import Dataset, Mix, now
from catalog.mixes.budget import Supply
from catalog.mixes.lock import (
    Draft,
    count_tokens,
    find_mix,
    load_lock,
    lock_part,
    need_tokens,
    seal_lock,
    spec_body,
    stored_orders,
    totals,
)
from catalog.mixes.parts import FoundPart, find_parts, held_part
from catalog.mixes.publish import record
from catalog.mixes.spec import OrderSpec, Part, Spec, Stage, check_stages, part_name
from catalog.mixes.stages import Planned, plan_stages, stage_body, stage_facts
from catalog.mixes.verdicts import contamination_verdict, licence_verdict
from catalog.pull.layout import Layout, PartRows, orders_json
from catalog.pull.order import Order, Segment
from catalog.pull.stored import Stored

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def revise(
    cat: Catalog,
    ref: str,
    at_sample: int,
    weights: Mapping[str, float],
    *,
    add: Sequence[str | Mapping[str, Any]] = (),
    total: int | None = None,
    actor: str | None = None,
) -> Mix:
    """Publish the revision as the next version of the mix.

    weights: by part name; a part that is not named keeps the weight it had in the stage that runs at N. add: new parts,
    a dataset reference or what a spec says of a part. total: what the changed stage still serves; as planned without.
    """
    started = now()
    made = draft_revision(cat, ref, at_sample, weights, add=add, total=total)
    return record(cat, made, actor, started)


def draft_revision(
    cat: Catalog,
    ref: str,
    at: int,
    weights: Mapping[str, float],
    *,
    add: Sequence[str | Mapping[str, Any]] = (),
    total: int | None = None,
) -> Draft:
    """The lock of a revision; changes nothing."""
    mix = find_mix(cat, ref)
    name = f"{mix.name}@v{mix.version}"
    old = load_lock(cat, name)
    layout = Layout.from_lock(old, cat.settings.locks)
    if not 0 < at <= len(layout):
        raise BadInput(f"mix {name} has indices 0 to {len(layout):,}; --at-sample {at:,} is not between them")
    spec = _spec(old, add)
    base = _weights(old, layout.order, at, spec)
    spec.stages = _stages(old, layout.order, at, spec, {**base, **_named(spec, name, weights)}, total)
    check_stages(spec.model_copy(update={"parts": _live(spec)}), _named_stages(spec))
    parts = _parts(cat, old, layout, spec)
    return _assemble(cat, mix, old, layout, at, spec, parts)


def _spec(old: dict[str, Any], add: Sequence[str | Mapping[str, Any]]) -> Spec:
    """The old spec with every part called by its own name and without budgets, and the new parts behind."""
    spec = Spec(**{**old["spec"], "stages": None, "total": None})
    names = [part_name(part) for part in spec.parts]
    new = [Part(dataset=given) if isinstance(given, str) else Part(**given) for given in add]
    named = [
        part.model_copy(update={"name": name if names.count(name) == 1 else f"{name}#{at + 1}"})
        for at, (part, name) in enumerate(zip(spec.parts, names, strict=True))
    ]
    spec.parts = [*named, *(part.model_copy(update={"name": part_name(part)}) for part in new)]
    every = [part.name for part in spec.parts]
    for part in new:
        if part.samples or part.tokens or part.copies:
            raise BadInput(f"mix {spec.name}: a part that is added takes a weight, not samples, tokens or copies")
        if every.count(part_name(part)) > 1:
            raise BadInput(f"mix {spec.name} has a part {part_name(part)} already; give the new one another name")
    return spec


def _named(spec: Spec, mix: str, weights: Mapping[str, float]) -> dict[str, float]:
    names = [part_name(part) for part in spec.parts]
    for name in weights:
        if name not in names:
            raise NotFound(f"part of mix {mix}", name, names)
    return dict(weights)


def _running(order: Order, at: int) -> int:
    """The segment that would serve index `at`; past the end, the last."""
    return next((n for n, held in enumerate(order.segments) if held.start + held.length > at), len(order.segments) - 1)


def _weights(old: dict[str, Any], order: Order, at: int, spec: Spec) -> dict[str, float]:
    """Weights of the stage that runs at the cut, and those that new parts bring."""
    held = old.get("stages")
    known = [(part_name(part), part.weight) for part in spec.parts]
    if held:
        found = dict(held[_running(order, at)]["weights"])
    else:
        found = {name: weight for name, weight in known if weight is not None}
    return found | {name: weight for name, weight in known[len(old["parts"]) :] if weight is not None}


def _stages(
    old: dict[str, Any], order: Order, at: int, spec: Spec, weights: dict[str, float], total: int | None
) -> list[Stage]:
    """What comes after the cut: the rest of the running stage under the new weights, then the later stages."""
    lacking = [part_name(part) for part in spec.parts if part_name(part) not in weights]
    if lacking and not old.get("stages"):
        raise BadInput(f"mix {spec.name}: {lacking[0]} has no weight; name it in --weights, 0 to serve no more of it")
    for name in lacking[:1]:
        if name in [part_name(part) for part in spec.parts[len(old["parts"]) :]]:
            raise BadInput(f"mix {spec.name}: the new part {name} has no weight; name it in --weights")
    number = _running(order, at)
    held = old["stages"][number] if old.get("stages") else {"order": old["order"]}
    rest = total if total is not None else _rest(old, order, number, at)
    if rest < 1:
        raise BadInput(f"mix {spec.name} ends at index {at:,}; say with --total what is served after it")
    running = Stage(name=f"from-{at}", total=rest, weights=weights, order=OrderSpec(**held["order"]))
    later = [] if not old.get("stages") else [Stage(**stage_body(body)) for body in old["stages"][number + 1 :]]
    return [running, *later]


def _rest(old: dict[str, Any], order: Order, number: int, at: int) -> int:
    """What the running segment has still to serve, in the unit of the mix."""
    segment = order.segments[number]
    left = segment.start + segment.length - at
    if old["unit"] == "samples" or left <= 0:
        return left
    ends, cursors = order.served(segment.start + segment.length), order.served(at)
    means = [part["tokens"] / part["rows"]["rows"] for part in old["parts"]]
    return round(sum((end - max(at, first)) * mean for end, at, first, mean in
                     zip(ends, cursors, segment.cursors, means, strict=True)))  # fmt: skip


def _live(spec: Spec) -> list[Part]:
    return [part.model_copy(update={"weight": None, "samples": None, "tokens": None}) for part in spec.parts]


def _named_stages(spec: Spec) -> list[Stage]:
    """Parts that serve no more are legal in a revision, so they count as used."""
    idle = {part_name(part): 1.0 for part in spec.parts}
    return [*(spec.stages or []), Stage(name="served before", weights=idle)]


def _parts(cat: Catalog, old: dict[str, Any], layout: Layout, spec: Spec) -> list[FoundPart]:
    """Old parts as their lock has them, new ones looked up."""
    out = []
    for number, body in enumerate(old["parts"]):
        with cat.session() as session:
            held = session.get(Dataset, body["dataset_id"])
        if held is None or held.dropped:
            raise Corrupt(f"mix {spec.name} reads dataset {body['dataset']}, which this catalog does not have any more")
        out.append(held_part(cat, spec, spec.parts[number], held.name, body, layout.parts[number].rows))
    if new := spec.parts[len(out) :]:
        more = spec.model_copy(update={"parts": new, "stages": None})
        found = find_parts(cat, more)
        need_tokens(more, found)
        for part in found:
            if any((part.found.dataset.id, part.filter) == (o["dataset_id"], o["filter"]) for o in old["parts"]):
                raise BadInput(f"mix {spec.name}: the new part {part.part.name} has the rows of a part that is there")
        out += found
    return out


def _widened(segments: Sequence[Segment], at: int, parts: int) -> list[Segment]:
    """The segments before the cut, over as many parts as there are now."""
    out = []
    for held in segments:
        if held.start < at:
            none = (0,) * (parts - len(held.counts))
            length = min(held.length, at - held.start)
            out.append(Segment(held.start, length, (*held.counts, *none), (*held.cursors, *none), held.turns))
    return out


def _cut(held: Stored, cursor: int) -> Stored:
    """A stored order up to the end of the epoch that runs at the cut, so that what is left of it comes as planned."""
    size = len(held.places)
    return replace(held, end=min(held.end, held.begin + -(-(cursor - held.begin) // size) * size))


def _assemble(
    cat: Catalog, mix: Mix, old: dict[str, Any], layout: Layout, at: int, spec: Spec, parts: list[FoundPart]
) -> Draft:
    before = _widened(layout.order.segments, at, len(parts))
    cut = Order(before)
    cursors = cut.served(at)
    given = [sum(end - begin for begin, end in ranges) for ranges in zip(*cut.ranges(), strict=True)]
    counted = spec.unit == "tokens"
    supplies = [Supply(found.rows.rows, found.tokens if counted else None) for found in parts]
    planned = plan_stages(spec, spec.stages or [], supplies, cursors, given, before)
    order = Order([*before, *(made.segment for made in planned)])
    keys = [body["key"] for body in old["parts"]] + [found.key for found in parts[len(old["parts"]) :]]
    rows = [PartRows(found.rows, key) for found, key in zip(parts, keys, strict=True)]
    kept = {
        number: [_cut(held, cursors[number]) for held in orders if held.begin < cursors[number]]
        for number, orders in layout.stored.items()
    }
    made = Layout(order, rows, spec.seed, layout.shuffle, layout.runs, {n: held for n, held in kept.items() if held})
    more = stored_orders(cat, spec, made, [None] * len(before) + planned, parts)
    merged: dict[int, list[Stored]] = {
        number: [*made.stored.get(number, ()), *more.get(number, ())] for number in sorted({*made.stored, *more})
    }
    made = replace(made, stored=merged)
    return Draft(_lock(cat, mix, old, at, spec, parts, made, planned), made)


def _lock(cat: Catalog, mix: Mix, old: dict[str, Any], at: int, spec: Spec, parts: list[FoundPart], layout: Layout,
          planned: list[Planned]) -> dict[str, Any]:  # fmt: skip
    tokens = [count_tokens(cat, layout, number, found) for number, found in enumerate(parts)]
    names, rows = [part_name(part) for part in spec.parts], [found.rows.rows for found in parts]
    kept = len(layout.order.segments) - len(planned)
    facts = (old.get("stages") or [{"name": "all", "order": old["order"], "weights": {}, "fresh": False}])[:kept]
    facts = [stage_body(held) for held in facts] + [
        stage_body(made.stage, made.order) for made in planned if made.stage
    ]
    parent = {
        "digest": old["digest"],
        "ref": f"{mix.name}@v{mix.version}",
        "at": at,
        "samples": old["totals"]["samples"],
    }
    # at: up to where a state of that lock loads here. cut: where it was revised, if that is later.
    chain = [{"cut": held["at"], **held, "at": at} if held["at"] > at else held for held in old.get("revises", [])]
    lock = {
        **{name: old[name] for name in ("format", "name", "unit", "seed", "order")},
        "algorithms": layout.algorithms,
        "spec": {**old["spec"], "parts": spec_body(spec)["parts"]},
        "parts": [*old["parts"], *(lock_part(found) for found in parts[len(old["parts"]) :])],
        "segments": [segment.to_json() for segment in layout.order.segments],
        "totals": totals(layout.order, rows, tokens, spec.tokens),
        "stages": stage_facts(layout.order, names, facts, rows, list(zip(*tokens, strict=True))),
        "licences": licence_verdict(parts, spec.use, spec.waive),
        "contamination": contamination_verdict(cat, parts),
        "revises": [parent, *chain],
    }
    if layout.stored:
        lock["orders"] = orders_json(layout)
    return seal_lock(cat, lock, layout, parts)
