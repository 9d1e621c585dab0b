"""DoReMi in the laboratory: a reference, then a proxy whose loss is weighted by where it lags behind the reference.

Xie et al. 2023, arXiv:2305.10429, and the authors' trainer: the excess loss of each token over the reference is clipped at
zero and averaged by domain; `flows.mixers.doremi.DoReMi.step` moves the weights; the loss of the step is the mean over
tokens weighted by w_i / s_i, where s_i is the share at which the mix serves domain i. The answer is the mean of the
weights. Every step is kept, so that `strata mix weights --mixer doremi --param trace=FILE` repeats the update.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from catalog.mixes.spec import Part, part_name
from catalog.trials import served_weights
from flows.mixers.doremi import DoReMi
from flows.proxy.losses import token_losses
from flows.proxy.recipe import Recipe
from flows.proxy.runs import model_name, run_trial
from flows.proxy.train import Tick, finished, folder_of, silent, train

if TYPE_CHECKING:
    from catalog.catalog import Catalog


@dataclass(frozen=True)
class Robust:
    """weights: mean over all steps; last: at the end; trace: CSV of the clipped excess losses, a row a step."""

    weights: dict[str, float]
    last: dict[str, float]
    reference: str
    proxy: str
    results: dict[str, float]
    trace: Path


def run_doremi(
    cat: Catalog,
    mix: str,
    recipe: Recipe,
    *,
    rate: float = 1.0,
    smoothing: float = 1e-3,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    tick: Tick = silent,
) -> Robust:
    """Train reference and proxy on a mix; both go on where they were killed, and what has ended is not repeated. The
    proxy is no trial: its loss is not the mix's."""
    from catalog.access import check

    check(cat, "write", "trials")
    lock = cat.mix(mix).lock
    parts = [part_name(Part(**written)) for written in lock["spec"]["parts"]]
    if len(set(parts)) < max(2, len(parts)):
        raise BadInput(f"mix {mix} has {len(set(parts))} parts of different names; DoReMi weighs two and more")
    served = served_weights(lock)
    shares = np.array([served[part] for part in parts])
    reference = run_trial(cat, mix, recipe, device=device, say=say, tick=tick)
    if reference.status != "done":
        raise BadInput(f"the reference {reference.model} diverged: it is kept and marked, and not used; lower the rate")
    folder = folder_of(cat, f"{model_name(cat, mix, recipe)}-doremi-{rate:g}-{smoothing:g}")
    facts, trace = finished(folder, recipe, lock["digest"]), folder / "excess.csv"
    if facts is None or not trace.exists():
        state, extra = DoReMi(shares, rate, smoothing), {"trace": []}
        weigh = _weigher(load_reference(cat, reference.model, recipe, device), state, shares, extra)
        made = train(cat, mix, recipe, folder, weigh=weigh, device=device, say=say, tick=tick, extra=extra)
        _write_trace(trace, parts, made.extra["trace"])
        facts = {"results": made.results, "diverged": made.diverged}
    else:
        tick(recipe.steps)
    if facts["diverged"]:
        raise BadInput(
            f"the proxy {folder.name} diverged: it is kept and marked, its weights are not used; lower the rate"
        )
    final = restored(DoReMi(shares, rate, smoothing), _read_trace(trace))
    return Robust(
        dict(zip(parts, final.average.tolist(), strict=True)), dict(zip(parts, final.weights.tolist(), strict=True)),
        reference.model, folder.name, facts["results"], trace,
    )  # fmt: skip


def _write_trace(path: Path, parts: list[str], trace: list[list[float]]) -> None:
    """A row a step; a part that a batch lacked is an empty field."""
    hidden = path.with_suffix(".new")
    with hidden.open("w", newline="") as file:
        rows = [[repr(value) if np.isfinite(value) else "" for value in row] for row in trace]
        csv.writer(file).writerows([parts, *rows])
    hidden.replace(path)


def _read_trace(path: Path) -> list[list[float]]:
    with path.open(newline="") as file:
        return [[float(value) if value else np.nan for value in row] for row in list(csv.reader(file))[1:]]


def load_reference(cat: Catalog, name: str, recipe: Recipe, device: str) -> Any:
    """The trained reference, which is asked and never changed."""
    from transformers import LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = LlamaForCausalLM.from_pretrained(folder_of(cat, name)).to(device)  # type: ignore[arg-type]
    return model.eval().requires_grad_(False)


def restored(state: DoReMi, trace: list[list[float]]) -> DoReMi:
    """The state after the steps of a trace."""
    for row in trace:
        state.step(np.array(row))
    return state


def _weigher(reference: Any, state: DoReMi, shares: np.ndarray, extra: dict[str, Any]) -> Callable[..., Any]:
    """The loss of a step; what the weights depend on is the trace, which the checkpoint of the run keeps."""
    import torch

    def weigh(each: Any, part: Any, step: int) -> Any:
        if state.steps < step:  # resumed: the trace came back with the checkpoint
            restored(state, extra["trace"][state.steps : step])
        with torch.no_grad():
            excess = (each.detach() - token_losses(reference, extra["inputs"])).clamp(min=0).double().cpu().numpy()
        extra["trace"].append(by_part(excess, part.cpu().numpy(), len(shares)).tolist())
        weights = state.step(np.array(extra["trace"][-1])) / shares
        scaled = torch.from_numpy(weights / weights.sum()).to(each)[part]
        return (each * scaled).sum() / scaled.sum()

    return weigh


def by_part(excess: np.ndarray, part: np.ndarray, count: int) -> np.ndarray:
    """Mean of each part's tokens, NaN for a part that the batch lacks."""
    sums = np.bincount(part.ravel(), excess.ravel(), minlength=count)
    counts = np.bincount(part.ravel(), minlength=count)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
