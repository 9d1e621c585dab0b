"""Writes that can be proposed: for each its arguments, what a dry run says of it, and how it is done once approved.

A verb is one class with two functions below it, found by its name. `effect` reads only and returns {"summary": one line,
"rows", "tokens", "money" where they are known, "licences": {name: rows}, "warnings": [...], "volatile": what may differ
between two looks (times), ...}; it raises `Refused` or `BadInput` when the write would be refused. `apply` writes, with
the rights of who approves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from catalog.errors import NotFound
from catalog.plugins import parse_params

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class Args(BaseModel):
    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Verb:
    name: str
    args: type[Args]
    effect: Callable[[Catalog, Any], dict[str, Any]]
    apply: Callable[[Catalog, Any], dict[str, Any]]
    done: Callable[[Catalog, Any, str], dict[str, Any] | None] | None
    doc: str


VERBS: dict[str, Verb] = {}


def verb(name: str) -> Verb:
    """The verb of that name."""
    from agents.proposals import datasets, mixtures, rows  # noqa: F401  (each declares its verbs)

    if name not in VERBS:
        raise NotFound("verb that can be proposed", name, VERBS, "the rest is for people at their own command line")
    return VERBS[name]


def verbs() -> list[Verb]:
    """All verbs, by name."""
    from agents.proposals import datasets, mixtures, rows  # noqa: F401

    return [VERBS[name] for name in sorted(VERBS)]


def declare(
    args: type[Args],
    effect: Callable[[Catalog, Any], dict[str, Any]],
    apply: Callable[[Catalog, Any], dict[str, Any]],
    done: Callable[[Catalog, Any, str], dict[str, Any] | None] | None = None,
) -> None:
    """Add a verb, named as its class of arguments in lower case. done: the result where a stopped attempt had one."""
    name = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in args.__name__).lstrip("_")
    VERBS[name] = Verb(name, args, effect, apply, done, (args.__doc__ or "").strip())


def parsed(name: str, args: dict[str, Any]) -> Any:
    """Arguments as the verb declares them; a wrong or unknown one is named."""
    return parse_params(f"proposal of {name}", verb(name).args, args)


def licences_of(cat: Catalog, ref: str) -> dict[str, int]:
    """Declared licence -> rows of a dataset version."""
    found = cat.resolve(ref)
    assert found.version is not None
    return dict(found.version.statistics.get("facets", {}).get("licence") or {found.dataset.licence or "unknown": found.version.rows})  # fmt: skip
