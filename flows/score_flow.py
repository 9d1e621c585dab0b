"""Scoring as a Prefect flow: the same runner, its units as tasks. Loaded by workers only; inline runs never import it.

One flow a command and at most 200 tasks a stage, each a range of fragments. The run record, checkpoints and journal
are those of an inline run, so a run may start in one place and be finished in another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.runtime import flow_run
from prefect.states import Cancelled as CancelledState
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from sqlmodel import select

from catalog.catalog import Catalog
from catalog.errors import Refused, StrataError
from catalog.meta.models import Run
from catalog.runs import Cancelled, Progress
from catalog.store import checkpoints
from flows.job import Job
from flows.runner import Mapper, score
from flows.unit import reusable, run_unit

MAX_TASKS = 200
POOL_ROWS = 100_000
"""From this many missing rows on, a stage of cheap measures pays for starting worker processes."""


@flow(name="strata-score", log_prints=False, validate_parameters=True)
def score_flow(
    dataset: str,
    scorers: list[str],
    options: dict[str, Any] | None = None,
    dataset_id: str | None = None,
    place: str = "team",
) -> Any:
    """Score a dataset of the worker's own catalog (STRATA_HOME, STRATA_DATABASE_URL, STRATA_TABLES_URI).

    options: params, target, sample, selection, aliases, refit, workers, device, dtype as in `flows.score`. dataset_id: refuse to
    run when the worker's catalog holds another dataset under that name.
    """
    logger = get_run_logger()
    cat = Catalog.open()
    held = cat.resolve(dataset).dataset
    if dataset_id and held.id != dataset_id:
        raise Refused(
            f"dataset {dataset!r} of this worker's catalog is not the one that was asked for: "
            "start the worker with the STRATA_DATABASE_URL and STRATA_TABLES_URI of the command", missing=[dataset]
        )  # fmt: skip
    given = dict(options or {})
    os.environ["STRATA_FLOW_RUN"] = str(flow_run.id)
    try:
        report = score(cat, dataset, scorers, mapper=task_mapper(given.pop("workers", None)), place=place, **given)
    except Cancelled as error:
        logger.warning(str(error))
        return CancelledState(message=str(error))
    finally:
        os.environ.pop("STRATA_FLOW_RUN", None)
    logger.info("%s: %s", report.ref, report.counts)
    return None


def task_mapper(workers: int | None = None) -> Mapper:
    """Map ranges of units over Prefect tasks: threads for models and short stages, processes for long cheap ones."""

    def mapper(job: Job, units: list[int], progress: Progress) -> Iterator[dict[str, Any]]:
        if not units:
            return
        rows = sum(step.missing for step in job.steps)
        count = min(workers or (1 if job.expensive or rows < POOL_ROWS else os.cpu_count() or 1), len(units))
        ranges = [part.tolist() for part in np.array_split(units, min(MAX_TASKS, len(units))) if len(part)]
        body = job.to_json().decode()
        pool = ProcessPoolTaskRunner(max_workers=count) if count > 1 else ThreadPoolTaskRunner(max_workers=1)
        tick = None if count > 1 else progress.tick
        with pool as runner:
            futures: list[Any] = [
                runner.submit(score_units, {"job": body, "units": part, "tick": tick}) for part in ranges
            ]
            for future in as_completed(futures):
                for payload in future.result(raise_on_failure=True):
                    if tick is None:
                        progress.tick(payload["done"])
                    yield payload

    return mapper


def _transient(task: Any, run: Any, state: Any) -> bool:
    """Retry what a second try may mend; an error that names its remedy, and a cancellation, are final."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, StrataError)


@task(
    name="score units",
    task_run_name="units {units}",
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def score_units(job: str, units: list[int], tick: Callable[[int], None] | None = None) -> list[dict[str, Any]]:
    """A range of units of one stage; each is checkpointed when it is done, so a retry repeats only the last."""
    loaded = Job.from_json(job)
    stop = _stopper(loaded)

    def ticked(values: int) -> None:
        stop()
        if tick is not None:
            tick(values)

    payloads = []
    saved = checkpoints.load(loaded.catalog(), loaded.key)
    for unit in units:
        stop(now=True)  # a task that was queued when the run was cancelled must not begin
        held = saved.get(str(unit))
        done = held is not None and reusable(loaded, held, units)
        payloads.append(held if held is not None and done else run_unit(loaded, unit, ticked))
    return payloads


def _stopper(job: Job) -> Callable[..., None]:
    """Raise `Cancelled` within a second of somebody asking, in whichever process the task runs."""
    cat, looked = job.catalog(), [time.monotonic()]

    def stop(now: bool = False) -> None:
        if not now and time.monotonic() - looked[0] < 1.0:
            return
        looked[0] = time.monotonic()
        with cat.session() as session:
            if session.exec(select(Run.status).where(Run.id == job.run_id)).first() in ("cancelling", "cancelled"):
                raise Cancelled("the run was cancelled; what is finished is kept, the same command resumes")

    return stop
