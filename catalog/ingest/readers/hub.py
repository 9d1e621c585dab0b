"""Hugging Face datasets: folders written by `save_to_disk`, and ids on the hub (hf://owner/name[:config][@revision]).

Splits are read one after the other; each row says which in `split`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from catalog.errors import BadInput, Missing
from catalog.ingest.readers.columnar import pieces, to_chunk
from catalog.ingest.records import Chunk, Source, reader
from catalog.ingest.streams import local_path

HUB = re.compile(r"hf://(?P<id>[\w.-]+(/[\w.-]+)?)(:(?P<config>[\w.+-]+))?(@(?P<revision>[\w./-]+))?")


def is_saved(folder: str) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in ("dataset_dict.json", "state.json"))


@reader("hub", folder=True)
def read(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of rows; `at` is {"line"}: the number of the next row, over all splits."""
    line = 1
    for name, split in _splits(source).items():
        batches: Iterator[pa.RecordBatch] = (
            batch for table in split.with_format("arrow").iter(1024) for batch in table.combine_chunks().to_batches()
        )
        for batch in batches:
            if name:
                batch = batch.append_column("split", pa.array([name] * batch.num_rows))
            skip = max(0, at["line"] - line) if at else 0
            for part in pieces(batch, source, skip):
                yield to_chunk(part, line + skip)
                skip += part.num_rows
            line += batch.num_rows


def _splits(source: Source) -> dict[str, Any]:
    try:
        import datasets
    except ImportError:
        raise Missing(f"reading {source.uri} needs the package datasets: pip install 'strata-catalog[hf]'") from None
    datasets.disable_progress_bars()
    loaded = _from_hub(datasets, source.uri) if source.uri.startswith("hf://") else _from_disk(datasets, source.uri)
    return dict(loaded) if isinstance(loaded, dict) else {"": loaded}


def _from_disk(datasets: Any, uri: str) -> Any:
    try:
        return datasets.load_from_disk(local_path(uri))
    except Exception as error:
        raise BadInput(f"{uri} cannot be read as a saved Hugging Face dataset: {_line(error)}; save it again") from None


def _from_hub(datasets: Any, uri: str) -> Any:
    found = HUB.fullmatch(uri)
    if not found:
        raise BadInput(f"{uri!r} is no hub id; write hf://owner/name, hf://owner/name:config or ...@revision")
    try:
        return datasets.load_dataset(found["id"], found["config"], revision=found["revision"], streaming=True)
    except Exception as error:
        raise Missing(
            f"cannot load {uri} from the Hugging Face hub: {_line(error)}; where there is a network, run "
            f"load_dataset({found['id']!r}).save_to_disk(FOLDER), and ingest FOLDER here"
        ) from None


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
