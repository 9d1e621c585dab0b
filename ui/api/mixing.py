"""Mixes, trials and ledgers over HTTP: weights, preview, publish, revise, signatures, pull; results and what was served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from catalog.access import check
from ui import mixing
from ui.api.auth import Asked
from ui.shapes import mixer_row, plain, trial_row

router = APIRouter(tags=["mix"])


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WeightsRequest(Strict):
    """A spec whose parts without a fixed budget get weights."""

    spec: dict[str, Any]
    mixer: str = Field(description="see /mixers")
    params: dict[str, Any] = {}
    trials: str | None = Field(None, description="catalog, or catalog:PATTERN of models; a file wants an admin token")
    goal: str = Field("", description="result of the trials that is improved")
    better: Literal["lower", "higher"] = "lower"
    seed: int = 0


class FrontRequest(Strict):
    """Two results of recorded runs on the parts of a spec, set against one another."""

    spec: dict[str, Any]
    results: list[str] = Field([], max_length=2, description="two, such as loss and acc:higher; the first two if empty")
    trials: str = Field("catalog", description="catalog, or catalog:PATTERN of models; a file wants an admin token")
    mixer: str | None = Field(None, description="also mixes that it predicts: regmix or mixing_laws")
    params: dict[str, Any] = {}
    take: str | None = Field(None, description="key of the point whose weights the spec gets")
    every: bool = Field(False, description="also predictions behind their front")
    seed: int = 0


class SplitRequest(Strict):
    """Parts cut by the values of a column; the other parts stay."""

    spec: dict[str, Any]
    by: str
    parts: list[str] = Field([], description="only these")


class ReviseRequest(Strict):
    """What changes from a global index on; the other parts keep their weights."""

    at_sample: int = Field(ge=1, description="first global index that the change applies to")
    weights: dict[str, float] = {}
    add: list[str | dict[str, Any]] = Field([], description="datasets, or what a spec says of a part")
    total: int | None = Field(None, ge=1, description="what the changed stage serves from there on")


class SignRequest(Strict):
    key: str = Field(description="private key file where the service runs")


class TrialRequest(Strict):
    """What a training run on a mix measured."""

    mix: str
    results: dict[str, float] = Field(min_length=1, description="name -> number; NaN says that it diverged")
    step: int = Field(0, ge=0)
    seed: int = 0
    tokens: int | None = Field(None, ge=0)
    size: int | None = Field(None, ge=0, description="parameters of the model")
    model: str = ""
    diverged: bool = False
    note: str = ""


class LedgerRequest(Strict):
    """Ledgers of the home, or files where the service runs (those want an admin token)."""

    files: list[str] = []
    run: str | None = None


@router.get("/mixers")
def mixers(cat: Asked, experimental: bool = False) -> list[dict[str, Any]]:
    """The methods that turn parts, trials and a goal into weights."""
    from catalog.plugins import plugins

    check(cat, "read", "mixers")
    held = plugins("mixer").values()
    return [plain(mixer_row(one)) for one in held if experimental or not one.experimental]


@router.post("/mixes/weights")
def weights(body: WeightsRequest, cat: Asked) -> dict[str, Any]:
    """Weights for a spec, with the outcome the method predicts and its interval; changes nothing."""
    return plain(mixing.weigh(cat, **body.model_dump()))


@router.post("/mixes/front")
def front(body: FrontRequest, cat: Asked) -> dict[str, Any]:
    """Mixes that no other beats in two results at once, measured and predicted; changes nothing."""
    return plain(mixing.front(cat, **body.model_dump()))


@router.post("/mixes/split")
def split(body: SplitRequest, cat: Asked) -> dict[str, Any]:
    """The spec with parts cut by a column; changes nothing."""
    return plain(mixing.split(cat, **body.model_dump()))


@router.post("/mixes/preview")
def preview(spec: dict[str, Any], cat: Asked) -> Any:
    """What publishing would freeze, with the verdict on its use and what blocks it; changes nothing."""
    from catalog.mixes import preview as look

    check(cat, "read", "mix")
    return plain(look(cat, spec))


@router.get("/mixes")
def mixes(cat: Asked) -> list[dict[str, Any]]:
    """Every published mix."""
    return mixing.list_mixes(cat)


@router.post("/mixes")
def publish(spec: dict[str, Any], cat: Asked) -> dict[str, Any]:
    """Freeze a mix spec by a lock."""
    return mixing.publish(cat, spec)


@router.get("/mixes/{ref}")
def mix(ref: str, cat: Asked) -> dict[str, Any]:
    """A mix's summary and its lock."""
    return plain(mixing.mix_facts(cat, ref))


@router.post("/mixes/{ref}/revise")
def revise(ref: str, body: ReviseRequest, cat: Asked) -> dict[str, Any]:
    """Other weights or more parts from a global index on: the mix's next version."""
    return plain(mixing.revise(cat, ref, **body.model_dump()))


@router.get("/mixes/{ref}/signatures")
def signatures(ref: str, cat: Asked, key: str | None = None) -> list[dict[str, Any]]:
    """Who signed a mix, and whether what they signed is this lock; none is legal. key: a fingerprint that must have."""
    return mixing.verify(cat, ref, key)


@router.post("/mixes/{ref}/sign")
def sign(ref: str, body: SignRequest, cat: Asked) -> dict[str, Any]:
    """Sign with a key that lies where the service runs; wants an admin token. Keys never travel."""
    return mixing.sign(cat, ref, body.key)


@router.get("/mixes/{ref}/samples")
def pull(
    ref: str,
    cat: Asked,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 256,
    start: Annotated[int, Query(ge=0)] = 0,
    rank: Annotated[int, Query(ge=0)] = 0,
    world: Annotated[int, Query(ge=1)] = 1,
) -> StreamingResponse:
    """Samples of one rank in the locked order, one JSON object a line, streamed."""
    reader = cat.mix(ref)
    batches = reader.batches(start, min(len(reader), start + limit * world), rank=rank, world=world)

    def lines() -> Iterator[bytes]:
        left = limit
        for batch in batches:
            for row in plain(batch.slice(0, left)):
                yield orjson.dumps(row) + b"\n"
            left -= batch.num_rows
            if left <= 0:
                return

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers={"X-Strata-Lock": reader.digest})


@router.get("/trials")
def trials(cat: Asked, mix: str | None = None) -> list[dict[str, Any]]:
    """Recorded runs, of one mix or of all, oldest first."""
    from catalog.trials import list_trials

    return [plain(trial_row(held)) for held in list_trials(cat, mix)]


@router.post("/trials")
def add_trial(body: TrialRequest, cat: Asked) -> dict[str, Any]:
    """Record a run on a published mix, wherever it ran. The same results twice are one trial."""
    from catalog.trials import add_trial as add

    given = body.model_dump(exclude={"mix", "results"})
    return plain(trial_row(add(cat, body.mix, body.results, **given)))


@router.get("/trials/compare")
def compare(
    cat: Asked,
    a: str,
    b: str,
    result: Annotated[list[str] | None, Query()] = None,
    higher: Annotated[list[str] | None, Query()] = None,
    level: float = 0.95,
    model: str | None = None,
) -> list[dict[str, Any]]:
    """Runs of two mixes paired by seed: differences with intervals, and a tie where one holds zero. a is the baseline."""
    return plain(
        mixing.compare_trials(cat, [a, b], results=result, higher=higher or (), level=level, models=model),
    )


@router.get("/trials/{trial}")
def trial(trial: str, cat: Asked) -> dict[str, Any]:
    """One run, by its id, the beginning of it, or its model's name."""
    from catalog.trials import find_trial

    return plain(trial_row(find_trial(cat, trial)))


@router.get("/mixes/{ref}/ledger")
def ledgers(ref: str, cat: Asked) -> dict[str, Any]:
    """Runs that the home has a ledger of."""
    return mixing.ledger_runs(cat, ref)


@router.post("/mixes/{ref}/ledger")
def add_ledger(ref: str, body: LedgerRequest, cat: Asked) -> dict[str, Any]:
    """Turn what runs were served into columns of the datasets."""
    return plain(mixing.add_ledger(cat, ref, **body.model_dump()))


@router.get("/mixes/{ref}/ledger/{run}")
def ledger(ref: str, run: str, cat: Asked) -> dict[str, Any]:
    """Whether a run lost or repeated samples, and how much of each part is left."""
    return plain(mixing.ledger(cat, ref, run))


@router.get("/mixes/{ref}/ledger/{run}/curves")
def curves(
    ref: str,
    run: str,
    cat: Asked,
    by: Literal["part", "source"] = "part",
    bins: Annotated[int, Query(ge=1, le=10_000)] = 20,
) -> list[dict[str, Any]]:
    """Mean loss of each part or source by stretch of steps."""
    return plain(mixing.curves(cat, ref, run, by, bins))


@router.get("/samples/{sample}/served")
def served(sample: str, cat: Asked) -> list[dict[str, Any]]:
    """Every time a recorded run was served this sample."""
    return plain(mixing.served(cat, sample))
