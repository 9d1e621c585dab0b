"""What graders write better: stored beside the grade, blind like it, taken back with it, and published as children."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog, grades
from catalog.errors import BadInput, NameTaken
from catalog.testing import errors_of, sentences, write_jsonl

ONE = {"name": "clarity", "about": "How clear?", "scales": {"clarity": {"low": 1, "high": 5}}}
ASK = {"role": "user", "content": "Add two and two."}


def texts_of(folder: Path, count: int = 4) -> Catalog:
    cat = Catalog.open(folder / "home")
    rows = [{"text": text, "url": f"https://a.org/{at}"} for at, text in enumerate(sentences(count))]
    cat.ingest([write_jsonl(folder / "web.jsonl", rows)], "web", licence="MIT")
    return cat


def chats_of(folder: Path) -> Catalog:
    cat = Catalog.open(folder / "home")
    first = [ASK, {"role": "assistant", "content": "Five."}, {"role": "user", "content": "Really?"},
             {"role": "assistant", "content": "Yes, five."}, {"role": "user", "content": "Hm."}]  # fmt: skip
    rows = [{"messages": first}, {"messages": [ASK]}]
    cat.ingest([write_jsonl(folder / "chats.jsonl", rows)], "chats", licence="MIT")
    return cat


def taken(cat: Catalog, grader: str, name: str = "c") -> dict[str, Any]:
    item = grades.next_item(cat, name, grader)
    assert item is not None
    return item


def put(
    cat: Catalog, grader: str, edit: str | None = None, value: int = 3, name: str = "c", **more: Any
) -> dict[str, Any]:
    item = taken(cat, grader, name)
    grades.put(cat, item["item"], {"clarity": value}, grader=grader, edit=edit, **more)
    return item


def rows_of(cat: Catalog, ref: str) -> list[dict[str, Any]]:
    table = cat.lance(ref)
    return table.to_table(filter=cat.predicate(ref)).to_pylist()


def edits_stored(cat: Catalog, **options: Any) -> list[tuple[str, str, int]]:
    rows = grades.export(cat, "c", whole=True, **options)
    return [(row["grader"], row["value"], row["revision"]) for row in rows if row["act"] == "edit"]


def test_an_edit_becomes_a_child_that_traces_and_retractions_reach(tmp_path):
    cat = texts_of(tmp_path)
    grades.create(cat, "c", "web", ONE, graders=1)
    parent = put(cat, "ann", "A better text.")["samples"][0]
    put(cat, "ann")
    done = grades.publish_edits(cat, "c", "web-edits")
    assert (done["dataset"], done["published"], done["rows"], done["added"]) == ("web-edits@v1", True, 1, 1)
    (row,) = rows_of(cat, "web-edits")
    assert row["text"] == "A better text." and row["chars"] == 14 and row["parents"] == [parent["sample_id"]]
    assert row["sample_id"] != parent["sample_id"] and row["content_id"] != parent["content_id"]
    assert (row["licence"], row["source"], row["url"]) == ("MIT", "web", parent["url"])
    meta = json.loads(row["meta"])
    assert meta["generator"] == "person:ann" and meta["campaign"] == "c" and meta["parents"] == row["parents"]
    assert meta["rubric_digest"] == grades.find(cat, "c").rubric_digest
    held = cat.trace(parent["sample_id"])
    assert [(child["dataset"], child["sample_id"]) for child in held["children"]] == [("web-edits", row["sample_id"])]
    assert all(grade["act"] != "edit" for grade in held["grades"])
    assert {edge["verb"] for edge in cat.lineage("web-edits")["edges"]} >= {"edits"}
    receipt = cat.retract(ids=[parent["sample_id"]], reason="asked for", children=True)
    assert receipt["children"] == {"web-edits": 1} and rows_of(cat, "web-edits") == []
    again = grades.publish_edits(cat, "c", "web-edits")
    assert not again["published"] and again["retracted"] == 1 and rows_of(cat, "web-edits") == []
    assert errors_of(cat) == []


def test_the_sample_itself_never_changes_and_the_same_edits_change_nothing(tmp_path):
    cat = texts_of(tmp_path)
    before = rows_of(cat, "web")
    grades.create(cat, "c", "web", ONE)
    put(cat, "ann", "One.")
    put(cat, "ann", "Two.")
    assert grades.publish_edits(cat, "c", "better")["rows"] == 2
    again = grades.publish_edits(cat, "c", "better")
    assert (again["published"], again["dataset"], again["rows"]) == (False, "better@v1", 2)
    grades.undo(cat, "c", "ann")
    item = taken(cat, "ann")
    grades.put(cat, item["item"], {"clarity": 3}, grader="ann", edit="Two, mended.")
    third = grades.publish_edits(cat, "c", "better")
    assert (third["dataset"], third["added"], third["removed"], third["rows"]) == ("better@v2", 1, 1, 2)
    assert sorted(row["text"] for row in rows_of(cat, "better")) == ["One.", "Two, mended."]
    assert sorted(row["text"] for batch in cat.scan("better@v1", ["text"]) for row in batch.to_pylist()) == [
        "One.",
        "Two.",
    ]
    assert rows_of(cat, "web") == before and errors_of(cat) == []


def test_edits_are_kept_by_grader_and_revision_and_undone_with_the_grade(tmp_path):
    cat = texts_of(tmp_path)
    grades.create(cat, "c", "web", ONE)
    item = put(cat, "ann", "First.")["item"]
    say = lambda **more: grades.put(cat, item, {"clarity": 3}, grader="ann", **more)  # noqa: E731
    assert say(edit="First.")["repeated"] and grades.look(cat, item, "ann")["edit"] == "First."
    assert say(edit="Second.")["revision"] == 2 and edits_stored(cat) == [("ann", "Second.", 2)]
    assert say()["revision"] == 3 and edits_stored(cat) == [] and grades.look(cat, item, "ann")["edit"] is None
    assert edits_stored(cat, history=True) == [("ann", "First.", 1), ("ann", "Second.", 2)]
    assert say(edit="Fourth.")["revision"] == 4 == say(edit="Fourth.", revision=4)["revision"]
    with pytest.raises(BadInput, match="other values"):
        say(edit="Other.", revision=4)
    assert grades.undo(cat, "c", "ann")["undone"] == "grade" and edits_stored(cat) == []
    assert [row for row in grades.export(cat, "c", whole=True)] == []


def test_edits_are_blind_until_all_grades_are_in(tmp_path):
    cat = texts_of(tmp_path)
    grades.create(cat, "c", "web", ONE, graders=2)
    put(cat, "ann", "Ann's words.")
    seen = taken(cat, "bob")
    assert "Ann's words." not in json.dumps(seen) and grades.export(cat, "c") == []
    with pytest.raises(BadInput, match="no edit to publish .1 waiting"):
        grades.publish_edits(cat, "c", "better")
    assert cat.find("better") is None
    put(cat, "bob", "Bob's words.")
    assert grades.publish_edits(cat, "c", "better")["rows"] == 2
    rows = rows_of(cat, "better")
    assert rows[0]["parents"] == rows[1]["parents"] and rows[0]["sample_id"] != rows[1]["sample_id"]
    assert "words" not in str(cat.sql("SELECT * FROM strata.grades"))


def test_grades_agreement_and_columns_do_not_count_an_edit(tmp_path):
    cat = texts_of(tmp_path)
    grades.create(cat, "c", "web", ONE, graders=2)
    for who, value in (("ann", 2), ("bob", 4)):
        put(cat, who, f"By {who}.", value)
    assert [(one["grader"], one["graded"]) for one in grades.status(cat, "c")["graders"]] == [("ann", 1), ("bob", 1)]
    assert grades.agreement_of(cat, "c", resamples=0)["questions"]["clarity"]["units"] == 1
    assert grades.publish_grades(cat, "c", rule="mean")["columns"][0]["samples"] == 1


def test_the_last_turn_of_the_assistant_is_what_is_edited(tmp_path):
    cat = chats_of(tmp_path)
    grades.create(cat, "c", "chats", ONE)
    item = taken(cat, "ann")
    assert item["response"] == "turn:3"
    grades.put(cat, item["item"], {"clarity": 1}, grader="ann", edit="No, four.")
    bare = taken(cat, "ann")
    assert bare["response"] is None
    with pytest.raises(BadInput, match="no turn of the assistant"):
        grades.put(cat, bare["item"], {"clarity": 1}, grader="ann", edit="Four.")
    grades.publish_edits(cat, "c", "better")
    (row,) = rows_of(cat, "better")
    said = [(turn["role"], turn["content"]) for turn in row["messages"]]
    assert said[3] == ("assistant", "No, four.") and said[1] == ("assistant", "Five.") and len(said) == 5
    assert "assistant: No, four." in row["text"] and row["text"].endswith("user: Hm.")


def test_of_a_preference_the_chosen_answer_is_edited(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    pair = {"prompt": "Add two and two.", "chosen": "Five.", "rejected": "Six."}
    cat.ingest([write_jsonl(tmp_path / "pairs.jsonl", [pair])], "pairs", licence="MIT")
    assert cat.resolve("pairs").dataset.kind == "preference"
    grades.create(cat, "c", "pairs", ONE)
    assert put(cat, "ann", "Four.")["response"] == "chosen:0"
    grades.publish_edits(cat, "c", "better")
    (row,), (old,) = rows_of(cat, "better"), rows_of(cat, "pairs")
    assert row["chosen"][0]["content"] == "Four." and row["rejected"] == old["rejected"]
    assert row["messages"] == old["messages"] and row["text"] == old["text"].replace("Five.", "Four.")


def test_what_cannot_be_edited_is_refused_in_one_line(tmp_path):
    cat = texts_of(tmp_path)
    grades.create(cat, "c", "web", ONE)
    grades.create(cat, "duel", "web", {"name": "preference", "about": "Which?"}, pairs=1)
    item = taken(cat, "ann")
    same = item["samples"][0]["text"]
    for edit, words in (
        ("  ", "is empty"),
        (same, "as it stands"),
        ("a\x00b", "a null"),
        ("x" * 1_000_001, "is the most"),
    ):
        with pytest.raises(BadInput, match=words) as error:
            grades.put(cat, item["item"], {"clarity": 3}, grader="ann", edit=edit)
        assert "\n" not in str(error.value)
    assert grades.export(cat, "c", whole=True, history=True) == []
    pair = taken(cat, "ann", "duel")
    with pytest.raises(BadInput, match="neither of two samples"):
        grades.put(cat, pair["item"], {"preference": "A"}, grader="ann", edit="Mine.")
    with pytest.raises(BadInput, match="no edit to publish"):
        grades.publish_edits(cat, "c", "better")


def test_edits_join_no_dataset_of_another_kind(tmp_path):
    cat = texts_of(tmp_path)
    cat.ingest([write_jsonl(tmp_path / "other.jsonl", [{"text": "Some other words."}])], "other", licence="MIT")
    grades.create(cat, "c", "web", ONE)
    put(cat, "ann", "Better.")
    with pytest.raises(NameTaken, match="holds no edits of web"):
        grades.publish_edits(cat, "c", "other")
    with pytest.raises(BadInput, match="name another"):
        grades.publish_edits(cat, "c", "web")
    assert len(rows_of(cat, "other")) == 1
