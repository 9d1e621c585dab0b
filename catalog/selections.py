"""Named, versioned recipes for row sets: a dataset and a WHERE, no copied rows. Promote, mix, grade and score accept one.

What a selector chose is a WHERE too, over the ranks it froze (`catalog.ranks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput, NameTaken, NotFound
from catalog.meta.models import Name, Selection
from catalog.refs import check_name, parse_ref

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def save(cat: Catalog, name: str, dataset: str, where: str, *, missing: str = "error", note: str = "") -> Selection:
    """Save a selection, or its next version. The WHERE is tried now, so that a saved one always worked once.

    dataset: "web" follows the newest version, "web@v3" stays on that one. Saving the same again changes nothing.
    """
    check(cat, "write", check_name(name))
    if not where.strip():
        raise BadInput('a selection needs a WHERE, for example "quality > 0.7"')
    if (noun := cat._noun(name)) and noun != "selection":
        raise NameTaken(f"the name {name!r} is taken by a {noun}; choose another")
    cat.predicate(dataset, where, missing)
    newest = max(versions(cat, name), key=lambda held: held.version, default=None)
    asked = (dataset, where, missing, note or (newest.note if newest else ""))
    if newest is not None and (newest.dataset, newest.where, newest.missing, newest.note) == asked:
        return newest
    number = newest.version + 1 if newest else 1
    made = Selection(
        name=name, version=number, dataset=dataset, where=where, missing=missing, owner=cat.settings.actor, note=note
    )
    with cat.session() as session:
        if newest is None:
            session.add(Name(name=name, noun="selection"))
        session.add(made)
        try:
            session.commit()
        except IntegrityError:
            raise NameTaken(
                f"the selection {name!r} was just saved by another process; look at it, then repeat"
            ) from None
    return made


def selections(cat: Catalog) -> list[Selection]:
    """The newest version of every selection, by name."""
    check(cat, "read", "selections")
    with cat.session() as session:
        held = session.exec(select(Selection).order_by(Selection.name, Selection.version)).all()  # type: ignore[arg-type]
    return list({selection.name: selection for selection in held}.values())


def find_selection(cat: Catalog, ref: str) -> Selection:
    """A selection by `name` (its newest version) or `name@v2`."""
    check(cat, "read", ref)
    name, wanted = parse_ref(ref)
    held = {selection.version: selection for selection in versions(cat, name)}
    if not held:
        noun = cat._noun(name)
        remedy = f"{name!r} is a {noun}" if noun else "see `strata select list`"
        raise NotFound("selection", name, [selection.name for selection in selections(cat)], remedy)
    version = max(held) if wanted is None else wanted
    if version not in held:
        raise NotFound("selection", ref, [f"{name}@v{number}" for number in held])
    return held[version]  # type: ignore[index]


get_selection = find_selection


def selection_predicate(cat: Catalog, ref: str) -> tuple[str, str | None]:
    """(dataset reference, Lance filter over its table) of a selection; the filter also picks the version's rows."""
    held = find_selection(cat, ref)
    return held.dataset, cat.predicate(held.dataset, held.where, held.missing)


def count_selection(cat: Catalog, ref: str) -> int:
    """Rows that a selection holds today."""
    dataset, predicate = selection_predicate(cat, ref)
    return cat.lance(dataset).count_rows(predicate)


def versions(cat: Catalog, name: str) -> list[Selection]:
    """Every version of a selection, in no order; empty when there is none."""
    with cat.session() as session:
        return list(session.exec(select(Selection).where(Selection.name == name)))
