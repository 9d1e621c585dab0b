"""The assistant: a scripted language model over real HTTP, the catalog's own tools, and what becomes of its wishes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlmodel import select

from agents.proposals import find
from catalog.errors import BadInput, NotFound, Refused
from catalog.meta.calls import Call
from catalog.meta.models import Edge
from catalog.testing import sentences, text_dataset
from flows.endpoints import account
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered
from flows.endpoints.tools import called
from ui.assistant import ask, tools_for


@pytest.fixture
def web(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(40), licence="MIT")
    account.set_budget(cat, "b", money=1.0)
    return cat


def results(body: dict[str, Any]) -> list[Any]:
    """What the tools of a conversation returned, as the model was shown it."""
    texts = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    for message in body["messages"]:
        if isinstance(message["content"], list):
            texts += [block["content"] for block in message["content"] if block["type"] == "tool_result"]
    return [orjson.loads(text) for text in texts]


def script(*calls: tuple[str, dict[str, Any]], answer: str = "done"):
    """A model that calls these tools, one a turn, and then answers. answer: a text with {last}, the last result."""

    def reply(body: dict[str, Any]) -> str:
        seen = results(body)
        if len(seen) < len(calls):
            name, args = calls[len(seen)]
            return called("", [(f"call-{len(seen)}", name, args)])
        return answer.replace("{last}", orjson.dumps(seen[-1]).decode() if seen else "")

    return reply


def add(cat, meter, api: str = "openai") -> None:
    save_endpoint(cat, "e", url=meter.url, model="scripted", api=api, revision="1", input_price=1.0, output_price=2.0)


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_it_looks_and_answers(web, api):
    with metered(
        script(("datasets", {}), ("sql", {"query": "SELECT count(*) AS n FROM web"}), answer="There are {last}.")
    ) as meter:
        add(web, meter, api)
        turn = ask(web, "How many rows has web?", endpoint="e", budget="b")
    assert '"n":40' in turn.answer and [step.tool for step in turn.steps] == ["datasets", "sql"]
    assert turn.usage["money"] > 0 and account.budget(web, "b").spent_money == pytest.approx(turn.usage["money"])
    assert len(meter.seen) == 3 and turn.proposals == []


def test_a_write_becomes_a_proposal_with_an_edge(web):
    args = {"ref": "web@v1", "label": "good"}
    wish = ("propose", {"verb": "tag", "args": args, "reasons": [{"text": "all rows read well"}]})
    with metered(script(wish, answer="I proposed it.")) as meter:
        add(web, meter)
        turn = ask(web, "Tag it as good", endpoint="e", budget="b")
    [made] = turn.proposals
    held = find(web, made)
    assert held.status == "open" and held.args == args and held.actor.endswith("(agent assistant)")
    with pytest.raises(NotFound):
        web.resolve("web@good")
    with web.session() as session:
        [edge] = session.exec(select(Edge).where(Edge.verb == "agent")).all()
        calls = session.exec(select(Call).where(Call.run_id == turn.run)).all()
    assert edge.target == f"proposal:{made}" and edge.run_id == turn.run and len(calls) == 2


def test_it_is_offered_what_reads_and_propose(web):
    names = {tool.name for tool in tools_for(web, texts=True)}
    assert {"datasets", "show", "sql", "search", "propose", "proposable"} <= names
    assert not names & {"select", "mix_publish", "mix_revise", "trial_add"}


def test_a_failed_tool_is_told_and_the_conversation_goes_on(web):
    with metered(script(("show", {"ref": "wep"}), ("show", {"ref": "web"}), answer="ok")) as meter:
        add(web, meter)
        turn = ask(web, "show it", endpoint="e", budget="b")
    assert [step.failed for step in turn.steps] == [True, False] and "did you mean web" in turn.steps[0].result
    assert turn.answer == "ok"


def test_an_unknown_tool_and_wrong_arguments_end_in_a_note_or_an_answer(web):
    with metered(script(("format_disk", {}), ("sql", {"statement": 1}), answer="I could not")) as meter:
        add(web, meter)
        turn = ask(web, "do it", endpoint="e", budget="b")
    assert turn.answer == "I could not" or turn.notes


def test_asked_again_it_costs_nothing(web):
    with metered(script(("datasets", {}), answer="one")) as meter:
        add(web, meter)
        first = ask(web, "which?", endpoint="e", budget="b")
        again = ask(web, "which?", endpoint="e", budget="b")
    assert first.answer == again.answer and len(meter.seen) == 2
    assert "2 answers were stored already" in again.notes[0] and account.budget(web, "b").spent_requests == 2


def test_a_conversation_goes_on_where_it_was(web):
    with metered(lambda body: f"{len(body['messages'])} messages") as meter:
        add(web, meter)
        first = ask(web, "one", endpoint="e", budget="b")
        second = ask(web, "two", endpoint="e", budget="b", history=first.history)
    assert (first.answer, second.answer) == ("2 messages", "4 messages")


def test_steps_and_budget_end_it_with_a_note(web):
    with metered(lambda body: called("", [(f"c{len(body['messages'])}", "datasets", {})])) as meter:
        add(web, meter)
        turn = ask(web, "loop", endpoint="e", budget="b", steps=4)
        assert len(meter.seen) == 4 and "stopped after 4 steps" in turn.notes[0]
        account.set_budget(web, "small", money=0.02)
        turn = ask(web, "loop on", endpoint="e", budget="small", steps=50)
    assert any(note.startswith("stopped:") for note in turn.notes)
    held = account.budget(web, "small")
    assert held.spent_money + held.held_money <= 0.02


def test_what_cannot_be_asked_is_said_before_anything_is_paid(web):
    with pytest.raises(NotFound, match="endpoint"):
        ask(web, "x", endpoint="nowhere", budget="b")
    with metered(lambda body: "x") as meter:
        add(web, meter)
        with pytest.raises(NotFound, match="budget"):
            ask(web, "x", endpoint="e", budget="none")
        with pytest.raises(BadInput, match="ask something"):
            ask(web, "  ", endpoint="e", budget="b")
        web.grant = "read"
        with pytest.raises(Refused, match="may only read"):
            ask(web, "x", endpoint="e", budget="b")
    assert meter.seen == []
    web.grant = None
    save_endpoint(web, "smol", api="transformers", model="smollm2-135m")
    with pytest.raises(BadInput, match="calls no tools"):
        ask(web, "x", endpoint="smol", budget="b")


def test_text_goes_to_a_remote_model_only_with_consent(web):
    search = ("search", {"ref": "web", "words": "river village", "limit": 1})
    local = {tool.name: tool for tool in tools_for(web, texts=True)}
    remote = {tool.name: tool for tool in tools_for(web, texts=False)}
    assert "withheld" not in local["search"].call(search[1])["hits"][0]["text"]
    assert "withheld" in remote["search"].call(search[1])["hits"][0]["text"]
