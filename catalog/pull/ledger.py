"""The ledger: what a training run was really served, and what it lost on it. A lock says what will be served; this, what was.

    ledger = Ledger(reader, "run-7", attempt=2, rank=rank, world=world, begin=loader.state_dict())
    for step, batch in enumerate(loader, first_step):
        ...
        ledger.record(step, batch, loss=losses)      # one number a sample, or nothing
        if step % 1000 == 0:
            ledger.flush(); save(loader.state_dict(), ...)

Each rank appends to a file of its own (`$STRATA_HOME/ledger/MIX/RUN/`): an Arrow stream with one message a call, so that
what a killed process wrote can be read up to its last whole call; `flush` also survives the machine. A run that is
resumed is a new attempt, and says by the loader's state where it begins; from there on it supersedes what earlier
attempts recorded. What remains is the history of the weights that exist.

A run may go on under a revision of its mix. Then its ledger lies in the folders of both, and is read as one: an attempt
under the newer lock supersedes those under the older from where it begins, and what these recorded past the index at
which the mix was changed counts no more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from catalog.errors import BadInput, NotFound, StrataError

if TYPE_CHECKING:
    from catalog.pull.reader import MixReader

FIELDS = pa.schema(
    [
        pa.field("step", pa.int64()),
        pa.field("position", pa.int64()),  # global index; of packed batches the number of the sequence
        pa.field("index", pa.int64()),
        pa.field("part", pa.int32()),
        pa.field("epoch", pa.int32()),
        pa.field("first", pa.int64()),  # first token of a piece of a document that was packed; else 0
        pa.field("tokens", pa.int32()),
        pa.field("loss", pa.float32()),
        pa.field("gradient", pa.float32()),
    ]
)
HEAD = b"strata"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
GRADIENTS = {"": "own_gradient", "full": "gradient", "output_layer": "output_gradient"}
"""What the gradient norms of a ledger are of, and what their columns are called: nobody said, all weights of the model, the
weight of its output layer."""


class Ledger:
    """The file of one rank in one attempt of a run."""

    def __init__(
        self,
        reader: MixReader,
        run: str,
        *,
        attempt: int = 1,
        rank: int = 0,
        world: int = 1,
        begin: dict[str, Any] | int = 0,
        folder: str | Path | None = None,
        gradients: str = "",
    ) -> None:
        if gradients not in GRADIENTS:
            raise BadInput(f"gradients are norms of full or output_layer, not of {gradients!r}")
        if not NAME.fullmatch(run):
            raise BadInput(f"run {run!r} names a folder: letters, digits, dots, dashes, at most 64")
        if attempt < 1 or world < 1 or not 0 <= rank < world:
            raise BadInput(
                f"attempt {attempt}, rank {rank} of {world}: attempts count from 1, ranks from 0 to world - 1"
            )
        place = _place(reader, begin)
        target = folder_of(reader, run) if folder is None else Path(folder)
        self.path = target / f"a{attempt:04d}-r{rank:05d}.arrows"
        head = {
            "mix": reader.ref, "lock": reader.digest, "run": run, "attempt": attempt, "rank": rank, "world": world,
            "begin": place,
        }  # fmt: skip
        self.gradients = gradients
        if gradients:
            head["gradients"] = gradients
        try:
            target.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "xb", buffering=0)  # noqa: SIM115
        except FileExistsError:
            raise BadInput(
                f"attempt {attempt} of run {run} is recorded already: rank 0 takes next_attempt() and tells the others"
            ) from None
        except OSError as error:
            raise StrataError(f"cannot record to {self.path}: {error.strerror or error}") from None
        self._schema = FIELDS.with_metadata({HEAD: orjson.dumps(head)})
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._file, mode="w"), self._schema)

    def record(self, step: int, batch: Any, *, loss: Any = None, gradient: Any = None) -> None:
        """Append what a step was served. batch: of a loader of ours, packed or not, or its Arrow batch.

        loss, gradient: one number a sample (of a packed batch: a document, in the order of its `sources`).
        """
        served = served_of(batch)
        count = len(served["index"])
        for name, given in (("loss", loss), ("gradient", gradient)):
            values = None if given is None else _numbers(given)
            if values is not None and len(values) != count:
                raise BadInput(f"{name} has {len(values)} numbers for {count} samples; give one a sample")
            served[name] = values
        served["step"] = np.full(count, step)
        arrays = [
            pa.nulls(count, field.type) if served.get(field.name) is None else pa.array(served[field.name], field.type)
            for field in FIELDS
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def flush(self) -> None:
        """What was recorded is on the disk when this returns: call it before a checkpoint is saved."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._writer.close()
        self.flush()
        self._file.close()


def _place(reader: MixReader, begin: dict[str, Any] | int) -> int:
    """Where an attempt begins, by a loader's state; of a lock that this one revises too, while it is the same."""
    if isinstance(begin, int):
        return begin
    place = begin.get("sequence", begin.get("next"))
    before = {held.digest: held.same for held in _locks(reader)}
    if not isinstance(place, int) or begin.get("lock") not in before:
        raise BadInput("begin is the state of a loader of this mix: loader.state_dict()")
    same = before[begin["lock"]]
    if same is not None and "next" in begin and place > same:
        raise BadInput(f"begin stands at index {place}, and {reader.ref} changed what comes after index {same}")
    return place


class _Lock(NamedTuple):
    """A lock that a run of this mix may have been served by; `same`: below which index it is as this one."""

    digest: str
    ref: str
    same: int | None


def _locks(reader: MixReader) -> list[_Lock]:
    """The mix itself, then what it revises, newest first."""
    before = [_Lock(held["digest"], held["ref"], held["at"]) for held in reader.lock.get("revises", ())]
    return [_Lock(reader.digest, reader.ref, None), *before]


def folder_of(reader: MixReader, run: str, ref: str | None = None) -> Path:
    return reader.settings.home / "ledger" / (ref or reader.ref) / run


def files_of(reader: MixReader, run: str) -> list[Path]:
    """The files of a run, those under locks that this one revises included."""
    return [path for held in _locks(reader) for path in sorted(folder_of(reader, run, held.ref).glob("*.arrows"))]


def next_attempt(reader: MixReader, run: str) -> int:
    """The number of a new attempt. One rank asks, and tells the others."""
    return max((int(path.name[1:5]) for path in files_of(reader, run)), default=0) + 1


def served_of(batch: Any) -> dict[str, Any]:
    """Position, index, part, epoch, first token and tokens of each sample of a batch."""
    if isinstance(batch, pa.RecordBatch):
        batch = {name: batch.column(name).to_numpy() for name in ("_index", "_part", "_epoch")}
    if "sources" in batch:
        held = {name: _numbers(values) for name, values in batch["sources"].items()}
        found = {name: held[name] for name in ("index", "part", "epoch", "first", "tokens")}
        return {**found, "position": _numbers(batch["_sequence"])[held["row"]]}
    missing = [name for name in ("_index", "_part", "_epoch") if name not in batch]
    if missing:
        raise BadInput(f"the batch has no {missing[0]}: record the batch that the loader gave")
    index = _numbers(batch["_index"])
    return {"index": index, "position": index, "part": _numbers(batch["_part"]), "epoch": _numbers(batch["_epoch"]),
            "first": np.zeros(len(index), np.int64)}  # fmt: skip


def _numbers(values: Any) -> np.ndarray:
    """An array of a tensor (also on a device, also with a gradient), a list or an array."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy() if values.is_floating_point() else values.cpu().numpy()
    return np.asarray(values).reshape(-1)


def read_file(path: Path) -> tuple[dict[str, Any], pa.Table]:
    """Head and records of one file, up to the last whole message."""
    batches: list[pa.RecordBatch] = []
    try:
        with pa.OSFile(str(path)) as file:
            stream = pa.ipc.open_stream(file)
            head = orjson.loads((stream.schema.metadata or {})[HEAD])
            try:
                while True:
                    batches.append(stream.read_next_batch())
            except (StopIteration, pa.ArrowInvalid, OSError):
                pass  # the end, or where the writer was killed
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        if isinstance(error, pa.ArrowInvalid) and path.stat().st_size < 4096:  # killed before its first message
            return {}, FIELDS.empty_table()
        raise BadInput(f"{path} is no ledger: {str(error)[:120]}") from None
    return head, pa.Table.from_batches(batches, schema=stream.schema).replace_schema_metadata(None)


def read_run(reader: MixReader, run: str, *, superseded: bool = False) -> pa.Table:
    """What a run was served, by step and position, with mix, attempt, rank and world; without what a resume superseded.

    Of a mix that revises others, what the run was served under those comes first.
    """
    paths = files_of(reader, run)
    if not paths:
        raise NotFound(
            "run", run, runs_of(reader), f"record it with a Ledger, or `strata ledger add {reader.ref} FILES`"
        )
    return survivors([read_file(path) for path in paths], reader, superseded=superseded)


def gradients_of(reader: MixReader, run: str) -> str:
    """What the gradient norms of a run are of, as its ledgers say: "full", "output_layer", or "" where none says."""
    kinds = {
        head["gradients"]
        for path in folder_of(reader, run).glob("*.arrows")
        if "gradients" in (head := read_file(path)[0])
    }
    if len(kinds) > 1:
        raise BadInput(f"run {run} has gradient norms of {' and '.join(sorted(kinds))}; name runs of two kinds apart")
    return next(iter(kinds), "")


def survivors(
    files: Sequence[tuple[dict[str, Any], pa.Table]], reader: MixReader, *, superseded: bool = False
) -> pa.Table:
    """The records that no later attempt of the run replaced."""
    files = [(head, table) for head, table in files if head]
    locks = _locks(reader)
    age = {held.digest: (-number, held.same) for number, held in enumerate(locks)}
    begins: dict[tuple[int, int], int] = {}
    for head, _ in files:
        if head["lock"] not in age:
            raise BadInput(
                f"a ledger of {head['mix']}, lock {head['lock'][:12]}, is none of {reader.ref}, {reader.digest[:12]}"
            )
        turn = age[head["lock"]][0], head["attempt"]
        begins[turn] = min(head["begin"], begins.get(turn, head["begin"]))
    kept = []
    for head, table in files:
        generation, same = age[head["lock"]]
        if same is not None:  # past it, an index is another row here
            table = table.filter(pa.array(table.column("index").to_numpy() < same))
        limit = min((begin for turn, begin in begins.items() if turn > (generation, head["attempt"])), default=None)
        if limit is not None and not superseded:
            table = table.filter(pa.array(table.column("position").to_numpy() < limit))
        table = table.append_column("mix", pa.repeat(head["mix"], table.num_rows))
        for name in ("attempt", "rank", "world"):
            table = table.append_column(name, pa.array(np.full(table.num_rows, head[name], np.int32)))
        kept.append(table)
    if not kept:
        return FIELDS.append(pa.field("mix", pa.string())).empty_table()
    return pa.concat_tables(kept).sort_by([("step", "ascending"), ("position", "ascending"), ("first", "ascending")])


def runs_of(reader: MixReader) -> list[str]:
    """Runs that the home has a ledger of, under this lock."""
    folder = reader.settings.home / "ledger" / reader.ref
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def audit(reader: MixReader, held: pa.Table) -> dict[str, Any]:
    """Whether everything up to the last record was served once: what was lost, and samples served twice.

    lost: global indices of rows that are not retracted; of a packed run, numbers of sequences.
    """
    index, first = held.column("index").to_numpy(), held.column("first").to_numpy()
    packed = bool((held.column("position").to_numpy() != index).any())
    order = np.lexsort((first, index))
    twice = (np.diff(index[order]) == 0) & (np.diff(first[order]) == 0)
    position = held.column("position").to_numpy()
    packed = bool((position != index).any())
    end = int(position.max()) + 1 if len(position) else 0
    served = np.zeros(end, bool)
    served[position] = True
    lost = np.flatnonzero(~served)
    if len(lost) and not packed:
        found = reader.layout.locate(lost)
        lost = lost[reader.sources.live(reader.sources.of_part[found.part], found.row)]
    return {
        "samples": len(np.unique(index)), "records": held.num_rows, "packed": packed, "lost": lost.tolist(),
        "repeated": sorted(set(index[order][1:][twice].tolist())),
    }  # fmt: skip


def goes_on(reader: MixReader, run: str, later: MixReader) -> bool:
    """Did a run of this mix go on under a later lock, which revises this one? From the start is a run of its own."""
    if not any(held.digest == reader.digest for held in _locks(later)[1:]):
        return False
    heads = [read_file(path)[0] for path in sorted(folder_of(later, run).glob("*.arrows"))]
    return min((head["begin"] for head in heads if head), default=0) > 0


def write_copy(paths: Iterable[Path], reader: MixReader) -> list[str]:
    """Take ledger files from elsewhere into the home; the same file again changes nothing. Returns the runs."""
    runs = set()
    for path in paths:
        head, _ = read_file(path)
        if not head:
            continue
        held = next((held for held in _locks(reader) if held.digest == head["lock"]), None)
        if held is None:
            raise BadInput(
                f"{path} is a ledger of {head['mix']}, lock {head['lock'][:12]}; {reader.ref} has {reader.digest[:12]}"
            )
        target = folder_of(reader, head["run"], held.ref) / f"a{head['attempt']:04d}-r{head['rank']:05d}.arrows"
        body = path.read_bytes()
        if target.exists() and target.resolve() != path.resolve():
            before = target.read_bytes()
            if not body.startswith(before):  # a file only ever grows
                raise BadInput(f"{target.name} of run {head['run']} is held with other content; name the runs apart")
        if not target.exists() or target.resolve() != path.resolve():
            target.parent.mkdir(parents=True, exist_ok=True)
            hidden = target.with_name(f".{target.name}.{os.getpid()}")
            hidden.write_bytes(body)
            os.replace(hidden, target)
        runs.add(head["run"])
    return sorted(runs)
