"""A mix as a Hugging Face dataset: streamed (IterableDataset) or, for what fits, held in Arrow (Dataset)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog.errors import Missing
from catalog.pull.reader import MixReader

if TYPE_CHECKING:
    import datasets


def to_hf(
    reader: MixReader,
    *,
    streaming: bool = True,
    columns: Sequence[str] | None = None,
    start: int = 0,
    stop: int | None = None,
    rank: int = 0,
    world: int = 1,
    batch_rows: int = 1024,
    weights: str | None = None,
) -> datasets.IterableDataset | datasets.Dataset:
    """The rows of one rank in the order of the mix. With streaming=False they are read into memory first.

    weights: a column that weighs the samples, delivered as sample_weight.
    """
    try:
        import datasets
    except ModuleNotFoundError:
        raise Missing("the Hugging Face view needs datasets: pip install 'strata-catalog[hf]'") from None
    schema = reader.schema(columns, weights)
    options: dict[str, Any] = {"start": start, "stop": stop, "rank": rank, "world": world}
    options |= {"batch_rows": batch_rows, "columns": columns, "weights": weights, "face": "hf"}
    if streaming:
        features = datasets.Features.from_arrow_schema(schema)
        given = {"reader": reader, "options": options}
        return datasets.IterableDataset.from_generator(_rows, gen_kwargs=given, features=features)
    return datasets.Dataset(pa.Table.from_batches(list(reader.batches(**options)), schema=schema))


def _rows(reader: MixReader, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for batch in reader.batches(**options):
        yield from batch.to_pylist()
