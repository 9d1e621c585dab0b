"""What may leave by MCP: sample text only of datasets whose owner consented, and no filter that would spell it out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from catalog.errors import NotFound
from catalog.query.withheld import refusal, refuse_text, text_columns

if TYPE_CHECKING:
    from catalog import Catalog

LONGEST = 64
"""Characters of a string that cards and diffs may hold without consent: enough for ids, labels and URLs' hosts."""


def consents(cat: Catalog, ref: str) -> bool:
    """Whether a dataset's text may leave; raw text never does, a mix or an unknown name has given no consent."""
    held = cat.find(ref.partition("@")[0])
    return bool(held and held.text_may_leave)


def withheld(value: Any) -> Any:
    """The same values with every long text replaced by its length."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else length(value)
    if isinstance(value, list):
        return [withheld(item) for item in value]
    if isinstance(value, dict):
        return {name: withheld(item) for name, item in value.items()}
    return value


def length(text: str | None) -> str:
    return f"[{len(text or '')} characters withheld: no consent to leave this machine, or raw]"


def refuse_reading(cat: Catalog, source: str, where: str | None, selector: str | None, params: dict[str, Any]) -> None:
    """Refuse a choice that would spell text out by what it keeps, unless the dataset's owner consented."""
    from catalog.selections import find_selection
    from catalog.selectors import get_selector

    noun = cat._noun(source.partition("@")[0])
    ref = find_selection(cat, source).dataset if noun == "selection" else source
    if consents(cat, ref):
        return
    if where:
        refuse_text(cat, ref, where)
    if selector:
        plugin, found = get_selector(selector), cat.resolve(ref)
        if used := set(plugin.columns(plugin.parse_params(params))) & text_columns(cat, found):
            raise refusal(sorted(used)[0], found.dataset.name)


def refuse_parts(cat: Catalog, parts: Any, columns: Iterable[str] = ()) -> None:
    """Refuse parts of a mix whose rows, counted, would spell text out: a filter over text, or a split by it."""
    for part in parts if isinstance(parts, list) else ():
        source = (part.get("dataset") or part.get("selection")) if isinstance(part, dict) else part
        if not isinstance(source, str):
            continue  # the verb itself says what is wrong with it
        where = part.get("where") if isinstance(part, dict) else None
        refuse_reading(cat, source, where if isinstance(where, str) else None, None, {})
        if columns and cat.find(source.partition("@")[0]) and not consents(cat, source):
            found = cat.resolve(source)
            if used := set(columns) & text_columns(cat, found):
                raise refusal(sorted(used)[0], found.dataset.name)


def refuse_where(cat: Catalog, where: str, datasets: Iterable[str]) -> None:
    """Refuse a filter that reads text of any of the datasets; those without its columns are not asked."""
    for name in datasets:
        if not consents(cat, name):
            try:
                refuse_text(cat, name, where)
            except NotFound:
                continue
