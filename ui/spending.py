"""Endpoints, budgets and calls as every face but the command line shows them: no key, and of an address its host alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from catalog.access import check

if TYPE_CHECKING:
    from catalog import Catalog

KINDS = ("money", "tokens", "requests")


def endpoint_rows(cat: Catalog) -> list[dict[str, Any]]:
    """Every endpoint, what it serves, and what was asked and paid through it."""
    from flows.endpoints.account import spent_by_endpoint
    from flows.endpoints.registry import endpoints

    check(cat, "read", "endpoints")
    spent, none = spent_by_endpoint(cat), {"answered": 0, "tokens": 0, "money": 0.0}
    return [
        {
            "name": name, "model": held.model, "api": held.api, "host": host_of(held), "revision": held.revision,
            "pinned": held.revision is not None or held.api == "transformers", "local": held.local,
            "input_price": held.input_price, "output_price": held.output_price, **spent.get(name, none),
        }
        for name, held in endpoints(cat).items()
    ]  # fmt: skip


def host_of(held: Any) -> str:
    """Where an endpoint is, without what an address may hide in its user, path or query."""
    if held.api == "transformers":
        return "this process"
    parts = urlsplit(held.url)
    return f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""


def budget_rows(cat: Catalog) -> list[dict[str, Any]]:
    """Every budget: {"name", and for money, tokens and requests {"limit", "spent", "held"}}."""
    from flows.endpoints.account import budgets

    check(cat, "read", "budgets")
    return [
        {"name": item.name}
        | {
            kind: {
                "limit": getattr(item, kind),
                "spent": getattr(item, f"spent_{kind}"),
                "held": getattr(item, f"held_{kind}"),
            }
            for kind in KINDS
        }
        for item in budgets(cat)
    ]


def call_rows(cat: Catalog) -> list[dict[str, Any]]:
    """Calls by purpose, model and whether its revision is pinned, the dearest first."""
    from sqlmodel import case, func, select

    from catalog.meta.calls import Call

    check(cat, "read", "calls")
    unpinned = case((Call.revision.startswith("unpinned"), 1), else_=0)  # type: ignore[attr-defined]
    named = (Call.purpose, Call.endpoint, Call.model, unpinned)
    sums = (func.count(), func.sum(case((Call.status == "answered", 1), else_=0)), func.sum(Call.lost),
            func.sum(Call.tokens_in + Call.tokens_out), func.sum(Call.money), func.max(Call.created))  # type: ignore[arg-type]  # fmt: skip
    with cat.session() as session:
        found = session.exec(select(*named, *sums).group_by(*named)).all()  # type: ignore[call-overload]
    names = ("purpose", "endpoint", "model", "unpinned", "asked", "answered", "lost", "tokens", "money", "last")
    rows = [dict(zip(names, row)) | {"unpinned": bool(row[3])} for row in found]
    return sorted(rows, key=lambda row: (-(row["money"] or 0), -(row["asked"] or 0)))
