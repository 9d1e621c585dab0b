"""Proposals as MCP tools: an assistant asks for a write and reads what became of it. Approving is not offered here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ui.mcp.consent import refuse_parts, refuse_reading, refuse_where, withheld
from ui.proposing import proposal_facts, proposal_row, verb_row
from ui.shapes import plain

if TYPE_CHECKING:
    from catalog import Catalog
    from catalog.meta.proposals import Proposal


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tools to a server. who: the catalog in the hands of the caller."""

    def shown(cat: Catalog, held: Proposal) -> dict[str, Any]:
        """All of it to who asked for it; to others without long texts, which may quote samples."""
        facts = plain(proposal_facts(held))
        return facts if texts or held.actor == cat.settings.actor else {**withheld(facts), "id": held.id}

    def propose(
        verb: str, args: dict[str, Any], title: str = "", reasons: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Ask for a write, which a person approves or rejects: the answer holds its dry run. Wants the right to propose.

        verb and args: see `proposable`. reasons: [{"text": why, "samples": [ids that show it]}]."""
        from agents import proposals as book

        cat = who()
        if not texts:
            refuse_spelling(cat, args)
        return shown(cat, book.propose(cat, verb, args, title=title, reasons=reasons or [], agent="mcp"))

    tool(propose, writes=True)

    @tool
    def proposable() -> list[dict[str, Any]]:
        """The writes that can be proposed, with the JSON schema of their arguments."""
        from agents import proposals as book
        from catalog.access import check

        check(who(), "read", "proposals")
        return [verb_row(held) for held in book.verbs()]

    @tool
    def proposals(status: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Proposed writes, newest first. status: open, done, rejected, failed ..."""
        from agents import proposals as book

        held = [proposal_row(item) for item in book.proposals(who(), status, min(max(limit, 1), 500))]
        return held if texts else withheld(held)

    @tool
    def proposal(id: str) -> dict[str, Any]:
        """One proposed write: what it would do, why, who decided, and what came of it."""
        from agents import proposals as book

        cat = who()
        return shown(cat, book.find(cat, id))


def refuse_spelling(cat: Catalog, args: dict[str, Any]) -> None:
    """Refuse arguments whose dry run would count rows by what their text says, unless the datasets' owners consented."""
    where = args.get("where")
    spec = args.get("spec")
    if isinstance(spec, dict):
        refuse_parts(cat, spec.get("parts"))
    source = args.get("source") or args.get("ref")
    if isinstance(source, str):
        selector = args.get("selector")
        given = args.get("params") if isinstance(args.get("params"), dict) else {}
        for asked in [where, *_rules(args.get("recipe"))]:
            if isinstance(asked, str):
                refuse_reading(cat, source, asked, None, {})
        if isinstance(selector, str):
            refuse_reading(cat, source, None, selector, given or {})
    elif isinstance(where, str):
        named = args.get("datasets")
        names = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
        refuse_where(cat, where, names or [held.name for held in cat.datasets()])


def _rules(recipe: Any) -> list[Any]:
    """The filters of a recipe that is given whole, wherever they stand in it."""
    if isinstance(recipe, dict):
        return [found for name, value in recipe.items() for found in ([value] if name == "where" else _rules(value))]
    return [found for item in recipe for found in _rules(item)] if isinstance(recipe, list) else []
