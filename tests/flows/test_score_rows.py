"""Which rows a score touches: samples, selections, rows whose inputs wait; and progress that adds up."""

import pyarrow as pa
import pytest

from catalog.errors import BadInput, NotFound
from catalog.plugins import REGISTRY, Out, scorer
from catalog.selections import save
from catalog.testing import append_texts, errors_of, sentences
from flows import plan, score
from flows.models.testing import tiny_language_model
from flows.runner import pool_mapper

SEEN: list[str] = []


@pytest.fixture(autouse=True)
def letters():
    """A measure that remembers the rows it is given, a score made of it, and a long call that tells of its progress."""
    SEEN.clear()

    @scorer("letters", version="1", reads=["text"], writes=[Out("letters", pa.int32(), "letters")], cost="cpu",
            citation="ours", batch_rows=40)  # fmt: skip
    def letters(batch, ctx):
        SEEN.extend(batch["text"].to_pylist())
        for _ in range(batch.num_rows // 10 + 5):
            ctx.tick(10)
        return {"letters": pa.array([len(text) for text in batch["text"].to_pylist()], pa.int32())}

    @scorer("half", version="1", reads=["letters"], writes=[Out("half", pa.float64(), "half")], cost="cpu",
            citation="ours")  # fmt: skip
    def half(batch, ctx):
        return {"half": pa.array([None if n is None else n / 2 for n in batch["letters"].to_pylist()], pa.float64())}

    @scorer("rank", version="1", reads=["letters"], writes=[Out("rank", pa.int64(), "rank")], cost="cpu",
            pattern="global", citation="ours")  # fmt: skip
    def rank(scan, ctx):
        held = [n or 0 for batch in scan() for n in batch["letters"].to_pylist()]
        return {"rank": pa.array([sorted(held).index(n) for n in held], pa.int64())}

    yield
    for name in ("letters", "half", "rank"):
        REGISTRY["scorer"].pop(name)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_language_model(tmp_path_factory.mktemp("lm"))


def column(cat, alias):
    return next(c for c in cat.columns("web") if c.alias == alias)


class Bar:
    """A progress bar that remembers."""

    def __init__(self):
        self.at = [(0, 0)]

    def __call__(self, done, total, unit):
        self.at.append((done, total))


def test_progress_counts_the_rows_that_are_asked_for_over_all_steps(cat):
    append_texts(cat, "web", sentences(300), fragments=3)
    bar = Bar()
    score(cat, "web", ["half"], sample=100, show=bar)
    assert bar.at[-1] == (200, 200) and all(done <= total == 200 for done, total in bar.at[1:])
    assert [done for done, _ in bar.at] == sorted(done for done, _ in bar.at)
    assert cat.runs()[0].progress["done"] == 200
    bar = Bar()
    score(cat, "web", ["half"], show=bar)
    assert bar.at[-1] == (400, 400)


def test_the_progress_of_a_model_moves_inside_its_call_and_adds_up(cat, model):
    append_texts(cat, "web", sentences(30), fragments=2)
    bar = Bar()
    score(cat, "web", ["perplexity", "bits_per_byte"], params={"model": model}, sample=20, show=bar)
    assert bar.at[-1] == (60, 60) and len(bar.at) > 6


def test_progress_adds_up_with_reused_and_resumed_rows_and_in_workers(cat):
    append_texts(cat, "old", sentences(40))
    score(cat, "old", ["letters"])
    append_texts(cat, "web", sentences(90), fragments=3)

    def die_after_one(job, units, progress):
        for payload in pool_mapper(1)(job, units, progress):
            yield payload
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(cat, "web", ["letters"], mapper=die_after_one)
    bar = Bar()
    score(cat, "web", ["letters"], show=bar)
    assert bar.at[-1] == (90, 90)
    append_texts(cat, "web", sentences(60, seed=2), fragments=2)
    bar = Bar()
    score(cat, "web", ["text_length"], workers=2, show=bar)
    assert bar.at[-1] == (150, 150)


def test_rows_that_come_while_a_score_runs_are_counted_and_wait_for_their_inputs(cat):
    append_texts(cat, "web", sentences(30))
    score(cat, "web", ["letters"])
    late, bar = sentences(10, seed=5), Bar()

    def append_first(job, units, progress):
        if job.steps[0].scorer == "half":
            append_texts(cat, "web", late)
        yield from pool_mapper(1)(job, units, progress)

    score(cat, "web", ["half"], mapper=append_first, show=bar)
    append_texts(cat, "web", sentences(3, seed=6))
    assert column(cat, "half").covered == 30
    report = score(cat, "web", ["half"])
    assert report.columns["half"]["states"] == {"value": 43} and errors_of(cat) == []


def test_a_row_whose_input_is_not_computed_is_not_called_undefined(cat):
    """A score over a sampled measure: what the sample lacks is computed by a later run, not lost as undefined."""
    append_texts(cat, "web", sentences(50))
    planned = plan(cat, "web", ["half"])
    score(cat, "web", ["letters"], sample=20)

    def only_half(job, units, progress):
        from dataclasses import replace

        job = replace(job, steps=tuple(step for step in job.steps if step.scorer == "half"))
        yield from pool_mapper(1)(job, units, progress)

    from catalog.runs import Progress, run
    from flows.runner import make_job, run_stage

    with run(cat, "score", "test", dataset="web") as record:
        job = make_job(cat, planned, [step for step in planned.steps if step.scorer == "half"], record.id)
        run_stage(job, only_half, Progress(cat, record.id, 50, "rows"))
    assert column(cat, "half").states == {"value": 20, "not computed": 30}
    score(cat, "web", ["half"])
    assert column(cat, "half").states == {"value": 50} and errors_of(cat) == []


def test_a_selection_is_computed_and_the_rest_keeps_what_it_has(cat):
    texts = [*sentences(20, low=40, high=60), *sentences(30, seed=1, low=5, high=10)]
    append_texts(cat, "web", texts, fragments=3)
    long = [text for text in texts if len(text) > 150]
    save(cat, "long", "web", "chars > 150")
    planned = plan(cat, "web", ["half"], selection="long")
    assert [step.missing for step in planned.steps] == [len(long)] * 2 and planned.selection == "long@v1"
    report = score(cat, "web", ["half"], selection="long")
    assert sorted(SEEN) == sorted(long)
    assert report.columns["half"]["states"] == {"value": len(long), "not sampled": 50 - len(long)}
    assert score(cat, "web", ["half"], selection="long@v1").run_id is None
    save(cat, "short", "web", "chars <= 150")
    score(cat, "web", ["half"], selection="short")
    assert column(cat, "half").states == {"value": 50} and len(SEEN) == 50
    assert errors_of(cat) == []


def test_a_sample_of_a_selection_and_its_resume(cat):
    append_texts(cat, "web", sentences(60), fragments=3)
    save(cat, "long", "web", "chars > 150")
    rows = cat.lance("web").count_rows("chars > 150")
    assert rows > 10

    def die_after_one(job, units, progress):
        for payload in pool_mapper(1)(job, units, progress):
            yield payload
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(cat, "web", ["letters"], selection="long", sample=10, mapper=die_after_one)
    score(cat, "web", ["letters"], selection="long", sample=10)
    assert len(SEEN) == 10 == column(cat, "letters").states["value"]
    score(cat, "web", ["letters"], selection="long", sample=1000)
    assert len(SEEN) == rows


def test_what_a_part_of_the_rows_cannot_give_is_refused_in_one_line(cat):
    append_texts(cat, "web", sentences(20))
    append_texts(cat, "other", sentences(20))
    save(cat, "long", "web", "chars > 150")
    save(cat, "none", "web", "chars > 100000")
    save(cat, "others", "other", "chars > 1")
    for call, error, words in [
        (lambda: score(cat, "web", ["exact_dup"], selection="long"), BadInput, "leave --select away"),
        (lambda: score(cat, "web", ["rank"], sample=5), BadInput, "leave --sample away"),
        (lambda: score(cat, "web", ["kmeans"], selection="long"), BadInput, "fits on embedding of every row"),
        (lambda: score(cat, "web", ["letters"], selection="others"), BadInput, "holds rows of other"),
        (lambda: score(cat, "web", ["letters"], selection="none"), BadInput, "holds no rows"),
        (lambda: score(cat, "web", ["letters"], selection="lnog"), NotFound, "long"),
    ]:
        with pytest.raises(error, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert cat.runs() == [] and cat.columns("web") == []


def test_a_frozen_fit_maps_a_selection(cat):
    append_texts(cat, "web", sentences(40))
    append_texts(cat, "good", sentences(40, seed=2))
    save(cat, "long", "web", "chars > 150")
    rows = cat.lance("web").count_rows("chars > 150")
    report = score(cat, "web", ["dsir"], target="good", selection="long")
    assert report.columns["dsir_good"]["covered"] == rows


def test_a_number_format_is_part_of_the_recipe_and_formats_never_merge(cat, model):
    append_texts(cat, "web", sentences(6))
    given = {"params": {"model": model}}
    fine, coarse = (plan(cat, "web", ["perplexity"], dtype=name, **given) for name in ("float32", "bfloat16"))
    assert [s.recipe.get("dtype") for s in fine.steps] == ["float32", None] and fine.dtype == "float32"
    assert all(a.fingerprint != b.fingerprint for a, b in zip(fine.steps, coarse.steps, strict=True))
    score(cat, "web", ["perplexity"], dtype="bfloat16", **given)
    assert plan(cat, "web", ["perplexity"], dtype="float32", **given).steps[0].missing == 6
    score(cat, "web", ["perplexity"], dtype="float32", **given)
    held = [c for c in cat.columns("web") if c.output == "nll_sum"]
    assert len(held) == 2 and held[0].digest != held[1].digest and errors_of(cat) == []


def test_a_machine_that_would_choose_another_format_goes_on_with_the_columns_there_are(cat, model, monkeypatch):
    append_texts(cat, "web", sentences(6))
    given = {"params": {"model": model}}
    score(cat, "web", ["perplexity"], dtype="bfloat16", **given)
    append_texts(cat, "web", sentences(3, seed=1))
    monkeypatch.setattr("flows.devices.cpu_flags", frozenset)  # a CPU without bfloat16 chooses float32
    monkeypatch.setenv("STRATA_DEVICE", "cpu")
    planned = plan(cat, "web", ["perplexity"], **given)
    assert planned.dtype == "bfloat16" and [step.missing for step in planned.steps] == [3, 3]
    assert plan(cat, "web", ["minilm"]).dtype == "float32"
    assert plan(cat, "web", ["text_length"]).dtype is None


def test_a_sampled_fit_is_not_taken_for_a_fit_on_every_row(cat):
    from flows.models.testing import tiny_encoder

    append_texts(cat, "web", sentences(5))
    folder = tiny_encoder(cat.settings.home / "encoder")
    prints = {
        sample: plan(cat, "web", ["kmeans"], params={"model": folder}, sample=sample).steps[-1].fingerprint
        for sample in (None, 3, 4, 5)
    }
    assert len(set(prints.values())) == 3 and prints[None] == prints[5]


def test_a_score_that_reads_more_than_content_is_not_answered_by_another_dataset(cat, tmp_path):
    @scorer("where_from", version="1", reads=["text", "source"], writes=[Out("where_from", pa.string(), "source")],
            cost="cpu", citation="ours")  # fmt: skip
    def where_from(batch, ctx):
        return {"where_from": batch["source"]}

    append_texts(cat, "old", sentences(5))
    append_texts(cat, "web", sentences(5))
    score(cat, "old", ["where_from"])
    assert score(cat, "web", ["where_from"]).counts["reused"] == 0
    held = [value for batch in cat.scan("web", ["where_from"]) for value in batch["where_from"].to_pylist()]
    REGISTRY["scorer"].pop("where_from")
    assert held == ["web"] * 5
