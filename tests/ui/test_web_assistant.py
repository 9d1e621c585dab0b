"""The Assistant page: proposals are looked at and decided on; a scripted language model is asked through the chat box."""

from __future__ import annotations

import html
from pathlib import Path

import orjson
import pytest
from streamlit.testing.v1 import AppTest

from agents.hands import as_agent
from agents.proposals import approve, edit, find, proposals, propose
from catalog import Catalog
from catalog.testing import sentences, text_dataset
from flows.endpoints import account
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered
from flows.endpoints.tools import called
from ui.web.testing import APP

TAG = {"ref": "web@v1", "label": "good"}
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def web(cat, tmp_path, monkeypatch) -> Catalog:
    text_dataset(cat, tmp_path, "web", sentences(20), licence="MIT")
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    return cat


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.switch_page("views/assistant.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def text_of(app: AppTest) -> str:
    shown = [str(item.proto) for item in app.main]
    found = [element.value for kind in ("markdown", "text", "caption") for element in getattr(app, kind)]
    return html.unescape(" ".join([*found, *shown, *(str(item.proto) for item in app.get("html")),
                                   *(str(item.proto) for item in app.get("bidi_component"))]))  # fmt: skip


def press(app: AppTest, label: str) -> AppTest:
    [button] = [item for item in app.button if item.label == label]
    button.click().run()
    assert not app.exception, app.exception
    return app


def test_without_a_language_model_it_says_what_works(web):
    said = text_of(opened())
    assert "No language model is set up" in said and "strata endpoint add" in said


def test_a_proposal_is_approved_as_it_was_shown(web):
    sample = web.sql("SELECT sample_id FROM web LIMIT 1").arrow().to_pylist()[0]["sample_id"]
    made = propose(as_agent(web, "mix"), "tag", TAG, title=EVIL, reasons=[{"text": "reads well", "samples": [sample]}])
    app = opened(proposal=made.id)
    said = text_of(app)
    assert "reads well" in said and sample[:10] in said and "MIT" in said
    press(app, "Approve")
    assert find(web, made.id).status == "done" and web.resolve("web@good").number == 1
    assert "Done." in text_of(app)


def test_what_was_edited_meanwhile_is_not_approved(web):
    made = propose(web, "select", {"name": "s", "source": "web", "where": "chars > 10"})
    app = opened(proposal=made.id)
    text_dataset(web, Path(web.settings.home), "web", sentences(5, seed=4))
    press(app, "Approve")
    assert find(web, made.id).status == "open" and "has changed since this was shown" in text_of(app)
    press(app, "Approve")
    assert find(web, made.id).status == "done"


def test_other_arguments_than_those_shown_are_not_approved(web):
    made = propose(web, "select", {"name": "s", "source": "web", "where": "chars > 10"})
    app = opened(proposal=made.id)
    edit(web, made.id, {"name": "s", "source": "web", "where": "chars > 11"})
    press(app, "Approve")
    assert find(web, made.id).status == "open" and "was edited since you looked at it" in text_of(app)
    assert "chars > 11" in text_of(app)
    press(app, "Approve")
    assert find(web, made.id).status == "done"


def test_somebody_else_was_faster(web):
    made = propose(web, "tag", TAG)
    app = opened(proposal=made.id)
    approve(web, made.id)
    press(app, "Approve") if any(b.label == "Approve" for b in app.button) else app.run()
    assert "done" in text_of(app) and [p.status for p in proposals(web)] == ["done"]


def test_rejecting_and_editing(web):
    made = propose(web, "tag", TAG)
    app = opened(proposal=made.id)
    app.text_area[0].set_value('{"ref": "web@v1", "label": "better"}')
    press(app, "Work out the effect again")
    held = find(web, made.id)
    assert held.args["label"] == "better" and held.revision == 2 and "before it was edited" in text_of(app)
    app.text_area[0].set_value("no json")
    assert "are no JSON" in text_of(press(app, "Work out the effect again"))
    press(app, "Reject")
    assert find(web, made.id).status == "rejected"


def test_a_vanished_proposal_and_a_reader(web, monkeypatch):
    assert "No proposal 'ffffffff'" in text_of(opened(proposal="ffffffff"))
    made = propose(web, "tag", TAG)
    monkeypatch.setenv("STRATA_GRANT", "read")
    app = opened(proposal=made.id)
    assert all(button.disabled for button in app.button if button.label in ("Approve", "Reject"))


def test_a_conversation_shows_its_tools_and_its_proposals(web):
    def reply(body):
        results = [message for message in body["messages"] if message["role"] == "tool"]
        if not results:
            return called("", [("c0", "propose", {"verb": "tag", "args": TAG})])
        return f"I proposed it {EVIL}"

    with metered(reply) as meter:
        save_endpoint(web, "e", url=meter.url, model="scripted", revision="1")
        account.set_budget(web, "b", money=1)
        app = opened()
        app.chat_input[0].set_value("tag it").run()
        assert not app.exception, app.exception
        said = text_of(app)
    [made] = proposals(web, "open")
    assert "I proposed it" in said and made.id[:8] in said
    assert orjson.loads(orjson.dumps(made.args)) == TAG


def test_an_endpoint_that_is_down_is_one_line(web):
    save_endpoint(web, "e", url="http://127.0.0.1:9/v1", model="gone", revision="1", attempts=1)
    account.set_budget(web, "b", money=1)
    app = opened()
    app.chat_input[0].set_value("hello").run()
    assert not app.exception
    assert "gave no answer" in text_of(app)
