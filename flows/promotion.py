"""The writing half of a promotion: verdicts become a column of the source, kept rows a version of the target.

Everything is decided when this starts. What happens is files, then three publishes: the verdict column on the source,
empty columns on the target, and the rows. A repeat after a crash finds the fragments it had copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import Session, select

from catalog import states
from catalog.catalog import Catalog, Resolved
from catalog.digests import as_hex, content_id
from catalog.errors import Refused
from catalog.meta.models import ColumnRecord, Dataset, Edge, Recipe, Version
from catalog.plugins import get_transform
from catalog.runs import Progress, add_counts
from catalog.schema import plain, sample_schema
from catalog.statistics import column_statistics
from catalog.store import checkpoints, write_fragment
from catalog.store.columns import attach
from catalog.store.publish import publish
from catalog.store.rows import append_fragments, mark_removed
from catalog.store.tables import ColumnFile, write_column_file
from catalog.versions import record_columns, version_facts
from flows.planner import fingerprint
from flows.recipe import PromotionRecipe
from flows.waterfall import KEPT, Waterfall, verdicts


@dataclass
class PromotionReport:
    """What a promotion did or, dry, would do."""

    source: str
    target: str
    tier: str
    dry_run: bool
    waterfall: Waterfall
    edited: int = 0
    carried: list[str] = field(default_factory=list)
    unchanged: bool = False
    missing: list[str] = field(default_factory=list)


class Promotion:
    """The writing half: everything is decided, what remains is files and two publishes."""

    def __init__(self, cat: Catalog, found: Resolved, body: PromotionRecipe, where: str | None, target: str,
                 report: PromotionReport, run_id: str, work: str, show: Any) -> None:  # fmt: skip
        self.cat, self.found, self.body, self.where, self.target = cat, found, body, where, target
        self.report, self.run_id, self.work = report, run_id, work
        self.progress = Progress(cat, run_id, found.dataset.rows, "rows", show)
        self.columns = cat.columns(found.dataset.name)
        self.measured: dict[str, dict[str, Any]] = {}
        self.table = cat.lance(found.dataset.name, found.dataset.lance_version)

    def execute(self) -> None:
        verdict = self._verdicts()
        self._publish_verdict(verdict)
        dataset = self._add_columns(self._target())
        self._publish_rows(dataset, verdict)

    def _verdicts(self) -> tuple[np.ndarray, pa.Array]:
        """Row ids (in table order) and verdict strings of the whole version."""
        ids, names = [], []
        found = self.found
        for batch, verdict in verdicts(
            self.cat, found, self.body, self.where, at=found.dataset.lance_version, waterfall=self.report.waterfall
        ):
            ids.append(batch.column("_rowid").to_numpy())
            names.append(verdict.dictionary_encode())
        joined = pa.chunked_array(names).unify_dictionaries().combine_chunks()
        return np.concatenate(ids), joined

    def _publish_verdict(self, verdict: tuple[np.ndarray, pa.Array]) -> None:
        """Attach the verdicts to the source as a column of the population it was made for."""
        assert self.found.version is not None
        recipe = {"scorer": "promote", "version": "1", "recipe": self.body.model_dump(mode="json"), "where": self.where,
                  "population": {"digest": self.found.version.digest}, "target": self.target}  # fmt: skip
        digest = fingerprint(recipe)
        physical, state = f"verdict__{digest[:8]}", f"promote__state__{digest[:8]}"
        if any(column.physical == physical for column in self.columns):
            return
        fields = pa.schema([pa.field(physical, pa.string()), pa.field(state, pa.uint8())])
        files = [self._verdict_file(fragment, verdict, fields) for fragment in self.table.get_fragments()]
        measured: dict[str, dict[str, Any]] = {}

        def change(table: Any, dataset: Dataset) -> Any:
            done = attach(self.cat, table, files, fields, {physical: state, state: state})
            measured.update(column_statistics(done, {physical: state}))
            return done

        def record(session: Session, dataset: Dataset) -> None:
            session.merge(Recipe(fingerprint=digest, scorer="promote", body=recipe, base=digest))
            alias = f"verdict_{self.target}".replace("-", "_").replace(".", "_")
            older = session.exec(
                select(ColumnRecord).where(ColumnRecord.dataset_id == dataset.id, ColumnRecord.alias == alias)
            ).first()
            if older is not None:  # the newest promotion owns the short name; the older verdict stays readable
                older.alias = f"{alias}_{older.fingerprint[:4]}"
                session.add(older)
                session.flush()
            facts = measured[physical]
            session.add(ColumnRecord(
                dataset_id=dataset.id, alias=alias, physical=physical, state=state, fingerprint=digest, scorer="promote",
                output="verdict", type="string", scope="population", population=self.found.ref,
                covered=facts["states"].get(states.NAMES[states.VALUE], 0), states=facts["states"],
                statistics=facts["statistics"], digest=facts["digest"], run_id=self.run_id,
            ))  # fmt: skip

        publish(self.cat, self.found.dataset.id, change, record)

    def _verdict_file(self, fragment: Any, verdict: tuple[np.ndarray, pa.Array], fields: pa.Schema) -> ColumnFile:
        from catalog.store.columns import find, row_ids

        ids, names = verdict
        order = np.argsort(ids, kind="stable")
        at, known = find(ids[order], row_ids(fragment))
        index = pa.array(order[at], mask=~known)
        values = pc.cast(names.take(index), pa.string())
        state = pc.if_else(pc.is_valid(values), pa.scalar(states.VALUE, pa.uint8()), pa.scalar(None, pa.uint8()))
        batch = pa.RecordBatch.from_arrays([values, state], schema=fields)
        return write_column_file(self.table.uri, self.cat.settings.storage, fields, [batch],
                                 fragment=fragment.fragment_id, lance_version=self.table.version)  # fmt: skip

    def _target(self) -> Dataset:
        source = self.found.dataset
        held = self.cat.find(self.target)
        if held is not None:
            return held
        return self.cat.create_dataset(
            self.target, kind=source.kind, tier=self.body.to, role=source.role, owner=source.owner, licence=source.licence,
            licence_evidence=source.licence_evidence, licence_verified=source.licence_verified,
            licence_verified_by=source.licence_verified_by, use_class=source.use_class, parent=self.found.ref,
        )  # fmt: skip

    def _add_columns(self, dataset: Dataset) -> Dataset:
        """Give the target the source's computed columns, empty, so that fragments with values can join it."""
        schema = self._schema()

        def change(table: Any, current: Dataset) -> Any:
            fresh = pa.schema([field for field in schema if field.name not in table.schema.names])
            if not len(fresh):
                return None
            table.add_columns(fresh)
            return table

        def record(session: Session, current: Dataset) -> None:
            _adopt(session, current, self._carried())

        publish(self.cat, dataset.id, change, record)
        found = self.cat.find(self.target)
        assert found is not None
        return found

    def _carried(self) -> list[ColumnRecord]:
        """Columns that go with the rows: all but the verdicts, which belong to the source."""
        return [column for column in self.columns if column.scorer != "promote"]

    def _publish_rows(self, dataset: Dataset, verdict: tuple[np.ndarray, pa.Array]) -> None:
        cat, key, number = self.cat, f"{dataset.id}:promote:{self.work}", dataset.head + 1
        held_ids, held_rows = self._held(dataset)
        schema = self._schema()
        units = checkpoints.load(cat, key)
        for fragment in self.table.get_fragments():
            unit = str(fragment.fragment_id)
            if unit not in units:
                units[unit] = self._copy(dataset, fragment, verdict, held_ids, schema, number)
                checkpoints.save(cat, key, unit, units[unit])
        bodies = list(units.values())
        self.report.edited = sum(body["edited"] for body in bodies)
        self.report.carried = sorted(column.alias for column in self._carried())
        gone = self._gone(held_ids, held_rows, verdict)
        added = sum(body["rows"] for body in bodies)
        if dataset.head and not added and not len(gone):
            self.report.unchanged = True
            publish(
                cat,
                dataset.id,
                self._catch_up,
                lambda session, current: record_columns(session, current, self.measured),
            )
            with cat.session() as session:
                checkpoints.clear(session, key)
                session.commit()
            return

        def change(table: Any, current: Dataset) -> Any:
            if current.head + 1 != number:
                raise Refused(
                    f"{self.target} got a new version from another process; run the command again", missing=["head"]
                )
            caught_up = self._catch_up(table, current) or table
            done = append_fragments(cat, caught_up, [body["fragment"] for body in bodies if body["fragment"]])
            if len(gone):
                done, _ = mark_removed(cat, done, gone, number)
            self.measured.update(
                column_statistics(done, {c.physical: c.state for c in self.columns if c.physical in done.schema.names})
            )
            self.measured["rows"] = version_facts(done)
            return done

        def record(session: Session, current: Dataset) -> None:
            self._record(session, current, number, added, len(gone), self.measured)
            checkpoints.clear(session, key)

        publish(cat, dataset.id, change, record)

    def _catch_up(self, table: Any, current: Dataset) -> Any:
        """Attach what the source has learnt since about rows that are there already; None when there is nothing."""
        late = self._late_values(table)
        if not late:
            return None
        names = list(dict.fromkeys(name for column in self._carried() for name in (column.physical, column.state)))
        done = attach(self.cat, table, late, pa.schema([table.schema.field(name) for name in names]), self._deciders())
        self.measured.update(column_statistics(done, {c.physical: c.state for c in self._carried()}))
        return done

    def _deciders(self) -> dict[str, str]:
        return {name: c.state for c in self._carried() for name in (c.physical, c.state)}

    def _late_values(self, table: Any) -> list[ColumnFile]:
        """Values the source has got since for rows that were promoted before, one file a fragment of the target."""
        carried = self._carried()
        states_of = list(dict.fromkeys(column.state for column in carried))
        holes = " OR ".join(f"{state} IS NULL" for state in states_of)
        if not carried or not table.count_rows() or not table.count_rows(f"removed IS NULL AND ({holes})"):
            return []
        names = list(dict.fromkeys(name for column in carried for name in (column.physical, column.state)))
        fields = pa.schema([table.schema.field(name) for name in names])
        files = [self._late_file(table, fragment, fields, states_of) for fragment in table.get_fragments()]
        return [file for file in files if file is not None]

    def _late_file(self, table: Any, fragment: Any, fields: pa.Schema, states_of: list[str]) -> ColumnFile | None:
        wanted = fragment.to_table(columns=["sample_id", "content_id", *states_of])
        keys = wanted.column("sample_id").combine_chunks()
        found = []
        columns = ["sample_id", "content_id", *fields.names]
        for batch in self.table.scanner(columns=columns, filter="removed IS NULL", batch_size=16384).to_batches():
            found.append(batch.filter(pc.is_in(batch.column("sample_id"), value_set=keys)))
        held = pa.Table.from_batches(found).combine_chunks()
        at = pc.index_in(keys, value_set=held.column("sample_id"))
        same = pc.equal(held.column("content_id").take(at), wanted.column("content_id"))
        index = pc.if_else(pc.fill_null(same, False), at, pa.scalar(None, pa.int32()))
        taken = held.select(fields.names).take(index).cast(fields)
        gains = [pc.any(pc.and_(pc.is_null(wanted.column(s)), pc.is_valid(taken.column(s)))).as_py() for s in states_of]
        if not any(gains):
            return None
        return write_column_file(
            table.uri,
            self.cat.settings.storage,
            fields,
            taken.to_batches(),
            fragment=fragment.fragment_id,
            lance_version=table.version,
        )

    def _held(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Sorted sample ids of the live rows of an existing target, and their row ids."""
        if not dataset.head:
            return np.empty(0, "S32"), np.empty(0, np.uint64)
        keys, rows = [], []
        for batch in self.cat.scan(self.target, ["sample_id"], with_row_id=True, batch_rows=65536):
            keys.append(np.array(batch.column("sample_id").to_pylist(), "S32"))
            rows.append(batch.column("_rowid").to_numpy())
        joined, ids = np.concatenate(keys), np.concatenate(rows)
        order = np.argsort(joined)
        return joined[order], ids[order]

    def _gone(self, held: np.ndarray, rows: np.ndarray, verdict: tuple[np.ndarray, pa.Array]) -> np.ndarray:
        """Row ids of the target's rows whose sample is not kept any more."""
        if not len(held):
            return np.empty(0, np.uint64)
        ids, names = verdict
        kept_rows = ids[pc.equal(pc.cast(names, pa.string()), KEPT).to_numpy(zero_copy_only=False)]
        kept = (
            self.table._take_rows(pa.array(kept_rows), columns=["sample_id"]).column("sample_id")
            if len(kept_rows)
            else pa.array([], pa.string())
        )
        still = np.isin(held, np.array(kept.to_pylist(), "S32"))
        return rows[~still]

    def _schema(self) -> pa.Schema:
        """Sample fields, then every carried column and its state, as the source table holds them."""
        own = sample_schema(self.found.dataset.kind, self.body.to)
        names = dict.fromkeys(name for column in self._carried() for name in (column.physical, column.state))
        return pa.schema([*own, *(self.table.schema.field(name) for name in names)])

    def _copy(
        self,
        dataset: Dataset,
        fragment: Any,
        verdict: tuple[np.ndarray, pa.Array],
        held: np.ndarray,
        schema: pa.Schema,
        number: int,
    ) -> dict[str, Any]:
        """Copy the kept, new rows of one source fragment into an unpublished fragment of the target."""
        ids, names = verdict
        kept = np.sort(ids[pc.equal(pc.cast(names, pa.string()), KEPT).to_numpy(zero_copy_only=False)])
        facts = {"rows": 0, "edited": 0}
        own = sample_schema(self.found.dataset.kind).names
        columns = [n for n in schema.names if n in own or n in self.table.schema.names]

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in map(plain, fragment.scanner(columns=columns, with_row_id=True, batch_size=8192).to_batches()):
                mask = np.isin(batch.column("_rowid").to_numpy(), kept)
                if len(held):
                    mask &= ~np.isin(np.array(batch.column("sample_id").to_pylist(), "S32"), held)
                self.progress.tick(batch.num_rows)
                batch = batch.filter(pa.array(mask))
                if not batch.num_rows:
                    continue
                batch, edited = self._edited(batch, schema, number)
                facts["rows"] += batch.num_rows
                facts["edited"] += edited
                yield batch

        written = write_fragment(self.cat.table_uri(dataset), self.cat.settings.storage, schema, batches())
        return {**facts, "fragment": written}

    def _edited(self, batch: pa.RecordBatch, schema: pa.Schema, number: int) -> tuple[pa.RecordBatch, int]:
        columns = {name: batch.column(name) for name in schema.names if name in batch.schema.names}
        columns["added"] = pa.array(np.full(batch.num_rows, number), pa.int32())
        edited = np.zeros(batch.num_rows, bool)
        for name in self.body.edits:
            edit = get_transform(name)
            fresh = edit.function(columns["text"], *(columns[self._physical(output)] for output in edit.reads))
            changed = pc.and_kleene(pc.is_valid(fresh), pc.not_equal(fresh, columns["text"]))
            mask = pc.fill_null(changed, False)
            edited |= mask.to_numpy(zero_copy_only=False)
            columns["text"] = pc.if_else(mask, fresh, columns["text"])
        if edited.any():
            fresh_ids = [
                content_id("text", {"text": text}) for text in columns["text"].filter(pa.array(edited)).to_pylist()
            ]
            columns["content_id"] = pc.replace_with_mask(columns["content_id"], pa.array(edited), pa.array(fresh_ids))
            for name in schema.names:
                if "__" in name:
                    columns[name] = pc.if_else(
                        pa.array(edited), pa.scalar(None, schema.field(name).type), columns[name]
                    )
        arrays = [
            columns[name] if name in columns else pa.nulls(batch.num_rows, schema.field(name).type)
            for name in schema.names
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema), int(edited.sum())

    def _physical(self, output: str) -> str:
        """The column that holds a scorer's output, as an edit reads it: whole, or the edit would pass rows by."""
        held = [c for c in self.columns if c.output == output and c.covered >= self.found.dataset.rows]
        if not held:
            raise Refused(f"an edit reads {output}, which does not cover every row of {self.found.ref}; score it first",
                          missing=[output])  # fmt: skip
        return held[-1].physical

    def _record(
        self, session: Session, current: Dataset, number: int, added: int, gone: int, measured: dict[str, Any]
    ) -> None:
        facts = measured["rows"]
        report, waterfall = self.report, self.report.waterfall
        version = Version(
            dataset_id=current.id, number=number, digest=facts["digest"], rows=facts["rows"], added=added, removed=gone,
            note=f"promoted from {self.found.ref} by {self.body.name}", actor=self.cat.settings.actor, run_id=self.run_id,
            statistics=facts["statistics"],
        )  # fmt: skip
        session.add(version)
        current.head, current.rows, current.removed, current.parent = (
            number,
            facts["rows"],
            current.removed + gone,
            self.found.ref,
        )
        session.add(current)
        record_columns(session, current, {k: v for k, v in measured.items() if k != "rows"})
        dropped = waterfall.total[0] - waterfall.kept[0]
        counts = {"in": waterfall.total[0], "kept": waterfall.kept[0], "dropped": dropped, "edited": report.edited}
        add_counts(session, self.run_id, **counts)
        session.add(Edge(
            run_id=self.run_id, verb="promote", source=self.found.ref, target=f"{self.target}@v{number}", counts=counts,
            details={"recipe": self.body.model_dump(mode="json"), "where": self.where, "waterfall": waterfall.to_json()},
        ))  # fmt: skip


def _adopt(session: Session, dataset: Dataset, sources: list[ColumnRecord]) -> None:
    """Record columns that came with the rows, under the short names they have in the source."""
    held = {c.physical: c for c in session.exec(select(ColumnRecord).where(ColumnRecord.dataset_id == dataset.id))}
    shared = [(held[source.physical], source.alias) for source in sources if source.physical in held]
    for column, alias in shared:  # names may move from one column to another, so step aside first
        if column.alias != alias:
            column.alias = f"{column.physical}__moving"
            session.add(column)
    session.flush()
    taken = {column.alias for column in held.values()}
    for column, alias in shared:
        if column.alias != alias:
            column.alias = alias if alias not in taken else f"{alias}_{column.fingerprint[:4]}"
            taken.add(column.alias)
            session.add(column)
    session.flush()
    for source in sources:
        if source.physical not in held:
            alias = source.alias if source.alias not in taken else f"{source.alias}_{source.fingerprint[:4]}"
            facts = source.model_dump(exclude={"id", "created"}) | {"dataset_id": dataset.id, "alias": alias}
            session.add(ColumnRecord(**facts | {"covered": 0, "states": {}, "statistics": {}, "digest": as_hex(0)}))
