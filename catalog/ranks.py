"""A chosen row set as a column: the rank of each chosen row, null where a row was not chosen; a weight beside it.

What a selector chose is frozen here once and never computed again: the saved selection is `rank >= 0`, and whatever
takes a filter (promote, mix, score, pull, export, SQL) takes it. The recipe and the report hang on the column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import Session, select

from catalog import states
from catalog.meta.models import ColumnRecord, Dataset, Edge, Recipe
from catalog.statistics import column_statistics, keep_facts
from catalog.store.columns import attach, find, row_ids
from catalog.store.publish import publish
from catalog.store.tables import ColumnFile, write_column_file

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved

SCORER = "select"


def held_ranks(cat: Catalog, found: Resolved, fingerprint: str) -> ColumnRecord | None:
    """The column of ranks that a recipe made before."""
    columns = cat.columns(found.dataset.name)
    return next((c for c in columns if c.fingerprint == fingerprint and c.output == "rank"), None)


def publish_ranks(
    cat: Catalog,
    found: Resolved,
    label: str,
    fingerprint: str,
    recipe: dict[str, Any],
    report: dict[str, Any],
    candidates: np.ndarray,
    chosen: np.ndarray,
    weights: np.ndarray | None,
    run_id: str,
) -> ColumnRecord:
    """Attach the ranks to the dataset. candidates: row ids of the version; chosen: those chosen, first one first."""
    tail = fingerprint[:8]
    state, names = f"{SCORER}__state__{tail}", {"rank": f"rank__{tail}"}
    kinds = {"rank": pa.int32(), "weight": pa.float32()}
    if weights is not None:
        names["weight"] = f"weight__{tail}"
    fields = pa.schema([*(pa.field(names[o], kinds[o]) for o in names), pa.field(state, pa.uint8())])
    table = cat.lance(found.dataset.name, found.dataset.lance_version)
    files = [
        _file(cat, table, fragment, fields, np.sort(candidates), chosen, weights) for fragment in table.get_fragments()
    ]
    measured: dict[str, dict[str, Any]] = {}

    def change(head: Any, dataset: Dataset) -> Any:
        done = attach(cat, head, files, fields, dict.fromkeys(fields.names, state))
        measured.update(column_statistics(done, dict.fromkeys(names.values(), state)))
        return done

    def record(session: Session, dataset: Dataset) -> None:
        session.merge(Recipe(fingerprint=fingerprint, scorer=SCORER, body=recipe, base=fingerprint))
        taken = session.exec(select(ColumnRecord.alias).where(ColumnRecord.dataset_id == dataset.id)).all()
        for output, physical in names.items():
            alias = f"{output}_{label}"
            column = ColumnRecord(
                dataset_id=dataset.id, alias=f"{alias}_{tail[:4]}" if alias in taken else alias, physical=physical,
                state=state, fingerprint=fingerprint, scorer=SCORER, output=output, type=str(kinds[output]),
                scope="population", population=found.ref, report=report, run_id=run_id,
                better="lower" if output == "rank" else None,
            )  # fmt: skip
            keep_facts(column, measured[physical])
            session.add(column)
        session.add(Edge(run_id=run_id, verb="select", source=found.ref, target=f"column:{fingerprint}",
                         counts={"in": len(candidates), "kept": len(chosen)}, details={"recipe": recipe}))  # fmt: skip

    publish(cat, found.dataset.id, change, record)
    made = held_ranks(cat, found, fingerprint)
    assert made is not None
    return made


def _file(cat: Catalog, table: Any, fragment: Any, fields: pa.Schema, candidates: np.ndarray, chosen: np.ndarray,
          weights: np.ndarray | None) -> ColumnFile:  # fmt: skip
    """The column file of one fragment: a rank, "undefined" for a row not chosen, nothing outside the version."""
    wanted = row_ids(fragment)
    order = np.argsort(chosen, kind="stable")
    at, known = find(chosen[order], wanted)
    rank = order[at] if len(chosen) else np.zeros(len(wanted), np.int64)
    _, inside = find(candidates, wanted)
    arrays = [pa.array(rank.astype(np.int32), mask=~known)]
    if weights is not None:
        values = np.asarray(weights, np.float32)[rank] if len(chosen) else np.zeros(len(wanted), np.float32)
        arrays.append(pa.array(values, mask=~known))
    codes = np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)
    arrays.append(pa.array(codes, mask=~inside))
    batch = pa.RecordBatch.from_arrays(arrays, schema=fields)
    return write_column_file(table.uri, cat.settings.storage, fields, [batch], fragment=fragment.fragment_id,
                             lance_version=table.version)  # fmt: skip
