"""Kept queries and discovery at the command line, over HTTP and by MCP: the same answers, rights and refusals."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi.testclient import TestClient
from fastmcp import Client
from fastmcp.exceptions import ToolError

from catalog.testing import attach_columns, text_dataset
from ui.api.app import create_app
from ui.api.tokens import create
from ui.cli.main import run
from ui.mcp.server import build

SECRET = "zanzibar"
TEXTS = [f"A report from the harbour of {SECRET} on ships and cargo, number {at}." for at in range(8)]


@pytest.fixture
def stock(cat, tmp_path):
    text_dataset(cat, tmp_path, "ships", TEXTS, licence="MIT", note="reports from harbours")
    text_dataset(cat, tmp_path, "soups", [f"Season the soup {at}" for at in range(6)], licence="CC-BY-NC-4.0")
    attach_columns(cat, "ships", {"topic": [f"{SECRET} " * 12, "cargo"] * 4})
    return cat


@pytest.fixture
def strata(stock, capsys):
    def call(*arguments: str, status: int = 0) -> str:
        assert run(["--home", str(stock.settings.home), *arguments]) == status
        held = capsys.readouterr()
        return held.err if status else held.out

    return call


def client(cat, verbs: str) -> TestClient:
    return TestClient(create_app(cat), headers={"Authorization": f"Bearer {create(cat, verbs, verbs)}"})


def told(cat, tool: str, given: dict, **options):
    async def session():
        async with Client(build(cat, **options)) as mcp:
            return (await mcp.call_tool(tool, given)).structured_content

    return asyncio.run(session())


def test_queries_at_the_command_line(strata):
    query = "SELECT licence, count(*) AS rows FROM ships GROUP BY 1"
    assert "strata sql --saved licences" in strata("queries", "save", "licences", query, "--note", "by licence")
    assert json.loads(strata("queries", "list", "--json"))[0]["query"] == query
    assert "by licence" in strata("queries", "list")
    assert strata("queries", "show", "licences").strip() == query
    assert json.loads(strata("sql", "--saved", "licences", "--json")) == [{"licence": "MIT", "rows": 8}]
    for arguments, said in (
        (("sql",), "say once what to run"),
        (("sql", query, "--saved", "licences"), "say once what to run"),
        (("sql", "--saved", "licence"), "did you mean licences"),
        (("queries", "save", "licences", "SELECT 1"), "kept already"),
        (("queries", "delete", "nothing"), "no query"),
        (("select", "save", "x", "ships", "--query", query), "says itself"),
        (("select", "save", "x", "--query", query), "groups rows"),
        (("select", "save", "x", "--freeze"), "--query SQL"),
    ):
        assert said in strata(*arguments, status=2)
    strata("queries", "save", "some", "SELECT sample_id FROM ships ORDER BY chars LIMIT 3")
    made = json.loads(strata("select", "save", "few", "--query", "@some", "--freeze", "--json"))
    assert (made["selection"], made["rows"]) == ("few@v1", 3)
    assert "frozen from" in strata("select", "show", "few")
    assert "forgotten" in strata("queries", "delete", "some")


def test_queries_over_http_and_mcp(stock):
    reader, writer = client(stock, "read"), client(stock, "write")
    body = {"name": "rows", "query": "SELECT count(*) AS n FROM ships"}
    assert reader.post("/queries", json=body).status_code == 403
    assert writer.post("/queries", json=body).json()["query"] == body["query"]
    assert writer.post("/queries", json={**body, "query": "DROP TABLE ships"}).status_code == 400
    assert writer.post("/queries", json={**body, "query": "SELECT 1"}).status_code == 409
    assert [held["name"] for held in reader.get("/queries").json()] == ["rows"]
    assert reader.get("/queries/rows").json()["note"] == ""
    assert [held["query"] for held in told(stock, "queries", {})["result"]] == [body["query"]]
    asked = {"name": "long", "query": "SELECT * FROM ships WHERE chars > 3"}
    assert writer.post("/selections", json=asked).json()["rows"] == 8
    frozen = {"name": "two", "query": "SELECT sample_id FROM ships LIMIT 2", "freeze": True}
    assert writer.post("/selections", json=frozen).json()["rows"] == 2
    assert writer.post("/selections", json={"name": "x", "where": "chars > 1"}).status_code == 400
    assert reader.delete("/queries/rows").status_code == 403
    assert writer.delete("/queries/rows").json() == {"deleted": "rows"}
    assert reader.get("/queries/rows").status_code == 404


def test_facets_at_the_command_line(strata):
    held = json.loads(strata("discover", "food", "--mode", "text", "--use", "commercial", "--kind", "text", "--json"))
    assert held["searched"] == 1
    assert "no tier 'L9'" in strata("discover", "food", "--tier", "L9", status=2)


def test_discovery_over_http(stock):
    reader = client(stock, "read")
    held = reader.post("/discover", json={"need": "harbour reports", "mode": "text"}).json()
    assert held["datasets"][0]["ref"] == "ships@v1" and "language model is off" in held["notes"][0]
    free = reader.post("/discover", json={"need": "texts to eat", "mode": "text", "use": ["commercial"]}).json()
    assert free["searched"] == 1
    assert reader.post("/discover", json={"need": "x", "tier": ["L7"]}).status_code == 404
    assert reader.post("/discover", json={"need": "..."}).status_code == 400
    assert reader.post("/discover", json={"need": "x", "shape": ["round"]}).status_code == 422
    assert reader.post("/discover", json={"need": "x", "endpoint": "e", "budget": "b"}).status_code == 403
    asked = {"need": "x", "endpoint": "e", "budget": "b"}
    assert client(stock, "write").post("/discover", json=asked).status_code == 404


def test_discovery_by_mcp_tells_no_text_without_consent(stock):
    need = {"need": f"ships of {SECRET}", "top": 2}
    shown = told(stock, "discover", need)
    (first,) = [item for item in shown["datasets"] if item["ref"] == "ships@v1"]
    assert SECRET not in json.dumps(shown["datasets"]) and first["samples"] == []
    assert "name" in first["matched"] and "excerpts" not in first["matched"]
    assert first["checks"] == [] and first["ranks"]["words"]["place"] == 1
    local = told(stock, "discover", need, texts=True)["datasets"][0]
    assert SECRET in json.dumps(local) and local["samples"]
    assert told(stock, "discover", {"need": "food", "licence": ["MIT"]})["searched"] == 1
    with pytest.raises(ToolError, match="there are: CC-BY-NC-4.0, MIT"):
        told(stock, "discover", {"need": "food", "licence": ["mit"]})
