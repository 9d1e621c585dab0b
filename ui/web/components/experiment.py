"""Experiments in tables: standings of mixes with ties, decision accuracy, cost, what was learned, one trial beside another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.charts import whiskers
from ui.web.components.figures import ago, compact, count, duration, number, plural, share
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip, joined, short, table
from ui.web.components.trials import interval

TELLS = {"best": ("best", "ok"), "tie": ("tie with the best", "warn"), "worse": ("worse", ""), "better": ("better", "ok"),
         "unknown": ("too few runs", "")}  # fmt: skip


def standings(rows: Sequence[Mapping[str, Any]], result: str, up: bool, locks: Mapping[str, str]) -> Markup:
    """The plot, the sentence that names ties, and the figures."""
    tied = [row["mix"] for row in rows if row["verdict"] == "tie"]
    unknown = [row["mix"] for row in rows if row["verdict"] == "unknown"]
    said = [h("b", rows[0]["mix"]), f" has the {'highest' if up else 'lowest'} mean of {result}"]
    if tied:
        said.append(f"; the runs do not tell it from {', '.join(tied[:6])}{' …' if len(tied) > 6 else ''}")
    if unknown:
        said.append(f"; {plural(len(unknown), 'mix has', 'mixes have')} too few runs to say")
    lines = [
        (
            h("a", row["mix"], cls="sx-link", **link("mixes", mix=row["mix"])),
            short(locks.get(row["mix"])),
            number(row["mean"]),
            interval(row["low"], row["high"]),
            count(len(row["values"])),
            compact(row["size"]),
            compact(row["tokens"]),
            chip(*TELLS[row["verdict"]], _how(row)),
        )
        for row in rows
    ]
    heads = ["mix", "lock", "mean", "95% interval of the mean", "seeds", "parameters", "tokens", "against the best"]
    body = table(heads, lines, numeric=(2, 3, 4, 5, 6), nowrap=(0, 1, 7))
    about = "Circles are runs, the dot their mean, the bar its 95% interval (Student). A tie: the interval of the difference holds zero."
    foot = h("div", about, cls="sx-faint", style="font-size:12.5px")
    return h("div", h("div", said), h("div", whiskers.figure(rows, result), cls="sx-panel"), foot, body, cls="sx-block")


def _how(row: Mapping[str, Any]) -> str:
    return f"{row['pairs']} pairs of equal seed" if row["pairs"] else "unpaired" if row["verdict"] != "best" else ""


def decisions(held: Sequence[Mapping[str, Any]], result: str) -> Markup:
    """Whether small runs would have chosen as large ones do."""
    if not held:
        return h(
            "div",
            caps("decision accuracy"),
            h("div", "It needs the same two mixes or more at two sizes of model.", cls="sx-soft"),
            cls="sx-block",
        )
    lines = [
        (
            f"{compact(one['size'])} parameters",
            compact(one["against"]),
            share(one["accuracy"]),
            f"{share(one['low'])} to {share(one['high'])}" if one["low"] is not None else "–",
            count(one["pairs"]),
            count(one["tied"]),
        )
        for one in held
    ]
    heads = ["small runs of", "decide as those of", "accuracy", "over the seeds", "pairs of mixes", "left out as ties"]
    return h(
        "div", caps(["decision accuracy of ", result]), table(heads, lines, numeric=(1, 2, 3, 4, 5)), cls="sx-block"
    )


def costs(held: Sequence[Mapping[str, Any]]) -> Markup:
    lines = []
    for one in held:
        per = one["cpu_s"] / one["accepted"] * 1e6 if one["accepted"] else None
        money = one["money"] / one["accepted"] * 1e6 if one["accepted"] and one["money"] else None
        lines.append((
            h("a", one["mix"], cls="sx-link", **link("mixes", mix=one["mix"])),
            f"{compact(one['accepted'])} {one['unit']}",
            duration(one["cpu_s"]), duration(one["gpu_s"]) if one["gpu_s"] else "–",
            number(round(one["money"], 4)) if one["money"] else "–",
            duration(per), number(round(money, 4)) if money is not None else "–",
            count(one["trials"]), compact(one["tokens"] // one["trials"]) if one["trials"] else "–",
            _operations(one["operations"] / one["trials"]) if one["trials"] and one["operations"] else "–",
            duration(one["train_s"] / one["trials"]) if one["train_s"] and one["trials"] else "–",
        ))  # fmt: skip
    heads = ["mix", "accepted", "processor", "GPU", "money", "processor per million", "money per million", "trials", "tokens a trial",
             "operations a trial", "processor a trial"]  # fmt: skip
    about = (
        "Accepted is what the lock serves, in tokens where they are counted. Its cost is that of every recorded ingest, score and "
        "promotion of the datasets behind it; data that two mixes share counts for both. Operations are 6 × parameters × tokens."
    )
    body = table(heads, lines, numeric=tuple(range(1, 11)), nowrap=(0,))
    return h("div", caps("cost"), body, h("div", about, cls="sx-faint", style="font-size:12.5px"), cls="sx-block")


def _operations(value: float) -> str:
    return f"{value:.2g}"


def learned(held: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], few: int) -> Markup:
    """What more of a part went along with, and the weights that methods came to."""
    pieces: list[Any] = [caps("what the mixes say of their parts")]
    if held:
        lines = [
            (
                one["part"],
                number(round(one["rank"], 3)),
                f"{share(one['low'])} to {share(one['high'])}",
                count(one["mixes"]),
            )
            for one in held
        ]
        heads = ["part", "rank correlation with a better result", "weights tried", "mixes"]
        pieces.append(table(heads, lines, numeric=(1, 2, 3), nowrap=(0,)))
    else:
        pieces.append(h("div", f"It needs {few} mixes or more of the same parts at other weights.", cls="sx-soft"))
    if answers:
        lines = [
            (
                one["method"],
                one["from"],
                joined([f"{name} {share(value)}" for name, value in one["weights"].items()]),
                ago(one["created"]),
            )
            for one in answers
        ]
        pieces += [
            caps("weights that methods came to"),
            table(["method", "from", "weights", "when"], lines, nowrap=(0, 3)),
        ]
    fit = h("a", "Fit a mixer to them in the editor", cls="sx-link", **link("mixes", mix="new", view="weights"))
    return h("div", pieces, fit, cls="sx-block")


def runs(trials: Sequence[Any], results: Sequence[str], picked: Sequence[str]) -> Markup:
    """Runs with their mix; a click chooses one or two to look at."""
    lines = [
        (
            h("span", trial.model or trial.id[:8], title=f"{trial.id}, from {trial.source}"),
            h("a", trial.mix, cls="sx-link", **link("mixes", mix=trial.mix)),
            count(trial.seed), count(trial.step), compact(trial.size), compact(trial.tokens),
            *(number(trial.results.get(name)) for name in results),
            chip("diverged", "bad") if trial.status == "diverged" else chip(trial.status, "ok"),
            ago(trial.created),
        )
        for trial in trials
    ]  # fmt: skip
    heads = ["run", "mix", "seed", "step", "parameters", "tokens", *results, "status", "recorded"]
    actions = [("trial", trial.id) for trial in trials]
    on = next((at for at, trial in enumerate(trials) if trial.id in picked), None)
    return table(heads, lines, numeric=tuple(range(2, 6 + len(results))), actions=actions, nowrap=(0, 1), on=on)


def beside(held: Sequence[Any]) -> Markup:
    """One trial, or two side by side: facts, weights of the parts, results and their differences."""
    names = sorted({name for trial in held for name in trial.results if not name.endswith("_stderr")})
    parts = sorted({name for trial in held for name in trial.weights})
    facts = [
        ("mix", *(h("a", trial.mix, cls="sx-link", **link("mixes", mix=trial.mix)) for trial in held)),
        ("lock", *(short(trial.lock) for trial in held)),
        ("seed", *(count(trial.seed) for trial in held)), ("step", *(count(trial.step) for trial in held)),
        ("parameters", *(compact(trial.size) for trial in held)), ("tokens", *(compact(trial.tokens) for trial in held)),
        ("from", *(h("span", trial.source, cls="sx-mono") for trial in held)), ("note", *(trial.note or "–" for trial in held)),
        ("by", *(trial.actor for trial in held)),
    ]  # fmt: skip
    facts += [
        (h("span", "weight of ", part, cls="sx-soft"), *(share(trial.weights.get(part, 0.0)) for trial in held))
        for part in parts
    ]
    two = len(held) == 2
    lines = [[*row, ""] if two else list(row) for row in facts]
    for name in names:
        values = [trial.results.get(name) for trial in held]
        row: list[Any] = [h("b", name), *(number(value) for value in values)]
        if two:
            row.append(number(values[1] - values[0]) if None not in values else "–")
        lines.append(row)
    heads = ["", *(trial.model or trial.id[:8] for trial in held), *(["difference"] if two else [])]
    said = (
        "A difference of two runs holds the noise of their seeds: compare mixes over seeds above before deciding."
        if two
        else ""
    )
    return h(
        "div",
        table(heads, lines, nowrap=(0,)),
        h("div", said, cls="sx-faint", style="font-size:12.5px") if said else None,
        cls="sx-block",
    )


def behind(traced: Mapping[str, Any]) -> Markup:
    """What a trained model leads to: mixes, datasets, licences, and what its ledger says it was served."""
    lines = [
        (h("a", one["dataset"], cls="sx-link", **link("dataset", ref=one["dataset"])), count(one["samples"]),
         joined([f"{name} {compact(rows)}" for name, rows in list(one["licences"].items())[:4]]))
        for one in traced["datasets"]
    ]  # fmt: skip
    ledger = [
        h("div", f"Ledger {one['mix']}/{one['run']}: {count(one['samples'])} samples in {count(one['steps'])} steps, {count(one['lost'])} lost, "
          f"{count(one['repeated'])} repeated") for one in traced["ledger"]
    ]  # fmt: skip
    said = ledger or [h("div", "No ledger says what it was served.", cls="sx-faint")]
    return h(
        "div",
        caps(["behind ", traced["model"]]),
        table(["dataset", "samples", "licences"], lines, numeric=(1,), nowrap=(0,)),
        said,
        cls="sx-block",
    )
