"""What a spec would serve, part by part, before anything is frozen; also of a spec that asks for more than there is.

A refused spec has no order and no digest, but its figures say how much each part is short: what was asked of it past its
max_epochs, over all stages. Its tokens are estimates by the part's mean; those of a spec that holds are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from catalog.mixes.budget import Supply, cap
from catalog.mixes.orders import epochs
from catalog.mixes.parts import FoundPart
from catalog.mixes.spec import Spec, part_name
from catalog.mixes.stages import Planned
from catalog.mixes.verdicts import contamination_verdict, licence_verdict
from catalog.pull.order import Order, Segment

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def served(segments: Sequence[Segment]) -> list[list[tuple[int, int]]]:
    """For every segment, the items [begin, end) that each part gives; only segments cut short need their order for it."""
    out = []
    for number, segment in enumerate(segments):
        if segment.length == sum(segment.counts):
            out.append([(at, at + count) for at, count in zip(segment.cursors, segment.counts, strict=True)])
        else:
            end = Order(segments[: number + 1]).served(segment.start + segment.length)
            out.append(list(zip(segment.cursors, end, strict=True)))
    return out


def repeated(rows: int, pieces: Iterable[tuple[int, int]], shuffle: str = "full") -> int:
    """Rows that come more than once in these items of a part.

    Exact while epochs follow one another; where stages begin anew in the middle of one (`fresh`), what chance gives on
    average, since each epoch is shuffled by itself. In table order the beginnings of the epochs come again.
    """
    parts: dict[int, list[tuple[int, int]]] = {}
    pieces = list(pieces)
    if any(end - begin >= 3 * rows for begin, end in pieces):  # two whole epochs at least
        return rows
    for begin, end in (piece for held in pieces for piece in epochs(*held, rows)):
        parts.setdefault(begin // rows, []).append((begin % rows, begin % rows + end - begin))
    if shuffle == "none":
        edges = sorted(
            (at, step) for held in parts.values() for begin, end in held for at, step in ((begin, 1), (end, -1))
        )
        depth = last = twice = 0
        for at, step in edges:
            twice += (at - last) * (depth > 1)
            depth, last = depth + step, at
        return twice
    shares = [sum(end - begin for begin, end in held) / rows for held in parts.values()]
    whole = sum(share == 1 for share in shares)
    rest = [share for share in shares if share < 1]
    never = prod(1 - share for share in rest)
    if whole:
        return rows if whole > 1 else round(rows * (1 - never))
    once = sum(share * never / (1 - share) for share in rest)
    return round(rows * (1 - never - once))


def repetition(lock: dict[str, Any]) -> list[int]:
    """For every part of a lock, the rows it serves more than once."""
    segments = Order.from_json(lock["segments"]).segments
    return _repetition(segments, [part["rows"]["rows"] for part in lock["parts"]], lock["order"]["shuffle"])


def _repetition(segments: Sequence[Segment], rows: Sequence[int], shuffle: str) -> list[int]:
    by_part = zip(*served(segments), strict=True)
    return [repeated(held, pieces, shuffle) for held, pieces in zip(rows, by_part, strict=True)]


def refusal(
    cat: Catalog, spec: Spec, parts: list[FoundPart], supplies: Sequence[Supply], planned: list[Planned],
    refused: list[str],
) -> dict[str, Any]:  # fmt: skip
    """What a refused spec asks for, in the form of a preview."""
    segments = [made.segment for made in planned]
    counts = [sum(held) for held in zip(*(segment.counts for segment in segments), strict=True)]
    total, twice = sum(counts), _repetition(segments, [held.rows for held in supplies], spec.order.shuffle)
    rows = []
    for number, (found, supply, count) in enumerate(zip(parts, supplies, counts, strict=True)):
        short = max(0, count - cap(spec, number, supply)) if _capped(spec, number) else 0
        rows.append(
            {
                "part": found.found.ref, "where": found.where, "rows": supply.rows, "samples": count,
                "epochs": round(count / supply.rows, 9), "tokens": _tokens(supply, count),
                "share": round(count / max(1, total), 9), "repeated": twice[number], "shortfall": short,
                "shortfall_tokens": _tokens(supply, short),
            }
        )  # fmt: skip
    contamination = contamination_verdict(cat, parts)
    stages = {"stages": [_stage(spec, made, supplies) for made in planned]} if spec.stages is not None else {}
    return {
        "name": spec.name, "unit": spec.unit, "samples": total, "tokens": _sum(row["tokens"] for row in rows),
        "order": spec.order.written(), "parts": rows, **stages, "licences": licence_verdict(parts, spec.use, spec.waive),
        "contamination": {name: contamination[name] for name in ("verdict", "unchecked")}, "order_digest": None,
        "digest": None, "refused": refused,
    }  # fmt: skip


def _capped(spec: Spec, number: int) -> bool:
    """A part without weight or budget serves every row once, whatever its max_epochs."""
    part = spec.parts[number]
    return spec.stages is not None or any(value is not None for value in (part.weight, part.samples, part.tokens))


def _tokens(supply: Supply, count: int) -> int | None:
    return None if supply.tokens is None else round(supply.mean * count)


def _sum(values: Iterable[int | None]) -> int | None:
    held = list(values)
    return None if None in held else sum(value or 0 for value in held)


def _stage(spec: Spec, made: Planned, supplies: Sequence[Supply]) -> dict[str, Any]:
    segment = made.segment
    parts = {
        part_name(part): f"{100 * count / max(1, segment.length):.4g}%, {count / supply.rows:.3g} epochs"
        for part, supply, count in zip(spec.parts, supplies, segment.counts, strict=True)
        if count
    }
    every = [_tokens(supply, count) for supply, count in zip(supplies, segment.counts, strict=True) if count]
    return {"name": made.stage.name if made.stage else "all", "start": segment.start, "samples": segment.length,
            "tokens": _sum(every), "parts": parts, "order": made.order.written()}  # fmt: skip
