"""Weights of a draft: always a mixer's, inside the shares that a person gave to wants.

With enough recorded trials of these parts and a result to improve, RegMix weighs them; else UniMax where there is a total,
and temperature sampling where there is none. The total is what the parts give at most, where more was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.goal import Goal, Want
from agents.mix_parts import Chosen
from catalog.errors import BadInput, Missing, NotFound
from flows.mixing import weigh

if TYPE_CHECKING:
    from catalog.catalog import Catalog

TRIALS = 16
"""Runs from which RegMix learns."""


def shares_of(wants: list[Want], parts: list[Chosen], supply: list[float]) -> dict[int, float]:
    """Share of the total for every want that has parts. Wants without a share divide the rest by what they hold."""
    groups = sorted({part.group for part in parts})
    held = {group: sum(s for s, part in zip(supply, parts, strict=True) if part.group == group) for group in groups}
    given = {group: wants[group].share for group in groups}
    said = {group: share for group, share in given.items() if share is not None}
    open_ = [group for group in groups if group not in said]
    rest = max(0.0, 1 - sum(said.values())) if open_ else 0.0
    found = {**said, **{group: rest * held[group] / sum(held[g] for g in open_) for group in open_}}
    whole = sum(found.values())
    return {group: share / whole for group, share in found.items()}


def weighed(
    cat: Catalog, goal: Goal, spec: dict[str, Any], parts: list[Chosen], wants: list[Want], supply: list[float],
    measure: str | None, better: str,
) -> tuple[list[float], dict[str, Any], list[str]]:  # fmt: skip
    """Weights of the parts, what the mixer says of them, and notes."""
    fixed = any(wants[part.group].share is not None for part in parts)
    if len(parts) == 1:
        return [1.0], {"mixer": None, "groups": []}, ["one part: there is nothing to weigh"]
    found, notes = _learned(cat, spec, measure, better, fixed)
    if found is not None:
        return found[0], {"mixer": "regmix", "groups": [found[1]]}, notes
    mixer = "temperature" if spec.get("total") is None else "unimax"
    params = {"epochs": goal.epochs} if mixer == "unimax" else {}
    if not fixed:
        held = weigh(cat, spec, mixer, params=params).to_json()
        weights = [row["weight"] for row in held["parts"]]
        return weights, {"mixer": mixer, "groups": [_told("all parts", 1.0, held)]}, notes
    shares, weights, groups = shares_of(wants, parts, supply), [0.0] * len(parts), []
    for group, share in shares.items():
        at = [number for number, part in enumerate(parts) if part.group == group]
        inside, held = [1.0], None
        if len(at) > 1:
            body = {**spec, "parts": [spec["parts"][number] for number in at]}
            if spec.get("total") is not None:
                body["total"] = max(len(at), int(spec["total"] * share))
            held = weigh(cat, body, mixer, params=params).to_json()
            inside = [row["weight"] for row in held["parts"]]
        for number, weight in zip(at, inside, strict=True):
            weights[number] = share * weight
        groups.append(_told(wants[group].words, share, held) | {"said": wants[group].why})
    return weights, {"mixer": mixer, "groups": groups}, notes


def most_of(goal: Goal, parts: list[Chosen], wants: list[Want], supply: list[float]) -> tuple[float, list[str]]:
    """The largest total that the caps and the shares of wants allow, and which share is short of the asked total."""
    shares, short = {}, []
    if any(wants[part.group].share is not None for part in parts):
        shares = shares_of(wants, parts, supply)
    most = sum(supply) * goal.epochs
    for group, share in shares.items():
        held = goal.epochs * sum(s for s, part in zip(supply, parts, strict=True) if part.group == group)
        if goal.total is not None and share * goal.total > held:
            short.append(
                f"{wants[group].words}: {share * goal.total:,.0f} {goal.unit} asked, {held:,.0f} at {goal.epochs:g} epochs"
            )
        if share > 0:
            most = min(most, held / share)
    return most, short


def _learned(
    cat: Catalog, spec: dict[str, Any], measure: str | None, better: str, fixed: bool
) -> tuple[tuple[list[float], dict[str, Any]] | None, list[str]]:
    """RegMix's weights where the catalog has the trials; a note where it nearly has."""
    from catalog.mixes.spec import Part, part_name
    from catalog.trials import trials_of

    names = [part_name(Part(**part)) for part in spec["parts"]]
    try:
        held = trials_of(cat, names)
    except NotFound:
        if measure is not None:
            raise
        return None, []
    results = sorted(held.results)
    if measure is not None and measure not in results:
        raise NotFound("result", measure, results, "name one that the trials measured: --measure")
    if fixed:
        return None, [
            f"{len(held)} trials of these parts are recorded; shares that you give come before what they would say"
        ]
    if measure is None:
        return None, [
            f"{len(held)} trials of these parts are recorded: --measure {results[0]} lets RegMix learn from them"
        ]
    if len(held.measured(measure)) < TRIALS:
        return None, [f"{len(held.measured(measure))} trials measured {measure}; RegMix learns from {TRIALS}"]
    said = []
    for model in ("lightgbm", "linear"):
        try:
            found = weigh(
                cat, spec, "regmix", params={"model": model}, trials="catalog", goal=measure, better=better
            ).to_json()
        except (BadInput, Missing) as error:
            said.append(f"RegMix ({model}) does not answer: {error}")
            continue
        weights = {row["part"]: row["weight"] for row in found["parts"]}
        return ([weights[name] for name in names], _told("all parts", 1.0, found)), said
    return None, said


def _told(words: str, share: float, held: dict[str, Any] | None) -> dict[str, Any]:
    """What a mixer said of a group, without the spec."""
    said = {} if held is None else {name: value for name, value in held.items() if name not in ("spec", "mixer")}
    return {"group": words, "share": share, **said}
