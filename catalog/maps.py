"""Maps of a dataset: two stored columns as places of its rows, counted in tiles, sampled as points, named by clusters.

Counts are over all rows of the version, from one pass over the two columns, whose memory is the grid. Points are the rows
with the smallest sample ids, which are hashes: the same rows each time, and a fair sample of what is in view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.access import check
from catalog.errors import BadInput
from catalog.meta.models import ColumnRecord

if TYPE_CHECKING:
    from catalog.catalog import Catalog

POINTS = 50_000
"""Points drawn at most."""
CHUNK = 131_072


@dataclass(frozen=True)
class Places:
    """Two columns of one run that say where a row lies. label: how people name the map."""

    label: str
    x: str
    y: str
    scorer: str
    fingerprint: str


@dataclass(frozen=True)
class Box:
    """A part of the map; rows on its edges are in it."""

    left: float
    right: float
    low: float
    high: float

    def where(self, places: Places) -> str:
        x, y = f'"{places.x}"', f'"{places.y}"'
        return f"{x} >= {self.left!r} AND {x} <= {self.right!r} AND {y} >= {self.low!r} AND {y} <= {self.high!r}"


@dataclass(frozen=True)
class Grid:
    """Rows in each tile of a box: counts[row][column], from its low left corner; outside: rows of the version beyond it."""

    box: Box
    counts: np.ndarray
    inside: int
    outside: int


def maps(columns: Sequence[ColumnRecord]) -> list[Places]:
    """The maps that a dataset's columns hold: outputs `<name>_x` and `<name>_y` of one run, newest last."""
    made: dict[str, dict[str, ColumnRecord]] = {}
    for column in columns:
        if column.output.endswith(("_x", "_y")) and column.type in ("float", "double"):
            made.setdefault(column.fingerprint, {})[column.output[-2:]] = column
    held = [pair for pair in made.values() if len(pair) == 2]
    held.sort(key=lambda pair: (pair["_x"].created, pair["_x"].alias))
    return [
        Places(pair["_x"].alias.removesuffix("_x"), pair["_x"].alias, pair["_y"].alias, pair["_x"].scorer, fingerprint)
        for fingerprint, pair in ((pair["_x"].fingerprint, pair) for pair in held)
    ]


def extent(columns: Sequence[ColumnRecord], places: Places, margin: float = 0.03) -> Box:
    """Where the rows lie, from the stored extremes of both columns, with a margin."""
    held = {column.alias: column.statistics for column in columns}
    ends = []
    for name in (places.x, places.y):
        low, high = held[name].get("min"), held[name].get("max")
        if low is None or high is None:
            raise BadInput(f"no row has a place on the map {places.label}; score rows that have vectors")
        room = margin * (high - low) or 1.0
        ends += [low - room, high + room]
    return Box(*ends)


def grid(cat: Catalog, ref: str, places: Places, box: Box, across: int, down: int) -> Grid:
    """Counts of all rows of a version in the tiles of a box."""
    check(cat, "read", ref)
    counts, inside, seen = np.zeros(across * down + 1, np.int64), 0, 0
    for batch in cat.scan(ref, [places.x, places.y], batch_rows=CHUNK):
        tiles = _tiles(_numbers(batch, places.x), _numbers(batch, places.y), box, across, down)
        counts += np.bincount(tiles, minlength=len(counts))
        seen += batch.num_rows
    inside = int(counts[:-1].sum())
    return Grid(box, counts[:-1].reshape(down, across), inside, seen - inside)


def _numbers(batch: pa.RecordBatch, name: str) -> np.ndarray:
    return pc.cast(batch.column(name), pa.float64()).to_numpy(zero_copy_only=False)


def _tiles(x: np.ndarray, y: np.ndarray, box: Box, across: int, down: int) -> np.ndarray:
    """Number of the tile of each row; the last number for a row outside or without a place."""
    inside = (x >= box.left) & (x <= box.right) & (y >= box.low) & (y <= box.high)
    with np.errstate(invalid="ignore"):
        column = ((x - box.left) * (across / (box.right - box.left))).astype(np.int64, copy=False)
        row = ((y - box.low) * (down / (box.high - box.low))).astype(np.int64, copy=False)
    tile = np.minimum(row, down - 1) * across + np.minimum(column, across - 1)
    return np.where(inside, tile, across * down)


def points(
    cat: Catalog, ref: str, places: Places, box: Box, inside: int, columns: Sequence[str], limit: int = POINTS
) -> pa.Table:
    """A sample of the rows in a box: sample_id, the two places and `columns`, those of the smallest ids.

    inside: rows in the box, as `grid` counted them, from which the share that is read follows.
    """
    check(cat, "read", ref)
    limit = min(limit, POINTS)
    wanted = list(dict.fromkeys(["sample_id", places.x, places.y, *columns]))
    where = box.where(places)
    if inside > limit:
        share = min(1.0, 1.05 * limit / inside + 6 * limit**0.5 / inside)  # so many that `limit` are among them
        where += f" AND sample_id < '{min(int(2**32 * share), 2**32 - 1):08x}'"
    parts = list(cat.scan(ref, wanted, where=where, missing="drop", batch_rows=CHUNK))
    table = pa.Table.from_batches(parts) if parts else cat_schema(cat, ref, wanted)
    order = pc.sort_indices(table.column("sample_id"))[:limit]
    return table.take(order)


def cat_schema(cat: Catalog, ref: str, names: Sequence[str]) -> pa.Table:
    """No rows, with the columns asked for."""
    return pa.table({name: pa.nulls(0, pa.string() if name == "sample_id" else pa.float64()) for name in names})


def centres(cat: Catalog, ref: str, places: Places, column: str) -> dict[int, tuple[float, float, int]]:
    """Cluster -> mean place and number of its rows, over all rows."""
    check(cat, "read", ref)
    sums: dict[int, np.ndarray] = {}
    for batch in cat.scan(ref, [places.x, places.y, column], batch_rows=CHUNK):
        if not pa.types.is_integer(batch.column(column).type):
            raise BadInput(f"column {column} of {ref} holds no cluster numbers; choose another")
        x, y = _numbers(batch, places.x), _numbers(batch, places.y)
        known = np.isfinite(x) & np.isfinite(y) & batch.column(column).is_valid().to_numpy(zero_copy_only=False)
        groups, codes = np.unique(batch.column(column).filter(pa.array(known)).to_numpy(), return_inverse=True)
        made = [np.bincount(codes, weight, len(groups)) for weight in (x[known], y[known], None)]
        for at, group in enumerate(groups.tolist()):
            sums[group] = sums.get(group, np.zeros(3)) + [part[at] for part in made]
    return {group: (float(a / n), float(b / n), int(n)) for group, (a, b, n) in sorted(sums.items())}


def gathered(cat: Catalog, ref: str, where: str, labels: Sequence[str], weight: str = "chars") -> dict[str, Any]:
    """What a filter holds, over all rows: rows, their weight, the commonest values of labels, a few samples.

    {"rows", "weight", "total", "labels": {column: {value: rows}}, "examples": [sample ids]}
    """
    check(cat, "read", ref)
    held: dict[str, dict[Any, int]] = {name: {} for name in labels}
    rows = total = 0
    examples: list[str] = []
    for batch in cat.scan(ref, list(dict.fromkeys(["sample_id", weight, *labels])), where=where, missing="drop",
                          batch_rows=CHUNK):  # fmt: skip
        rows += batch.num_rows
        total += pc.sum(batch.column(weight)).as_py() or 0
        for name, counts in held.items():
            for item in pc.value_counts(batch.column(name)).to_pylist():
                counts[item["values"]] = counts.get(item["values"], 0) + item["counts"]
        examples = sorted([*examples, *batch.column("sample_id").sort()[:EXAMPLES].to_pylist()])[:EXAMPLES]
    ranked = {name: dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:LISTED])
              for name, counts in held.items()}  # fmt: skip
    return {"rows": rows, "weight": weight, "total": int(total), "labels": ranked, "examples": examples}


EXAMPLES = 12
LISTED = 6
