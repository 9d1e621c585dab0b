"""Nearest neighbours by cosine over a vector column, and the vector of a query by the scorer that made the column."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput, Missing, NotFound
from catalog.meta.models import ColumnRecord, Recipe
from catalog.query.indexes import has_index
from catalog.query.words import Hits, ranked

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog, Resolved

Embed = Callable[[list[str]], np.ndarray]
PROBES, REFINE = 32, 10
"""Partitions read, and candidates compared exactly for each hit, where there is an index: all of the true ten nearest of
100,000 clustered vectors were found."""


def vector_column(cat: Catalog, found: Resolved, alias: str = "embedding") -> ColumnRecord:
    """The column that holds the vectors; `Missing` says how to make it."""
    for column in cat.columns(found.dataset.name):
        if column.alias == alias:
            return column
    raise Missing(f"{found.dataset.name} has no column {alias}: `strata score {found.dataset.name} minilm` computes it")


def vector_hits(table: lance.LanceDataset, column: str, vector: np.ndarray, condition: str | None, depth: int) -> Hits:
    """(row id, cosine) nearest first, over the rows of `condition` that have a vector."""
    kind = table.schema.field(column).type
    if not pa.types.is_fixed_size_list(kind) or kind.list_size != len(vector):
        raise BadInput(f"the query has {len(vector)} dimensions, the column holds {kind}; use the model that made it")
    if not np.isfinite(vector).all() or not np.any(vector):
        return []
    options: dict[str, Any] = {"nprobes": PROBES, "refine_factor": REFINE} if has_index(table, column) else {}
    here = f"({condition}) AND {column} IS NOT NULL" if condition else f"{column} IS NOT NULL"
    found = table.scanner(
        columns=["_distance"],
        with_row_id=True,
        nearest={"column": column, "q": vector.astype(np.float32), "k": depth, "metric": "cosine", **options},
        filter=here,
        prefilter=True,
    ).to_table()
    cosine = 1 - found.column("_distance").to_numpy()
    keep = np.isfinite(cosine)
    return ranked(found.column("_rowid").to_numpy()[keep], cosine[keep], depth)


def stored_vector(
    table: lance.LanceDataset, column: str, sample_id: str, condition: str | None, ref: str
) -> tuple[int, np.ndarray]:
    """Row id and vector of a sample of the version."""
    is_it = f"sample_id = '{sample_id.replace(chr(39), chr(39) * 2)}'"
    where = f"({condition}) AND {is_it}" if condition else is_it
    found = table.scanner(columns=[column], filter=where, with_row_id=True, limit=1).to_table()
    if not found.num_rows:
        raise NotFound(f"sample of {ref}", sample_id)
    vector = found.column(column).to_pylist()[0]
    if vector is None:
        raise BadInput(f"sample {sample_id} of {ref} has no vector: score it first, or search by words")
    return int(found.column("_rowid")[0].as_py()), np.array(vector, np.float32)


def query_vector(cat: Catalog, column: ColumnRecord, words: str, embed: Embed | None) -> np.ndarray:
    """The vector of some words, by `embed` or by the scorer, parameters and model that made the column."""
    made = embed([words]) if embed is not None else embed_as(cat, column)([words])
    vector = np.asarray(made, np.float32)[0]
    if not np.any(vector):
        raise BadInput(f"{words!r} has no vector: give words of the model's language")
    return vector


def embed_as(cat: Catalog, column: ColumnRecord) -> Embed:
    """A function that embeds texts exactly as the column's recipe did."""
    with cat.session() as session:
        recipe = session.get(Recipe, column.fingerprint)
    if recipe is None:
        raise Missing(f"the recipe of {column.alias} is not recorded: pass embed, or search by text")
    params = tuple(sorted(recipe.body.get("params", {}).items()))
    return lambda texts: _run(column.scorer, column.output, params, texts)


def _run(scorer: str, output: str, params: tuple[tuple[str, Any], ...], texts: list[str]) -> np.ndarray:
    plugin, ctx = _loaded(scorer, params)
    ids = pa.array(["0" * 32] * len(texts))
    batch = pa.record_batch({"sample_id": ids, "content_id": ids, "text": pa.array(texts, pa.string())})
    made = plugin.function(batch, ctx)[output]
    zero, values = [0.0] * made.type.list_size, made.to_pylist()
    return np.array([zero if vector is None else vector for vector in values], np.float32)


@lru_cache(maxsize=2)
def _loaded(scorer: str, params: tuple[tuple[str, Any], ...]) -> tuple[Any, Any]:
    """A plug-in and its context with the model loaded: once a process, on the CPU, where one query is quick."""
    from catalog.plugins import Context, get_scorer

    try:
        plugin = get_scorer(scorer)
    except NotFound:
        raise Missing(f"the scorer {scorer} is not installed here: pip install 'strata-catalog[flows]'") from None
    if plugin.pattern != "map" or set(plugin.reads) != {"text"}:
        raise Missing(f"words cannot be embedded by {scorer}, which reads {', '.join(plugin.reads)}: pass embed")
    ctx = Context(params=plugin.parse_params(dict(params)), dtype="float32")
    try:
        ctx.model = plugin.load(ctx) if plugin.load else None
    except ImportError as error:
        raise Missing(f"{scorer} needs {error.name}: pip install 'strata-catalog[flows]'") from None
    return plugin, ctx
