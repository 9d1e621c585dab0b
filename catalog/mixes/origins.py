"""How the text of a mix was made, as its spec declares it, and the shares that were expected.

Nothing in a row tells a rephrased page from a natural one, so that a person says it of a part; only a dataset of tier L3,
whose text is rewritten or synthesised by definition, cannot be called natural. Shares count tokens where every part has
them, else samples.

Kang et al. 2025, "Demystifying Synthetic Data in LLM Pre-training", arXiv:2510.01631: over a thousand models, good shares of
rephrased web text came near 0.3 (a third sped training up five to ten times at larger budgets; alone it was no faster),
and generated textbooks alone did worse on many domains, with signs of collapse in mixtures. That share is shown beside
yours; what is refused is the range that the spec itself expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.errors import BadInput, Refused
from catalog.mixes.spec import ORIGINS, Part, label

REPHRASED = 0.3
"""Where good shares of rephrased text came to lie in the paper; it depends on model and budget."""


def origin_facts(lock: dict[str, Any], tiers: Sequence[str]) -> dict[str, Any]:
    """What a lock says of origins: nothing where no part declares one and nothing is expected. tiers: of the parts."""
    spec, served = lock["spec"], lock["totals"]["parts"]
    declared = [part.get("origin") for part in spec["parts"]]
    if not any(declared) and not spec.get("expect"):
        return {}
    for number, (part, origin, tier) in enumerate(zip(spec["parts"], declared, tiers, strict=True)):
        if origin == "natural" and tier in ("L3", "L4"):
            raise BadInput(
                f"mix {lock['name']}: {label(number, Part(**part))} is of tier {tier}, rewritten or synthesised text, and "
                "its origin is said to be natural; say rephrased or generated"
            )
    unit = "tokens" if all(held["tokens"] is not None for held in served) else "samples"
    sizes = [held[unit] for held in served]
    total = max(sum(sizes), 1)
    shares = {name: round(sum(size for size, origin in zip(sizes, declared, strict=True) if origin == name) / total, 9)
              for name in ORIGINS}  # fmt: skip
    open_parts = [label(number, Part(**spec["parts"][number])) for number, origin in enumerate(declared) if not origin]
    return {"origins": {"unit": unit, "shares": shares, "undeclared": open_parts,
                        **({"expect": spec["expect"]} if spec.get("expect") else {})}}  # fmt: skip


def origins_line(lock: dict[str, Any]) -> dict[str, Any]:
    """The same for people: shares, and the published share of rephrased text where the mix has any."""
    held = lock.get("origins")
    if not held:
        return {}
    known = {"published share of rephrased": REPHRASED} if held["shares"]["rephrased"] else {}
    return {"origins": {**held["shares"], "of": held["unit"], "undeclared parts": len(held["undeclared"]), **known}}


def refuse_unexpected(lock: dict[str, Any]) -> None:
    """Refuse to publish shares outside the range that the spec expects."""
    held = lock.get("origins") or {}
    wanted = held.get("expect")
    if not wanted:
        return
    if held["undeclared"]:
        raise Refused(
            f"mix {lock['name']}: shares by origin are expected, and {held['undeclared'][0]} declares none; add "
            f"origin: {' | '.join(ORIGINS)} to it (its rows do not tell)",
            missing=held["undeclared"],
        )
    shares = {**held["shares"], "synthetic": held["shares"]["rephrased"] + held["shares"]["generated"]}
    for name, (low, high) in wanted.items():
        if not low - 1e-9 <= shares[name] <= high + 1e-9:
            raise Refused(
                f"mix {lock['name']}: {name} text is {shares[name]:.4f} of its {held['unit']}, and {low:g} to {high:g} is "
                "expected; change the weights, or expect another range",
                missing=[f"{name}: {shares[name]:.4f}"],
            )
