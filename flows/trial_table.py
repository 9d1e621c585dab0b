"""Tables of runs that other programs wrote: trials (a row a run) and traces (a row a step), CSV, JSON Lines or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import BadInput
from catalog.mixers import Trials


def read_trials(source: str | Path, parts: Sequence[str]) -> Trials:
    """Runs: a column of weights for every part, and their results.

    A weight stands under the name of its part or under `weight_<part>`. Every other column of numbers is a result,
    but for tokens, size (parameters), seed and name, which describe the run.
    """
    table = read_table(source)
    held = {name: column for name, column in zip(table.schema.names, table.columns, strict=True)}
    found = {part: part if part in held else f"weight_{part}" for part in parts}
    if missing := [part for part, name in found.items() if name not in held]:
        raise BadInput(
            f"trials {source}: no column of weights for part {missing[0]!r}; "
            f"the file has {', '.join(list(held)[:12])}{' ...' if len(held) > 12 else ''}"
        )
    weights = np.column_stack([_numbers(held.pop(name), f"trials {source}: {name}") for name in found.values()])
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(axis=1) <= 0).any():
        raise BadInput(f"trials {source}: a weight is missing or negative, or a run has none above 0; mend the table")
    names = held.pop("name").to_pylist() if "name" in held else []
    known = {
        name: _numbers(held.pop(name), name) if name in held else np.full(len(weights), np.nan)
        for name in ("tokens", "size", "seed")
    }
    seeds = np.nan_to_num(known["seed"]).astype(np.int64)
    return Trials(
        weights, _number_columns(held), known["tokens"], known["size"], seeds, tuple(str(name) for name in names)
    )


def number_columns(source: str | Path) -> dict[str, np.ndarray]:
    """The columns of a table that hold numbers, as float64 with NaN for an empty field."""
    table = read_table(source)
    return _number_columns(dict(zip(table.schema.names, table.columns, strict=True)))


def _number_columns(held: dict[str, Any]) -> dict[str, np.ndarray]:
    found = {}
    for name, column in held.items():
        try:
            found[name] = _numbers(column, name)
        except BadInput:
            continue  # a column of words describes the run
    return found


def _numbers(column: Any, whose: str) -> np.ndarray:
    import pyarrow as pa

    try:
        return column.cast(pa.float64()).to_numpy().astype(np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BadInput(f"{whose} is not a column of numbers") from None


def read_table(source: str | Path) -> Any:
    """A table by the ending of its file."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    path = Path(source)
    readers = {".csv": pa.csv.read_csv, ".jsonl": pa.json.read_json, ".parquet": pa.parquet.read_table}
    if path.suffix not in readers:
        raise BadInput(f"{path} ends in {path.suffix or 'nothing'}; give a table as .csv, .jsonl or .parquet")
    try:
        return readers[path.suffix](str(path))
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"cannot read the table {path}: {str(error).splitlines()[0][:160]}") from None
