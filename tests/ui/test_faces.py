"""Which face offers which verb: every command, route and tool stands in one table, and what is missing has its reason."""

from __future__ import annotations

import asyncio

import pytest
import typer

from catalog.errors import BadInput, Refused
from catalog.testing import sentences, text_dataset
from ui import mixing
from ui.api.app import create_app
from ui.cli.main import app
from ui.mcp.server import build

FILES = "reads or writes files of whoever calls it"
PROGRAM = "starts a program that runs until it is stopped"
HERE = "is about this machine, which has its own owner"
LONG = "takes minutes to hours in the caller's process, and no queue takes it yet"
WHOLE = "reads the columns of a whole set for a report that people look at; its figures are in sql"
PEOPLE = "changes what is there, which over MCP stays with people"
KEYS = "a private key never travels"
SAMPLES = "streams sample text, for which there is the HTTP face and the library"
PAYS = "whom a team pays, and how much at most, is set at the command line by whoever answers for it"
GRADES = "grading stays with people: an assistant reads how it goes"
DECIDES = "over MCP assistants propose; deciding stays with people"
ASKED = "a receipt says who asked for what to be taken out, which stays with people"
SOURCES = "over MCP: `datasets` and `card`; reasons of failures quote the files"
PLAIN = "over MCP: figures that `show` and `sql` give"

Verb = tuple[str, str, str]
"""HTTP route or "", MCP tool or "", and why one is missing."""
VERBS: dict[str, Verb] = {
    "init": ("", "", HERE),
    "ingest": ("POST /ingest", "", PEOPLE),
    "datasets": ("GET /datasets", "datasets", ""),
    "show": ("GET /datasets/{ref}", "show", ""),
    "card": ("GET /datasets/{ref}/card", "card", ""),
    "lineage": ("GET /datasets/{ref}/lineage", "lineage", ""),
    "trace": ("GET /samples/{sample}", "", SAMPLES),
    "attribute": ("POST /attribute", "attribute", ""),
    "question": ("POST /question", "question", ""),
    "diff": ("GET /diff", "diff", ""),
    "compare": ("GET /compare", "compare", ""),
    "clusters": ("GET /datasets/{ref}/clusters", "clusters", ""),
    "sql": ("POST /sql", "sql", ""),
    "search": ("POST /search", "search", ""),
    "discover": ("POST /discover", "discover", ""),
    "queries save": ("POST /queries", "", PEOPLE),
    "queries list": ("GET /queries", "queries", ""),
    "queries show": ("GET /queries/{name}", "queries", ""),
    "queries delete": ("DELETE /queries/{name}", "", PEOPLE),
    "explore": ("GET /datasets/{ref}/explore", "", SAMPLES),
    "rules": ("GET /datasets/{ref}/rules", "rules", ""),
    "confounds": ("GET /datasets/{ref}/confounds/{column}", "", PLAIN),
    "estimate": ("GET /datasets/{ref}/estimate", "", PLAIN),
    "insight": ("GET /datasets/{ref}/insight", "insight", ""),
    "notes": ("GET /notes", "notes", ""),
    "index": ("POST /datasets/{name}/indexes", "", PEOPLE),
    "scorers": ("GET /scorers", "scorers", ""),
    "selectors": ("GET /selectors", "selectors", ""),
    "mixers": ("GET /mixers", "mixers", ""),
    "plan": ("POST /plan", "plan", ""),
    "score": ("POST /score", "", PEOPLE),
    "promote": ("POST /promote", "", PEOPLE),
    "rollback": ("POST /datasets/{name}/rollback", "", PEOPLE),
    "tag": ("POST /datasets/{ref}/tag", "", PEOPLE),
    "consent": ("", "", "a decision of the dataset's owner, made at the command line"),
    "rename": ("POST /datasets/{name}/rename", "", PEOPLE),
    "drop": ("DELETE /datasets/{name}", "", PEOPLE),
    "retract": ("POST /retract", "retract_reach", "over MCP the dry run alone: " + PEOPLE),
    "ask": ("", "", "a conversation: whoever speaks HTTP or MCP to the catalog brings a language model of their own"),
    "incident": ("POST /incidents", "", SAMPLES),
    "receipts list": ("GET /receipts", "", ASKED),
    "receipts show": ("GET /receipts/{run}", "", ASKED),
    "intake list": ("GET /intake", "", SOURCES),
    "intake verify": ("POST /intake/verify", "", DECIDES),
    "intake accept": ("POST /intake/accept", "", DECIDES),
    "intake check": ("POST /intake/{name}/check", "", PEOPLE),
    "intake score": ("", "", LONG),
    "intake promote": ("POST /intake/promote", "", "over MCP: `propose` with promote"),
    "intake approve": ("POST /intake/approve", "", DECIDES),
    "intake again": ("", "", LONG),
    "intake forget": ("DELETE /intake/{name}", "", PEOPLE),
    "propose": ("POST /proposals", "propose", ""),
    "proposals list": ("GET /proposals", "proposals", ""),
    "proposals show": ("GET /proposals/{proposal}", "proposal", ""),
    "proposals edit": ("POST /proposals/{proposal}/edit", "", DECIDES),
    "proposals approve": ("POST /proposals/{proposal}/approve", "", DECIDES),
    "proposals reject": ("POST /proposals/{proposal}/reject", "", DECIDES),
    "pull": ("GET /mixes/{ref}/samples", "", SAMPLES),
    "ui": ("", "", PROGRAM),
    "serve": ("", "", PROGRAM),
    "mcp": ("", "", PROGRAM),
    "doctor": ("GET /doctor", "", HERE),
    "gc": ("POST /gc", "", PEOPLE),
    "profile features": ("", "", WHOLE),
    "profile near": ("", "", WHOLE),
    "profile facts": ("", "", WHOLE),
    "profile toxicity": ("", "", WHOLE),
    "select save": ("POST /selections", "select", ""),
    "select list": ("GET /selections", "selections", ""),
    "select show": ("GET /selections/{ref}", "selection", ""),
    "select overlap": ("GET /sets/overlap", "selection_overlap", ""),
    "weights draw": ("", "", FILES),
    "weights learn": ("", "", FILES),
    "endpoint add": ("", "", PAYS),
    "endpoint list": ("", "endpoints", PAYS),
    "endpoint remove": ("", "", PAYS),
    "endpoint export": ("", "", FILES),
    "endpoint import": ("", "", FILES),
    "endpoint batches": ("", "", PAYS),
    "endpoint cancel": ("", "", PAYS),
    "judge report": ("GET /datasets/{ref}/judges/{column}", "judge_report", ""),
    "budget set": ("", "", PAYS),
    "budget list": ("", "budgets", PAYS),
    "grade create": ("POST /campaigns", "", GRADES),
    "grade list": ("GET /campaigns", "grade_campaigns", ""),
    "grade work": ("", "", "asks at a terminal; elsewhere the same by next and put"),
    "grade next": ("POST /campaigns/{name}/next", "", GRADES),
    "grade put": ("POST /items/{item}/grade", "", GRADES),
    "grade skip": ("POST /items/{item}/skip", "", GRADES),
    "grade undo": ("POST /campaigns/{name}/undo", "", GRADES),
    "grade plant": ("POST /campaigns/{name}/plant", "", GRADES),
    "grade status": ("GET /campaigns/{name}", "grade_status", ""),
    "grade agree": ("GET /campaigns/{name}/agreement", "grade_agreement", ""),
    "grade compare": ("GET /campaigns/{name}/compare/{column}", "grade_compare", ""),
    "grade conflicts": ("GET /campaigns/{name}/conflicts", "grade_conflicts", ""),
    "grade adjudicate": ("POST /campaigns/{name}/settle", "", GRADES),
    "grade export": ("GET /campaigns/{name}/grades", "", GRADES),
    "grade publish": ("POST /campaigns/{name}/publish", "", GRADES),
    "grade close": ("POST /campaigns/{name}/close", "", GRADES),
    "grade edits": ("POST /campaigns/{name}/edits", "", GRADES),
    "grade bulk": ("POST /campaigns/{name}/bulk", "", GRADES),
    "mix weights": ("POST /mixes/weights", "mix_weights", ""),
    "mix front": ("POST /mixes/front", "mix_front", ""),
    "mix split": ("POST /mixes/split", "mix_split", ""),
    "mix publish": ("POST /mixes", "mix_publish", ""),
    "mix revise": ("POST /mixes/{ref}/revise", "mix_revise", ""),
    "mix draft": ("POST /mixes/draft", "mix_draft", ""),
    "mix preview": ("POST /mixes/preview", "mix_preview", ""),
    "mix list": ("GET /mixes", "mixes", ""),
    "mix show": ("GET /mixes/{ref}", "mix", ""),
    "mix diff": ("GET /diff", "diff", ""),
    "mix key": ("", "", KEYS),
    "mix sign": ("POST /mixes/{ref}/sign", "", KEYS),
    "mix verify": ("GET /mixes/{ref}/signatures", "mix_verify", ""),
    "trial add": ("POST /trials", "trial_add", ""),
    "trial design": ("", "", FILES),
    "trial run": ("", "", LONG),
    "trial anneal": ("", "", LONG),
    "trial doremi": ("", "", LONG),
    "trial skills": ("", "", LONG),
    "trial traces": ("", "", "reads what a proxy run left beside its model, on the machine where it ran"),
    "trial list": ("GET /trials", "trials", ""),
    "trial show": ("GET /trials/{trial}", "trial", ""),
    "trial compare": ("GET /trials/compare", "trial_compare", ""),
    "ledger add": ("POST /mixes/{ref}/ledger", "", PEOPLE),
    "ledger show": ("GET /mixes/{ref}/ledger/{run}", "ledger", ""),
    "ledger curves": ("GET /mixes/{ref}/ledger/{run}/curves", "ledger_curves", ""),
    "ledger who": ("GET /samples/{sample}/served", "ledger_who", ""),
    "server start": ("", "", PROGRAM),
    "server status": ("", "", HERE),
    "server stop": ("", "", HERE),
    "server worker": ("", "", PROGRAM),
    "runs list": ("GET /runs", "runs", ""),
    "runs show": ("GET /runs/{run}", "runs", ""),
    "runs cancel": ("POST /runs/{run}/cancel", "", PEOPLE),
    "evals list": ("GET /evals", "", "over MCP: mixes name the evals they were checked against"),
    "evals declare": ("", "", "a decision of the eval's owner, made at the command line"),
    "evals check": ("", "", LONG),
    "token create": ("", "", HERE),
    "token list": ("", "", HERE),
    "token revoke": ("", "", HERE),
}
BESIDE = {"GET /health", "GET /proposals/verbs", "POST /support", "GET /sets/{ref}/panel", "GET /datasets/{name}/indexes",
          "GET /mixes/{ref}/ledger", "GET /items/{item}", "GET /campaigns/{name}/bulk",
          "POST /campaigns/{name}/bulk/{act}/undo"}  # fmt: skip
"""Routes that are a part of a command: `compare`, `trace`, `index`, `ledger show` and `grade bulk` print the same."""
TOOLS_BESIDE = {"support", "panel", "ledgers", "proposable"}


def test_every_command_stands_in_the_table():
    found: set[str] = set()

    def walk(command, words):
        for name, held in getattr(command, "commands", {}).items():
            if hasattr(held, "commands"):
                walk(held, [*words, name])
            else:
                found.add(" ".join([*words, name]))

    walk(typer.main.get_command(app), [])
    assert found == set(VERBS), "a new command says which faces have it, or why not"


def test_the_faces_have_what_the_table_says_and_nothing_else(cat):
    paths = create_app(cat).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert routes == {route for route, _, _ in VERBS.values() if route} | BESIDE
    tools = {tool.name for tool in asyncio.run(build(cat).list_tools())}
    assert tools == {tool for _, tool, _ in VERBS.values() if tool} | TOOLS_BESIDE


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_what_a_face_lacks_has_a_reason(verb):
    route, tool, why = VERBS[verb]
    assert bool(why) == (not route or not tool or verb == "retract")


def test_a_file_of_the_service_is_for_administrators(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(20))
    text_dataset(cat, tmp_path, "more", sentences(20, seed=1))
    spec = {"name": "m", "total": 10, "parts": [{"dataset": "web"}, {"dataset": "more"}]}
    trials = tmp_path / "trials.csv"
    trials.write_text("web,more,loss\n" + "".join(f"{x},{1 - x},{x}\n" for x in (0.2, 0.5, 0.8)))
    asked = {"mixer": "regmix", "params": {"model": "linear", "folds": 2, "draws": 200}, "goal": "loss"}
    cat.grant = "write"
    for given in (
        {**asked, "trials": str(trials)},
        {"mixer": "skill_it", "params": {"graph": "graph.npy"}},
        {"mixer": "doremi", "params": {"trace": "trace.csv"}},
    ):
        with pytest.raises(Refused, match="more rights"):
            mixing.weigh(cat, spec, **given)
    assert mixing.weigh(cat, spec, "unimax")["parts"][0]["weight"] == 0.5
    made = cat.publish_mix({"name": "m", "parts": [{"dataset": "web"}]})
    for verb in (
        lambda: mixing.sign(cat, "m", str(tmp_path / "key")),
        lambda: mixing.add_ledger(cat, "m", ["x.arrows"]),
    ):
        with pytest.raises(Refused, match="more rights"):
            verb()
    cat.grant = "admin"
    with pytest.raises(BadInput, match="needs .* trials"):
        mixing.weigh(cat, spec, **asked, trials=str(trials))
    assert made.version == 1
