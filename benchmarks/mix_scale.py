"""Start-up and resume of a very large mix: 10^9 rows, 200 parts, 30 % of the rows chosen, 1 % tombstones.

    python benchmarks/mix_scale.py                    # about a minute; 0.3 GB of side files in a temporary folder
    python benchmarks/mix_scale.py --sorted           # every part ordered by a column: 1.2 GB of stored orders as well
    python benchmarks/mix_scale.py --packed           # also packed to sequences of 2,048 tokens

The table is virtual: row ids, bitmaps, tombstones and the lock are real and made as publishing makes them, the rows behind
them do not exist, so that what is measured is what a start costs beyond opening tables and reading rows. Every figure is
of a fresh process: from its first line (imports included) to the rows of one block of 16,384 indices, tombstones taken
out. "resume" starts at a random index; "CPU" is the processor time up to the first block, which a busy machine stretches
less; memory is the peak of the process, mapped pages included. Row sets are verified against their names at each start,
as opening a mix does. Not in it: opening the catalog and the tables, and finding the tombstones in a table.

Packed, a start goes on to its first batch of 8 sequences: the tokenizer is opened, a state (window, offset, sequence) is
loaded, and one window of 1,024 documents is tokenised and packed. Their texts are real and few: row r has text r mod 5,000.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROWS, PARTS, CHOSEN, GONE, ITEMS = 10**9, 200, 0.3, 0.01, 10**9
BLOCK = 16_384


def prepare(folder: Path, rows: int, ordered: bool) -> dict[str, Any]:
    """Side files and the lock of the mix."""
    from catalog.pull import rowset, stored
    from catalog.pull.layout import ALGORITHMS, OPTIONAL
    from catalog.pull.order import whole
    from catalog.pull.rowset import RowSetBuilder

    rng, each, parts, orders = np.random.default_rng(0), rows // PARTS, [], []
    weights = rng.dirichlet(np.full(PARTS, 2.0))
    counts = np.maximum(1, (weights * ITEMS).astype(np.int64))
    for number in range(PARTS):
        builder = RowSetBuilder()
        builder.add(number * each + np.flatnonzero(rng.random(each) < CHOSEN))
        held = builder.build()
        rowset.save(held, folder)
        parts.append({"rows": held.to_json(), "key": f"part {number}"})
        if ordered:
            made = stored.stored(0, int(counts[number]), rng.permutation(held.rows), held.rows)
            stored.save(made, folder)
            orders.append({"part": number, **made.to_json()})
    np.save(folder / "gone.npy", np.sort(rng.choice(rows, int(rows * GONE), replace=False, shuffle=False)))
    algorithms = {**ALGORITHMS, **({"stored_order": OPTIONAL["stored_order"]} if ordered else {})}
    lock = {"name": "big", "seed": 1, "order": {"shuffle": "full"}, "parts": parts, "algorithms": algorithms,
            "segments": [whole(counts.tolist()).to_json()], "orders": orders}  # fmt: skip
    (folder / "lock.json").write_text(json.dumps(lock))
    return lock


def start(folder: Path, at: float, began: float) -> dict[str, float]:
    """What one process does: open, then the rows of the first block from a place in the mix on."""
    from catalog.pull.layout import Layout
    from catalog.pull.sources import Sources

    imported = time.perf_counter() - began
    lock = json.loads((folder / "lock.json").read_text())
    layout = Layout.from_lock(lock, folder)
    gone = np.load(folder / "gone.npy", mmap_mode="r")
    sources = Sources(["big"], [], [{}], [[]], [np.asarray(gone)], np.zeros(PARTS, np.int64))
    opened = time.perf_counter() - began
    index = int(at * (len(layout) - BLOCK))
    found = layout.locate(np.arange(index, index + BLOCK))
    live = sources.live(sources.of_part[found.part], found.row)
    ready = time.perf_counter() - began
    spent, turn = time.process_time(), time.perf_counter()
    for step in range(1, 21):
        layout.locate(np.arange(index - step * BLOCK, index - (step - 1) * BLOCK) % len(layout))
    rate = 20 * BLOCK / (time.perf_counter() - turn)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"imported": imported, "opened": opened, "first block": ready, "cpu": spent, "peak MB": peak, "live": float(live.mean()),
            "rows/s": rate, "items": float(len(layout))}  # fmt: skip


class Texts:
    """Stands for the table: every row id has a text, one of a few thousand."""

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        self.held = pa.ipc.open_file(pa.memory_map(str(folder / "texts.arrow"))).read_all().column("text").chunk(0)
        self.table, self.array = pa.table, pa.array

    def _take_rows(self, row_ids: list[int], columns: list[str]) -> Any:
        assert columns == ["text"]
        return self.table({"text": self.held.take(self.array(np.array(row_ids) % len(self.held)))})


def prepare_texts(folder: Path, count: int = 5_000) -> None:
    import pyarrow as pa
    from _documents import documents

    table = pa.table({"text": documents(count, copies=0.0)})
    with pa.OSFile(str(folder / "texts.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def start_packed(folder: Path, at: float, tokenizer: str, began: float) -> dict[str, float]:
    """What one process does: open, load a state, then the first batch of sequences."""
    import pyarrow as pa

    from catalog.pull.layout import Layout
    from catalog.pull.pack import Place, pack
    from catalog.pull.reader import MixReader
    from catalog.pull.sources import Sources
    from catalog.settings import load_settings

    imported = time.perf_counter() - began
    lock = {**json.loads((folder / "lock.json").read_text()), "digest": "0" * 64}
    gone = np.asarray(np.load(folder / "gone.npy", mmap_mode="r"))
    table: Any = Texts(folder)
    fields = {"text": ("text", pa.string())}
    sources = Sources(["big"], [table], [fields], [["text"]], [gone], np.zeros(PARTS, np.int64))
    reader = MixReader(load_settings(folder / "home"), "big@v1", lock, Layout.from_lock(lock, folder), sources)
    packed = pack(reader, tokenizer, 2048, end="<|endoftext|>")
    opened = time.perf_counter() - began
    window = int(at * (packed.windows - 2))
    state = packed.state(Place(window, 3 if window else 0, 70 * window))  # as a run that stood there left it
    batch, _ = next(packed.batches(8, place=packed.place_of(state)))
    ready, spent = time.perf_counter() - began, time.process_time()
    served, empty = (batch.documents > 0).sum(axis=1), batch.documents == 0
    assert batch.input_ids.shape == (8, 2048) and (served > 0).all()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"imported": imported, "opened": opened, "first block": ready, "cpu": spent, "peak MB": peak,
            "live": 1 - float(empty.mean()), "rows/s": 0.0, "items": float(len(reader))}  # fmt: skip


def bundled() -> str:
    from flows.models.bundled import folder

    return str(folder("smollm2-135m", "tokenizer", Path.home() / ".cache" / "strata" / "models"))


def main() -> None:
    began = time.perf_counter()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--sorted", action="store_true")
    parser.add_argument("--starts", type=int, default=5, help="random places to resume at")
    parser.add_argument("--start", nargs=2, metavar=("FOLDER", "AT"), help=argparse.SUPPRESS)
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--tokenizer", default=None, help="a tokenizer.json or its folder that has <|endoftext|>")
    given = parser.parse_args()
    if given.start:
        where, at = Path(given.start[0]), float(given.start[1])
        seen = start_packed(where, at, given.tokenizer, began) if given.packed else start(where, at, began)
        print(json.dumps(seen))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time.perf_counter()
        prepare(folder, given.rows, given.sorted)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        spent = time.perf_counter() - began
        print(f"{given.rows:,} rows, {PARTS} parts, {size:,.0f} MB of side files, made in {spent:.0f} s")
        chance = random.Random(0)
        places = [0.0, *(chance.random() for _ in range(given.starts))]
        measure(name, places, [])
        if given.packed:
            prepare_texts(folder)
            print("packed: first batch of 8 sequences of 2,048 tokens")
            measure(name, places, ["--packed", "--tokenizer", given.tokenizer or bundled()])


def measure(folder: str, places: list[float], options: list[str]) -> None:
    """One fresh process a place."""
    print(f"{'':16}{'imported':>10}{'opened':>10}{'first':>13}{'CPU':>8}{'peak MB':>10}{'live':>8}{'indices/s':>12}")
    for at in places:
        command = [sys.executable, __file__, "--start", folder, str(at), *options]
        seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rate = f"{seen['rows/s']:12,.0f}" if seen["rows/s"] else ""
        label = f"resume at {at:.3f}" if at else "start"
        print(f"{label:16}{seen['imported']:8.2f} s{seen['opened']:8.2f} s{seen['first block']:11.2f} s{seen['cpu']:6.2f} s"
              f"{seen['peak MB']:10,.0f}{seen['live']:8.3f}{rate}")  # fmt: skip


if __name__ == "__main__":
    main()
