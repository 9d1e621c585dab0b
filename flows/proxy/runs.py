"""Proxy runs as trials: what is recorded already is not trained again, what was killed goes on, what diverged is kept.

Several runs share the cores best as processes of one thread each; each process opens the catalog itself. They stop at
their next step, with a checkpoint, when the first process is told to stop, fails or is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from sqlmodel import select

from catalog.errors import StrataError
from catalog.meta.models import Trial
from catalog.mixes.lock import find_mix
from catalog.runs import Cancelled
from catalog.trials import add_trial
from flows.proxy.recipe import Recipe
from flows.proxy.train import Tick, silent

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Say = Callable[[str], None]


def model_name(cat: Catalog, mix: str, recipe: Recipe) -> str:
    """What a run's checkpoint is called: mix, size, recipe, seed."""
    made = find_mix(cat, mix)
    return f"{made.name}-v{made.version}-{recipe.size}-{recipe.digest[:8]}-s{recipe.seed}"


def recorded(cat: Catalog, mix: str, recipe: Recipe) -> Trial | None:
    """The trial of this run, where it has one."""
    made, name = find_mix(cat, mix), model_name(cat, mix, recipe)
    with cat.session() as session:
        return session.exec(select(Trial).where(Trial.lock == made.digest, Trial.model == name)).first()


def run_trial(
    cat: Catalog, mix: str, recipe: Recipe, *, threads: int | None = None, device: str = "cpu",
    say: Say = lambda line: None, tick: Tick = silent,
) -> Trial:  # fmt: skip
    """Train one model on a published mix and record it; the same call again returns the trial."""
    if held := recorded(cat, mix, recipe):
        tick(recipe.steps)
        return held
    from catalog.access import check

    check(cat, "write", "trials")
    import torch

    from flows.proxy.train import folder_of, train

    if threads:
        torch.set_num_threads(threads)
    name = model_name(cat, mix, recipe)
    made = train(
        cat, mix, recipe, folder_of(cat, name), device=device, say=lambda line: say(f"{name}: {line}"), tick=tick
    )
    return add_trial(
        cat, mix, made.results, step=made.steps, seed=recipe.seed, size=made.size, model=name, diverged=made.diverged,
        tokens=made.steps * recipe.batch * recipe.context, source="proxy",
        note=f"{recipe.size}, recipe {recipe.digest[:8]}" + (", reduced rate" if recipe.reduced else ""),
    )  # fmt: skip


def run_trials(
    cat: Catalog, runs: Sequence[tuple[str, Recipe]], *, workers: int = 1, device: str = "cpu",
    say: Say = lambda line: None, tick: Tick = silent,
) -> list[Trial]:  # fmt: skip
    """Trials of all runs, in their order; those that are missing are trained, `workers` at a time."""
    held = [recorded(cat, mix, recipe) for mix, recipe in runs]
    missing = [at for at, trial in enumerate(held) if trial is None]
    tick(sum(recipe.steps for (_, recipe), trial in zip(runs, held, strict=True) if trial is not None))
    for count, (at, trial) in enumerate(_train(cat, runs, missing, workers, device, say, tick), 1):
        held[at] = trial
        loss = trial.results.get("loss/mean", float("nan"))
        say(f"{count} of {len(missing)}: {trial.model}: {trial.status}, loss {loss:.4f}")
    return [trial for trial in held if trial is not None]


def _train(
    cat: Catalog,
    runs: Sequence[tuple[str, Recipe]],
    missing: list[int],
    workers: int,
    device: str,
    say: Say,
    tick: Tick,
) -> Iterator[tuple[int, Trial]]:
    if workers <= 1 or len(missing) < 2:
        for at in missing:
            yield at, run_trial(cat, *runs[at], device=device, say=say, tick=tick)
        return
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    steps, stop, seen = context.Value("q", 0), context.Event(), 0
    with ProcessPoolExecutor(
        min(workers, len(missing)), context, initializer=_begin, initargs=(steps, stop, os.getpid())
    ) as pool:
        jobs = {pool.submit(_in_process, cat.settings, *runs[at], device): at for at in missing}
        waiting = set(jobs)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                now = int(steps.value)
                tick(now - seen)  # also without a step: it tells that the run lives, and hears that it shall not
                seen = now
                for job in done:
                    yield jobs[job], job.result()
        except BrokenProcessPool:
            raise StrataError(
                "a process that trained was killed, most often for want of memory; checkpoints are kept, the same command "
                "resumes: try it with fewer --workers"
            ) from None
        except BaseException:
            stop.set()
            for job in waiting:
                job.cancel()
            raise


_SHARED: list[Any] = []
"""In a training process: steps done by all, whether to stop, the first process."""


def _begin(*shared: Any) -> None:
    _SHARED[:] = shared


def _tick(count: int) -> None:
    steps, stop, parent = _SHARED
    with steps.get_lock():
        steps.value += count
    if stop.is_set() or os.getppid() != parent:
        raise Cancelled("another run of the command failed or was stopped; the same command resumes")


def _in_process(settings: Any, mix: str, recipe: Recipe, device: str) -> Trial:
    from catalog.catalog import Catalog

    return run_trial(Catalog(settings), mix, recipe, threads=1, device=device, tick=_tick)
