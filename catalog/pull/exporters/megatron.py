"""Megatron's .bin and .idx (MMapIndexedDataset, version 1): one pair a part, and the blend that names them.

Megatron shuffles what it reads and repeats it as its own weights say, so that a blend keeps the proportions of a mix and
not its order: the manifest says so. `catalog.pull.megatron` serves the order itself.

.bin: the tokens of all documents, uint16 for vocabularies below 65,500, else int32. .idx: a magic word, version, type,
number of sequences and of document bounds, then sizes (int32), byte offsets (int64) and bounds (int64).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from catalog.errors import BadInput
from catalog.pull.formats import exporter
from catalog.pull.tokens import PinnedTokenizer, open_tokenizer

if TYPE_CHECKING:
    from catalog.pull.export import Job
    from catalog.pull.reader import MixReader

MAGIC = b"MMIDIDX\x00\x00"
CODES = {np.uint16: 8, np.int32: 4}
BLOCK, ROWS = 1 << 20, 4096


def write_pair(
    bin_file: BinaryIO, idx_file: BinaryIO, documents: Iterator[np.ndarray], vocabulary: int
) -> tuple[int, int]:
    """Write documents of token ids; returns how many documents and tokens. What is held is eight bytes a document."""
    kind = np.uint16 if vocabulary < 65_500 else np.int32
    sizes: list[int] = []
    for tokens in documents:
        bin_file.write(tokens.astype(kind).tobytes())
        sizes.append(len(tokens))
    lengths = np.array(sizes, np.int32)
    pointers = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)[:-1]])[: len(lengths)] * np.dtype(kind).itemsize
    idx_file.write(MAGIC + struct.pack("<QBQQ", 1, CODES[kind], len(lengths), len(lengths) + 1))
    for array in (lengths, pointers.astype(np.int64), np.arange(len(lengths) + 1, dtype=np.int64)):
        idx_file.write(array.tobytes())
    return len(lengths), int(lengths.sum(dtype=np.int64))


def _rows_of(reader: MixReader, part: int, start: int, stop: int, served: list[int]) -> Iterator[list[str]]:
    """Texts that a part serves in [start, stop), each row once; `served` counts repeats too."""
    for begin in range(start, stop, BLOCK):
        indices = np.arange(begin, min(begin + BLOCK, stop))
        found = reader.layout.locate(indices)
        mine = found.part == part
        served[0] += int(mine.sum())
        first = indices[mine & (found.epoch == 0)]
        for at in range(0, len(first), ROWS):
            texts = reader.take(first[at : at + ROWS], ["text"]).column("text").to_pylist()
            yield [text for text in texts if text]


def _fill(job: Job, part: int, name: str, tokenizer: PinnedTokenizer) -> Callable[[Path], Any]:
    def fill(folder: Path) -> tuple[list[str], int, dict[str, Any]]:
        served, end = [0], np.array([tokenizer.end], np.int32)
        batches = _rows_of(job.reader, part, job.request["start"], job.request["stop"], served)
        documents = (np.concatenate([ids, end]) for texts in batches for ids in tokenizer.encode(texts))
        with open(folder / f"{name}.bin", "wb") as tokens, open(folder / f"{name}.idx", "wb") as index:
            rows, count = write_pair(tokens, index, documents, tokenizer.raw.get_vocab_size())
        return [f"{name}.bin", f"{name}.idx"], rows, {"part": part, "tokens": count, "served": served[0]}

    return fill


def finish(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """The blend as Megatron's --data-path takes it: weights are shares of the tokens that the mix serves."""
    held = [shard for shard in manifest["shards"] if shard["rows"]]
    weights = [shard["served"] * shard["tokens"] / shard["rows"] for shard in held]
    blend = [f"{weight / sum(weights):.9f} {shard['name']}" for weight, shard in zip(weights, held, strict=True)]
    (folder / "data-path.txt").write_text(" ".join(blend) + "\n", "utf-8")
    manifest["order"] = "not preserved: Megatron shuffles a blend; catalog.pull.megatron serves the order of the mix"
    return ["data-path.txt"]


@exporter("megatron", whole=True, finish=finish, options=("tokenizer", "end"))
def write(job: Job) -> dict[str, Any]:
    """Megatron .bin/.idx, a pair a part, and the blend that weighs them; the order is not preserved."""
    if "tokenizer" not in job.options:
        raise BadInput("export format megatron needs a tokenizer: tokenizer=FOLDER, with its tokenizer.json")
    if job.request["world"] != 1:
        raise BadInput("export format megatron writes whole parts; Megatron itself divides them among ranks")
    tokenizer = open_tokenizer(job.options["tokenizer"], end=job.options.get("end"))
    for part in range(len(job.reader.sources.of_part)):
        dataset = job.reader.sources.names[job.reader.sources.of_part[part]]
        name = f"part-{part:05d}-{dataset}"
        job.shards.append((name, _fill(job, part, name, tokenizer)))
    return {"tokenizer": tokenizer.digest, "end": tokenizer.end}
