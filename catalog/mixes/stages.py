"""Stages of a mix as chained segments: each stage serves its own counts, and every part goes on where it was left.

So max_epochs bounds what all stages together take from a part. Without `fresh`, a stage takes the rows that come next in
the part's epoch: consecutive stages that each take a fraction of a part are RS2, a fresh random subset every round,
nothing twice until the part is used up (P. Okanovic et al., "Repeated Random Sampling for Minimizing the
Time-to-Accuracy of Learning", ICLR 2024, without replacement). With `fresh`, every part begins a new epoch: each round
is drawn from all rows again, and totals that shrink from stage to stage, with a last one over everything, are the
scheduled random variant of progressive data dropout (S. M. Shriram et al., "Progressive Data Dropout", 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from catalog.mixes.budget import Supply, cap, items, refuse, shares_of, stage_items
from catalog.mixes.spec import OrderSpec, Spec, Stage, label
from catalog.pull.order import Order, Segment, chained, whole


@dataclass(frozen=True)
class Planned:
    """A segment and what it came from; stage is None in a mix without stages."""

    segment: Segment
    stage: Stage | None
    order: OrderSpec


def plan(spec: Spec, supplies: Sequence[Supply], refused: list[str] | None = None) -> list[Planned]:
    """The segments of a spec. refused: reasons against it are put there, instead of the first one raised."""
    if spec.stages is None:
        return [Planned(whole(items(spec, supplies, refused), shares_of(spec)), None, spec.order)]
    return plan_stages(spec, spec.stages, supplies, [0] * len(supplies), [0] * len(supplies), [], refused)


def plan_stages(
    spec: Spec,
    stages: Sequence[Stage],
    supplies: Sequence[Supply],
    cursors: Sequence[int],
    given: Sequence[int],
    before: Sequence[Segment],
    refused: list[str] | None = None,
) -> list[Planned]:
    """Segments of stages that follow others. given: items the parts served so far; cursors: the item each goes on at."""
    cursors, given, out = list(cursors), list(given), []
    for stage in stages:
        counts = stage_items(spec, stage, supplies, given, refused)
        if stage.fresh:
            cursors = [
                -(-at // supply.rows) * supply.rows if count else at
                for at, supply, count in zip(cursors, supplies, counts, strict=True)
            ]
        chain = [*before, *(planned.segment for planned in out)]
        segment = chained(chain, counts, cursors, shares_of(spec, stage))
        cursors = [at + count for at, count in zip(cursors, counts, strict=True)]
        given = [held + count for held, count in zip(given, counts, strict=True)]
        over = [held > cap(spec, number, supplies[number]) for number, held in enumerate(given)]
        _check_epochs(spec, stage, supplies, cursors, [0 if told else n for n, told in zip(counts, over)], refused)
        out.append(Planned(segment, stage, stage.order or spec.order))
    return out


def _check_epochs(
    spec: Spec,
    stage: Stage,
    supplies: Sequence[Supply],
    cursors: Sequence[int],
    counts: Sequence[int],
    refused: list[str] | None,
) -> None:
    """A row comes once an epoch, so no part may begin more epochs than a row may be served."""
    for number, (part, supply) in enumerate(zip(spec.parts, supplies, strict=True)):
        if counts[number] and -(-cursors[number] // supply.rows) > ceil(part.max_epochs):
            refuse(
                f"mix {spec.name}: stage {stage.name}: {label(number, part)} would begin epoch "
                f"{-(-cursors[number] // supply.rows)} and max_epochs is {part.max_epochs:g}; raise max_epochs or "
                "leave `fresh` out",
                refused,
            )


def stage_body(stage: Stage | dict[str, Any], order: OrderSpec | None = None) -> dict[str, Any]:
    """What a lock keeps of a stage beside its figures; from such a lock or from the spec."""
    if isinstance(stage, dict):
        return {name: stage[name] for name in ("name", "total", "weights", "order", "fresh") if name in stage}
    held = stage.model_dump(exclude={"order"})
    return {**held, "order": (order or stage.order or OrderSpec()).written()}


def stage_facts(order: Order, names: Sequence[str], facts: Sequence[dict[str, Any]], rows: Sequence[int],
                tokens: Sequence[Sequence[int | None]]) -> list[dict[str, Any]]:  # fmt: skip
    """What every segment serves, for the lock. facts: what is known of each stage; tokens[segment][part]."""
    out = []
    for number, (segment, ranges) in enumerate(zip(order.segments, order.ranges(), strict=True)):
        counts = [end - begin for begin, end in ranges]
        every = [value for value, count in zip(tokens[number], counts, strict=True) if count]
        out.append(
            {
                **facts[number],
                "start": segment.start,
                "samples": segment.length,
                "tokens": None if None in every else sum(value or 0 for value in every),
                "parts": {
                    name: {
                        "samples": count,
                        "epochs": round(count / held, 9),
                        "share": round(count / segment.length, 9),
                        "tokens": served,
                    }
                    for name, count, held, served in zip(names, counts, rows, tokens[number], strict=True)
                    if count
                },
            }
        )
    return out
