"""The front over two results: against the definition, with intervals, and what is refused."""

import numpy as np
import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.mixers import Trials
from catalog.testing import sentences, write_jsonl
from flows.mix_front import Aim, measured, predicted

LOSS, ACC = Aim("loss"), Aim("acc", "higher")
SPEC = {
    "name": "two",
    "total": 60,
    "parts": [{"dataset": "web", "max_epochs": 2}, {"dataset": "wiki", "max_epochs": 3}],
}


def runs(weights: list[float], loss: list[float], acc: list[float], size: list[float] | None = None) -> Trials:
    mixes = np.column_stack([weights, 1 - np.array(weights)])
    count = len(mixes)
    sizes = np.array(size or [1e6] * count)
    return Trials(mixes, {"loss": np.array(loss), "acc": np.array(acc)}, np.full(count, 1e5), sizes,
                  np.arange(count), tuple(f"t{at}" for at in range(count)))  # fmt: skip


def test_runs_on_the_front_are_those_that_no_other_beats():
    rng = np.random.default_rng(3)
    loss, acc = rng.normal(2, 0.3, 40), rng.normal(0.5, 0.1, 40)
    found = measured(runs(rng.uniform(size=40).tolist(), loss.tolist(), acc.tolist()), ["web", "wiki"], (LOSS, ACC))
    values = np.array([point.values for point in found.points])
    beaten = [bool(((values[:, 0] <= x) & (values[:, 1] >= y) & ((values[:, 0] < x) | (values[:, 1] > y))).any())
              for x, y in values]  # fmt: skip
    assert [bool(point.front) for point in found.points] == beaten and 0 < sum(beaten) < 40
    on = [point.values[0] for point in found.points if not point.front]
    assert on == sorted(on) and not found.notes


def test_seeds_of_one_mix_are_one_point_with_an_interval():
    from scipy.stats import t

    found = measured(runs([0.2, 0.2, 0.2, 0.9], [2.0, 2.1, 2.3, 1.9], [0.3, 0.3, 0.3, 0.2]), ["a", "b"], (LOSS, ACC))
    one = next(point for point in found.points if point.runs == 3)
    values = np.array([2.0, 2.1, 2.3])
    half = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
    assert one.low[0] == pytest.approx(values.mean() - half) and one.high[0] == pytest.approx(values.mean() + half)
    assert one.trials == ("t0", "t1", "t2") and next(p for p in found.points if p.runs == 1).low == (None, None)


def test_runs_of_several_sizes_stay_apart_and_that_is_said():
    found = measured(runs([0.5, 0.5], [2.0, 1.5], [0.3, 0.4], [1e6, 3e6]), ["a", "b"], (LOSS, ACC))
    assert len(found.points) == 2 and "2 sizes of model" in found.notes[0]


def test_what_cannot_be_compared_is_refused():
    trials = runs([0.1, 0.9], [2.0, np.nan], [np.nan, 0.4])
    with pytest.raises(BadInput, match="no run measured both loss and acc"):
        measured(trials, ["a", "b"], (LOSS, ACC))
    with pytest.raises(BadInput, match="both results are loss"):
        measured(trials, ["a", "b"], (LOSS, Aim("loss", "higher")))
    with pytest.raises(NotFound, match="f1"):
        measured(trials, ["a", "b"], (LOSS, Aim("f1", "higher")))
    with pytest.raises(BadInput, match="lower or higher"):
        measured(trials, ["a", "b"], (LOSS, Aim("acc", "up")))


def test_predictions_keep_the_caps_and_carry_the_interval_of_the_fit(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    for at, (name, rows) in enumerate([("web", 60), ("wiki", 12)]):
        cat.ingest([write_jsonl(tmp_path / f"{name}.jsonl", [{"text": t} for t in sentences(rows, seed=at)])], name)
    rng, web = np.random.default_rng(0), np.linspace(0.05, 0.95, 24)
    trials = runs(
        web.tolist(), (3 - web + rng.normal(0, 0.01, 24)).tolist(), (0.6 - 0.4 * web + rng.normal(0, 0.01, 24)).tolist()
    )
    found = predicted(
        cat, SPEC, "regmix", (LOSS, ACC), trials, params={"model": "linear", "draws": 500}, now=(0.7, 0.3), draws=400
    )
    assert {point.kind for point in found.points} == {"best", "spec", "drawn"} and "conformal" in found.notes[0]
    shares = np.array([point.weights for point in found.points])
    assert (shares[:, 1] * 60 <= 3 * 12 + 1e-6).all() and np.allclose(shares.sum(axis=1), 1)
    spec = next(point for point in found.points if point.kind == "spec")
    assert spec.values == pytest.approx((2.3, 0.32), abs=0.03)
    low, high = spec.low[0], spec.high[0]
    assert low is not None and high is not None and low < spec.values[0] < high
    # more of one part costs the other result, so nothing drawn beats anything else
    assert all(point.front == 0 for point in found.points if point.kind == "drawn")
    with pytest.raises(BadInput, match="predicts no mix but its own"):
        predicted(cat, SPEC, "unimax", (LOSS, ACC), trials)
    with pytest.raises(BadInput, match="leave the parameter losses out"):
        predicted(cat, SPEC, "mixing_laws", (LOSS, ACC), trials, params={"losses": {"loss": 1}})
