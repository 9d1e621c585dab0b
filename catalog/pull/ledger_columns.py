"""A ledger as columns and edges, and the questions it answers: who saw this sample and when, what of each part is left,
how the loss of each source went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import select

from catalog import states
from catalog.errors import BadInput
from catalog.frozen import Frozen, publish_frozen, write_frozen
from catalog.meta.models import Dataset, Edge, new_id
from catalog.pull.layout import digest_of
from catalog.pull.ledger import GRADIENTS, audit, goes_on, gradients_of, read_run, runs_of, write_copy
from catalog.store.columns import find, row_ids

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.pull.reader import MixReader

SCORER = "ledger"
ONCE = ("mix", "run", "attempt", "rank", "step", "position", "index", "first")
OUTPUTS = {"seen": pa.int32(), "step_last": pa.int64(), "loss_first": pa.float32(), "loss_last": pa.float32()}


def add_ledger(cat: Catalog, ref: str, files: Sequence[str | Path] = (), *, run: str | None = None) -> dict[str, Any]:
    """Turn ledgers of a mix into columns of its datasets: seen_RUN, step_last_RUN, loss_first_RUN, loss_last_RUN, and
    where gradient norms were recorded gradient_first_RUN, gradient_last_RUN (output_gradient_... of the output layer's).

    files: ledgers written elsewhere; without any, those of the home. The same records again change nothing.
    """
    from catalog.access import check

    check(cat, "write", "ledger")
    reader = cat.mix(ref)
    missing = [str(path) for path in files if not Path(path).is_file()]
    if missing:
        raise BadInput(f"{missing[0]} is no file; give the .arrows files of the run")
    held = write_copy([Path(path) for path in files], reader) if files else runs_of(reader)
    held = [name for name in held if run in (None, name)]
    if not held:
        raise BadInput(f"{reader.ref} has no ledger{f' of run {run}' if run else ''}; give its files")
    return {"mix": reader.ref, "runs": [_add_run(cat, newest(cat, reader, name), name) for name in held]}


def newest(cat: Catalog, reader: MixReader, run: str) -> MixReader:
    """The mix, or the newest revision of it under which the run went on: its ledger holds the whole history."""
    name, _, own = reader.ref.rpartition("@v")
    folder = cat.settings.home / "ledger"
    versions = [
        int(version)
        for path in (folder.iterdir() if folder.is_dir() else ())
        for held, _, version in (path.name.rpartition("@v"),)
        if held == name and version.isdecimal() and (path / run).is_dir()
    ]
    for version in sorted((found for found in versions if found > int(own)), reverse=True):
        later = cat.mix(f"{name}@v{version}")
        if goes_on(reader, run, later):
            return later
    return reader


def _add_run(cat: Catalog, reader: MixReader, run: str) -> dict[str, Any]:
    table = read_run(reader, run)
    found = audit(reader, table)
    facts = {name: value if isinstance(value, (int, bool)) else len(value) for name, value in found.items()}
    parts = reader.lock["parts"]
    by_dataset: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        by_dataset.setdefault(part["dataset_id"], []).append(number)
    run_id, columns = new_id(), []
    for identity, numbers in by_dataset.items():
        mine = table.filter(pa.array(np.isin(table.column("part").to_numpy(), numbers)))
        if mine.num_rows:
            columns += _publish(cat, reader, run, identity, mine, run_id)
    with cat.session() as session:
        target, source = f"run:{reader.ref}/{run}", f"mix:{reader.ref}"
        same = select(Edge).where(Edge.source == source, Edge.target == target, Edge.verb == "train")
        edge = session.exec(same).first() or Edge(run_id=run_id, verb="train", source=source, target=target)
        edge.counts = facts
        edge.details = {"lock": reader.digest, "steps": _span(table, "step"), "attempts": _span(table, "attempt")}
        session.add(edge)
        session.commit()
    return {"run": run, "mix": reader.ref, **facts, "columns": columns}


def _span(table: pa.Table, name: str) -> list[int]:
    values = table.column(name).to_numpy() if name in table.schema.names else np.empty(0)
    return [int(values.min()), int(values.max())] if len(values) else []


def _publish(cat: Catalog, reader: MixReader, run: str, identity: str, held: pa.Table, run_id: str) -> list[str]:
    """The columns of one dataset; those of equal records are there already."""
    with cat.session() as session:
        dataset = session.get(Dataset, identity)
    assert dataset is not None
    rows, values = per_row(reader, held)
    recipe, outputs = {"lock": reader.digest, "run": run, "mix": reader.ref}, dict(OUTPUTS)
    if "gradient_first" in values:
        recipe["gradients"] = gradients_of(reader, run)
        named = GRADIENTS[recipe["gradients"]]
        for when in ("first", "last"):
            values[f"{named}_{when}"], outputs[f"{named}_{when}"] = values[f"gradient_{when}"], pa.float32()
    content = [rows.tobytes().hex(), *(values[name].tobytes().hex() for name in outputs)]
    fingerprint = digest_of([SCORER, recipe, content])
    known = [column.alias for column in cat.columns(dataset.name) if column.fingerprint == fingerprint]
    if known:
        return [f"{dataset.name}.{alias}" for alias in sorted(known)]
    frozen = Frozen(SCORER, fingerprint, recipe, outputs, reader.ref, run_id,
                    lambda output: f"{output}_{run}".replace("-", "_").replace(".", "_"))  # fmt: skip

    def arrays(fragment: Any) -> list[pa.Array]:
        at, there = find(rows, row_ids(fragment).astype(np.int64))
        made = [_column(values[name][at], there, kind) for name, kind in outputs.items()]
        return [*made, pa.array(np.where(there, states.VALUE, states.UNDEFINED).astype(np.uint8))]

    files = write_frozen(cat, dataset, frozen, arrays)
    made = publish_frozen(cat, dataset, frozen, files, verb="train", source=f"run:{reader.ref}/{run}",
                          counts={"rows": len(rows)})  # fmt: skip
    return sorted(f"{dataset.name}.{alias}" for alias in made.values())


def _column(values: np.ndarray, there: np.ndarray, kind: pa.DataType) -> pa.Array:
    empty = ~there | (np.isnan(values) if values.dtype.kind == "f" else False)
    return pa.array(values, kind, mask=empty)


def per_row(reader: MixReader, held: pa.Table) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Sorted row ids of one dataset, and for each: times seen, last step, first and last loss, and gradient norm if held.

    Pieces of one document in one epoch are one serving; its loss, and its norm, is the mean over their tokens.
    """
    index, step = held.column("index").to_numpy(), held.column("step").to_numpy()
    row = reader.layout.locate(index).row.astype(np.int64)
    serving, of = np.unique(index, return_inverse=True)  # one index is one serving of its row
    tokens = held.column("tokens").fill_null(1).to_numpy().astype(np.float64)
    loss, gradient = (_of_serving(held.column(name), tokens, of) for name in ("loss", "gradient"))
    last = np.zeros(len(serving), np.int64)
    np.maximum.at(last, of, step)
    row_of = np.zeros(len(serving), np.int64)
    row_of[of] = row
    order = np.lexsort((serving, last, row_of))
    rows, begins, counts = np.unique(row_of[order], return_index=True, return_counts=True)
    ends = begins + counts - 1
    found = {"seen": counts.astype(np.int32), "step_last": last[order][ends]}
    for name, mean in (("loss", loss), ("gradient", gradient)):
        if name == "loss" or not np.isnan(mean).all():
            found[f"{name}_first"] = mean[order][begins].astype(np.float32)
            found[f"{name}_last"] = mean[order][ends].astype(np.float32)
    return rows, found


def _of_serving(column: pa.ChunkedArray, tokens: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Mean over the tokens of each serving; NaN where nothing is known."""
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    weight = tokens * ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.bincount(of, weight * np.nan_to_num(values)) / np.bincount(of, weight)


def who(cat: Catalog, sample_id: str) -> list[dict[str, Any]]:
    """Every time a run was served this sample: mix, run, attempt, rank, step, epoch and loss."""
    from catalog.trace import trace_sample

    sample = trace_sample(cat, sample_id)["sample_id"]
    found: list[dict[str, Any]] = []
    folder = cat.settings.home / "ledger"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        reader = cat.mix(path.name)
        places = {}
        for source, table in enumerate(reader.sources.tables):
            ids = table.scanner(columns=[], filter=f"sample_id = '{sample}'", with_row_id=True).to_table()
            places[source] = ids.column("_rowid").to_numpy().astype(np.int64)
        if not any(len(ids) for ids in places.values()):
            continue
        for run in runs_of(reader):
            if newest(cat, reader, run) is not reader:
                continue  # told with the revision under which it went on
            held = read_run(reader, run)
            at = reader.layout.locate(held.column("index").to_numpy())
            source = reader.sources.of_part[at.part]
            mine = np.zeros(held.num_rows, bool)
            for number, ids in places.items():
                mine |= (source == number) & np.isin(at.row, ids)
            for row in held.filter(pa.array(mine)).to_pylist():
                found.append({"mix": reader.ref, "run": run, **row})
    once = {tuple(row[name] for name in ONCE): row for row in found}  # a run may go on under two revisions
    return list(once.values())


def left(reader: MixReader, run: str) -> list[dict[str, Any]]:
    """For each part: samples the mix serves in all, those this run was served, and what remains."""
    table = read_run(reader, run)
    part, index = table.column("part").to_numpy(), table.column("index").to_numpy()
    _, once = np.unique(index, return_index=True)
    served = np.bincount(part[once], minlength=len(reader.lock["parts"]))
    planned = reader.layout.order.served(len(reader))
    return [
        {"part": number + 1, "dataset": held["dataset"], "samples": int(planned[number]),
         "served": int(served[number]), "left": int(planned[number] - served[number])}
        for number, held in enumerate(reader.lock["parts"])
    ]  # fmt: skip


def by_source(reader: MixReader, run: str) -> list[dict[str, Any]]:
    """For each source: samples that the run was served, servings, and their mean loss where losses were recorded."""
    table = read_run(reader, run)
    names, of = np.unique(np.array(_groups(reader, table, "source"), str), return_inverse=True)
    index, loss = (
        table.column("index").to_numpy(),
        table.column("loss").to_numpy(zero_copy_only=False).astype(np.float64),
    )
    found = []
    for number, name in enumerate(names.tolist()):
        mine = of == number
        known = loss[mine][~np.isnan(loss[mine])]
        found.append({"source": name, "samples": len(np.unique(index[mine])), "records": int(mine.sum()),
                      "loss": float(known.mean()) if len(known) else None})  # fmt: skip
    return found


def loss_curves(reader: MixReader, run: str, *, by: str = "part", bins: int = 20) -> list[dict[str, Any]]:
    """Mean loss by stretch of steps and by part (its dataset) or by source."""
    if by not in ("part", "source") or bins < 1:
        raise BadInput(f"curves are by part or source and in at least 1 bin, not by {by!r} in {bins}")
    table = read_run(reader, run)
    table = table.filter(
        pa.compute.and_(
            pa.compute.is_valid(table.column("loss")), pa.compute.invert(pa.compute.is_nan(table.column("loss")))
        )
    )  # type: ignore[attr-defined]
    if not table.num_rows:
        raise BadInput(f"run {run} of {reader.ref} recorded no losses; give them to Ledger.record")
    step, loss = table.column("step").to_numpy(), table.column("loss").to_numpy().astype(np.float64)
    group = _groups(reader, table, by)
    edges = np.linspace(step.min(), step.max() + 1, min(bins, int(step.max() - step.min()) + 1) + 1)
    at = np.clip(np.searchsorted(edges, step, side="right") - 1, 0, len(edges) - 2)
    found = []
    for name in sorted(set(group)):
        mine = np.array([held == name for held in group])
        for number in np.unique(at[mine]):
            chosen = mine & (at == number)
            found.append({by: name, "from_step": int(step[chosen].min()), "to_step": int(step[chosen].max()),
                          "samples": int(chosen.sum()), "loss": float(loss[chosen].mean())})  # fmt: skip
    return found


def _groups(reader: MixReader, table: pa.Table, by: str) -> list[str]:
    if by == "part":
        names = [f"{number} {part['dataset']}" for number, part in enumerate(reader.lock["parts"], 1)]
        return [names[part] for part in table.column("part").to_pylist()]
    index = table.column("index").to_numpy()
    unique, back = np.unique(index, return_inverse=True)
    held: dict[int, str] = {}
    for begin in range(0, len(unique), 16_384):
        rows = reader.take(unique[begin : begin + 16_384], ["source"])
        held |= dict(zip(rows.column("_index").to_pylist(), rows.column("source").to_pylist(), strict=True))
    return [held.get(int(unique[at]), "retracted") or "" for at in back]
