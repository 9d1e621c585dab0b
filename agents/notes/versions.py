"""Release notes and a card draft from the difference of two versions of a dataset, or of two mixes.

    version_notes(cat, "web@v2", "web@v3")["markdown"]

Every number in the notes stands in the diff (`catalog.diff`, `catalog.mixes.diff`), which comes along as "facts": nothing is
computed here, and sizes are said in words where a share would be a new number. A bump is suggested by the rules in RULES.
With endpoint and budget a language model rewords sentences; one whose numbers or names are not those of the sentence it was
given is refused, kept raw and asked again. Nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.notes.markdown import card_draft, notes
from agents.notes.warnings import bump_of, warnings_of
from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.refs import parse_ref

if TYPE_CHECKING:
    from catalog.catalog import Catalog

OFF = "the language model is off: the notes are as the rules word them; --endpoint E --budget B turns it on"


def version_notes(
    cat: Catalog, a: str, b: str | None = None, *, endpoint: str | None = None, budget: str | None = None
) -> dict[str, Any]:
    """{"a", "b", "bump", "why", "warnings", "markdown", "card", "facts", "notes"}.

    b: None compares `a` with the version before it. endpoint, budget: both or none.
    """
    from agents.asking import asker
    from catalog.mixes.lock import find_mix

    if b is None:
        a, b = _before(cat, a), a
    for ref in (a, b):
        check(cat, "read", ref)
    nouns = [cat._noun(parse_ref(ref).name) for ref in (a, b)]
    if "mix" in nouns and nouns[0] != nouns[1]:
        raise BadInput(f"{a} and {b} are not of one kind: compare two versions of datasets, or two of mixes")
    helper, mix = asker(cat, endpoint, budget, "agent:version"), nouns[0] == "mix"
    if mix:
        a, b = (f"{parse_ref(ref).name}@v{find_mix(cat, ref).version}" for ref in (a, b))
    facts: dict[str, Any] = {
        "of": "mix" if mix else "dataset",
        "diff": cat.diff(a, b),
        "about": {} if mix else _about(cat, b),
    }
    warnings = warnings_of(facts)
    bump, why = bump_of(facts)
    sections = notes(facts, warnings, bump, why)
    said: list[str] = [] if helper else [OFF]
    refused: list[dict[str, Any]] = []
    if helper is not None:
        from agents.notes.model import reworded

        refused = reworded(helper, sections, [a, b] if not mix else _datasets(cat, a, b))
        said = helper.said()
    return {
        "a": facts["diff"]["a"], "b": facts["diff"]["b"], "bump": bump, "why": why, "warnings": warnings,
        "markdown": _joined(sections), "card": _joined(card_draft(facts, warnings)), "facts": facts,
        "refused": refused, "notes": said,
    }  # fmt: skip


def _joined(sections: list[list[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _before(cat: Catalog, ref: str) -> str:
    """The version before a reference."""
    name = parse_ref(ref).name
    if cat._noun(name) == "mix":
        from catalog.mixes.lock import find_mix

        number = find_mix(cat, ref).version
    else:
        number = cat.resolve(ref).number
    if number < 2:
        raise BadInput(
            f"{name}@v{number} has no version before it: name two, as in strata notes A B; `strata card` tells of one"
        )
    return f"{name}@v{number - 1}"


def _about(cat: Catalog, ref: str) -> dict[str, Any]:
    """What the diff does not hold of the newer side: words, no counts."""
    from catalog.evals import checked, evals, stamp

    found = cat.resolve(ref)
    dataset = found.dataset
    held = [] if dataset.role == "eval" else evals(cat)
    known = checked(cat, dataset.name) if held else set()
    return {
        "name": dataset.name, "kind": dataset.kind, "tier": dataset.tier, "note": dataset.note, "owner": dataset.owner,
        "licence_declared": dataset.licence, "licence_verified": dataset.licence_verified, "parent": dataset.parent,
        "evals": [entry["ref"] for entry in held],
        "unchecked_evals": [entry["ref"] for entry in held if stamp(entry) not in known],
        "columns": sorted(column.alias for column in cat.columns(dataset.name)),
    }  # fmt: skip


def _datasets(cat: Catalog, *mixes: str) -> list[str]:
    """The datasets whose names and licences the notes of a mix tell."""
    from catalog.mixes.lock import load_lock

    names = [part["dataset"] for ref in mixes for part in load_lock(cat, ref)["parts"]]
    for name in dict.fromkeys(names):
        if cat.find(name) is None:
            raise NotFound(
                "dataset", name, [], "a part of the mix was dropped; its notes are worded without a language model"
            )
    return list(dict.fromkeys(names))
