"""Publishing: deterministic locks, one-line refusals that change nothing, verdicts, exact token totals, diffs."""

import pyarrow.compute as pc
import pytest
from sqlmodel import func, select

from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.meta.models import Dataset, Edge, Mix, Name, Run, Selection
from catalog.mixes import diff_mixes, load_lock, preview, publish
from catalog.testing import append_texts, errors_of, sentences
from flows.runner import score


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(300), fragments=3, licence="CC-BY-4.0")
    append_texts(cat, "chat", sentences(120, seed=1))
    append_texts(cat, "web", sentences(50, seed=2))
    append_texts(cat, "exam", sentences(5, seed=3, low=20, high=30), role="eval")
    return cat


SPEC = {
    "name": "m",
    "seed": 5,
    "total": 400,
    "parts": [{"dataset": "web@v1", "weight": 3}, {"dataset": "chat", "weight": 1}],
}


def state_of(cat):
    with cat.session() as session:
        return [session.exec(select(func.count()).select_from(table)).one() for table in (Mix, Name, Run, Edge)]


def test_the_same_spec_gives_the_same_lock(store):
    first = publish(store, SPEC)
    again = publish(store, SPEC)
    other = publish(store, {**SPEC, "name": "other"})
    assert (first.version, again.version, again.id) == (1, 1, first.id)
    assert first.lock["order_digest"] == other.lock["order_digest"]
    assert publish(store, {**SPEC, "seed": 6}).lock["order_digest"] != first.lock["order_digest"]
    assert preview(store, SPEC)["digest"] == first.digest == load_lock(store, "m@v1")["digest"]
    assert [mix.version for mix in (publish(store, SPEC), publish(store, {**SPEC, "total": 100}))] == [3, 4]


def test_a_lock_says_what_it_pins(store):
    lock = publish(store, SPEC).lock
    web, chat = lock["parts"]
    assert (web["dataset"], web["version"], web["rows"]) == ("web", 1, {"kind": "range", "first": 0, "rows": 300})
    assert web["version_digest"] == store.resolve("web@v1").version.digest
    assert [part["samples"] for part in lock["totals"]["parts"]] == [300, 100]
    assert [part["epochs"] for part in lock["totals"]["parts"]] == [1.0, pytest.approx(100 / 120)]
    assert lock["licences"] == {"verdict": "unknown licences", "rows": {"CC-BY-4.0": 300}, "unknown": {"chat@v1": 120}}
    assert lock["contamination"]["unchecked"] == ["exam@v1"]
    assert chat["fingerprints"] == {}
    with store.session() as session:
        edges = session.exec(select(Edge).where(Edge.verb == "mix")).all()
    assert sorted((edge.source, edge.target) for edge in edges) == [("chat@v1", "mix:m@v1"), ("web@v1", "mix:m@v1")]
    assert errors_of(store) == []


def test_a_preview_writes_nothing(store):
    before = state_of(store)
    shown = preview(store, SPEC)
    assert shown["samples"] == 400 and shown["parts"][1]["share"] == 0.25
    assert state_of(store) == before and not store.settings.locks.exists()


def test_a_bare_name_is_pinned_to_the_head(store):
    part = publish(store, {"name": "m", "parts": [{"dataset": "web"}]}).lock["parts"][0]
    assert (part["version"], part["rows"]["rows"]) == (2, 350)
    append_texts(store, "web", sentences(9, seed=9))
    assert len(store.mix("m@v1")) == 350


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"parts": [{"dataset": "web"}, {"dataset": "exam"}]}, Refused, r"part 2 \(exam\) has role eval"),
        ({"parts": [{"dataset": "wbe"}]}, NotFound, "did you mean web"),
        ({"parts": [{"dataset": "web@v9"}]}, NotFound, "v1 to v2"),
        ({"parts": [{"dataset": "web", "where": "chars < 0"}]}, BadInput, r"part 1 \(web\) has no rows where"),
        ({"parts": [{"dataset": "web", "where": "charz > 0"}]}, NotFound, "did you mean chars"),
        ({"parts": [{"dataset": "web", "where": "chars >"}]}, BadInput, "cannot be used"),
        ({"parts": [{"dataset": "web", "weight": 1}], "total": 900}, BadInput, "short of 550 samples"),
        ({"parts": [{"dataset": "web"}, {"dataset": "web@v2"}]}, BadInput, "repeats part 1"),
        ({"parts": [{"dataset": "web", "weight": 1}], "unit": "tokens"}, BadInput, "strata score web token_count"),
        ({"parts": [{"dataset": "web", "tokens": 10}]}, BadInput, "strata score web token_count"),
        ({"parts": [{"selection": "best"}]}, NotFound, "no selection 'best'"),
        ({"name": "web", "parts": [{"dataset": "chat"}]}, NameTaken, "'web' is taken by a dataset"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(store, changes, error, message):
    before = state_of(store)
    with pytest.raises(error, match=message) as caught:
        publish(store, {"name": "m", **changes})
    assert "\n" not in str(caught.value)
    assert state_of(store) == before and not store.settings.locks.exists()


def test_a_mix_keeps_its_name_from_datasets(store):
    publish(store, SPEC)
    with pytest.raises(NameTaken, match="taken by a mix"):
        store.create_dataset("m", kind="text", tier="L0")
    with pytest.raises(NotFound, match="m@v7"):
        load_lock(store, "m@v7")


def test_filters_and_selections_choose_rows(store):
    with store.session() as session:
        session.add(Selection(name="long", version=1, dataset="web@v1", where="chars > 150"))
        session.commit()
    lock = publish(
        store,
        {
            "name": "m",
            "parts": [{"selection": "long", "where": "chars < 250"}, {"dataset": "web", "where": "chars < 90"}],
        },
    ).lock
    expected = [
        sum(b.num_rows for b in store.scan("web@v1", ["text"], where="chars > 150 AND chars < 250")),
        sum(b.num_rows for b in store.scan("web", ["text"], where="chars < 90")),
    ]
    assert [part["rows"]["rows"] for part in lock["parts"]] == expected and min(expected) > 5
    reader = store.mix("m")
    for batch in reader.batches(columns=["text"]):
        sizes = pc.utf8_length(batch.column("text")).to_pylist()
        for size, part in zip(sizes, batch.column("_part").to_pylist(), strict=True):
            assert 150 < size < 250 if part == 0 else size < 90


def test_token_mixes_count_exactly_what_they_serve(store):
    for name in ("web", "chat"):
        score(store, name, ["token_count"])
    spec = {
        "name": "m",
        "unit": "tokens",
        "total": 9000,
        "parts": [
            {"dataset": "web", "weight": 2, "where": "tokens > 20"},
            {"dataset": "chat", "weight": 1, "max_epochs": 3},
        ],
    }
    lock = publish(store, spec).lock
    served = {0: 0, 1: 0}
    for batch in store.mix("m").batches(columns=["tokens"]):
        for part, tokens in zip(batch.column("_part").to_pylist(), batch.column("tokens").to_pylist(), strict=True):
            served[part] += tokens
    assert [part["tokens"] for part in lock["totals"]["parts"]] == [served[0], served[1]]
    assert lock["totals"]["tokens"] == sum(served.values())
    assert served[0] == pytest.approx(6000, rel=0.05) and served[1] == pytest.approx(3000, rel=0.05)
    assert set(lock["parts"][0]["fingerprints"]) == {"tokens"}
    append_texts(store, "chat", sentences(3, seed=8))
    with pytest.raises(BadInput, match=r"part 2 \(chat\).*covers all but 3 of its rows.*strata score chat token_count"):
        publish(store, spec)


def test_contamination_is_checked_per_eval_version(store):
    question = next(iter(store.scan("exam", ["text"]))).column("text")[0].as_py()
    append_texts(store, "web", ["An unrelated start, and then: " + question])
    score(store, "web", ["eval_overlap"])
    verdict = publish(store, {"name": "m", "parts": [{"dataset": "web"}]}).lock["contamination"]
    assert verdict["verdict"] == "checked" and verdict["unchecked"] == []
    part = verdict["evals"][0]["parts"][0]
    assert (part["status"], part["covered"], part["overlapping"], part["items"]) == ("checked", 351, 1, 5)
    append_texts(store, "exam", sentences(2, seed=77, low=20, high=30))
    later = publish(store, {"name": "m", "parts": [{"dataset": "web"}]}).lock["contamination"]
    assert later["unchecked"] == ["exam@v2"], "a check against v1 says nothing about v2"


def test_diff_names_parts_rows_tokens_and_licences(store):
    publish(store, {"name": "a", "parts": [{"dataset": "web@v1"}, {"dataset": "chat"}]})
    publish(store, {"name": "b", "parts": [{"dataset": "web@v2"}, {"dataset": "chat", "samples": 100}]})
    found = diff_mixes(store, "a", "b@v1")
    assert found["samples"] == {"a": 420, "b": 450, "change": 30}
    assert (found["rows_added"]["count"], found["rows_added"]["sources"]) == (50, {"web": 50})
    assert (found["rows_removed"]["count"], found["rows_removed"]["sources"]) == (20, {"chat": 20})
    assert [(part["dataset"], part["status"]) for part in found["parts"]] == [("web", "changed"), ("chat", "changed")]
    assert found["licences"]["CC-BY-4.0"] == {"a": 300, "b": 350, "change": 50}
    assert diff_mixes(store, "a", "a")["same"] and store.diff("a", "b")["rows_added"]["count"] == 50
    removed = set(found["rows_removed"]["examples"])
    served = {
        i for batch in store.mix("b").batches(columns=["sample_id"]) for i in batch.column("sample_id").to_pylist()
    }
    assert removed and not removed & served


def test_diff_knows_samples_that_moved(store):
    """A rollback and back brings rows again as copies under their old sample ids: nothing was added or removed."""
    publish(store, {"name": "m", "parts": [{"dataset": "web"}]})
    store.rollback("web", 1)
    store.rollback("web", 2)
    publish(store, {"name": "m", "parts": [{"dataset": "web"}]})
    found = diff_mixes(store, "m@v1", "m@v2")
    assert not found["same"] and found["distinct_samples"] == {"a": 350, "b": 350, "change": 0}
    assert found["rows_added"]["count"] == found["rows_removed"]["count"] == 0


def test_a_lock_survives_a_rename(store):
    publish(store, SPEC)
    store.rename("web", "pages")
    assert len(store.mix("m")) == 400
    with store.session() as session:
        assert session.exec(select(Dataset.name).where(Dataset.name == "web")).first() is None
