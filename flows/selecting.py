"""`select` by a selector: read the columns it names, let it choose within a budget, freeze the choice, report on it.

The answer is a saved selection whose rows never change: ranks in a column of the dataset (`catalog.ranks`). Beside
every choice stand a plain random one of equal budget and rounds of RS2 (`flows.baselines`): a method that does not
differ from them where it matters has chosen nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.catalog import Catalog, Resolved
from catalog.errors import BadInput, NameTaken
from catalog.meta.models import ColumnRecord, Selection
from catalog.ranks import SCORER, held_ranks, publish_ranks
from catalog.refs import check_name, parse_ref
from catalog.runs import run
from catalog.schema import table_schema
from catalog.selections import find_selection, save, versions
from catalog.selectors import Budget, Choice, Chosen, Selector, get_selector
from catalog.where import where_columns
from flows.baselines import report_of
from flows.planner import fingerprint


@dataclass(frozen=True)
class _Asked:
    """A request after look-up."""

    found: Resolved
    selector: Selector
    params: Any
    columns: list[str]
    known: dict[str, ColumnRecord]
    where: str | None
    missing: str
    amount: int
    unit: str
    tokens: str | None
    seed: int


def select(
    cat: Catalog,
    name: str,
    source: str,
    selector: str,
    budget: int,
    *,
    unit: str = "samples",
    params: dict[str, Any] | None = None,
    where: str | None = None,
    missing: str = "error",
    tokens: str = "tokens",
    seed: int = 0,
    note: str = "",
) -> Selection:
    """Choose rows of a dataset (or of a saved selection: stages) and save the choice as a version of selection `name`.

    budget, unit: so many samples, or so many tokens by the column `tokens`. missing: "error" refuses columns that do
    not cover every row, "drop" leaves rows without a value out. The same request again is the version that holds it.
    """
    from catalog.access import check

    check(cat, "write", check_name(name))
    asked = _asked(cat, source, selector, budget, unit, params or {}, where, missing, tokens, seed)
    check(cat, "write", asked.found.dataset.name)
    if (noun := cat._noun(name)) and noun != "selection":
        raise NameTaken(f"the name {name!r} is taken by a {noun}; choose another")
    recipe = _recipe(asked)
    digest = fingerprint(recipe)
    column = held_ranks(cat, asked.found, digest)
    if column is None:
        with run(cat, "select", f"select:{digest}", dataset=asked.found.dataset.name, recipe=recipe) as record:
            column = _choose(cat, asked, _label(cat, name), digest, recipe, record.id)
    return save(cat, name, asked.found.ref, f'"{column.alias}" >= 0', missing="drop", note=note)


def selection_report(cat: Catalog, ref: str) -> dict[str, Any]:
    """Recipe and report of a selection that a selector made; empty for a plain WHERE."""
    from catalog.meta.models import Recipe

    held = find_selection(cat, ref)
    for column in cat.columns(parse_ref(held.dataset).name):
        if column.scorer == SCORER and column.output == "rank" and held.where == f'"{column.alias}" >= 0':
            with cat.session() as session:
                recipe = session.get(Recipe, column.fingerprint)
            return {"recipe": recipe.body if recipe else {}, "digest": column.digest, **column.report}
    return {}


def _label(cat: Catalog, name: str) -> str:
    number = max((held.version for held in versions(cat, name)), default=0) + 1
    return f"{name}_v{number}".replace("-", "_").replace(".", "_")


def _asked(
    cat: Catalog, source: str, selector: str, budget: int, unit: str, params: dict[str, Any], where: str | None,
    missing: str, tokens: str, seed: int,
) -> _Asked:  # fmt: skip
    plugin = get_selector(selector)
    parsed = plugin.parse_params(params)
    if cat._noun(parse_ref(source).name) == "selection":
        held = find_selection(cat, source)
        source, where = held.dataset, f"({held.where})" + (f" AND ({where})" if where else "")
        missing = "drop" if held.missing == "drop" else missing
    found = cat.resolve(source)
    if not found.number or not found.dataset.rows:
        raise BadInput(f"dataset {found.dataset.name!r} has no published rows; `strata ingest` some first")
    if budget < 1:
        raise BadInput(f"a budget of {budget} chooses nothing; give at least 1")
    if unit not in ("samples", "tokens"):
        raise BadInput(f"the unit of a budget is samples or tokens, not {unit!r}")
    if missing not in ("error", "drop"):
        raise BadInput(f"a selector cannot rank a row without a value: missing is error or drop, not {missing!r}")
    known = {column.alias: column for column in cat.columns(found.dataset.name)}
    asked = _Asked(found, plugin, parsed, plugin.columns(parsed), known, where, missing, budget, unit,
                   tokens if unit == "tokens" else None, seed)  # fmt: skip
    _check_columns(asked)
    return asked


def _check_columns(asked: _Asked) -> None:
    """Every column is there and covers every row, unless the caller said what a missing value means."""
    from catalog.errors import NotFound

    found = asked.found
    own = set(table_schema(found.dataset.kind, found.dataset.tier).names)
    if asked.tokens and asked.tokens not in own | set(asked.known):
        raise BadInput(
            f"{found.dataset.name} has no column {asked.tokens!r} to count tokens by: `strata score "
            f"{found.dataset.name} token_count`, or name another one as tokens"
        )
    for name in asked.columns:
        if name not in own and name not in asked.known:
            raise NotFound(f"column of {found.dataset.name}", name, [*own, *asked.known])
    names = [*asked.columns, *([asked.tokens] if asked.tokens else [])]
    partial = [asked.known[n] for n in names if n in asked.known and asked.known[n].covered < found.dataset.rows]
    if partial and asked.missing == "error":
        parts = ", ".join(f"{c.alias} ({c.covered} of {found.dataset.rows} rows)" for c in partial)
        raise BadInput(
            f"selector {asked.selector.name} reads columns that do not cover every row of {found.ref}: {parts}; "
            "score the rest or say missing: drop"
        )


def _recipe(asked: _Asked) -> dict[str, Any]:
    found = asked.found
    own = set(table_schema(found.dataset.kind, found.dataset.tier).names)
    used = set(asked.columns) | ({asked.tokens} if asked.tokens else set())
    if asked.where:
        used |= where_columns(asked.where, own | set(asked.known), found.dataset.name)
    return {
        "selector": asked.selector.name,
        "version": asked.selector.version,
        "params": asked.params.model_dump(mode="json"),
        "budget": asked.amount,
        "unit": asked.unit,
        "seed": asked.seed,
        "dataset": found.ref,
        "population": {"digest": found.version.digest if found.version else ""},
        "where": asked.where,
        "missing": asked.missing,
        "tokens": asked.tokens,
        "inputs": {n: asked.known[n].fingerprint if n in asked.known else "field" for n in sorted(used) if n},
    }


def _choose(cat: Catalog, asked: _Asked, label: str, digest: str, recipe: dict[str, Any], run_id: str) -> ColumnRecord:
    rows, ids, read = _candidates(cat, asked)
    most = asked.selector.most_rows
    if most is not None and rows.num_rows > most:
        raise BadInput(
            f"selector {asked.selector.name} holds its candidates in memory and takes up to {most:,} rows, not "
            f"{rows.num_rows:,}: narrow them with --where, or choose in stages from a saved selection"
        )
    costs = np.ones(rows.num_rows, np.int64) if asked.tokens is None else rows[asked.tokens].to_numpy().astype(np.int64)
    if len(costs) and costs.min() < 0:
        raise BadInput(f"column {asked.tokens!r} has a negative count, so it cannot be spent as tokens; name another")
    budget = Budget(asked.amount, asked.unit, costs)  # type: ignore[arg-type]
    keys = np.array(rows["sample_id"].to_pylist(), "S32")
    better = {name: asked.known[name].better if name in asked.known else None for name in asked.columns}
    choice = Choice(asked.params, keys, asked.seed, better)
    made = run_selector(asked.selector, rows, budget, choice)
    if not len(made.order):
        raise BadInput(
            f"selector {asked.selector.name} chose no row of {rows.num_rows} candidates within {asked.amount} "
            f"{asked.unit}; raise the budget or change its parameters"
        )
    report = report_of(cat, asked.found, made, budget, keys, ids, asked.seed + 1) | {"read": read}
    return publish_ranks(
        cat, asked.found, label, digest, recipe, report, _live(cat, asked.found), ids[made.order], made.weights, run_id
    )


def run_selector(selector: Selector, rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Call a selector and hold it to its word: positions of candidates, none twice, within the budget."""
    made = selector.function(rows, budget, choice) if rows.num_rows else Chosen(np.empty(0, np.int64))
    made = made if isinstance(made, Chosen) else Chosen(made)
    order = np.asarray(made.order, np.int64)
    if len(np.unique(order)) != len(order) or (len(order) and (order.min() < 0 or order.max() >= rows.num_rows)):
        raise BadInput(f"selector {selector.name} returned positions that are no rows, or one twice; mend the plug-in")
    kept = budget.cut(order)
    weights = None if made.weights is None else np.asarray(made.weights, np.float64)[: len(kept)]
    return Chosen(kept, weights, made.report)


def _candidates(cat: Catalog, asked: _Asked) -> tuple[pa.Table, np.ndarray, dict[str, int]]:
    """Rows that have a value in every column the selector reads, their row ids, and how many were read and left out."""
    names: list[str] = list(dict.fromkeys(["sample_id", *asked.columns, *([asked.tokens] if asked.tokens else [])]))
    parts, read = [], {"rows": 0, "without a value": 0}
    scan = cat.scan(asked.found.ref, names, where=asked.where, missing=asked.missing, batch_rows=65536,
                    with_row_id=True, at=asked.found.dataset.lance_version)  # fmt: skip
    for batch in scan:
        read["rows"] += batch.num_rows
        kept = batch.filter(pa.array(defined(batch, names[1:])))
        read["without a value"] += batch.num_rows - kept.num_rows
        parts.append(kept)
    if not parts:
        raise BadInput(f"there are no candidates in {asked.found.ref}: the filter leaves no row; widen it")
    table = pa.Table.from_batches(parts).combine_chunks()
    return table.drop_columns(["_rowid"]), table["_rowid"].to_numpy(), read


def defined(batch: pa.RecordBatch | pa.Table, names: list[str]) -> np.ndarray:
    """Which rows have a finite number, or a whole vector of them, in each column; words may be absent."""
    keep = np.ones(batch.num_rows, bool)
    for name in names:
        column = batch.column(name)
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if pa.types.is_fixed_size_list(column.type):
            held = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
            flat = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
            whole = np.zeros(batch.num_rows, bool)
            whole[held] = np.isfinite(flat).all(axis=1)
            keep &= whole
        elif pa.types.is_floating(column.type):
            keep &= pc.fill_null(pc.is_finite(column), False).to_numpy(zero_copy_only=False)
        elif pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
            keep &= column.is_valid().to_numpy(zero_copy_only=False)
    return keep


def _live(cat: Catalog, found: Resolved) -> np.ndarray:
    """Row ids of the whole version."""
    table = cat.lance(found.dataset.name, found.dataset.lance_version)
    scanner = table.scanner(columns=[], filter=cat.predicate(found.ref), with_row_id=True, batch_size=65536)
    return np.concatenate([np.empty(0, np.uint64), *(b.column("_rowid").to_numpy() for b in scanner.to_batches())])
