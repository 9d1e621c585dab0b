"""The page Incidents: what is asked is read, what it reached is shown, a takedown is proposed, approved, and has a receipt."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agents.proposals import proposals
from catalog import Catalog
from catalog.incidents import locate
from catalog.pull.ledger import Ledger
from catalog.receipts import receipts
from catalog.testing import sentences, write_jsonl
from ui.web.testing import APP, markup, said, view
from ui.web.views import __file__ as VIEWS

EVIL = "<script>window.hacked = 1</script> and more words that are not a script at all, only text of somebody"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Two crawls that share three texts under other addresses, an eval, a mix that was pulled with a ledger."""
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "home"))
    cat = Catalog.open(tmp_path / "home")
    texts = [EVIL, *sentences(30, low=40, high=60)]
    rows = [{"text": text, "url": f"https://a.org/{at}"} for at, text in enumerate(texts)]
    rows.append({"text": "a page below another one", "url": "https://a.org/1/below"})
    cat.ingest([write_jsonl(tmp_path / "web.jsonl", rows)], "web", source="crawl", licence="MIT")
    other = [{"text": text, "url": f"https://b.org/{at}"} for at, text in enumerate(texts[1:4])]
    cat.ingest([write_jsonl(tmp_path / "mirror.jsonl", other)], "mirror", licence="MIT")
    quiz = [{"question": f"What is {at} and {at}?", "answer": f"#### {2 * at}"} for at in range(4)]
    cat.ingest([write_jsonl(tmp_path / "quiz.jsonl", quiz)], "quiz", role="eval")
    cat.publish_mix({"name": "blend", "total": 40, "parts": [{"dataset": "web", "max_epochs": 3, "weight": 1}]})
    mix = cat.mix("blend")
    ledger = Ledger(mix, "run-1")
    for step, batch in enumerate(mix.batches(batch_rows=10, columns=["sample_id"]), 1):
        ledger.record(step, batch)
    ledger.close()
    return tmp_path / "home"


@pytest.fixture
def at(home) -> AppTest:
    return AppTest.from_file(str(APP), default_timeout=120)


def visit(at: AppTest, **query) -> str:
    return view(at, "incidents", **query)


def press(at: AppTest, label: str) -> str:
    next(button for button in at.button if button.label == label).click().run()
    return said(at)


def test_an_address_is_followed_to_copies_mixes_pulls_and_ledgers_and_goes_with_a_receipt(at, home):
    before = dict(_served(Catalog.open(home)))
    text = visit(at, q="https://a.org/2")
    assert "Read as an address · this page · 1 sample held" in text
    for words in ("web", "mirror", "goes too", "blend@v1", "pulled before", "run-1"):
        assert words in text, words
    at.text_input(key="incident_reason").set_value("request 17").run()
    text = press(at, "Propose the takedown")
    assert "Takedown: request 17" in text and "2 samples leave 2 datasets and 1 mixes" in text
    assert Catalog.open(home).resolve("web").dataset.removed == 0  # nothing happened yet
    text = press(at, "Approve")
    (held,) = receipts(Catalog.open(home))
    assert at.query_params["receipt"] in (held["run"], [held["run"]])
    for words in ("Receipt", "request 17", held["digest"], "went too", "where it was held", "run-1"):
        assert words in text, words
    assert held["rows"] == {"mirror": 1, "web": 1} and held["runs"][0]["run"] == "run-1" and held["pulls"]
    after = dict(_served(Catalog.open(home)))
    assert set(before) - set(after) == set(held["mixes"][0]["indices"])
    assert all(before[index] == sample for index, sample in after.items())
    text = visit(at, q="https://a.org/2")
    assert "1 sample of it was taken out already" in text and held["run"][:8] in text and "Propose" not in text
    assert "1 sample of it" in visit(at, q=held_id(home))


def held_id(home: Path) -> str:
    cat = Catalog.open(home)
    return cat.lance("web").to_table(columns=["sample_id"], filter="removed = 0")["sample_id"][0].as_py()


def _served(cat: Catalog):
    for batch in cat.mix("blend").batches(columns=["sample_id"]):
        yield from zip(batch.column("_index").to_pylist(), batch.column("sample_id").to_pylist(), strict=True)


def test_a_prefix_is_taken_only_when_asked_for(at):
    text = visit(at, q="https://a.org/1")
    assert "this page · 1 sample held" in text and re.search(r"more begin so: take all \d+", text)
    text = visit(at, q="https://a.org/1", wide="1")
    assert "every page whose address begins so" in text and "Only this page" in text
    assert "Read as an address · every page" in visit(at, q="https://a.org/")


def test_a_text_is_found_word_for_word_nearly_or_not_at_all(at, home):
    own = sentences(30, low=40, high=60)[0]
    text = visit(at, q=own)
    assert "Read as a text · 2 samples held" in text
    near = own.replace("Item", "Thing")
    text = visit(at, q=near)
    assert "0 samples held" in text and "It is not held word for word" in text and "like it" in text
    (first, second) = locate(Catalog.open(home), near)["candidates"]
    assert first["overlap"] > 0.8
    text = visit(at, q=near, ids=first["sample_id"])
    assert 'aria-checked="true"' in markup(at) and "where it is held" in text and second["sample_id"][:12] in text
    text = visit(at, q="nobody ever wrote these exact words about zeppelins anywhere")
    assert "Nothing like it is held, now or before." in text and "Look for what comes nearest" in text
    assert not [button for button in at.button if button.label.startswith("Propose")]


def test_samples_sources_eval_items_and_hostile_text(at, home):
    cat = Catalog.open(home)
    one = next(iter(cat.scan("mirror", ["sample_id"]))).column(0)[0].as_py()
    assert "Read as a sample · 1 sample held" in visit(at, q=one[:14])
    assert "no sample" in visit(at, q="f" * 32).lower() and markup(at).count('role="alert"') == 1
    assert "Read as a source · 32 samples held" in visit(at, q="crawl")
    item = next(iter(cat.scan("quiz", ["sample_id"]))).column(0)[0].as_py()
    text = visit(at, q=item)
    assert "Read as an eval item" in text and "quiz@v1" in text and "not checked against this eval: mirror, web" in text
    assert EVIL in visit(at, q="https://a.org/0") and "<script" not in markup(at)


def test_a_wide_takedown_wants_its_number(at, monkeypatch, home):
    source = Path(VIEWS).with_name("incidents.py")
    assert "WIDE = 1_000" in source.read_text()
    cat = Catalog.open(home)
    rows = [{"text": f"page {number} of a large crawl", "url": f"https://c.org/{number}"} for number in range(1_200)]
    cat.ingest([write_jsonl(home.parent / "large.jsonl", rows)], "large", licence="MIT")
    text = visit(at, q="https://c.org/")
    assert "This reaches 1,200 samples" in text
    at.text_input(key="incident_reason").set_value("too much").run()
    go = next(button for button in at.button if button.label == "Propose the takedown")
    assert go.disabled
    at.text_input(key="incident_count").set_value("1,200").run()
    assert not next(button for button in at.button if button.label == "Propose the takedown").disabled


def test_a_proposal_is_rejected_and_stale_or_unknown_ones_are_told(at, home):
    visit(at, q="https://a.org/5")
    at.text_input(key="incident_reason").set_value("a mistake").run()
    press(at, "Propose the takedown")
    (held,) = proposals(Catalog.open(home))
    Catalog.open(home).retract(match="https://a.org/5", reason="somebody was faster")
    text = press(at, "Approve")
    assert markup(at).count('role="alert"') == 1 and ("changed" in text or "othing is held" in text)
    text = press(at, "Reject")
    assert "rejected" in text and not [button for button in at.button if button.label == "Approve"]
    assert "no proposal" in visit(at, proposal="abcdef12").lower()
    assert "no receipt" in visit(at, receipt="abcdef12").lower()
    assert proposals(Catalog.open(home), "rejected")[0].id == held.id


def test_who_may_only_read_cannot_propose(at, monkeypatch):
    monkeypatch.setenv("STRATA_GRANT", "read")
    visit(at, q="https://a.org/5")
    at.text_input(key="incident_reason").set_value("let me").run()
    assert next(button for button in at.button if button.label == "Propose the takedown").disabled
