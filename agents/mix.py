"""Mix: a goal in words -> a spec that can be published, with a mixer's weights, a preview, what is short, and why.

    draft(cat, "code-heavy 2M tokens, commercial use, at most 4 epochs, no eval leaks")
    propose(cat, "mix_publish", {"spec": held["spec"]}, reasons=held["reasons"], agent="mix")

Everything is worked out without a language model: the goal is read by rules (agents/goal.py), parts are discovered and
checked (agents/mix_parts.py), weights are a mixer's (agents/mix_weights.py), and the outlook is that of `strata mix preview`.
A model, with endpoint and budget, splits the goal into wants and judges candidates by facts of their cards; it gives no
weight. Nothing is written: a draft becomes a mix when somebody publishes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from agents.asking import Asker, Query, asker
from agents.goal import REST, Goal, Want, _bare, read_goal
from agents.mix_parts import Chosen, choose
from agents.mix_weights import TRIALS, most_of, weighed
from agents.prompting import prompt
from catalog.access import check
from catalog.errors import BadInput
from catalog.refs import check_name

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PURPOSE = "agent:mix"
OFF = "the language model is off: the goal is read by rules and parts are found by words and meaning; --endpoint E --budget B turns it on"
CHARS_A_TOKEN = 4.0
"""Used, and said, where tokens are not counted."""
LOWER, TRIES = 0.99, 4
"""A total that the caps allow only just is lowered by a hundredth, so often at most: samples are not divisible."""
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["wants"], "properties": {"wants": {"type": "string"}},
}  # fmt: skip


class Wants(BaseModel):
    """What a model takes a goal for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    wants: str


def draft(
    cat: Catalog, goal: str, *, name: str = "draft", measure: str | None = None, better: str = "lower",
    endpoint: str | None = None, budget: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """{"goal", "understood", "spec", "weights", "preview", "shortfalls", "left_out", "trials", "reasons", "notes"}.

    spec is None where no dataset fits. measure: a result of recorded trials that is improved (better: lower or higher).
    """
    check(cat, "read", "datasets")
    asked = read_goal(goal)
    if better not in ("lower", "higher"):
        raise BadInput(f"better is lower or higher, not {better!r}")
    check_name(name)
    helper = asker(cat, endpoint, budget, PURPOSE)
    wants = _wants(asked, helper)
    parts, left, told = choose(cat, asked, wants, endpoint=endpoint, budget=budget)
    notes = [line for line in told if not line.startswith("the language model is off")]
    notes += helper.said() if helper is not None else [OFF]
    held: dict[str, Any] = {
        "goal": asked.text, "understood": _understood(asked, wants), "spec": None, "weights": None, "preview": None,
        "shortfalls": [], "left_out": left, "trials": None, "reasons": [], "notes": notes,
    }  # fmt: skip
    if not parts:
        held["shortfalls"] = ["no dataset of the catalog fits the goal; see left_out and notes"]
        return held
    return held | _made(cat, asked, wants, parts, name, measure, better, notes)


def _wants(goal: Goal, helper: Asker | None) -> list[Want]:
    """The wants as read by rules; those without shares may be split anew by a model."""
    wants = goal.wants
    if helper is not None and not any(want.share is not None for want in wants):
        (answer,) = helper.ask([Query(prompt("mix_wants"), f"Goal: {goal.text}", SCHEMA, 200)])
        if (said := helper.read(Wants, answer)) is not None:
            words = [
                bare for piece in re.split(r"[;\n]", said.wants)[:6] if (bare := _bare(" ".join(piece.split())[:100]))
            ]
            wants = [Want(word) for word in dict.fromkeys(words)] or wants
    return wants or [Want(REST)]


def _understood(goal: Goal, wants: list[Want]) -> dict[str, Any]:
    """What was taken from the goal, so that a person sees what was not."""
    return {
        "total": goal.total, "unit": goal.unit, "use": goal.use, "epochs": goal.epochs, "no_leaks": goal.leaks,
        "tier": goal.tier, "without": goal.without,
        "wants": [{"words": want.words, "share": want.share, "why": want.why} for want in wants],
    }  # fmt: skip


def _made(
    cat: Catalog, goal: Goal, wants: list[Want], parts: list[Chosen], name: str, measure: str | None, better: str,
    notes: list[str],
) -> dict[str, Any]:  # fmt: skip
    spec: dict[str, Any] = {"name": name, "note": goal.text, "unit": "samples", "seed": 0}
    if goal.use:
        spec["use"] = goal.use
    spec["parts"] = [part.body(goal.epochs) for part in parts]
    goal, spec["unit"], parts, supply = _supplies(cat, goal, spec, parts, notes)
    spec["parts"] = [part.body(goal.epochs) for part in parts]
    if not parts:
        return {"shortfalls": ["the filters leave no row of any dataset"], "notes": notes}
    most, short = most_of(goal, parts, wants, supply)
    if not goal.epochs_said and goal.total is not None and goal.total > most:
        notes.append("rows are served once at most, as nothing was said of epochs; say 'at most 4 epochs' for more")
    total = None if goal.total is None else int(min(goal.total, most))
    if goal.total is not None and total is not None and total < goal.total:
        short.append(
            f"{goal.total:,} {goal.unit} asked, {total:,} can be served at {goal.epochs:g} epochs: the total is lowered"
        )
    if total is not None:
        spec["total"] = max(1, total)
    weights, said, more = weighed(cat, goal, spec, parts, wants, supply, measure, better)
    notes += more
    kept = [
        (part, body | {"weight": weight})
        for part, body, weight in zip(parts, spec["parts"], map(_written, weights), strict=True)
        if weight > 0
    ]
    spec["parts"] = [body for _, body in kept]
    preview = _previewed(cat, spec, notes)
    short += [str(line) for line in preview["refused"]] + [line for line in notes if line.startswith("nothing for ")]
    unchecked = preview["contamination"]["unchecked"]
    if goal.leaks and unchecked:
        short.append(f"not every row is checked against {', '.join(map(str, unchecked))}")
    for part, body in kept:
        part.reasons[0]["samples"] = part.reasons[0]["samples"] or _examples(cat, body)
    return {
        "spec": spec, "weights": said, "preview": preview, "shortfalls": short, "notes": notes,
        "trials": _trials(name, len(kept)), "reasons": [reason for part, _ in kept for reason in part.reasons],
    }  # fmt: skip


def _written(weight: float) -> float:
    return round(weight, 5) if weight >= 5e-4 else float(f"{weight:.6g}")


def _supplies(
    cat: Catalog, goal: Goal, spec: dict[str, Any], parts: list[Chosen], notes: list[str]
) -> tuple[Goal, str, list[Chosen], list[float]]:
    """What one pass over each part holds in the unit of the mix; parts that the filters empty are dropped."""
    from dataclasses import replace

    from catalog.mixes.lock import look_up
    from catalog.mixes.spec import load_spec

    rows, tokens = [], []
    kept = []
    for part, body in zip(parts, spec["parts"], strict=True):
        try:
            (held,) = look_up(cat, load_spec({**spec, "parts": [body]})).supplies
        except BadInput as error:
            notes.append(f"{part.ref} is left out: {error}")
            continue
        if not held.rows:
            notes.append(f"{part.ref} is left out: its filter keeps no row")
            continue
        kept.append(part)
        rows.append(float(held.rows))
        tokens.append(held.tokens)
    if goal.unit == "tokens" and all(tokens):
        return goal, "tokens", kept, [float(count) for count in tokens]
    if goal.unit == "tokens" and kept and goal.total is not None:
        lacking = [part.name for part, count in zip(kept, tokens, strict=True) if not count]
        chars = [_chars(cat, part) for part in kept]
        mean = sum(chars) / CHARS_A_TOKEN / max(1.0, sum(_rows(cat, part) for part in kept))
        total = max(1, round(goal.total / max(mean, 1e-9)))
        notes.append(
            f"tokens of {', '.join(lacking)} are not counted: the mix counts samples, {goal.total:,} tokens taken for {total:,} "
            f"at {CHARS_A_TOKEN:g} characters a token; strata score {lacking[0]} token_count, then draft again"
        )
        return replace(goal, unit="samples", total=total), "samples", kept, rows
    return replace(goal, unit="samples"), "samples", kept, rows


def _examples(cat: Catalog, body: dict[str, Any]) -> list[str]:
    """Two rows of a part, so that a reason can be looked at."""
    where, missing = body.get("where"), body.get("missing", "error")
    batches = cat.scan(body["dataset"], ["sample_id"], where=where, missing=missing, limit=2)
    return [sample for batch in batches for sample in batch["sample_id"].to_pylist()][:2]


def _chars(cat: Catalog, part: Chosen) -> float:
    version = cat.resolve(part.ref).version
    return float(version.statistics.get("chars", 0)) if version else 0.0


def _rows(cat: Catalog, part: Chosen) -> float:
    version = cat.resolve(part.ref).version
    return float(version.rows) if version else 0.0


def _previewed(cat: Catalog, spec: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The outlook; a total that rounding pushes over a cap is lowered a little, and said."""
    from catalog.mixes import preview

    held = preview(cat, spec)
    for _ in range(TRIES):
        if not any(part.get("shortfall") for part in held["parts"]) or not spec.get("total"):
            break
        spec["total"] = max(1, int(spec["total"] * LOWER))
        held = preview(cat, spec)
        if not any(part.get("shortfall") for part in held["parts"]):
            notes.append(
                f"the total is {spec['total']:,}, a little lower, so that whole samples stay within the epochs"
            )
    return held


def _trials(name: str, parts: int) -> dict[str, Any] | None:
    """What would have to be trained for weights that are learned."""
    if parts < 2:
        return None
    runs = max(TRIALS, 8 * parts)
    return {
        "runs": runs, "why": f"weights here come from supply and caps alone; {runs} small runs let RegMix learn them from a loss",
        "commands": [
            f"strata trial design {name}.yaml --runs {runs}", f"strata trial run design-{name} --size 1m --tokens 1000000",
            f"strata mix weights {name}.yaml --mixer regmix --trials catalog --goal RESULT --write {name}-learned.yaml",
        ],
    }  # fmt: skip
