"""The page Intake, its verbs and its routes: what failed stays with its reason, many sources are settled at once."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.ingest import register
from catalog.ingest.sources import ingest_sources
from catalog.testing import sentences, write_jsonl
from ui.intake import approve_many, intake_rows, propose_promotion, score_missing
from ui.web.testing import APP, markup, said, view

BODY = """
sources:
  - {name: web, uri: web.jsonl, licence: MIT, licence_evidence: https://example.org/mit, owner: ana,
     expectations: {min_rows: 10}}
  - {name: chats, uri: chats.jsonl, licence: CC-BY-4.0, owner: ben}
  - {name: mixed, uri: mixed.jsonl, mapping: {licence: lic}}
  - {name: plain, uri: plain.jsonl}
  - {name: small, uri: small.jsonl, expectations: {min_rows: 100}}
  - {name: cut, uri: cut.json}
  - {name: gone, uri: gone.jsonl}
  - {name: other, uri: other.jsonl}
  - {name: empty, uri: empty.jsonl}
"""
TURN = {"role": "user", "content": "Add two and two"}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Nine sources, five of which fail; one has quarantined rows, one holds half of another."""
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "home"))
    texts = sentences(40, low=60, high=90)
    write_jsonl(tmp_path / "web.jsonl", [*({"text": text} for text in texts), {"text": ""}, {"text": ""}])
    chats = [{"messages": [TURN, {"role": "assistant", "content": text}]} for text in sentences(12, seed=5)]
    write_jsonl(tmp_path / "chats.jsonl", chats)
    write_jsonl(
        tmp_path / "mixed.jsonl",
        [{"text": text, "lic": ("MIT", "CC0-1.0")[at % 2]} for at, text in enumerate(texts[:20])],
    )
    write_jsonl(tmp_path / "plain.jsonl", sentences(5, seed=6))
    write_jsonl(tmp_path / "small.jsonl", sentences(5, seed=7))
    (tmp_path / "cut.json").write_text('[{"text": "a"}, {"text": ')
    (tmp_path / "other.jsonl").write_bytes(json.dumps({"text": "a b c"}).encode("utf-16"))
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "sources.yaml").write_text(BODY)
    ingest_sources(Catalog.open(tmp_path / "home"), tmp_path / "sources.yaml")
    return tmp_path / "home"


@pytest.fixture
def at(home) -> AppTest:
    return AppTest.from_file(str(APP), default_timeout=120)


def visit(at: AppTest, /, **query) -> str:
    return view(at, "intake", **query)


def press(at: AppTest, label: str) -> str:
    next(button for button in at.button if button.label.startswith(label)).click().run()
    return said(at)


def rows(home: Path) -> dict[str, dict]:
    return {row["name"]: row for row in intake_rows(Catalog.open(home))}


def test_every_source_stays_with_its_reason_and_its_next_step(home):
    held = rows(home)
    assert {name: row["status"] for name, row in held.items()} == {
        "web": "licence", "chats": "licence", "mixed": "licence", "plain": "licence",
        "small": "failed", "cut": "failed", "gone": "failed", "other": "failed", "empty": "failed",
    }  # fmt: skip
    reasons = {
        "small": "min_rows 100: 5 rows",
        "cut": "cut.json",
        "gone": "no file or folder",
        "other": "UTF-16",
        "empty": "no record",
    }
    for name, words in reasons.items():
        assert words in held[name]["reason"] and "\n" not in held[name]["reason"], held[name]
    assert held["plain"]["next"] == "find out the licence" and held["web"]["quarantined"] == 2
    assert held["mixed"]["overlap"]["datasets"] == {"web": 20} and held["web"]["overlap"]["near"] == 20


def test_the_page_shows_them_filters_and_opens_one(at):
    text = visit(at)
    for words in ("all 9", "could not be taken in 5", "licence to verify 4", "min_rows 100: 5 rows", "2 rows empty text", "50.0%",
                  "1 kept", "broken", "ana", "find out the licence"):  # fmt: skip
        assert words in text, words
    assert 'href="https://example.org/mit"' in markup(at) and markup(at).count('role="alert"') == 0
    text = visit(at, status="failed")
    assert "5 sources" in text and "chats" not in text and "cut.json" in text
    assert "1 source" in visit(at, q="ben") and "No source matches" in visit(at, q="nobody")
    text = visit(at, source="web")
    assert "web.jsonl" in text and "41" in text and "held elsewhere" in text and "sources.yaml" in text
    assert "no source 'wbe'" in visit(at, source="wbe").lower() and markup(at).count('role="alert"') == 1
    assert "all 9" in visit(at, status="nonsense", pick="nobody", at="900")


def test_many_licences_are_verified_at_once_or_none(at, home):
    visit(at, pick=["web", "chats"])
    assert "2 chosen" in said(at) and "MIT 40" in said(at)
    press(at, "I read the evidence: verify 2")
    held = rows(home)
    actor = Catalog.open(home).settings.actor
    assert [(held[name]["verified"], held[name]["verified_by"]) for name in ("web", "chats")] == [
        ("MIT", actor),
        ("CC-BY-4.0", actor),
    ]
    assert (held["web"]["status"], held["chats"]["status"]) == ("quarantine", "score")
    visit(at, pick=["mixed", "plain"])
    assert "declare several licences (MIT 10, CC0-1.0 10)" in press(at, "I read the evidence")
    assert rows(home)["mixed"]["verified"] is None
    at.text_input(key="intake_licence").set_value("CC0-1.0").run()
    press(at, "I read the evidence")
    assert rows(home)["plain"]["verified"] == "CC0-1.0"


def test_quarantine_is_looked_at_and_asks_again_when_more_comes(at, home):
    register.verify_licence(Catalog.open(home), ["web"])
    visit(at, pick="web")
    assert "empty text 2" in said(at)
    press(at, "I looked at them")
    assert rows(home)["web"]["status"] == "score"
    with (home.parent / "web.jsonl").open("a") as file:
        file.write('{"text": ""}\n')
    assert register.again(Catalog.open(home), "web").quarantined == 1
    held = rows(home)["web"]
    assert held["status"] == "quarantine" and held["quarantined"] == 3
    assert [one.reason for one in register.quarantined(Catalog.open(home), "web")] == ["empty text"] * 3


def test_a_mended_source_comes_in_and_one_that_never_did_is_forgotten(at, home):
    cat = Catalog.open(home)
    write_jsonl(home.parent / "gone.jsonl", sentences(3, seed=8))
    assert register.again(cat, "gone").status == "new"
    assert rows(home)["gone"]["status"] == "licence" and rows(home)["gone"]["reason"] == ""
    visit(at, source="cut")
    press(at, "Take it off the list")
    assert "cut" not in rows(home)
    for name, kind in (("web", BadInput), ("cut", NotFound)):
        with pytest.raises(kind):
            register.forget_source(cat, name)
    with pytest.raises(NotFound):
        register.verify_licence(cat, ["small"])


def test_sources_that_were_not_reached_are_listed_as_not_read(cat, tmp_path, monkeypatch):
    from catalog.ingest import sources as module

    write_jsonl(tmp_path / "a.jsonl", sentences(3))
    (tmp_path / "sources.yaml").write_text("sources:\n  - {name: a, uri: a.jsonl}\n  - {name: b, uri: a.jsonl}\n")
    done = module._delivered

    def stopped(cat, spec, progress):
        if spec.name == "b":
            raise KeyboardInterrupt
        return done(cat, spec, progress)

    monkeypatch.setattr(module, "_delivered", stopped)
    with pytest.raises(KeyboardInterrupt):
        ingest_sources(cat, tmp_path / "sources.yaml")
    held = {row["name"]: row for row in intake_rows(cat)}
    assert (held["a"]["status"], held["b"]["status"]) == ("licence", "waiting")


@pytest.mark.slow
def test_from_scores_over_proposals_to_an_approved_promotion(at, home):
    cat = Catalog.open(home)
    register.verify_licence(cat, ["web", "chats"])
    register.accept_quarantine(cat, ["web"])
    (refused,) = propose_promotion(cat, ["web"])
    assert refused["proposal"] is None and refused["why"]
    assert "langid" in score_missing(cat, ["web", "chats"])["web"]
    assert {rows(home)[name]["status"] for name in ("web", "chats")} == {"ready"}
    visit(at, pick=["web", "chats", "mixed"], do="ready")
    at.get("button_group")[0].set_value(["ready"]).run() if "Propose" not in " ".join(
        b.label for b in at.button
    ) else None
    assert "Not ready and left out: mixed" in said(at)
    text = press(at, "Propose 2 promotions")
    assert "2 promotions wait for an approval" in text and "web-l1" in text and "chats-l1" in text
    assert cat.find("web-l1") is None
    from agents.proposals import proposals

    done = approve_many(cat, [f"{held.id}:{held.seen}" for held in proposals(cat, "open")] + ["abcdef12"])
    assert [one["status"] for one in done] == ["done", "done", "refused"] and "no proposal" in done[2]["why"]
    held = rows(home)
    assert held["web"]["status"] == "in" and held["web"]["promoted"] == ["web-l1"]
    assert cat.resolve("web-l1").dataset.licence_verified == "MIT"


def test_an_eval_asks_for_a_check_and_leaks_are_counted(home):
    cat = Catalog.open(home)
    leaked = next(iter(cat.scan("plain", ["text"]))).column(0)[0].as_py()
    cat.ingest([write_jsonl(home.parent / "quiz.jsonl", [{"question": leaked, "answer": "4"}])], "quiz", role="eval")
    register.verify_licence(cat, ["plain"], "MIT")
    assert rows(home)["plain"]["status"] == "overlap"
    assert register.check_source(cat, "plain")["leaks"] == {"quiz@v1": 1}
    assert rows(home)["plain"]["status"] == "score"


def test_a_sources_file_is_looked_at_before_it_is_taken_in(at, home):
    visit(at)
    at.text_input(key="intake_file").set_value(str(home.parent / "sources.yaml")).run()
    assert "9 sources, 0 of them new" in said(at)
    at.text_input(key="intake_file").set_value(str(home.parent / "none.yaml")).run()
    assert "no sources file" in said(at).lower() and markup(at).count('role="alert"') == 1
    (home.parent / "bad.yaml").write_text("sources: [")
    at.text_input(key="intake_file").set_value(str(home.parent / "bad.yaml")).run()
    assert "is not YAML" in said(at)


def test_without_sources_it_says_how_to_name_them(tmp_path, monkeypatch):
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "none"))
    text = visit(AppTest.from_file(str(APP), default_timeout=120))
    assert "No source yet" in text and "strata ingest --sources" in text
