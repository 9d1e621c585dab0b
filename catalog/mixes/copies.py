"""Copies that a selector gave, served: a part with `copies` becomes one part for each number of copies.

    - {selection: best, copies: weight_best_v1}

is the same as writing, for each number k in that column, `{selection: best, where: "weight_best_v1 = k", samples: k times
the rows, max_epochs: k}`. The lock holds the parts it became, so that nothing of it is looked up again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput, NotFound
from catalog.mixes.spec import MOST_PARTS, Part, Spec, label
from catalog.refs import parse_ref
from catalog.selections import find_selection

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MOST = 100
"""Different numbers of copies in one column; more are weights, not copies."""


def with_copies(cat: Catalog, spec: Spec) -> Spec:
    """The spec with every part that names copies spelt out."""
    if not any(part.copies for part in spec.parts):
        return spec
    made: list[Part] = []
    for number, part in enumerate(spec.parts):
        made += _spelt(cat, spec.name, label(number, part), part) if part.copies else [part]
    if len(made) > MOST_PARTS:
        raise BadInput(
            f"mix {spec.name} has {len(made)} parts with its copies spelt out; at most {MOST_PARTS} are allowed"
        )
    return spec.model_copy(update={"parts": made})


def _spelt(cat: Catalog, mix: str, name: str, part: Part) -> list[Part]:
    column = part.copies or ""
    held = find_selection(cat, part.selection) if part.selection else None
    ref = part.dataset or (held.dataset if held else "")
    known = {c.alias for c in cat.columns(parse_ref(ref).name)}
    if column not in known:
        raise NotFound(f"column of {ref}", column, sorted(known), "`strata select show` names the column of copies")
    clauses = [f"({clause})" for clause in (held.where if held else None, part.where) if clause]
    counts: dict[float, int] = {}
    scan = cat.scan(ref, [column], where=" AND ".join(clauses) or None, missing="drop", batch_rows=65536)
    for batch in scan:
        values = batch.column(column)
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise BadInput(f"mix {mix}: {name}: copies: {column!r} holds {values.type}, not numbers of copies")
        found, times = np.unique(values.cast(pa.float64()).drop_null().to_numpy(), return_counts=True)
        for value, rows in zip(found.tolist(), times.tolist()):
            counts[value] = counts.get(value, 0) + rows
    wrong = [value for value in counts if not (value >= 0 and value == int(value))]
    if wrong or len(counts) > MOST:
        reason = f"{wrong[0]:g} is no number of copies" if wrong else f"it has {len(counts)} different numbers"
        raise BadInput(
            f"mix {mix}: {name}: copies: {column!r} holds weights ({reason}); a mix repeats rows whole times"
        )
    served = [(int(value), rows) for value, rows in sorted(counts.items()) if value]
    if not served:
        raise BadInput(f"mix {mix}: {name}: copies: no row has a copy by {column!r}; remove the part")
    also = f"({part.where}) AND " if part.where else ""
    return [
        part.model_copy(update={"copies": None, "where": f'{also}"{column}" = {times}', "samples": times * rows,
                                "max_epochs": float(times)})
        for times, rows in served
    ]  # fmt: skip
