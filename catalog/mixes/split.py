"""One part becomes one for every value of a column, so that weights can be given by attribute.

As in Parmar et al. 2024, "Data, Data Everywhere: A Guide for Pretraining Dataset Construction", arXiv:2407.06380, where web
text is bucketed by domain, quality or kind of speech, and each bucket is weighted like a source of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput, NotFound
from catalog.mixes.spec import load_spec, part_name, read_spec
from catalog.refs import parse_ref
from catalog.schema import field_names

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MOST_VALUES = 100


def split_parts(
    cat: Catalog, spec: str | Path | dict[str, Any], column: str, parts: list[str] | None = None
) -> dict[str, Any]:
    """The spec with every part (or those named) cut by the values of `column`; rows without a value become a part too.

    A weight is divided by the rows of each bucket, so that what is served stays as it was until a mixer changes it; a
    part with a fixed budget is refused, as its budget says nothing of the buckets.
    """
    body, made = read_spec(spec), load_spec(spec)
    names = [part_name(part) for part in made.parts]
    if unknown := [name for name in parts or () if name not in names]:
        raise BadInput(f"mix {made.name}: {unknown[0]!r} is not a part; the parts are {', '.join(names)}")
    out: list[dict[str, Any]] = []
    for name, part, written in zip(names, made.parts, body["parts"], strict=True):
        if parts and name not in parts:
            out.append(written)
            continue
        if part.samples is not None or part.tokens is not None or part.dataset is None:
            raise BadInput(
                f"mix {made.name}: {name} has a fixed budget or is a selection; a part that is split names a dataset and "
                "a weight or nothing"
            )
        out += _buckets(cat, name, part.dataset, part.weight, written, column)
    return {**body, "parts": out}


def _buckets(
    cat: Catalog, name: str, dataset: str, weight: float | None, written: dict[str, Any], column: str
) -> list[dict[str, Any]]:
    ref = cat.resolve(dataset).ref
    known = {held.alias for held in cat.columns(parse_ref(ref).name)} | set(field_names(cat.resolve(ref).dataset.kind))
    if column not in known:
        raise NotFound(f"column of {ref}", column, sorted(known))
    found = cat.sql(
        f'SELECT "{column}" AS value, count(*) AS rows FROM "{ref}" GROUP BY 1 ORDER BY 2 DESC LIMIT {MOST_VALUES + 1}'
    )
    counts = dict(zip(found.table.column("value").to_pylist(), found.table.column("rows").to_pylist(), strict=True))
    if len(counts) > MOST_VALUES or any(isinstance(value, float | list | dict) for value in counts):
        raise BadInput(f"{column} of {ref} has too many values to split by; at most {MOST_VALUES} parts can be steered")
    if len(counts) < 2:
        raise BadInput(f"{column} of {ref} has one value; there is nothing to split")
    rows, made = sum(counts.values()), []
    for value, count in counts.items():
        held = f"{column} IS NULL" if value is None else f"{column} = {_literal(value)}"
        where = f"({written['where']}) AND {held}" if written.get("where") else held
        part = {
            **written,
            "name": f"{name}/{value if value is not None else 'none'}",
            "where": where,
            "missing": "keep",
        }
        made.append(part | ({"weight": float(f"{weight * count / rows:.6g}")} if weight is not None else {}))
    return made


def _literal(value: Any) -> str:
    """A value as SQL writes it."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value).lower()
