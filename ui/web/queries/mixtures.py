"""Published mixes, newest version first, and what one serves at given places of its order."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlmodel import select

from catalog import Catalog
from catalog.errors import StrataError
from catalog.meta.models import Mix, Stream, Trial
from catalog.mixes import load_spec


def published(cat: Catalog) -> dict[str, list[Mix]]:
    """Name -> its versions, newest first; the mix published last comes first."""
    with cat.session() as session:
        held = session.exec(select(Mix).order_by(Mix.created.desc())).all()  # type: ignore[attr-defined]
    found: dict[str, list[Mix]] = {}
    for mix in held:
        found.setdefault(mix.name, []).append(mix)
    return {name: sorted(mixes, key=lambda mix: -mix.version) for name, mixes in found.items()}


def heads(cat: Catalog) -> tuple[tuple[str, int, int], ...]:
    """What every answer about mixes rests on: the state of each dataset's table."""
    return tuple((held.name, held.head, held.lance_version) for held in cat.datasets())


def pulls(cat: Catalog, ref: str, limit: int = 20) -> tuple[list[Stream], int]:
    """The newest pulls of a mix, and how many there were."""
    with cat.session() as session:
        held = session.exec(select(Stream).where(Stream.mix == ref).order_by(Stream.created.desc())).all()  # type: ignore[attr-defined]
    return list(held[:limit]), len(held)


def recorded_runs(cat: Catalog, ref: str) -> list[str]:
    """Runs that the home has a ledger of, under this version."""
    folder = cat.settings.home / "ledger" / ref
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def revisions(mixes: list[Mix], mix: Mix) -> list[tuple[Mix, int | None]]:
    """The chain of revisions a mix stands in, oldest first, each with the index it changes from (the first: None).

    Every version that revises this one, or that this one revises, however far.
    """
    by_digest = {held.digest: held for held in mixes}

    def parents(one: Mix) -> list[str]:
        return [entry["digest"] for entry in one.lock.get("revises", ())]

    mine = {mix.digest, *parents(mix)} | {held.digest for held in mixes if mix.digest in parents(held)}
    chain = sorted((by_digest[digest] for digest in mine if digest in by_digest), key=lambda held: held.version)
    return [(held, held.lock["revises"][0]["at"] if held.lock.get("revises") else None) for held in chain]


def groups(trials: list[Trial]) -> list[dict[str, Any]]:
    """Trials of one mix as results with intervals: runs of one size and length, at the last step of each seed.

    Each: size, tokens, seeds, results: name -> {mean, low, high}; no interval for a single seed.
    """
    from flows.trial_statistics import paired

    last: dict[tuple[int | None, int | None], dict[int, Trial]] = {}
    for trial in trials:
        if trial.status == "done":
            seeds = last.setdefault((trial.size, trial.tokens), {})
            if trial.seed not in seeds or seeds[trial.seed].step <= trial.step:
                seeds[trial.seed] = trial
    found = []
    for (size, tokens), seeds in last.items():
        results = {}
        for name in sorted(
            {name for trial in seeds.values() for name in trial.results if not name.endswith("_stderr")}
        ):
            values = np.array([trial.results[name] for trial in seeds.values() if name in trial.results])
            one = paired(np.zeros(len(values)), values)
            results[name] = {"mean": one.mean, "low": one.low, "high": one.high, "seeds": len(values)}
        found.append({"size": size, "tokens": tokens, "seeds": sorted(seeds), "results": results})
    return found


LIVE = 2_000_000
"""Rows up to which a preview follows every change of a spec; beyond, it waits to be asked."""


def rows_of(cat: Catalog, text: str) -> int:
    """Rows that a preview of a spec would look at, about; 0 where the spec does not say."""
    from catalog.mixes.spec import read_spec

    try:
        parts = read_spec(text).get("parts")
        named = [
            part["dataset"] for part in parts or () if isinstance(part, dict) and isinstance(part.get("dataset"), str)
        ]
    except (StrataError, TypeError):
        return 0
    held = {dataset.name: dataset.rows for dataset in cat.datasets()}
    return sum(held.get(name.partition("@")[0], 0) for name in named)


def open_parts(text: str) -> list[str]:
    """Names of the parts of a spec that have no fixed budget: those that a mixer weighs."""
    from catalog.mixes.spec import Part, part_name, read_spec

    parts = read_spec(text).get("parts")
    held = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    try:
        made = [Part(**part) for part in held]
    except (ValueError, TypeError):
        load_spec(text)  # says in one line what is wrong
        raise
    return [part_name(part) for part in made if part.samples is None and part.tokens is None]


def written(body: dict[str, Any]) -> str:
    """A spec as YAML, each part on a line of its own."""
    import yaml

    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def tidy(spec: dict[str, Any]) -> dict[str, Any]:
    """A locked spec without what is said by leaving it out."""
    silent = {"note": "", "seed": 0, "tokens": "tokens", "unit": "samples", "order": {"shuffle": "full"}}
    body = {name: value for name, value in spec.items() if silent.get(name, ...) != value}
    usual = {"missing": "error", "max_epochs": 1.0}
    body["parts"] = [{k: v for k, v in part.items() if usual.get(k, ...) != v} for part in spec["parts"]]
    if spec.get("stages"):
        body["stages"] = [{k: v for k, v in stage.items() if (k, v) != ("fresh", False)} for stage in spec["stages"]]
    return _whole(body)


def _whole(value: Any) -> Any:
    """Numbers without a fraction as people write them."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
