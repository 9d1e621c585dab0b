"""What a worker needs to compute one stage: plain JSON, so that a process, a Prefect task or a retry gets the same."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from sqlalchemy.exc import IntegrityError

from catalog.catalog import Catalog
from catalog.errors import Corrupt
from catalog.evals import eval_sets
from catalog.meta.models import FittedState
from catalog.plugins import Context, Scan
from catalog.settings import Settings
from flows.extending import added_step
from flows.planner import Step, fingerprint, step_from_json, step_to_json


@dataclass(frozen=True)
class Job:
    """One stage over one dataset at one Lance version. `key` is equal for equal work: checkpoints hang on it."""

    settings: dict[str, Any]
    dataset_id: str
    name: str
    ref: str
    uri: str
    lance_version: int
    steps: tuple[Step, ...]
    sample_below: str | None
    run_id: str
    where: str | None = None  # filter of the selection whose rows are computed
    device: str | None = None
    seed: int = 0

    @property
    def key(self) -> str:
        work = {"prints": sorted(step.fingerprint for step in self.steps), "sample": self.sample_below}
        if self.where:
            work["where"] = self.where
        return f"{self.dataset_id}:score:{fingerprint(work)}"

    @property
    def fields(self) -> pa.Schema:
        """Columns one run writes: every step's outputs, each group followed by its state."""
        fields = []
        for step in self.steps:
            fields += [pa.field(step.outputs[out.name], out.type) for out in step.outs]
            fields.append(pa.field(step.state, pa.uint8()))
        return pa.schema(fields)

    @property
    def deciders(self) -> dict[str, str]:
        """Column -> the state column that tells whether its value is computed."""
        return {column: step.state for step in self.steps for column in (*step.outputs.values(), step.state)}

    @property
    def expensive(self) -> bool:
        return any(step.plugin.cost in ("gpu", "api") for step in self.steps)

    def to_json(self) -> bytes:
        return orjson.dumps(
            {**{k: v for k, v in asdict(self).items() if k != "steps"}, "steps": [step_to_json(s) for s in self.steps]}
        )

    @classmethod
    def from_json(cls, body: bytes | str) -> Job:
        fields = orjson.loads(body)
        return cls(**{**fields, "steps": tuple(step_from_json(step) for step in fields["steps"])})

    def catalog(self) -> Catalog:
        return _catalog(orjson.dumps(self.settings).decode())


@cache
def _catalog(settings: str) -> Catalog:
    from pathlib import Path

    body = orjson.loads(settings)
    return Catalog(Settings(**{**body, "home": Path(body["home"])}))


def settings_to_json(settings: Settings) -> dict[str, Any]:
    return {**asdict(settings), "home": str(settings.home)}


# -- fitted states -----------------------------------------------------------------------------------------------


def pack_state(state: dict[str, Any]) -> bytes:
    """JSON values and numpy arrays -> one .npz archive, without pickle."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in state.items() if name not in arrays}
    buffer = io.BytesIO()
    text = np.frombuffer(orjson.dumps(plain, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8)
    np.savez_compressed(buffer, **{"__json__": text, **arrays})  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack_state(body: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(body), allow_pickle=False) as held:
        plain = orjson.loads(held["__json__"].tobytes())
        return {**plain, **{name: held[name] for name in held.files if name != "__json__"}}


def load_state(cat: Catalog, step: Step) -> dict[str, Any] | None:
    with cat.session() as session:
        held = session.get(FittedState, step.fingerprint)
    return unpack_state(held.body) if held else None


def save_state(cat: Catalog, step: Step, state: dict[str, Any]) -> None:
    """Freeze a state. Of two processes that fit at the same time the first one wins, and both map with its state."""
    _STATES.pop(step.fingerprint, None)
    body = pack_state(state)
    with cat.session() as session:
        if session.get(FittedState, step.fingerprint) is not None:
            return
        session.add(FittedState(fingerprint=step.fingerprint, body=body))
        try:
            session.commit()
        except IntegrityError:
            session.rollback()


# -- what a plug-in is given -------------------------------------------------------------------------------------

_MODELS: dict[str, Any] = {}
_STATES: dict[str, dict[str, Any] | None] = {}


def context(job: Job, step: Step, *, fitting: bool = False, tick: Callable[[int], None] | None = None) -> Context:
    """The context of a step in this process; models are loaded once a process."""
    cat, plugin = job.catalog(), step.plugin
    ctx = Context(params=plugin.parse_params(step.params), seed=job.seed)
    if tick:
        ctx.tick = tick
    if plugin.cost == "api":
        from flows.endpoints.ask import asker, at_once

        alone = plugin.pattern == "map" and getattr(ctx.params, "draws", 1) == 1  # a question is a row
        ctx.ask = asker(cat, job.name, plugin.name, ctx.params, job.run_id, ctx.tick if alone else lambda done: None)
        ctx.at_once = at_once(cat, ctx.params)
    if plugin.cost == "gpu" or plugin.load:
        from flows.devices import pick_device

        ctx.device = pick_device(job.device) if plugin.cost == "gpu" else "cpu"
        ctx.dtype = step.recipe.get("dtype") or "float32"  # as planned: another machine must not choose another one
    if fitting or plugin.pattern == "global":
        if step.target:
            ctx.target = scan_of(cat, step.target, ["text"])
        ctx.evals = eval_sets(cat, step.recipe.get("evals", []), lambda ref: scan_of(cat, ref, ["text"]))
    elif plugin.pattern == "fit":
        ctx.state = _frozen(cat, step)
        if step.extends:
            ctx.gone = step.extends["gone"]
            ctx.added = _frozen(cat, more) if (more := added_step(step)) else None
    if plugin.load and not fitting:
        key = f"{step.fingerprint}:{ctx.device}:{ctx.dtype}"
        if key not in _MODELS:
            _MODELS[key] = plugin.load(ctx)
        ctx.model = _MODELS[key]
    return ctx


def _frozen(cat: Catalog, step: Step) -> dict[str, Any]:
    """The fitted state of a step, read once a process: some are tens of megabytes."""
    if step.fingerprint not in _STATES:
        _STATES[step.fingerprint] = load_state(cat, step)
    held = _STATES[step.fingerprint]
    if held is None:
        del _STATES[step.fingerprint]
        raise Corrupt(
            f"the fitted state of {step.scorer} ({step.fingerprint}) is not in the metadata store; use --refit"
        )
    return held


def scan_of(cat: Catalog, ref: str, columns: list[str], at: int | None = None) -> Scan:
    """A re-iterable scan of a dataset version: sample_id, content_id and the columns asked for."""

    def scan(wanted: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = list(dict.fromkeys(["sample_id", "content_id", *(wanted or columns)]))
        yield from cat.scan(ref, names, at=at)

    return scan
