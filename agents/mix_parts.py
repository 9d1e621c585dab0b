"""The parts of a mix for a goal: datasets that discovery finds for each want, the rows of them that may be used, and why.

A dataset is left out, with its reason, where it is an eval, is far from the want, meets a demand not at all, has a licence
nobody knows for a stated use, or is the parent of another part, whose rows it would serve twice. Published edits are no
such part: they are few samples of their own, and stand beside the dataset that was edited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.discover import discover
from agents.goal import REST, Goal, Want
from agents.need import NAMES
from catalog.card_index import words_of

if TYPE_CHECKING:
    from catalog.catalog import Catalog

TOP = 3
"""Datasets of one want at most, where it does not name them."""
NEAR = 0.05
"""A dataset without a word of the want must be as near in meaning as the nearest one, less this cosine."""
FACTS = {"name", "note", "sources", "kind", "columns", "licences", "languages", "selections"}
"""Fields of a card that are no text of samples; the other fields are not quoted in a reason."""
STRONG, WEAK_NEAR = {"name", "note", "sources", "labels", "selections", "kind"}, 0.15
"""Fields whose words say what a dataset is of; words of its rows count only with a cosine so near the nearest."""
LEAST, WEAK_LEAST = 0.4, 0.3
"""Cosines below which meaning alone, or with words of rows, makes no part."""
LEAKS = "eval_leak < 0.5 AND eval_leak_numbers < 0.8"


@dataclass
class Chosen:
    """A part. group: number of its want; reasons: {"text", "samples"}."""

    ref: str
    group: int
    where: list[str] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.ref.partition("@")[0]

    def body(self, epochs: float) -> dict[str, Any]:
        """As a spec writes it."""
        where = " AND ".join(f"({part})" if re.search(r"\bOR\b", part) else part for part in self.where)
        more = {"where": where, "missing": "drop"} if where else {}
        return {"dataset": self.ref, **more, "max_epochs": epochs}


def choose(
    cat: Catalog, goal: Goal, wants: list[Want], **model: str | None
) -> tuple[list[Chosen], list[dict[str, str]], list[str]]:
    """Parts, what was left out and why, and notes. model: endpoint and budget, for discovery to judge candidates."""
    chosen: dict[str, Chosen] = {}
    left: dict[str, str] = {}
    notes: list[str] = []
    for group, want in enumerate(wants):
        found = discover(cat, _need(goal, want), top=50, **model)  # type: ignore[arg-type]
        notes += [line for line in found["notes"] if line not in notes]
        taken = 0
        named = _named(want, found["datasets"])
        nearest = max((item["ranks"].get("meaning", {}).get("score", 0.0) for item in found["datasets"]), default=0.0)
        for item in found["datasets"]:
            name = item["ref"].partition("@")[0]
            if name in chosen:
                continue
            if why := _against(goal, want, item, named, nearest):
                left.setdefault(name, why)
                continue
            if not named and want.words != REST and taken >= TOP:
                left.setdefault(name, f"further from {want.words!r} than {TOP} others")
                continue
            chosen[name] = _part(item, group, want)
            taken += 1
            left.pop(name, None)
        if taken == 0:
            notes.append(f"nothing for {want.words!r}: " + ("; ".join(found["gaps"]) or "every candidate was left out"))
    _without_parents(cat, chosen, left, notes)
    if goal.leaks:
        _without_leaks(cat, list(chosen.values()), notes)
    return list(chosen.values()), [{"dataset": name, "why": why} for name, why in sorted(left.items())], notes


def _need(goal: Goal, want: Want) -> str:
    """The want with the demands of the whole goal, as discovery reads needs."""
    parts = ["data" if want.words == REST else want.words]
    spoken = [NAMES[code] for code in goal.languages]
    if spoken and not any(name.casefold() in want.words.casefold() for name in spoken) and len(spoken) == 1:
        parts.append(f"in {spoken[0]}")
    use = {"commercial": "for commercial use", "research": "research only", "share": "redistributable",
           "share-commercial": "redistributable commercially"}  # fmt: skip
    return ", ".join([" ".join(parts), *([use[goal.use]] if goal.use else []), *([goal.tier] if goal.tier else [])])


def _named(want: Want, items: list[dict[str, Any]]) -> set[str]:
    """Datasets that the want names outright: web-l2 or web@v1, where web alone may be the word."""
    names = {item["ref"].partition("@")[0] for item in items}
    said = want.words.casefold()
    return {name for name in names
            if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])" + ("" if re.search(r"[-_\d]", name) else r"@v\d"), said)}  # fmt: skip


def _against(goal: Goal, want: Want, item: dict[str, Any], named: set[str], nearest: float) -> str:
    """Why a dataset is no part; empty where it is one."""
    name = item["ref"].partition("@")[0]
    if item["warnings"]:
        return item["warnings"][0]
    if not item["rows"]:
        return "it has no rows"
    if stop := next(
        (word for word in goal.without if set(words_of(word)) & set(words_of(f"{name} {item['note']}"))), None
    ):
        return f"the goal is without {stop}"
    for check in item["checks"]:
        if check["verdict"] == "against" or (check["verdict"] == "unknown" and "use (" in check["asked"]):
            return f"{check['asked']}: {check['why']}"
    if named:
        return "" if name in named else f"the goal names {', '.join(sorted(named))}"
    if want.words == REST:
        return ""
    verdict = item.get("language_model")
    if verdict is not None and verdict["fit"] == 0:
        return f"the language model says it is unrelated: {verdict['why']}"
    near = item["ranks"].get("meaning", {}).get("score", 0.0)
    worded = set(item["matched"]) & STRONG
    allowed = max(nearest - WEAK_NEAR, WEAK_LEAST) if item["matched"] else max(nearest - NEAR, LEAST)
    if item["far"] or (not worded and near < allowed):
        return f"far from {want.words!r}"
    return ""


def _part(item: dict[str, Any], group: int, want: Want) -> Chosen:
    where = [check["where"] for check in item["checks"] if check.get("where")]
    words = [f"{', '.join(held)} in its {name}" for name, held in item["matched"].items() if name in FACTS]
    places = [f"place {held['place']} by {name} ({held['score']:.3f})" for name, held in item["ranks"].items()]
    said = "; ".join([*words, *places]) or "it meets the demands"
    demands = [f"{check['asked']}: {check['why']}" for check in item["checks"] if check["verdict"] in ("met", "partly")]
    first = {"text": f"{item['ref']} for {want.words!r}: {said}", "samples": item["samples"]}
    return Chosen(
        item["ref"], group, where, [first, *({"text": f"{item['ref']}: {line}", "samples": []} for line in demands)]
    )


def _without_parents(cat: Catalog, chosen: dict[str, Chosen], left: dict[str, str], notes: list[str]) -> None:
    """Of datasets made from one another, only the last one made stays; edits stand beside what they are edits of."""
    from catalog.grades.children import datasets_of_edits

    edits, datasets = datasets_of_edits(cat), cat.datasets(unpublished=True)
    parents = {dataset.name: (dataset.parent or "").partition("@")[0] for dataset in datasets}
    rewritten, beside = {dataset.name for dataset in datasets if dataset.id in edits}, list[tuple[str, str]]()
    for name in list(chosen):
        last, seen, replaced = name, {name}, True
        while (above := parents.get(last, "")) and above not in seen:
            seen.add(above)
            replaced = replaced and last not in rewritten
            if above in chosen and name in chosen and replaced:
                chosen[name].group = min(chosen[name].group, chosen[above].group)
                del chosen[above]
                left[above] = f"{name} was made from it, and holds its rows"
            elif not replaced:
                beside.append((name, above))
            last = above
    for name, above in beside:
        if name in chosen and above in chosen:
            notes.append(f"{name} holds edits of rows of {above}: those rows are in the mix in both forms")


def _without_leaks(cat: Catalog, chosen: list[Chosen], notes: list[str]) -> None:
    """Filter rows that leak an eval; a dataset without the check is said, and the lock will say it too."""
    if not any(dataset.role == "eval" for dataset in cat.datasets()):
        notes.append(
            "no dataset has role eval, so there is nothing that could leak: strata ingest FILE --role eval adds one"
        )
        return
    for part in chosen:
        held = {column.alias for column in cat.columns(part.name)}
        if {"eval_leak", "eval_leak_numbers"} <= held:
            part.where.append(LEAKS)
            part.reasons.append({"text": f"{part.ref}: rows that leak an eval are left out", "samples": []})
        else:
            notes.append(
                f"{part.name} is not checked for eval leaks: strata score {part.name} eval_overlap, then draft again"
            )
