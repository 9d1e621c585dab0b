"""A command of the laboratory as plain JSON: what is trained, with one run record and one answer, wherever it is trained.

    perform(cat, "doremi", {"mix": "pretrain@v1", "recipe": {"size": "1m"}})

The record carries progress and heartbeat, and stops the work at its next step when it is cancelled; the same command
goes on from the checkpoints. The answer stands in an edge of the record, so that who asked finds it from elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput, Refused
from catalog.meta.models import Edge
from catalog.mixes.lock import find_mix
from catalog.runs import Progress, run
from flows.devices import pick_device
from flows.mixing import open_task
from flows.proxy.anneal import decay, leave_one_out, recipe_of_starts
from flows.proxy.design import split_spec
from flows.proxy.recipe import make_recipe
from flows.proxy.robust import run_doremi
from flows.proxy.runs import recorded, run_trials
from flows.proxy.skills import run_skill_it
from flows.proxy.train import Tick, silent

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Say = Callable[[str], None]
Work = tuple[int, Callable[[Tick, Say], Any]]
"""Steps to train, and what trains them and returns the answer in plain values."""


def perform(
    cat: Catalog, method: str, body: dict[str, Any], *, place: str = "inline", show: Any = None,
    say: Say = lambda line: None,
) -> Any:  # fmt: skip
    """Do one command of the laboratory and return its answer. Interrupted or cancelled, the same call resumes."""
    check(cat, "write", "trials")
    if method not in METHODS:
        raise BadInput(f"the laboratory knows no {method!r}; it does {', '.join(METHODS)}")
    steps, work = METHODS[method](cat, body)
    if not steps:
        return work(silent, say)
    digest = hashlib.sha256(orjson.dumps([method, body], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    mixes = mixes_of(body)
    brief = {"mixes": mixes[:8], "steps": steps} | {name: body[name] for name in ("starts", "subject") if name in body}
    with run(cat, f"trial {method}", f"laboratory:{digest}", place=place, **brief) as record:
        os.environ.pop("STRATA_FLOW_RUN", None)  # what is published on the way is no other attempt of this run
        progress = Progress(cat, record.id, steps, "steps", show)
        answer = work(progress.tick, say)
        source = f"mix:{mixes[0]}" if mixes else f"spec:{body['spec'].get('name', '')}"
        with cat.session() as session:
            session.add(Edge(run_id=record.id, verb=method, source=source, target=f"run:{record.id}",
                             counts={"steps": steps}, details={"answer": answer}))  # fmt: skip
            session.commit()
    return answer


def answer_of(cat: Catalog, run_id: str) -> Any:
    """What a run of the laboratory came to."""
    with cat.session() as session:
        held = session.exec(select(Edge).where(Edge.run_id == run_id, Edge.target == f"run:{run_id}")).one()
    return held.details["answer"]


def mixes_of(body: dict[str, Any]) -> list[str]:
    """References of the published mixes that a command names."""
    held = body.get("mixes") or ([body["mix"]] if "mix" in body else [])
    return list(held.values()) if isinstance(held, dict) else list(held)


def marks_of(cat: Catalog, body: dict[str, Any]) -> dict[str, str]:
    """What the words of a command mean in this catalog: digests of mixes, ids of datasets."""
    marks = {f"mix {ref}": find_mix(cat, ref).digest for ref in mixes_of(body)}
    for part in (body.get("spec") or {}).get("parts") or []:
        if isinstance(part, dict) and part.get("dataset"):
            marks[f"dataset {part['dataset']}"] = cat.resolve(part["dataset"]).dataset.id
    return marks


def check_marks(cat: Catalog, body: dict[str, Any], wanted: dict[str, str]) -> None:
    """Refuse to train in another catalog than the one that was asked."""
    held = marks_of(cat, body)
    if other := [name for name, mark in wanted.items() if held.get(name) != mark]:
        raise Refused(
            f"{other[0]} of this worker's catalog is not the one that was asked for: start the worker with the "
            "STRATA_DATABASE_URL and STRATA_TABLES_URI of the command", missing=other,
        )  # fmt: skip


def _runs(cat: Catalog, body: dict[str, Any]) -> Work:
    """Every mix with every recipe; the answer is the ids of the trials."""
    recipes = [make_recipe(**given) for given in body["recipes"]]
    runs = [(ref, recipe) for recipe in recipes for ref in body["mixes"]]
    options = {"workers": body.get("workers") or 1, "device": pick_device(body.get("device"))}
    missing = sum(recipe.steps for ref, recipe in runs if recorded(cat, ref, recipe) is None)
    whole = sum(recipe.steps for _, recipe in runs)
    return (
        whole if missing else 0,
        lambda tick, say: [trial.id for trial in run_trials(cat, runs, say=say, tick=tick, **options)],
    )


def _doremi(cat: Catalog, body: dict[str, Any]) -> Work:
    recipe, device = make_recipe(**body["recipe"]), pick_device(body.get("device"))
    options = {name: body[name] for name in ("rate", "smoothing") if name in body}

    def work(tick: Tick, say: Say) -> Any:
        found = run_doremi(cat, body["mix"], recipe, device=device, say=say, tick=tick, **options)
        return asdict(found) | {"trace": str(found.trace)}

    return 2 * recipe.steps, work


def _skills(cat: Catalog, body: dict[str, Any]) -> Work:
    recipe, device = make_recipe(**body["recipe"]), pick_device(body.get("device"))
    options = {name: body[name] for name in ("rounds", "rate", "window") if name in body}
    parts = len(open_task(cat, split_spec(cat, body["spec"], recipe.held_out))[1].parts)

    def work(tick: Tick, say: Say) -> Any:
        found = run_skill_it(cat, body["spec"], recipe, device=device, say=say, tick=tick, **options)
        arrays = {name: getattr(found, name).tolist() for name in ("graph", "weights", "losses")}
        return {"parts": list(found.parts), "models": list(found.models), **arrays}

    return (1 + parts + options.get("rounds", 4)) * recipe.steps, work


def _anneal(cat: Catalog, body: dict[str, Any]) -> Work:
    options = _anneal_options(cat, body) | {"subject": body["subject"]}
    steps = len(set(body["mixes"].values())) * len(body["starts"]) * options["recipe"].steps
    return steps, lambda tick, say: decay(cat, body["mixes"], say=say, tick=tick, **options)


def _leave_one_out(cat: Catalog, body: dict[str, Any]) -> Work:
    options, parts = _anneal_options(cat, body), body.get("parts") or []
    mixes = 1 + len(parts or body["spec"].get("parts") or [])
    steps = mixes * len(body["starts"]) * options["recipe"].steps
    return steps, lambda tick, say: leave_one_out(cat, body["spec"], parts=parts, say=say, tick=tick, **options)


def _anneal_options(cat: Catalog, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "recipe": recipe_of_starts(cat, body["starts"], body.get("recipe") or {}), "starts": body["starts"],
        "result": body.get("result") or "loss/mean", "workers": body.get("workers") or 1,
        "device": pick_device(body.get("device")),
    }  # fmt: skip


METHODS: dict[str, Callable[[Catalog, dict[str, Any]], Work]] = {
    "runs": _runs, "doremi": _doremi, "skills": _skills, "anneal": _anneal, "leave-one-out": _leave_one_out,
}  # fmt: skip
"""Name of a command -> what it trains."""
