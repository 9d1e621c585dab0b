"""From a setting of QuaDMix to a mix: a selection for every part by the selector `quadmix`, and the spec that serves them.

Liu et al. 2025, arXiv:2504.16511: both the small runs over drawn settings and the final mix are made so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from catalog.mixes.spec import part_name
from flows.mixers.quadmix import SHAPE, draw_settings, scores_of, setting_columns
from flows.mixing import open_parts
from flows.selecting import select

if TYPE_CHECKING:
    from catalog.catalog import Catalog


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
        "steepness": steepness, "omega": omega, "eta": eta, "epsilon": epsilon,
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


def _dataset(cat: Catalog, source: str) -> str:
    from flows.sets import dataset_of

    return dataset_of(cat, source)
