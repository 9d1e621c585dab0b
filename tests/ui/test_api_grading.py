"""Grading over HTTP: who grades is the token's owner, rights hold, and every refusal is one line of JSON."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi.testclient import TestClient
from fastmcp import Client

from catalog import grades
from catalog.testing import attach_columns, sentences, text_dataset
from ui.api.app import create_app
from ui.api.tokens import create
from ui.mcp.server import build

RUBRIC = {
    "name": "clarity", "about": "How clear?",
    "scales": {"clarity": {"low": 1, "high": 5, "anchors": {1: "not", 5: "very"}}},
}  # fmt: skip
ASKED = {"name": "clarity", "source": "web", "rubric": RUBRIC, "graders": 2}


@pytest.fixture
def api(cat, tmp_path):
    """Clients by the name of a token's owner, over one catalog with one dataset."""
    text_dataset(cat, tmp_path, "web", sentences(8))
    attach_columns(cat, "web", {"score": [float(at) for at in range(8)]})
    app = create_app(cat)

    def client(name: str, verbs: str = "write") -> TestClient:
        return TestClient(app, headers={"Authorization": f"Bearer {create(cat, name, verbs)}"})

    client.cat = cat
    return client


def test_a_campaign_is_graded_by_whoever_the_token_belongs_to(api):
    ann, bob = api("ann"), api("bob")
    made = ann.post("/campaigns", json=ASKED).json()
    assert made["items"] == 8 and made == ann.post("/campaigns", json=ASKED).json()
    for who, value in ((ann, 2), (bob, 4)):
        while (item := who.post("/campaigns/clarity/next").json()) is not None:
            done = who.post(f"/items/{item['item']}/grade", json={"values": {"clarity": value}, "seconds": 2.5}).json()
            assert done["revision"] == 1 and not done["repeated"]
    people = {one["grader"]: one for one in ann.get("/campaigns/clarity").json()["graders"]}
    assert set(people) == {"ann", "bob"} and people["ann"]["graded"] == 8 and people["ann"]["median_seconds"] == 2.5
    (line,) = ann.get("/campaigns").json()
    assert (line["complete"], line["waiting"], line["mine"]) == (8, 0, 8)
    found = ann.get("/campaigns/clarity/agreement", params={"resamples": 20}).json()["questions"]["clarity"]
    assert found["units"] == 8 and found["pairs"][0]["same"] == 0
    first = bob.get("/campaigns/clarity/conflicts", params={"apart": 2}).json()[0]
    assert first["values"] == {"ann": "2", "bob": "4"}
    assert (
        api("eve")
        .post("/campaigns/clarity/settle", json={"item": first["item"], "values": {"clarity": 3}})
        .json()["by"]
        == "eve"
    )
    assert len(ann.get("/campaigns/clarity/conflicts").json()) == 7
    column = ann.post("/campaigns/clarity/publish", json={"rule": "mean", "least": 2}).json()["columns"][0]
    assert column["column"] == "clarity_clarity" and column["samples"] == 8
    assert ann.get("/campaigns/clarity/compare/score", params={"resamples": 5}).json()["samples"] == 8
    assert len(ann.get("/campaigns/clarity/grades").json()) == 17


def test_nobody_can_say_that_they_are_somebody_else(api):
    ann, bob = api("ann"), api("bob")
    ann.post("/campaigns", json=ASKED)
    item = ann.post("/campaigns/clarity/next").json()["item"]
    for body in ({"values": {"clarity": 1}, "grader": "bob"}, {"values": {"clarity": 1}, "by": "bob"}):
        assert ann.post(f"/items/{item}/grade", json=body).status_code == 422
    assert ann.post("/campaigns/clarity/next", params={"grader": "bob"}).json()["grader"] == "ann"
    for answer in (bob.get(f"/items/{item}"), bob.post(f"/items/{item}/grade", json={"values": {"clarity": 1}})):
        assert answer.status_code == 403 and "is with ann" in answer.json()["error"]
    assert bob.post("/campaigns/clarity/undo").status_code == 400
    ann.post(f"/items/{item}/grade", json={"values": {"clarity": 1}})
    assert bob.post("/campaigns/clarity/undo").status_code == 400
    assert ann.post("/campaigns/clarity/undo").json()["undone"] == "grade"
    assert ann.post(f"/items/{item}/skip", json={"note": "not mine"}).json()["skipped"]


def test_a_read_token_looks_and_grades_nothing(api):
    ann, reader = api("ann"), api("rita", "read")
    ann.post("/campaigns", json=ASKED)
    item = ann.post("/campaigns/clarity/next").json()["item"]
    assert reader.get("/campaigns").json()[0]["campaign"] == "clarity"
    for path, body in (
        ("/campaigns", {**ASKED, "name": "other"}), ("/campaigns/clarity/next", None), ("/campaigns/clarity/undo", None),
        (f"/items/{item}/grade", {"values": {"clarity": 1}}), (f"/items/{item}/skip", {}),
        ("/campaigns/clarity/plant", {"sample": "0", "answer": {"clarity": 1}}), ("/campaigns/clarity/close", None),
        ("/campaigns/clarity/bulk", {"values": {"clarity": 1}, "where": "score < 3"}),
        ("/campaigns/clarity/bulk/0/undo", None), ("/campaigns/clarity/publish", {}),
        ("/campaigns/clarity/settle", {"item": 0, "values": {"clarity": 1}}),
    ):  # fmt: skip
        answer = reader.post(path, json=body)
        assert answer.status_code == 403 and "may only read" in answer.json()["error"], path


def test_blindness_ends_for_administrators_alone(api):
    ann, bob = api("ann"), api("bob")
    ann.post("/campaigns", json=ASKED)
    item = ann.post("/campaigns/clarity/next").json()["item"]
    ann.post(f"/items/{item}/grade", json={"values": {"clarity": 1}})
    assert bob.get("/campaigns/clarity/grades").json() == []
    assert bob.get("/campaigns/clarity/grades", params={"whole": True}).status_code == 403
    assert len(api("root", "admin").get("/campaigns/clarity/grades", params={"whole": True}).json()) == 1
    query = {"query": "SELECT grader, value FROM strata.grades"}
    assert bob.post("/sql", json=query).json()["rows"] == [] and len(ann.post("/sql", json=query).json()["rows"]) == 1
    sample = ann.get(f"/items/{item}").json()["samples"][0]["sample_id"]
    assert bob.get(f"/samples/{sample}").json()["grades"] == [] and ann.get(f"/samples/{sample}").json()["grades"]
    ann.post("/campaigns/clarity/close")
    assert len(bob.post("/sql", json=query).json()["rows"]) == 1


def test_one_grade_for_many_and_back(api):
    ann = api("ann")
    ann.post("/campaigns", json=ASKED)
    body = {"values": {"clarity": 1}, "where": "score < 3", "note": "menus"}
    assert ann.post("/campaigns/clarity/bulk", json={**body, "dry_run": True}).json()["items"] == 3
    assert ann.get("/campaigns/clarity/bulk").json() == []
    done = ann.post("/campaigns/clarity/bulk", json=body).json()
    assert done["items"] == 3 and ann.get("/campaigns").json()[0]["waiting"] == 5
    assert ann.get("/campaigns/clarity/bulk").json()[0]["note"] == "menus"
    assert ann.post(f"/campaigns/clarity/bulk/{done['act']}/undo").json()["items"] == 3
    assert ann.get("/campaigns").json()[0]["waiting"] == 8


def test_what_is_wrong_is_one_line_with_its_status(api, tmp_path):
    ann = api("ann")
    bare = {"name": "bare", "source": "web", "rubric": {**RUBRIC, "scales": {"clarity": {"low": 1, "high": 5}}}}
    rubric = tmp_path / "rubric.yaml"
    rubric.write_text(json.dumps(RUBRIC))
    for path, body, status, words in (
        ("/campaigns", bare, 400, "a scale needs anchors"),
        ("/campaigns", {**ASKED, "rubric": str(rubric)}, 404, "rubric"),
        ("/campaigns", {**ASKED, "rubric": None}, 400, "say what is asked"),
        ("/campaigns", {**ASKED, "source": "nothing"}, 404, "nothing"),
        ("/campaigns", {**ASKED, "order": "sideways"}, 422, "order"),
        ("/campaigns", {**ASKED, "order": "uncertain"}, 400, "wants one column"),
        ("/campaigns/none/next", None, 404, "campaign"),
        ("/items/none/grade", {"values": {"clarity": 1}}, 404, "item"),
    ):
        answer = ann.post(path, json=body)
        assert answer.status_code == status and words in answer.json()["error"], (path, answer.text)
    ann.post("/campaigns", json=ASKED)
    item = ann.post("/campaigns/clarity/next").json()["item"]
    wrong = ann.post(f"/items/{item}/grade", json={"values": {"clarity": 9}})
    assert wrong.status_code == 400 and "from 1 to 5" in wrong.json()["error"]
    ann.post("/campaigns/clarity/close")
    for path in ("/campaigns/clarity/next", f"/items/{item}/skip"):
        shut = ann.post(path, json={})
        assert shut.status_code == 403 and "was closed" in shut.json()["error"]
    assert ann.post("/campaigns/clarity/close", params={"reopen": True}).json()["closed"] is None
    assert ann.post("/campaigns", json={**ASKED, "graders": 3}).status_code == 409


def test_an_assistant_reads_how_it_goes_and_grades_nothing(api):
    cat = api.cat
    grades.create(cat, "clarity", "web", json.loads(json.dumps(RUBRIC)), graders=2)
    for who in ("ann", "bob"):
        while (item := grades.next_item(cat, "clarity", who)) is not None:
            grades.put(cat, item["item"], {"clarity": 3 if who == "ann" else 4}, grader=who)

    async def ask():
        async with Client(build(cat)) as client:
            tools = {tool.name for tool in await client.list_tools()}
            said = {name: (await client.call_tool(name, given)).data for name, given in (
                ("grade_campaigns", {}), ("grade_status", {"campaign": "clarity"}),
                ("grade_agreement", {"campaign": "clarity", "resamples": 10}), ("grade_conflicts", {"campaign": "clarity"}),
                ("grade_compare", {"campaign": "clarity", "column": "score"}),
            )}  # fmt: skip
            return tools, said

    tools, said = asyncio.run(ask())
    assert {name for name in tools if name.startswith("grade")} == set(said)
    assert said["grade_campaigns"][0]["complete"] == 8 and len(said["grade_conflicts"]) == 8
    assert said["grade_status"]["complete"] == 8 and said["grade_compare"]["samples"] == 8
    assert said["grade_agreement"]["questions"]["clarity"]["pairs"][0]["items"] == 8


def test_an_edit_is_stored_in_the_name_of_the_token_and_published_as_a_child(api):
    ann = api("ann")
    ann.post("/campaigns", json=ASKED | {"graders": 1})
    item = ann.post("/campaigns/clarity/next").json()
    asked = {"values": {"clarity": 2}, "edit": "A better text."}
    assert item["response"] == "" and ann.post(f"/items/{item['item']}/grade", json=asked).json()["revision"] == 1
    assert api("eve", "read").post("/campaigns/clarity/edits", json={"to": "better"}).status_code == 403
    done = ann.post("/campaigns/clarity/edits", json={"to": "better"}).json()
    assert (done["dataset"], done["added"]) == ("better@v1", 1)
    (child,) = ann.get(f"/samples/{item['samples'][0]['sample_id']}").json()["children"]
    assert child["dataset"] == "better"
    refused = ann.post(f"/items/{item['item']}/grade", json=asked | {"edit": " "})
    assert refused.status_code == 400 and "the edit is empty" in refused.text
