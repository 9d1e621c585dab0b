"""The column that weighs the samples of a part, as a lock pins it; see catalog.pull.weights for what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput, NotFound
from catalog.mixes.spec import Spec, label
from catalog.pull.weights import check_numbers
from catalog.schema import table_schema

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.mixes.parts import FoundPart


def find_weights(cat: Catalog, spec: Spec, number: int, found: FoundPart) -> None:
    """Look the column up, and refuse rows that have no finite number in it."""
    from catalog.mixes.parts import scan

    name = found.part.sample_weight or spec.sample_weight
    if name is None:
        return
    place, dataset = f"mix {spec.name}: {label(number, found.part)}", found.found.dataset
    columns = {column.alias: column for column in cat.columns(dataset.name)}
    own = table_schema(dataset.kind, dataset.tier)
    if name not in columns and name not in own.names:
        raise NotFound(f"column of {dataset.name}", name, {*columns, *own.names}, f"{place} is weighed by it; score it")
    held = columns.get(name)
    physical = held.physical if held else name
    lacking = 0
    for batch in scan(cat, found, [physical]):
        values = batch.column(physical)
        check_numbers(name, values.type)
        with np.errstate(over="ignore"):
            read = values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
        lacking += int((~np.isfinite(read)).sum())
    if lacking:
        raise BadInput(
            f"{place}: sample_weight: {lacking:,} of its {found.rows.rows:,} rows have no number in {name}; leave them out "
            f"(where: {name} IS NOT NULL), or weigh by another column"
        )
    found.sample_weight = {"column": name, "physical": physical, "fingerprint": held.fingerprint if held else None}
