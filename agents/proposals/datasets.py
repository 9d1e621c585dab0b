"""Proposals about whole datasets: take samples out, name a version, bring rows back, rename."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from agents.proposals.verbs import Args, declare, licences_of
from catalog.errors import BadInput, NameTaken
from catalog.plain import plain
from catalog.refs import check_name

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class Retract(Args):
    """Take samples out of every version and mix."""

    reason: str = Field(min_length=1)
    match: str | None = Field(None, description="beginning of an address, a sample id, or a source")
    where: str | None = None
    ids: list[str] | None = None
    datasets: list[str] | None = None
    copies: bool = Field(False, description="also exact copies under other ids")
    children: bool = Field(False, description="also rows made from the samples")


class Tag(Args):
    """Name a version."""

    ref: str
    label: str


class Rollback(Args):
    """A new version with the rows of an old one."""

    name: str
    to: int = Field(ge=1)


class Rename(Args):
    """Give a dataset another name."""

    old: str
    new: str


def retract_effect(cat: Catalog, args: Retract) -> dict[str, Any]:
    """What a retraction would reach."""
    held = plain(cat.retract(**args.model_dump(), dry_run=True))
    rows = sum(held["rows"].values())
    if not rows:
        raise BadInput(f"nothing is held that matches {args.match or args.where or 'these ids'}; nothing is to retract")
    left = [f"{sum(found.values()):,} {kind} stay" for kind in ("copies", "children")
            if (found := held[kind]) and kind not in held["included"]]  # fmt: skip
    return {
        "summary": f"{held['samples']:,} samples leave {len(held['rows'])} datasets and {len(held['mixes'])} mixes",
        "rows": rows, "datasets": held["rows"], "mixes": held["mixes"], "copies": held["copies"], "children": held["children"],
        "pulls": held["pulls"], "warnings": left,
        "licences": {name: count for ref in held["rows"] for name, count in licences_of(cat, ref).items()},
    }  # fmt: skip


def retract_apply(cat: Catalog, args: Retract) -> dict[str, Any]:
    return plain(cat.retract(**args.model_dump()))


def tag_effect(cat: Catalog, args: Tag) -> dict[str, Any]:
    found = cat.resolve(args.ref)
    return {"summary": f"{found.ref} gets the name {args.label}", "rows": found.version.rows if found.version else 0,
            "licences": licences_of(cat, found.ref), "warnings": []}  # fmt: skip


def tag_apply(cat: Catalog, args: Tag) -> dict[str, Any]:
    return {"ref": f"{args.ref.partition('@')[0]}@{args.label}", "version": cat.tag(args.ref, args.label).version}


def rollback_effect(cat: Catalog, args: Rollback) -> dict[str, Any]:
    """Rows that come back and rows that go."""
    head = cat.resolve(args.name)
    old = cat.resolve(f"{args.name}@v{args.to}")
    assert old.version is not None
    if args.to == head.dataset.head:
        raise BadInput(f"{args.name} is at v{args.to} already")
    held = plain(cat.diff(head.ref, old.ref))
    return {"summary": f"{args.name} gets the rows of v{args.to} again, as v{head.dataset.head + 1}", "rows": old.version.rows,
            "diff": held, "licences": licences_of(cat, old.ref), "warnings": []}  # fmt: skip


def rollback_apply(cat: Catalog, args: Rollback) -> dict[str, Any]:
    return {"version": cat.rollback(args.name, args.to).number}


def rollback_done(cat: Catalog, args: Rollback, since: str) -> dict[str, Any] | None:
    found = cat.resolve(args.name)
    newer = found.version is not None and found.version.created >= since
    return {"version": found.number} if newer else None


def rename_effect(cat: Catalog, args: Rename) -> dict[str, Any]:
    found = cat.resolve(args.old)
    if noun := cat._noun(check_name(args.new)):
        raise NameTaken(f"the name {args.new!r} is taken by a {noun}; choose another")
    return {"summary": f"{args.old} is called {args.new}", "rows": found.dataset.rows, "licences": {}, "warnings": []}


def rename_apply(cat: Catalog, args: Rename) -> dict[str, Any]:
    cat.rename(args.old, args.new)
    return {"old": args.old, "new": args.new}


def rename_done(cat: Catalog, args: Rename, since: str) -> dict[str, Any] | None:
    return {"old": args.old, "new": args.new} if cat.find(args.new) and not cat.find(args.old) else None


declare(Retract, retract_effect, retract_apply)
declare(Tag, tag_effect, tag_apply)
declare(Rollback, rollback_effect, rollback_apply, rollback_done)
declare(Rename, rename_effect, rename_apply, rename_done)
