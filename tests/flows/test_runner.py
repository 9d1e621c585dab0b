"""The runner: what is there is not computed again, whatever was added, shared, sampled or interrupted meanwhile."""

import pyarrow as pa
import pytest

from catalog.errors import BadInput, NotFound
from catalog.plugins import REGISTRY, Out, scorer
from catalog.testing import append_texts, errors_of, sentences
from flows import plan, score
from flows.runner import make_job, pool_mapper

CALLS: list[int] = []


@pytest.fixture(autouse=True)
def counting_scorer():
    """A scorer that counts the rows it is given, and one derived from it."""
    CALLS.clear()

    @scorer(
        "count_a",
        version="1",
        reads=["text"],
        writes=[Out("letters_a", pa.int32(), "letters a")],
        cost="cpu",
        citation="ours",
    )
    def count_a(batch, ctx):
        CALLS.append(batch.num_rows)
        return {
            "letters_a": pa.array([None if t is None else t.count("a") for t in batch["text"].to_pylist()], pa.int32())
        }

    @scorer(
        "twice_a",
        version="1",
        reads=["letters_a"],
        writes=[Out("twice_a", pa.int32(), "2a")],
        cost="cpu",
        citation="ours",
    )
    def twice_a(batch, ctx):
        return {"twice_a": pa.array([None if v is None else 2 * v for v in batch["letters_a"].to_pylist()], pa.int32())}

    yield
    for name in ("count_a", "twice_a"):
        REGISTRY["scorer"].pop(name)


def values(cat, ref, column):
    return [v for b in cat.scan(ref, [column]) for v in b.column(column).to_pylist()]


def test_a_derived_score_brings_its_measure_and_both_in_one_pass(cat):
    texts = sentences(50)
    append_texts(cat, "web", texts)
    planned = plan(cat, "web", ["twice_a"])
    assert [step.scorer for step in planned.steps] == ["count_a", "twice_a"] and len(planned.stages()) == 1
    score(cat, "web", ["twice_a"])
    assert values(cat, "web", "twice_a") == [2 * t.count("a") for t in texts]
    assert sum(CALLS) == 50


def test_a_second_run_computes_nothing_and_new_rows_only_themselves(cat):
    append_texts(cat, "web", sentences(50))
    score(cat, "web", ["count_a"])
    assert score(cat, "web", ["count_a"]).counts["computed"] == 0 and sum(CALLS) == 50
    append_texts(cat, "web", sentences(7, seed=1))
    assert score(cat, "web", ["count_a"]).counts["computed"] == 7 and sum(CALLS) == 57
    assert errors_of(cat) == []


def test_the_same_page_in_a_second_dataset_costs_nothing(cat):
    texts = sentences(30)
    append_texts(cat, "web", texts)
    score(cat, "web", ["count_a"])
    append_texts(cat, "copy", [*texts[:20], *sentences(5, seed=2)])
    report = score(cat, "copy", ["count_a"])
    assert (report.counts["reused"], report.counts["computed"], sum(CALLS)) == (20, 5, 35)
    assert values(cat, "copy", "letters_a")[:20] == [t.count("a") for t in texts[:20]]


def test_a_sample_is_said_and_a_larger_one_contains_it(cat):
    append_texts(cat, "web", sentences(100))
    report = score(cat, "web", ["count_a"], sample=20)
    assert report.columns["letters_a"]["covered"] == 20
    assert report.columns["letters_a"]["states"] == {"value": 20, "not sampled": 80}
    first = {i for i, v in enumerate(values(cat, "web", "letters_a")) if v is not None}
    score(cat, "web", ["count_a"], sample=50)
    second = {i for i, v in enumerate(values(cat, "web", "letters_a")) if v is not None}
    assert first < second and len(second) == 50 and sum(CALLS) == 50
    with pytest.raises(BadInput, match="do not cover every row"):
        list(cat.scan("web", ["text"], where="letters_a > 3"))
    score(cat, "web", ["count_a"])
    assert sum(CALLS) == 100 and list(cat.scan("web", ["text"], where="letters_a > 3"))


def test_an_interrupted_run_keeps_every_finished_fragment(cat):
    append_texts(cat, "web", sentences(40), fragments=4)
    planned = plan(cat, "web", ["count_a"])

    def die_after_two(job, units, progress):
        for number, payload in enumerate(pool_mapper(1)(job, units, progress)):
            yield payload
            if number == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(cat, "web", ["count_a"], mapper=die_after_two)
    assert cat.columns("web") == [], "a half-finished column is visible"
    assert cat.runs()[0].status == "cancelled" and sum(CALLS) == 20
    score(cat, "web", ["count_a"])
    assert sum(CALLS) == 40 and errors_of(cat) == []
    assert make_job(cat, planned, list(planned.steps), "x").key.startswith(cat.find("web").id)


def test_worker_count_and_fragments_change_nothing(cat):
    texts = sentences(60)
    append_texts(cat, "one", texts)
    append_texts(cat, "many", texts, fragments=6)
    score(cat, "one", ["gopher_quality", "exact_dup"])
    score(cat, "many", ["gopher_quality", "exact_dup"], workers=2, refit=True)
    for column in ("word_count", "mean_word_length", "exact_dup_keep"):
        assert values(cat, "one", column) == values(cat, "many", column)
    digests = {name: {c.alias: c.statistics for c in cat.columns(name)} for name in ("one", "many")}
    assert digests["one"] == digests["many"]


def test_a_population_column_belongs_to_its_version(cat):
    append_texts(cat, "web", sentences(10))
    score(cat, "web", ["exact_dup"])
    append_texts(cat, "web", sentences(10))  # the same texts again
    column = next(c for c in cat.columns("web") if c.alias == "exact_dup_keep")
    assert column.population == "web@v1" and column.covered == 10
    score(cat, "web", ["exact_dup"])
    held = {c.alias: c for c in cat.columns("web")}
    assert held["exact_dup_keep"].population == "web@v2" and held["exact_dup_keep_v1"].population == "web@v1"
    assert values(cat, "web", "exact_dup_keep") == [True] * 10 + [False] * 10


def test_removed_rows_are_not_computed(cat):
    append_texts(cat, "web", sentences(10))
    append_texts(cat, "web", sentences(10, seed=1))
    cat.rollback("web", 1)
    score(cat, "web", ["count_a"])
    assert sum(CALLS) == 10 and errors_of(cat) == []


def test_mistakes_are_one_line_before_anything_runs(cat):
    append_texts(cat, "web", sentences(3))
    for call, error, words in [
        (lambda: score(cat, "web", ["count_b"]), NotFound, "count_a"),
        (lambda: score(cat, "web", ["letters_a"]), NotFound, "output of scorer 'count_a'"),
        (lambda: score(cat, "web", ["count_a"], params={"nope": 1}), BadInput, "parameter 'nope'"),
        (lambda: score(cat, "nowhere", ["count_a"]), NotFound, "there are: web"),
        (lambda: score(cat, "web", ["count_a"], sample=0), BadInput, "sample of 0"),
        (lambda: score(cat, "web", ["dsir"]), BadInput, "--target"),
        (lambda: score(cat, "web", ["eval_overlap"]), BadInput, "role eval"),
        (lambda: score(cat, "web", ["ifd_cherry"]), BadInput, "works on|lack"),
    ]:
        with pytest.raises(error, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert cat.runs() == [] and cat.columns("web") == []


def test_a_scorer_that_breaks_its_word_is_named(cat):
    append_texts(cat, "web", sentences(3))

    @scorer(
        "liar", version="1", reads=["text"], writes=[Out("lie", pa.int32(), "too few")], cost="cpu", citation="ours"
    )
    def liar(batch, ctx):
        return {"lie": pa.array([1], pa.int32())}

    with pytest.raises(Exception, match="liar returned 1 x int32"):
        score(cat, "web", ["liar"])
    REGISTRY["scorer"].pop("liar")
    assert cat.runs()[0].status == "failed" and "liar" in cat.runs()[0].error


def test_a_short_name_can_be_chosen_and_is_never_taken_over(cat):
    append_texts(cat, "web", sentences(3))
    score(cat, "web", ["count_a"], aliases={"letters_a": "as"})
    assert [c.alias for c in cat.columns("web")] == ["as"]
    score(cat, "web", ["twice_a"])
    with pytest.raises(BadInput, match="exists"):
        score(cat, "web", ["gopher_quality"], aliases={"word_count": "as"})
