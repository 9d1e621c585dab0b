"""A better response, written by a grader beside the grade: what of a sample it stands for, and the sample it makes.

Of a text it is the text; of a conversation the assistant's last turn; of a preference the last turn of the chosen answer.
It is stored as a row of act "edit" beside the grade's own rows, of the same grader and revision: taken back with them, and
as blind as they are. The sample itself never changes; `catalog.grades.children` makes a new one of it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from catalog.digests import content_id
from catalog.errors import BadInput
from catalog.meta.models import Campaign

EDIT = "edit"
LONGEST = 1_000_000
"""Characters of an edit at most."""
EDITED_KINDS = ("text", "chat", "preference")


def response_of(campaign: Campaign, kind: str, shown: list[dict[str, Any]]) -> tuple[str, str]:
    """What a grader may write anew: (where it stands: "", "turn:3" or "chosen:0"; its words). `BadInput` where nothing is."""
    if campaign.kind == "pair":
        raise BadInput(f"campaign {campaign.name} compares pairs: neither of two samples is edited")
    if kind not in EDITED_KINDS:
        raise BadInput(f"a {kind} sample has no response to edit; {', '.join(EDITED_KINDS)} have")
    sample = shown[0]
    if kind == "text":
        return "", sample["text"] or ""
    name = "messages" if kind == "chat" else "chosen"
    turns = sample[name] or []
    at = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=-1)
    if at < 0:
        raise BadInput("the sample has no turn of the assistant to edit")
    if turns[at].get("parts"):
        raise BadInput(f"turn {at} holds parts other than plain text; it cannot be edited here")
    return f"{'turn' if kind == 'chat' else 'chosen'}:{at}", turns[at]["content"] or ""


def edit_said(
    campaign: Campaign, kind: str, shown: list[dict[str, Any]], edit: str | None
) -> dict[tuple[str, str], str]:
    """An edit as a grade is kept, (where, no question) -> words; nothing where none was written."""
    if edit is None:
        return {}
    where, before = response_of(campaign, kind, shown)
    if not edit.strip():
        raise BadInput("the edit is empty; leave it out, or write the response")
    if len(edit) > LONGEST:
        raise BadInput(f"the edit has {len(edit):,} characters; {LONGEST:,} is the most")
    if "\x00" in edit or any("\ud800" <= letter <= "\udfff" for letter in edit):
        raise BadInput("the edit holds a null or half of a surrogate pair, which no text may; take it out")
    if edit == before:
        raise BadInput("the edit is the response as it stands; leave it out, or change it")
    return {(where, ""): edit}


def act_of(name: str) -> str:
    """Which act a row of a grade is: an edit answers no question."""
    return "grade" if name else EDIT


def child_content(kind: str, parent: dict[str, Any], where: str, words: str) -> dict[str, Any]:
    """text, content_id and the kind's own columns of the sample that an edit makes of its parent."""
    from catalog.ingest.turns import render

    if kind == "text":
        made: dict[str, Any] = {"text": words}
    else:
        name = "messages" if kind == "chat" else "chosen"
        made = {key: deepcopy(parent[key]) for key in ("messages", "chosen", "rejected") if key in parent}
        at = int(where.partition(":")[2])
        made[name][at] |= {"content": words}
        made["text"] = render([*(made["messages"] or []), *(made.get("chosen") or [])])
    return {**made, "content_id": content_id(kind, made)}
