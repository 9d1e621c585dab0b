"""Rows of one dataset in an Arrow file that is mapped, not read: what a local copy of a mix is made of.

Rows stand in ascending row id; which ids they are is a row set (catalog.pull.rowset), so that finding a row costs a rank
in a bitmap, and a range costs a subtraction. Only the pages of the rows that are asked for are touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

from catalog.errors import Corrupt
from catalog.pull import rowset

ROWS = b"strata.rows"
"""Key of the schema's metadata that names the row set."""


class MappedRows:
    """A file of rows with their row set; it stands where a Lance table would."""

    def __init__(self, path: Path) -> None:
        self.path, self.uri = path, str(path)
        try:
            file = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
            named = orjson.loads((file.schema.metadata or {})[ROWS])
        except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0][:120]
            raise Corrupt(f"local copy {path} cannot be opened: {reason}; delete it, it is made again") from None
        self.schema: pa.Schema = file.schema
        self.rows = rowset.load(named, path.parent, verify=False)
        self.batches = batches
        self.ends = np.cumsum([0, *(batch.num_rows for batch in batches)])
        if int(self.ends[-1]) != self.rows.rows:
            raise Corrupt(f"local copy {path} lacks rows; delete it, it is made again")

    def take(self, row_ids: np.ndarray, columns: Sequence[str]) -> pa.Table:
        """The rows with these ids, ascending and each once; ids that are not here are left out."""
        held = row_ids[self.rows.contains(row_ids)]
        places = self.rows.rank(held)
        cuts = np.searchsorted(places, self.ends)
        schema = pa.schema([self.schema.field(name) for name in columns])
        found = []
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            inside = pa.array(places[cuts[number] : cuts[number + 1]] - self.ends[number])
            batch = self.batches[number]
            found.append(
                pa.RecordBatch.from_arrays([batch.column(name).take(inside) for name in columns], schema=schema)
            )
        return pa.Table.from_batches(found, schema)
