"""Grading by people: frozen queues, blind grades, places and their expiry, planted items, settlement, columns."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sqlmodel import select

from catalog import Catalog, grades
from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.grades.pairs import bradley_terry
from catalog.grades.queue import mid_ranks
from catalog.meta.models import Grade, GradeSlot
from catalog.selections import save
from catalog.testing import attach_columns, errors_of, sentences, text_dataset, write_jsonl

RUBRIC = {
    "name": "clarity",
    "about": "How clear is the text?",
    "scales": {"clarity": {"low": 1, "high": 5}},
    "labels": {"audience": {"of": ["children", "public", "experts"]}},
}
ONE = {"name": "clarity", "about": "How clear?", "scales": {"clarity": {"low": 1, "high": 5}}}


def opened(tmp_path, rows: int = 12) -> Catalog:
    cat = Catalog.open(tmp_path / "home")
    text_dataset(cat, tmp_path, "web", sentences(rows))
    return cat


def ids_of(cat: Catalog, name: str = "web") -> list[str]:
    return [value for batch in cat.scan(name, ["sample_id"]) for value in batch.column(0).to_pylist()]


def take(cat: Catalog, name: str, grader: str | None = None) -> Any:
    """The next item of a grader."""
    return grades.next_item(cat, name, grader)


def grade_all(cat: Catalog, name: str, grader: str, say) -> list[str]:
    """Grade until nothing is left; the sample ids in the order in which they came."""
    seen = []
    while (item := take(cat, name, grader)) is not None:
        seen.append(item["samples"][0]["sample_id"])
        grades.put(cat, item["item"], say(item), grader=grader)
    return seen


def queue_of(cat: Catalog, **options) -> list[str]:
    name = f"q{len(grades.campaigns(cat))}"
    grades.create(cat, name, "web", ONE, **options)
    return grade_all(cat, name, "ann", lambda item: {"clarity": 3})


# -- queues ------------------------------------------------------------------------------------------------------


def test_orders_of_the_queue(tmp_path):
    cat = opened(tmp_path)
    ids = ids_of(cat)
    score = [0.1 * at for at in range(12)]
    attach_columns(cat, "web", {"score": score, "other": [1.0] * 3 + score[3:][::-1]})
    assert queue_of(cat) == ids
    drawn = queue_of(cat, order="random", seed=3)
    assert drawn == queue_of(cat, order="random", seed=3) != ids
    assert sorted(drawn) == sorted(ids) and drawn != queue_of(cat, order="random", seed=4)
    near = queue_of(cat, order="uncertain", columns=["score"], threshold=0.52, items=4)
    assert near == [ids[at] for at in (5, 6, 4, 7)]
    apart = queue_of(cat, order="disagreeing", columns=["score", "other"])
    ranks = np.abs(
        np.argsort(np.argsort(score)) - mid_ranks(np.array([1.0] * 3 + score[3:][::-1])) * 11
    )  # fmt: skip
    assert [round(ranks[ids.index(one)], 9) for one in apart] == sorted(np.round(ranks, 9), reverse=True)


def test_a_stratified_queue_takes_one_of_each_in_turn(tmp_path):
    cat = opened(tmp_path)
    attach_columns(cat, "web", {"part": ["a"] * 8 + ["b"] * 3 + ["c"]})
    parts = dict(zip(ids_of(cat), ["a"] * 8 + ["b"] * 3 + ["c"]))
    order = [parts[one] for one in queue_of(cat, order="stratified", columns=["part"])]
    assert set(order[:3]) == {"a", "b", "c"} and Counter(order[3:7]) == {"a": 2, "b": 2} and order[7:] == ["a"] * 5


def test_rows_without_a_value_come_last(tmp_path):
    cat = opened(tmp_path, 6)
    attach_columns(cat, "web", {"score": [None, 0.9, None, 0.5, 0.1, 0.6]})
    ids = ids_of(cat)
    order = queue_of(cat, order="uncertain", columns=["score"], threshold=0.5)
    assert order[:4] == [ids[at] for at in (3, 5, 4, 1)] or order[:4] == [ids[at] for at in (3, 5, 1, 4)]
    assert set(order[4:]) == {ids[0], ids[2]}


def test_a_campaign_of_a_selection_and_of_a_filter(tmp_path):
    cat = opened(tmp_path)
    attach_columns(cat, "web", {"score": [float(at) for at in range(12)]})
    save(cat, "high", "web", "score >= 6")
    ids = ids_of(cat)
    made = grades.create(cat, "some", "high", ONE, where="score < 9")
    assert made.items == 3 and grade_all(cat, "some", "ann", lambda item: {"clarity": 1}) == ids[6:9]


def test_a_queue_is_frozen_against_new_rows_and_the_same_request_is_the_same_campaign(tmp_path):
    cat = opened(tmp_path, 4)
    first = grades.create(cat, "c", "web@v1", ONE, order="random", seed=1)
    cat.ingest([write_jsonl(tmp_path / "more.jsonl", sentences(4, seed=9))], "web")
    assert grades.create(cat, "c", "web@v1", ONE, order="random", seed=1).id == first.id
    assert len(grade_all(cat, "c", "ann", lambda item: {"clarity": 2})) == 4
    with pytest.raises(NameTaken, match="another recipe"):
        grades.create(cat, "c", "web@v1", ONE, order="random", seed=2)


REFUSED = [
    ({"order": "best"}, "order 'best'"),
    ({"order": "uncertain"}, "one column"),
    ({"order": "uncertain", "columns": ["chars"]}, "threshold"),
    ({"order": "disagreeing", "columns": ["chars"]}, "two columns"),
    ({"order": "uncertain", "columns": ["text"], "threshold": 1.0}, "not numbers"),
    ({"graders": 0}, "one grader"),
    ({"target": "word"}, "target 'word'"),
    ({"target": "turn"}, "only samples with messages"),
    ({"where": "chars < 0"}, "no row to grade"),
]


def test_a_campaign_that_cannot_be_is_refused_in_one_line(tmp_path):
    cat = opened(tmp_path, 3)
    for options, reason in REFUSED:
        with pytest.raises(BadInput, match=reason) as caught:
            grades.create(cat, "c", "web", ONE, **options)
        assert "\n" not in str(caught.value) and grades.campaigns(cat) == []


# -- the desk ----------------------------------------------------------------------------------------------------


def test_every_item_is_graded_by_as_many_as_are_wanted_and_by_nobody_twice(tmp_path):
    cat = opened(tmp_path, 8)
    grades.create(cat, "c", "web", ONE, graders=2, order="random")
    turn, held = ["ann", "bob", "carol"], Counter()
    for step in range(40):
        grader = turn[step % 3]
        if (item := take(cat, "c", grader)) is None:
            continue
        grades.put(cat, item["item"], {"clarity": 3}, grader=grader)
        held[(item["samples"][0]["sample_id"], grader)] += 1
    assert set(held.values()) == {1} and Counter(sample for sample, _ in held) == dict.fromkeys(ids_of(cat), 2)
    assert all(take(cat, "c", grader) is None for grader in turn)
    assert grades.status(cat, "c")["complete"] == 8


def test_two_at_once_never_share_a_place(tmp_path):
    cat = opened(tmp_path, 10)
    grades.create(cat, "c", "web", ONE, graders=2)
    got: dict[str, list[str]] = {}

    def work(grader: str) -> None:
        got[grader] = grade_all(cat, "c", grader, lambda item: {"clarity": 1 + len(grader) % 5})

    people = [threading.Thread(target=work, args=(name,)) for name in ("a", "bb", "ccc", "dddd")]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert len(got) == 4 and all(len(set(seen)) == len(seen) for seen in got.values())
    assert Counter(sample for seen in got.values() for sample in seen) == dict.fromkeys(ids_of(cat), 2)


def test_an_item_is_held_until_it_is_graded_and_goes_to_another_when_its_time_is_up(tmp_path):
    cat = opened(tmp_path, 2)
    grades.create(cat, "c", "web", ONE, hold=0.05)
    mine = take(cat, "c", "ann")
    assert take(cat, "c", "ann")["item"] == mine["item"]
    time.sleep(0.1)
    theirs = take(cat, "c", "bob")
    assert theirs["item"] == mine["item"]
    with pytest.raises(Refused, match="is with bob: an item that expired"):
        grades.put(cat, mine["item"], {"clarity": 3}, grader="ann")
    grades.put(cat, theirs["item"], {"clarity": 3}, grader="bob")
    late = take(cat, "c", "ann")
    time.sleep(0.1)
    assert not grades.put(cat, late["item"], {"clarity": 3}, grader="ann")["repeated"]  # late, but nobody else took it


def test_a_grade_is_stored_once_and_a_change_supersedes_it(tmp_path):
    cat = opened(tmp_path, 2)
    grades.create(cat, "c", "web", RUBRIC)
    item = take(cat, "c", "ann")["item"]
    said = {"clarity": 4, "audience": "public"}
    assert grades.put(cat, item, said, grader="ann", seconds=3.5, revision=1) == {
        "item": item, "campaign": "c", "revision": 1, "repeated": False,
    }  # fmt: skip
    assert grades.put(cat, item, said, grader="ann", revision=1)["repeated"]
    with pytest.raises(BadInput, match="revision 1 of item .* is stored with other values"):
        grades.put(cat, item, said | {"clarity": 5}, grader="ann", revision=1)
    assert grades.put(cat, item, said | {"clarity": 5}, grader="ann")["revision"] == 2
    with pytest.raises(BadInput, match="the next revision of item .* is 3, not 7"):
        grades.put(cat, item, said, grader="ann", revision=7)
    rows = grades.export(cat, "c", history=True)
    assert {(r["name"], r["value"], r["revision"], r["superseded"] is None) for r in rows} == {
        ("clarity", "4", 1, False), ("audience", "public", 1, False),
        ("clarity", "5", 2, True), ("audience", "public", 2, True),
    }  # fmt: skip
    assert {row["seconds"] for row in rows if row["revision"] == 1} == {3.5}


WRONG = [
    ({"clarity": 6, "audience": "public"}, "clarity is a whole number from 1 to 5, not 6"),
    ({"clarity": 2.5, "audience": "public"}, "whole number"),
    ({"clarity": True, "audience": "public"}, "whole number"),
    ({"clarity": float("nan"), "audience": "public"}, "whole number"),
    ({"clarity": 2, "audience": "dogs"}, "audience is one of children, public, experts"),
    ({"clarity": 2}, "lacks audience"),
    ({"clarity": 2, "audience": "public", "wit": 1}, "does not ask for 'wit'"),
    ({"turn:1": {"clarity": 2}, "clarity": 2, "audience": "public"}, "only whole samples"),
]


def test_a_value_that_the_rubric_does_not_hold_is_refused_and_stores_nothing(tmp_path):
    cat = opened(tmp_path, 2)
    grades.create(cat, "c", "web", RUBRIC)
    item = take(cat, "c", "ann")["item"]
    for values, reason in WRONG:
        with pytest.raises(BadInput, match=reason):
            grades.put(cat, item, values, grader="ann")
    assert grades.export(cat, "c", whole=True, history=True) == []


def test_what_is_skipped_goes_to_others_and_what_is_undone_comes_back(tmp_path):
    cat = opened(tmp_path, 3)
    grades.create(cat, "c", "web", ONE)
    first = take(cat, "c", "ann")
    assert not grades.skip(cat, first["item"], grader="ann")["repeated"]
    assert grades.skip(cat, first["item"], grader="ann")["repeated"]
    second = take(cat, "c", "ann")
    assert second["item"] != first["item"]
    grades.put(cat, second["item"], {"clarity": 5}, grader="ann")
    assert grades.undo(cat, "c", "ann") == {"item": second["item"], "campaign": "c", "undone": "grade"}
    again = take(cat, "c", "ann")
    assert again["item"] == second["item"] and again["mine"] == []
    assert grades.put(cat, again["item"], {"clarity": 5}, grader="ann")["revision"] == 2
    assert take(cat, "c", "bob")["item"] == first["item"]  # what ann skipped
    assert len(grade_all(cat, "c", "bob", lambda item: {"clarity": 1})) == 2
    assert take(cat, "c", "ann") is None
    with pytest.raises(BadInput, match="carol has no grade in c to take back"):
        grades.undo(cat, "c", "carol")


def test_an_undone_skip_is_asked_again_even_far_behind(tmp_path):
    cat = opened(tmp_path, 6)
    grades.create(cat, "c", "web", ONE)
    first = take(cat, "c", "ann")["item"]
    grades.skip(cat, first, grader="ann")
    rest = take(cat, "c", "bob")
    assert rest["item"] == first
    grades.skip(cat, first, grader="bob")
    assert len(grade_all(cat, "c", "bob", lambda item: {"clarity": 2})) == 5
    assert take(cat, "c", "ann") is None
    assert grades.undo(cat, "c", "ann")["undone"] == "skip"
    assert take(cat, "c", "ann")["item"] == first


def test_graders_are_blind_to_one_another(tmp_path):
    cat = opened(tmp_path, 2)
    grades.create(cat, "c", "web", ONE, graders=2)
    mine = take(cat, "c", "ann")
    grades.put(cat, mine["item"], {"clarity": 5}, grader="ann", note="a secret")
    theirs = take(cat, "c", "bob")
    assert theirs["samples"] == mine["samples"] and theirs["mine"] == [] and "ann" not in json.dumps(theirs)
    assert grades.export(cat, "c") == [] and grades.conflicts(cat, "c") == []
    with pytest.raises(Refused):
        grades.look(cat, mine["item"], "bob")
    grades.put(cat, theirs["item"], {"clarity": 1}, grader="bob")
    assert len(grades.export(cat, "c")) == 2


def test_what_is_not_there_is_one_line(tmp_path):
    cat = opened(tmp_path, 2)
    grades.create(cat, "clarity", "web", ONE)
    with pytest.raises(NotFound, match="did you mean clarity"):
        take(cat, "clarty")
    with pytest.raises(NotFound, match="no item 'nope'"):
        grades.put(cat, "nope", {"clarity": 1})
    item = take(cat, "clarity", "ann")["item"]
    grades.close(cat, "clarity")
    with pytest.raises(Refused, match="was closed"):
        grades.put(cat, item, {"clarity": 1}, grader="ann")
    grades.close(cat, "clarity", reopen=True)
    cat.drop("web")
    for step in (lambda: take(cat, "clarity", "ann"), lambda: grades.publish_grades(cat, "clarity")):
        with pytest.raises(Refused, match="samples from web@v1, which was dropped"):
            step()
    assert grades.status(cat, "clarity")["dropped"]


def test_a_renamed_dataset_goes_on_and_a_retracted_sample_is_never_shown(tmp_path):
    cat = opened(tmp_path, 4)
    grades.create(cat, "c", "web", ONE)
    ids = ids_of(cat)
    cat.rename("web", "pages")
    held = take(cat, "c", "ann")["item"]
    cat.retract(reason="asked", ids=[ids[0], ids[2]])
    with pytest.raises(Refused, match="was retracted"):
        grades.put(cat, held, {"clarity": 1}, grader="ann")
    assert grade_all(cat, "c", "ann", lambda item: {"clarity": 2}) == [ids[1], ids[3]]
    assert grades.publish_grades(cat, "c", rule="mean")["columns"][0]["samples"] == 2


def test_a_killed_grader_has_stored_all_of_a_put_or_nothing(tmp_path):
    """A process that grades is killed at some moment; whoever repeats its last put stores it once."""
    cat = opened(tmp_path, 200)
    grades.create(cat, "c", "web", RUBRIC)
    code = (
        "import sys; from catalog import Catalog, grades; cat = Catalog.open(sys.argv[1])\n"
        "while (item := grades.next_item(cat, 'c', 'ann')):\n"
        "    print(item['item'], flush=True)\n"
        "    grades.put(cat, item['item'], {'clarity': 3, 'audience': 'public'}, grader='ann')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "home")], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    taken = [child.stdout.readline().strip() for _ in range(6)]
    os.kill(child.pid, signal.SIGKILL)
    taken += [line.strip() for line in child.stdout if len(line.strip()) == 32]
    child.wait()
    for item in taken:
        grades.put(cat, item, {"clarity": 3, "audience": "public"}, grader="ann", revision=1)
    rows = grades.export(cat, "c", whole=True, history=True)
    assert Counter(row["slot_id"] for row in rows) == dict.fromkeys(taken, 2)
    assert errors_of(cat) == []


# -- planted items -----------------------------------------------------------------------------------------------


def test_planted_items_come_among_the_others_and_say_who_is_right(tmp_path):
    cat = opened(tmp_path, 10)
    ids = ids_of(cat)
    grades.create(cat, "c", "web", ONE, gold_every=2)
    for sample in ids[:2]:
        grades.plant(cat, "c", sample[:12], {"clarity": 4}, actor="lead")
    assert grades.plant(cat, "c", ids[0], {"clarity": 4}, actor="lead")["planted"] == 2
    with pytest.raises(BadInput, match="planted in c with another answer"):
        grades.plant(cat, "c", ids[0], {"clarity": 5})
    seen = []
    while (item := take(cat, "c", "ann")) is not None:
        assert "gold" not in json.dumps(item) and "answer" not in item
        sample = item["samples"][0]["sample_id"]
        seen.append(sample)
        grades.put(cat, item["item"], {"clarity": 4 if sample == ids[0] else 2}, grader="ann")
    assert len(seen) == len(set(seen)) == 10 and {seen[2], seen[5]} == set(ids[:2])
    line = grades.gold_report(cat, "c")[0]
    assert (line["answers"], line["right"], line["mean_distance"]) == (2, 0.5, 1.0) and line["low"] < 0.5 < line["high"]
    assert grades.publish_grades(cat, "c", rule="mean")["columns"][0]["samples"] == 8


def test_nobody_grades_what_they_planted(tmp_path):
    cat = opened(tmp_path, 4)
    ids = ids_of(cat)
    grades.create(cat, "c", "web", ONE, gold_every=1)
    grades.plant(cat, "c", ids[3], {"clarity": 4}, actor="ann")
    assert grade_all(cat, "c", "ann", lambda item: {"clarity": 3}) == ids[:3]
    with cat.session() as session:  # however it came to them
        campaign = grades.find(cat, "c")
        slot = GradeSlot(campaign_id=campaign.id, item=-1, place=9, status="taken", grader="ann")
        session.add(slot)
        session.commit()
    with pytest.raises(Refused, match="was planted by ann"):
        grades.put(cat, slot.id, {"clarity": 4}, grader="ann")


# -- parts and pairs ---------------------------------------------------------------------------------------------


def chat(tmp_path) -> Catalog:
    cat = Catalog.open(tmp_path / "home")
    rows = [
        {"messages": [{"role": "user", "content": f"q{at}"}, {"role": "assistant", "content": f"a{at}"}]}
        for at in range(3)
    ]
    cat.ingest([write_jsonl(tmp_path / "chat.jsonl", rows)], "chat", kind="chat")
    return cat


def test_turns_are_graded_one_by_one(tmp_path):
    cat = chat(tmp_path)
    grades.create(cat, "c", "chat", ONE, target="turn")
    item = take(cat, "c", "ann")
    for values, reason in (({"clarity": 3}, "grades turns"), ({"turn:2": {"clarity": 3}}, "has turns 0 to 1")):
        with pytest.raises(BadInput, match=reason):
            grades.put(cat, item["item"], values, grader="ann")
    grades.put(cat, item["item"], {"turn:0": {"clarity": 2}, "turn:1": {"clarity": 5}}, grader="ann")
    assert {row["target"]: row["value"] for row in grades.export(cat, "c")} == {"turn:0": "2", "turn:1": "5"}
    grades.publish_grades(cat, "c", rule="mean")
    assert cat.sql("select c_clarity from chat where c_clarity is not null").rows() == [{"c_clarity": 3.5}]


def test_spans_are_kept_beside_the_whole(tmp_path):
    cat = opened(tmp_path, 1)
    grades.create(cat, "c", "web", ONE, target="span")
    item = take(cat, "c", "ann")
    size = len(item["samples"][0]["text"])
    with pytest.raises(BadInput, match="no stretch of the text"):
        grades.put(cat, item["item"], {"clarity": 3, f"span:0-{size + 1}": {"clarity": 1}}, grader="ann")
    grades.put(cat, item["item"], {"clarity": 3, f"span:0-{size}": {"clarity": 1}}, grader="ann")
    assert {row["target"] for row in grades.export(cat, "c")} == {"", f"span:0-{size}"}
    grades.publish_grades(cat, "c", rule="mean")
    assert cat.sql("select c_clarity from web").rows() == [{"c_clarity": 3.0}]


def test_pairs_give_strengths_in_the_order_of_what_people_like(tmp_path):
    cat = opened(tmp_path, 9)
    made = grades.create(cat, "duel", "web", {"name": "better", "about": "Which is longer?"}, pairs=3, seed=2)
    assert made.items == 27
    for grader in ("ann",):
        while (item := take(cat, "duel", grader)) is not None:
            a, b = (len(sample["text"]) for sample in item["samples"])
            grades.put(cat, item["item"], {"preference": "A" if a > b else "B" if b > a else "tie"}, grader=grader)
    grades.publish_grades(cat, "duel")
    rows = cat.sql("select duel_preference as s, chars, duel_preference_graders as n from web").rows()
    assert {row["n"] for row in rows} == {6}
    strengths, chars = ([row[name] for row in rows] for name in ("s", "chars"))
    assert np.corrcoef(np.argsort(np.argsort(strengths)), np.argsort(np.argsort(chars)))[0, 1] > 0.8
    assert sum(strengths) == pytest.approx(0, abs=1e-9)


def test_bradley_terry_against_logistic_regression():
    """The same likelihood: a logistic regression without intercept on +1 for the first and -1 for the second."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(5)
    truth = random.normal(size=6)
    first = random.integers(0, 6, 400)
    second = (first + random.integers(1, 6, 400)) % 6
    won = (random.random(400) < 1 / (1 + np.exp(truth[second] - truth[first]))).astype(float)
    design = np.zeros((400, 6))
    design[np.arange(400), first], design[np.arange(400), second] = 1, -1
    fitted = LogisticRegression(C=1e8, fit_intercept=False, tol=1e-12, max_iter=10_000).fit(design, won).coef_[0]
    assert bradley_terry(first, second, won, 6) == pytest.approx(fitted - fitted.mean(), abs=1e-4)


def test_bradley_terry_of_two_has_a_closed_form_and_needs_wins_on_both_sides():
    first, second = np.zeros(4, int), np.ones(4, int)
    found = bradley_terry(first, second, np.array([1.0, 1, 1, 0]), 2)
    assert found[0] - found[1] == pytest.approx(math.log(3), abs=1e-8)
    halves = bradley_terry(first, second, np.array([1.0, 0.5, 0.5, 1.0]), 2)
    assert halves[0] - halves[1] == pytest.approx(math.log(3), abs=1e-8)
    with pytest.raises(BadInput, match="only ever won or lost"):
        bradley_terry(first, second, np.ones(4), 2)
    held = bradley_terry(first, second, np.ones(4), 2, prior=1.0)
    assert np.isfinite(held).all() and held[0] > 0 > held[1]


# -- results -----------------------------------------------------------------------------------------------------


def graded(tmp_path, rows: int = 12) -> Catalog:
    """Ann and bob graded all: bob one higher on every third, another audience on every fourth."""
    cat = opened(tmp_path, rows)
    place = {sample: at for at, sample in enumerate(ids_of(cat))}
    grades.create(cat, "c", "web", RUBRIC, graders=2)

    def say(grader):
        def value(item):
            at, other = place[item["samples"][0]["sample_id"]], grader == "bob"
            return {
                "clarity": 1 + at % 4 + (other and at % 3 == 0),
                "audience": "experts" if other and at % 4 == 0 else "public",
            }

        return value

    for grader in ("ann", "bob"):
        grade_all(cat, "c", grader, say(grader))
    return cat


def test_agreement_of_a_campaign_is_that_of_its_numbers(tmp_path):
    from sklearn.metrics import cohen_kappa_score

    cat = graded(tmp_path)
    found = grades.agreement_of(cat, "c", resamples=50)["questions"]
    ann = [1 + at % 4 for at in range(12)]
    bob = [1 + at % 4 + (at % 3 == 0) for at in range(12)]
    pair = found["clarity"]["pairs"][0]
    assert (pair["a"], pair["b"], pair["items"]) == ("ann", "bob", 12)
    assert pair["quadratic"]["value"] == pytest.approx(cohen_kappa_score(ann, bob, weights="quadratic"))
    assert pair["kappa"]["value"] == pytest.approx(cohen_kappa_score(ann, bob))
    assert set(found["clarity"]["alpha"]) == {"ordinal", "interval"} and set(found["audience"]["alpha"]) == {"nominal"}
    beside = {line["grader"]: line for line in found["clarity"]["graders"]}
    assert beside["bob"]["mean_difference"] == pytest.approx(1 / 3) and beside["ann"]["same"] == pytest.approx(2 / 3)


def test_conflicts_are_settled_by_a_named_person_and_the_column_follows(tmp_path):
    cat = graded(tmp_path)
    found = grades.conflicts(cat, "c")
    assert Counter(one["name"] for one in found) == {"clarity": 4, "audience": 3}
    assert grades.conflicts(cat, "c", apart=2) == [one for one in found if one["name"] == "audience"]
    one = next(one for one in found if one["name"] == "audience")
    with pytest.raises(BadInput, match="audience is one of"):
        grades.adjudicate(cat, "c", one["item"], {"audience": "dogs"}, by="carol")
    for value in ("experts", "children", "children"):
        grades.adjudicate(cat, "c", one["item"], {"audience": value}, by="carol")
    assert len(grades.conflicts(cat, "c")) == 6
    settled = next(row for row in grades.conflicts(cat, "c", settled=True) if row["final"])
    assert (settled["final"], settled["by"]) == ("children", "carol")
    done = grades.publish_grades(cat, "c")
    by = {line["column"]: line for line in done["columns"]}
    assert (by["c_audience"]["samples"], by["c_audience"]["undecided"]) == (10, 2)
    where = f"sample_id = '{one['sample_id']}'"
    assert cat.sql(f"select c_audience from web where {where}").rows() == [{"c_audience": "children"}]
    finals = [row for row in grades.export(cat, "c", history=True) if row["act"] == "final"]
    assert [(row["value"], row["superseded"] is None) for row in finals] == [("experts", False), ("children", True)]


def test_an_open_item_cannot_be_settled(tmp_path):
    cat = opened(tmp_path, 2)
    grades.create(cat, "c", "web", ONE, graders=2)
    item = take(cat, "c", "ann")
    grades.put(cat, item["item"], {"clarity": 3}, grader="ann")
    with pytest.raises(BadInput, match="does not have all its grades"):
        grades.adjudicate(cat, "c", 0, {"clarity": 3}, by="carol")


def test_people_s_grades_are_a_column_that_estimates_filters_and_sql_use(tmp_path):
    from catalog.inference import estimate_mean

    cat = graded(tmp_path, 12)
    cat.ingest([write_jsonl(tmp_path / "more.jsonl", sentences(60, seed=5))], "web")
    done = grades.publish_grades(cat, "c", rule="mean", least=2)
    assert [line["column"] for line in done["columns"]] == ["c_clarity"]
    again = grades.publish_grades(cat, "c", rule="mean", least=2)
    assert [line["published"] for line in again["columns"]] == [False]
    row = cat.sql("select avg(c_clarity) as mean, count(c_clarity) as n from web").rows()[0]
    assert row == {"mean": pytest.approx(sum(1 + at % 4 + (at % 3 == 0) / 2 for at in range(12)) / 12), "n": 12}
    attach_columns(cat, "web", {"judge": [float(at % 5) for at in range(72)]})
    found = estimate_mean(cat, "web", "judge", "c_clarity")
    assert found["rows"]["labelled"] == 12 and found["rows"]["unlabelled"] == 60
    assert sum(b.num_rows for b in cat.scan("web", ["text"], where="c_clarity >= 3", missing="drop")) == 6
    column = next(one for one in cat.columns("web") if one.alias == "c_clarity")
    assert column.population == "web@v1" and column.covered == 12
    recipe = cat.sql(f"select body from strata.recipes where fingerprint = '{column.fingerprint}'").rows()[0]["body"]
    held = json.loads(recipe)
    assert held["campaign"] == "c" and held["rule"] == "mean" and len(held["rubric_digest"]) == 64
    assert errors_of(cat) == []


def test_another_grade_is_another_column(tmp_path):
    cat = opened(tmp_path, 3)
    grades.create(cat, "c", "web", ONE)
    item = take(cat, "c", "ann")["item"]
    grades.put(cat, item, {"clarity": 3}, grader="ann")
    first = grades.publish_grades(cat, "c")["columns"][0]
    grades.put(cat, item, {"clarity": 4}, grader="ann")
    second = grades.publish_grades(cat, "c")["columns"][0]
    assert second["fingerprint"] != first["fingerprint"] and second["column"].startswith("c_clarity_")
    with pytest.raises(BadInput, match="nothing to publish"):
        grades.publish_grades(cat, "c", least=2)


def test_a_model_is_compared_with_people(tmp_path):
    cat = graded(tmp_path)
    mean = [1 + at % 4 + (at % 3 == 0) / 2 for at in range(12)]
    attach_columns(cat, "web", {"judge": [one + 1 for one in mean], "says": ["public"] * 11 + ["robots"]})
    found = grades.compare_column(cat, "c", "judge", resamples=50)
    assert found["samples"] == 12 and found["spearman"] == pytest.approx(1) and found["mean_difference"] == 1
    assert found["alpha_interval"]["value"] < 1 and set(found["people"]) == {"ordinal", "interval"}
    label = grades.compare_column(cat, "c", "says", question="audience", resamples=50)
    assert label["samples"] == 9 and label["same"] == pytest.approx(8 / 9) and label["unknown_values"] == ["robots"]
    with pytest.raises(BadInput, match="holds text"):
        grades.compare_column(cat, "c", "says")


def test_grades_of_before_there_were_campaigns_stay_readable(tmp_path):
    cat = opened(tmp_path, 1)
    with cat.session() as session:
        sample = ids_of(cat)[0]
        session.add(Grade(sample_id=sample, content_id="c", dataset="web", rubric="r", grader="ann", value="4"))
        session.add(Grade(sample_id=sample, content_id="c", dataset="web", rubric="r", grader="ann", value="5"))
        session.commit()
        assert len(session.exec(select(Grade).where(Grade.sample_id == sample)).all()) == 2
    assert len(cat.trace(sample)["grades"]) == 2


def test_a_store_of_before_is_brought_up_to_date_and_keeps_its_grades(tmp_path):
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    from catalog.meta.session import MIGRATIONS, engine_of

    cat = opened(tmp_path, 1)
    url = cat.settings.database
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url)
    command.downgrade(config, "0005")
    with cat.engine.connect() as connection:
        connection.execute(
            text(
                "insert into grade (id, sample_id, content_id, dataset, rubric, grader, value, suggestion, note, created)"
                " values ('g', 's', 'c', 'web', 'r', 'ann', '4', 0, '', '2026')"
            )
        )
        connection.commit()
    engine_of.cache_clear()
    fresh = Catalog.open(tmp_path / "home")
    with fresh.session() as session:
        held = session.get_one(Grade, "g")
    assert (held.value, held.act, held.revision, held.campaign_id, held.superseded) == ("4", "grade", 1, None, None)
    assert grades.create(fresh, "c", "web", ONE).items == 1


# -- the command line --------------------------------------------------------------------------------------------


def strata(capsys, *arguments: str, status: int = 0) -> str:
    """What a command prints; of one that fails, its error."""
    from ui.cli.main import run

    assert run(list(arguments)) == status, capsys.readouterr().err
    said = capsys.readouterr()
    return said.err if status else said.out


def test_a_person_and_a_script_grade_at_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "home"))
    cat = opened(tmp_path, 4)
    rubric = tmp_path / "clarity.yaml"
    rubric.write_text(
        "name: clarity\nabout: How clear?\nscales:\n  clarity: {low: 1, high: 5, anchors: {1: unclear, 5: clear}}\n"
    )
    strata(capsys, "grade", "create", "c", "web", "--rubric", str(rubric), "--graders", "2", "--order", "random")
    held = {}
    for grader in ("ann", "bob"):
        while (item := json.loads(strata(capsys, "grade", "next", "c", "--as", grader, "--json"))) is not None:
            held[grader] = item["item"]
            said = strata(capsys, "grade", "put", item["item"], "4", "--as", grader, "--revision", "1", "--json")
            assert json.loads(said)["revision"] == 1
        assert "stored already" in strata(capsys, "grade", "put", held[grader], "clarity=4", "--as", grader)
    strata(capsys, "grade", "put", held["bob"], "2", "--as", "bob", "--note", "second thoughts")
    assert json.loads(strata(capsys, "grade", "status", "c", "--json"))["complete"] == 4
    one = json.loads(strata(capsys, "grade", "conflicts", "c", "--json"))[0]
    assert one["values"] == {"ann": "4", "bob": "2"}
    strata(capsys, "grade", "adjudicate", "c", str(one["item"]), "clarity=3", "--as", "carol")
    assert "Krippendorff's alpha, ordinal" in strata(capsys, "grade", "agree", "c", "--resamples", "20")
    strata(capsys, "grade", "publish", "c")
    assert sorted(row["c_clarity"] for row in cat.sql("select c_clarity from web").rows()) == [3, 4, 4, 4]
    assert "spearman" in strata(capsys, "grade", "compare", "c", "chars", "--resamples", "20")
    strata(capsys, "grade", "export", "c", "--out", str(tmp_path / "grades.csv"))
    assert len((tmp_path / "grades.csv").read_text().splitlines()) == 1 + 8 + 1
    for wrong, reason in (
        (["next", "d"], "no campaign 'd'"),
        (["put", held["ann"], "9", "--as", "ann"], "clarity is a whole number from 1 to 5, not 9"),
        (["put", held["ann"], "4", "--as", "bob"], "is with ann"),
        (["create", "e", "web"], "say what is asked"),
        (["create", "e", "web", "--rubric", "no_such"], "no rubric 'no_such'"),
        (["export", "c", "--out", "grades.xls"], "neither .jsonl nor .csv"),
    ):
        error = strata(capsys, "grade", *wrong, status=2)
        assert error.startswith("error: ") and reason in error and error.count("\n") == 1
