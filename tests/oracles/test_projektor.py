"""projektor against the cells of the authors' notebook, exact transport, and a planted optimum."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import linprog

from catalog import Catalog
from catalog.errors import BadInput, Refused
from catalog.mixers import Task, Trials, get_mixer
from catalog.testing import append_texts, attach_columns
from flows.mixers._mixture_transport import MixtureTransport, calibrated
from flows.mixers._pilots import design, fit, pilots, project, value_and_slope
from flows.mixers._search import descend, onto_simplex
from flows.mixing import weigh
from flows.scorers.embedding._transport import cost
from flows.scorers.embedding._vectors import unit

ORACLES = {
    "projektor": "the authors' notebook: fit, predictions, projection and calibrated gradient; the exact linear program; a planted optimum"
}


@pytest.fixture(scope="module")
def golden():
    return json.loads((Path(__file__).parent / "data" / "projektor_golden.json").read_text())


def cloud(centre, rows, seed, spread=0.25):
    noise = np.random.default_rng(seed).standard_normal((rows, len(centre)))
    return unit(centre + spread * noise).astype(np.float32)


def three_parts(rows=40):
    """Three clusters, and a target that is 3 : 5 : 2 of them."""
    centres = unit(np.random.default_rng(7).standard_normal((3, 8)))
    parts = [cloud(centre, rows, seed) for seed, centre in enumerate(centres)]
    target = np.concatenate(
        [cloud(centre, count, 10 + seed) for seed, (centre, count) in enumerate(zip(centres, (18, 30, 12)))]
    )
    return parts, target


def exact_cost(price, mass):
    """Transport cost of the linear program with these masses on the rows and equal ones on the columns."""
    n, m = price.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    bounds = np.concatenate([mass, np.full(m, 1 / m)])
    return linprog(price.ravel(), A_eq=np.vstack([rows, columns]), b_eq=bounds, method="highs").fun


def shares_of(held):
    p, q = np.array(held["p"]), np.array(held["q"])
    return np.column_stack([p, q, 1 - p - q])


def test_fit_and_predictions_equal_the_notebook(golden):
    learned, whole = golden["learned"], golden["whole"]
    found = fit(shares_of(learned), np.array(learned["distance"]), np.array(learned["value"]), "notebook")
    for held in (learned, whole):
        guess = design(shares_of(held), np.array(held["distance"]), "notebook") @ found
        assert guess == pytest.approx(np.array(held["predicted"]), rel=1e-9)


def test_projection_equals_the_notebook(golden):
    found = project(np.array(golden["whole"]["predicted"]), np.array(golden["large"]), (1000, 1500), 10_000)
    assert found == pytest.approx(np.array(golden["projected"]), rel=1e-12)
    assert project(2.0, 3.0, (1000, 1500), 1000) == pytest.approx(2)
    assert project(2.0, 3.0, (1000, 1500), 1500) == pytest.approx(3)


def test_the_slope_of_the_distance_is_the_notebooks_calibrated_gradient(golden):
    duals = [np.array(held) for held in golden["gradient"]["duals"]]
    shares = np.array([len(held) for held in duals]) / 50
    found = calibrated(np.array([held.mean() for held in duals]), shares)
    assert found[:2] == pytest.approx(golden["gradient"]["slope"], rel=1e-12)


def test_distance_nears_exact_transport_and_its_slope_is_its_derivative():
    parts, target = three_parts(12)
    rows, shares = np.concatenate(parts), np.array([0.5, 0.2, 0.3])
    exact = exact_cost(cost(rows, target), np.repeat(shares / 12, 12))
    value, slope = MixtureTransport(parts, target, 0.01, tolerance=1e-8)(shares)
    assert value == pytest.approx(exact, rel=0.05)
    transport = MixtureTransport(parts, target, 0.05, tolerance=1e-9)
    value, slope = transport(shares)
    for one in (0, 1):
        step = 1e-4 * (np.eye(3)[one] - np.eye(3)[2])
        change = (transport(shares + step)[0] - transport(shares - step)[0]) / 2e-4
        assert slope[one] - slope[2] == pytest.approx(change, abs=1e-4)
    assert shares @ slope == pytest.approx(0, abs=1e-9)


def test_a_part_without_a_share_has_the_slope_of_a_part_with_hardly_any():
    parts, target = three_parts()
    transport = MixtureTransport(parts, target, 0.02)
    _, none = transport(np.array([0.6, 0.4, 0]))
    _, little = transport(np.array([0.6, 0.4, 0.03]) / 1.03)
    assert none == pytest.approx(little, abs=0.1) and none[2] < 0  # the target holds the third cluster too


@pytest.mark.parametrize("terms", ["equation", "notebook"])
def test_the_slope_of_a_fit_is_its_derivative(terms):
    rng = np.random.default_rng(3)
    found = rng.standard_normal(design(np.ones((1, 4)) / 4, np.ones(1), terms).shape[1])
    shares, distance, slope = rng.dirichlet(np.ones(4)), 0.7, rng.standard_normal(4)
    value, down = value_and_slope(found, shares, distance, slope, terms)
    assert value == pytest.approx(float((design(shares[None], np.array([distance]), terms) @ found)[0]))
    for part in range(4):
        step = 1e-6 * np.eye(4)[part]
        up, low = (value_and_slope(found, shares + s, distance + s @ slope, slope, terms)[0] for s in (step, -step))
        assert down[part] == pytest.approx((up - low) / 2e-6, rel=1e-5, abs=1e-6)


def test_projected_gradient_finds_a_bounded_optimum():
    best, most = np.array([0.7, 0.2, 0.1, 0.0]), np.array([0.5, 1, 1, 1])
    _, found = descend(
        lambda w: (float(((w - best) ** 2).sum()), 2 * (w - best)), np.array([0.1, 0.2, 0.3, 0.4]), most, 100
    )
    assert found == pytest.approx(onto_simplex(best, most), abs=1e-5) and found[0] == pytest.approx(0.5)
    assert onto_simplex(np.array([3.0, 1, 1, 1]), np.ones(4)) == pytest.approx([1, 0, 0, 0])


def runs_of(truth, transport, count=24, sizes=(1_000, 4_000), noise=0.0):
    """Runs at two sizes whose loss falls with the logarithm of the size, by the planted function of p and distance."""
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.ones(3), count)
    losses = [truth(row, transport(row)[0], size) + noise * rng.standard_normal() for size in sizes for row in shares]
    nan = np.full(2 * count, np.nan)
    return Trials(
        np.tile(shares, (2, 1)), {"loss": np.array(losses)}, np.repeat(sizes, count).astype(float), nan,
        np.zeros(2 * count, np.int64),
    )  # fmt: skip


def truth(shares, distance, size):
    """Near the target is good, more so for a large run; the third part helps beyond that."""
    return 4 - 0.1 * np.log(size) + (0.5 + 0.1 * np.log(size)) * distance - 0.15 * shares[2]


def planted(noise=0.0, budget=64_000, **params):
    parts, target = three_parts()
    mixer = get_mixer("projektor")
    runs = runs_of(truth, MixtureTransport(parts, target, 0.05), noise=noise)
    return mixer, Task(
        ("a", "b", "c"), np.full(3, 1e5), mixer.parse_params({"target": "planted", **params}), budget, goal="loss",
        trials=runs, vectors=tuple(parts), target=target,
    )  # fmt: skip


def grid_best(task, budget):
    grid = np.array([[i, j, 25 - i - j] for i in range(26) for j in range(26 - i)]) / 25
    transport = MixtureTransport(list(task.vectors), task.target, 0.05)
    values = [truth(row, transport(row)[0], budget) for row in grid]
    return grid[int(np.argmin(values))], min(values)


@pytest.mark.parametrize("terms", ["equation", "notebook"])
def test_the_planted_optimum_is_found_at_a_size_that_no_run_had(terms):
    mixer, task = planted(terms=terms)
    answer = mixer.answer(task)
    best, least = grid_best(task, 64_000)
    assert answer.weights == pytest.approx(best, abs=0.04)
    assert answer.predicted == pytest.approx(least, abs=0.01) and answer.predicted < least + 1e-3
    assert answer.report["runs"] == [24, 24] and answer.report["sizes"] == {"small": 1_000, "large": 4_000}


def test_noise_widens_the_interval_and_moves_the_optimum_little():
    mixer, task = planted(noise=0.005, terms="notebook")
    answer = mixer.answer(task)
    least = grid_best(task, 64_000)[1]
    assert answer.low < least < answer.high and answer.high - answer.low > 0.02
    transport = MixtureTransport(list(task.vectors), task.target, 0.05)
    even = truth(np.full(3, 1 / 3), transport(np.full(3, 1 / 3))[0], 64_000)
    assert truth(answer.weights, transport(answer.weights)[0], 64_000) < even


def test_caps_hold_and_what_if_answers_for_other_mixes():
    mixer, task = planted(terms="notebook")
    capped = Task(**{**task.__dict__, "supply": np.array([1e5, 1e4, 1e5]), "caps": np.array([1.0, 1.0, 1.0])})
    answer = mixer.answer(capped)
    assert answer.weights[1] * 64_000 <= 1e4 * (1 + 1e-6)
    assert answer.predict(answer.weights[None])[0] == pytest.approx(answer.predicted, abs=1e-6)


def test_one_size_too_few_runs_and_no_target_are_refused():
    mixer, task = planted()
    one = task.trials.only(task.trials.tokens < 2_000)
    with pytest.raises(BadInput, match="needs 28 trials"):
        mixer.answer(Task(**{**task.__dict__, "trials": one}))
    with pytest.raises(BadInput, match="two sizes"):
        pilots(Trials(one.weights, one.results, one.tokens * 1.01, one.size, one.seed), 14)
    with pytest.raises(BadInput, match="param target"):
        mixer.answer(Task(**{**task.__dict__, "vectors": None}))


@pytest.fixture
def cat(tmp_path):
    """Three datasets and a target with vectors; the target is of a kind with the second."""
    cat = Catalog.open(tmp_path / "home")
    parts, target = three_parts()
    for name, points in (("one", parts[0]), ("two", parts[1]), ("three", parts[2]), ("wanted", target[18:48])):
        append_texts(cat, name, [f"{name} number {row} of some words" for row in range(len(points))])
        attach_vectors(cat, name, points)
    append_texts(cat, "bare", ["a text"] * 5)
    append_texts(cat, "test", ["a question"] * 5, role="eval")
    return cat


def attach_vectors(cat, name, points):
    held = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), points.shape[1])
    attach_columns(cat, name, {"embedding": held})


def test_from_a_spec_and_a_table_to_weights(cat, tmp_path):
    rng, lines = np.random.default_rng(0), ["one,two,three,tokens,loss"]
    for size in (20, 60):
        for row in rng.dirichlet(np.ones(3), 12):
            loss = 3 - 0.1 * np.log(size) + 0.8 * (1 - row[1]) ** 2
            lines.append(",".join(f"{value:.6f}" for value in [*row, size, loss]))
    table = tmp_path / "runs.csv"
    table.write_text("\n".join(lines) + "\n")
    spec = {"name": "near", "total": 30, "parts": [{"dataset": name} for name in ("one", "two", "three")]}
    options = {"trials": table, "goal": "loss"}
    found = weigh(cat, spec, "projektor", params={"target": "wanted", "terms": "notebook"}, **options)
    weights = {row["part"]: row["weight"] for row in found.rows}
    assert weights["two"] > 0.6
    for params, kind, said in [
        ({"target": "test"}, Refused, "role eval"), ({}, BadInput, "--param target"),
        ({"target": "bare"}, BadInput, "bare has no column embedding"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=said):
            weigh(cat, spec, "projektor", params={**params, "terms": "notebook"}, **options)
    table.write_text("one,bare,tokens,loss\n" + "0.5,0.5,20,1\n" * 40)
    with pytest.raises(BadInput, match="bare has no column embedding"):
        bare = {**spec, "parts": [{"dataset": "one"}, {"dataset": "bare"}]}
        weigh(cat, bare, "projektor", params={"target": "wanted"}, **options)
