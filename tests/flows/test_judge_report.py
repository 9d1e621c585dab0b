"""What a judge is worth: answers counted as they came, position of pairs, agreement with people, the estimated mean."""

import re

import numpy as np
import orjson
import pytest

from catalog import grades
from catalog.errors import NotFound
from catalog.inference import ppi_mean
from catalog.statistics import spearman
from catalog.testing import append_texts
from flows import score
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered
from flows.judge_report import judge_report

RUBRIC = {
    "name": "value", "about": "?", "reason": False,
    "scales": {"value": {"low": 0, "high": 5, "anchors": {0: "none", 5: "all"}}},
}  # fmt: skip


def sample_of(body):
    return re.search(r"^(={8}[0-9a-f]{12})\n(.*)\n\1$", body["messages"][-1]["content"], re.S | re.M)[2]


def judged(body):
    """One too high for even texts; silent about two, at first or for good."""
    number = int(sample_of(body).split()[-1])
    if number == 7 or (number == 8 and body["seed"] % 1000 == 0):
        return "I cannot say."
    return orjson.dumps({"value": min(5, number % 6 + (number % 2 == 0))}).decode()


@pytest.fixture
def web(cat):
    append_texts(cat, "web", [f"text number {n}" for n in range(120)])
    with metered(judged) as meter:
        save_endpoint(cat, "e", url=meter.url, model="m", revision="r", input_price=1.0)
        score(cat, "web", ["judge"], params={"endpoint": "e", "rubric": RUBRIC})
        assert len(meter.seen) == 120 + 1 + 2
    return cat


def test_answers_are_counted_as_they_came(web):
    held = judge_report(web, "web", "judge_score", raw=True)
    answers = held["answers"]
    assert (answers["asked"], answers["answered"], answers["read"], answers["malformed"]) == (123, 123, 119, 4)
    assert answers["parse_rate"] == pytest.approx(119 / 123) and answers["refused"] == answers["cut_off"] == 0
    assert {one["answer"] for one in answers["raw"]} == {"I cannot say."} and answers["money"] > 0
    assert held["states"] == {"value": 119, "failed": 1} and (held["model"], held["revision"]) == ("m", "r")
    assert held["people"] == [] and "nobody graded rows of web" in held["notes"][0]
    assert "raw" not in judge_report(web, "web", "judge_score")["answers"]
    with pytest.raises(NotFound, match="no column of a judge in web 'nope'.*judge_score"):
        judge_report(web, "web", "nope")


def test_beside_people_and_the_mean_they_would_give_all(web):
    """People say n mod 6; a campaign at random gives the interval, another order says that it is not to be trusted."""
    for name, order in (("at_random", "random"), ("as_given", "given")):
        grades.create(web, name, "web", RUBRIC, order=order, items=40)
        while (held := grades.next_item(web, name, "ann")) is not None:
            grades.put(web, held["item"], {"value": int(held["samples"][0]["text"].split()[-1]) % 6}, grader="ann")
    report = judge_report(web, "web", "judge_score", resamples=50)
    random, given = report["people"]
    table = web.sql("select text, judge_score from web").table.to_pylist()
    truth = {row["text"]: int(row["text"].split()[-1]) % 6 for row in table}
    judge = {row["text"]: row["judge_score"] for row in table if row["judge_score"] is not None}
    assert random["estimate"]["judge_alone"] == pytest.approx(np.mean(list(judge.values())))
    assert random["estimate"]["low"] <= np.mean(list(truth.values())) <= random["estimate"]["high"]
    assert random["estimate"]["graded"] + random["estimate"]["rows"] > 119 and not random["estimate"]["few"]
    assert random["kappa_quadratic"]["low"] <= random["kappa_quadratic"]["value"] <= random["kappa_quadratic"]["high"]
    first = [f"text number {n}" for n in range(40) if n != 7]
    assert given["spearman"]["value"] == pytest.approx(spearman(np.array([truth[t] for t in first], float),
                                                                np.array([judge[t] for t in first])))  # fmt: skip
    made, _ = ppi_mean(np.array([truth[t] for t in first], float), np.array([judge[t] for t in first]),
                       np.array([judge[t] for t in judge if t not in first]))  # fmt: skip
    assert given["estimate"]["mean"] == pytest.approx(made.mean)
    assert any("as_given was not drawn at random" in note for note in report["notes"])
    assert not any("at_random" in note for note in report["notes"])


def test_pairs_have_their_position_and_the_order_that_people_give(cat):
    append_texts(cat, "web", [f"text of strength {number}" for number in range(12)])

    def biased(body):
        a, b = (int(t) for t in re.findall(r"^text of strength (\d+)$", body["messages"][-1]["content"], re.M))
        return '{"choice": "B"}' if b > a + 4 else '{"choice": "A"}'

    with metered(biased) as meter:
        save_endpoint(cat, "e", url=meter.url, model="m")
        score(cat, "web", ["pairs_educational_value"], params={"endpoint": "e", "rounds": 2})
    grades.create(cat, "duel", "web", {"name": "p", "about": "?"}, pairs=1)
    while (held := grades.next_item(cat, "duel", "ann")) is not None:
        a, b = (int(sample["text"].split()[-1]) for sample in held["samples"])
        grades.put(cat, held["item"], {"preference": "A" if a > b else "B"}, grader="ann")
    report = judge_report(cat, "web", "pairs_educational_value")
    position = report["position"]
    assert position["said_first"]["low"] > 0.5 and 0 < position["flipped"]["share"] < 1
    assert report["answers"]["parse_rate"] == 1 and report["unpinned"]
    (duel,) = report["people"]
    assert duel["comparisons"] <= 12 and duel["same_order"]["share"] > 0.5
    assert any("no fixed revision" in note for note in report["notes"])
