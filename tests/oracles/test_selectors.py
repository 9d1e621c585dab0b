"""Selectors against what nobody here wrote: official orders, brute force, plain loops and closed forms."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from catalog.selectors import Budget, Choice, get_selector
from flows.selecting import run_selector
from flows.selectors.dpp import greedy_map
from flows.selectors.facility_location import lazy_greedy
from flows.selectors.subsample import inclusion

ORACLES = {
    "facility_location": "apricot-select: the same order and gains; naive greedy",
    "kmq": "numpy's draws without replacement, by simulation; shares counted",
    "quad": "a scripted table of rewards, pull by pull",
    "kcenter": "twice the optimum by enumeration; the plain loop",
    "dpp": "numpy's slogdet, increment by increment",
    "deita": "the quadratic loop, one row a batch",
    "softmax": "QuRating's probabilities, by simulation",
    "gumbel_topk": "drawing one after another without replacement, by simulation",
    "soft_cap": "the counts of the authors' loop",
    "stratified": "the shares asked for, counted",
    "rs2": "rounds share no row until all are used",
    "topk": "sorting in plain Python",
    "random": "equal shares, by simulation",
    "quantile_band": "numpy's quantiles",
}

GOLDEN = json.loads((Path(__file__).parent / "data" / "apricot_golden.json").read_text())


def unit(rows: int, dimensions: int, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((rows, dimensions))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def vectors(points: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(points.astype(np.float32).ravel()), points.shape[1])


def run(name: str, columns: dict, amount: int, *, seed: int = 0, better: str | None = "higher", costs=None, **params):
    """A selector over columns; costs: tokens, else the budget counts samples."""
    plugin = get_selector(name)
    rows = pa.table(columns)
    ids = np.array([f"{i:032x}" for i in range(rows.num_rows)], "S32")
    unit_ = "samples" if costs is None else "tokens"
    budget = Budget(amount, unit_, np.ones(rows.num_rows, np.int64) if costs is None else np.asarray(costs))
    parsed = plugin.parse_params(params)
    better_of = dict.fromkeys(plugin.columns(parsed), better)
    return run_selector(plugin, rows, budget, Choice(parsed, ids, seed, better_of))


# -- facility location ---------------------------------------------------------------------------------------------


def similarity(points: np.ndarray) -> np.ndarray:
    return np.maximum(points @ points.T, 0)


def first_tie(similar: np.ndarray, order: list[int]) -> int:
    """The first step of a greedy order that two rows could take: near ones that only cover each other gain the same."""
    best = np.zeros(len(similar))
    for step, row in enumerate(order):
        gains = np.maximum(similar - best[:, None], 0).sum(axis=0)
        gains[order[:step]] = -1
        if np.diff(np.sort(gains)[-2:])[0] < 1e-5:
            return step
        best = np.maximum(best, similar[:, row])
    return len(order)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['rows']}x{case['dimensions']}")
def test_facility_location_has_apricots_order_and_gains(case):
    points = unit(case["rows"], case["dimensions"], case["seed"])
    wanted = case["order"]
    order, gains = lazy_greedy(points.astype(np.float32), np.ones(len(points), np.int64), len(wanted))
    last = first_tie(similarity(points), wanted)
    assert last >= 40 and order[:last].tolist() == wanted[:last]
    assert gains[:last] == pytest.approx(case["gains"][:last], abs=1e-4)
    assert gains.sum() == pytest.approx(sum(case["gains"]), rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_lazy_greedy_is_naive_greedy(seed):
    points = unit(150, 6, seed)
    similar = similarity(points)
    best, naive = np.zeros(150), []
    for _ in range(30):
        gains = np.maximum(similar - best[:, None], 0).sum(axis=0)
        gains[naive] = -1
        naive.append(int(gains.argmax()))
        best = np.maximum(best, similar[:, naive[-1]])
    order, _ = lazy_greedy(points.astype(np.float32), np.ones(150, np.int64), 30)
    last = first_tie(similar, naive)
    assert last >= 15 and order[:last].tolist() == naive[:last]


def test_facility_location_in_shards_covers_nearly_as_much():
    columns = {"embedding": vectors(unit(600, 12, 4))}
    whole = run("facility_location", columns, 60)
    parts = run("facility_location", columns, 60, shards=4)
    points = unit(600, 12, 4)

    def covered(order):
        return np.maximum(points @ points[order].T, 0).max(axis=1).sum()

    plain = run("random", columns, 60)
    assert len(parts.order) == 60 and covered(plain.order) < covered(parts.order) <= covered(whole.order)


def test_facility_location_goes_in_parts_above_the_rows_it_holds(monkeypatch):
    from flows.selectors import facility_location

    columns = {"embedding": vectors(unit(90, 4, 1))}
    held = run("facility_location", columns, 10)
    assert held.report["shards"] == 1
    monkeypatch.setattr(facility_location, "EXACT", 40)
    parts = run("facility_location", columns, 10)
    computed = run("facility_location", columns, 10, shards=1)  # similarities computed when asked for
    assert parts.report["shards"] == 3 and parts.order.tolist() != held.order.tolist()
    assert computed.order.tolist() == held.order.tolist()


# -- k-center ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_kcenter_is_within_twice_the_optimum(seed):
    points = np.random.default_rng(seed).standard_normal((13, 2)).astype(np.float32)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    for k in (1, 2, 3, 4):
        optimum = min(distance[:, list(pick)].min(axis=1).max() for pick in combinations(range(13), k))
        made = run("kcenter", {"embedding": vectors(points)}, k, seed=seed, metric="euclidean")
        radius = distance[:, made.order].min(axis=1).max()
        assert made.report["radius"] == pytest.approx(radius, abs=1e-3)
        assert radius <= 2 * optimum + 1e-6


def test_kcenter_is_the_plain_loop():
    points = unit(80, 5, 1)
    made = run("kcenter", {"embedding": vectors(points)}, 20)
    order = [int(made.order[0])]
    while len(order) < 20:
        gaps = np.linalg.norm(points[:, None] - points[order][None], axis=2).min(axis=1)
        order.append(int(gaps.argmax()))
    assert made.order.tolist() == order


# -- determinantal point processes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["cosine", "gaussian"])
def test_dpp_increments_are_those_of_slogdet(kernel):
    points = unit(60, 20, 2)
    quality = np.random.default_rng(5).standard_normal(60)
    made = run("dpp", {"embedding": vectors(points), "q": quality}, 12, kernel=kernel, by="q")
    held = points.astype(np.float32).astype(np.float64)
    held /= np.linalg.norm(held, axis=1, keepdims=True)
    similar = held @ held.T
    similar = np.exp((similar - 1) / 0.25) if kernel == "gaussian" else similar
    scale = np.exp(0.5 * (quality - quality.mean()) / quality.std())
    matrix = scale[:, None] * similar * scale
    chosen: list[int] = []
    for _ in range(12):  # the reference asks numpy for every determinant anew
        gains = [
            -np.inf if i in chosen else np.linalg.slogdet(matrix[np.ix_([*chosen, i], [*chosen, i])])[1]
            for i in range(60)
        ]
        chosen.append(int(np.argmax(gains)))
    assert made.order.tolist() == chosen
    assert made.report["log det"] == pytest.approx(np.linalg.slogdet(matrix[np.ix_(chosen, chosen)])[1], abs=1e-5)


def test_dpp_stops_where_the_kernel_has_no_more_rank():
    points = np.repeat(unit(4, 4, 1), 5, axis=0)
    made = run("dpp", {"embedding": vectors(points)}, 15, kernel="cosine")
    assert len(made.order) == 4 and made.report["stopped by"] == "rank"
    assert len({int(i) // 5 for i in made.order}) == 4


def test_greedy_map_first_takes_the_largest_diagonal():
    matrix = np.diag([1.0, 3.0, 2.0])
    order, gains = greedy_map(
        lambda at: matrix[:, at].copy(), np.diag(matrix), Budget(3, "samples", np.ones(3, np.int64))
    )
    assert order.tolist() == [1, 2, 0] and gains == pytest.approx(np.log([3.0, 2.0, 1.0]))


# -- DEITA ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_deita_is_the_quadratic_loop(threshold):
    rng = np.random.default_rng(7)
    points = unit(1300, 6, 8)
    quality, complexity = rng.uniform(1, 6, 1300), rng.uniform(1, 6, 1300)
    columns = {"quality": quality, "complexity": complexity, "embedding": vectors(points)}
    made = run("deita", columns, 400, by=["complexity", "quality"], threshold=threshold)
    kept: list[int] = []
    held = points.astype(np.float32)
    held = held / np.linalg.norm(held, axis=1, keepdims=True)
    for row in np.argsort(-(quality * complexity), kind="stable"):
        if len(kept) == 400:
            break
        if all(float(held[row] @ held[other]) <= threshold for other in kept):
            kept.append(int(row))
    assert made.order.tolist() == kept


# -- sampling ------------------------------------------------------------------------------------------------------


def test_softmax_draws_the_first_row_with_quratings_probabilities():
    ratings = np.array([0.0, 1.0, 2.0, 5.0, -3.0])
    logits = (ratings - ratings.mean()) / ratings.std() / 0.7
    wanted = np.exp(logits) / np.exp(logits).sum()
    counts = np.zeros(5)
    for seed in range(6000):
        counts[run("softmax", {"r": ratings}, 1, seed=seed, by="r", temperature=0.7).order[0]] += 1
    assert np.abs(counts / 6000 - wanted).max() < 4 * np.sqrt(0.25 / 6000)


def test_gumbel_topk_has_the_probabilities_of_drawing_without_replacement():
    weights = np.array([0.5, 0.3, 0.2])
    counts: dict[tuple, int] = {}
    for seed in range(6000):
        pair = tuple(run("gumbel_topk", {"w": np.log(weights)}, 2, seed=seed, by="w").order.tolist())
        counts[pair] = counts.get(pair, 0) + 1
    for first in range(3):
        for second in set(range(3)) - {first}:
            wanted = weights[first] * weights[second] / (1 - weights[first])
            assert abs(counts[first, second] / 6000 - wanted) < 4 * np.sqrt(0.25 / 6000)


def test_directions_are_respected():
    values = np.arange(50.0)
    for name, extra in (("topk", {}), ("softmax", {"temperature": 0.01}), ("gumbel_topk", {"temperature": 1e-6})):
        high = run(name, {"v": values}, 10, by="v", **extra)
        low = run(name, {"v": values}, 10, by="v", better="lower", **extra)
        assert high.order.tolist() == list(range(49, 39, -1)) and low.order.tolist() == list(range(10))


def test_soft_cap_has_the_counts_of_the_authors_loop():
    """Their notebook: batches by softmax without replacement, then the penalty; mean copies over many seeds agree."""
    scores, penalty, draws, batch = np.linspace(-1, 2, 40), 0.5, 60, 4
    ours, theirs, rng = np.zeros(40), np.zeros(40), np.random.default_rng(0)
    for seed in range(400):
        made = run("soft_cap", {"s": scores}, draws, seed=seed, by="s", penalty=penalty, batch=batch)
        assert made.weights.sum() == draws
        ours[made.order] += made.weights
        held = scores.copy()
        for _ in range(draws // batch):
            chance = np.exp(held - held.max())
            taken = rng.choice(40, size=batch, p=chance / chance.sum(), replace=False)
            theirs[taken] += 1
            held[taken] -= penalty
    assert np.abs(ours - theirs).max() / 400 < 0.35 and np.corrcoef(ours, theirs)[0, 1] > 0.995


def test_sensitivity_weights_are_unbiased():
    """Over all draws the weighted sum of any column has the plain sum as its mean."""
    rng = np.random.default_rng(3)
    points, loss = rng.standard_normal((60, 3)), rng.uniform(0.2, 2, 60)
    sums, counts = [], []
    for seed in range(150):
        made = run("sensitivity", {"l": loss, "embedding": vectors(points)}, 40, seed=seed, by="l", clusters=5)
        sums.append((made.weights * loss[made.order]).sum())
        counts.append(made.weights.sum())
    assert np.mean(sums) == pytest.approx(loss.sum(), abs=4 * np.std(sums) / np.sqrt(150))
    assert np.mean(counts) == pytest.approx(60, abs=4 * np.std(counts) / np.sqrt(150))


def test_inclusion_probabilities_add_up_and_the_certain_are_certain():
    size = np.array([100.0, 1, 1, 1, 1])
    assert inclusion(size, np.ones(5), 3) == pytest.approx([1, 0.5, 0.5, 0.5, 0.5])
    assert inclusion(size, np.ones(5), 7) == pytest.approx(np.ones(5))
    rng = np.random.default_rng(0)
    size, costs = rng.lognormal(0, 2, 200), rng.integers(1, 50, 200)
    chance = inclusion(size, costs, 900)
    assert chance.max() <= 1 and (chance * costs).sum() == pytest.approx(900)


def test_quadmix_rate_is_equation_three():
    from flows.selectors.quadmix import rate

    ranks = np.array([0.0, 0.05, 0.1, 0.11, 1.0])
    wanted = [(2 / (1 + np.exp(-50 * (0.1 - r)))) ** 0.8 + 0.01 if r <= 0.1 else 0.01 for r in ranks]
    assert rate(ranks, 50, 0.1, 0.8, 0.01) == pytest.approx(wanted)


def test_quotas_meet_their_shares_and_say_what_is_short():
    language = ["en"] * 70 + ["de"] * 20 + ["fr"] * 4 + [None] * 6
    columns = {"language": language, "v": np.arange(100.0)}
    made = run("stratified", columns, 40, within="language", by="v", shares={"en": 2, "de": 1, "fr": 1, "sw": 0})
    groups = made.report["groups"]
    assert groups["en"] == {"quota": 20, "given": 20, "short": 0} and groups["fr"]["short"] == 6
    assert made.report["short"] == 6 and len(made.order) == 34
    spilled = run("stratified", columns, 40, within="language", by="v", shares={"en": 2, "de": 1, "fr": 1}, spill=True)
    assert len(spilled.order) == 40
    even = run("stratified", columns, 24, within="language", shares="equal")
    assert [even.report["groups"][g]["given"] for g in ("de", "en", "fr", "unknown")] == [6, 6, 4, 6]


def test_rounds_of_rs2_share_no_row_until_all_are_used():
    rounds = [run("rs2", {"v": np.zeros(50)}, 12, round=r).order for r in range(5)]
    assert len(np.unique(np.concatenate(rounds[:4]))) == 48
    assert len(rounds[4]) == 12 and len(np.intersect1d(rounds[4], rounds[0])) > 0
    free = [run("rs2", {"v": np.zeros(50)}, 12, round=r, replacement=True).order for r in range(5)]
    assert len(np.unique(np.concatenate(free))) < 50


def test_topk_is_a_sort():
    values = np.random.default_rng(1).integers(0, 20, 60)
    wanted = sorted(range(60), key=lambda row: (-values[row], row))[:25]
    assert run("topk", {"v": values}, 25, by="v").order.tolist() == wanted
    assert (
        run("topk", {"v": values}, 25, by="v", better="lower").order.tolist()
        == sorted(range(60), key=lambda row: (values[row], row))[:25]
    )


def test_every_row_is_as_likely_in_a_random_choice_and_in_a_band():
    values, counts, band = np.arange(40.0), np.zeros(40), np.zeros(40)
    for seed in range(400):
        counts[run("random", {"v": values}, 10, seed=seed).order] += 1
        band[run("quantile_band", {"v": values}, 10, seed=seed, by="v", low=0.25, high=0.75).order] += 1
    inside = (values >= np.quantile(values, 0.25)) & (values <= np.quantile(values, 0.75))
    assert np.abs(counts / 400 - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 400)
    assert not band[~inside].any() and np.abs(band[inside] / 400 - 0.5).max() < 5 * np.sqrt(0.25 / 400)


# -- clusters as arms ----------------------------------------------------------------------------------------------


def test_kmq_draws_inside_a_cluster_as_the_authors_do():
    quality = np.array([0.0, 1.0, 2.0, 0.5, -1.0, 3.0])
    chance = np.exp(quality) / np.exp(quality).sum()
    ours, theirs, rng = np.zeros(6), np.zeros(6), np.random.default_rng(0)
    for seed in range(3000):
        made = run("kmq", {"q": quality, "c": ["a"] * 6}, 2, seed=seed, by="q", within="c")
        ours[made.order] += 1
        theirs[rng.choice(6, 2, replace=False, p=chance)] += 1
    assert ours / 3000 == pytest.approx(theirs / 3000, abs=0.04)


def test_kmq_gives_clusters_their_shares_and_weights():
    columns = {"q": np.zeros(100), "c": ["a"] * 60 + ["b"] * 30 + ["d"] * 10}
    counts = {}
    for name, more in (("size", {}), ("equal", {"shares": "equal"}), ("graded", {"weights": {"a": 0.0, "b": 0.5}})):
        made = run("kmq", columns, 30, by="q", within="c", **more)
        counts[name] = [made.report["clusters"][c]["given"] for c in ("a", "b", "d")]
    assert counts == {"size": [18, 9, 3], "equal": [10, 10, 10], "graded": [0, 20, 10]}  # d has only ten


def test_kmq_clusters_vectors():
    centres = np.eye(4)[np.arange(80) % 4] + 0.01 * np.random.default_rng(0).standard_normal((80, 4))
    made = run("kmq", {"q": np.zeros(80), "v": vectors(centres)}, 8, by="q", vectors="v", clusters=4)
    assert np.bincount(made.order % 4).tolist() == [2, 2, 2, 2]


def test_the_bandit_pulls_the_arms_of_ucb_on_a_scripted_table():
    from flows.selectors.quad import bandit

    rewards = np.random.default_rng(0).uniform(0, 1, (4, 30)) + np.array([[0.0], [0.5], [0.2], [0.9]])
    members = [np.arange(30) + 30 * arm for arm in range(4)]
    for alpha in (0.0, 0.3, 5.0):
        seen: list[list[float]] = [[], [], [], []]
        wanted = []
        for pull in range(60):  # UCB as it is written, one arm after the other
            worth = []
            for heard in seen:
                if 2 * len(heard) >= 30:
                    worth.append(-np.inf)
                elif not heard:
                    worth.append(np.inf)
                else:
                    worth.append(np.mean(heard) + alpha * np.sqrt(2 * np.log(pull) / len(heard)))
            arm = worth.index(max(worth))
            at = 2 * len(seen[arm])
            seen[arm].append(rewards[arm, at : at + 2].mean())
            wanted.append(arm)
        made = bandit(lambda rows: rewards.ravel()[rows], members, np.ones(120, np.int64), 120, alpha=alpha, batch=2)
        assert made.arms == wanted and made.looked == 120
    short = bandit(lambda rows: rewards.ravel()[rows], members, np.ones(120, np.int64), 20, alpha=0.0, batch=2)
    assert short.arms == [0, 1, 2, *[3] * 7] and len(short.taken) == 20


def test_quad_finds_the_good_clusters_from_a_part_of_the_rows():
    rng = np.random.default_rng(0)
    cluster = rng.integers(10, size=2000)
    reward = cluster / 10 + 0.1 * rng.standard_normal(2000)
    columns = {"r": reward, "c": [str(c) for c in cluster]}
    made = run("quad", columns, 300, by="r", within="c", alpha=0.2, threshold=0.5)
    plain = run("random", columns, 300)
    assert reward[made.order].min() >= 0.5 and reward[made.order].mean() > reward[plain.order].mean() + 0.3
    assert made.report["looked at"] < 600
    lowest = run("quad", columns, 50, by="r", within="c", order="lowest", alpha=0.2, threshold=0.3)
    assert reward[lowest.order].max() <= 0.3
