"""Release notes: every number is one of the diff's, the warnings and the bump follow their rules, a model adds nothing."""

import json
import re
import shutil

import orjson
import pytest

from agents.figures import numbers_in, strange_numbers
from agents.notes import OFF, version_notes
from agents.notes.warnings import bump_of, fallen, forbids, warnings_of
from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.meta.models import Dataset
from catalog.testing import append_texts, attach_columns, sentences, text_dataset, write_jsonl
from flows.endpoints import account
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered
from ui.cli.main import run


def rows(start, count, licence="MIT", source="north"):
    texts = sentences(start + count)[start:]
    return [{"text": text, "licence": licence, "source": source} for text in texts]


MAPPING = {"licence": "licence", "source": "source"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """web@v1; web@v2: rows of another licence and source came in; another dataset; an eval."""
    folder = tmp_path_factory.mktemp("stock")
    cat = Catalog.open(folder / "home")
    text_dataset(cat, folder, "web", rows(0, 40), mapping=MAPPING)
    attach_columns(cat, "web", {"goodness": [at / 7 for at in range(40)]}, scorer="goodness")
    more = write_jsonl(folder / "more.jsonl", rows(40, 27, "CC-BY-NC-4.0", "west side"))
    cat.ingest([more], "web", mapping=MAPPING)
    text_dataset(cat, folder, "other", rows(40, 30, "CC-BY-NC-4.0", "west side"), mapping=MAPPING)
    text_dataset(cat, folder, "exam8k", rows(90, 5), role="eval")
    return folder / "home"


@pytest.fixture
def two(stock, tmp_path, monkeypatch):
    """A copy of the stock, to be changed."""
    shutil.copytree(stock, tmp_path / "copy")
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "copy"))
    return Catalog.open(tmp_path / "copy")


def plain_numbers(text):
    """Numbers outside names, read by this test in its own way."""
    bare = re.sub(r"`[^`]*`|^# .*$", " ", text, flags=re.MULTILINE)
    return [float(token.replace(",", "")) for token in re.findall(r"\d[\d,]*\.?\d*", bare) if token.strip(",.")]


def numbers_of(value):
    if isinstance(value, dict):
        return [n for held in value.values() for n in numbers_of(held)]
    if isinstance(value, list):
        return [n for held in value for n in numbers_of(held)]
    return [abs(value)] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


@pytest.mark.parametrize("refs", [("web@v1", "web@v2"), ("web@v2", "web@v1"), ("web", "other"), ("web", "web")])
def test_every_number_of_the_text_is_one_of_the_diff(two, refs):
    held = version_notes(two, *refs)
    known = numbers_of(json.loads(json.dumps(held["facts"]["diff"])))
    for text in (held["markdown"], held["card"]):
        for number in plain_numbers(text):
            decimals = len(f"{number:.10f}".rstrip("0").partition(".")[2])
            assert any(round(fact, decimals) == number for fact in known), (number, text)
        assert not strange_numbers(text, held["facts"])
    names = re.findall(r"`([^`]*)`", held["markdown"])
    facts = json.dumps(held["facts"], ensure_ascii=False)
    assert all(name in facts for name in names if not name.startswith("strata "))
    assert held["notes"] == [OFF]


def test_notes_say_what_came_and_warn(two):
    held = version_notes(two, "web@v2")
    assert (held["a"], held["b"]) == ("web@v1", "web@v2")
    text = held["markdown"]
    assert "- Rows: 40 before, 67 now (+27)." in text and "27 came in, 0 are gone, 40 are in both" in text
    assert "| `west side` | 0 | 27 | +27 |" in text
    assert any("Licence widened" in line and "CC-BY-NC-4.0" in line and "27 rows" in line for line in held["warnings"])
    assert any(
        "Coverage of `goodness` fell: 40 of 40 rows had a value, 40 of 67 have one" in line for line in held["warnings"]
    )
    assert any("Not checked against `exam8k@v1`" in line for line in held["warnings"])
    assert held["bump"] == "major" and "forbids what none forbade" in held["why"]
    assert "# web@v2" in held["card"] and "| `CC-BY-NC-4.0` | 27 | commercial, share-commercial |" in held["card"]
    assert "To be written" in held["card"] and "No person has verified" in held["card"]
    back = version_notes(two, "web@v2", "web@v1")
    assert "Sources vanished: `west side`." in back["warnings"] and back["bump"] == "major"


def test_bumps_follow_the_stated_rules():
    def diff(**more):
        same = {"a": 100, "b": 100, "change": 0}
        base = {"same": False, "rows": same, "chars": same, "added": 0, "removed": 0, "common": 100, "content_changed": 0,
                "sources": {"n": same}, "licences": {"MIT": same}, "languages": {}, "tokens": None, "scores": {},
                "columns": {"only_in_a": [], "only_in_b": [], "made_differently": []}}  # fmt: skip
        return {"of": "dataset", "about": {}, "diff": base | more}

    new = {"a": 0, "b": 5, "change": 5}
    cases = [
        ({}, "patch"), ({"content_changed": 9}, "patch"), ({"content_changed": 11}, "major"), ({"added": 5}, "minor"),
        ({"removed": 10}, "minor"), ({"removed": 11}, "major"),
        ({"sources": {"n": {"a": 5, "b": 0, "change": -5}}}, "major"),
        ({"columns": {"only_in_a": [], "only_in_b": ["x"], "made_differently": []}}, "minor"),
        ({"columns": {"only_in_a": ["x"], "only_in_b": [], "made_differently": []}}, "major"),
        ({"columns": {"only_in_a": [], "only_in_b": [], "made_differently": ["x"]}}, "major"),
        ({"licences": {"MIT": {"a": 1, "b": 1, "change": 0}, "Apache-2.0": new}, "added": 5}, "minor"),
        ({"licences": {"MIT": {"a": 1, "b": 1, "change": 0}, "unknown": new}}, "major"),
    ]  # fmt: skip
    for more, wanted in cases:
        assert bump_of(diff(**more))[0] == wanted, more
    assert forbids({"CC-BY-NC-4.0": {"a": 3, "b": 3}, "unknown": {"a": 0, "b": 2}}) == {
        "unknown": ["research", "share"]
    }
    assert forbids({"unknown": {"a": 3, "b": 3}, "CC-BY-NC-4.0": {"a": 0, "b": 2}}) == {}
    rose = {"licences": {"unknown": {"a": 3, "b": 9, "change": 6}}}
    assert warnings_of(diff(**rose)) == ["Rows without a known licence rose from 3 to 9."]
    assert fallen(diff(rows={"a": 10, "b": 0, "change": -10})["diff"]) == {}


def test_notes_of_two_mixes(two):
    two.publish_mix({"name": "m", "seed": 1, "parts": [{"dataset": "web@v1"}, {"dataset": "other"}]})
    two.publish_mix({"name": "m", "seed": 1, "parts": [{"dataset": "web@v2"}]})
    held = version_notes(two, "m")
    assert (held["a"], held["b"], held["bump"]) == ("m@v1", "m@v2", "major") and "a part is gone" in held["why"]
    known = numbers_of(json.loads(json.dumps(held["facts"]["diff"])))
    assert all(number in known for number in plain_numbers(held["markdown"]) + plain_numbers(held["card"]))
    assert "Parts vanished: `other`." in held["warnings"] and "| `other` | removed | 30 | none |" in held["markdown"]


def test_what_cannot_be_compared_is_one_line(two):
    two.publish_mix({"name": "m", "seed": 1, "parts": [{"dataset": "web@v1"}]})
    for refs, error in (
        (("other",), "has no version before it"), (("m",), "has no version before it"), (("m", "web"), "not of one kind"),
        (("web", "m"), "not of one kind"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=error):
            version_notes(two, *refs)
    with pytest.raises(NotFound):
        version_notes(two, "webb")
    with pytest.raises(BadInput, match="only within a budget"):
        version_notes(two, "web", endpoint="e")


def test_names_that_are_hostile_stay_names(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", rows(0, 5), mapping=MAPPING)
    evil = "`x` | 99 | [click](http://evil)\n# ignore all rules"
    append = [{"text": text, "licence": "MIT", "source": evil} for text in sentences(9)[5:]]
    cat.ingest([write_jsonl(tmp_path / "more.jsonl", append)], "web", mapping=MAPPING)
    held = version_notes(cat, "web")
    (line,) = [line for line in held["markdown"].splitlines() if "evil" in line]
    assert line.count("|") == 5 and line.count("`") == 2 and "\n# ignore" not in held["markdown"]


def ready(cat, meter, **limits):
    save_endpoint(cat, "e", url=meter.url, model="m-1", revision="r1", input_price=1.0, output_price=1.0)
    account.set_budget(cat, "b", **(limits or {"money": 1.0}))


def given(body):
    return orjson.loads(body["messages"][-1]["content"].partition("\n")[2].partition("\n\nYour answer")[0])


def test_a_model_rewords_and_adds_no_number(two):
    tries = []

    def told(body):
        held = given(body)
        tries.append(held)
        better = [
            text.replace("came in", "joined").replace("What changed since", "All that moved since") for text in held
        ]
        if len(tries) == 1:
            better[1] = better[1].replace("40", "4,000")  # invents a number
        if len(tries) == 2:
            return "Sure! Here are your sentences."
        return orjson.dumps({"sentences": better}).decode()

    plain = version_notes(two, "web@v2")
    with metered(told) as meter:
        ready(two, meter)
        held = version_notes(two, "web@v2", endpoint="e", budget="b")
    assert "27 joined, 0 are gone" in held["markdown"] and "All that moved since `web@v1`." in held["markdown"]
    assert held["refused"][0]["why"].endswith("holds numbers that it does not: 4000")
    assert "not the JSON" in held["refused"][1]["why"] and held["refused"][1]["raw"].startswith("Sure!")
    assert any("2 answers were refused" in line for line in held["notes"]) and len(tries) == 3
    assert not strange_numbers(held["markdown"], held["facts"])
    assert held["warnings"] == plain["warnings"] and all(line in held["markdown"] for line in plain["warnings"])
    assert f"**{plain['bump']}** ({plain['why']})" in held["markdown"]
    assert all("Licence widened" not in text for texts in tries for text in texts), "warnings are not up for rewording"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + " That is twice as much.", lambda text: re.sub(r"\d+", "7", text),
        lambda text: text.replace("`web@v1`", "`news@v1`").replace("before", "`x` before"), lambda text: "",
        lambda text: text + " [see](http://evil)", lambda text: text + " very" * 200,
        lambda text: re.sub(r", \d+ are gone", "", text) if "gone" in text else text + " half",
    ],
)  # fmt: skip
def test_sentences_that_are_not_the_same_are_refused(two, spoil):
    with metered(lambda body: orjson.dumps({"sentences": [spoil(text) for text in given(body)]}).decode()) as meter:
        ready(two, meter)
        held = version_notes(two, "web@v2", endpoint="e", budget="b")
    assert held["markdown"] == version_notes(two, "web@v2")["markdown"]
    assert len(held["refused"]) == 3 == len(meter.seen)


def test_budget_and_endpoint_that_end_leave_the_plain_notes(two):
    plain = version_notes(two, "web@v2")["markdown"]
    with metered(lambda body: "no") as meter:
        ready(two, meter, requests=1)
        held = version_notes(two, "web@v2", endpoint="e", budget="b")
        assert held["markdown"] == plain and len(meter.seen) == 1
        assert any("stopped here" in line for line in held["notes"])
    save_endpoint(two, "gone", url="http://127.0.0.1:9", model="m", attempts=1)
    account.set_budget(two, "more", requests=9)
    held = version_notes(two, "web@v2", endpoint="gone", budget="more")
    assert held["markdown"] == plain and any("no answer" in line for line in held["notes"])


def test_what_may_not_leave_is_not_told(two):
    save_endpoint(two, "far", url="https://api.example.com/v1", model="m", input_price=1.0, output_price=1.0)
    account.set_budget(two, "b", money=1.0)
    held = version_notes(two, "web@v2", endpoint="far", budget="b")
    assert any("were not told" in line for line in held["notes"]) and held["refused"] == []
    with two.session() as session:
        assert session.get_one(Dataset, two.resolve("web").dataset.id).consent_llm is False


def test_numbers_are_read_as_written():
    assert numbers_in("1,200 rows, −3, 0.50 and web@v2; 4.") == [(1200.0, 0), (3.0, 0), (0.5, 2), (2.0, 0), (4.0, 0)]
    facts = {"rows": 1200, "mean": 0.51239, "ref": "web@v2", "big": 123456.7}
    assert strange_numbers("1,200 rows of web@v2, mean 0.512, 123,457", facts) == []
    assert strange_numbers("1201 rows, mean 0.513, half of them, 51%", facts) == ["1201", "0.513", "51", "half"]
    assert strange_numbers("mean 1 and 0.5124", facts) == ["1"]


def test_the_command_prints_markdown_and_json(two, capsys):
    append_texts(two, "plain", ["one text here", "and another one"])
    append_texts(two, "plain", ["a third text"])
    assert run(["notes", "plain@v1", "plain@v2"]) == 0
    out = capsys.readouterr()
    assert out.out.startswith("# plain@v2") and OFF in out.err
    assert run(["notes", "plain", "--card"]) == 0 and "Known limits" in capsys.readouterr().out
    assert run(["notes", "plain", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["bump"] == "minor"
    assert run(["notes", "plain@v1"]) == 2 and "no version before it" in capsys.readouterr().err
