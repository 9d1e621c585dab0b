"""Look the parts of a spec up: which rows, under which filter, with which licences, tokens and contamination checks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import select

from catalog import states
from catalog.errors import BadInput, NotFound, Refused
from catalog.evals import stamp
from catalog.meta.models import ColumnRecord, Recipe, Selection
from catalog.mixes.sample_weights import find_weights
from catalog.mixes.spec import Part, Spec, label
from catalog.pull.rowset import RowSet, RowSetBuilder
from catalog.refs import parse_ref
from catalog.schema import table_schema
from catalog.where import where_columns, where_filter

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved

BATCH = 65_536


@dataclass(frozen=True)
class Check:
    """A column that compared rows with eval sets: `evals` maps their stamp -> reference.

    items: physical name of the same run's list of eval items per row, where the scorer gives one.
    """

    column: ColumnRecord
    evals: dict[str, str]
    items: str | None = None


@dataclass
class Leaks:
    """What a part's rows hold of one eval: rows with a part of an item, rows with a leak, the leaked items."""

    overlapping: int = 0
    leaking: int = 0
    items: set[str] = field(default_factory=set)


@dataclass
class FoundPart:
    """A part after look-up.

    uncovered: rows without a token count. checked: column of an eval check -> [rows it covers, rows that overlap].
    leaks: column of an eval check -> eval reference -> what leaks, where the check names items.
    """

    part: Part
    found: Resolved
    where: str
    filter: str
    fingerprints: dict[str, str]
    token_column: ColumnRecord | None
    checks: list[Check]
    rows: RowSet = field(default_factory=lambda: RowSet(0, 0))
    licences: Counter[str | None] = field(default_factory=Counter)
    tokens: int = 0
    uncovered: int = 0
    checked: dict[str, list[int]] = field(default_factory=dict)
    leaks: dict[str, dict[str, Leaks]] = field(default_factory=dict)
    sample_weight: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """Names the part's shuffle, so that a part keeps its order when others come or go."""
        return f"{self.found.ref}|{self.where}"


def find_parts(cat: Catalog, spec: Spec) -> list[FoundPart]:
    """Resolve every part and read its rows' ids, licences and tokens. Every refusal names the part."""
    parts = [_find(cat, spec, number, part) for number, part in enumerate(spec.parts)]
    seen: dict[tuple[str, str], int] = {}
    for number, found in enumerate(parts):
        first = seen.setdefault((found.found.dataset.id, found.filter), number)
        if first != number:
            raise BadInput(
                f"mix {spec.name}: {label(number, found.part)} repeats part {first + 1}; merge them and raise "
                "max_epochs, or give them different filters"
            )
    for number, found in enumerate(parts):
        _read(cat, found)
        if not found.rows.rows:
            raise BadInput(
                f"mix {spec.name}: {label(number, found.part)} has no rows"
                + (f" where {found.where}" if found.where else "")
                + "; widen the filter or remove the part"
            )
        find_weights(cat, spec, number, found)
    return parts


def held_part(cat: Catalog, spec: Spec, part: Part, name: str, body: dict[str, Any], rows: RowSet) -> FoundPart:
    """A part as a lock has it: its rows, filter and tokens; licences and eval checks are read again.

    name: what the dataset is called today. A token column other than the lock's counts as none.
    """
    found = cat.resolve(f"{name}@v{body['version']}")
    columns = {column.alias: column for column in cat.columns(name)}
    token = columns.get(spec.tokens)
    if token is None or token.fingerprint != body["token_fingerprint"]:
        token = None
    made = FoundPart(part, found, body["where"], body["filter"], dict(body["fingerprints"]), token,
                     _checks(cat, list(columns.values())))  # fmt: skip
    try:
        _read(cat, made)
    except (ValueError, OSError) as error:
        raise BadInput(
            f"mix {spec.name}: the filter of {part.name} cannot be run again: {str(error).splitlines()[0][:200]}"
        ) from None
    made.rows, made.tokens = rows, body["tokens"] or 0
    return made


def _find(cat: Catalog, spec: Spec, number: int, part: Part) -> FoundPart:
    name = label(number, part)
    chosen = _selection(cat, part.selection) if part.selection else None
    if chosen and part.dataset and parse_ref(part.dataset).name != parse_ref(chosen.dataset).name:
        raise BadInput(
            f"mix {spec.name}: {name}: the selection is over {chosen.dataset}, the part names {part.dataset}; name one"
        )
    found = cat.resolve(part.dataset or (chosen.dataset if chosen else ""))
    if found.dataset.role == "eval":
        raise Refused(
            f"mix {spec.name}: {name} has role eval and is protected from training; remove the part",
            missing=[f"{found.ref} has role eval"],
        )
    if found.version is None:
        raise BadInput(f"mix {spec.name}: {name} has no published version; ingest rows first")
    clauses = [(chosen.where, chosen.missing)] if chosen else []
    clauses += [(part.where, part.missing)] if part.where else []
    version = found.version.number
    filters = [f"added <= {version} AND (removed IS NULL OR removed > {version})"]
    filters += [where_filter(cat, found, where, missing) for where, missing in clauses]
    columns = {column.alias: column for column in cat.columns(found.dataset.name)}
    return FoundPart(
        part=part,
        found=found,
        where=" AND ".join(f"({where})" for where, _ in clauses),
        filter=" AND ".join(f"({clause})" for clause in filters),
        fingerprints=_fingerprints(found, [where for where, _ in clauses], columns),
        token_column=columns.get(spec.tokens),
        checks=_checks(cat, list(columns.values())),
    )


def _selection(cat: Catalog, ref: str) -> Selection:
    name, version = parse_ref(ref)
    with cat.session() as session:
        held = session.exec(select(Selection).where(Selection.name == name)).all()
        if not held:
            raise NotFound("selection", name, session.exec(select(Selection.name)).all(), "see `strata select list`")
    chosen = max(held, key=lambda s: s.version) if version is None else {s.version: s for s in held}.get(version)  # type: ignore[arg-type]
    if chosen is None:
        raise NotFound("selection", ref, [f"{name}@v{s.version}" for s in held])
    return chosen


def _fingerprints(found: Resolved, wheres: list[str], columns: dict[str, ColumnRecord]) -> dict[str, str]:
    own = set(table_schema(found.dataset.kind, found.dataset.tier).names)
    used = set().union(*(where_columns(where, own | set(columns), found.dataset.name) for where in wheres), set())
    return {alias: columns[alias].fingerprint for alias in sorted(used - own)}


def _checks(cat: Catalog, columns: list[ColumnRecord]) -> list[Check]:
    """Columns whose recipe names the eval sets it was compared with."""
    with cat.session() as session:
        bodies = {column.id: session.get(Recipe, column.fingerprint) for column in columns}
    found, seen = [], set()
    for column in sorted(columns, key=lambda c: (c.output != "eval_overlap", c.alias)):
        recipe = bodies[column.id]
        evals = recipe.body.get("evals") if recipe else None
        if evals and column.state not in seen:
            seen.add(column.state)  # one output of a scorer stands for its run
            named = {held.output: held.physical for held in columns if held.state == column.state}
            found.append(Check(column, {stamp(held): held["ref"] for held in evals}, named.get("eval_leak_items")))
    return found


def scan(cat: Catalog, found: FoundPart, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The part's rows with their stable row ids, at the head that was resolved."""
    from catalog.store import open_table

    dataset = found.found.dataset
    table = open_table(cat.table_uri(dataset), dataset.lance_version, cat.settings.storage)
    scanner = table.scanner(columns=columns, filter=found.filter, with_row_id=True, batch_size=BATCH)
    yield from scanner.to_batches()


def _read(cat: Catalog, found: FoundPart) -> None:
    """One pass over narrow columns: row ids, licence, tokens, overlap with evals."""
    token = found.token_column
    columns = ["licence"]
    columns += [token.physical, token.state] if token else []
    columns += [name for check in found.checks for name in (check.column.physical, check.column.state)]
    columns += [check.items for check in found.checks if check.items]
    found.leaks = {check.column.physical: {} for check in found.checks if check.items}
    builder, default = RowSetBuilder(), found.found.dataset.licence
    found.checked = {check.column.physical: [0, 0] for check in found.checks}
    for batch in scan(cat, found, list(dict.fromkeys(columns))):
        builder.add(batch.column("_rowid").to_numpy())
        for entry in pc.value_counts(batch.column("licence")):
            found.licences[entry["values"].as_py() or default] += entry["counts"].as_py()
        if token:
            found.tokens += int(pc.sum(batch.column(token.physical)).as_py() or 0)
            found.uncovered += batch.num_rows - _done(batch.column(token.state))
        for check in found.checks:
            tally = found.checked[check.column.physical]
            tally[0] += _done(batch.column(check.column.state))
            tally[1] += _positive(batch.column(check.column.physical))
            if check.items:
                _leaks(found.leaks[check.column.physical], batch.column(check.items))
    found.rows = builder.build()


def _leaks(tally: dict[str, Leaks], items: pa.Array) -> None:
    """Count rows and items by eval; only rows that hold a part of an item have a list."""
    for listed in items.drop_null().to_pylist():
        seen: dict[str, bool] = {}
        for item in json.loads(listed):
            seen[item["eval"]] = seen.get(item["eval"], False) or item["leak"]
            if item["leak"]:
                tally.setdefault(item["eval"], Leaks()).items.add(item["item"])
        for ref, leaking in seen.items():
            held = tally.setdefault(ref, Leaks())
            held.overlapping += 1
            held.leaking += leaking


def _done(state: pa.Array) -> int:
    """Rows whose value is there or known to be undefined."""
    return int(pc.sum(pc.is_in(state, value_set=pa.array(states.DONE, pa.uint8()))).as_py() or 0)


def _positive(values: pa.Array) -> int:
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        return 0
    return int(np.count_nonzero(np.nan_to_num(values.cast(pa.float64()).fill_null(0).to_numpy()) > 0))


def licence_counts(found: FoundPart) -> dict[str, Any]:
    """Rows by licence; the row's own, else the dataset's default, else unknown."""
    known = {name: rows for name, rows in found.licences.items() if name}
    return {"known": dict(sorted(known.items())), "unknown": found.rows.rows - sum(known.values())}
