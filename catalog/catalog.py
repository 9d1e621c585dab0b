"""The facade: what a person, a flow or an agent can do, under the same names in every face.

    from catalog import Catalog
    cat = Catalog.open()                      # $STRATA_HOME or ./strata-home
    cat.ingest(["web.jsonl"], "web")          # verbs: ingest, score, promote, query (sql, search), mix, pull

The work is done in the modules beside this file; a method here calls one function and returns its result. `score` and
`promote` need the compute room, and live in `flows` (`from flows import score, promote`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from sqlmodel import Session, select

from catalog.access import check
from catalog.errors import BadInput, NameTaken, NotFound
from catalog.meta.models import ColumnRecord, Dataset, Name, Tag, Version
from catalog.meta.session import engine_of
from catalog.refs import Ref, check_name, parse_ref
from catalog.settings import Settings, load_settings

if TYPE_CHECKING:
    import lance


class Resolved(NamedTuple):
    """A reference that was looked up: detached rows, safe to keep."""

    dataset: Dataset
    version: Version | None  # None while nothing is published
    ref: str  # "name@v3"

    @property
    def number(self) -> int:
        return self.version.number if self.version else 0


class Catalog:
    """One catalog: a metadata store, a table store and an actor. Cheap to open, safe to use from several processes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = engine_of(settings.database)
        self.grant: str | None = None  # what the caller may do; None: STRATA_GRANT, or everything

    @classmethod
    def open(cls, home: str | Path | None = None, *, database: str | None = None, tables: str | None = None) -> Catalog:
        """Open (and on first use create) a catalog. Raises Missing when the database cannot be reached."""
        return cls(load_settings(home, database=database, tables=tables))

    # -- looking things up ---------------------------------------------------------------------------------------

    def session(self) -> Session:
        return Session(self.engine, expire_on_commit=False)

    def datasets(self, *, unpublished: bool = False) -> list[Dataset]:
        """Every dataset with a published version, by name; `unpublished` adds those an unfinished run created."""
        check(self, "read", "datasets")
        with self.session() as session:
            query = select(Dataset).where(Dataset.dropped.is_(None)).order_by(Dataset.name)  # type: ignore[union-attr]
            return list(session.exec(query if unpublished else query.where(Dataset.head > 0)))

    def find(self, name: str) -> Dataset | None:
        with self.session() as session:
            return session.exec(select(Dataset).where(Dataset.name == name, Dataset.dropped.is_(None))).first()  # type: ignore[union-attr]

    def resolve(self, ref: str | Ref) -> Resolved:
        """Look a dataset reference up; `NotFound` lists near matches or the versions there are."""
        name, wanted = parse_ref(ref) if isinstance(ref, str) else ref
        dataset = self.find(name)
        if dataset is None:
            noun = self._noun(name)
            remedy = f"{name!r} is a {noun}" if noun and noun != "dataset" else "see `strata datasets`"
            raise NotFound("dataset", name, [held.name for held in self.datasets()], remedy)
        check(self, "read", dataset.name)
        with self.session() as session:
            if isinstance(wanted, str):
                tag = session.get(Tag, (dataset.id, wanted))
                if tag is None:
                    tags = session.exec(select(Tag.name).where(Tag.dataset_id == dataset.id)).all()
                    remedy = f"a version is written {name}@v{dataset.head}; `strata tag` names one"
                    raise NotFound("tag", f"{name}@{wanted}", [f"{name}@{held}" for held in tags], remedy)
                wanted = tag.version
            number = dataset.head if wanted is None else wanted
            version = session.exec(
                select(Version).where(Version.dataset_id == dataset.id, Version.number == number)
            ).first()
        if version is None and wanted is not None:
            raise NotFound("version", f"{name}@v{wanted}", [], f"{name} has v1 to v{dataset.head}")
        return Resolved(dataset, version, f"{name}@v{number}")

    def versions(self, name: str) -> list[Version]:
        dataset = self.resolve(name).dataset
        with self.session() as session:
            return list(session.exec(select(Version).where(Version.dataset_id == dataset.id).order_by(Version.number)))  # type: ignore[arg-type]

    def columns(self, name: str) -> list[ColumnRecord]:
        """Computed columns of a dataset, by alias."""
        dataset = self.resolve(name).dataset
        with self.session() as session:
            return list(
                session.exec(
                    select(ColumnRecord).where(ColumnRecord.dataset_id == dataset.id).order_by(ColumnRecord.alias)
                )
            )

    def table_uri(self, dataset: Dataset) -> str:
        """Where a dataset's Lance table is."""
        return self.settings.table_uri(dataset.uri)

    # -- reading rows --------------------------------------------------------------------------------------------

    def lance(self, ref: str | Ref, at: int | None = None) -> lance.LanceDataset:
        """The Lance table at its published head (or at Lance version `at`); `predicate` selects a version's rows."""
        from catalog.store import open_table

        dataset = self.resolve(ref).dataset
        return open_table(self.table_uri(dataset), at or dataset.lance_version, self.settings.storage)

    def predicate(self, ref: str | Ref, where: str | None = None, missing: str = "error") -> str | None:
        """Lance filter for the rows of a version, and of `where` with aliases in place of physical names.

        Refuses a `where` over a column that does not cover every row, unless missing is "drop" or "keep".
        """
        from catalog.where import version_filter, where_filter

        found = self.resolve(ref)
        parts = [
            version_filter(found.dataset, found.number),
            where_filter(self, found, where, missing) if where else None,
        ]
        return " AND ".join(f"({part})" for part in parts if part) or None

    def scan(
        self,
        ref: str | Ref,
        columns: list[str] | None = None,
        *,
        where: str | None = None,
        missing: str = "error",
        batch_rows: int = 8192,
        limit: int | None = None,
        with_row_id: bool = False,
        at: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Stream rows of a version in table order; columns by alias or sample field (default: the sample fields).

        at: a Lance version to read instead of the published head, for runs that must see what they were planned on.
        """
        from catalog.schema import plain, table_schema
        from catalog.store.tables import IO_BUFFER

        found = self.resolve(ref)
        held = {column.alias: column.physical for column in self.columns(found.dataset.name)}
        own = table_schema(found.dataset.kind, found.dataset.tier).names
        wanted = columns if columns is not None else [name for name in own if name != "removed"]
        for name in wanted:
            if name not in own and name not in held:
                raise NotFound(f"column of {found.dataset.name}", name, [*own, *held])
        table = self.lance(found.dataset.name, at)
        scanner = table.scanner(
            columns=[held.get(name, name) for name in wanted],
            filter=self.predicate(found.ref, where, missing),
            batch_size=batch_rows,
            io_buffer_size=IO_BUFFER,
            limit=limit,
            with_row_id=with_row_id,
            scan_in_order=True,
        )
        names = [*wanted, *(["_rowid"] if with_row_id else [])]
        for batch in scanner.to_batches():
            batch = plain(batch)
            yield batch.rename_columns(names) if batch.schema.names != names else batch

    # -- verbs ---------------------------------------------------------------------------------------------------

    def ingest(self, paths: Sequence[str | Path], name: str, **options: Any) -> Any:
        """Read files into a dataset (tier L0 unless stated); see `catalog.ingest.run.ingest`."""
        from catalog.ingest.run import ingest

        return ingest(self, [str(path) for path in paths], name, **options)

    def explore(self, ref: str, where: str, **options: Any) -> dict[str, Any]:
        """What a filter would keep, by facet and with rows on both sides of each line; see `catalog.explore.explore`."""
        from catalog.explore import explore

        return explore(self, ref, where, **options)

    def rules(self, ref: str, rules: Sequence[Any], **options: Any) -> dict[str, Any]:
        """What thresholds of several columns would keep together of all rows; see `catalog.rules.try_rules`."""
        from catalog.rules import try_rules

        return try_rules(self, ref, rules, **options)

    def confounds(self, ref: str, column: str) -> dict[str, Any]:
        """What a numeric column goes along with; see `catalog.explore.confounds`."""
        from catalog.explore import confounds

        return confounds(self, ref, column)

    def sql(self, query: str, **options: Any) -> Any:
        """Read-only SQL over views "name", "name@v3" and strata.*; see `catalog.sql.sql`."""
        from catalog.sql import sql

        return sql(self, query, **options)

    def search(self, ref: str, words: str = "", **options: Any) -> pa.Table:
        """Full-text, vector, hybrid search, or "more like this" over a dataset; see `catalog.search.search`."""
        from catalog.search import search

        return search(self, ref, words, **options)

    def index(self, name: str, column: str | None = None, **options: Any) -> dict[str, Any]:
        """Build the index of a column ("text", vectors or any plain column); see `catalog.query.indexes.build_index`."""
        from catalog.query.indexes import build_index

        return build_index(self, name, column, **options)

    def indexes(self, name: str) -> list[dict[str, Any]]:
        """The indexes of a dataset, what they hold, and what is searched without one."""
        from catalog.query.indexes import indexes

        return indexes(self, name)

    def trace(self, sample_id: str) -> dict[str, Any]:
        """All that is known of one sample, by its id or six and more characters of its beginning; or of model:NAME."""
        if sample_id.startswith("model:"):
            from catalog.trace_model import trace_model

            return trace_model(self, sample_id)
        from catalog.trace import trace_sample

        return trace_sample(self, sample_id)

    def select(
        self, name: str | None = None, dataset: str | None = None, where: str | None = None, **options: Any
    ) -> Any:
        """Saved selections: `select()` lists them, `select(name)` finds one, `select(name, dataset, where)` saves one.

        options: `missing` ("error", "drop", "keep") and `note`, as in `catalog.selections.save`.
        """
        from catalog.selections import find_selection, save, selections

        if name is None:
            return selections(self)
        if dataset is None and where is None:
            return find_selection(self, name)
        if dataset is None or where is None:
            raise BadInput(f"to save the selection {name!r}, say both its dataset and its where")
        return save(self, name, dataset, where, **options)

    def diff(self, a: str, b: str) -> dict[str, Any]:
        """What changed between two dataset versions, or between two mixes."""
        if self._noun(parse_ref(a).name) == "mix":
            from catalog.mixes import diff_mixes

            return diff_mixes(self, a, b)
        from catalog.diff import diff_versions

        return diff_versions(self, a, b)

    def lineage(self, ref: str) -> dict[str, Any]:
        """Nodes and edges from source files to mixes, around a reference."""
        from catalog.lineage import lineage

        return lineage(self, ref)

    def card(self, ref: str) -> dict[str, Any]:
        """Facts, licences, counts, columns and provenance of a dataset version."""
        from catalog.cards import card

        return card(self, ref)

    def publish_mix(self, spec: str | Path | dict[str, Any]) -> Any:
        """Freeze a mix spec by a lock; see `catalog.mixes.publish`."""
        from catalog.mixes import load_spec, publish

        check(self, "write", "mix")
        return publish(self, load_spec(spec), actor=self.settings.actor)

    def revise_mix(self, ref: str, at_sample: int, weights: dict[str, float], **options: Any) -> Any:
        """Other weights or new parts (add=[..]) from a global index on, as the mix's next version; see `mixes.revise`."""
        from catalog.mixes import revise

        check(self, "write", "mix")
        return revise(self, ref, at_sample, weights, actor=self.settings.actor, **options)

    def mix(self, ref: str) -> Any:
        """Open a published mix for pulling: `.batches()`, `.torch()`, `.to_hf()`, `.export()`."""
        from catalog.pull.reader import open_mix

        check(self, "read", ref)
        return open_mix(self, ref)

    def pull(self, ref: str, *, by_rank: bool = False) -> Any:
        """Open what can be pulled: a published mix in its locked order, or a saved selection in table order.

        by_rank: the rows of a selection in the order in which its selector chose them.
        """
        name = parse_ref(ref).name
        noun = self._noun(name)
        if noun == "dataset":
            remedy = (
                f"{name!r} is a dataset: publish a mix of it (`strata mix publish`) or save a selection of its rows"
            )
            raise NotFound("mix", ref, [], remedy)
        if noun != "selection":
            if by_rank:
                raise BadInput(f"{ref} is a mix, served in its locked order; only a selection has rows by rank")
            return self.mix(ref)
        from catalog.pull.selected import open_selection

        return open_selection(self, ref, by_rank=by_rank)

    def rollback(self, name: str, to: int) -> Version:
        """Publish a new version with the rows of version `to`."""
        from catalog.versions import rollback

        return rollback(self, name, to)

    def tag(self, ref: str, label: str) -> Tag:
        """Name a version, so that `name@label` finds it and nothing collects it."""
        from catalog.versions import tag

        return tag(self, ref, label)

    def rename(self, old: str, new: str) -> None:
        """Rename a dataset; versions, locks and lineage stay valid."""
        from catalog.versions import rename

        rename(self, old, new)

    def consent(self, name: str, given: bool = True) -> None:
        """Say whether text of a dataset may go to endpoints and faces that are not on this machine."""
        from catalog.versions import consent

        consent(self, name, given)

    def drop(self, name: str) -> None:
        """Take a dataset out of the catalog; refused while something points to it."""
        from catalog.versions import drop

        drop(self, name)

    def retract(self, *, reason: str, **what: Any) -> dict[str, Any]:
        """Take samples out of every version and lock that holds them; see `catalog.versions.retract`."""
        from catalog.retract import retract
        from catalog.samples import sample_ids_of

        if what.get("ids"):
            what["ids"] = sample_ids_of(self, what["ids"])
        receipt = retract(self, reason=reason, **what)
        if not receipt["dry_run"]:
            from catalog.index.standing import forget

            forget(self, receipt["rows"])
        return receipt

    def runs(self, limit: int = 100, dataset: str | None = None) -> list[Any]:
        """Runs, newest first, with progress, counts and cost."""
        from catalog.runs import runs

        return runs(self, limit, dataset)

    def doctor(self, *, deep: bool = False) -> list[Any]:
        """Check that metadata and tables agree; see `catalog.doctor`."""
        from catalog.doctor import doctor

        return doctor(self, deep=deep)

    def gc(self, name: str | None = None, *, compact: bool = False, **options: Any) -> dict[str, dict[str, int]]:
        """Collect what no version names, for one dataset or all; `compact` merges small files first."""
        from catalog.index.care import collect_index
        from catalog.store.gc import collect, collect_dropped, collect_locks
        from catalog.store.gc import compact as merge

        check(self, "write", name or "gc")
        done = {}
        for dataset in [self.resolve(name).dataset] if name else self.datasets():
            done[dataset.name] = (merge(self, dataset) if compact else {}) | collect(self, dataset, **options)
        if name is None:
            done |= collect_dropped(self, **options)
            if freed := collect_locks(self, **options):
                done["locks"] = freed
            if freed := collect_index(self, **options):
                done["standing index"] = freed
        return done

    # -- names ---------------------------------------------------------------------------------------------------

    def _noun(self, name: str) -> str | None:
        with self.session() as session:
            held = session.get(Name, name)
            return held.noun if held else None

    def create_dataset(self, name: str, *, kind: str, tier: str, **facts: Any) -> Dataset:
        """Reserve a name and create the empty table behind it; nothing is readable until a version is published."""
        from sqlalchemy.exc import IntegrityError

        from catalog.meta.models import new_id
        from catalog.schema import KINDS, ROLES, TIERS, table_schema
        from catalog.store import create_table

        check(self, "write", check_name(name))
        for given, legal, what in (
            (kind, KINDS, "kind"),
            (tier, TIERS, "tier"),
            (facts.get("role"), (None, *ROLES), "role"),
        ):
            if given not in legal:
                raise BadInput(f"{what} {given!r} is not one of {', '.join(str(item) for item in legal if item)}")
        if noun := self._noun(name):
            raise NameTaken(f"the name {name!r} is taken by a {noun}; choose another or drop it")
        dataset_id = new_id()
        uri = f"{name}-{dataset_id[:8]}.lance"
        version = create_table(self.settings.table_uri(uri), table_schema(kind, tier), self.settings.storage)
        dataset = Dataset(id=dataset_id, name=name, kind=kind, tier=tier, uri=uri, lance_version=version, **facts)
        with self.session() as session:
            session.add(Name(name=name, noun="dataset"))
            session.add(dataset)
            try:
                session.commit()
            except IntegrityError:
                raise NameTaken(f"the name {name!r} was just taken by another process; choose another") from None
        return dataset
