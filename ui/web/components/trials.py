"""Trials of a mix: what its runs measured, with intervals over seeds, and against another mix, ties said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from catalog import Catalog
from ui.mixing import compare_trials
from ui.web.components import address, shell
from ui.web.components.figures import compact, count, number, plural
from ui.web.components.markup import Markup, h
from ui.web.components.parts import asis, caps, chip, table

VERDICTS = {"better": "ok", "worse": "bad", "tie": "", "unknown": "warn"}
SAYS = {"tie": "tie", "unknown": "too few runs"}


def summary(groups: Sequence[Mapping[str, Any]]) -> Markup:
    """Results over the seeds, one table for each size and length of run."""
    return h("div", [_group(group) for group in groups], cls="sx-stack")


def _group(group: Mapping[str, Any]) -> Markup:
    size = f"{compact(group['size'])} parameters" if group["size"] else "size not said"
    tokens = f"{compact(group['tokens'])} tokens" if group["tokens"] else "tokens not said"
    heading = f"{size}, {tokens}, {plural(len(group['seeds']), 'seed')}"
    rows = [
        (name, number(held["mean"]), interval(held["low"], held["high"]), held["seeds"])
        for name, held in group["results"].items()
    ]
    body = table(["result", "mean", "95% interval of the mean", "seeds"], rows, numeric=(1, 2, 3), nowrap=(0,))
    return h("div", h("div", caps(heading), style="margin-bottom:6px"), body)


def interval(low: float | None, high: float | None) -> Any:
    """Two ends, or why there are none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return h("span", "needs two seeds", cls="sx-faint")
    return f"{number(low)} to {number(high)}"


def compared(found: Sequence[Mapping[str, Any]], a: str, b: str) -> Markup:
    """Differences b - a, result by result."""
    rows = [
        (
            row["result"],
            number(row["a"]),
            number(row["b"]),
            number(row["difference"]),
            interval(row["low"], row["high"]),
            number(row["detectable"]),
            chip(
                SAYS.get(row["verdict"], f"{b} is {row['verdict']}"),
                VERDICTS[row["verdict"]],
                f"{row['better']} is better",
            ),
        )
        for row in found
    ]
    heads = ["result", ["mean of ", asis(a)], ["of ", asis(b)], "difference", "95% interval", "detectable", "verdict"]
    pairs = max((row["pairs"] for row in found), default=0)
    how = (
        f"Runs of equal seed are paired ({plural(pairs, 'pair')})."
        if pairs
        else "Without three common seeds the runs are not paired."
    )
    about = f"{how} A tie: the interval holds zero. Detectable: the least difference that so many runs would show, 4 times in 5."
    body = table(heads, rows, numeric=(1, 2, 3, 4, 5), nowrap=(0, 6))
    return h("div", body, h("div", about, cls="sx-faint", style="font-size:12.5px"), cls="sx-stack")


def versus(cat: Catalog, ref: str, others: Sequence[str], models: str | None = None) -> None:
    """Runs on a mix against those on another one, which is chosen here; models: a pattern, asked for if not given."""
    one, two, _ = st.columns([1.2, 1, 1.4], gap="small")
    with one:
        other = address.choice(
            "Against the baseline", "other", ["", *others], "", format_func=lambda name: name or "none"
        )
    with two:
        label, hint = "Only models called", "all, or *-1m-*"
        pattern = address.text_box(label, "models", placeholder=hint) if models is None else models
    if other:
        with shell.guarded():
            shell.show(compared(compare_trials(cat, [other, ref], models=pattern or None), other, ref))


def listing(trials: Sequence[Any], results: Sequence[str]) -> Markup:
    """Every run; of its results those named."""
    rows = [
        (
            h("span", trial.model or trial.id[:8], title=f"{trial.id}, from {trial.source}"),
            count(trial.seed),
            count(trial.step),
            compact(trial.tokens),
            *(number(trial.results.get(name)) for name in results),
            chip("diverged, not used", "bad") if trial.status == "diverged" else chip(trial.status, "ok"),
        )
        for trial in trials
    ]
    width = len(results)
    return table(["run", "seed", "step", "tokens", *results, "status"], rows, numeric=tuple(range(1, 4 + width)))
