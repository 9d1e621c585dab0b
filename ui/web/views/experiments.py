"""Experiments: what training on mixes came to, over seeds and with intervals; ties are named, and cost stands beside."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.errors import StrataError
from catalog.meta.models import Trial
from catalog.trace_model import trace_model
from catalog.trials import list_trials
from ui.web.components import address, experiment, shell, trials
from ui.web.components.figures import compact, count, plural
from ui.web.components.markup import h, live
from ui.web.components.pager import pager
from ui.web.queries import experiments

PAGE = 25
MOST = 40
"""Mixes that the plot shows."""
COLUMNS = 3
"""Results of a run that its line shows."""
COMMANDS = """strata trial run MIX --param size=256k --seed 0
strata trial add MIX --results lm_eval.json --seed 1 --tokens 2000000"""


def choose(held: list[Trial]) -> tuple[str, int | None, str]:
    """Result, size and pattern of models, from the address."""
    names = experiments.results_of(held)
    sizes = sorted({trial.size for trial in held if trial.size})
    one, two, three = st.columns([1.2, 1, 1.2], gap="small")
    with one:
        result = address.choice("Result", "result", names, names[0], ("at",))
    labels = ["", *(str(size) for size in sizes)]
    default = str(sizes[-1]) if sizes else ""
    with two:
        size = address.choice("Parameters of the model", "size", labels, default, ("at",), format_func=lambda text: compact(int(text)) if text else "any size")  # fmt: skip
    with three:
        models = address.text_box("Only models called", "models", ("at",), placeholder="all, or *-1m-*")
    return result, int(size) if size else None, models


def overview(cat: Catalog, held: list[Trial]) -> None:
    """Standings of the mixes in one result, and all that follows from them."""
    from flows.trial_statistics import higher_is_better

    result, size, models = choose(held)
    mine = experiments.chosen(held, size, models)
    rows = experiments.standings(mine, result)
    if not rows:
        shell.show(shell.note("No finished run of that size and name measured this result; choose another above."))
        return
    up = higher_is_better(result)
    refs = [row["mix"] for row in rows]
    if len(rows) > MOST:
        shell.show(
            shell.note(f"The best {MOST} of {count(len(rows))} mixes are drawn; the names of models narrow them.")
        )
    live(experiment.standings(rows[:MOST], result, up, experiments.locks(cat, refs)), "standings")
    with shell.guarded():
        between(cat, refs, models)
    left, right = st.columns(2, gap="medium")
    with left, shell.guarded():
        live(experiment.learned(experiments.learned(rows, up), experiments.answers(cat), experiments.FEW), "learned")
    with right, shell.guarded():
        live(experiment.decisions(experiments.decisions(held, result), result), "decisions")
    with shell.guarded():
        live(experiment.costs(experiments.costs(cat, refs[:MOST], mine)), "costs")


def between(cat: Catalog, refs: list[str], models: str) -> None:
    """Two mixes, result by result, paired by seed."""
    if len(refs) < 2:
        return
    with st.expander("Two mixes, result by result", expanded=bool(address.get("other"))):
        box, _ = st.columns([1, 2.4], gap="small")
        with box:
            ref = address.choice("Mix", "mix", refs, refs[0])
        trials.versus(cat, ref, [one for one in refs if one != ref], models)


def listing(held: list[Trial]) -> None:
    """Every run, newest first, a page at a time; one or two of them in full."""
    newest = held[::-1]
    at = min(address.get_int("at"), max(0, len(newest) - 1)) // PAGE * PAGE
    shown = newest[at : at + PAGE]
    picked = st.query_params.get_all("trial")
    names = experiments.results_of(shown)[:COLUMNS]
    words = h(
        "span", h("b", plural(len(newest), "run")), ", a click chooses one, a second one sets it beside", cls="sx-soft"
    )
    live(h("div", pager(words, at, PAGE, len(newest)), experiment.runs(shown, names, picked)), "runs", answer)


def answer(name: str, value: str) -> None:
    if name == "trial":
        held = st.query_params.get_all("trial")
        address.put(trial=[one for one in held if one != value] if value in held else [*held, value][-2:])
    elif name == "at":
        address.put(at=value if value != "0" else None)


def chosen(cat: Catalog, held: list[Trial]) -> None:
    known = {trial.id: trial for trial in held}
    picked: list[Any] = [known[one] for one in st.query_params.get_all("trial") if one in known][-2:]
    gone = [one for one in st.query_params.get_all("trial") if one not in known]
    if gone:
        shell.show(shell.note(f"No trial {gone[0][:12]} is recorded; the list below has those that are.", "warn"))
    if not picked:
        return
    live(experiment.beside(picked), "beside")
    for model in dict.fromkeys(trial.model for trial in picked if trial.model):
        try:
            live(experiment.behind(trace_model(cat, model)), f"behind_{model}")
        except StrataError as error:
            shell.show(shell.refusal(error))


def page() -> None:
    cat = shell.catalog()
    held = list_trials(cat)
    mixes = len({trial.mix for trial in held})
    said = (
        f"{plural(len(held), 'run')} on {plural(mixes, 'mix', 'mixes')}" if held else "what training on mixes came to"
    )
    shell.show(shell.title("Experiments", said))
    if not held:
        sentence = "A trial is a training run on a published mix and what it measured: a small model trained here, or a run made elsewhere."
        shell.show(shell.empty("No trial yet", sentence, COMMANDS))
        return
    with shell.guarded():
        chosen(cat, held)
    with shell.guarded():
        overview(cat, held)
    with shell.guarded():
        listing(held)


page()
