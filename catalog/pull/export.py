"""Write a mix to files: shards of Parquet, JSON lines or a plug-in's format and a manifest, in a folder that appears whole or not at all.

Shards are written beside the target in a folder that ends in `.partial`; a shard gets its name when it is complete, and
the folder is renamed last. The same command after a crash keeps the complete shards and goes on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from catalog.errors import BadInput, StrataError
from catalog.meta.models import Edge, new_id
from catalog.pull.formats import Exporter, get_exporter
from catalog.pull.layout import digest_of
from catalog.pull.reader import PLACE, MixReader

SHARD_ROWS = 100_000
MANIFEST = "manifest.json"


def export(
    reader: MixReader,
    folder: str | Path,
    format: str = "parquet",
    *,
    columns: Sequence[str] | None = None,
    start: int = 0,
    stop: int | None = None,
    rank: int = 0,
    world: int = 1,
    shard_rows: int = SHARD_ROWS,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Export the indices of one rank in [start, stop); returns the manifest. `shard_rows` counts indices.

    options: what the format asks for (megatron: tokenizer).
    """
    writer = get_exporter(format)
    if unknown := set(options or ()) - set(writer.options):
        takes = f"takes {', '.join(writer.options)}" if writer.options else "takes none"
        raise BadInput(f"export format {format} has no option {min(unknown)}; it {takes}")
    if shard_rows < 1:
        raise BadInput(f"shards of {shard_rows} rows hold nothing; give at least 1")
    target, schema = Path(folder), reader.schema(columns)
    stop = len(reader) if stop is None else min(stop, len(reader))
    request = {
        "mix": reader.ref, "lock": reader.digest, "format": format, "columns": schema.names,
        "start": start, "stop": stop, "rank": rank, "world": world, "shard_rows": shard_rows,
    }  # fmt: skip
    job = Job(reader, request, dict(options or {}))
    if writer.whole:
        request["options"] = writer.write(job)
    if target.exists():
        return _existing(target, request)
    draft = target.with_name(f"{target.name}.{digest_of(request)[:12]}.partial")
    try:
        draft.mkdir(parents=True, exist_ok=True)
        span = shard_rows * world
        job.folder = draft
        if writer.whole:
            shards = [job.shard(name, fill) for name, fill in job.shards]
        else:
            shards = [
                _shard(reader, draft, number, request, schema, (begin, min(begin + span, stop)), writer)
                for number, begin in enumerate(range(start, stop, span))
            ]
        manifest = {**request, "rows": sum(shard["rows"] for shard in shards), "shards": shards}
        if writer.finish:
            manifest["files"] = [
                {"file": name, "sha256": _sha256(draft / name)} for name in writer.finish(draft, manifest)
            ]
        _write(draft / MANIFEST, lambda file: file.write(orjson.dumps(manifest, option=orjson.OPT_INDENT_2)))
        for leftover in draft.glob("*.json.done"):
            leftover.unlink()
        os.rename(draft, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StrataError(f"cannot export to {target}: {reason}; mend that and repeat to resume") from None
    _record(reader, target, manifest)
    return manifest


@dataclass
class Job:
    """An export by a format that lays out its folder itself.

    Its writer is called first, fills `shards` with (name, fill) and returns what identifies its options. Then each
    fill(folder) writes its files there, under names of its own, and returns (files, rows, facts for the manifest); one
    that an earlier attempt finished is not called again.
    """

    reader: MixReader
    request: dict[str, Any]
    options: dict[str, Any]
    folder: Path = Path()
    shards: list[tuple[str, Callable[[Path], tuple[list[str], int, dict[str, Any]]]]] = field(default_factory=list)

    def shard(self, name: str, fill: Callable[[Path], tuple[list[str], int, dict[str, Any]]]) -> dict[str, Any]:
        done = self.folder / f"{name}.json.done"
        if done.exists():
            return orjson.loads(done.read_bytes())
        files, rows, more = fill(self.folder)
        for file in files:
            _settle(self.folder / file)
        facts = {"name": name, "rows": rows, **more}
        facts["files"] = [{"file": file, "sha256": _sha256(self.folder / file)} for file in files]
        _write(done, lambda file: file.write(orjson.dumps(facts)))
        return facts


def _settle(path: Path) -> None:
    """What a file holds is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(reader: MixReader, target: Path, manifest: dict[str, Any]) -> None:
    """Remember who took what where: an edge from the mix to the folder. Selections are no mixes and leave no edge."""
    from catalog.catalog import Catalog

    if "selection" in reader.lock:
        return
    cat = Catalog(reader.settings)
    details = {name: manifest[name] for name in ("lock", "format", "start", "stop", "rank", "world")}
    with cat.session() as session:
        session.add(
            Edge(
                run_id=new_id(), verb="pull", source=f"mix:{reader.ref}", target=f"file:{target.resolve()}",
                counts={"samples": manifest["rows"]}, details={**details, "actor": cat.settings.actor},
            )
        )  # fmt: skip
        session.commit()


def _existing(target: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The manifest of an equal export that is already there; anything else is not ours to overwrite."""
    try:
        held = orjson.loads((target / MANIFEST).read_bytes())
    except (OSError, ValueError):
        held = {}
    if all(held.get(name) == value for name, value in request.items()):
        return held
    raise BadInput(f"{target} exists and is not this export; choose another folder or remove it")


def _shard(
    reader: MixReader,
    draft: Path,
    number: int,
    request: dict[str, Any],
    schema: pa.Schema,
    span: tuple[int, int],
    writer: Exporter,
) -> dict[str, Any]:
    """Write one shard, or take it as it is when an earlier attempt completed it."""
    path = draft / f"part-{number:05d}.{writer.suffix}"
    done = draft / f"part-{number:05d}.json.done"
    if done.exists() and path.exists():
        return orjson.loads(done.read_bytes())
    rows, columns = 0, schema.names[len(PLACE) + bool(reader.weighed()) :]

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in reader.batches(
            *span, rank=request["rank"], world=request["world"], batch_rows=4096, columns=columns, face=None
        ):
            rows += batch.num_rows
            yield batch

    _write(path, lambda file: writer.write(file, schema, counted()))
    facts = {"file": path.name, "rows": rows, "start": span[0], "stop": span[1], "sha256": _sha256(path)}
    _write(done, lambda file: file.write(orjson.dumps(facts)))
    return facts


def _write(path: Path, fill: Callable[[Any], Any]) -> None:
    hidden = path.with_name(f".{path.name}")
    with open(hidden, "wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(hidden, path)


def discard_partial(folder: str | Path) -> int:
    """Remove what interrupted exports to `folder` left beside it; returns how many there were."""
    target = Path(folder)
    found = list(target.parent.glob(f"{target.name}.*.partial"))
    for path in found:
        shutil.rmtree(path)
    return len(found)
