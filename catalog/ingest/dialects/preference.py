"""Preference pairs: a chosen and a rejected continuation, as strings, transcripts or lists of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catalog.ingest.dialect import Convert, Row, dialect
from catalog.ingest.dialects.chat import PROMPT, SYSTEM, turns_of, user_turn
from catalog.ingest.records import EMPTY, MISSING_FIELD
from catalog.ingest.turns import (
    Unusable,
    has_text,
    is_transcript,
    message,
    optional_text,
    render,
    split_prefix,
    transcript,
)


def _comparable(rows: Sequence[Row], fields: Mapping[str, str]) -> str | None:
    names = fields["chosen"], fields["rejected"]
    held = sum(all(isinstance(row.get(name), str | list | dict) for name in names) for row in rows)
    return (
        None if held * 2 >= len(rows) else f"{' and '.join(names)} are strings or turns in {held} of {len(rows)} rows"
    )


@dialect(
    "preference",
    kind="preference",
    rank=10,
    roles={
        "chosen": "chosen preferred chosen_response response_chosen accepted winner better win positive",
        "rejected": "rejected dispreferred rejected_response response_rejected rejected_answer loser worse lose negative",
        "prompt": f"{PROMPT} messages",
        "input": "input context",
        "system": SYSTEM,
    },
    needs="chosen rejected",
    check=_comparable,
)
def preference(fields: dict[str, str]) -> Convert:
    """chosen and rejected; the turns both begin with are the prompt, unless the prompt is given."""
    names = fields["chosen"], fields["rejected"]
    prompt, more, system = fields.get("prompt"), fields.get("input"), fields.get("system")

    def convert(row: Row) -> Row:
        sides = []
        for name in names:
            value = row.get(name)
            if value is None:
                raise Unusable(EMPTY if name in row else MISSING_FIELD, f"no {name}")
            sides.append(transcript(value, name) if is_transcript(value) else turns_of(value, name, "assistant"))
        for name in names:
            del row[name]
        chosen, rejected = sides
        turns: list[dict] = []
        if has_text(words := optional_text(row, system)):
            turns.append(message("system", words or ""))
        asked = row.pop(prompt, None) if prompt else None
        if isinstance(asked, str) and has_text(asked):
            given = (
                transcript(asked, prompt or "")
                if is_transcript(asked)
                else [user_turn(asked, optional_text(row, more))]
            )
        else:
            given = turns_of(asked, prompt or "", "user") if isinstance(asked, list) and asked else []
        start = len(given)
        if given and chosen[:start] == given and rejected[:start] == given and len(chosen) > start < len(rejected):
            chosen, rejected = chosen[start:], rejected[start:]
        shared, chosen, rejected = split_prefix(chosen, rejected)
        turns += given + shared
        if not any(has_text(turn.get("content")) or turn.get("tool_calls") for turn in chosen + rejected):
            raise Unusable(EMPTY, "both continuations are empty")
        return {"text": render(turns + chosen), "messages": turns, "chosen": chosen, "rejected": rejected}

    return convert
