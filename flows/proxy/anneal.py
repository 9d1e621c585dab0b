"""Anneal: judge data by what they do to a trained model while its learning rate falls to zero.

The last stretch of training weighs heavily, so a short anneal tells a dataset's worth at a fraction of a pre-training run
(Blakeney et al. 2024, "Does your data spark joy?", arXiv:2406.03476; Grattafiori et al. 2024, Llama 3, arXiv:2407.21783,
section 3.1.3). `decay` compares mixes; `leave_one_out` takes each part out of one mix in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput, NotFound
from catalog.mixes.lock import load_lock
from catalog.mixes.spec import Part, load_spec, part_name
from flows.proxy.contest import contest
from flows.proxy.design import split_spec
from flows.proxy.recipe import Recipe, make_recipe
from flows.proxy.stream import validation_of
from flows.proxy.train import Tick, folder_of, read_facts, silent

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def annealing(recipe: Recipe, start: str) -> Recipe:
    """The recipe from a model on: no warm-up, the rate falls linearly to zero over the whole run."""
    return make_recipe(**recipe.model_dump() | {"start": start, "schedule": "wsd", "warmup": 0.0, "decay": 1.0})


def recipe_of_starts(cat: Catalog, starts: Sequence[str], given: Mapping[str, Any]) -> Recipe:
    """The recipe that the start models were trained with, but for what is given: anneals must fit their models."""
    if not starts:
        raise BadInput("an anneal starts from trained models; name them: --start MODEL, one for each pair")
    held = []
    for start in starts:
        facts = read_facts(folder_of(cat, start))
        if facts["diverged"]:
            raise BadInput(f"proxy model {start} diverged: it is kept and not trained on; start from another")
        held.append(facts["recipe"] | {"start": ""})
    for start, other in zip(starts[1:], held[1:], strict=True):
        apart = [name for name in ("size", "tokenizer", "context", "held_out") if other[name] != held[0][name]]
        if apart:
            raise BadInput(
                f"{start} has {apart[0]} {other[apart[0]]}, {starts[0]} has {held[0][apart[0]]}; start from models alike"
            )
    return make_recipe(**held[0] | {"traces": False} | dict(given))


def decay(
    cat: Catalog,
    mixes: Mapping[str, str],
    recipe: Recipe,
    starts: Sequence[str],
    *,
    subject: str,
    result: str = "loss/mean",
    workers: int = 1,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    tick: Tick = silent,
) -> list[dict[str, Any]]:
    """Anneal every start model on every mix; the subject against the others, paired by start. See `contest`.

    starts: proxy models trained alike with different seeds, at a rate that had not fallen (decay=0). All are measured on
    the parts of all mixes, unless the recipe names other sets.
    """
    if len(set(starts)) != len(starts):
        raise BadInput("a start model is named twice; pairs must be independent runs")
    if not recipe.validation:
        sets = [held for ref in mixes.values() for held in validation_of(load_lock(cat, ref))]
        by_name = {held.name: held for held in reversed(sets)}  # of one name the first mix's rows
        recipe = recipe.model_copy(update={"validation": [by_name[name] for name in sorted(by_name)]})
    recipes = [annealing(recipe.model_copy(update={"seed": at}), start) for at, start in enumerate(starts)]
    return contest(
        cat, mixes, recipes, range(len(starts)), subject=subject, result=result, workers=workers, device=device,
        say=say, tick=tick,
    )  # fmt: skip


def leave_one_out(
    cat: Catalog,
    spec: str | Path | dict[str, Any],
    recipe: Recipe,
    starts: Sequence[str],
    *,
    parts: Sequence[str] = (),
    result: str = "loss/mean",
    workers: int = 1,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    tick: Tick = silent,
) -> list[dict[str, Any]]:
    """What each part (or those named) is worth: the whole mix against the mix without it, the others in proportion.

    verdict "better" says that the mix is better with the part. All runs are measured on all parts.
    """
    body = split_spec(cat, spec, recipe.held_out)
    names = [part_name(Part(**part)) for part in body["parts"]]
    load_spec(body)
    if unknown := [part for part in parts if part not in names]:
        raise NotFound("part", unknown[0], names, "the spec has " + ", ".join(names))
    if len(names) < 2:
        raise BadInput("a mix of one part has nothing to leave out")
    validation = [
        {"name": name, "dataset": part["dataset"], "where": part["where"]}
        for name, part in zip(names, body["parts"], strict=True)
    ]
    recipe = make_recipe(**recipe.model_dump() | {"validation": validation})
    mixes = {"all": _publish(cat, body, f"{body['name']}-all", body["parts"])}
    for name in parts or names:
        kept = [part for held, part in zip(names, body["parts"], strict=True) if held != name]
        mixes[f"without {name}"] = _publish(cat, body, f"{body['name']}-without-{name}", kept)
    return decay(
        cat, mixes, recipe, starts, subject="all", result=result, workers=workers, device=device, say=say, tick=tick
    )


def _publish(cat: Catalog, body: dict[str, Any], name: str, parts: list[dict[str, Any]]) -> str:
    made = cat.publish_mix({**body, "name": name, "parts": parts})
    return f"{made.name}@v{made.version}"
