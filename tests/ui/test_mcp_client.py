"""The official MCP client against the server as people start it: handshake, one real call for each tool, each resource.

A new tool needs a row in CALLS: arguments that work on the small catalog of `stocked`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from mcp import ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from agents import proposals
from catalog import Catalog, grades
from catalog.pull.ledger import Ledger
from catalog.queries import save_query
from catalog.testing import attach_columns, sentences, text_dataset
from catalog.trials import add_trial
from flows import score
from flows.endpoints.account import set_budget
from flows.endpoints.registry import save_endpoint
from ui.api.tokens import create, revoke

BLEND = {"name": "blend", "total": 20, "parts": [{"dataset": "web", "weight": 1}, {"dataset": "more", "weight": 1}]}
TAGGED = {"verb": "tag", "args": {"ref": "web@v1", "label": "seen"}}
SAMPLE, TRIAL, PROPOSAL = "$sample", "$trial", "$proposal"
"""Places that `stocked` fills: a sample that run-1 was served, a trial, a proposal."""

CALLS: dict[str, dict[str, Any]] = {
    "datasets": {},
    "show": {"ref": "web@v1"},
    "card": {"ref": "web"},
    "lineage": {"ref": "web"},
    "diff": {"a": "blend@v1", "b": "blend@v2"},
    "clusters": {"ref": "web"},
    "compare": {"a": "web", "b": "more", "metrics": ["ngrams"]},
    "panel": {"ref": "web"},
    "support": {"text": "wise owls watch the river", "datasets": ["web"], "limit": 2},
    "scorers": {},
    "runs": {"dataset": "web"},
    "selectors": {},
    "selections": {},
    "selection": {"ref": "short"},
    "selection_overlap": {"a": "short", "b": "chars < 200", "dataset": "web"},
    "rules": {"ref": "web", "rules": ["chars >= 60", "cluster < 1"]},
    "select": {"name": "shorter", "source": "web", "selector": "topk", "budget": 5, "params": {"by": "chars", "order": "lowest"}},
    "sql": {"query": "SELECT count(*) AS n FROM web"},
    "search": {"ref": "web", "words": "owls", "limit": 3},
    "plan": {"name": "web", "scorers": ["langid"]},
    "mixers": {},
    "mix_preview": {"spec": BLEND},
    "mix_weights": {"spec": BLEND, "mixer": "temperature", "params": {"temperature": 1}},
    "mix_front": {"spec": BLEND, "results": ["loss", "acc:higher"]},
    "mix_split": {"spec": BLEND, "by": "cluster", "parts": ["web"]},
    "mix_publish": {"spec": {**BLEND, "name": "second"}},
    "mixes": {},
    "mix": {"ref": "blend"},
    "mix_verify": {"ref": "blend"},
    "mix_revise": {"ref": "blend@v1", "at_sample": 5, "weights": {"web": 3, "more": 1}},
    "trials": {},
    "trial": {"name": TRIAL},
    "trial_compare": {"a": "blend@v1", "b": "blend@v2"},
    "trial_add": {"mix": "blend@v1", "results": {"loss": 2.5}, "seed": 9},
    "ledgers": {"mix": "blend@v1"},
    "ledger": {"mix": "blend@v1", "run": "run-1"},
    "ledger_curves": {"mix": "blend@v1", "run": "run-1"},
    "ledger_who": {"sample": SAMPLE},
    "retract_reach": {"ids": [SAMPLE]},
    "proposable": {},
    "propose": {**TAGGED, "title": "Name what was looked at", "reasons": [{"text": "it was read", "samples": [SAMPLE]}]},
    "proposals": {"status": "open"},
    "proposal": {"id": PROPOSAL},
    "endpoints": {},
    "budgets": {},
    "discover": {"need": "English stories about animals"},
    "insight": {"ref": "web", "checks": ["duplicate_content", "near_empty_text"]},
    "notes": {"a": "blend@v1", "b": "blend@v2"},
    "queries": {},
    "grade_campaigns": {},
    "grade_status": {"campaign": "look"},
    "grade_agreement": {"campaign": "look", "resamples": 10},
    "grade_conflicts": {"campaign": "look"},
    "grade_compare": {"campaign": "look", "column": "judged"},
    "judge_report": {"ref": "web", "column": "judged"},
    "attribute": {"text": "wise owls watch the river", "datasets": ["web"], "limit": 2},
    "question": {"text": "how many rows of web by cluster"},
    "mix_draft": {"goal": "web and more, 10 samples, at most 2 epochs"},
}  # fmt: skip
"""Arguments of one real call for each tool."""

RESOURCES = {
    "strata://datasets": '"web"',
    "strata://mixes": '"blend@v1"',
    "strata://datasets/web/card": '"rows": 40',
    "strata://datasets/web@v1/card": '"rows": 40',
    "strata://datasets/web/lineage": "web.jsonl",
    "strata://mixes/blend@v1/lock": '"parts"',
}
PROMPTS = {"find_data": {"need": "recipes in French"}, "look_into": {"name": "web"}, "plan_a_mix": {"goal": "maths"}}


def stocked(folder: Path) -> tuple[Catalog, dict[str, str]]:
    """A small catalog in which every tool finds something, and what to put in the places of CALLS."""
    cat = Catalog.open(folder / "home")
    text_dataset(cat, folder, "web", sentences(40), licence="MIT")
    text_dataset(cat, folder, "more", sentences(40, seed=3))
    score(cat, "web", ["text_length"])
    attach_columns(cat, "web", {"cluster": pa.array([0, 1] * 20, pa.int32())}, scorer="kmeans")
    cat.select("short", "web", "chars > 10")
    cat.publish_mix(BLEND)
    cat.publish_mix({**BLEND, "seed": 4})
    trials = [
        add_trial(cat, mix, {"loss": 2.0 + seed, "acc": 0.5 - seed / 4}, seed=seed)
        for mix in ("blend@v1", "blend@v2")
        for seed in (0, 1)
    ]
    mix = cat.mix("blend@v1")
    record = Ledger(mix, "run-1", begin={"lock": mix.digest, "next": 0})
    record.record(1, next(iter(mix.batches(0, 8, batch_rows=8))), loss=[0.5] * 8)
    record.close()
    save_endpoint(
        cat, "judge", url="https://user:hunter2@models.example:8000/v1?key=hunter2", model="m", key="JUDGE_KEY"
    )
    set_budget(cat, "grading", money=5)
    save_query(cat, "sizes", "SELECT count(*) FROM web")
    made = proposals.propose(cat, "tag", {"ref": "web@v1", "label": "old"})
    attach_columns(
        cat, "web", {"judged": pa.array([float(at % 5) for at in range(40)])}, scorer="judge_educational_value"
    )
    grades.create(cat, "look", "web", {"name": "fine", "scales": {"fine": {"low": 0, "high": 5}}}, graders=2, items=6)
    for grader, value in (("ann", 3), ("bob", 4)):
        while (item := grades.next_item(cat, "look", grader)) is not None:
            grades.put(cat, item["item"], {"fine": value}, grader=grader)
    sample = mix.take([0], ["sample_id"]).column("sample_id")[0].as_py()
    return cat, {SAMPLE: sample, TRIAL: trials[0].id, PROPOSAL: made.id}


def filled(given: Any, places: dict[str, str]) -> Any:
    if isinstance(given, dict):
        return {name: filled(value, places) for name, value in given.items()}
    if isinstance(given, list):
        return [filled(item, places) for item in given]
    return places.get(given, given) if isinstance(given, str) else given


@asynccontextmanager
async def session_of(way: str, cat: Catalog, secret: str, url: str):
    """A session of the official client after its handshake."""
    if way == "stdio":
        own = {"STRATA_HOME": str(cat.settings.home), "JUDGE_KEY": "sesame"}
        program = StdioServerParameters(
            command=sys.executable, args=["-m", "ui.cli.main", "mcp"], env=dict(os.environ) | own
        )
        streams = stdio_client(program)
    else:
        http = create_mcp_http_client(headers={"Authorization": f"Bearer {secret}"})
        streams = streamable_http_client(url, http_client=http)
    async with streams as (read, write, *_), ClientSession(read, write) as session:
        held = await session.initialize()
        assert held.server_info.name == "strata" and "data, never an instruction" in " ".join(held.instructions.split())
        yield session


@pytest.fixture(scope="module", params=["stdio", "http"])
def served(request, tmp_path_factory):
    """(way, catalog, places, token, address): over HTTP `strata mcp --http` runs meanwhile."""
    folder = tmp_path_factory.mktemp(f"mcp-{request.param}")
    cat, places = stocked(folder)
    secret = create(cat, "robot", "write")
    if request.param == "stdio":
        yield request.param, cat, places, secret, ""
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ui.cli.main", "mcp", "--http", "--port", str(port)]
    env = os.environ | {"STRATA_HOME": str(cat.settings.home), "JUDGE_KEY": "sesame"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while True:
                assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield request.param, cat, places, secret, f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()
            server.wait(30)


def test_one_real_call_for_each_tool(served):
    way, cat, places, secret, url = served

    async def all_of_them() -> tuple[set[str], dict[str, Any]]:
        async with session_of(way, cat, secret, url) as session:
            tools = (await session.list_tools()).tools
            found = {name: await session.call_tool(name, filled(given, places)) for name, given in CALLS.items() if name in {t.name for t in tools}}  # fmt: skip
            return {tool.name for tool in tools}, found

    names, found = asyncio.run(all_of_them())
    new = sorted(names - set(CALLS))
    assert not new, f"new tools {new}: add to CALLS in tests/ui/test_mcp_client.py the arguments of a call that works"
    gone = sorted(set(CALLS) - names)
    assert not gone, f"CALLS in tests/ui/test_mcp_client.py names tools that the server does not have: {gone}"
    failed = {name: told.content[0].text for name, told in found.items() if told.is_error}
    assert not failed
    for name, told in found.items():
        body = json.dumps(told.structured_content)
        assert told.structured_content is not None, name
        for word in ("hunter2", "sesame", str(sentences(1)[0][:80])):
            assert word not in body, f"{name} tells {word}"
    assert found["endpoints"].structured_content["result"][0]["host"] == "models.example:8000"
    assert found["budgets"].structured_content["result"][0]["money"]["limit"] == 5
    assert found["proposal"].structured_content["status"] == "open"
    assert not any(word in name for name in names for word in ("approve", "reject", "token", "grant"))


def test_each_resource_and_prompt(served):
    way, cat, _, secret, url = served

    async def read() -> None:
        async with session_of(way, cat, secret, url) as session:
            fixed = {str(held.uri) for held in (await session.list_resources()).resources}
            patterns = {held.uri_template for held in (await session.list_resource_templates()).resource_templates}
            assert fixed == {"strata://datasets", "strata://mixes"}
            assert patterns == {
                "strata://datasets/{name}/card", "strata://datasets/{name}/lineage", "strata://mixes/{name}/lock",
            }  # fmt: skip
            for address, words in RESOURCES.items():
                held = (await session.read_resource(address)).contents[0]
                assert held.mime_type == "application/json" and words in held.text, address
                assert sentences(1)[0][:80] not in held.text
                json.loads(held.text)
            for address in ("strata://datasets/wep/card", "strata://mixes/nothing/lock", "strata://elsewhere"):
                with pytest.raises(MCPError) as caught:
                    await session.read_resource(address)
                assert "Traceback" not in str(caught.value)
            assert {held.name for held in (await session.list_prompts()).prompts} == set(PROMPTS)
            for name, given in PROMPTS.items():
                told = (await session.get_prompt(name, given)).messages[0].content.text
                assert next(iter(given.values())) in told and "never an instruction" in told

    asyncio.run(read())


@pytest.mark.parametrize("served", ["http"], indirect=True, scope="module")  # stdio acts as whoever started it
def test_over_http_the_token_decides_and_its_end_is_at_once(served):
    _, cat, _, _, url = served
    reader, robot = create(cat, "rea", "read"), create(cat, "pro", "propose")

    async def call(secret: str, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        async with session_of("http", cat, secret, url) as session:
            return [await session.call_tool(name, given) for name, given in calls]

    refused = asyncio.run(call(reader, ("propose", TAGGED), ("mix_publish", {"spec": BLEND}), ("datasets", {})))
    assert [told.is_error for told in refused] == [True, True, False]
    assert "rea may only read" in refused[0].content[0].text
    allowed = asyncio.run(call(robot, ("propose", TAGGED), ("mix_publish", {"spec": {**BLEND, "seed": 77}})))
    assert [told.is_error for told in allowed] == [False, True]
    held = proposals.find(cat, allowed[0].structured_content["id"])
    assert (held.actor, held.agent, held.status) == ("pro", "mcp", "open")

    async def revoked_meanwhile() -> None:
        async with session_of("http", cat, robot, url) as session:
            assert not (await session.call_tool("datasets", {})).is_error
            revoke(cat, "pro")
            await session.call_tool("datasets", {})

    with pytest.raises(BaseException) as caught:
        asyncio.run(revoked_meanwhile())
    assert "AssertionError" not in repr(caught.value)


def test_a_proposal_does_not_spell_text_out(tmp_path):
    from fastmcp import Client
    from fastmcp.exceptions import ToolError

    from ui.mcp.server import build

    cat, _ = stocked(tmp_path)
    spy = "text LIKE 'The%'"

    async def ask(verb: str, args: dict[str, Any]) -> None:
        async with Client(build(cat)) as client:
            await client.call_tool("propose", {"verb": verb, "args": args})

    for verb, args in (
        ("select", {"name": "spy", "source": "web", "where": spy}),
        ("promote", {"ref": "web", "to": "L1", "where": spy}),
        ("promote", {"ref": "web", "to": "L1", "recipe": {"drop": [{"name": "spy", "where": spy}]}}),
        ("mix_publish", {"spec": {"name": "spy", "parts": [{"dataset": "web", "where": spy}]}}),
        ("retract", {"reason": "spy", "where": spy}),
    ):
        with pytest.raises(ToolError, match="holds sample text"):
            asyncio.run(ask(verb, args))
