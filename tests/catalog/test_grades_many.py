"""One grade for many rows as one act, what a model suggests and when, and campaigns at a glance."""

import pytest

from catalog import Catalog, grades
from catalog.errors import BadInput, NotFound, Refused
from catalog.testing import attach_columns, sentences, text_dataset

RUBRIC = {"name": "clarity", "about": "How clear?", "scales": {"clarity": {"low": 1, "high": 5}}}


def opened(tmp_path, rows: int = 12) -> Catalog:
    """A dataset whose column `score` counts its rows."""
    cat = Catalog.open(tmp_path / "home")
    text_dataset(cat, tmp_path, "web", sentences(rows))
    attach_columns(cat, "web", {"score": [float(at) for at in range(rows)]})
    return cat


def grade_all(cat: Catalog, name: str, grader: str, value: int = 3) -> list[str]:
    seen = []
    while (item := grades.next_item(cat, name, grader)) is not None:
        seen.append(item["samples"][0]["sample_id"])
        grades.put(cat, item["item"], {"clarity": value}, grader=grader)
    return seen


def line(cat: Catalog, name: str, grader: str) -> dict:
    return next(one for one in grades.overview(cat, grader) if one["campaign"] == name)


def test_an_act_covers_what_nobody_has_touched_and_is_asked_no_more(tmp_path):
    cat = opened(tmp_path)
    grades.create(cat, "c", "web", RUBRIC)
    held = grades.next_item(cat, "c", "ann")
    assert held is not None
    looked = grades.bulk(cat, "c", {"clarity": 1}, where="score < 4", grader="bob", dry_run=True)
    assert (looked["rows"], looked["items"], looked["left"], looked["act"]) == (4, 3, 1, None)
    assert grades.bulk_acts(cat, "c") == []
    done = grades.bulk(cat, "c", {"clarity": "1"}, where="score < 4", grader="bob", note="boilerplate")
    again = grades.bulk(cat, "c", {"clarity": 1}, where="score < 4", grader="bob")
    assert done["items"] == 3 and again["repeated"] and again["act"] == done["act"]
    assert grades.status(cat, "c")["in_bulk"] == 3 and line(cat, "c", "ann")["waiting"] == 9
    assert len(grade_all(cat, "c", "ann")) == 9
    rows = grades.export(cat, "c")
    assert sum(row["act"] == "bulk" for row in rows) == 3 and len(rows) == 12
    assert {row["number"] for row in rows if row["act"] == "bulk"} == {1.0}
    assert {row["grader"] for row in rows if row["act"] == "bulk"} == {"bob"}


def test_an_act_is_taken_back_as_one_and_its_items_are_asked_again(tmp_path):
    cat = opened(tmp_path)
    grades.create(cat, "c", "web", RUBRIC, graders=2)
    act = grades.bulk(cat, "c", {"clarity": 1}, where="score < 6", grader="bob")["act"]
    assert len(grade_all(cat, "c", "ann")) == 6
    done = grades.bulk_undo(cat, "c", act[:6], by="eve")
    assert done["items"] == 6 and grades.bulk_undo(cat, "c", act)["undone"] == done["undone"]
    assert line(cat, "c", "ann")["waiting"] == 6 and line(cat, "c", "bob")["waiting"] == 12
    assert len(grade_all(cat, "c", "ann")) == 6
    seen = grade_all(cat, "c", "bob")
    assert len(seen) == len(set(seen)) == 12
    assert line(cat, "c", "bob")["complete"] == 12 and line(cat, "c", "bob")["waiting"] == 0
    (held,) = grades.bulk_acts(cat, "c", history=True)
    assert held["undone_by"] == "eve" and grades.bulk_acts(cat, "c") == []


def test_single_grades_stand_before_an_act_and_acts_are_published(tmp_path):
    cat = opened(tmp_path)
    grades.create(cat, "c", "web", RUBRIC)
    item = grades.next_item(cat, "c", "ann")
    assert item is not None
    grades.put(cat, item["item"], {"clarity": 5}, grader="ann")
    grades.bulk(cat, "c", {"clarity": 1}, where="score < 4", grader="bob")
    (column,) = grades.publish_grades(cat, "c")["columns"]
    assert column["samples"] == 4
    held = [value for batch in cat.scan("web", ["c_clarity"]) for value in batch.column(0).to_pylist()]
    assert held[:5] == [5.0, 1.0, 1.0, 1.0, None]
    assert grades.agreement_of(cat, "c", resamples=0)["questions"]["clarity"]["units"] == 1
    with pytest.raises(BadInput, match="nothing to publish"):
        grades.publish_grades(cat, "c", least=2)


def test_two_acts_share_no_item_and_each_is_undone_alone(tmp_path):
    cat = opened(tmp_path)
    grades.create(cat, "c", "web", RUBRIC)
    first = grades.bulk(cat, "c", {"clarity": 1}, where="score < 4", grader="bob")
    second = grades.bulk(cat, "c", {"clarity": 2}, where="score < 8", grader="eve")
    assert (second["items"], second["covered"]) == (4, 4)
    grades.bulk_undo(cat, "c", first["act"])
    assert grades.status(cat, "c")["in_bulk"] == 4 and len(grade_all(cat, "c", "ann")) == 8


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"values": {"clarity": 9}, "where": "score < 4"}, "whole number from 1 to 5"),
        ({"values": {}, "where": "score < 4"}, "lacks clarity"),
        ({"values": {"clarity": 1}, "where": " "}, "say which rows"),
        ({"values": {"clarity": 1}, "where": "score > 99"}, "no row .* matches"),
        ({"values": {"clarity": 1}, "where": "score > 7"}, "not in the queue"),
        ({"values": {"clarity": 1}, "where": "nonsense > 7"}, "nonsense"),
    ],
)
def test_an_act_that_says_nothing_is_refused_in_one_line(tmp_path, given, words):
    cat = opened(tmp_path)
    grades.create(cat, "c", "web", RUBRIC, items=6)
    with pytest.raises((BadInput, NotFound), match=words) as error:
        grades.bulk(cat, "c", **given)
    assert "\n" not in str(error.value) and grades.bulk_acts(cat, "c") == []


def test_pairs_closed_campaigns_and_unknown_acts_are_refused(tmp_path):
    cat = opened(tmp_path)
    grades.create(cat, "duel", "web", {"name": "preference"}, pairs=1)
    with pytest.raises(BadInput, match="grades pairs"):
        grades.bulk(cat, "duel", {"preference": "A"}, where="score < 3")
    grades.create(cat, "c", "web", RUBRIC)
    with pytest.raises(NotFound, match="act"):
        grades.bulk_undo(cat, "c", "")
    grades.close(cat, "c")
    with pytest.raises(Refused, match="closed"):
        grades.bulk(cat, "c", {"clarity": 1}, where="score < 3")
    cat.grant = "read"
    with pytest.raises(Refused, match="may only read"):
        grades.bulk(cat, "c", {"clarity": 1}, where="score < 3")


def test_planted_items_and_retracted_samples_are_no_part_of_an_act(tmp_path):
    cat = opened(tmp_path)
    grades.create(cat, "c", "web", RUBRIC, gold_every=3)
    ids = [value for batch in cat.scan("web", ["sample_id"]) for value in batch.column(0).to_pylist()]
    grades.plant(cat, "c", ids[0], {"clarity": 4}, actor="eve")
    assert grades.bulk(cat, "c", {"clarity": 1}, where="score < 4", grader="bob")["items"] == 3
    cat.retract(reason="asked", ids=[ids[1]])
    assert [row["sample_id"] for row in grades.export(cat, "c")] == ids[2:4]
    assert line(cat, "c", "ann")["waiting"] == 8


def test_a_suggestion_is_shown_when_the_campaign_says_so(tmp_path):
    cat = opened(tmp_path)
    grades.create(cat, "after", "web", RUBRIC, suggest={"clarity": "score"})
    grades.create(cat, "before", "web", RUBRIC, suggest={"clarity": "score"}, reveal="before")
    grades.create(cat, "none", "web", RUBRIC)
    shown = {}
    for name in ("after", "before", "none"):
        item = grades.next_item(cat, name, "ann")
        assert item is not None
        grades.put(cat, item["item"], {"clarity": 2}, grader="ann")
        shown[name] = item["suggestions"], grades.look(cat, item["item"], "ann")["suggestions"]
    assert shown == {"after": ({}, {"clarity": 0.0}), "before": ({"clarity": 0.0},) * 2, "none": ({}, {})}
    taken = grades.undo(cat, "after", "ann")
    assert grades.look(cat, taken["item"], "ann")["suggestions"] == {}
    for given, words in (
        ({"suggest": {"clarity": "nothing"}}, "nothing"),
        ({"suggest": {"colour": "score"}}, "does not ask for 'colour'"),
        ({"suggest": {"clarity": "score"}, "reveal": "during"}, "'during' is not one of"),
        ({"suggest": {"clarity": "score"}, "pairs": 2}, "whole samples"),
    ):
        with pytest.raises((BadInput, NotFound), match=words):
            grades.create(cat, "bad", "web", RUBRIC, **given)


def test_what_waits_is_counted_for_each_grader(tmp_path):
    cat = opened(tmp_path, 6)
    grades.create(cat, "c", "web", RUBRIC, graders=2, hold=3600)
    assert [line(cat, "c", who)["waiting"] for who in ("ann", "bob")] == [6, 6]
    item = grades.next_item(cat, "c", "ann")
    assert item is not None and line(cat, "c", "ann")["held"] and not line(cat, "c", "bob")["held"]
    grades.put(cat, item["item"], {"clarity": 2}, grader="ann")
    assert (line(cat, "c", "ann")["waiting"], line(cat, "c", "ann")["mine"]) == (5, 1)
    for who in ("bob", "eve"):  # bob holds the second place of ann's item; eve one of the next item's
        grades.next_item(cat, "c", who)
    assert line(cat, "c", "dan")["out"] == 2 and line(cat, "c", "dan")["waiting"] == 5
    grades.close(cat, "c")
    assert line(cat, "c", "bob")["waiting"] == 0


def test_the_samples_of_a_conflict_are_shown_once_all_grades_are_in(tmp_path):
    cat = opened(tmp_path, 4)
    grades.create(cat, "c", "web", RUBRIC, graders=2)
    grade_all(cat, "c", "ann", 1)
    with pytest.raises(BadInput, match="does not have all its grades"):
        grades.sample_at(cat, "c", 0)
    grade_all(cat, "c", "bob", 4)
    held = grades.sample_at(cat, "c", 0)
    assert held["samples"][0]["text"] and held["sample_kind"] == "text"
    cat.retract(reason="asked", ids=[held["samples"][0]["sample_id"]])
    with pytest.raises(Refused, match="was retracted since"):
        grades.sample_at(cat, "c", 0)
