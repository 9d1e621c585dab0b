"""From a setting of QuaDMix to a mix: a selection for every part by the selector `quadmix`, and the spec that serves them.

Liu et al. 2025, arXiv:2504.16511: both the small runs over drawn settings and the final mix are made so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from catalog.errors import BadInput
from catalog.mixes import load_lock
from catalog.mixes.spec import Part, part_name
from catalog.trials import list_trials
from flows.mixers.quadmix import SHAPE, draw_settings, scores_of, setting_columns
from flows.mixing import open_parts
from flows.selecting import select, selection_report

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PARAMS = ("steepness", "omega", "eta", "epsilon")
"""What the selector calls SHAPE."""


def drawn_settings(parts: Sequence[str], criteria: Sequence[str], count: int, seed: int = 0) -> list[dict[str, float]]:
    """Settings to run small models on, as rows of a table of trials without its losses."""
    if count < 1 or not parts or not criteria:
        raise BadInput(
            "settings are drawn for parts and quality scores: name one of each at least, and a count above 0"
        )
    made = draw_settings(len(parts), len(criteria), count, np.random.default_rng(seed))
    return [dict(zip(setting_columns(parts, criteria), row.tolist(), strict=True)) for row in made]


def selector_params(setting: Mapping[str, float], part: str, order: str = "best") -> dict[str, Any]:
    """Parameters of the selector `quadmix` for one part."""
    criteria = scores_of(part, list(setting))
    wanted = [f"{part}.{name}" for name in SHAPE]
    if missing := [name for name in wanted if name not in setting] or ([] if criteria else [f"{part}.alpha.SCORE"]):
        raise BadInput(f"the setting has no {missing[0]!r}; it needs a number for every part's weights and shape")
    steepness, omega, eta, epsilon = (float(setting[name]) for name in wanted)
    return {
        "by": criteria, "merge": {score: float(setting[f"{part}.alpha.{score}"]) for score in criteria}, "order": order,
        **dict(zip(PARAMS, (steepness, omega, eta, epsilon), strict=True)),
    }  # fmt: skip


def sampled_spec(
    cat: Catalog,
    spec: str | Path | dict[str, Any],
    setting: Mapping[str, float],
    name: str,
    *,
    order: str = "best",
    missing: str = "error",
    seed: int = 0,
) -> dict[str, Any]:
    """Sample every open part and save the choices as selections NAME-PART; the spec of mix NAME that serves their copies.

    setting: as the mixer reports it, or a row of `drawn_settings`. order: "best" follows each score's declared direction.
    """
    body, made, at = open_parts(spec)
    for number in at:
        part = made.parts[number]
        label = f"{name}-{part_name(part)}"
        source = part.selection or part.dataset or ""
        params = selector_params(setting, part_name(part), order)
        rows = cat.resolve(_dataset(cat, source)).dataset.rows
        budget = math.ceil(rows * (2 ** params["eta"] + params["epsilon"] + 1))  # more than every row's copies
        chosen = select(
            cat, label, source, "quadmix", budget, params=params, where=part.where, missing=missing, seed=seed
        )
        alias = chosen.where.split('"')[1]  # the frozen choice reads: "rank_..." >= 0
        held = {"name": part_name(part), "selection": f"{label}@v{chosen.version}", "copies": f"weight{alias[4:]}"}
        body["parts"][number] = held
    body = {**body, "name": name}
    body.pop("total", None)  # copies say how much is served
    return body


def setting_of(cat: Catalog, mix: str) -> dict[str, float]:
    """The setting that a published mix was sampled by, from the recipes of its selections; empty where one is no such."""
    found: dict[str, float] = {}
    for part in load_lock(cat, mix)["spec"]["parts"]:
        recipe = selection_report(cat, part["selection"]).get("recipe", {}) if part.get("selection") else {}
        if recipe.get("selector") != "quadmix" or not isinstance(recipe["params"]["by"], list):
            return {}
        name, held = part_name(Part(**part)), recipe["params"]
        found |= {f"{name}.alpha.{score}": held["merge"].get(score, 1.0) for score in held["by"]}
        found |= {f"{name}.{shape}": held[param] for shape, param in zip(SHAPE, PARAMS, strict=True)}
    return found


def write_sampled_trials(cat: Catalog, parts: Sequence[str], path: str | Path, models: str = "*") -> int:
    """Recorded trials on mixes sampled from these parts, as a table (JSON Lines) for `mix weights --trials`; its rows.

    models: names of runs that are to be compared, such as "*-1m-*".
    """
    usable = [t for t in list_trials(cat) if t.status == "done" and set(t.weights) == set(parts)]
    named = sorted((t for t in usable if fnmatchcase(t.model, models)), key=lambda t: t.step)
    rows = []
    for trial in {(t.lock, t.model, t.seed): t for t in named}.values():  # the last step of every run
        if setting := setting_of(cat, trial.mix):
            about = {"name": trial.model or trial.id, "seed": trial.seed, "tokens": trial.tokens, "size": trial.size}
            rows.append({**trial.results, **setting, **trial.weights, **about})
    if not rows:
        raise BadInput(
            f"no finished trial is recorded on a mix sampled from {', '.join(parts)}: publish what sampled_spec gives, train "
            "on it, and add the trial"
        )
    Path(path).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return len(rows)


def _dataset(cat: Catalog, source: str) -> str:
    from flows.sets import dataset_of

    return dataset_of(cat, source)
