"""Weights and budgets -> how many items each part serves. Pure arithmetic over rows and token totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from catalog.errors import BadInput
from catalog.mixes.spec import Spec, Stage, label, part_name
from catalog.pull import order


@dataclass(frozen=True)
class Supply:
    """What a part has: rows, and the sum of their tokens where it is known."""

    rows: int
    tokens: int | None = None

    @property
    def mean(self) -> Fraction:
        return Fraction(self.tokens or 0, self.rows)


def items(spec: Spec, supplies: Sequence[Supply], refused: list[str] | None = None) -> list[int]:
    """Items n_p of every part. With unit tokens n_p is tokens over the part's mean tokens a row, rounded.

    Shares of `total` are rounded by largest remainder, so that samples add up to it exactly.
    refused: reasons why the counts cannot be served are put there, instead of raised.
    """
    fixed = [_fixed(spec, number, supply) for number, supply in enumerate(supplies)]
    open_parts = [number for number, count in enumerate(fixed) if count is None]
    counts = [count or 0 for count in fixed]
    if open_parts:
        total = _total(spec, supplies, fixed)
        shares = _shares(spec, supplies, open_parts, total)
        rounded = _largest_remainder(shares) if spec.unit == "samples" and spec.total else [floor(s) for s in shares]
        for number, count in zip(open_parts, rounded, strict=True):
            counts[number] = count
    caps = [cap(spec, number, supply) for number, supply in enumerate(supplies)]
    counts = _woven(counts, shares_of(spec), caps)
    for number, count in enumerate(counts):
        _check(spec, number, supplies[number], count, refused)
    return counts


def shares_of(spec: Spec, stage: Stage | None = None) -> list[Fraction] | None:
    """Weights of all parts, None where tokens or fixed budgets decide how many items they serve."""
    if spec.unit != "samples":
        return None
    if stage is not None:
        return _stage_weights(spec, stage)
    given = [part.weight for part in spec.parts]
    return None if None in given else [Fraction(str(weight)) for weight in given]


def _stage_weights(spec: Spec, stage: Stage) -> list[Fraction]:
    return [Fraction(str(stage.weights.get(part_name(part), 0))) for part in spec.parts]


def _woven(counts: list[int], weights: Sequence[Fraction] | None, caps: Sequence[int]) -> list[int]:
    """Counts that repeat one period where the weights have one: rounded otherwise, by less than one item, within caps."""
    found = order.exact(sum(counts), weights) if weights is not None else None
    if found is None or any(count > cap for count, cap in zip(found, caps, strict=True)):
        return counts
    return found


def stage_items(
    spec: Spec, stage: Stage, supplies: Sequence[Supply], given: Sequence[int], refused: list[str] | None = None
) -> list[int]:
    """Items that a stage serves of every part, when the parts gave `given` before it; caps hold over all stages."""
    weights = _stage_weights(spec, stage)
    used = [number for number, weight in enumerate(weights) if weight]
    left = [max(0, cap(spec, number, supply) - given[number]) for number, supply in enumerate(supplies)]
    sizes = [_size(spec, supply) for supply in supplies]
    if stage.total is None:
        total = min(left[number] * sizes[number] / weights[number] for number in used) * sum(weights)
    else:
        total = Fraction(stage.total)
    shares = [total * weights[number] / sum(weights) / sizes[number] for number in used]
    rounded = _largest_remainder(shares) if spec.unit == "samples" and stage.total else [floor(s) for s in shares]
    counts = [0] * len(weights)
    for number, count in zip(used, rounded, strict=True):
        counts[number] = count
    counts = _woven(counts, shares_of(spec, stage), left)
    for number in used:
        count = counts[number]
        place = f"mix {spec.name}: stage {stage.name}: {label(number, spec.parts[number])}"
        if count > left[number]:
            refuse(
                f"{place} is short of {_short(spec, supplies[number], count - left[number])}: max_epochs "
                f"{spec.parts[number].max_epochs:g} of {supplies[number].rows:,} samples leave {left[number]:,} after "
                "what earlier stages take; raise max_epochs, lower its weight or the total, or add rows",
                refused,
            )
        if count < 1:
            refuse(f"{place} would serve less than one sample; raise its weight or the total", refused)
    return counts


def refuse(reason: str, refused: list[str] | None) -> None:
    """Raise, or write the reason down for somebody who wants to see them all."""
    if refused is None:
        raise BadInput(reason)
    refused.append(reason)


def _short(spec: Spec, supply: Supply, lacking: int) -> str:
    """What a part lacks, in the unit of the mix, and in tokens where they are known."""
    if spec.unit == "tokens":
        return f"{float(lacking * supply.mean):,.0f} tokens"
    tokens = f" (about {float(lacking * supply.mean):,.0f} tokens)" if supply.tokens else ""
    return f"{lacking:,} samples{tokens}"


def _size(spec: Spec, supply: Supply) -> Fraction:
    """What one item counts in the unit of the mix."""
    return supply.mean if spec.unit == "tokens" else Fraction(1)


def _fixed(spec: Spec, number: int, supply: Supply) -> int | None:
    part = spec.parts[number]
    if part.samples is not None:
        return part.samples
    if part.tokens is not None:
        return max(1, round(part.tokens / supply.mean))
    return None if part.weight is not None else supply.rows


def _weight(spec: Spec, number: int) -> Fraction:
    """Weights are read as the decimals people wrote: 0.1 is one tenth."""
    return Fraction(str(spec.parts[number].weight))


def cap(spec: Spec, number: int, supply: Supply) -> int:
    """Most items within max_epochs."""
    return floor(Fraction(str(spec.parts[number].max_epochs)) * supply.rows)


def _total(spec: Spec, supplies: Sequence[Supply], fixed: Sequence[int | None]) -> Fraction:
    """What the weighted parts share: the total less the fixed budgets, or as much as max_epochs allows."""
    open_parts = [number for number, count in enumerate(fixed) if count is None]
    if spec.total is None:
        weights = sum(_weight(spec, number) for number in open_parts)
        return min(
            cap(spec, number, supplies[number]) * _size(spec, supplies[number]) * weights / _weight(spec, number)
            for number in open_parts
        )
    taken = sum(
        (count * _size(spec, supply) for count, supply in zip(fixed, supplies, strict=True) if count), Fraction(0)
    )
    left = spec.total - taken
    if left <= 0:
        raise BadInput(
            f"mix {spec.name}: the fixed budgets take {float(taken):,.0f} of the total of {spec.total:,} {spec.unit} "
            "and leave nothing for the weights; raise the total"
        )
    return Fraction(left)


def _shares(spec: Spec, supplies: Sequence[Supply], parts: Sequence[int], total: Fraction) -> list[Fraction]:
    weights = sum(_weight(spec, number) for number in parts)
    return [total * _weight(spec, number) / weights / _size(spec, supplies[number]) for number in parts]


def _largest_remainder(shares: Sequence[Fraction]) -> list[int]:
    counts = [floor(share) for share in shares]
    left = int(sum(shares)) - sum(counts)
    by_remainder = sorted(range(len(shares)), key=lambda at: (counts[at] - shares[at], at))
    for at in by_remainder[:left]:
        counts[at] += 1
    return counts


def _check(spec: Spec, number: int, supply: Supply, count: int, refused: list[str] | None) -> None:
    part, most = spec.parts[number], cap(spec, number, supply)
    if count < 1:
        refuse(
            f"mix {spec.name}: {label(number, part)} would serve less than one sample; raise its weight or the total",
            refused,
        )
    if count <= most or (part.weight is None and part.samples is None and part.tokens is None):
        return
    refuse(
        f"mix {spec.name}: {label(number, part)} is short of {_short(spec, supply, count - most)}: it has {supply.rows:,} "
        f"samples and max_epochs {part.max_epochs:g}, and its budget asks for {count / supply.rows:.2f} epochs; "
        "raise max_epochs, lower its weight or the total, or add rows",
        refused,
    )
