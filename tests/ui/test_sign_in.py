"""Signing in to the page: the gate before it, who acts in it, and what a sign-in that ended shows."""

from __future__ import annotations

import asyncio
import html
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import SQLModel, select
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit.testing.v1 import AppTest

from agents import proposals
from catalog import Catalog, grades
from catalog.errors import BadInput
from catalog.meta.intake import Intake
from catalog.meta.models import Audit, SignIn, Token
from catalog.testing import sentences, text_dataset
from flows import score
from ui.api.tokens import create, digest_of, holder, revoke
from ui.cli.admin import _sign_in
from ui.web.components.address import VIEWS
from ui.web.entry import sessions
from ui.web.entry.gate import Gate, routes, safe
from ui.web.testing import APP, said

PAGES = [Path(view).stem for view in VIEWS.values()]
FORM = {"accept": "text/html", "sec-fetch-site": "same-origin"}
QUIET = {"audit", "signin", "alembic_version"}
"""Tables that looking at pages may write to: who looked, and what was refused."""


@pytest.fixture
def site(cat) -> TestClient:
    """The gate and its pages before a page that says hello, and a socket that does."""

    async def hello(request):
        return PlainTextResponse("hello")

    async def talk(socket):
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    inside = [Route("/{path:path}", hello), WebSocketRoute("/_stcore/stream", talk)]
    app = Starlette(routes=routes(cat) + inside, middleware=[Middleware(Gate, cat=cat)])
    return TestClient(app, follow_redirects=False)


def enter(site: TestClient, secret: str, address: str = "/", **headers):
    return site.post("/sign-in", data={"token": secret, "next": address}, headers=FORM | headers)


def test_nothing_is_seen_without_signing_in(cat, site):
    asked = site.get("/dataset?ref=web&tab=samples", headers={"accept": "text/html"})
    assert asked.status_code == 303
    assert asked.headers["location"] == "/sign-in?next=%2Fdataset%3Fref%3Dweb%26tab%3Dsamples"
    for path in ("/media/rows.csv", "/_stcore/upload_file/x", "/component/x", "/_stcore/metrics"):
        assert site.get(path).status_code == 401, path
    for path in ("/_stcore/health", "/static/js/index.js"):
        assert site.get(path).text == "hello", path
    with pytest.raises(WebSocketDisconnect), site.websocket_connect("/_stcore/stream"):
        pass


def test_a_token_opens_the_view_that_was_asked_for_and_is_kept_nowhere(cat, site):
    secret = create(cat, "ada", "write")
    form = site.get("/sign-in?next=/dataset?ref=web")
    assert 'value="/dataset?ref=web"' in form.text and "script" not in form.text
    assert form.headers["content-security-policy"].startswith("default-src 'none'")
    made = enter(site, secret, "/dataset?ref=web")
    assert (made.status_code, made.headers["location"]) == (303, "/dataset?ref=web")
    cookie = made.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie and secret not in cookie
    assert site.get("/dataset").text == "hello"
    with site.websocket_connect("/_stcore/stream") as socket:
        assert socket.receive_text() == "hello"
    held = site.cookies[sessions.cookie_name(cat)]
    with cat.session() as session:
        row = session.exec(select(SignIn)).one()
        assert [audit.verb for audit in session.exec(select(Audit).where(Audit.actor == "ada"))] == ["sign in"]
    assert row.digest == digest_of(held) and held not in row.model_dump_json() and secret not in row.model_dump_json()
    assert site.get("/sign-in?next=/sql", headers=FORM).headers["location"] == "/sql"
    assert "Secure" in enter(site, secret, **{"x-forwarded-proto": "https"}).headers["set-cookie"]


def test_a_wrong_token_and_a_form_from_elsewhere_do_not_sign_in(cat, site):
    secret = create(cat, "ada")
    assert enter(site, "strata_wrong").status_code == 401
    assert "not live" in enter(site, "").text
    for told in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        assert enter(site, secret, **told).status_code == 403
    given = {"token": secret, "next": "/"}
    assert site.post("/sign-in", data=given, headers={"origin": "https://evil.example"}).status_code == 403
    assert site.post("/sign-in", data={**given, "pad": "x" * 9000}, headers=FORM).status_code == 401
    assert not site.cookies
    assert enter(site, secret).status_code == 303


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("/dataset?ref=web&tab=card", "/dataset?ref=web&tab=card"),
        ("https://evil.example/x", "/"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("/sign-out", "/"),
        ("", "/"),
    ],
)
def test_one_comes_back_to_this_page_alone(address, there):
    assert safe(address) == there


@pytest.mark.parametrize("way", ["revoked", "expired", "out", "token expired"])
def test_a_sign_in_ends_at_once_however_it_ends(cat, site, way):
    enter(site, create(cat, "ada"))
    assert site.get("/").text == "hello"
    if way == "revoked":
        revoke(cat, "ada")
    elif way == "out":
        assert site.post("/sign-out", headers={"sec-fetch-site": "cross-site"}).status_code == 303
        assert site.get("/").text == "hello", "another site signs nobody out"
        site.post("/sign-out", headers=FORM)
    else:
        with cat.session() as session:
            held = session.exec(select(SignIn if way == "expired" else Token)).one()
            held.expires = "2020-01-01T00:00:00.000000+00:00"
            session.add(held)
            session.commit()
    assert site.get("/", headers={"accept": "text/html"}).headers["location"] == "/sign-in?next=%2F"
    why = "revoked" if way == "token expired" else way
    assert html.escape(sessions.REASONS[why]) in site.get("/sign-in").text
    with site.websocket_connect("/_stcore/stream") as socket:  # the page behind it says why
        assert socket.receive_text() == "hello"


def test_a_token_may_expire(cat):
    secret = create(cat, "ada", days=1)
    assert holder(cat, secret) is not None
    with cat.session() as session:
        token = session.exec(select(Token)).one()
        token.expires = "2020-01-01T00:00:00.000000+00:00"
        session.add(token)
        session.commit()
    assert holder(cat, secret) is None and sessions.begin(cat, secret) is None
    for days in (0, -1, 10_000, float("nan")):
        with pytest.raises(BadInput, match="--days"):
            create(cat, "bob", days=days)


def test_a_page_that_others_reach_asks_them_to_sign_in(cat, monkeypatch, capsys):
    monkeypatch.delenv(sessions.SWITCH, raising=False)
    assert not _sign_in("127.0.0.1", None) and not _sign_in("localhost", None)
    assert _sign_in("0.0.0.0", None) and "nobody can sign in yet" in capsys.readouterr().err
    with pytest.raises(BadInput, match="act as you"):
        _sign_in("0.0.0.0", False)
    monkeypatch.setenv(sessions.SWITCH, "0")
    with pytest.raises(BadInput, match="act as you"):
        _sign_in("10.0.0.5", None)
    monkeypatch.setenv(sessions.SWITCH, "1")
    assert _sign_in("127.0.0.1", None) and not _sign_in("127.0.0.1", False)
    monkeypatch.setenv(sessions.HOURS, "many")
    with pytest.raises(BadInput, match="number of hours"):
        _sign_in("127.0.0.1", True)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    cat = Catalog.open(folder / "home")
    text_dataset(cat, folder, "web", sentences(40), licence="MIT")
    text_dataset(cat, folder, "more", sentences(20, seed=1))
    score(cat, "web", ["text_length"])
    cat.publish_mix({"name": "blend", "parts": [{"dataset": "web"}]})
    grades.create(cat, "look", "web", {"name": "fine", "scales": {"fine": {"low": 0, "high": 1}}}, items=5)
    proposals.propose(cat, "tag", {"ref": "web@v1", "label": "first"})
    with cat.session() as session:
        session.add(Intake(name="crawl", status="error", reason="no such file"))
        session.commit()
    return folder / "home"


def opened(home: Path, monkeypatch, secret: str) -> AppTest:
    """The page in the hands of a token's owner. There is no HTTP here: the browser's id is handed over."""
    monkeypatch.setenv("STRATA_HOME", str(home))
    monkeypatch.setenv(sessions.SWITCH, "1")
    held = sessions.begin(Catalog.open(home), secret)
    monkeypatch.setattr("ui.web.components.shell.browser", lambda cat: held)
    return AppTest.from_file(str(APP), default_timeout=120)


def visit(app: AppTest, page: str, **query) -> AppTest:
    app.run()
    app.query_params.clear()
    app.switch_page(f"views/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def held_rows(cat: Catalog) -> dict[str, int]:
    """Rows of every metadata table that a write would add to."""
    with cat.session() as session:
        return {
            name: session.exec(select(func.count()).select_from(table)).one()  # type: ignore[call-overload]
            for name, table in SQLModel.metadata.tables.items()
            if name not in QUIET
        }


ADDRESSES = [(page, {}) for page in PAGES] + [
    ("dataset", {"ref": "web", "tab": "select"}),
    ("dataset", {"ref": "web", "tab": "samples", "where": "chars > 10"}),
    ("flows", {"dataset": "web", "scorer": "token_count"}),
    ("sql", {"q": "SELECT * FROM web WHERE chars > 10"}),
    ("mixes", {"mix": "new"}),
    ("grade", {"campaign": "look"}),
    ("grade", {"campaign": "look", "tab": "setup"}),
    ("grade", {"new": "1"}),
    ("intake", {"source": "crawl"}),
    ("incidents", {"match": "web"}),
    ("assistant", {"tab": "proposals"}),
]


@pytest.mark.parametrize(
    ("page", "query"), ADDRESSES, ids=lambda value: value if isinstance(value, str) else "+".join(value)
)
def test_a_reader_writes_through_no_page(home, monkeypatch, page, query):
    """Every box is filled and every button that can be pressed is pressed: nothing is there that was not there before."""
    cat = Catalog.open(home)
    at = visit(opened(home, monkeypatch, create(cat, "rea", "read")), page, **query)
    before = held_rows(cat)
    assert "may read" in said(at)
    for box in at.text_input:
        if not box.disabled and not box.value:
            box.set_value("named")
    at.run()
    labels = [button.label for button in at.button if not button.disabled]
    for label in labels:
        pressed = next((button for button in at.button if button.label == label and not button.disabled), None)
        if pressed is not None:
            pressed.click().run()
            assert not at.exception, (label, [error.value for error in at.exception])
    assert held_rows(cat) == before, labels
    with cat.session() as session:
        done = session.exec(select(Audit).where(Audit.actor == "rea", Audit.allowed, Audit.verb.in_(["propose", "write", "admin"])))  # type: ignore[attr-defined]  # fmt: skip
        assert not done.all()


@pytest.mark.parametrize(
    ("page", "query", "label"),
    [
        ("flows", {"dataset": "web", "scorer": "token_count"}, "Start"),
        ("mixes", {"mix": "new"}, "Publish"),
        ("dataset", {"ref": "web", "tab": "select"}, "Choose"),
        ("sql", {"q": "SELECT * FROM web WHERE chars > 10"}, "Save"),
    ],
)
def test_what_a_reader_may_not_do_is_disabled_and_says_why(home, monkeypatch, page, query, label):
    cat = Catalog.open(home)
    at = visit(opened(home, monkeypatch, create(cat, "rea", "read")), page, **query)
    button = next(button for button in at.button if button.label == label)
    assert button.disabled and "rea may only read" in button.help and "right to write" in button.help


def test_who_signed_in_acts_under_their_own_name(home, monkeypatch):
    cat = Catalog.open(home)
    at = visit(opened(home, monkeypatch, create(cat, "wim", "write")), "mixes", mix="new")
    assert "wim" in said(at) and "may write" in said(at)
    at.text_area(key="mix_spec").set_value("name: of-wim\nparts:\n  - {dataset: web}").run()
    next(button for button in at.button if button.label == "Publish").click().run()
    with cat.session() as session:
        wrote = session.exec(select(Audit).where(Audit.actor == "wim", Audit.verb == "write")).all()
    assert [row.object for row in wrote] == ["mix"]


def test_a_job_has_the_rights_of_who_started_it(home, monkeypatch):
    from catalog.errors import Refused
    from ui.api.tokens import catalog_for
    from ui.web.queries import jobs

    cat = Catalog.open(home)
    reader = catalog_for(cat, holder(cat, create(cat, "rea", "read")))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="may only read"):
        jobs.start(reader, "web", ("score", "web", "token_count"))


@pytest.mark.parametrize("way", ["revoked", "expired", "out"])
def test_a_sign_in_that_ends_meanwhile_changes_nothing_and_keeps_the_view(home, monkeypatch, way):
    cat = Catalog.open(home)
    secret = create(cat, f"eve {way}", "write")
    at = visit(opened(home, monkeypatch, secret), "mixes", mix="new")
    at.text_area(key="mix_spec").set_value("name: late\nparts:\n  - {dataset: web}").run()
    before = held_rows(cat)
    if way == "revoked":
        revoke(cat, f"eve {way}")
    else:
        with cat.session() as session:
            held = session.exec(select(SignIn).where(SignIn.actor == f"eve {way}")).one()
            if way == "out":
                held.ended = held.created
            else:
                held.expires = held.created
            session.add(held)
            session.commit()
    next(button for button in at.button if button.label == "Publish").click().run()
    text = said(at)
    assert "Nothing was changed" in text and "Sign in again" in text and "New mix" not in text
    assert text.count("Sign in again") == 2, "one panel: its sentence and its button"
    assert at.query_params["mix"] in ("new", ["new"])
    assert held_rows(cat) == before


def test_without_sign_in_the_page_is_of_the_person_at_the_machine(home, monkeypatch):
    monkeypatch.delenv(sessions.SWITCH, raising=False)
    monkeypatch.setenv("STRATA_HOME", str(home))
    at = visit(AppTest.from_file(str(APP), default_timeout=120), "mixes", mix="new")
    assert "Sign out" not in said(at)
    assert not next(button for button in at.button if button.label == "Publish").disabled


def test_the_program_of_the_page_has_the_gate_before_it(cat, monkeypatch):
    """The server as `strata ui --sign-in` runs it, asked without Streamlit's own start."""
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    from runpy import run_path

    app = run_path(str(APP.with_name("server.py")))["app"]
    sent: list[dict] = []

    async def ask() -> None:
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        gate = app._user_middleware[0]
        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [],
                 "server": ("127.0.0.1", 1), "scheme": "http", "root_path": ""}  # fmt: skip
        await gate.cls(None, **gate.kwargs)(scope, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 401
    assert {route.path for route in app._user_routes} == {"/sign-in", "/sign-out"}
