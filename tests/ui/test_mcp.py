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
from catalog.testing import sentences, text_dataset
from flows import score
from ui.api.tokens import create
from ui.mcp.server import LocalTokens, build

TOOLS = {"datasets", "show", "card", "lineage", "diff", "scorers", "runs", "sql", "search", "plan"}


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


def test_the_tools_are_the_read_verbs_and_say_so(web):
    async def tools():
        async with Client(build(web)) as client:
            return await client.list_tools()

    held = asyncio.run(tools())
    assert {tool.name for tool in held} == TOOLS
    assert all(tool.description and tool.annotations.read_only_hint for tool in held)


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


def test_text_leaves_only_with_consent(web):
    query = ("sql", {"query": "SELECT sample_id, text FROM web LIMIT 3"})
    [held] = ask(build(web), query)
    assert all("withheld" in row["text"] and len(row["sample_id"]) == 32 for row in held["rows"])
    [held] = ask(build(web, texts=True), query)
    assert all("withheld" not in row["text"] for row in held["rows"])


def test_consent_of_the_dataset_opens_its_search(web):
    found = ("search", {"ref": "web", "words": "river village", "limit": 3})
    [held] = ask(build(web), found)
    assert len(held["hits"]) == 3 and all("withheld" in row["text"] for row in held["hits"])
    with web.session() as session:
        dataset = session.exec(select(Dataset)).one()
        dataset.consent_llm = True
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
