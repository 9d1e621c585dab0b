"""The MCP face through a real client: tools, errors, consent for text, tokens over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from sqlmodel import select

from catalog.meta.models import Dataset
from catalog.testing import attach_columns, sentences, text_dataset, write_jsonl
from flows import score
from ui.api.tokens import create
from ui.mcp.server import LocalTokens, build

WRITING = ["select", "mix_publish", "mix_revise", "trial_add", "propose"]


@pytest.fixture
def web(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(40))
    return cat


def ask(server, *calls):
    """Call tools one after the other in one session; returns their results."""

    async def session():
        async with Client(server) as client:
            return [(await client.call_tool(name, given)).structured_content for name, given in calls]

    return asyncio.run(session())


def test_the_tools_read_but_for_a_few_and_say_so(web):
    async def tools():
        async with Client(build(web)) as client:
            return await client.list_tools()

    held = asyncio.run(tools())
    assert all(tool.description for tool in held)
    assert [tool.name for tool in held if not tool.annotations.read_only_hint] == WRITING


def test_a_selection_is_made_with_the_rights_of_the_caller(web):
    asked = {
        "name": "short",
        "source": "web",
        "selector": "topk",
        "budget": 5,
        "params": {"by": "chars", "order": "lowest"},
    }
    names, made, listed, held = ask(
        build(web), ("selectors", {}), ("select", asked), ("selections", {}), ("selection", {"ref": "short"})
    )
    assert {"topk", "rs2"} <= {row["name"] for row in names["result"]}
    assert made == held and made["rows"] == 5 and {"chosen", "random", "rs2"} <= set(made["report"]["means"]["chars"])
    assert [row["selection"] for row in listed["result"]] == ["short@v1"]
    web.grant = "read"
    with pytest.raises(ToolError, match="may only read"):
        ask(build(web), ("select", {**asked, "budget": 6}))


def test_a_selection_does_not_spell_text_out(web):
    for more in (
        {"where": "text LIKE 'The%'"},
        {"stages": [{"where": "text LIKE 'The%'"}]},
        {"selector": "stratified", "budget": 5, "params": {"within": "text"}},
    ):
        with pytest.raises(ToolError, match="holds sample text"):
            ask(build(web), ("select", {"name": "spy", "source": "web", **more}))


@pytest.fixture
def blend(web, tmp_path):
    text_dataset(web, tmp_path, "more", sentences(40, seed=3))
    return {"name": "blend", "total": 20, "parts": [{"dataset": "web", "weight": 1}, {"dataset": "more", "weight": 1}]}


def test_rules_and_overlaps_are_figures_and_text_needs_consent(web):
    from catalog.selections import save

    save(web, "long", "web", "chars > 300")
    asked = (
        ("rules", {"ref": "web", "rules": ["chars > 300", "chars < 500"]}),
        ("selection_overlap", {"a": "long", "b": "chars < 500", "dataset": "web"}),
        ("sql", {"query": "SELECT count(*) AS n FROM web WHERE chars > 300 AND chars < 500"}),
    )
    tried, held, counted = ask(build(web), *asked)
    assert tried["kept"] == held["both"]["rows"] == counted["rows"][0]["n"] > 0
    shown = [tried["edges"][0]["kept"][0], tried["edges"][0]["dropped"][0], held["both"]["examples"][0]]
    assert all("withheld" in row["text"] and row["sample_id"] for row in shown)
    body = json.dumps([tried, held])
    assert not any(batch["text"][:40] in body for part in web.scan("web", ["text"]) for batch in part.to_pylist())
    for side in ({"a": "long", "b": "text LIKE 'The%'"}, {"a": "text LIKE 'The%'", "b": "web"}):
        with pytest.raises(ToolError, match="holds sample text"):
            ask(build(web), ("selection_overlap", {**side, "dataset": "web"}))
    open_to = ask(build(web, texts=True), *asked[:2])
    assert "withheld" not in json.dumps(open_to) and open_to[0]["kept"] == tried["kept"]
    for name, given in (
        ("rules", {"ref": "web", "rules": ["chras > 3"]}),
        ("rules", {"ref": "web", "rules": []}),
        ("selection_overlap", {"a": "nothing", "b": "web"}),
    ):
        with pytest.raises(ToolError) as caught:
            ask(build(web), (name, given))
        assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)


def test_a_mix_is_weighed_published_revised_and_compared(web, blend):
    server = build(web)
    weighed, seen, made, revised, listed, held, moved, signed = ask(
        server,
        ("mix_weights", {"spec": blend, "mixer": "temperature", "params": {"temperature": 1}}),
        ("mix_preview", {"spec": blend}),
        ("mix_publish", {"spec": blend}),
        ("mix_revise", {"ref": "blend", "at_sample": 5, "weights": {"web": 3, "more": 1}}),
        ("mixes", {}),
        ("mix", {"ref": "blend@v2"}),
        ("diff", {"a": "blend@v1", "b": "blend@v2", "scores": True}),
        ("mix_verify", {"ref": "blend"}),
    )
    assert [part["weight"] for part in weighed["parts"]] == [0.5, 0.5] and seen["samples"] == 20
    assert (made["ref"], revised["ref"]) == ("blend@v1", "blend@v2")
    assert [row["revises"] for row in listed["result"]] == [None, "blend@v1"]
    assert held["lock"]["revises"][0]["at"] == 5 and signed["result"] == []
    assert moved["shifts"]["shares"]["source"]["web"] == [0.5, 0.7]
    for name, given in (
        ("mix_publish", {"spec": {**blend, "seed": 2}}),
        ("mix_revise", {"ref": "blend", "at_sample": 5, "weights": {"web": 1}}),
        ("trial_add", {"mix": "blend", "results": {"loss": 1.0}}),
        ("mix_weights", {"spec": blend, "mixer": "skill_it", "params": {"graph": "/etc/passwd"}}),
    ):
        web.grant = "read"
        with pytest.raises(ToolError, match="may only read"):
            ask(server, (name, given))
    assert len(ask(server, ("mixes", {}))[0]["result"]) == 2


def test_trials_and_ledgers(web, blend):
    from catalog.pull.ledger import Ledger

    server = build(web)
    for mix, rise in ((publish(web, blend), 1), (publish(web, {**blend, "seed": 4}), 0)):
        for seed in range(3):
            ask(server, ("trial_add", {"mix": mix, "results": {"loss": 2.0 + rise * seed}, "seed": seed}))
    listed, found = ask(server, ("trials", {"mix": "blend@v1"}), ("trial_compare", {"a": "blend@v1", "b": "blend@v2"}))
    assert len(listed["result"]) == 3 and found["result"][0]["verdict"] == "tie"
    [one] = ask(server, ("trial", {"name": listed["result"][0]["id"]}))
    assert one["results"] == {"loss": 2.0}
    mix = web.mix("blend@v1")
    record = Ledger(mix, "run-1", begin={"lock": mix.digest, "next": 0})
    batch = next(iter(mix.batches(0, 8, batch_rows=8)))
    record.record(1, batch, loss=[0.5] * 8)
    record.close()
    sample = mix.take([0], ["sample_id"]).column("sample_id")[0].as_py()
    runs, audit, curve, who, reach = ask(
        server,
        ("ledgers", {"mix": "blend@v1"}),
        ("ledger", {"mix": "blend@v1", "run": "run-1"}),
        ("ledger_curves", {"mix": "blend@v1", "run": "run-1"}),
        ("ledger_who", {"sample": sample}),
        ("retract_reach", {"ids": [sample]}),
    )
    assert runs["runs"] == ["run-1"] and audit["lost"] == [] and curve["result"][0]["loss"] == 0.5
    assert who["result"][0]["step"] == 1 and reach["samples"] == 1 and "blend@v1" in {m["mix"] for m in reach["mixes"]}
    assert web.resolve("web").dataset.rows == 40  # nothing is retracted
    with pytest.raises(ToolError, match="no run"):
        ask(server, ("ledger", {"mix": "blend@v1", "run": "../../ledger/blend@v1/run-1"}))


def publish(cat, spec) -> str:
    made = cat.publish_mix(spec)
    return f"{made.name}@v{made.version}"


def test_a_mix_does_not_spell_text_out(web, blend):
    """Row counts under a filter over text, or a split by it, would."""
    spied = {**blend, "parts": [{"dataset": "web", "weight": 1, "where": "text LIKE 'The%'"}, blend["parts"][1]]}
    publish(web, blend)
    added = {"ref": "blend", "at_sample": 5, "add": [{**spied["parts"][0], "name": "spy"}]}
    for tool, given in (
        ("mix_preview", {"spec": spied}),
        ("mix_weights", {"spec": spied, "mixer": "unimax"}),
        ("mix_publish", {"spec": spied}),
        ("mix_front", {"spec": spied}),
        ("mix_split", {"spec": blend, "by": "text"}),
        ("mix_revise", added),
        ("retract_reach", {"where": "text LIKE 'The%'"}),
        ("retract_reach", {"where": "text LIKE 'The%'", "datasets": ["web"]}),
    ):
        with pytest.raises(ToolError, match="holds sample text"):
            ask(build(web), (tool, given))
    seen_by = build(web, texts=True)
    [seen] = ask(seen_by, ("mix_preview", {"spec": {**spied, "total": 4}}))
    assert 0 < seen["parts"][0]["rows"] < 40


def test_facts_counts_and_plans(web):
    score(web, "web", ["gopher_quality"])
    names, facts, planned, listed = ask(
        build(web),
        ("datasets", {}),
        ("show", {"ref": "web@v1"}),
        ("plan", {"name": "web", "scorers": ["langid"]}),
        ("runs", {}),
    )
    assert [row["name"] for row in names["result"]] == ["web"]
    assert facts["rows"] == 40 and facts["columns"][0]["covered"] == 40
    assert planned["steps"][0]["missing"] == 40 and [run["verb"] for run in listed["result"]] == ["score", "ingest"]


EVASIONS = [
    "SELECT text FROM web",
    "SELECT substr(text, 1, 60) AS part FROM web",
    "SELECT w.text[1:60] AS part FROM web AS w",
    "SELECT list(upper(text)) AS l FROM web",
    "SELECT string_agg(left(text, 9), '') AS s FROM web GROUP BY source",
    "WITH q AS (SELECT text AS t FROM web) SELECT t FROM q",
    "SELECT n FROM (SELECT text AS n FROM web UNION ALL SELECT source FROM web)",
    "SELECT unicode(text[3]) AS code FROM web",
    "SELECT count(*) AS n FROM web WHERE text LIKE 'The%'",
    "SELECT sample_id FROM web ORDER BY text",
    "SELECT a.sample_id FROM web AS a JOIN web AS b USING (text)",
    "SELECT (SELECT min(b.text) FROM web AS b WHERE b.sample_id = a.sample_id) AS m FROM web AS a",
    "SELECT meta->>'secret' AS s FROM web",
    "SELECT regexp_extract(meta, '.*') AS s FROM web",
    "SELECT u.t FROM web, LATERAL (SELECT text AS t) AS u",
    "PIVOT web ON source USING first(text)",
    "SELECT excerpt FROM strata.quarantine",
    'SELECT text FROM "web@v1"',
    "SELECT quote FROM web",
]
WHOLE = [
    "SELECT * FROM web",
    "FROM web",
    "SELECT web FROM web",
    "SELECT to_json(web) AS j FROM web",
    "SELECT struct_pack(a := w) AS s FROM web AS w",
    "SELECT COLUMNS('.*') FROM web",
    "SELECT * FROM web, (WITH scan_0 AS (SELECT 1 AS one) SELECT * FROM scan_0) AS x, scan_0",
    "SUMMARIZE web",
    "DESCRIBE web",
    "SELECT * FROM strata.quarantine",
    "EXPLAIN ANALYZE SELECT * FROM web",
]
SECRET = "sesame"


@pytest.fixture
def secret(cat, tmp_path):
    """A dataset whose every text field holds one word, with a broken record and a computed quote."""
    rows = [{"text": f"The {SECRET} number {at}.", "secret": f"{SECRET} {at}"} for at in range(40)]
    path = write_jsonl(tmp_path / "web.jsonl", rows)
    with path.open("ab") as file:
        file.write(b'{"text": "' + SECRET.encode() + b"\n")
    cat.ingest([path], "web")
    attach_columns(cat, "web", {"quote": [f"{SECRET} {at} " * 9 for at in range(40)], "label": ["a", "b"] * 20})
    return cat


@pytest.mark.parametrize("query", EVASIONS)
def test_no_expression_over_text_passes_without_consent(secret, query):
    with pytest.raises(ToolError) as caught:
        ask(build(secret), ("sql", {"query": query}))
    assert "\n" not in str(caught.value) and SECRET not in str(caught.value)
    assert "without consent" in str(caught.value) or query.startswith("PIVOT"), str(caught.value)


@pytest.mark.parametrize("query", WHOLE)
def test_what_asks_for_all_columns_gets_those_without_text(secret, query):
    try:
        [held] = ask(build(secret), ("sql", {"query": query}))
    except ToolError as error:
        assert SECRET not in str(error)
        return
    assert held["rows"] and SECRET not in json.dumps(held["rows"])


def test_facts_and_labels_answer_without_consent(secret):
    server = build(secret)
    [held] = ask(
        server, ("sql", {"query": "SELECT label, count(*) AS n, sum(chars) > 0 AS c FROM web GROUP BY 1 ORDER BY 1"})
    )
    assert held["rows"] == [{"label": "a", "n": 20, "c": True}, {"label": "b", "n": 20, "c": True}]
    [held] = ask(server, ("sql", {"query": "SELECT sample_id, label FROM web WHERE chars > 3 ORDER BY chars LIMIT 3"}))
    assert len(held["rows"]) == 3
    [held] = ask(server, ("search", {"ref": "web", "words": "number", "where": "chars > 3"}))
    assert len(held["hits"]) == 10
    with pytest.raises(ToolError, match="text of web holds sample text"):
        ask(server, ("search", {"ref": "web", "words": "number", "where": "text LIKE 'The s%'"}))


def test_text_leaves_with_consent_of_the_server_or_of_the_owner(secret):
    query = ("sql", {"query": "SELECT substr(text, 1, 10) AS t, meta FROM web LIMIT 3"})
    [held] = ask(build(secret, texts=True), query)
    assert all(row["t"] == f"The {SECRET}" for row in held["rows"])
    with secret.session() as session:
        dataset = session.exec(select(Dataset)).one()
        dataset.consent_llm, dataset.tier = True, "L1"  # raw text never leaves
        session.add(dataset)
        session.commit()
    [held] = ask(build(secret), query)
    assert all(SECRET in row["t"] and SECRET in row["meta"] for row in held["rows"])


def test_consent_of_the_dataset_opens_its_search(web):
    found = ("search", {"ref": "web", "words": "river village", "limit": 3})
    [held] = ask(build(web), found)
    assert len(held["hits"]) == 3 and all("withheld" in row["text"] for row in held["hits"])
    with web.session() as session:
        dataset = session.exec(select(Dataset)).one()
        dataset.consent_llm, dataset.tier = True, "L1"  # raw text never leaves
        session.add(dataset)
        session.commit()
    [held] = ask(build(web), found)
    assert all("village" in row["text"] or "river" in row["text"] for row in held["hits"])


@pytest.mark.parametrize(
    ("tool", "given", "line"),
    [
        ("show", {"ref": "wep"}, "no dataset 'wep': did you mean web"),
        ("sql", {"query": "DROP TABLE web"}, "DROP"),
        ("plan", {"name": "web", "scorers": ["nothing"]}, "no scorer 'nothing'"),
    ],
)
def test_an_error_is_the_catalogs_one_line(web, tool, given, line):
    with pytest.raises(ToolError) as caught:
        ask(build(web), (tool, given))
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_stdio_speaks_from_the_command_line(web):
    transport = StdioTransport(
        sys.executable, ["-m", "ui.cli.main", "mcp"], env=os.environ | {"STRATA_HOME": str(web.settings.home)}
    )
    [held] = ask(transport, ("datasets", {}))
    assert [row["name"] for row in held["result"]] == ["web"]


def test_http_wants_a_live_token_and_keeps_its_rights(web):
    import uvicorn

    app = build(web, auth=LocalTokens(web)).http_app()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    url = f"http://127.0.0.1:{port}/mcp"
    try:
        secret = create(web, "ana", "read")

        async def rows():
            async with Client(url, auth=secret) as client:
                return (await client.call_tool("datasets", {})).structured_content

        assert json.dumps(asyncio.run(rows())).count('"web"') == 1

        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for headers in ({}, {"Authorization": "Bearer strata_wrong"}):
            assert httpx.post(url, json=body, headers=headers).status_code == 401
    finally:
        server.should_exit = True
        thread.join(20)
