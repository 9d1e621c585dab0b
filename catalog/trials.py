"""Trials: what training on a mix came to. A run made elsewhere counts like one of our own.

    strata trial add pretrain@v1 --results lm_eval.json --step 1000 --seed 1 --tokens 2000000

The weights of a trial are those of its lock: mixers fit on them, and comparisons know which runs are alike. A run that
diverged is kept and marked, and nothing is learned from it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from catalog.errors import BadInput, NotFound
from catalog.meta.models import Edge, Run, Trial, new_id, now
from catalog.mixers import Trials
from catalog.mixes.lock import find_mix, load_lock
from catalog.mixes.spec import Part, part_name
from catalog.refs import parse_ref

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def read_results(path: str | Path) -> dict[str, float]:
    """Numbers by name, from lm-evaluation-harness' JSON, any JSON object of numbers, or a CSV of two columns.

    In the harness' file a result is `task/metric`, and its standard error `task/metric_stderr`; the filter's name
    ("none") is left out. `NaN` and `Infinity` are kept: they say that a run diverged.
    """
    import csv
    import json

    path = Path(path)
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".csv":
            rows = [row for row in csv.reader(text.splitlines()) if len(row) >= 2]
            return _numbers({row[0]: row[1] for row in rows if _number(row[1]) is not None}, path)
        body = json.loads(text)  # the harness writes NaN, which only Python's reader takes
    except OSError as error:
        raise BadInput(f"cannot read the results {path}: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"the results {path} are not JSON: {str(error)[:120]}; give .json or .csv") from None
    if not isinstance(body, dict):
        raise BadInput(f"the results {path} are no JSON object of names and numbers")
    held = body.get("results")
    return _numbers(_harness(held) if isinstance(held, dict) else body, path)


def _harness(tasks: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for task, measures in tasks.items():
        for key, value in measures.items() if isinstance(measures, dict) else ():
            metric, _, filtered = key.partition(",")
            if metric in ("alias", "samples", "name") or _number(value) is None:
                continue
            name = f"{task}/{metric}" + (f"[{filtered}]" if filtered not in ("", "none") else "")
            found[name] = value
    return found


def _numbers(held: dict[str, Any], path: Path) -> dict[str, float]:
    found = {str(name): number for name, value in held.items() if (number := _number(value)) is not None}
    if not found:
        raise BadInput(f"the results {path} hold no number; see docs/mix-and-pull.md for the formats")
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def add_trial(
    cat: Catalog,
    mix: str,
    results: str | Path | dict[str, float],
    *,
    step: int = 0,
    seed: int = 0,
    tokens: int | None = None,
    size: int | None = None,
    model: str = "",
    diverged: bool = False,
    note: str = "",
    source: str | None = None,
    ledger: str | None = None,
) -> Trial:
    """Record a run on a published mix. The same results again are the trial that already holds them.

    ledger: the name of the run in its ledger, so that the model leads to what it was served.
    """
    from catalog.access import check

    check(cat, "write", "trials")
    for name, value in (("step", step), ("tokens", tokens), ("size", size)):
        if value is not None and value < 0:
            raise BadInput(f"{name} {value} is negative; give what the run counted")
    if ledger and not model:
        raise BadInput(f"ledger run {ledger} is that of a model: name the model too, --model NAME")
    made, body = find_mix(cat, mix), results if isinstance(results, dict) else read_results(results)
    ref = f"{made.name}@v{made.version}"
    lock = load_lock(cat, ref)
    finite = {name: float(value) for name, value in body.items() if math.isfinite(value)}
    trial = Trial(
        mix=ref, lock=made.digest, model=model, step=step, seed=seed, tokens=tokens, size=size,
        weights=served_weights(lock), results=finite,
        status="diverged" if diverged or len(finite) < len(body) else "done",
        source=source or ("given" if isinstance(results, dict) else str(results)), note=note,
        digest=hashlib.sha256(orjson.dumps(finite, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        actor=cat.settings.actor, run_id=new_id(),
    )  # fmt: skip
    with cat.session() as session:
        session.add_all([trial, _run(trial), *_edges(trial, ledger)])
        try:
            session.commit()
            return trial
        except IntegrityError:
            session.rollback()
        same = select(Trial).where(
            Trial.lock == trial.lock, Trial.model == model, Trial.step == step, Trial.seed == seed,
            Trial.digest == trial.digest,
        )  # fmt: skip
        return session.exec(same).one()


def _run(trial: Trial) -> Run:
    return Run(
        id=trial.run_id, verb="trial", key=f"trial:{trial.id}", status="done", actor=trial.actor,
        request={"mix": trial.mix, "source": trial.source}, counts={"results": len(trial.results)},
        started=now(), finished=now(),
    )  # fmt: skip


def _edges(trial: Trial, ledger: str | None) -> list[Edge]:
    facts = {"step": trial.step, "seed": trial.seed, "tokens": trial.tokens}
    made = [
        Edge(run_id=trial.run_id, verb="trial", source=f"mix:{trial.mix}", target=f"trial:{trial.id}", details=facts)
    ]
    if trial.model:
        made.append(
            Edge(
                run_id=trial.run_id,
                verb="train",
                source=f"mix:{trial.mix}",
                target=f"model:{trial.model}",
                details=facts,
            )
        )
    if ledger:
        source = f"run:{trial.mix}/{ledger}"
        made.append(Edge(run_id=trial.run_id, verb="train", source=source, target=f"model:{trial.model}"))
    return made


def served_weights(lock: dict[str, Any]) -> dict[str, float]:
    """Share of every part in what the lock serves, in the unit of its mix."""
    spec_parts = lock["spec"]["parts"]
    served = lock["totals"]["parts"]
    unit = "tokens" if lock["unit"] == "tokens" and lock["totals"]["tokens"] else "samples"
    whole = lock["totals"][unit]
    found: dict[str, float] = {}
    for part, total in zip(spec_parts, served, strict=True):
        name = part_name(Part(**part))
        found[name] = found.get(name, 0.0) + total[unit] / whole
    return found


def list_trials(cat: Catalog, mix: str | None = None) -> list[Trial]:
    """Trials of one mix (every version without @vN) or of all, oldest first."""
    from catalog.access import check

    check(cat, "read", "trials")
    with cat.session() as session:
        held = list(session.exec(select(Trial).order_by(Trial.created, Trial.id)).all())  # type: ignore[arg-type]
    if mix is None:
        return held
    name, version = parse_ref(mix)
    find_mix(cat, mix)
    return [t for t in held if parse_ref(t.mix).name == name and version in (None, parse_ref(t.mix).version)]


def mixes_of(cat: Catalog, ids: Sequence[str]) -> dict[str, str]:
    """Trial -> the mix it was run on; a run of a table is in none."""
    from catalog.access import check

    check(cat, "read", "trials")
    wanted = set(ids)
    with cat.session() as session:
        return {id_: mix for id_, mix in session.exec(select(Trial.id, Trial.mix)) if id_ in wanted}


def find_trial(cat: Catalog, name: str) -> Trial:
    """By id, the beginning of an id (6 characters and more), or the name of its model: the last step of it."""
    held = list_trials(cat)
    found = [t for t in held if t.model == name] or [t for t in held if len(name) > 5 and t.id.startswith(name)]
    if not found:
        known = [t.model for t in held if t.model]
        raise NotFound("trial", name, known, "see `strata trial list`")
    if len({t.id for t in found}) > 1 and not found[0].model == name:
        raise BadInput(f"{len(found)} trials begin with {name}; give more of the id")
    return max(found, key=lambda t: t.step)


def trials_of(cat: Catalog, parts: Sequence[str], mix: str | None = None, models: str | None = None) -> Trials:
    """Recorded trials whose mixes are made of these parts alone, at the last step of each run, as mixers read them.

    models: a pattern such as "*-1m-*"; runs of another size or recipe are not to be compared.
    """
    usable = [
        t for t in list_trials(cat, mix)
        if t.status == "done" and set(t.weights) <= set(parts) and (models is None or fnmatchcase(t.model, models))
    ]  # fmt: skip
    last: dict[tuple[str, str, int], Trial] = {}
    for trial in usable:
        key = (trial.lock, trial.model, trial.seed)
        if key not in last or last[key].step <= trial.step:
            last[key] = trial
    held = sorted(last.values(), key=lambda t: (t.mix, t.model, t.seed))  # not by time: parallel runs end in any order
    if not held:
        raise NotFound(
            "trial of these parts",
            ", ".join(parts),
            [],
            "record runs with `strata trial add`, or give a table: --trials FILE",
        )
    names = sorted({name for trial in held for name in trial.results})
    nan = float("nan")
    return Trials(
        np.array([[trial.weights.get(part, 0.0) for part in parts] for trial in held]),
        {name: np.array([trial.results.get(name, nan) for trial in held], np.float64) for name in names},
        np.array([nan if trial.tokens is None else trial.tokens for trial in held], np.float64),
        np.array([nan if trial.size is None else trial.size for trial in held], np.float64),
        np.array([trial.seed for trial in held], np.int64),
        tuple(trial.id for trial in held),
    )
