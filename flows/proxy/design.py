"""Designs: a grid of mixes of the same parts, drawn once, written as specs, run as far as they are missing.

    strata trial design pretrain.yaml --runs 64 --seed 0
    strata trial run design-pretrain --size 1m --tokens 2000000

Weights are drawn as in Liu et al. 2024 (RegMix, arXiv:2407.01492): Dirichlet around the shares that the parts hold, smoothed
by a temperature, at strengths from concentrated to even; shares below a least one are set to zero, and mixes that need
more than max_epochs of a part are drawn again. The same spec, data, numbers and seed give the same design.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from catalog.errors import BadInput, NotFound
from catalog.meta.models import Trial
from catalog.mixes.spec import read_spec, write_spec
from flows.mixing import open_task
from flows.proxy.recipe import Recipe, make_recipe
from flows.proxy.runs import run_trials
from flows.proxy.stream import trained_on
from flows.proxy.train import Tick, silent

if TYPE_CHECKING:
    from catalog.catalog import Catalog

TRIES = 200
"""Draws for each run before a design is refused: mixes that no max_epochs allows are never found."""


def draw(
    prior: np.ndarray,
    runs: int,
    seed: int,
    *,
    most: np.ndarray | None = None,
    temperature: float = 0.5,
    strengths: tuple[float, float] = (0.1, 5.0),
    least: float = 0.01,
) -> np.ndarray:
    """(runs, parts) weights. prior: shares of the parts; most: (parts,) largest share that is allowed of each."""
    rng = np.random.default_rng(seed)
    smooth = prior**temperature / np.sum(prior**temperature)
    low, high = np.log(strengths[0]), np.log(strengths[1])
    found: list[np.ndarray] = []
    seen: set[tuple[float, ...]] = set()
    for _ in range(TRIES * runs):
        weights = rng.dirichlet(np.maximum(smooth * np.exp(rng.uniform(low, high)), 1e-3))
        weights = np.where(weights < least, 0.0, weights)
        if not weights.sum() > 0:
            continue
        weights = np.round(weights / weights.sum(), 6)
        if most is not None and (weights > most).any():
            continue
        if tuple(weights) in seen:
            continue
        seen.add(tuple(weights))
        found.append(weights)
        if len(found) == runs:
            return np.array(found)
    raise BadInput(
        f"{len(found)} of {runs} mixes were found that keep every part within max_epochs; raise max_epochs or lower the total"
    )


def make_design(
    cat: Catalog,
    spec: str | Path | dict[str, Any],
    folder: str | Path | None = None,
    *,
    runs: int = 16,
    seed: int = 0,
    held_out: float = 0.1,
    **drawing: Any,
) -> Path:
    """Draw mixes of the open parts of a spec and write them into a folder; changes nothing in the catalog.

    Every part is filtered to rows that may be trained on, so that the locks hold no validation row.
    """
    if runs < 1:
        raise BadInput(f"a design of {runs} runs is empty; give at least 1")
    if not 0 < held_out < 1:
        raise BadInput(f"held_out {held_out:g} is no share between 0 and 1")
    body = split_spec(cat, spec, held_out)
    opened, task, at = open_task(cat, body)
    most = None if task.budget is None or task.caps is None else task.caps * task.supply / task.budget
    weights = draw(task.natural, runs, seed, most=most, **drawing)
    held = Path(folder or f"design-{opened['name']}")
    held.mkdir(parents=True, exist_ok=True)
    names = [f"{opened['name']}-r{number:03d}" for number in range(runs)]
    for name, row in zip(names, weights, strict=True):
        write_spec(with_weights(opened, at, row) | {"name": name}, held / f"{name}.yaml")
    validation = [
        {"name": name, "dataset": opened["parts"][number]["dataset"], "where": opened["parts"][number]["where"]}
        for name, number in zip(task.parts, at, strict=True)
    ]
    made = {
        "name": opened["name"], "spec": opened, "parts": list(task.parts), "seed": seed, "held_out": held_out,
        "validation": validation, "runs": [
            {"spec": f"{name}.yaml", "weights": dict(zip(task.parts, row.tolist(), strict=True))}
            for name, row in zip(names, weights, strict=True)
        ],
    }  # fmt: skip
    (held / "design.json").write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2))
    return held


def split_spec(cat: Catalog, spec: str | Path | dict[str, Any], held_out: float) -> dict[str, Any]:
    """The spec with pinned versions, and every part filtered to rows that may be trained on."""
    body = read_spec(spec)
    parts = []
    for number, part in enumerate(body.get("parts") or [], 1):
        if not isinstance(part, dict) or not part.get("dataset"):
            raise BadInput(f"part {number} names no dataset; a design is made of datasets with filters")
        ref = cat.resolve(part["dataset"]).ref
        parts.append({**part, "dataset": ref, "where": trained_on(part.get("where"), held_out)})
    return {**body, "parts": parts}


def with_weights(spec: dict[str, Any], at: Sequence[int], weights: np.ndarray) -> dict[str, Any]:
    """The spec with these weights at its open parts; parts of weight 0 are left out."""
    given = dict(zip(at, weights.tolist(), strict=True))
    parts = [
        {**part, "weight": given[number]} if number in given else part
        for number, part in enumerate(spec["parts"]) if given.get(number, 1) > 0
    ]  # fmt: skip
    return {**spec, "parts": parts}


def read_design(folder: str | Path) -> dict[str, Any]:
    """What `make_design` wrote."""
    try:
        return orjson.loads((Path(folder) / "design.json").read_bytes())
    except OSError:
        raise NotFound(
            "design", str(folder), [], "a folder that `strata trial design` wrote holds design.json"
        ) from None
    except orjson.JSONDecodeError:
        raise BadInput(f"{folder}/design.json is not JSON; draw the design again") from None


def recipe_of(design: dict[str, Any], **given: Any) -> Recipe:
    """The recipe of a design's runs: all of them are measured on the same held-out rows."""
    return make_recipe(held_out=design["held_out"], validation=design["validation"], **given)


def run_design(
    cat: Catalog,
    folder: str | Path,
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    tick: Tick = silent,
    **recipe: Any,
) -> list[Trial]:
    """Publish the mixes of a design and train what has no trial yet. Stop it at any time: it goes on where it was."""
    refs, recipes = publish_design(cat, folder, seeds, say=say, **recipe)
    runs = [(ref, made) for made in recipes for ref in refs]
    return run_trials(cat, runs, workers=workers, device=device, say=say, tick=tick)


def publish_design(
    cat: Catalog,
    folder: str | Path,
    seeds: Sequence[int],
    *,
    say: Callable[[str], None] = lambda line: None,
    **recipe: Any,
) -> tuple[list[str], list[Recipe]]:
    """References of a design's mixes, which are published where they are not yet, and a recipe a seed."""
    design = read_design(folder)
    recipes = [recipe_of(design, seed=seed, **recipe) for seed in seeds]
    refs = []
    for run in design["runs"]:
        made = cat.publish_mix(Path(folder) / run["spec"])
        refs.append(f"{made.name}@v{made.version}")
    say(f"{len(refs)} mixes of {', '.join(design['parts'])}; {len(refs) * len(recipes)} runs")
    return refs, recipes
