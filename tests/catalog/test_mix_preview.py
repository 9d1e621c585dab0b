"""A preview tells tokens, epochs, repetition and shortfall of every part, also of a spec that publishing refuses."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput
from catalog.mixes import preview, publish, revise, summary
from catalog.mixes.outlook import repeated
from catalog.testing import append_texts, sentences
from flows.runner import score

PARTS = [{"dataset": "web", "weight": 2, "max_epochs": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 3}]


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(90), fragments=2, licence="CC-BY-NC-4.0")
    append_texts(cat, "chat", sentences(20, seed=1), licence="CC0-1.0")
    return cat


def spec(total, parts=PARTS, **facts):
    return {"name": "m", "total": total, "parts": parts, **facts}


def figures(shown, *names):
    return [tuple(part[name] for name in names) for part in shown["parts"]]


def test_repetition_is_what_is_served(store):
    shown = preview(store, spec(150))
    assert shown["refused"] == [] and figures(shown, "samples", "epochs", "shortfall") == [
        (100, 1.111111111, 0),
        (50, 2.5, 0),
    ]
    publish(store, spec(150))
    rows = store.mix("m").take(np.arange(150), ["sample_id"]).to_pylist()
    seen = Counter((row["_part"], row["sample_id"]) for row in rows)
    counted = Counter(part for (part, _), times in seen.items() if times > 1)
    assert figures(shown, "repeated") == [(counted[0],), (counted[1],)] == [(10,), (20,)]
    made = revise(store, "m", 60, {"web": 3, "chat": 1}, total=60)
    rows = store.mix(f"m@v{made.version}").take(np.arange(120), ["sample_id"]).to_pylist()
    seen = Counter((row["_part"], row["sample_id"]) for row in rows)
    counted = Counter(part for (part, _), times in seen.items() if times > 1)
    assert figures(summary(made.lock), "repeated") == [(counted[0],), (counted[1],)]


def test_every_part_that_is_short_is_told(store):
    """Publishing names the first part, preview all."""
    for name in ("web", "chat"):
        score(store, name, ["token_count"])
    wanted = spec(900, [{**part, "max_epochs": 1} for part in PARTS])
    shown = preview(store, wanted)
    assert figures(shown, "rows", "samples", "shortfall", "epochs") == [
        (90, 600, 510, pytest.approx(600 / 90)), (20, 300, 280, 15.0)]  # fmt: skip
    tokens = [store.sql(f"select sum(tokens) n from {name}").rows()[0]["n"] for name in ("web", "chat")]
    assert figures(shown, "tokens", "shortfall_tokens") == [
        (round(tokens[0] / 90 * 600), round(tokens[0] / 90 * 510)),
        (round(tokens[1] / 20 * 300), round(tokens[1] / 20 * 280)),
    ]
    assert shown["samples"] == 900 and shown["digest"] is None
    assert [line.split(":")[1].split(" is")[0] for line in shown["refused"]] == [" part 1 (web)", " part 2 (chat)"]
    with pytest.raises(BadInput) as caught:
        publish(store, wanted)
    assert str(caught.value) == shown["refused"][0] and "\n" not in "".join(shown["refused"])


def test_short_in_a_mix_of_tokens(store):
    for name in ("web", "chat"):
        score(store, name, ["token_count"])
    total = store.sql("select sum(tokens) n from chat").rows()[0]["n"]
    shown = preview(store, spec(10 * total, [{**part, "max_epochs": 1} for part in PARTS], unit="tokens"))
    short = shown["parts"][1]["shortfall_tokens"]
    assert short == pytest.approx(10 * total / 3 - total, abs=total / 20)
    assert f"is short of {short:,} tokens" in shown["refused"][1]


def test_stages_that_are_short_are_told_over_all_of_them(store):
    stages = [
        {"name": "a", "total": 90, "weights": {"web": 2, "chat": 1}},
        {"name": "b", "total": 60, "weights": {"chat": 1}},
        {"name": "c", "total": 50, "weights": {"web": 1}},
    ]
    parts = [{"dataset": "web"}, {"dataset": "chat"}]
    shown = preview(store, {"name": "m", "parts": parts, "stages": stages})
    assert figures(shown, "samples", "shortfall", "repeated") == [(110, 20, 20), (90, 70, 20)]
    assert [(stage["name"], stage["start"], stage["samples"]) for stage in shown["stages"]] == [
        ("a", 0, 90), ("b", 90, 60), ("c", 150, 50)]  # fmt: skip
    assert shown["stages"][0]["parts"] == {"web": "66.67%, 0.667 epochs", "chat": "33.33%, 1.5 epochs"}
    assert [line.split(" is short")[0] for line in shown["refused"]] == [
        "mix m: stage a: part 2 (chat)", "mix m: stage b: part 2 (chat)", "mix m: stage c: part 1 (web)"]  # fmt: skip
    fresh = [{**stage, "fresh": True} for stage in stages[:1]] + [{**stages[0], "name": "z", "fresh": True}]
    shown = preview(store, {"name": "m", "parts": [{"dataset": "web", "max_epochs": 1.5}, PARTS[1] | {"weight": None}],
                            "stages": fresh})  # fmt: skip
    assert shown["refused"] and "shortfall" in shown["parts"][0]


def test_a_use_that_is_blocked_is_told_too(store):
    shown = preview(store, spec(60, use="commercial"))
    assert len(shown["refused"]) == 1 and "use commercial is blocked by 90 rows" in shown["refused"][0]
    assert shown["licences"]["verdict"] == "blocked" and shown["digest"]


def test_what_names_nothing_is_still_an_error(store):
    with pytest.raises(BadInput, match="leave nothing for the weights"):
        preview(store, spec(10, [{"dataset": "web", "samples": 30}, PARTS[1]]))
    shown = preview(store, spec(20, [{"dataset": "web", "weight": 999}, PARTS[1]]))
    assert "part 2 (chat) would serve less than one sample" in shown["refused"][0]


@given(
    rows=st.integers(1, 30),
    pieces=st.lists(st.integers(0, 70), min_size=1, max_size=4),
    gap=st.booleans(),
    shuffle=st.sampled_from(["full", "none"]),
)
@settings(max_examples=200, deadline=None)
def test_repetition_equals_counting(rows, pieces, gap, shuffle):
    """Item by item: exact in table order, and under a shuffle while epochs follow one another."""
    at, held = 0, []
    for count in pieces:
        held.append((at, at + count))
        at = -(-(at + count) // rows) * rows if gap and shuffle == "none" else at + count
    seen: dict[int, set[int]] = {}
    for begin, end in held:
        for item in range(begin, end):
            seen.setdefault(item // rows, set()).add(item % rows)
    times = Counter(row for epoch in seen.values() for row in epoch)
    assert repeated(rows, held, shuffle) == sum(count > 1 for count in times.values())


def test_repetition_of_fresh_stages_is_what_chance_gives(store):
    stages = [{"name": str(at), "total": 30, "weights": {"web": 1}, "fresh": True} for at in range(3)]
    body = {"name": "m", "parts": [{"dataset": "web", "max_epochs": 3}], "stages": stages}
    expected = preview(store, body)["parts"][0]["repeated"]
    assert expected == round(90 * (1 - (2 / 3) ** 3 - 3 * (1 / 3) * (2 / 3) ** 2)) == 23
    found = []
    for seed in range(12):
        publish(store, {**body, "name": f"m{seed}", "seed": seed})
        ids = store.mix(f"m{seed}").take(np.arange(90), ["sample_id"]).column("sample_id").to_pylist()
        found.append(sum(times > 1 for times in Counter(ids).values()))
    assert abs(np.mean(found) - expected) < 3
