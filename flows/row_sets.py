"""One verb for every way of naming rows: a WHERE, what a selector chooses, or several of them in stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog import Catalog
    from catalog.meta.models import Selection


def save_selection(cat: Catalog, name: str, source: str | None, **asked: Any) -> Selection:
    """Save a WHERE, or with `selector` what that method chooses within `budget`; the verb behind every face.

    asked: where, missing, note; and with a selector budget, unit, params, tokens, seed; or stages, with seed and note;
    or query, a statement of SQL that names its source itself, with freeze, missing and note. None counts as not said.
    """
    from catalog.errors import BadInput

    given = {key: value for key, value in asked.items() if value is not None}
    if "query" in given:
        return _query(cat, name, source, given)
    given.pop("freeze", None)
    if not source:
        raise BadInput("say once what to select from: --from DATASET, or --query SQL")
    selector = given.pop("selector", None)
    if "stages" in given:
        from flows.stages import select_stages

        if selector or set(given) - {"stages", "seed", "note", "missing"}:
            raise BadInput("a recipe of stages holds selectors, budgets and filters itself; leave them out beside it")
        given.pop("missing", None)
        return select_stages(cat, name, source, given.pop("stages"), **given)[-1]
    if selector is None:
        from catalog.selections import save

        where = given.pop("where", None)
        if where is None or set(given) - {"missing", "note"}:
            raise BadInput('say what to keep: --where "quality > 0.7", or --selector topk --by COLUMN --budget 1000')
        return save(cat, name, source, where, **given)
    from flows.selecting import select

    if "budget" not in given:
        raise BadInput(f"selector {selector} chooses within a budget: --budget 1000 (--unit samples or tokens)")
    return select(cat, name, source, selector, given.pop("budget"), **given)


def _query(cat: Catalog, name: str, source: str | None, given: dict[str, Any]) -> Selection:
    """The rows of a statement; "@name" is a kept one."""
    from catalog.errors import BadInput
    from catalog.queries import saved_query
    from flows.query_selections import select_query

    query = given.pop("query")
    if source or set(given) - {"freeze", "missing", "note"}:
        raise BadInput(
            "a query says itself what rows are meant: leave dataset, filter, selector and budget out beside it"
        )
    return select_query(cat, name, saved_query(cat, query[1:]).query if query.startswith("@") else query, **given)
