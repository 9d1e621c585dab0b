"""Published mixes, newest version first, and what one serves at given places of its order."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlmodel import select

from catalog import Catalog
from catalog.meta.models import Mix


def published(cat: Catalog) -> dict[str, list[Mix]]:
    """Name -> its versions, newest first; the mix published last comes first."""
    with cat.session() as session:
        held = session.exec(select(Mix).order_by(Mix.created.desc())).all()  # type: ignore[attr-defined]
    found: dict[str, list[Mix]] = {}
    for mix in held:
        found.setdefault(mix.name, []).append(mix)
    return {name: sorted(mixes, key=lambda mix: -mix.version) for name, mixes in found.items()}


def served(reader: Any, at: int, limit: int) -> list[dict[str, Any]]:
    """Samples of the global indices from `at` on: index, part, epoch, id and text."""
    indices = np.arange(at, min(at + limit, len(reader)), dtype=np.int64)
    return reader.take(indices, ["sample_id", "text"]).to_pylist()


STARTER = """name: my-mix
unit: samples        # samples | tokens
seed: 7
order: {{shuffle: full}}
parts:
{parts}
"""


def starter(cat: Catalog) -> str:
    """A spec over what is there: the highest tier of each kind, evals left out."""
    usable = [dataset for dataset in cat.datasets() if dataset.role != "eval" and dataset.rows]
    best = sorted(usable, key=lambda dataset: (dataset.tier, dataset.rows), reverse=True)[:2]
    lines = [
        f"  - {{dataset: {dataset.name}@v{dataset.head}, weight: {len(best) - at}}}" for at, dataset in enumerate(best)
    ]
    return STARTER.format(parts="\n".join(lines) or "  - {dataset: NAME, weight: 1}")
