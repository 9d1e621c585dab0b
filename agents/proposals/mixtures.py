"""Proposals about mixes: publish one, change the weights of one that is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from agents.proposals.verbs import Args, declare
from catalog.errors import Refused
from catalog.plain import plain

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class MixPublish(Args):
    """Freeze a mix by a lock."""

    spec: dict[str, Any] = Field(description="{name, parts: [{dataset, weight | samples | tokens, where, max_epochs}], unit, total, seed ...}")  # fmt: skip


class MixRevise(Args):
    """Other weights of a mix from an index on, as its next version."""

    ref: str = Field(pattern=r"@v[0-9]+$", description="mix@vN: the version that was looked at")
    at_sample: int = Field(ge=1)
    weights: dict[str, float]
    total: int | None = Field(None, ge=1)


def publish_effect(cat: Catalog, args: MixPublish) -> dict[str, Any]:
    """What publishing would lock; refused with every reason named."""
    from catalog.mixes import load_spec, preview

    held = preview(cat, args.spec)
    if held["refused"]:
        raise Refused("this mix would be refused: " + "; ".join(map(str, held["refused"])), missing=held["refused"])
    name = load_spec(args.spec).name
    return {
        "summary": f"mix {name}: {held['samples']:,} samples of {len(held['parts'])} parts",
        "rows": held["samples"], "tokens": held["tokens"], "parts": plain(held["parts"]),
        "licences": plain(held["licences"]), "contamination": plain(held["contamination"]), "digest": held["digest"],
        "warnings": _warnings(held), "before": _before(cat, name),
    }  # fmt: skip


def _warnings(held: dict[str, Any]) -> list[str]:
    unchecked = held["contamination"]["unchecked"]
    return [f"not checked against {', '.join(map(str, unchecked))}"] if unchecked else []


def _before(cat: Catalog, name: str) -> dict[str, Any] | None:
    """Weights of the newest mix of this name, to set beside the new ones."""
    from catalog.errors import NotFound
    from catalog.mixes import find_mix, load_lock, summary

    try:
        held = find_mix(cat, name)
    except NotFound:
        return None
    ref = f"{held.name}@v{held.version}"
    body = summary(load_lock(cat, ref))
    return {"ref": ref, "samples": body["samples"], "parts": plain(body["parts"])}


def publish_apply(cat: Catalog, args: MixPublish) -> dict[str, Any]:
    made = cat.publish_mix(args.spec)
    return {"mix": f"{made.name}@v{made.version}", "digest": made.digest}


def revise_effect(cat: Catalog, args: MixRevise) -> dict[str, Any]:
    """What the revision would lock."""
    from catalog.mixes import find_mix, load_lock, summary
    from catalog.mixes.revise import draft_revision

    held = find_mix(cat, args.ref)
    ref = f"{held.name}@v{held.version}"
    old, new = summary(load_lock(cat, ref)), summary(draft_revision(cat, ref, args.at_sample, args.weights, total=args.total).lock)  # fmt: skip
    return {
        "summary": f"{ref} with other weights from sample {args.at_sample:,} on: {new['samples']:,} samples",
        "rows": new["samples"], "tokens": new["tokens"], "parts": plain(new["parts"]), "licences": plain(new["licences"]),
        "digest": new["digest"],
        "before": {"ref": ref, "samples": old["samples"], "parts": plain(old["parts"])}, "warnings": [],
    }  # fmt: skip


def revise_apply(cat: Catalog, args: MixRevise) -> dict[str, Any]:
    made = cat.revise_mix(args.ref, args.at_sample, args.weights, total=args.total)
    return {"mix": f"{made.name}@v{made.version}", "digest": made.digest}


declare(MixPublish, publish_effect, publish_apply)
declare(MixRevise, revise_effect, revise_apply)
