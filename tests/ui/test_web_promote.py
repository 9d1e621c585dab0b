"""The Promote tab: what it lacks, what each rule would remove, and doing or proposing it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from agents.proposals import proposals
from catalog import Catalog
from catalog.testing import sentences, text_dataset
from flows import score
from ui.web.testing import APP


@pytest.fixture
def web(cat, tmp_path, monkeypatch) -> Catalog:
    text_dataset(cat, tmp_path, "web", [*sentences(30, low=60, high=90), "short"], licence="MIT")
    text_dataset(cat, tmp_path, "exam", sentences(5), role="eval")
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    return cat


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=90)
    app.switch_page("views/dataset.py")
    for name, value in {"tab": "promote", **query}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    return " ".join(str(item.proto) for kind in ("html", "bidi_component") for item in app.get(kind))


def press(app: AppTest, label: str) -> AppTest:
    [button] = [item for item in app.button if item.label == label]
    button.click().run()
    assert not app.exception, app.exception
    return app


def test_what_it_lacks_is_named_with_the_way_to_it(web):
    app = opened(ref="web")
    assert "langid" in said(app) and "Choose them on Flows" in said(app)
    assert {button.label for button in app.button} >= {"Score what it lacks, then promote", "Propose"}
    assert [button.disabled for button in app.button if button.label == "Propose"] == [True]


def test_the_waterfall_is_shown_then_proposed_or_done(web):
    from flows.promote import DEFAULT_RECIPES
    from flows.recipe import load_recipe

    score(web, "web", [item.scorer for item in load_recipe(DEFAULT_RECIPES[("text", "L1")]).scores])
    app = opened(ref="web")
    assert "removes rows" in said(app) and web.find("web-l1") is None
    press(app, "Propose")
    [made] = proposals(web, "open")
    assert made.verb == "promote" and made.id[:8] in said(app)
    press(app, "Promote to L1")
    assert web.resolve("web-l1").dataset.rows == made.effect["rows"] and "keeps" in said(app)


def test_evals_and_wrong_filters_have_an_answer(web):
    assert "protects an evaluation" in said(opened(ref="exam"))
    assert "nonsense" in said(opened(ref="web", where="nonsense > 1"))
    assert "no dataset" in said(opened(ref="gone")).lower()
