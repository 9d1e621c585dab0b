"""Pairwise ranking prompting: ranks that follow a planted order, ties where the verdict flips, nothing paid twice."""

import re

import pytest

from catalog.errors import BadInput
from catalog.testing import append_texts, attach_columns
from flows import plan, score
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered


def texts_of(body):
    found = re.findall(r"^[AB]\n(={8}[0-9a-f]{12})\n(.*?)\n\1$", body["messages"][-1]["content"], re.S | re.M)
    return [text for _, text in found]


def larger(body):
    a, b = (int(text.split()[-1]) for text in texts_of(body))
    return '{"choice": "A"}' if a > b else '{"choice": "B"}'


def ranks(cat, name="web"):
    held = cat.sql(f"select text, prp_rank from {name} order by prp_rank nulls last").table.to_pylist()
    return [row["text"] and row["text"].split()[-1] for row in held], [row["prp_rank"] for row in held]


@pytest.fixture
def web(cat):
    """Twelve rows with a first order that is nearly right, and one without text."""
    append_texts(cat, "web", [f"number {n}" for n in range(12)] + [""])
    held = cat.sql("select text from web").table["text"].to_pylist()
    attach_columns(
        cat, "web", {"guess": [float(t.split()[-1]) + (3.5 if t.endswith("2") else 0) if t else None for t in held]}
    )
    return cat


RIGHT = [str(n) for n in range(11, -1, -1)]


def test_methods_agree_and_an_answered_comparison_is_never_asked_again(web):
    asked = {"endpoint": "e", "question": "Which is larger?", "by": "guess"}
    with metered(larger) as meter:
        save_endpoint(web, "e", url=meter.url, model="m", revision="r")
        score(web, "web", ["prp_rank"], params=asked | {"method": "sliding", "top": 3})
        order, places = ranks(web)
        assert order[:3] == ["11", "10", "9"] and places == [*range(1, 13), None]
        assert len(meter.seen) <= 2 * 3 * 11
        score(web, "web", ["prp_rank"], params=asked | {"method": "allpair"}, aliases={"prp_rank": "by_pairs"})
        assert len(meter.seen) == 12 * 11, "both orders of every pair, those of the first method among them"
        score(
            web, "web", ["prp_rank"], params=asked | {"method": "heapsort", "top": 0}, aliases={"prp_rank": "by_heap"}
        )
        assert len(meter.seen) == 12 * 11
        held = web.sql("select text, by_pairs, by_heap from web where text <> '' order by by_pairs").table
        assert [text.split()[-1] for text in held["text"].to_pylist()] == RIGHT and held["by_pairs"] == held["by_heap"]
    columns = {column.alias: column for column in web.columns("web")}
    assert columns["by_pairs"].report["comparisons"] == 66 and columns["by_pairs"].report["ties"] == 0
    assert columns["by_heap"].report["comparisons"] < 66 and columns["prp_rank"].better == "lower"
    assert columns["by_pairs"].report["position"]["flipped"]["share"] == 0


def test_a_verdict_that_flips_with_the_order_is_a_tie(web):
    """A judge that only sees the place: all tie, the first order stands, and the report says so."""
    with metered(lambda body: '{"choice": "A"}') as meter:
        save_endpoint(web, "e", url=meter.url, model="m", revision="r")
        score(web, "web", ["prp_rank"], params={"endpoint": "e", "question": "?", "method": "allpair", "by": "guess"})
    held = web.sql("select text from web where text <> '' order by guess desc").table["text"].to_pylist()
    assert [f"number {n}" for n in ranks(web)[0][:-1]] == held
    (column,) = [column for column in web.columns("web") if column.alias == "prp_rank"]
    assert column.report["ties"] == 66
    position = column.report["position"]
    assert position["flipped"]["share"] == position["said_first"]["share"] == 1


def test_what_cannot_be_read_ties_and_is_counted(web):
    with metered(lambda body: "They are both nice.") as meter:
        save_endpoint(web, "e", url=meter.url, model="m", revision="r")
        given = {"endpoint": "e", "question": "?", "top": 1, "retries": 0, "first": "low", "by": "guess"}
        score(web, "web", ["prp_rank"], params=given)
        assert len(meter.seen) == 22
    (column,) = [column for column in web.columns("web") if column.alias == "prp_rank"]
    assert column.report["ties"] == 11 and column.report["position"]["both_orders_read"] == 0


def test_what_is_given_wrong_is_one_line(web):
    save_endpoint(web, "e", url="http://localhost:1/v1", model="m", revision="r")
    with pytest.raises(BadInput, match="question: Field required"):
        plan(web, "web", ["prp_rank"], params={"endpoint": "e"})
    with pytest.raises(BadInput, match="method"):
        plan(web, "web", ["prp_rank"], params={"endpoint": "e", "question": "?", "method": "bubble"})
