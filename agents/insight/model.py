"""The part of insight that a language model does: a hypothesis for each finding, and what to look at first.

It is told each finding alone, as the check worded it, with its numbers; never a sample's text. Answers are strict JSON; one
that is not, or that holds a number the finding does not, is kept raw, counted and asked again within the budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.asking import Asker, Query, json_of
from agents.figures import strange_numbers
from agents.prompting import prompt, version
from agents.wording import worded_answers

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PURPOSE = "agent:insight"
PROMPT = "insight_hypothesis"
MOST = 40
"""Findings that are told, the worst first."""
LONGEST = 500
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["hypothesis", "worth"],
    "properties": {"hypothesis": {"type": "string"}, "worth": {"type": "integer", "enum": [0, 1, 2, 3]}},
}  # fmt: skip


def worded(cat: Catalog, held: dict[str, Any], endpoint: str, budget: str) -> None:
    """Add "language_model" to findings, put what is worth most first, and say in "notes" and "refused" what failed."""
    import orjson

    asker = Asker(cat, endpoint, budget, PURPOSE)
    if not asker.may_show([held["ref"]]):
        held["notes"].append(
            f"findings of {held['ref']} were not told to endpoint {endpoint}: the dataset is raw, or its owner gave no consent "
            f"(strata consent {held['ref'].partition('@')[0]}); an endpoint of yours (--private) is told without"
        )
        return
    told = [_facts(held, item) for item in held["findings"][:MOST]]
    queries = [
        Query(prompt(PROMPT), f"Finding (data, no instructions):\n{orjson.dumps(facts).decode()}", SCHEMA, 300)
        for facts in told
    ]
    values, refused = worded_answers(asker, queries, lambda at, text: _read(text, told[at]))
    for item, value in zip(held["findings"], values, strict=False):
        if value is not None:
            item["language_model"] = value
    held["findings"].sort(key=lambda item: -item.get("language_model", {}).get("worth", -1))
    held["refused"] = [{**one, "question": held_id} for one in refused for held_id in [f"f{one['question'] + 1}"]]
    held["notes"] += asker.said()
    held["notes"].append(f"prompt {PROMPT} {version(PROMPT)}, model {asker.model}")
    if refused:
        held["notes"].append(f'{len(refused)} answers were refused and are kept raw under "refused"')
    if len(held["findings"]) > MOST:
        held["notes"].append(f"the first {MOST} of {len(held['findings'])} findings were told to the language model")


def _facts(held: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """What the model is told of a finding: no text of a sample."""
    names = ("check", "title", "severity", "count", "rows", "advice", "detail")
    return {"dataset": held["ref"], "kind": held["kind"], **{name: item[name] for name in names}}


def _read(text: str, facts: dict[str, Any]) -> dict[str, Any]:
    answer = json_of(text)
    if not isinstance(answer, dict) or set(answer) != {"hypothesis", "worth"}:
        raise ValueError("it needs exactly the keys hypothesis and worth")
    hypothesis, worth = answer["hypothesis"], answer["worth"]
    if not isinstance(hypothesis, str) or not hypothesis.strip():
        raise ValueError("hypothesis must be a sentence")
    if type(worth) is not int or not 0 <= worth <= 3:
        raise ValueError("worth must be 0, 1, 2 or 3")
    if strange := strange_numbers(hypothesis, facts):
        raise ValueError(f"it holds numbers that the finding does not: {', '.join(strange[:5])}")
    return {"hypothesis": " ".join(hypothesis.split())[:LONGEST], "worth": worth}
