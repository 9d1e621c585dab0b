"""Whom samples have reached: mixes and the places in their order, pulls that held such a place, runs whose ledger names it,
models that were trained on the mix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import select

from catalog.errors import StrataError
from catalog.meta.models import Mix, Stream, Trial

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.pull.layout import Layout

BLOCK = 1 << 20
SHOWN = 20
"""Indices of a mix that a receipt lists; all are counted."""


def reached(cat: Catalog, places: dict[str, np.ndarray]) -> dict[str, list[dict[str, Any]]]:
    """{"mixes", "pulls", "runs", "models"} that the rows of datasets (by id) are part of."""
    mixes = _served(cat, places)
    found = {"mixes": mixes, "pulls": _pulls(cat, mixes), "runs": _runs(cat, mixes), "models": _models(cat, mixes)}
    for entry in mixes:
        del entry["all"]  # it was only needed here
    return found


def _served(cat: Catalog, places: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Mixes whose locks serve the rows: how many samples that is, and at which global indices."""
    from catalog.mixes.lock import load_lock
    from catalog.pull.layout import Layout

    with cat.session() as session:
        mixes = session.exec(select(Mix).order_by(Mix.name, Mix.version)).all()  # type: ignore[arg-type]
    found = []
    for mix in mixes:
        if not places.keys() & {part["dataset_id"] for part in mix.lock.get("parts", [])}:
            continue
        ref = f"{mix.name}@v{mix.version}"
        layout = Layout.from_lock(load_lock(cat, ref), cat.settings.locks, verify=False)
        indices = [
            _indices(layout, number, places[part["dataset_id"]])
            for number, part in enumerate(mix.lock["parts"]) if part["dataset_id"] in places
        ]  # fmt: skip
        at = np.sort(np.concatenate(indices))
        if len(at):
            found.append({"mix": ref, "samples": len(at), "indices": at[:SHOWN].tolist(), "all": at})
    return found


def _indices(layout: Layout, number: int, row_ids: np.ndarray) -> np.ndarray:
    """Global indices at which one part serves the rows, in every epoch: one pass over the order of the part."""
    rows = layout.parts[number].rows
    inside = row_ids[rows.contains(row_ids.astype(np.int64))]
    if not len(inside):
        return np.empty(0, np.int64)
    wanted, total = np.sort(rows.rank(inside.astype(np.int64))), layout.order.served(len(layout))[number]
    items = [
        begin + np.flatnonzero(np.isin(layout.positions(number, np.arange(begin, min(begin + BLOCK, total))), wanted))
        for begin in range(0, total, BLOCK)
    ]
    return layout.order.index_of(number, np.concatenate(items))


def _pulls(cat: Catalog, mixes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Live pulls whose range holds such an index of their rank."""
    held = {entry["mix"]: entry["all"] for entry in mixes}
    with cat.session() as session:
        streams = session.exec(select(Stream).order_by(Stream.created)).all()  # type: ignore[arg-type]
    found = []
    for stream in streams:
        at = held.get(stream.mix, np.empty(0, np.int64))
        at = at[(at >= stream.start) & (at < stream.stop)]
        if len(at):
            found.append({
                "mix": stream.mix, "by": stream.actor, "on": stream.host, "began": stream.created, "face": stream.face,
                "from": stream.start, "first": int(at[0]), "samples": len(at),
            })  # fmt: skip
    return found


def _runs(cat: Catalog, mixes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Training runs whose ledger says that they were served such an index, with the steps of it."""
    from catalog.pull.ledger import read_run, runs_of
    from catalog.pull.ledger_columns import newest

    found = []
    for entry in mixes:
        if not (cat.settings.home / "ledger" / entry["mix"]).is_dir():
            continue
        try:
            reader = cat.mix(entry["mix"])
            for run in runs_of(reader):
                if newest(cat, reader, run) is not reader:
                    continue  # told with the revision under which it went on
                held = read_run(reader, run)
                mine = np.isin(held.column("index").to_numpy(), entry["all"])
                if mine.any():
                    index, steps = held.column("index").to_numpy()[mine], held.column("step").to_numpy()[mine]
                    found.append({
                        "mix": entry["mix"], "run": run, "samples": len(np.unique(index)), "times": int(mine.sum()),
                        "first_step": int(steps.min()), "last_step": int(steps.max()),
                    })  # fmt: skip
        except StrataError as error:  # a ledger that cannot be read hides no retraction
            found.append({"mix": entry["mix"], "run": None, "error": error.message})
    return found


def _models(cat: Catalog, mixes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Models that a trial says were trained on such a mix."""
    wanted = [entry["mix"] for entry in mixes]
    with cat.session() as session:
        held = session.exec(
            select(Trial.mix, Trial.model).where(Trial.mix.in_(wanted), Trial.model != "").distinct()  # type: ignore[attr-defined]
        )
        return [{"mix": mix, "model": model} for mix, model in sorted(held)]
