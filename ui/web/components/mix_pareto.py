"""Two results at once: the front of the recorded runs and of what a fitted mixer predicts, and one of them into the spec."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.errors import BadInput
from catalog.mixers import Trials
from catalog.plugins import plugins
from catalog.trials import mixes_of
from flows.mix_front import PREDICT, Aim, Front, Point, measured, predicted, to_trade, with_weights
from flows.mixing import given_shares
from ui.web.charts.pareto import figure
from ui.web.components import address, params, shell
from ui.web.components.figures import compact, number, plural, share
from ui.web.components.lock import share_bar
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.mix_weights import higher, runs
from ui.web.components.parts import chip, table
from ui.web.queries import mixtures

FITTED, TAKEN, NEXT = "mix_front", "mix_front_taken", "mix_spec_next"
LINES = 80
"""Lines of the table; of more runs those on the first fronts."""
KINDS = {"run": "measured", "drawn": "predicted", "best": "predicted", "spec": "predicted"}


def pareto(cat: Catalog, text: str) -> None:
    """Which runs, which two results, and then the front. What was taken from it into the spec can be put back."""
    taken = st.session_state.get(TAKEN)
    base = taken["base"] if taken and taken["written"] == text else text
    names = mixtures.open_parts(base)
    if len(names) < 2:
        raise BadInput("fewer than two parts of the spec are without a fixed budget; there is nothing to trade")
    with tempfile.TemporaryDirectory() as folder:
        found = runs(cat, names, Path(folder))
        if found is None:
            return
        results = to_trade(found[0])
    if len(results) < 2:
        shell.show(_one_result(results[0]))
        return
    aims = _aims(results)
    front = measured(found[0], names, aims)
    fitted = _fitted(cat, base, names, found[0], aims)
    chosen = taken["key"] if taken and base is not text and taken["aims"] == aims else ""
    points = [*front.points, *(fitted.points if fitted else ())]
    live(_drawn(cat, front, fitted, points, chosen), "pareto", partial(_take, base, aims, points))
    if base is not text:
        st.button("Put the spec back as it was", key="mix_back", on_click=_back, args=(base,))


def _one_result(name: str) -> Markup:
    said = h("span", f"The runs measured one result, {name}; a front needs two. Record a second one with the same runs: ",
             h("code", "strata trial add MIX --results FILE"), ", or give a table of runs with two columns of results.")  # fmt: skip
    return shell.note(said)


def _aims(results: list[str]) -> tuple[Aim, Aim]:
    """Two boxes, each with its direction; all four are in the address."""
    boxes = st.columns([2, 1.1, 2, 1.1], gap="small", vertical_alignment="bottom")
    made = []
    for at, (name, label) in enumerate((("x", "First"), ("y", "Second"))):
        with boxes[2 * at]:
            result = address.choice(f"{label} result", name, results, results[at], clears=(f"{name}up",))
        with boxes[2 * at + 1]:
            usual = "higher" if higher(result) else "lower"
            made.append(Aim(result, address.choice(f"{label} is better", f"{name}up", ["lower", "higher"], usual)))
    return made[0], made[1]


def _fitted(cat: Catalog, base: str, names: list[str], held: Trials, aims: tuple[Aim, Aim]) -> Front | None:
    """What a mixer predicts, once it is asked to; another spec, result or set of runs asks anew."""
    known = plugins("mixer")
    one, two, three = st.columns([2.4, 1.2, 1.6], gap="small", vertical_alignment="bottom")
    with one:
        name = address.choice(
            "Predict with", "mixer", PREDICT, PREDICT[0], format_func=lambda n: f"{n}: {known[n].summary}"
        )
    with two.popover("Parameters", width="stretch"):
        given = params.form([known[name]])
    key = (base, aims, name, json.dumps(given, sort_keys=True), _digest(held), mixtures.heads(cat))
    if three.button(
        "Predict other mixes", key="mix_predict", width="stretch", help="Fits one model a result to these runs."
    ):
        st.session_state.pop(FITTED, None)
        shares = given_shares(base, names)
        now = [shares[part] for part in names] if shares else None
        with shell.guarded(), st.spinner("fitting and drawing mixes …"):
            st.session_state[FITTED] = (key, predicted(cat, base, name, aims, held, params=given, now=now))
    kept = st.session_state.get(FITTED)
    return kept[1] if kept and kept[0] == key else None


def _digest(held: Trials) -> int:
    return hash((held.weights.tobytes(), *(values.tobytes() for values in held.results.values())))


def _take(base: str, aims: tuple[Aim, Aim], points: Sequence[Point], name: str, value: str) -> None:
    """The weights of a point go into the spec; the editor takes them before it is drawn again."""
    if name == "take" and (held := taken(base, aims, points, value)):
        st.session_state[TAKEN], st.session_state[NEXT] = held, held["written"]


def taken(base: str, aims: tuple[Aim, Aim], points: Sequence[Point], key: str) -> dict[str, Any] | None:
    """The spec with the weights of a point, and what it was before; None for a point that is gone."""
    point = next((held for held in points if held.key == key), None)
    if point is None:
        return None
    written = mixtures.written(with_weights(base, point)).strip() + "\n"
    return {"base": base, "written": written, "key": point.key, "aims": aims}


def _back(base: str) -> None:
    st.session_state["mix_spec"] = base
    st.session_state.pop(TAKEN, None)


def _drawn(cat: Catalog, front: Front, fitted: Front | None, points: Sequence[Point], chosen: str) -> Markup:
    """The sentence, the chart with its key, the table, and what has to be known."""
    mixes = mixes_of(cat, [trial for point in front.points for trial in point.trials])
    said = {point.key: _told(point, front) for point in points}
    notes = [*front.notes, *(fitted.notes if fitted else ())]
    about = "Predictions are not measured: train on a mix before you trust it. " if fitted else ""
    foot = about + (f"{'; '.join(notes)}." if notes else "")
    return h(
        "div",
        h("div", _sentence(front, fitted)),
        h("div", figure(points, front.aims, chosen, said), _key(fitted is not None), cls="sx-panel"),
        _table(front, points, chosen, mixes),
        h("div", foot, cls="sx-soft", style="font-size:12.5px") if foot else None,
        cls="sx-stack",
    )


def _sentence(front: Front, fitted: Front | None) -> str:
    total, best = len(front.points), sum(not point.front for point in front.points)
    line = f"{best} of {plural(total, 'measured mix', 'measured mixes')} {'is' if best == 1 else 'are'} on the front: no other is as good in both results and better in one."
    if fitted is None:
        return line
    return (
        f"{line} Of the predicted mixes {sum(not point.front for point in fitted.points)} along their front are shown."
    )


def _told(point: Point, front: Front) -> str:
    held = "; ".join(f"{aim.name} {number(value)}" for aim, value in zip(front.aims, point.values))
    shares = ", ".join(f"{part} {share(weight)}" for part, weight in zip(front.parts, point.weights) if weight > 0)
    return f"{KINDS[point.kind]}: {held}; {shares}"


def _key(fitted: bool) -> Markup:
    """What the marks mean."""
    marks = [("run on", "circle", "measured, on the front"), ("run off", "circle", "measured, dominated")]
    if fitted:
        marks += [("drawn on", "circle", "predicted, on the front"), ("drawn off", "circle", "predicted, dominated"),
                  ("best", "diamond", "best in one result"), ("spec", "square", "weights of the spec")]  # fmt: skip
    shapes = {
        "circle": h("circle", cx=7, cy=7, r=4.5), "square": h("rect", x=3, y=3, width=8, height=8),
        "diamond": h("rect", x=3, y=3, width=8, height=8, transform="rotate(45 7 7)"),
    }  # fmt: skip
    made = [h("span", h("svg", h("g", shapes[shape], cls=kind), viewBox="0 0 14 14", cls="sx-pareto", aria_hidden="true"), words, cls="sx-key")
            for kind, shape, words in marks]  # fmt: skip
    return h("div", made, h("span", "Click a point: its weights go into the spec.", cls="sx-soft"), cls="sx-wrap",
             style="gap:6px 16px;font-size:12.5px;margin-top:8px")  # fmt: skip


def _table(front: Front, points: Sequence[Point], chosen: str, mixes: dict[str, str]) -> Markup:
    """Every measured mix, then the predicted front; dominated predictions are in the chart alone."""
    shown = [point for point in points if point.kind != "drawn" or not point.front or point.key == chosen]
    rows = [_row(front, point, point.key == chosen, mixes) for point in shown[:LINES]]
    heads = ["take", "mix", "stands", *(aim.name for aim in front.aims), "weights"]
    on = next((at for at, point in enumerate(shown[:LINES]) if point.key == chosen), None)
    left = len(shown) - LINES
    more = h("div", f"{left} more are in the chart alone.", cls="sx-soft") if left > 0 else None
    return h("div", table(heads, rows, numeric=(3, 4), nowrap=(0, 1, 2), on=on), more)


def _row(front: Front, point: Point, chosen: bool, mixes: dict[str, str]) -> tuple[Any, ...]:
    pressed = "true" if chosen else "false"
    label = f"Put into the spec: {_told(point, front)}"
    button = h("button", "Chosen" if chosen else "Use", cls="sx-pick", type="button", aria_pressed=pressed,
               aria_label=label, data_act=f"take:{point.key}")  # fmt: skip
    stand = (
        chip("front", "accent" if point.kind == "run" else "warn") if not point.front else chip("dominated", "plain")
    )
    values = [_value(point, at) for at in (0, 1)]
    coloured = [
        (at, name, weight)
        for at, (name, weight) in enumerate(zip(front.parts, point.weights, strict=True))
        if weight > 0
    ]
    words = ", ".join(f"{name} {share(weight)}" for _, name, weight in coloured)
    shares = h(
        "div",
        share_bar(coloured),
        h("div", words, cls="sx-soft", style="font-size:12px"),
        cls="sx-tight",
        style="min-width:120px",
    )
    return button, _name(point, mixes, bool(front.notes)), stand, *values, shares


def _value(point: Point, at: int) -> Markup:
    low, high = point.low[at], point.high[at]
    span = h("div", f"{number(low)} to {number(high)}", cls="sx-faint", style="font-size:12px") if low is not None and high is not None else None  # fmt: skip
    return h("div", number(point.values[at]), span)


def _name(point: Point, mixes: dict[str, str], unlike: bool) -> Any:
    """The mixes that were run, or what a prediction is of."""
    if point.kind != "run":
        return {"drawn": "drawn", "best": "best in one result", "spec": "weights of the spec"}[point.kind]
    refs = list(dict.fromkeys(mixes[trial] for trial in point.trials if trial in mixes))
    named: list[Any] = [h("a", ref, cls="sx-link", **link("mixes", mix=ref, tab="trials")) for ref in refs[:2]]
    facts = [plural(point.runs, "run"), *([f"{compact(point.size)} parameters"] if unlike and point.size else [])]
    more = f" +{len(refs) - 2}" if len(refs) > 2 else ""
    return h("div", named or "of the table", more, h("div", ", ".join(facts), cls="sx-faint", style="font-size:12px"))  # fmt: skip
