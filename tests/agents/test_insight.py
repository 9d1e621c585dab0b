"""Insight: every planted flag is found with its count and its query, and a clean control gives none."""

import asyncio
import random
import shutil
from functools import cache

import orjson
import pytest
from fastapi.testclient import TestClient
from fastmcp import Client
from sqlmodel import select

from agents.insight import OFF, checks, insight, listed
from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.meta.models import ColumnRecord
from catalog.testing import append_texts, attach_columns, text_dataset
from flows.endpoints import account
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered
from ui.api.app import create_app
from ui.api.tokens import create
from ui.cli.main import run
from ui.mcp.server import build

ROWS = 400
MAPPING = {"source": "source", "author": "author", "licence": "licence"}
SYLLABLES = "ba ke li mo nu ra se ti vo za dro fle gri plo sta tre cha wen yor qui".split()
GUID = "26b5c67b-86f4-4d1e-9a5d-0123456789ab"
LANGUAGES = ["en", "en", "en", "de"]


def words(rng, low, high):
    made = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(rng.randint(low, high))]
    return " ".join(made).capitalize() + rng.choice(".!?")


def body(rng):
    """A text of several lines, log-normal in length, that nothing else shares."""
    return "\n".join(words(rng, 6, 14) for _ in range(max(1, int(rng.lognormvariate(1.3, 0.45)))))


def clean_text(seed=0, rows=ROWS):
    rng = random.Random(seed)
    return [
        {
            "text": body(rng), "source": rng.choice(["north", "south", "east"]), "url": f"https://{rng.choice('abcde')}.org/{seed}/{at}",
            "created": f"20{rng.randint(10, 23)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}", "author": f"a{rng.randint(1, 40)}",
            "licence": rng.choice(["MIT", "CC-BY-4.0"]), "topic": rng.choice(["x", "y", "z"]), "doc_id": f"d{seed}-{at}",
            "votes": rng.randint(0, 90), "split": rng.choice(["train", "test"]),
        }
        for at in range(rows)
    ]  # fmt: skip


def turns(*said):
    return [{"role": "user" if at % 2 == 0 else "assistant", "content": text} for at, text in enumerate(said)]


def clean_chat(seed=1, rows=200):
    rng = random.Random(seed)
    return [{"messages": turns(words(rng, 8, 20), body(rng)), "note": words(rng, 2, 3)} for _ in range(rows)]


def clean_pairs(seed=2, rows=200):
    rng = random.Random(seed)
    return [
        {"prompt": words(rng, 8, 20), "chosen": words(rng, 9, 30), "rejected": words(rng, 9, 30)} for _ in range(rows)
    ]


def clean_choice(seed=3, rows=200):
    rng = random.Random(seed)
    return [
        {"question": words(rng, 8, 20), "choices": [words(rng, 2, 6) for _ in range(4)], "answer": at % 4}
        for at in range(rows)
    ]


def clean_task(seed=4, rows=200):
    rng = random.Random(seed)
    return [
        {"question": words(rng, 8, 20), "answer": f"{words(rng, 5, 9)}\n#### {rng.randint(1, 999)}"}
        for _ in range(rows)
    ]


@cache
def plant_web():
    """Faults of fields, copies, encodings and lengths; check -> rows."""
    rows, rng = clean_text(10), random.Random(9)
    for at, row in enumerate(rows):
        row["author"] = "only" if at < 3 else None
        row["rare"] = "x" if at in (5, 6) else None
        row["fixed"] = "same"
        row["votes"] = str(at) if at < 4 else at
        row["topic"] = "odd" if at < 12 else "plain"
        row["source"] = "tail" if at >= 390 else "head"
        row["url"] = f"https://{'small' if at >= 390 else 'big'}.org/{at}"
        row["licence"] = None if at < 7 else "MIT" if at < 380 else "CC-BY-4.0" if at < 398 else "CC0-1.0"
        row["split"] = "train" if at % 2 else "test"

    def put(start, count, make):
        for at in range(start, start + count):
            rows[at]["text"] = make(rows[at]["text"], at)

    put(20, 6, lambda text, at: text + " caf\ufffd")
    put(26, 5, lambda text, at: text + " It was the cafÃ© of the cityâ€™s.")
    put(31, 4, lambda text, at: text + " \x07 bell")
    put(35, 3, lambda text, at: text + " \u202eedih\u202c")
    put(38, 8, lambda text, at: f'<p class="a">{text}</p>')
    put(46, 5, lambda text, at: text + " &amp; so &nbsp; on")
    put(51, 2, lambda text, at: f"{text} BIG-bench canary GUID {GUID}")
    put(53, 3, lambda text, at: text + " As an AI language model, I cannot know.")
    put(56, 4, lambda text, at: f"no {at}")
    put(60, 2, lambda text, at: "".join(words(rng, 900, 900) for _ in range(40)))
    put(62, 15, lambda text, at: (text * 40)[at : at + 1024])
    put(77, 15, lambda text, at: f"Welcome to our great shop!\n{text}")
    put(92, 14, lambda text, at: f"{text}\nShare this on your favourite network")
    put(
        106,
        20,
        lambda text, at: (
            f"Order {at} was shipped to {words(rng, 1, 1)[:-1]} on the {at}th day of the month, thank you."
        ),
    )
    put(126, 6, lambda text, at: text.replace("\n", "\\n") + "\\nmore\\n end")
    put(132, 3, lambda text, at: "[deleted]")
    put(135, 2, lambda text, at: f"{text} key AKIAQ7Z3M5N2P6R4T7W3 here")
    put(137, 9, lambda text, at: f"{text} write to jane.doe{at}@mail-provider.net")
    put(172, 4, lambda text, at: text + " <|endoftext|> and <unk>")
    put(180, 24, lambda text, at: f"Click here to read more about our newest offers today: {text} {words(rng, 20, 25)}")
    for at in range(150, 155):
        rows[at]["text"], rows[at]["split"] = rows[140]["text"], "test" if at % 2 else "train"
    rows[160]["url"] = rows[161]["url"] = rows[162]["url"]
    rows[163]["doc_id"] = rows[164]["doc_id"]
    rows[170]["created"], rows[171]["created"] = "2999-01-01", "1970-01-01"
    return rows, {
        "near_empty_field": 397, "near_empty_meta": 398, "constant_meta": 400, "mixed_types": 4, "no_licence": 7,
        "duplicate_content": None, "duplicate_url": 2, "duplicate_key": 1, "one_source": 390, "one_domain": None, "one_licence": 373,
        "replacement_characters": 6, "mojibake": 5, "control_characters": 4, "invisible_characters": 3, "html_residue": 8,
        "html_entities": 5, "canary": 2, "self_mentions": 3, "near_empty_text": 7, "length_outliers": 2, "length_spikes": 15,
        "shared_first_line": 15, "shared_last_line": 14, "shared_opening": 24, "skeleton": 20, "escaped_newlines": 6, "placeholders": 3,
        "secrets": 2, "personal_data": 14, "split_overlap": None, "special_tokens": 4, "label_skew": 388, "future_dates": 1, "implausible_dates": 1,
    }  # fmt: skip


@cache
def plant_measured():
    """Faults of computed columns, of languages and of order."""
    rows = sorted(clean_text(11), key=lambda row: (row["topic"], len(row["text"])))
    rows.sort(key=lambda row: len(row["text"]))
    for at, row in enumerate(rows):
        row["label"], row["lang"], row["url"] = "abcd"[at * 4 // ROWS], "en", "https://one.org/same"
    return rows, {
        "constant_field": 400, "length_drift": 400, "sorted_by_label": 400, "score_is_length": 400, "constant_score": 400,
        "coverage": 30, "stale_column": 400, "declared_language": 12, "stray_languages": 12, "eval_leak": 5, "eval_copy": 3,
    }  # fmt: skip


@cache
def plant_chat():
    rows, rng = clean_chat(12), random.Random(5)
    for at in range(20):
        rows[at]["messages"] = turns(words(rng, 8, 20), "I'm sorry, but I can't help with that. " + words(rng, 9, 20))
    for at in range(20, 24):
        rows[at]["messages"][-1]["content"] = " "
    for at in range(24, 30):
        rows[at]["messages"] = turns(
            f"Say it again: {rows[at]['messages'][-1]['content']}", rows[at]["messages"][-1]["content"]
        )
    for at in range(30, 34):
        rows[at]["messages"][0]["content"] = rows[30]["messages"][0]["content"]
    for at in range(40, 60):
        rows[at]["messages"][-1]["content"] = "Certainly! Here is what you asked for: " + words(rng, 9, 20)
    return rows, {"refusals": 20, "empty_reply": 4, "echo": 6, "two_answers": 4, "reply_opening": 20}


@cache
def plant_pairs():
    rows, rng = clean_pairs(13), random.Random(6)
    for at, row in enumerate(rows):
        if at >= 20 and len(row["chosen"]) <= len(row["rejected"]):
            row["chosen"] += " " + words(rng, 40, 50)
    for at in range(5):
        rows[at]["rejected"] = rows[at]["chosen"]
    rows[11] = {"prompt": rows[10]["prompt"], "chosen": rows[10]["rejected"], "rejected": rows[10]["chosen"]}
    return rows, {"identical_pair": 5, "reversed_pair": 2, "longer_chosen": None}


@cache
def plant_choice():
    rows, rng = clean_choice(14), random.Random(7)
    for at, row in enumerate(rows):
        row["answer"] = 2 if at % 3 else at % 4
        row["choices"][row["answer"]] += " " + words(rng, 9, 12)
    return rows, {"option_position": None, "option_length": 200}


@cache
def plant_task():
    rows = clean_task(15)
    for at in range(6):
        number = rows[at]["answer"].split("#### ")[1]
        rows[at]["question"] += f" The answer is {number}."
    return rows, {"answer_announced": 6}


@cache
def plant_code():
    rng = random.Random(8)
    rows = [
        {"prompt": words(rng, 8, 20), "boxed": words(rng, 4, 6), "solution": ""} for _ in range(60)
    ]  # fmt: skip
    for at, row in enumerate(rows):
        row["solution"] = f"Thus \\boxed{{{row.pop('boxed')}}}"
        if at < 7:
            row["prompt"] += " " + row["solution"][12:-1]
    return [{"problem": row["prompt"], "solution": row["solution"]} for row in rows], {"answer_in_prompt": 7}


PLANTS = {
    "web": plant_web, "measured": plant_measured, "talk": plant_chat, "pairs": plant_pairs, "exam": plant_choice,
    "sums": plant_task, "proofs": plant_code,
}  # fmt: skip
CLEAN = {
    "c_text": clean_text,
    "c_chat": clean_chat,
    "c_pairs": clean_pairs,
    "c_choice": clean_choice,
    "c_task": clean_task,
}


def measure(cat, clean=False):
    """Columns as scorers write them, over the measured set or its clean twin."""
    name, rng = "c_text" if clean else "measured", random.Random(3)
    chars = [n for batch in cat.scan(name, ["chars"]) for n in batch.column("chars").to_pylist()]
    attach_columns(
        cat, name, {"goodness": [rng.random() for _ in chars] if clean else [c / 7 for c in chars]}, scorer="goodness"
    )
    flat = [rng.random() if clean else 1.0 for _ in chars]
    holes = None if clean else [None if at < 30 else 1 for at in range(len(chars))]
    attach_columns(cat, name, {"flat": flat}, scorer="flatness")
    attach_columns(cat, name, {"partial": [None if holes and at < 30 else rng.random() for at in range(len(chars))]},
                   scorer="partial", states=holes)  # fmt: skip
    attach_columns(cat, name, {"rank": [rng.random() for _ in chars]}, scorer="ranking")
    attach_columns(
        cat, name, {"language": ["en" if clean or at % 33 else "fr" for at in range(len(chars))]}, scorer="langid"
    )
    leaks = [0.9 if not clean and at in (3, 9, 77, 200, 300) else 0.0 for at in range(len(chars))]
    attach_columns(cat, name, {"eval_leak": leaks}, scorer="eval_overlap")
    with cat.session() as session:
        held = session.exec(
            select(ColumnRecord).where(
                ColumnRecord.alias == "rank", ColumnRecord.dataset_id == cat.resolve(name).dataset.id
            )
        ).all()
        for column in held:
            column.scope, column.population = "population", f"{name}@v1" if clean else f"{name}@v0"
            session.add(column)
        session.commit()


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    cat = Catalog.open(folder / "home")
    for name, plant in PLANTS.items():
        text_dataset(cat, folder, name, plant()[0], mapping=MAPPING if name in ("web", "measured") else None)
    exam = [{"text": row["text"]} for row in clean_text(77, 20)] + [
        {"text": row["text"]} for row in plant_measured()[0][:3]
    ]
    text_dataset(cat, folder, "benchmark", exam, role="eval")
    for name, make in CLEAN.items():
        mapped = {"mapping": MAPPING} if name == "c_text" else {"licence": "MIT"}
        text_dataset(cat, folder, name, make(), **mapped)
    measure(cat)
    measure(cat, clean=True)
    return cat


@pytest.fixture(scope="module")
def found(planted):
    return {name: insight(planted, name) for name in PLANTS}


def test_every_check_has_a_flag_that_is_planted():
    planted = {check for plant in PLANTS.values() for check in plant()[1]}
    assert planted == set(checks()) and len(planted) >= 20


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_planted_flags_are_found_with_their_counts(found, name):
    held = found[name]
    by_check = {}
    for item in held["findings"]:
        by_check.setdefault(item["check"], []).append(item)
    wanted = PLANTS[name]()[1]
    assert set(wanted) <= set(by_check), set(wanted) - set(by_check)
    wrong = {
        check: [item["count"] for item in by_check[check]]
        for check, count in wanted.items()
        if count is not None and count not in [item["count"] for item in by_check[check]]
    }
    assert not wrong
    assert held["rows"] == len(PLANTS[name]()[0]) and all(
        item["advice"] and item["severity"] for item in held["findings"]
    )


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_each_query_shows_its_finding(planted, found, name):
    """What a reader sees in SQL is what was counted, sample ids included."""
    for item in found[name]["findings"]:
        rows = planted.sql(item["query"], limit=None).rows()
        if item["shows"] == "rows":
            assert len(rows) == item["count"], item
            assert set(item["samples"]) <= {row["sample_id"] for row in rows} and 0 < len(item["samples"]) <= 5
        else:
            assert rows, item


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_a_clean_control_gives_nothing(planted, name):
    held = insight(planted, name)
    assert [(item["check"], item["title"]) for item in held["findings"]] == []
    assert held["quiet"] == sorted(held["checked"]) and OFF in held["notes"]


def test_a_selection_is_looked_at_by_the_rows_it_holds(planted):
    planted.select("heads", "web@v1", "source = 'head' AND chars < 4000")
    held = insight(planted, "heads")
    rows = planted.sql("SELECT count(*) AS n FROM web WHERE source = 'head' AND chars < 4000").rows()[0]["n"]
    assert held["rows"] == rows < 400 and held["ref"] == "web@v1" and held["asked"] == "heads"
    by_check = {item["check"]: item for item in held["findings"]}
    assert "one_source" not in by_check and by_check["canary"]["count"] == 2
    assert len(planted.sql(by_check["canary"]["query"]).rows()) == 2
    planted.select("partial_rows", "measured", "partial > 0.5", missing="keep")
    assert insight(planted, "partial_rows", only=["coverage"])["findings"][0]["count"] == 30


def test_rows_that_a_version_does_not_hold_do_not_count(cat):
    append_texts(cat, "grow", [body(random.Random(at)) for at in range(30)])
    append_texts(cat, "grow", ["\ufffd broken " + body(random.Random(at)) for at in range(30, 40)])
    assert insight(cat, "grow@v1", only=["replacement_characters"])["findings"] == []
    (found,) = insight(cat, "grow", only=["replacement_characters"])["findings"]
    assert (found["count"], found["rows"], found["severity"]) == (10, 40, "high")


def test_what_is_asked_wrong_is_one_line(planted):
    with pytest.raises(NotFound, match="no dataset 'webb'"):
        insight(planted, "webb")
    with pytest.raises(NotFound, match="no check 'canry'.*canary"):
        insight(planted, "web", only=["canry"])
    with pytest.raises(BadInput, match="only within a budget"):
        insight(planted, "web", endpoint="e")
    with pytest.raises(NotFound, match="no endpoint 'nowhere'"):
        insight(planted, "web", endpoint="nowhere", budget="b")


def test_odd_rows_break_no_check(cat, tmp_path):
    odd = [
        {"text": "a\x00b", 'k"e': 1, "date": "not a date", "label": None, "id": ""}, {"text": "é" * 3000, "date": 20240101, "id": []},
        {"text": "\u202bאבג\u202c مرحبا", "lang": "klingon-very-long", "split": {"a": 1}}, {"text": "''--; DROP", "it's": "x' OR 1=1", "url": "::::"},
    ]  # fmt: skip
    text_dataset(cat, tmp_path, "odd", odd * 20)
    held = insight(cat, "odd")
    assert {"duplicate_content"} <= {item["check"] for item in held["findings"]}
    for item in held["findings"]:
        cat.sql(item["query"]).rows()
    empty = append_texts(cat, "one", ["only this one row is here, and nothing else"])
    assert insight(cat, empty)["rows"] == 1


def test_every_check_says_what_it_looks_for():
    assert len(listed()) == len(checks()) >= 50
    assert all(row["looks_for"].endswith(".") and len(row["looks_for"]) < 200 for row in listed())


def test_the_faces_say_the_same_and_text_stays(planted, monkeypatch, capsys):
    monkeypatch.setenv("STRATA_HOME", str(planted.settings.home))
    given = ["insight", "web", "--check", "shared_first_line", "--check", "label_skew"]
    assert run([*given, "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)["findings"]
    assert {item["quote"] for item in found} == {"plain", "Welcome to our great shop!"}
    assert run([*given, "--queries"]) == 0 and "Welcome to our great shop!" in capsys.readouterr().out
    assert run(["insight", "--checks"]) == 0 and "canary" in capsys.readouterr().out
    assert run(["insight"]) == 2 and "name a dataset" in capsys.readouterr().err
    client = TestClient(create_app(planted), headers={"Authorization": f"Bearer {create(planted, 'reader', 'read')}"})
    over = client.get("/datasets/web/insight", params={"check": ["shared_first_line", "label_skew"]})
    assert over.status_code == 200 and over.json()["findings"] == found
    assert client.get("/datasets/web/insight", params={"check": "no"}).status_code == 404

    async def told():
        async with Client(build(planted, texts=True)) as mcp:
            return (await mcp.call_tool("insight", {"ref": "web", "checks": TOLD})).data

    held = asyncio.run(told())
    said = orjson.dumps(held).decode()
    assert len(held["findings"]) >= 7 and all(item["quote"] is None for item in held["findings"])
    texts = [row["text"] for row in plant_web()[0]]
    assert not any(text[-40:] in said or text[:40] in said for text in texts if len(text) > 40)


TOLD = [
    "shared_first_line",
    "shared_last_line",
    "shared_opening",
    "skeleton",
    "label_skew",
    "one_source",
    "secrets",
    "canary",
]


def told_findings(body):
    return orjson.loads(body["messages"][-1]["content"].partition("\n")[2].partition("\n\nYour answer")[0])


@pytest.fixture
def own(planted, tmp_path):
    """A copy of the planted store, to be given endpoints and budgets."""
    shutil.copytree(planted.settings.home, tmp_path / "copy")
    return Catalog.open(tmp_path / "copy")


ONLY = ("canary", "mojibake", "constant_meta")


def test_a_model_words_a_hypothesis_and_ranks(own):
    seen = []

    def reply(body):
        facts = told_findings(body)
        seen.append(facts)
        tries = sum(one["check"] == facts["check"] for one in seen)
        if facts["check"] == "mojibake" and tries == 1:
            return "It is an encoding fault."
        if facts["check"] == "canary" and tries == 1:
            return orjson.dumps({"hypothesis": "Some 4,711 rows were crawled.", "worth": 3}).decode()
        worth = {"canary": 0, "mojibake": 1, "constant_meta": 3}[facts["check"]]
        return orjson.dumps({"hypothesis": f"Look at {facts['count']} rows of the export.", "worth": worth}).decode()

    with metered(reply) as meter:
        save_endpoint(own, "e", url=meter.url, model="m-1", revision="r1", input_price=1.0, output_price=1.0)
        account.set_budget(own, "b", requests=9)
        held = insight(own, "web", only=ONLY, endpoint="e", budget="b")
        again = insight(own, "web", only=ONLY, endpoint="e", budget="b")
        assert len(meter.seen) == 5, "stored answers are not asked for again"
    assert [item["check"] for item in held["findings"]] == ["constant_meta", "mojibake", "canary"]
    assert held["findings"][0]["language_model"] == {"hypothesis": "Look at 400 rows of the export.", "worth": 3}
    assert sorted(one["why"] for one in held["refused"]) == [
        "it holds numbers that the finding does not: 4711", "it was not the JSON object that was asked for"
    ]  # fmt: skip
    assert {one["raw"] for one in held["refused"]} >= {"It is an encoding fault."}
    assert any("2 answers were refused" in line for line in held["notes"]) and OFF not in held["notes"]
    assert again["findings"] == held["findings"]
    texts = [row["text"] for row in plant_web()[0]]
    assert not any(text[:30] in str(seen) for text in texts if len(text) > 30), "no text of a sample is told"


def test_a_model_out_of_budget_or_without_consent_leaves_the_findings(own):
    plain = insight(own, "web", only=ONLY)["findings"]
    with metered(lambda body: "no") as meter:
        save_endpoint(own, "e", url=meter.url, model="m-1", revision="r1")
        account.set_budget(own, "b", requests=2)
        held = insight(own, "web", only=ONLY, endpoint="e", budget="b")
        assert len(meter.seen) == 2 and held["findings"] == plain and len(held["refused"]) == 2
        assert any("stopped here" in line for line in held["notes"])
    save_endpoint(own, "far", url="https://api.example.com/v1", model="m", input_price=1.0, output_price=1.0)
    account.set_budget(own, "c", money=1.0)
    held = insight(own, "web", only=ONLY, endpoint="far", budget="c")
    assert held["findings"] == plain and any("were not told to endpoint far" in line for line in held["notes"])
