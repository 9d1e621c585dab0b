"""Values that are settled outside the runner, as columns of a dataset: a selector's ranks, a ledger, people's grades.

They have a recipe and a fingerprint like any score, but no scorer can make them again; their population says for which
rows they were settled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlmodel import Session, select

from catalog.meta.models import ColumnRecord, Dataset, Edge, Recipe
from catalog.statistics import column_statistics, keep_facts
from catalog.store.columns import attach
from catalog.store.publish import publish
from catalog.store.tables import ColumnFile, write_column_file

if TYPE_CHECKING:
    from catalog.catalog import Catalog


@dataclass(frozen=True)
class Frozen:
    """What is published. kinds: output -> Arrow type; alias: output -> the name people type, if it is free.

    population: reference of the rows it was settled for. better: direction of the outputs that have one.
    """

    scorer: str
    fingerprint: str
    recipe: dict[str, Any]
    kinds: dict[str, pa.DataType]
    population: str
    run_id: str
    alias: Callable[[str], str]
    better: dict[str, str | None] = field(default_factory=dict)

    @property
    def physical(self) -> dict[str, str]:
        return {output: f"{output}__{self.fingerprint[:8]}" for output in self.kinds}

    @property
    def state(self) -> str:
        return f"{self.scorer}__state__{self.fingerprint[:8]}"

    @property
    def fields(self) -> pa.Schema:
        named = [pa.field(self.physical[output], kind) for output, kind in self.kinds.items()]
        return pa.schema([*named, pa.field(self.state, pa.uint8())])


def write_frozen(
    cat: Catalog, dataset: Dataset, made: Frozen, arrays: Callable[[Any], list[pa.Array]]
) -> list[ColumnFile]:
    """Column files of the dataset's fragments. arrays(fragment): the outputs and the state codes, by physical row."""
    table, fields = cat.lance(dataset.name, dataset.lance_version), made.fields
    return [
        write_column_file(table.uri, cat.settings.storage, fields,
                          [pa.RecordBatch.from_arrays(arrays(fragment), schema=fields)],
                          fragment=fragment.fragment_id, lance_version=table.version)
        for fragment in table.get_fragments()
    ]  # fmt: skip


def publish_frozen(
    cat: Catalog, dataset: Dataset, made: Frozen, files: list[ColumnFile], *, verb: str, source: str,
    counts: dict[str, Any], report: dict[str, Any] | None = None,
) -> dict[str, str]:  # fmt: skip
    """Attach the files, and record columns, recipe and the edge from `source`; output -> alias."""
    state, physical, tail = made.state, made.physical, made.fingerprint[:8]
    measured: dict[str, dict[str, Any]] = {}
    aliases: dict[str, str] = {}

    def change(head: Any, current: Dataset) -> Any:
        done = attach(cat, head, files, made.fields, dict.fromkeys(made.fields.names, state))
        measured.update(column_statistics(done, dict.fromkeys(physical.values(), state)))
        return done

    def record(session: Session, current: Dataset) -> None:
        session.merge(Recipe(fingerprint=made.fingerprint, scorer=made.scorer, body=made.recipe, base=made.fingerprint))
        taken = session.exec(select(ColumnRecord.alias).where(ColumnRecord.dataset_id == current.id)).all()
        for output, column_name in physical.items():
            alias = made.alias(output)
            aliases[output] = f"{alias}_{tail[:4]}" if alias in taken else alias
            column = ColumnRecord(
                dataset_id=current.id, alias=aliases[output], physical=column_name, state=state,
                fingerprint=made.fingerprint, scorer=made.scorer, output=output, type=str(made.kinds[output]),
                scope="population", population=made.population, report=dict(report or {}), run_id=made.run_id,
                better=made.better.get(output),
            )  # fmt: skip
            keep_facts(column, measured[column_name])
            session.add(column)
        session.add(Edge(run_id=made.run_id, verb=verb, source=source, target=f"column:{made.fingerprint}",
                         counts=dict(counts), details={"recipe": made.recipe}))  # fmt: skip

    publish(cat, dataset.id, change, record)
    return aliases
