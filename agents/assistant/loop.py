"""One question, some steps with tools, one answer; within a budget of money or tokens and of steps.

The tools are handed in by a face, made over a catalog in an agent's hands (`agents.hands`), so that no text, however it reached
the model, can write or see more than the right to propose. Every request is a stored call of this run; the run has an edge to
each proposal it made. Asked the same again over the same catalog, nothing is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from agents.prompting import prompt, version
from catalog.access import check
from catalog.errors import BadInput, Missing, Refused, StrataError
from catalog.plain import plain

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PURPOSE = "agent:assistant"
LONGEST_RESULT = 12_000
"""Characters of a tool's result that the model is shown."""
LONGEST_ANSWER = 2048
STEPS = 12


@dataclass(frozen=True)
class AgentTool:
    """A verb as a tool. schema: JSON schema of its arguments; call: arguments -> JSON value, or a `StrataError`."""

    name: str
    description: str
    schema: dict[str, Any]
    call: Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Step:
    """A tool that was used. failed: what it returned is the reason why it did not work."""

    tool: str
    args: dict[str, Any]
    result: str
    failed: bool = False


@dataclass
class Turn:
    """What came of a question. history: JSON to go on from; notes: what the reader should know of how it was answered."""

    answer: str
    steps: list[Step] = field(default_factory=list)
    proposals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    history: str = "[]"
    run: str = ""


def converse(
    cat: Catalog, question: str, tools: Sequence[AgentTool], *, endpoint: str, budget: str, history: str = "[]",
    steps: int = STEPS, told: Callable[[Step], None] = lambda step: None,
) -> Turn:  # fmt: skip
    """Ask the language model of an endpoint, with tools. steps: requests at most. told: hears of each step as it ends.

    Raises `BadInput` for an empty question, `NotFound` for an unknown endpoint or budget, `Missing` when the endpoint does not
    answer. A budget or steps that end are no error: the turn says what was found until then.
    """
    from catalog.meta.models import Edge
    from catalog.runs import run
    from flows.endpoints import account, registry

    if not question.strip():
        raise BadInput('ask something: strata ask "which datasets may be used commercially?" --endpoint E --budget B')
    check(cat, "propose", f"endpoint {endpoint}")  # it spends, so who only reads does not
    held = registry.endpoint(cat, endpoint)
    account.budget(cat, budget)
    if held.api == "transformers":
        raise BadInput(
            f"endpoint {endpoint} is a model of this process, which calls no tools; serve it behind an address"
        )
    with run(cat, "agent", f"assistant:{endpoint}", agent="assistant", model=held.model, revision=held.served(),
             prompt=version("assistant"), budget=budget) as record:  # fmt: skip
        turn = _turn(cat, question.strip(), tools, endpoint, budget, history, steps, told, record.id)
        turn.run = record.id
        spent = account.spending(cat, run_id=record.id)
        turn.usage |= {"tokens": spent["tokens_in"] + spent["tokens_out"], "money": spent["money"], "model": held.model,
                       "revision": held.served()}  # fmt: skip
        with cat.session() as session:
            for proposal in turn.proposals:
                session.add(Edge(run_id=record.id, verb="agent", source=f"endpoint:{endpoint}", target=f"proposal:{proposal}",
                                 counts={"calls": spent["asked"]}, details={"prompt": version("assistant")}))  # fmt: skip
            session.commit()
    return turn


def _turn(
    cat: Catalog, question: str, tools: Sequence[AgentTool], endpoint: str, budget: str, history: str, steps: int,
    told: Callable[[Step], None], run_id: str,
) -> Turn:  # fmt: skip
    from pydantic_ai import Agent
    from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior, UsageLimitExceeded
    from pydantic_ai.messages import ModelMessagesTypeAdapter
    from pydantic_ai.usage import UsageLimits

    from agents.assistant.model import EndpointModel

    turn = Turn("")
    model = EndpointModel(
        cat, endpoint, budget, purpose=PURPOSE, system=prompt("assistant"), run_id=run_id, longest=LONGEST_ANSWER
    )
    agent = Agent(model, tools=[_tool(tool, turn, told) for tool in tools], retries=2)
    limits = UsageLimits(request_limit=steps, tool_calls_limit=4 * steps)
    try:
        done = agent.run_sync(
            question, message_history=ModelMessagesTypeAdapter.validate_json(history), usage_limits=limits
        )
    except UsageLimitExceeded:
        turn.notes.append(f"stopped after {steps} steps without an answer; ask for less, or allow more with --steps")
    except Refused as error:  # the budget, or consent
        turn.notes.append(f"stopped: {error}")
    except ModelHTTPError as error:
        raise Missing(f"endpoint {endpoint} gave no answer: {error.body or error}") from None
    except UnexpectedModelBehavior as error:
        turn.notes.append(
            f"the language model answered what cannot be used, and was asked again in vain: {error.message}"
        )
    else:
        turn.answer = str(done.output)
        turn.history = done.all_messages_json().decode()
    if model.cached:
        turn.notes.append(f"{model.cached} answers were stored already and cost nothing")
    return turn


def _tool(tool: AgentTool, turn: Turn, told: Callable[[Step], None]) -> Any:
    """A tool of pydantic-ai that writes down what it did; a failure is told to the model, which may try otherwise."""
    from pydantic_ai import Tool

    def use(**args: Any) -> str:
        try:
            result, failed = plain(tool.call(args)), False
        except StrataError as error:
            result, failed = {"error": str(error)}, True
        text = orjson.dumps(result).decode()
        if tool.name == "propose" and isinstance(result, dict) and "id" in result and not failed:
            turn.proposals.append(str(result["id"]))
        if len(text) > LONGEST_RESULT:
            text = text[:LONGEST_RESULT] + f" ... cut: {len(text):,} characters in all; ask for less"
        step = Step(tool.name, args, text, failed)
        turn.steps.append(step)
        told(step)
        return text

    return Tool.from_schema(use, tool.name, tool.description, tool.schema, sequential=True)
