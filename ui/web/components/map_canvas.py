"""The map in the browser: what is sent to its canvas, and what comes back (a part looked at, an outline, a sample)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from catalog.maps import Grid, Places

COLOURS = 16
"""Values with a colour of their own; others share one more."""
NONE, NO_NUMBER = 17, 255
LABELS = 2_000
"""Different values of a label that are sent for the hints; the rest are called "other"."""

HTML = """<div class="sx-map"><span class="sx-map-probe" hidden></span>
<div class="sx-map-bar" role="toolbar" aria-label="Map tools">
<button type="button" data-mode="move" aria-pressed="true">Move</button>
<button type="button" data-mode="lasso" aria-pressed="false" title="draw around rows (or hold Shift while dragging)">Lasso</button>
<span></span>
<button type="button" data-do="in" aria-label="Zoom in">+</button>
<button type="button" data-do="out" aria-label="Zoom out">−</button>
<button type="button" data-do="whole">Whole map</button>
</div>
<canvas tabindex="0" role="application" aria-label="Map"></canvas>
<div class="sx-map-tip" role="status" hidden></div></div>"""


@dataclass(frozen=True)
class Colour:
    """How points are coloured. names: value -> its words and rows, in the order of the colours; ends: of a number."""

    column: str
    names: tuple[tuple[str, int], ...] = ()
    ends: tuple[float, float] | None = None


def packed(array: np.ndarray, kind: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()


def coloured(values: pa.ChunkedArray | None, name: str, known: dict[str, int], ends: Any) -> tuple[np.ndarray, Colour]:
    """A code a point: of a label the rank of its value, of a number its place between `ends`.

    known: value -> rows over the whole dataset, commonest first, where that is stored; else the points are counted.
    """
    if values is None:
        return np.full(0, NONE, np.uint8), Colour("")
    if ends is not None:
        numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
        low, high = ends
        with np.errstate(invalid="ignore"):
            place = np.clip((numbers - low) / ((high - low) or 1) * 254, 0, 254)
        return np.where(np.isfinite(numbers), place, NO_NUMBER).astype(np.uint8), Colour(name, ends=ends)
    words = pc.cast(values, pa.string())
    counted = known or {
        item["values"]: item["counts"]
        for item in sorted(pc.value_counts(words.drop_null()).to_pylist(), key=lambda i: (-i["counts"], i["values"]))
    }
    first = list(counted.items())[:COLOURS]
    at = pc.index_in(words, pa.array([value for value, _ in first], pa.string()))
    codes = at.fill_null(COLOURS).to_numpy(zero_copy_only=False).astype(np.uint8)
    codes[~words.is_valid().to_numpy(zero_copy_only=False)] = NONE
    rest = sum(list(counted.values())[COLOURS:])
    names = (*first, ("other", rest)) if rest else tuple(first)
    return codes, Colour(name, tuple(names))


def facts(table: pa.Table, columns: Sequence[str], words: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """What the hint of a point says: labels by number of their value, numbers as they are. words: value -> as shown."""
    made = []
    for name in columns:
        values = table.column(name)
        if name not in words and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            numbers = pc.cast(values, pa.float32(), safe=False).to_numpy(zero_copy_only=False)
            made.append({"name": name, "held": packed(numbers, np.float32)})
            continue
        coded: Any = pc.cast(values, pa.string()).combine_chunks().dictionary_encode()
        seen = coded.dictionary.to_pylist()[:LABELS]
        titles = words.get(name, {})
        shown = [str(titles.get(str(value), value))[:90] for value in seen]
        codes = coded.indices.fill_null(LABELS + 1).to_numpy(zero_copy_only=False)
        made.append({"name": name, "values": shown, "held": packed(np.minimum(codes, LABELS + 1), np.uint16)})
    return made


def payload(
    places: Places, grid: Grid, table: pa.Table, codes: np.ndarray, colour: Colour, hints: list[dict[str, Any]]
) -> dict[str, Any]:
    """Everything that the canvas draws but titles and the outline."""
    box = grid.box
    down, across = grid.counts.shape
    ids = "".join(name[:12].ljust(12) for name in table.column("sample_id").to_pylist())
    return {
        "box": [box.left, box.right, box.low, box.high],
        "grid": {
            "across": across,
            "down": down,
            "most": int(grid.counts.max(initial=0)),
            "counts": packed(grid.counts.ravel(), np.uint32),
        },
        "points": {
            "x": packed(table.column(places.x).to_numpy(), np.float32),
            "y": packed(table.column(places.y).to_numpy(), np.float32),
            "colour": packed(codes if len(codes) else np.full(table.num_rows, NONE), np.uint8),
            "ids": ids,
            "facts": hints,
        },
        "colours": {"steps": colour.ends is not None},
        "sampled": table.num_rows < grid.inside,
    }


def map_canvas(data: dict[str, Any], key: str, handle: Callable[[str, str], None]) -> None:
    """Draw the map; handle("view" | "lasso" | "pick", value) is called before the page runs again."""

    def told(name: str) -> Callable[[], None]:
        def call() -> None:
            value = getattr(st.session_state.get(key), name, None)
            if value:
                handle(name, str(value))

        return call

    script = (Path(__file__).parent / "map_canvas.js").read_text("utf-8")
    mount = st.components.v2.component("strata_map", html=HTML, js=script, isolate_styles=False)
    mount(
        key=key,
        data=data,
        on_view_change=told("view"),
        on_lasso_change=told("lasso"),
        on_pick_change=told("pick"),
    )
