"""strata propose, and strata proposals list|show|edit|approve|reject."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, opened, table

Id = Annotated[str, typer.Argument(metavar="ID", help="Proposal, or the first six digits and more of it.")]
Note = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the decision.")]
Arguments = Annotated[
    str, typer.Argument(metavar="JSON", help="Arguments of the verb, as JSON; - reads them from stdin.")
]


def _arguments(given: str) -> dict[str, Any]:
    import sys

    import orjson

    from catalog.errors import BadInput

    text = sys.stdin.read() if given == "-" else given
    try:
        held = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f'the arguments are no JSON ({error}); write \'{{"ref": "web", "label": "good"}}\'') from None
    if not isinstance(held, dict):
        raise BadInput('the arguments are a JSON object: {"ref": ...}')
    return held


def propose(
    verb: Annotated[
        str | None, typer.Argument(metavar="[VERB]", help="What is to be done; without: the verbs there are.")
    ] = None,
    args: Annotated[
        str | None, typer.Argument(metavar="[JSON]", help="Arguments of the verb, as JSON; - reads them from stdin.")
    ] = None,
    reason: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Why; repeat for more.")] = None,
    sample: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A sample that shows it; repeat for more.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask for a write that somebody else approves: its effect is worked out now and nothing is changed.

    Example: strata propose tag '{"ref": "web@v1", "label": "good"}' --reason "passed the review"
    """  # fmt: skip
    from agents.proposals import propose as make
    from agents.proposals import verbs
    from catalog.errors import BadInput
    from ui.proposing import proposal_facts, verb_row

    if verb is None:
        rows = [verb_row(held) for held in verbs()]
        brief = [
            {"verb": row["verb"], "does": row["does"], "arguments": ", ".join(row["args"]["properties"])}
            for row in rows
        ]
        return emit(json, rows, lambda: table(brief, ["verb", "does", "arguments"]))
    if args is None:
        raise BadInput(f"say with which arguments: strata propose {verb} '{{...}}'; `strata propose` lists them")
    reasons: list[dict[str, Any]] = [{"text": text} for text in reason or []]
    if sample:
        reasons = [{**(reasons[0] if reasons else {"text": "samples"}), "samples": sample}, *reasons[1:]]
    made = make(opened(), verb, _arguments(args), reasons=reasons)
    emit(json, proposal_facts(made), lambda: _shown(made))


def list_proposals(
    status: Annotated[str | None, typer.Option(metavar="open|done|rejected|failed", help="Only these.")] = None,
    json: Json = False,
) -> None:
    """List proposals, newest first.

    Example: strata proposals list --status open
    """
    from agents.proposals import proposals
    from ui.proposing import proposal_row

    rows = [proposal_row(held) for held in proposals(opened(), status)]
    emit(json, rows, lambda: table(rows, ["id", "verb", "status", "effect", "by", "created"], empty="no proposal"))


def show(given: Id, json: Json = False) -> None:
    """Show a proposal: what it asks for, what that would do, why, and what became of it.

    Example: strata proposals show 3fa2b1
    """
    from agents.proposals import find
    from ui.proposing import proposal_facts

    held = find(opened(), given)
    emit(json, proposal_facts(held), lambda: _shown(held))


def edit(given: Id, args: Arguments, why: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why.")] = "",
         json: Json = False) -> None:  # fmt: skip
    """Give a proposal other arguments: its effect is worked out anew, the old ones are kept beside it.

    Example: strata proposals edit 3fa2b1 '{"ref": "web@v2", "label": "good"}'
    """
    from agents.proposals import edit as change
    from ui.proposing import proposal_facts

    held = change(opened(), given, _arguments(args), why)
    emit(json, proposal_facts(held), lambda: _shown(held))


def approve(
    given: Id,
    seen: Annotated[str | None, typer.Option(metavar="DIGITS", help="Digest of the look you approve; any other is refused.")] = None,
    why: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why.")] = "",
    json: Json = False,
) -> None:  # fmt: skip
    """Do what a proposal asks for, with your rights; refused when its effect is no longer the one that was shown.

    Example: strata proposals approve 3fa2b1 --seen 91c04d22
    """
    from agents.proposals import approve as carry_out
    from ui.proposing import proposal_facts

    held = carry_out(opened(), given, seen=seen, note=why)
    emit(json, proposal_facts(held), lambda: _shown(held))


def reject(
    given: Id, why: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why.")] = "", json: Json = False
) -> None:
    """Say no to a proposal; it stays in the book.

    Example: strata proposals reject 3fa2b1 --note "the licence is not clear"
    """  # fmt: skip
    from agents.proposals import reject as refuse
    from ui.proposing import proposal_facts

    held = refuse(opened(), given, why)
    emit(json, proposal_facts(held), lambda: _shown(held))


def _shown(held: Any) -> None:
    from agents.proposals import OPEN

    effect = held.effect
    facts({
        "proposal": held.id[:12], "asks": f"{held.verb} {held.args}", "effect": effect.get("summary"), "status": held.status,
        "by": held.actor, "model": held.model or None, "licences": effect.get("licences") or None,
        "money": effect.get("money"), "seen": held.seen[:12], "decided by": held.decided_by, "note": held.note or None,
        "error": held.error, "result": held.result or None,
    })  # fmt: skip
    for reason in held.reasons:
        cited = f" ({', '.join(item[:12] for item in reason['samples'])})" if reason["samples"] else ""
        print(f"  because {reason['text']}{cited}")
    for line in effect.get("warnings", []):
        print(f"  warning: {line}")
    if held.status in OPEN:
        note(f"approve: strata proposals approve {held.id[:8]} --seen {held.seen[:8]}")
