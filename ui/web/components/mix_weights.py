"""What if: a method finds weights for the spec from recorded trials, and says what it expects and how surely."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from catalog import Catalog
from catalog.errors import BadInput, NotFound, StrataError
from catalog.mixers import Trials
from catalog.plugins import plugins
from ui.web.components import address, params, shell
from ui.web.components.figures import number, plural, share
from ui.web.components.lock import share_bar, swatch
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import bar, chip, pairs, panel, table
from ui.web.queries import mixtures

FOUND = "mix_found"
RECORDED, TABLE = "recorded trials", "a table of runs"


AIMS = {"one": "One result", "two": "Two results"}


def what_if(cat: Catalog, text: str) -> None:
    """Weights for one result, or the front over two."""
    aim = address.get("aim", "one")
    aim = aim if aim in AIMS else "one"
    steps = [
        h("a", words, cls="sx-step on" if name == aim else "sx-step", aria_current="page" if name == aim else None,
          **link("mixes", mix="new", view="weights", aim=name if name != "one" else None))
        for name, words in AIMS.items()
    ]  # fmt: skip
    live(h("nav", steps, cls="sx-wrap", aria_label="how many results"), "mixaims")
    if aim == "two":
        from ui.web.components.mix_pareto import pareto

        pareto(cat, text)
    else:
        weights(cat, text)


def weights(cat: Catalog, text: str) -> None:
    """The form, and below it the weights found for the spec as it stands."""
    known = {name: held for name, held in plugins("mixer").items() if not held.experimental}
    default = "unimax" if "unimax" in known else next(iter(known))
    name = address.choice(
        "Method", "mixer", list(known), default, format_func=lambda one: f"{one}: {known[one].summary}"
    )
    mixer = known[name]
    names = mixtures.open_parts(text)
    asked: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if mixer.trials:
            asked = _trials(cat, names, Path(folder)) or {}
        with st.expander("Parameters of the method", expanded=len(params.fields([mixer])) < 4):
            given = params.form([mixer])
        ready = not mixer.trials or bool(asked.get("goal"))
        if st.button("Find weights", type="primary", disabled=not ready, key="mix_find"):
            st.session_state.pop(FOUND, None)
            st.session_state[FOUND] = (text, _find(cat, text, name, given, asked, folder))
    held = st.session_state.get(FOUND)
    if held and held[0] == text and held[1].mixer == name:
        from flows.mixing import given_shares

        shell.show(_answer(held[1], given_shares(text, names), asked))
        st.button("Put these weights into the spec", key="mix_take", on_click=_take, args=(held[1].spec,))


def _take(spec: dict[str, Any]) -> None:
    st.session_state["mix_spec"] = mixtures.written(spec)
    address.put(view=None)


def _trials(cat: Catalog, names: list[str], folder: Path) -> dict[str, Any] | None:
    """Where the runs come from and which result counts; None, with a note, where there are none."""
    found = runs(cat, names, folder)
    if found is None:
        return None
    from flows.mix_front import results_of

    held, trials = found
    goals = results_of(held)
    one, two = st.columns([2, 1], gap="small")
    goal = one.selectbox("Result to improve", goals, key="mix_goal", help=f"Measured by {plural(len(held), 'run')}.")
    better = two.selectbox("Better is", ["lower", "higher"], index=int(higher(goal)), key=f"mix_better_{goal}")
    return {"trials": trials, "goal": goal, "better": better}


def runs(cat: Catalog, names: list[str], folder: Path) -> tuple[Trials, str] | None:
    """The runs that are asked for, and how `flows.mixing.weigh` names them; None, with a note, where there are none."""
    source = st.radio("Runs", [RECORDED, TABLE], horizontal=True, key="mix_runs")
    if source == TABLE:
        file = st.file_uploader(
            "A row a run: a column of weights for every part, and results", ["csv", "jsonl", "parquet"], key="mix_table"
        )
        if file is None:
            return None
        path = folder / Path(file.name).name
        path.write_bytes(file.getvalue())
        return _told(lambda: _read(path, names), folder), str(path)
    pattern = st.text_input(
        "Only models called", key="mix_models", placeholder="all of them; or a pattern such as *-1m-*"
    ).strip()
    held = _recorded(cat, names, pattern)
    return None if held is None else (held, f"catalog:{pattern}" if pattern else "catalog")


def higher(goal: str) -> bool:
    from flows.trial_statistics import higher_is_better

    return higher_is_better(goal)


def _read(path: Path, names: list[str]) -> Trials:
    from flows.trial_table import read_trials

    return read_trials(path, names)


def _recorded(cat: Catalog, names: list[str], pattern: str) -> Trials | None:
    from catalog.trials import trials_of

    try:
        return trials_of(cat, names, models=pattern or None)
    except NotFound:
        whose = f" of models called {pattern}" if pattern else ""
        about = h(
            "span",
            f"No trial{whose} of mixes of {', '.join(names)} alone is recorded. ",
            h("code", "strata trial design SPEC.yaml"),
            " draws mixes to try, ",
            h("code", "strata trial add"),
            " records runs made elsewhere.",
        )
        shell.show(shell.note(about))
        return None


def _find(cat: Catalog, text: str, name: str, given: dict[str, Any], asked: dict[str, Any], folder: str) -> Any:
    from flows.mixing import weigh

    with st.spinner("finding weights …"):
        return _told(lambda: weigh(cat, text, name, params=given, **asked), Path(folder))


def _told(call: Any, folder: Path) -> Any:
    """Errors name the file that was given, not where it lies here."""
    try:
        return call()
    except StrataError as error:
        raise BadInput(str(error).replace(f"{folder}/", "")) from None


def _answer(found: Any, now: dict[str, float], asked: dict[str, Any]) -> Markup:
    """Weights beside those of the spec and the natural ones, the outcome, and what the method reports."""
    rows = [
        (
            h("div", swatch(at), row["part"], cls="sx-row"),
            h("div", share(row["weight"]), bar(row["weight"]), style="display:grid;gap:3px"),
            share(now[row["part"]]) if row["part"] in now else "–",
            share(row["proportional"]),
            _epochs(row),
        )
        for at, row in enumerate(found.rows)
    ]
    heads = ["part", "weight found", "in the spec", "in proportion", "epochs"]
    coloured = [(at, row["part"], row["weight"]) for at, row in enumerate(found.rows)]
    report = {name: value for name, value in found.to_json()["report"].items() if name != "interval"}
    return h(
        "div",
        h("div", share_bar(coloured, "margin-bottom:10px"), table(heads, rows, numeric=(1, 2, 3, 4), nowrap=(0,))),
        _outcome(found, now, asked),
        panel("What the method says", pairs(list(_flat(report)))) if report else None,
        cls="sx-stack",
    )


def _epochs(row: dict[str, Any]) -> Any:
    from flows.mixing import LEAST

    if row["weight"] < LEAST:
        return h("span", "left out", cls="sx-faint")
    return f"{row['epochs']:.3g}" if row["epochs"] is not None else "–"


def _outcome(found: Any, now: dict[str, float], asked: dict[str, Any]) -> Markup:
    """The goal at the weights found, with its interval, and at others; those inside the interval are ties."""
    answer = found.answer
    if answer.predicted is None:
        return shell.note(
            h("span", "This method predicts no outcome: it weighs by what the parts hold.", cls="sx-soft")
        )
    goal = asked.get("goal") or "the goal"
    span = f"{number(answer.low)} to {number(answer.high)}" if answer.low is not None else "–"
    rows: list[tuple[Any, ...]] = [(h("b", "weights found"), number(answer.predicted), span, "")]
    for words, mix in (
        ("weights in the spec", now),
        ("in proportion", {r["part"]: r["proportional"] for r in found.rows}),
    ):
        if answer.predict is None or set(mix) != {row["part"] for row in found.rows}:
            continue
        value = float(answer.predict(np.array([[mix[row["part"]] for row in found.rows]]))[0])
        tie = answer.low is not None and answer.low <= value <= answer.high
        rows.append(
            (
                words,
                number(value),
                "",
                chip("inside the interval: a tie") if tie else chip("outside the interval", "accent"),
            )
        )
    about = f"Predicted, not measured. Interval: {answer.report.get('interval', 'as the method gives it')}."
    return h(
        "div",
        table(
            ["mix", f"predicted {goal}", "interval", "against the weights found"], rows, numeric=(1, 2), nowrap=(0, 3)
        ),
        h("div", about, cls="sx-faint", style="margin-top:6px;font-size:12.5px"),
    )


def _flat(report: dict[str, Any], prefix: str = "") -> Any:
    for name, value in report.items():
        words = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _flat(value, f"{words}: ")
        else:
            held = value if isinstance(value, (list, tuple)) else [value]
            more = " …" if len(held) > 8 else ""
            yield words, ", ".join(number(one) for one in held[:8]) + more
