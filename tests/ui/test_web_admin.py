"""The admin page: tokens, budgets, the audit and health, for administrators alone."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from catalog.access import check
from catalog.errors import Refused
from catalog.meta.calls import Call, EndpointBudget
from catalog.meta.models import Audit
from catalog.testing import sentences, text_dataset
from flows.endpoints.account import budgets, set_budget
from flows.endpoints.registry import save_endpoint
from ui import spending
from ui.api.tokens import create, holder, tokens
from ui.web.queries import administration as asks
from ui.web.testing import APP, markup, said

SECRET = re.compile(r"strata_[\w-]{43}")


@pytest.fixture
def page(cat, tmp_path, monkeypatch):
    text_dataset(cat, tmp_path, "web", sentences(5))
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))

    def visit(**query) -> AppTest:
        at = AppTest.from_file(str(APP), default_timeout=120).run()
        at.switch_page("views/admin.py")
        for name, value in query.items():
            at.query_params[name] = value
        return at.run()

    return visit


def press(at: AppTest, label: str) -> AppTest:
    return next(button for button in at.button if button.label == label).click().run()


@pytest.mark.parametrize(
    ("right", "tab"), [("read", "tokens"), ("propose", "audit"), ("write", "spending"), ("write", "nothing")]
)
def test_it_is_for_administrators(page, monkeypatch, right, tab):
    monkeypatch.setenv("STRATA_GRANT", right)
    at = page(tab=tab)
    assert "For administrators" in said(at) and f"may only {right}" in said(at)
    assert not at.button and not at.text_input


def test_a_token_is_shown_once_and_revoked_at_the_second_click(cat, page):
    at = page()
    assert "No token yet" in said(at)
    at.text_input(key="token_name").set_value("ada")
    at.selectbox(key="token_right").set_value("write")
    at.number_input(key="token_days").set_value(7)
    press(at, "Create")
    secret = SECRET.search(said(at)).group()  # type: ignore[union-attr]
    token = holder(cat, secret)
    assert token is not None and (token.actor, token.verbs) == ("ada", "write") and token.expires is not None
    assert not SECRET.search(said(at.run()))
    digest = tokens(cat)[0]["digest"]
    at = page(token=digest)
    assert "Revoke the token of" in said(at)
    press(at, "Keep it")
    assert holder(cat, secret) is not None
    press(page(token=digest), "Revoke")
    assert holder(cat, secret) is None
    assert "revoked" in said(page())


def test_a_mistake_is_one_panel(cat, page):
    at = page()
    press(at, "Create")
    assert markup(at).count('role="alert"') == 1 and "a token needs a name" in said(at).lower()
    at = page(tab="spending")
    press(at, "Set")
    assert "budget needs a name" in said(at)
    at.text_input(key="budget_name").set_value("grading")
    press(at, "Set")
    assert "needs a limit" in said(at)
    assert not tokens(cat) and not budgets(cat)


def test_budgets_show_what_is_spent_and_held_and_keep_it_when_set_anew(cat, page):
    set_budget(cat, "grading", money=10, tokens=1000)
    save_endpoint(cat, "judge", url="https://user:hunter2@models.example/v1?key=hunter2", model="m", input_price=1)
    with cat.session() as session:
        held = session.exec(select(EndpointBudget)).one()
        held.spent_money, held.held_money, held.spent_tokens = 4.0, 1.0, 990
        session.add(held)
        for at, revision in enumerate(("unpinned:2026-01-01", "unpinned:2026-01-02", "abc")):
            session.add(Call(digest=str(at), endpoint="judge", model="m", revision=revision, purpose="judge_x",
                             status="answered", money=2.0 * (at < 2), tokens_in=10, lost=at))  # fmt: skip
        session.commit()
    at = page(tab="spending")
    text = said(at)
    for words in ("4 of 10, 40.0%, 1 held", "990 of 1,000", "unpinned", "models.example", "judge_x"):
        assert words in text
    assert "hunter2" not in markup(at)
    rows = spending.call_rows(cat)
    assert [(row["unpinned"], row["asked"], row["money"], row["lost"]) for row in rows] == [
        (True, 2, 4.0, 1),
        (False, 1, 0.0, 2),
    ]
    at.text_input(key="budget_name").set_value("grading")
    at.number_input(key="budget_money").set_value(20.0)
    press(at, "Set")
    [held] = budgets(cat)
    assert (held.money, held.tokens, held.spent_money) == (20.0, None, 4.0)


def test_the_audit_is_filtered_paged_and_downloaded(cat, page):
    with cat.session() as session:
        for at in range(70):
            session.add(Audit(actor="bob", verb="write", object=f"thing {at} 100%"))
        session.add(Audit(actor="=cmd()", verb="admin", object="token x", allowed=False))
        session.commit()
    text = said(page(tab="audit", actor="bob"))
    assert "1–50 of 70" in text and "thing 69" in text and "thing 3 " not in text
    assert "51–70 of 70" in said(page(tab="audit", actor="bob", at="50"))
    assert "1–50 of 70" in said(page(tab="audit", object="100%")) and "Nothing in the audit" in said(
        page(tab="audit", object="_00%")
    )
    assert "token x" in said(page(tab="audit", outcome="refused"))
    assert markup(page(tab="audit", actor="nobody", at="9999999")).count('role="alert"') == 0
    rows = list(csv.DictReader(io.StringIO(asks.audit_csv(cat, asks.AuditFilter(outcome="refused")).decode())))
    assert [(row["actor"], row["allowed"]) for row in rows] == [("'=cmd()", "False")]
    [bob] = [row for row in asks.actors(cat) if row["actor"] == "bob"]
    assert (bob["changes"], bob["refused"]) == (70, 0)


def test_the_audit_is_not_read_without_the_right(cat):
    cat.grant = "write"
    with pytest.raises(Refused, match="may only write"):
        asks.audit_page(cat, asks.AuditFilter())
    cat.grant = "admin"
    before = asks.audit_page(cat, asks.AuditFilter())[1]
    assert asks.audit_page(cat, asks.AuditFilter())[1] == before, "looking adds nothing"


def test_health_runs_doctor_and_measures_when_asked(cat, page):
    at = page(tab="health")
    assert "schema" in said(at) and "Largest tables" not in said(at)
    press(at, "Run doctor")
    assert "Doctor: no errors" in said(at) and "catalog is whole" in said(at)
    press(at, "Measure storage")
    assert "Largest tables" in said(at)
    held = asks.storage(cat)
    files = [path for path in Path(cat.table_uri(cat.resolve("web").dataset)).rglob("*") if path.is_file()]
    assert held["tables"] == {"web": sum(path.stat().st_size for path in files)}
    assert held["folders"]["metadata"] >= (cat.settings.home / "meta.db").stat().st_size


def test_places_start_nothing_and_say_what_does_not_answer(cat, page, monkeypatch):
    assert [(row["place"], row["state"]) for row in asks.places(cat)] == [
        ("inline", "ready"), ("home", "not running"), ("team", "not set up"),
    ]  # fmt: skip
    assert not (cat.settings.home / "prefect").exists()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    at = page(tab="places")
    assert "does not answer" in said(at) and markup(at).count('role="alert"') == 0


def test_what_was_done_just_now_is_there(cat, page):
    check(cat, "write", "something")
    create(cat, "eve", "read")
    assert "eve" in said(page()) and "something" in said(page(tab="audit"))
