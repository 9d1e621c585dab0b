"""What trials say over all mixes: means with intervals, ties with the best, how well small runs decide, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from sqlmodel import col, select

from catalog import Catalog
from catalog.meta.models import Edge, Mix, Run, Trial

LEARNED = ("doremi", "skills")
"""Laboratory methods whose answer holds weights."""
PREPARING = ("ingest", "score", "promote", "verify")
FEW = 5
"""Mixes from which on a rank correlation with a weight says something."""


def results_of(trials: Sequence[Trial]) -> list[str]:
    """Results that were measured, the mean loss first, then by how many runs have them."""
    counts: dict[str, int] = {}
    for trial in trials:
        for name in trial.results:
            if not name.endswith("_stderr"):
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (name != "loss/mean", -counts[name], name))


def chosen(trials: Sequence[Trial], size: int | None, models: str) -> list[Trial]:
    """Finished runs of a size (None: of any) whose model's name matches."""
    return [
        trial for trial in trials
        if trial.status == "done" and (size is None or trial.size == size) and (not models or fnmatchcase(trial.model, models))
    ]  # fmt: skip


def standings(trials: Sequence[Trial], result: str) -> list[dict[str, Any]]:
    """Mixes best first: mean of the last step of each seed, its interval, and whether the best one is told apart.

    {"mix", "values" (seed -> value), "mean", "low", "high", "verdict": best, tie, worse or unknown, "pairs", "size", "tokens"}
    """
    from flows.trial_statistics import higher_is_better, paired, unpaired, verdict

    seeds: dict[str, dict[int, Trial]] = {}
    for trial in sorted(trials, key=lambda one: one.step):
        if result in trial.results:
            seeds.setdefault(trial.mix, {})[trial.seed] = trial
    rows = []
    for mix, held in seeds.items():
        values = {seed: one.results[result] for seed, one in held.items()}
        one = paired(np.zeros(len(values)), np.array(list(values.values())))
        last = list(held.values())[-1]
        rows.append({"mix": mix, "values": values, "mean": one.mean, "low": _plain(one.low), "high": _plain(one.high),
                     "size": last.size, "tokens": last.tokens, "weights": last.weights})  # fmt: skip
    up = higher_is_better(result)
    rows.sort(key=lambda row: -row["mean"] if up else row["mean"])
    for row in rows:
        a, b = rows[0]["values"], row["values"]
        both = sorted(set(a) & set(b))
        if row is rows[0]:
            row |= {"verdict": "best", "pairs": 0}
            continue
        if len(both) > 2:
            seen = paired(np.array([a[seed] for seed in both]), np.array([b[seed] for seed in both]))
        else:
            seen = unpaired(np.array(list(a.values())), np.array(list(b.values())))
        row |= {"verdict": verdict(seen, up), "pairs": seen.pairs}
    return rows


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def decisions(trials: Sequence[Trial], result: str) -> list[dict[str, Any]]:
    """For every size below the largest, how often its runs order two mixes as larger ones do."""
    from flows.trial_statistics import agreement

    sizes = sorted({trial.size for trial in trials if trial.size and trial.status == "done"})
    return [found for size in sizes[:-1] if (found := agreement(trials, result, size))]


def costs(cat: Catalog, refs: Sequence[str], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """What each mix cost: preparing its data (processor time, money, tokens of models, of every run on a dataset behind it)
    beside what it locks, and training on it (tokens, operations as 6ND, processor time of laboratory runs that name it)."""
    from catalog.mixes import find_mix

    prepared, laboratory = _spent(cat)
    parents = {one.name: (one.parent or "").split("@")[0] for one in cat.datasets(unpublished=True)}
    made = []
    for ref in refs:
        mix = find_mix(cat, ref)
        names: set[str] = set()
        for part in mix.lock["parts"]:
            name = part["dataset"]
            while name and name not in names:
                names.add(name)
                name = parents.get(name, "")
        spent = {
            kind: sum(prepared.get(name, {}).get(kind, 0.0) for name in names) for kind in ("cpu_s", "gpu_s", "money")
        }
        totals = mix.lock["totals"]
        accepted, unit = (totals["tokens"], "tokens") if totals["tokens"] else (totals["samples"], "samples")
        mine = [trial for trial in trials if trial.mix == ref]
        made.append({
            "mix": ref, **spent, "accepted": accepted, "unit": unit, "trials": len(mine),
            "tokens": sum(trial.tokens or 0 for trial in mine),
            "operations": sum(6 * trial.size * trial.tokens for trial in mine if trial.size and trial.tokens),
            "train_s": laboratory.get(ref),
        })  # fmt: skip
    return made


def _spent(cat: Catalog) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Cost of the runs that prepared each dataset, and processor time of laboratory runs by mix, evenly over those named."""
    prepared: dict[str, dict[str, float]] = {}
    laboratory: dict[str, float] = {}
    with cat.session() as session:
        wanted = col(Run.verb).in_(PREPARING) | col(Run.verb).startswith("trial ")
        for verb, name, cost, request in session.exec(
            select(Run.verb, Run.dataset, Run.cost, Run.request).where(wanted)
        ):
            if verb.startswith("trial "):
                mixes = request.get("mixes") or []
                for mix in mixes:
                    laboratory[mix] = laboratory.get(mix, 0.0) + (cost.get("cpu_s") or 0.0) / len(mixes)
            elif name:
                held = prepared.setdefault(name, {})
                for kind in ("cpu_s", "gpu_s", "money"):
                    held[kind] = held.get(kind, 0.0) + (cost.get(kind) or 0.0)
    return prepared, laboratory


def learned(rows: Sequence[dict[str, Any]], up: bool) -> list[dict[str, Any]]:
    """What more of a part went along with: Spearman's rank correlation of its weight with the mean result, over mixes that
    are made of the same parts. Positive: more of it, better."""
    from catalog.statistics import spearman

    by_parts: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    names = sorted({name for row in rows for name in row["weights"]})
    for row in rows:
        by_parts.setdefault(tuple(sorted(row["weights"])), []).append(row)
    found = []
    for part in names:
        mine = [row for parts, held in by_parts.items() if part in parts and len(held) >= FEW for row in held]
        if len(mine) < FEW:
            continue
        rank = spearman(
            np.array([row["weights"].get(part, 0.0) for row in mine]), np.array([row["mean"] for row in mine])
        )
        if rank is not None:
            weights = [row["weights"].get(part, 0.0) for row in mine]
            found.append(
                {
                    "part": part,
                    "rank": rank if up else -rank,
                    "mixes": len(mine),
                    "low": min(weights),
                    "high": max(weights),
                }
            )
    return sorted(found, key=lambda row: -row["rank"])


def answers(cat: Catalog, limit: int = 20) -> list[dict[str, Any]]:
    """Weights that laboratory methods came to, newest first."""
    with cat.session() as session:
        held = session.exec(
            select(Edge).where(col(Edge.verb).in_(LEARNED)).order_by(col(Edge.created).desc()).limit(limit)
        ).all()
    return [
        {"method": edge.verb, "from": edge.source, "created": edge.created, "weights": _weights(edge.details.get("answer"))}
        for edge in held
    ]  # fmt: skip


def _weights(answer: Any) -> dict[str, float]:
    """Part -> weight, wherever the answer of a method has it."""
    if not isinstance(answer, dict):
        return {}
    held = answer.get("weights")
    if isinstance(held, dict):
        return {str(name): float(value) for name, value in held.items()}
    parts = answer.get("parts")
    if isinstance(parts, list):
        return {
            str(one.get("part")): float(one["weight"]) for one in parts if isinstance(one, dict) and "weight" in one
        }
    return {}


def locks(cat: Catalog, refs: Sequence[str]) -> dict[str, str]:
    """Digest of each mix's lock."""
    with cat.session() as session:
        held = session.exec(select(Mix.name, Mix.version, Mix.digest)).all()
    return {ref: digest for name, version, digest in held if (ref := f"{name}@v{version}") in refs}
