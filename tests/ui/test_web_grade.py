"""The Grade page in Streamlit's own test runner: list, desk, form, results, conflicts, one grade for many, and every refusal."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog, grades
from catalog.errors import BadInput
from catalog.testing import attach_columns, sentences, write_jsonl
from ui.web.components.grade_item import desk, keys, response
from ui.web.components.grade_queue import drawn, heard, opened
from ui.web.queries.campaigns import rubric_from, written
from ui.web.queries.parents import parents_of
from ui.web.testing import APP, alerts, markup, plain, said, view

EVIL = "<script>window.hacked = 1</script> and more words to read"
RUBRIC = {
    "name": "clarity", "about": "How clear is it?",
    "scales": {"clarity": {"low": 1, "high": 5, "anchors": {"1": "cannot be understood", "5": "every sentence is clear"}}},
    "labels": {"audience": {"of": ["children", "experts"]}},
}  # fmt: skip
SAID = {"clarity": 4, "audience": "experts"}
TURN = {"role": "user", "content": "Add two and two"}


def filled(folder: Path) -> Catalog:
    """Texts with a score, and chats; campaigns of every form, one of them graded by two people."""
    cat = Catalog.open(folder / "home")
    texts = [{"text": text} for text in (EVIL, *sentences(9, seed=3))]
    cat.ingest([write_jsonl(folder / "web.jsonl", texts)], "web", licence="MIT")
    chats = [{"messages": [TURN, {"role": "assistant", "content": f"That is {at}."}]} for at in range(4)]
    cat.ingest([write_jsonl(folder / "chats.jsonl", chats)], "chats", licence="MIT")
    attach_columns(cat, "web", {"score": [float(at) for at in range(10)]})
    grades.create(cat, "clarity", "web", RUBRIC, graders=2, suggest={"clarity": "score"}, note="the first")
    grades.create(cat, "duel", "chats", {"name": "preference", "about": "Which is better?"}, pairs=1)
    grades.create(cat, "turns", "chats", RUBRIC, target="turn")
    grades.create(cat, "stretches", "web", RUBRIC, target="span")
    return cat


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home that tests only read, but for the items their graders hold."""
    folder = tmp_path_factory.mktemp("grade")
    cat = filled(folder)
    for who, value in (("ann", 2), ("bob", 5)):
        for _ in range(4):
            item = grades.next_item(cat, "clarity", who)
            assert item is not None
            grades.put(cat, item["item"], {"clarity": value, "audience": "experts"}, grader=who, seconds=7.0)
    return folder / "home"


@pytest.fixture
def own(tmp_path) -> Catalog:
    """A home that a test may change."""
    return filled(tmp_path)


@pytest.fixture
def at(home, monkeypatch) -> AppTest:
    return shown(home, monkeypatch)


def shown(home: Path, monkeypatch) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    return AppTest.from_file(str(APP), default_timeout=120)


def visit(at: AppTest, **query) -> str:
    return view(at, "grade", **query)


def desk_says(cat: Catalog, name: str, grader: str, state: dict) -> str:
    return plain("".join(str(part) for part in drawn(cat, name, grader, state) if part))


def asks(cat: Catalog, state: dict[str, Any], values: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """What the page's script sends for the item in hand."""
    body = {"do": "put", "item": state["view"]["item"], "values": SAID if values is None else values, "seconds": 1.5}
    return heard(cat, "clarity", "dora", state, body | more)


# -- what the page shows -----------------------------------------------------------------------------------------


def test_the_list_says_progress_agreement_and_what_waits(at):
    text = visit(at)
    assert alerts(at) == 0
    for words in ("web@v1 · clarity · 2 graders, blind", "4 of 10 items", "α −0.75 clarity, n 4", "6 wait for you", "one grader each",
                  "pairs", "turns", "samples and stretches", "New campaign"):  # fmt: skip
        assert words in text, words
    assert "6 wait for you" in visit(at, **{"as": "ann"})


def test_the_desk_has_the_sample_the_rubric_and_the_keys(at):
    text = visit(at, campaign="clarity", tab="queue", **{"as": "cleo"})
    for words in ("How clear is it?", "1 cannot be understood", "5 every sentence is clear", "children", "Store Enter", "Skip s",
                  "Undo u", "digits choose", "Held for cleo until", "0 graded by you"):  # fmt: skip
        assert words in text, words
    assert "model" not in text and alerts(at) == 0


def test_pairs_turns_and_stretches_have_a_desk_of_their_own(at):
    pair = visit(at, campaign="duel")
    assert "A USER" in pair.upper() and "B USER" in pair.upper() and "tie" in pair
    assert visit(at, campaign="turns").count("Add two and two") == 1 and "turn" in said(at)
    visit(at, campaign="stretches")
    assert "data-span-text" in markup(at) and "Mark selection" in said(at)


def test_a_hostile_sample_stays_text(own, monkeypatch):
    at = shown(own.settings.home, monkeypatch)
    visit(at, campaign="stretches")
    assert "<script>window" not in markup(at) and "&lt;script&gt;window.hacked" in markup(at)


def test_results_have_graders_agreement_with_n_and_what_leaves(at):
    text = visit(at, campaign="clarity", tab="results")
    for words in ("Krippendorff's alpha, ordinal all 4", "Fleiss' kappa", "Cohen's kappa, quadratic ann, bob 4", "7.0 s",
                  "none given yet", "undefined: every value is the same"):  # fmt: skip
        assert words in text, words
    assert re.search("ann 4 0 7.0 s .*same 0%, on average −3 .*bob 4 0", text), text
    assert {button.label for button in at.button} >= {"Publish as column"} and alerts(at) == 0
    assert "Nobody has graded yet" in visit(at, campaign="duel", tab="results")


def test_a_conflict_is_shown_with_its_sample_and_settled(own, monkeypatch):
    for who, value in (("ann", 2), ("bob", 5)):
        item = grades.next_item(own, "clarity", who)
        assert item is not None
        grades.put(own, item["item"], {"clarity": value, "audience": "experts"}, grader=who)
    at = shown(own.settings.home, monkeypatch)
    text = visit(at, campaign="clarity", tab="conflicts", **{"as": "eve"})
    assert "1–1 of 1 conflict" in text and "ann 2" in text and "bob 5" in text and "window.hacked" in text
    next(button for button in at.button if button.label == "Settle").click().run()
    assert alerts(at) == 1 and "no final value is chosen" in said(at).lower()
    at.segmented_control[0].set_value(3)
    next(b for b in at.button if b.label == "Settle").click().run()
    assert "is settled: clarity 3, by eve" in said(at)
    assert grades.conflicts(own, "clarity") == [] and grades.conflicts(own, "clarity", settled=True)[0]["by"] == "eve"
    assert "No conflict is open" in visit(at, campaign="clarity", tab="conflicts")


def test_a_better_text_is_stored_with_the_grade_kept_through_mistakes_and_given_back_by_undo(own):
    state = opened(own, "clarity", "dora")
    assert "Edit the text e" in desk_says(own, "clarity", "dora", state) and state["edit"] is None
    item = state["view"]["item"]
    state = asks(own, state, {"clarity": 4}, edit="My words.")
    assert (
        "the grade lacks audience" in desk_says(own, "clarity", "dora", state).lower() and state["edit"] == "My words."
    )
    state = asks(own, state, edit="My words.")
    assert "stored with your edit" in desk_says(own, "clarity", "dora", state) and state["edit"] is None
    assert grades.look(own, item, "dora")["edit"] == "My words."
    state = heard(own, "clarity", "dora", state, {"do": "undo"})
    assert state["edit"] == "My words." and state["answers"][""] == SAID and state["view"]["item"] == item
    state = asks(own, state, edit=["no", "text"])
    assert "the page sent no grade" in desk_says(own, "clarity", "dora", state).lower()
    assert grades.edits_so_far(own, "clarity") == {"edits": 0, "waiting": 0}


def test_edits_are_published_from_the_results(own, monkeypatch):
    at = shown(own.settings.home, monkeypatch)
    visit(at, campaign="turns", tab="results")
    assert "Publish edits" not in {button.label for button in at.button}
    item = grades.next_item(own, "turns", "ann")
    assert item is not None and item["response"] == "turn:1"
    grades.put(own, item["item"], {"turn:1": SAID}, grader="ann", edit="It is four.")
    visit(at, campaign="turns", tab="results")
    assert at.text_input(key="edits_to").value == "chats-edits"
    at.text_input(key="edits_to").set_value("web").run()
    next(button for button in at.button if button.label == "Publish edits").click().run()
    assert "holds no edits of chats" in said(at) and alerts(at) == 1
    at.text_input(key="edits_to").set_value("chats-better").run()
    next(button for button in at.button if button.label == "Publish edits").click().run()
    assert "chats-better@v1 holds 1 sample: 1 added, 0 taken out" in said(at)
    (row,) = own.lance("chats-better").to_table(columns=["messages", "parents"]).to_pylist()
    assert row["messages"][1]["content"] == "It is four." and row["parents"] == [item["samples"][0]["sample_id"]]
    (row,) = [row for part in own.scan("chats-better") for row in part.to_pylist()]
    (parent,) = parents_of(own, own.resolve("chats-better"), row)
    assert parent.text == item["samples"][0]["text"] and parent.dataset == "chats"


def test_what_has_no_response_offers_no_edit(own):
    for name, grader in (("duel", "ann"), ("clarity", "ann")):
        state = opened(own, name, grader)
        assert ("Edit the" in desk_says(own, name, grader, state)) == (name == "clarity")
    assert response(state["view"]) == state["view"]["samples"][0]["text"]
    long = state["view"] | {"samples": [state["view"]["samples"][0] | {"text": "x" * 200_001}]}
    assert response(long) is None and "Edit the" not in str(desk(long, state))


def test_one_grade_for_many_is_looked_at_given_and_taken_back(own, monkeypatch):
    at = shown(own.settings.home, monkeypatch)
    text = visit(at, campaign="clarity", tab="bulk", where="score < 4", **{"as": "eve"})
    assert "rows that match 4 items to grade 4 with people 0" in text
    go = next(button for button in at.button if button.label == "Grade 4 items")
    go.click().run()
    assert "the grade lacks clarity, audience" in said(at).lower() and not grades.bulk_acts(own, "clarity")
    at.selectbox(key="bulk_clarity_clarity").set_value(1).run()
    at.selectbox(key="bulk_clarity_audience").set_value("children").run()
    next(button for button in at.button if button.label == "Grade 4 items").click().run()
    (act,) = grades.bulk_acts(own, "clarity")
    assert (act["items"], act["grader"], act["values"]) == (4, "eve", {"clarity": 1, "audience": "children"})
    assert "4 items graded as one act" in said(at) and "Undo" in said(at)
    assert "nonsense" in visit(at, campaign="clarity", tab="bulk", where="nonsense > 1") and alerts(at) == 1
    assert "only whole samples" in visit(at, campaign="duel", tab="bulk")


def test_a_campaign_is_made_and_opens_its_queue(own, monkeypatch):
    at = shown(own.settings.home, monkeypatch)
    text = visit(at, new="1", source="web", where="score > 2")
    assert "cannot be understood" in text and alerts(at) == 0
    button = next(button for button in at.button if button.label == "Create campaign")
    button.click().run()
    assert "the campaign has no name" in said(at).lower() and alerts(at) == 1
    at.text_input(key="campaign_name").set_value("fresh")
    at.selectbox(key="campaign_order").set_value("uncertain").run()
    at.selectbox(key="campaign_column").set_value("score").run()
    at.selectbox(key="campaign_rubric").set_value("prrc").run()
    next(button for button in at.button if button.label == "Create campaign").click().run()
    made = grades.find(own, "fresh")
    assert (made.items, made.rubric["name"], made.recipe["order"], made.recipe["where"]) == (
        7,
        "prrc",
        "uncertain",
        "score > 2",
    )
    assert "professionalism" in said(at) and at.query_params["campaign"] in ("fresh", ["fresh"])


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("name: x\nabout: y\nscales: {x: {low: 1, high: 5}}", "a scale needs anchors"),
        ("name: x\nabout: y\nscales: {x: {low: 1, high: 5, anchors: {1: a}}}", "say what 5 mean"),
        ("name: [", "no YAML in line"),
        ("", "the rubric is empty"),
        ("name: x\nabout: y", "needs a scale or a label"),
    ],
)
def test_a_rubric_that_cannot_be_graded_by_is_refused_in_one_line(yaml, words, at):
    with pytest.raises(BadInput, match=words) as error:
        rubric_from(yaml, "")
    assert "\n" not in str(error.value)
    if "anchors" in words:
        visit(at, new="1")
        at.text_area(key="campaign_yaml").set_value(yaml).run()
        assert words in said(at) and alerts(at) == 1
        assert next(button for button in at.button if button.label == "Create campaign").disabled


def test_setup_says_how_it_was_made_plants_and_closes(own, monkeypatch):
    at = shown(own.settings.home, monkeypatch)
    text = visit(at, campaign="clarity", tab="setup")
    for words in ("clarity by score, shown after the own grade", "the first", "rubric digest", "30 min"):
        assert words in text, words
    next(button for button in at.button if button.label == "Close the campaign").click().run()
    assert grades.find(own, "clarity").closed
    text = visit(at, campaign="clarity", tab="queue")
    assert "Campaign clarity was closed" in text and "Store" not in text and alerts(at) == 1


def test_an_address_that_leads_nowhere_says_so(own, monkeypatch):
    at = shown(own.settings.home, monkeypatch)
    assert "nothing" in visit(at, campaign="nothing") and alerts(at) == 1
    assert "How clear is it?" in visit(at, campaign="clarity", tab="sideways")
    own.drop("web")
    assert "was dropped" in visit(at, campaign="clarity", tab="queue") and alerts(at) == 1
    assert "items" in visit(at, campaign="clarity", tab="results") and "clarity" in visit(at)


# -- what the desk does ------------------------------------------------------------------------------------------


def test_a_grade_brings_the_next_item_and_the_models_word_on_the_last(own):
    state = opened(own, "clarity", "dora")
    first = state["view"]["item"]
    state = asks(own, state)
    text = desk_says(own, "clarity", "dora", state)
    assert state["view"]["item"] != first and "1 graded by you" in text
    assert "stored clarity 4 audience experts model said 0" in text
    assert grades.status(own, "clarity")["graders"][0]["median_seconds"] == 1.5


def test_undo_gives_the_item_back_with_what_was_chosen(own):
    state = opened(own, "clarity", "dora")
    first = state["view"]["item"]
    state = heard(own, "clarity", "dora", asks(own, state), {"do": "undo"})
    assert state["view"]["item"] == first and state["answers"] == {"": SAID} and state["mine"] == 0
    state = asks(own, state)
    assert state["mine"] == 1 and grades.status(own, "clarity")["graders"][0]["graded"] == 1
    state = heard(own, "clarity", "dora", state, {"do": "skip", "item": state["view"]["item"], "note": "no"})
    assert "skipped" in desk_says(own, "clarity", "dora", state) and state["mine"] == 1


def test_a_mistake_keeps_the_item_and_what_was_chosen(own):
    state = opened(own, "clarity", "dora")
    first = state["view"]["item"]
    for values, words in (({"clarity": 9, "audience": "experts"}, "from 1 to 5"), ({"clarity": 4}, "lacks audience")):
        state = asks(own, state, values)
        assert state["view"]["item"] == first and state["answers"] == {"": values}
        assert words in desk_says(own, "clarity", "dora", state)
    for body in ({"do": "delete", "item": first}, {"do": "put", "item": first}, {}):
        state = heard(own, "clarity", "dora", state, body)
        assert state["said"] and state["view"]["item"] == first
    assert grades.export(own, "clarity", whole=True) == []


def test_an_item_that_expired_and_went_to_another_is_said_and_the_queue_goes_on(own):
    grades.create(own, "brief", "web", RUBRIC, hold=0.001)
    state = opened(own, "brief", "dora")
    first = state["view"]["item"]
    taken = grades.next_item(own, "brief", "bob")
    assert taken is not None and taken["item"] == first
    state = heard(own, "brief", "dora", state, {"do": "put", "item": first, "values": SAID})
    text = desk_says(own, "brief", "dora", state)
    assert "is with bob" in text and "Nothing was stored of what you chose (clarity 4, audience experts)" in text
    assert state["view"] and state["mine"] == 0


def test_an_item_that_expired_and_that_nobody_took_is_stored_late(own):
    grades.create(own, "brief", "web", RUBRIC, hold=0.001)
    state = opened(own, "brief", "dora")
    state = heard(own, "brief", "dora", state, {"do": "put", "item": state["view"]["item"], "values": SAID})
    assert state["mine"] == 1 and state["said"] is None


def test_a_campaign_that_closes_meanwhile_stops_the_desk(own):
    state = opened(own, "clarity", "dora")
    grades.close(own, "clarity")
    state = asks(own, state)
    text = desk_says(own, "clarity", "dora", state)
    assert state["view"] is None and "Campaign clarity was closed" in text and "Nothing was stored" in text
    assert grades.export(own, "clarity", whole=True) == []


def test_a_sample_that_is_retracted_meanwhile_is_never_stored(own):
    state = opened(own, "clarity", "dora")
    sample = state["view"]["samples"][0]["sample_id"]
    own.retract(reason="asked", ids=[sample])
    state = asks(own, state)
    text = desk_says(own, "clarity", "dora", state)
    assert "was retracted" in text and state["view"]["samples"][0]["sample_id"] != sample
    assert grades.export(own, "clarity", whole=True) == []


def test_the_same_grade_twice_is_one(own):
    state = opened(own, "clarity", "dora")
    body = {"do": "put", "item": state["view"]["item"], "values": SAID}
    state = heard(own, "clarity", "dora", heard(own, "clarity", "dora", state, body), body)
    assert grades.status(own, "clarity")["graders"][0]["graded"] == 1


def test_the_end_of_a_queue_says_why(own):
    state = opened(own, "turns", "dora")
    while state["view"]:
        state = heard(
            own, "turns", "dora", state, {"do": "put", "item": state["view"]["item"], "values": {"turn:1": SAID}}
        )
    text = desk_says(own, "turns", "dora", state)
    assert "Nothing is left for you to grade" in text and "Every item has all its grades" in text
    for _ in range(4):
        grades.next_item(own, "duel", "bob")
    grades.create(own, "one", "chats", RUBRIC, items=1)
    grades.next_item(own, "one", "bob")
    assert "Others hold 1 of the items" in desk_says(own, "one", "dora", opened(own, "one", "dora"))


def test_who_may_only_read_is_told_so(own):
    own.grant = "read"
    state = opened(own, "clarity", "rita")
    assert state["view"] is None and "may only read" in desk_says(own, "clarity", "rita", state)


def test_keys_are_digits_of_the_scale_places_of_a_label_and_letters_of_a_pair():
    assert keys({"low": 0, "high": 3}) == [["0"], ["1"], ["2"], ["3"]]
    assert keys({"low": 1, "high": 10})[9] == ["0"] and keys({"low": 1, "high": 12})[11] == []
    assert keys({"of": ["x", "y"]}) == [["1"], ["2"]]
    assert keys({"of": ["A", "B", "tie"]}) == [["1", "a"], ["2", "b"], ["3", "t"]]


def test_grades_leave_as_lines_or_as_a_table(own):
    state = opened(own, "clarity", "dora")
    asks(own, state)
    rows = grades.export(own, "clarity", whole=True)
    assert [json.loads(line)["name"] for line in written(rows, "jsonl").splitlines()] == [row["name"] for row in rows]
    assert written(rows, "csv").splitlines()[0].startswith("campaign,") and len(written(rows, "csv").splitlines()) == 3
    assert written([], "csv") == ""
