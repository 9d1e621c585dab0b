"""strata ask."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, note, opened


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know, or want to have done.")],
    endpoint: Annotated[str, typer.Option(metavar="E", help="Language model to ask; see strata endpoint list.")],
    budget: Annotated[str, typer.Option(metavar="B", help="What it may spend; see strata budget list.")],
    steps: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Requests at most.")] = 12,
    json: Json = False,
) -> None:
    """Let a language model answer with the catalog's own tools. It reads; what it would change becomes a proposal.

    Example: strata ask "which datasets may be used commercially, and what do they lack for L1?" --endpoint vllm --budget may
    """
    from ui.assistant import ask as converse

    def told(step: Any) -> None:
        given = ", ".join(f"{name}={value!r}"[:60] for name, value in step.args.items())
        note(f"{'failed' if step.failed else 'used'} {step.tool}({given})")

    turn = converse(opened(), question, endpoint=endpoint, budget=budget, steps=steps, told=told)

    def human() -> None:
        print(turn.answer)
        for line in turn.notes:
            note(line)
        for proposal in turn.proposals:
            note(f"proposal {proposal[:12]}: strata proposals show {proposal[:12]}")
        note(f"{turn.usage['tokens']:,} tokens, {turn.usage['money']:.4f} of budget {budget}")

    emit(json, {name: value for name, value in vars(turn).items() if name != "history"}, human)
