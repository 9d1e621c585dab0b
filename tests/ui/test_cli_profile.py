"""strata profile: what the four reports print."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from catalog.testing import append_texts
from ui.cli.main import app


@pytest.fixture
def run(cat):
    append_texts(cat, "pages", ["Ada was born in London.", "Paris is large.\nAda moved to London."])
    append_texts(cat, "wanted", ["Ada was born in London, and Ada was glad."])

    def call(*args: str) -> str:
        found = CliRunner().invoke(app, ["profile", *args], catch_exceptions=True)
        return found.stdout if found.exit_code == 0 else str(found.exception)

    return call


def test_facts_of_both_kinds_of_file_are_counted(run, tmp_path):
    (tmp_path / "facts.csv").write_text("subject,object,pattern\nAda,London,[X] was born in [Y]\n", "utf-8")
    (tmp_path / "facts.jsonl").write_text('{"subject": "Ada", "object": "London"}\n', "utf-8")
    found = json.loads(run("facts", "pages", "--facts", str(tmp_path / "facts.csv"), "--json"))
    assert found["units"] == 3 and found["facts"][0]["counts"] == {
        "subject": 2, "object": 2, "together": 2, "pattern_object": 1, "sentence": 1,
    }  # fmt: skip
    assert "London" in run("facts", "pages", "--facts", str(tmp_path / "facts.jsonl"), "--unit", "document")
    assert "give JSON lines or CSV" in run("facts", "pages", "--facts", str(tmp_path / "none.csv"))
    (tmp_path / "bad.jsonl").write_text("[1]\n", "utf-8")
    assert "one a line" in run("facts", "pages", "--facts", str(tmp_path / "bad.jsonl"))


def test_features_and_nearness_are_printed(run):
    assert "triples" in run("features", "pages")
    found = json.loads(run("near", "wanted", "--pool", "pages", "--target", "wanted", "--json"))
    assert found["sets"]["wanted"]["kl_reduction"] == pytest.approx(found["targets"]["wanted"])
    assert "wanted" in run("near", "wanted", "--pool", "pages", "--target", "wanted")


def test_toxicity_without_scores_is_refused(run):
    assert "toxicity" in run("toxicity", "pages")
