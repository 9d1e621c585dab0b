"""The place of a run and the sentence that says why; inline runs never import Prefect."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from catalog import Catalog
from catalog.errors import BadInput, Missing
from catalog.testing import sentences, text_dataset
from flows import plan
from flows.deployments import trigger
from flows.places import choose, duration
from flows.prefect_api import PrefectApi, team_endpoint


@pytest.fixture(scope="module")
def cat(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    made = Catalog.open(folder / "home")
    text_dataset(made, folder, "web", sentences(120))
    return made


@pytest.fixture(autouse=True)
def no_team(monkeypatch):
    for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)


def test_short_work_runs_inline_even_with_a_team(cat, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect:4200/api/")
    place = choose(cat, plan(cat, "web", ["gopher_quality"]), seconds=3.0)
    assert (place.kind, place.sentence) == ("inline", "running inline: about 3 s is short")


def test_long_work_goes_to_the_team_and_without_a_server_stays_inline(cat, monkeypatch):
    planned = plan(cat, "web", ["gopher_quality"])
    place = choose(cat, planned, seconds=7200.0)
    assert place.kind == "inline" and "about 2.0 h, and no server runs (--on home" in place.sentence
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect:4200/api/")
    place = choose(cat, planned, seconds=7200.0)
    assert place.kind == "team" and place.endpoint == PrefectApi("http://prefect:4200/api")
    assert "http://prefect:4200/api: about 2.0 h" in place.sentence


def test_a_request_wins_and_a_wrong_one_names_the_remedy(cat):
    planned = plan(cat, "web", ["gopher_quality"])
    assert choose(cat, planned, "inline", seconds=7200.0).kind == "inline"
    assert choose(cat, planned, "home").kind == "home"
    with pytest.raises(BadInput, match="PREFECT_API_URL"):
        choose(cat, planned, "team")
    with pytest.raises(BadInput, match="'cloud' is not one of inline, home, team"):
        choose(cat, planned, "cloud")


def test_the_team_login_comes_from_prefects_own_variables(monkeypatch):
    assert team_endpoint() is None
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect:4200/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:secret")
    assert team_endpoint().headers() == {"Authorization": "Basic bWU6c2VjcmV0"}
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_1")
    assert team_endpoint().headers() == {"Authorization": "Bearer pnu_1"}
    assert "pnu_1" not in repr(team_endpoint())


def test_a_server_that_does_not_answer_is_one_line(cat):
    with pytest.raises(Missing, match=r"the Prefect server at http://127.0.0.1:1/api does not answer"):
        trigger(cat, PrefectApi("http://127.0.0.1:1/api"), "web", ["gopher_quality"], {})


@pytest.mark.parametrize("refusals", [2, 99])
def test_a_busy_server_is_asked_again_and_then_told_of_in_one_line(monkeypatch, refusals):
    """A server of our own that says 503, as Prefect's does while its database is locked."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    from catalog.errors import Busy
    from flows import prefect_api

    asked = []

    class Busily(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(503 if len(asked) <= refusals else 200)
            self.end_headers()
            self.wfile.write(b"{}" if len(asked) <= refusals else b"true")

        def log_message(self, *given):
            pass

    server = HTTPServer(("127.0.0.1", 0), Busily)
    Thread(target=server.serve_forever, daemon=True).start()
    at = PrefectApi(f"http://127.0.0.1:{server.server_port}/api")
    monkeypatch.setattr(prefect_api, "PAUSES", (0.01, 0.01, 0.01))
    try:
        if refusals == 2:
            assert prefect_api.call(at, "GET", "/health") is True and asked == ["/api/health"] * 3
        else:
            with pytest.raises(Busy, match="too busy to answer GET /health; repeat"):
                prefect_api.call(at, "GET", "/health")
            assert len(asked) == 4
    finally:
        server.shutdown()
        server.server_close()


def test_an_inline_run_never_imports_prefect(cat):
    code = (
        "import sys; from ui.cli.main import run; status = run(['score', 'web', 'langid', '--on', 'inline']);"
        "print(status, sorted(m for m in sys.modules if m in ('prefect', 'torch', 'streamlit', 'fastapi')))"
    )
    env = os.environ | {"STRATA_HOME": str(cat.settings.home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_a_selection_from_the_command_line_reaches_plan_and_score(cat, monkeypatch, capsys):
    import orjson

    from catalog.selections import save
    from ui.cli.main import run

    save(cat, "long", "web", "chars > 150")
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    rows = cat.lance("web").count_rows("chars > 150")
    assert run(["plan", "web", "text_length", "--select", "long", "--json"]) == 0
    held = orjson.loads(capsys.readouterr().out)
    assert (held["missing"], held["selection"]) == (rows, "long@v1")
    assert run(["score", "web", "text_length", "--select", "long", "--on", "inline", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["columns"]["lines"]["covered"] == rows
    assert run(["score", "web", "minhash", "--select", "long"]) != 0
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "leave --select away" in error
