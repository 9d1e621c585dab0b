"""What scripts rely on: every command of the contract, its help with an example, --json, exit statuses, a quick start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import typer

from catalog import Catalog
from catalog.testing import errors_of, sentences, write_jsonl
from ui.cli.main import app, run

CONTRACT = {
    "init", "doctor", "gc", "scorers", "selectors", "mixers", "ingest", "datasets", "show", "diff", "plan", "score", "promote",
    "select_save", "select_list", "select_show", "rollback", "tag", "rename", "drop", "retract", "sql", "search",
    "mix_publish", "mix_show", "mix_diff", "pull", "ui", "serve", "mcp",
    "server_start", "server_stop", "server_status", "server_worker",
}  # fmt: skip
PROGRAMS = {"ui", "serve", "mcp", "server_worker", "grade_work"}  # they run until they are stopped: no result


def commands() -> dict[str, object]:
    """Every leaf command as its words joined by "_"."""
    found: dict[str, object] = {}

    def walk(command, words):
        for name, held in getattr(command, "commands", {}).items():
            if hasattr(held, "commands"):
                walk(held, [*words, name])
            else:
                found["_".join([*words, name])] = held

    walk(typer.main.get_command(app), [])
    return found


ALL = commands()


def test_the_contract_is_complete():
    assert set(ALL) >= CONTRACT


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_has_help_with_an_example_and_json(name, capsys):
    words = name.split("_")
    assert run([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: strata {' '.join(words)}" in text
    assert "Example:" in text and "strata " in text.split("Example:")[1]
    assert ("--json" in text) == (name not in PROGRAMS)
    assert all(getattr(p, "help", "x") for p in ALL[name].params), "every option says what it does"


def test_the_help_is_grouped(capsys):
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        "Data in:", "Look:", "Compute:", "Change:", "Train:", "Run:", "Care:", "Options:",
    ]  # fmt: skip
    assert run([]) == 0 and "Usage:" in capsys.readouterr().out


def test_help_loads_no_catalog_and_starts_in_a_blink():
    code = (
        "import sys, time; began = time.process_time(); from ui.cli.main import run; run(['--help']);"
        "print(time.process_time() - began,"
        " sorted({m.split('.')[0] for m in sys.modules} & {'catalog', 'flows', 'lance', 'duckdb', 'pyarrow', 'sqlalchemy',"
        " 'pydantic', 'rich', 'torch', 'prefect', 'fastapi'}), file=sys.stderr)"
    )
    took, loaded = [], ""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, _, loaded = done.stderr.strip().partition(" ")
        took.append(float(seconds))
    assert loaded == "[]"
    assert min(took) < 0.4


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["show", "nowhere"], "error: no dataset 'nowhere'"),
        (["show", "Bad Name"], "error: 'Bad Name' cannot be a name"),
        (["ingest", "nowhere.jsonl", "--as", "web"], "error: no file or folder 'nowhere.jsonl'"),
        (["ingest", "nowhere.jsonl"], "error: say how to call the dataset: --as NAME"),
        (["score", "web"], "error: Missing argument 'SCORER...'"),
        (["scorers", "gopher_qualty"], "error: no scorer 'gopher_qualty': did you mean gopher_quality"),
        (["sql", "drop table web"], "error: "),
        (["sql", "select 1", "--format", "xml"], "error: --format 'xml' is not one of table, json, csv, arrow"),
        (["scor"], "error: No such command 'scor'."),
        (["datasets", "--tier", "L9"], "error: --tier 'L9' is not one of L0, L1, L2, L3, L4"),
        (["datasets", "--kind", "poem"], "error: --kind 'poem' is not one of text, chat, preference, task, knowledge"),
        (["runs", "list", "--dataset", "wep"], "error: no dataset 'wep'"),
        (["datasets", "--wrong"], "error: No such option"),
        (["rollback", "web", "--to", "three"], "error: --to wants a version such as v3"),
        (["runs", "show", "ffff"], "error: no run 'ffff'"),
        (["runs", "cancel", "ffff"], "error: no run 'ffff'"),
        (["server", "worker"], "error: no server to work for: set PREFECT_API_URL"),
        (["server", "worker", "--pool", "tpu"], "error: pool 'tpu' is not one of cpu, gpu"),
        (["token", "create", "me", "--verbs", "all"], "error: --verbs 'all' is not one of read, propose, write, admin"),
        (["mix", "publish", "nowhere.yaml"], "error: "),
        (["pull", "nowhere@v1"], "error: "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_status_2(words, line, capsys):
    assert run(words) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith(line) and told.err.count("\n") == 1


def test_an_unreachable_database_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("STRATA_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    assert run(["datasets"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: cannot reach the metadata database") and "secret" not in told


def test_home_and_version_options(tmp_path, capsys):
    assert run(["--home", str(tmp_path / "elsewhere"), "init", "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["home"] == str(tmp_path / "elsewhere") and (tmp_path / "elsewhere" / "meta.db").exists()
    assert run(["--version"]) == 0 and capsys.readouterr().out.startswith("strata 0.")


def test_a_closed_pipe_ends_quietly(tmp_path):
    env = os.environ | {"STRATA_HOME": str(tmp_path / "home")}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "ui.cli.main", "datasets"], stdout=writer, stderr=subprocess.PIPE, text=True, env=env
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_says_how_to_resume_and_the_same_command_does(tmp_path):
    path = write_jsonl(tmp_path / "web.jsonl", sentences(150_000))
    env = os.environ | {"STRATA_HOME": str(tmp_path / "home"), "STRATA_PROGRESS": "lines"}
    command = [sys.executable, "-m", "ui.cli.main", "ingest", str(path), "--as", "web", "--json"]
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not _running(tmp_path / "home") and first.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    first.send_signal(2)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 130 and "resume by running the same command" in err
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert json.loads(done.stdout)["counts"]["in"] == 150_000
    cat = Catalog.open(tmp_path / "home")
    assert cat.resolve("web").dataset.rows == 150_000 and errors_of(cat) == []


def _running(home) -> bool:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{home / 'meta.db'}?mode=ro", uri=True) as connection:
            return bool(connection.execute("select 1 from run where status = 'running'").fetchall())
    except sqlite3.OperationalError:
        return False
