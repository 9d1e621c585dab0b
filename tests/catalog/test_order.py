"""The order of a mix as a pure function: exact counts, small deviation, closed form, independent of how it is read."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput
from catalog.pull import order, permute
from catalog.pull.order import Order, Segment, whole
from catalog.pull.reader import Steps

counts_strategy = st.lists(st.integers(0, 90), min_size=1, max_size=7).filter(sum)


def sequence(counts):
    made = Order([whole(counts)])
    return made, *made.locate(np.arange(made.total))


def deviation(parts, counts):
    """Largest distance of any part from its exact share, over all prefixes."""
    total = len(parts)
    served = np.cumsum(np.eye(len(counts), dtype=np.int64)[parts], axis=0)
    return np.abs(served - np.outer(np.arange(1, total + 1), np.array(counts) / total)).max()


def naive_chairman(counts):
    """Tijdeman's rule as published, one step at a time in exact arithmetic."""
    used = [part for part, count in enumerate(counts) if count]
    total, scale, given_out, out = sum(counts), 2 * len(used) - 2, dict.fromkeys(used, 0), []
    for now in range(1, total + 1):
        ready = [p for p in used if scale * (counts[p] * now - given_out[p] * total) >= total]
        due = {p: ((scale - 1 + scale * given_out[p]) * total) // (scale * counts[p]) for p in ready}
        chosen = min(ready, key=lambda p: (due[p], p))
        given_out[chosen] += 1
        out.append(chosen)
    return out


@given(counts_strategy)
@settings(max_examples=150, deadline=None)
def test_every_part_gives_its_items_in_order(counts):
    _, parts, items = sequence(counts)
    for part, count in enumerate(counts):
        assert items[parts == part].tolist() == list(range(count))


@given(counts_strategy.filter(lambda counts: sum(1 for c in counts if c) > 1))
@settings(max_examples=150, deadline=None)
def test_one_period_is_the_chairman_assignment(counts):
    _, parts, _ = sequence(counts)
    used = sum(1 for count in counts if count)
    assert deviation(parts, counts) <= 1 - 1 / (2 * used - 2) + 1e-9
    assert parts.tolist() == naive_chairman(counts)


@given(counts_strategy, st.integers(16, 60))
@settings(max_examples=150, deadline=None)
def test_wheels_within_wheels_stay_exact(counts, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "LIMIT", limit)
        made, parts, items = sequence(counts)
        for part, count in enumerate(counts):
            assert items[parts == part].tolist() == list(range(count))
        depth, wheel = 0, made._wheel(0)
        while wheel is not None:
            depth, wheel = depth + 1, wheel.inner
        assert deviation(parts, counts) < 3 * depth
        for index in range(0, made.total + 1, 1 + made.total // 20):
            assert made.served(index) == [int((parts[:index] == p).sum()) for p in range(len(counts))]


def windows(parts, counts):
    """Largest distance of any part's count from its share of the length, over all windows: of two prefixes each."""
    total, worst = len(parts), 0.0
    for part, count in enumerate(counts):
        ahead = np.concatenate([[0], np.cumsum(parts == part)]) - np.arange(total + 1) * (count / total)
        worst = max(worst, float(ahead.max() - ahead.min()))
    return worst


@given(st.lists(st.integers(0, 200), min_size=1, max_size=12).filter(sum))
@settings(max_examples=150, deadline=None)
def test_every_window_of_a_period_is_within_two(counts):
    _, parts, _ = sequence(counts)
    assert windows(parts, counts) < 2


@given(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.data())
@settings(max_examples=100, deadline=None)
def test_every_window_of_every_stage_is_within_two(counts, data):
    """Each stage of a chain keeps to its own weights; a cut one too."""
    more = data.draw(st.lists(st.integers(0, 60), min_size=len(counts), max_size=len(counts)).filter(sum))
    cut = data.draw(st.integers(1, sum(counts)))
    first = Segment(0, cut, tuple(counts), (0,) * len(counts))
    chain = Order([first, order.chained([first], more, Order([first]).served(cut))])
    parts, items = chain.locate(np.arange(chain.total))
    assert windows(np.append(parts[:cut], sequence(counts)[1][cut:]), counts) < 2
    assert windows(parts[cut:], more) < 2
    for part in range(len(counts)):
        assert items[parts == part].tolist() == list(range(int((parts == part).sum())))


@pytest.mark.parametrize(("total", "parts", "seed"), [(200_000, 3, 0), (400_000, 30, 1), (700_000, 100, 2)])
def test_windows_of_long_mixes_stay_within_four(total, parts, seed):
    """Past 65,536 items wheels turn in wheels: the proven bound is six a wheel, what comes up is below four."""
    counts = np.maximum(1, np.random.default_rng(seed).dirichlet(np.full(parts, 0.7)) * total).astype(int).tolist()
    assert windows(sequence(counts)[1], counts) < 4


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(sum), st.integers(100, 3000), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_weights_with_a_period_keep_every_window_within_two_at_any_length(weights, total, more):
    """Counts of weights like 7 : 2 : 1 begin a repeated period; every prefix is within one of weight x length."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "LIMIT", 60)
        patch.setattr(order, "LONGEST", 250)
        shares = [Fraction(weight, 10) for weight in weights]
        counts = order.exact(total, shares)
        made = Order([order.chained([], counts, [3] * len(weights), shares)])
        assert made.segments[0].turns == -(-total // sum(order.period_of(shares)))
        parts, items = Order.from_json([held.to_json() for held in made.segments]).locate(np.arange(total))
        assert np.bincount(parts, minlength=len(weights)).tolist() == counts
        for part, count in enumerate(counts):
            assert items[parts == part].tolist() == list(range(3, 3 + count))
        exactly = np.outer(np.arange(1, total + 1), np.array(weights) / sum(weights))
        ahead = np.vstack([np.zeros(len(weights)), np.cumsum(np.eye(len(weights))[parts], axis=0) - exactly])
        assert np.abs(ahead).max() < 1 and np.ptp(ahead, axis=0).max() < 2
        wider = [replace(held, counts=(*held.counts, *[0] * more), cursors=(*held.cursors, *[0] * more))
                 for held in made.segments]  # fmt: skip
        assert np.array_equal(Order(wider).locate(np.arange(total))[0], parts)
        for index in range(0, total + 1, 1 + total // 20):
            assert made.served(index) == [3 + int((parts[:index] == p).sum()) for p in range(len(counts))]


def test_a_billion_items_by_decimal_weights_are_within_two_in_every_window():
    shares = [Fraction("0.3162"), Fraction("0.6"), Fraction("0.0838")]
    counts = order.exact(10**9 + 7, shares)
    made = Order([whole(counts, shares)])
    assert made._wheel(0).inner is None and sum(counts) == 10**9 + 7 == made.total
    places = np.unique(np.concatenate([np.random.default_rng(0).integers(0, made.total, 3000), [made.total]]))
    ahead = np.array([np.array(made.served(int(place))) - place * np.array([0.3162, 0.6, 0.0838]) for place in places])
    assert np.abs(ahead).max() < 1


def test_counts_that_share_a_divisor_repeat_a_period_too():
    made = whole([700_000, 200_000, 100_000])
    assert made.turns == 16 and sum(made.counts) >= made.length == 1_000_000
    assert windows(sequence([700_000, 200_000, 100_000])[1], [700_000, 200_000, 100_000]) < 2
    assert whole([700_001, 200_000, 100_000]).turns == 0


@given(counts_strategy, st.integers(16, 60), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_parts_that_are_added_later_do_not_move_what_was(counts, limit, more):
    """A revision writes the old segments over more parts; without items of theirs the order is the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "LIMIT", limit)
        _, parts, items = sequence(counts)
        _, wider, again = sequence([*counts, *([0] * more)])
    assert np.array_equal(parts, wider) and np.array_equal(items, again)


def test_a_small_part_of_a_long_mix_is_spread():
    counts = [700_000, 150_000, 40, 1]
    _, parts, items = sequence(counts)
    assert np.bincount(parts, minlength=4).tolist() == counts
    assert deviation(parts, counts) < 3
    rare = np.flatnonzero(parts == 2)
    assert rare.min() < len(parts) / 20 and rare.max() > len(parts) * 19 / 20
    assert (items[parts == 0] == np.arange(700_000)).all()


def test_no_memory_grows_with_the_mix():
    made = Order([whole([3 * 10**11, 7 * 10**10, 12_345])])
    parts, items = made.locate(np.array([0, made.total // 2, made.total - 1]))
    assert items[0] == 0
    assert (np.abs(items[1] - made.served(made.total // 2)[parts[1]]) == 0).all()
    assert made.served(made.total) == [3 * 10**11, 7 * 10**10, 12_345]


def test_weights_can_change_in_mid_run():
    first = whole([60, 30])
    cut = Order([first]).served(45)
    changed = Order([Segment(0, 45, first.counts, first.cursors), Segment(45, 60, (20, 40), tuple(cut))])
    parts, items = changed.locate(np.arange(105))
    before = Order([first]).locate(np.arange(45))
    assert (parts[:45] == before[0]).all() and (items[:45] == before[1]).all()
    for part in (0, 1):
        assert items[parts == part].tolist() == list(range(cut[part] + (20, 40)[part]))
    assert changed.served(45) == cut and changed.served(105) == [cut[0] + 20, cut[1] + 40]


def test_an_index_outside_is_refused():
    made = Order([whole([3, 2])])
    for index in (-1, 5):
        with pytest.raises(BadInput, match="5 items"):
            made.locate(np.array([index]))


@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_the_shuffle_is_a_permutation_with_an_inverse(rows, seed, epoch):
    keys = permute.round_keys(seed, "web@v1|", epoch)
    images = permute.permute(np.arange(rows), rows, keys)
    assert np.array_equal(np.sort(images), np.arange(rows))
    assert np.array_equal(permute.inverse(images, rows, keys), np.arange(rows))
    some = np.arange(rows)[::-7]
    assert np.array_equal(permute.permute(some, rows, keys), images[some])


def test_the_shuffle_is_fair():
    """Chi-square over all 24 orders of four rows, 4,800 seeds: below the 0.999 quantile of 23 degrees of freedom."""
    seen: dict[tuple[int, ...], int] = {}
    for seed in range(4800):
        image = tuple(permute.permute(np.arange(4), 4, permute.round_keys(seed, "p", 0)).tolist())
        seen[image] = seen.get(image, 0) + 1
    assert len(seen) == 24
    assert sum((count - 200) ** 2 / 200 for count in seen.values()) < 49.7


def test_neighbours_land_far_apart_and_epochs_differ():
    rows = 100_000
    images = permute.permute(np.arange(rows), rows, permute.round_keys(1, "a", 0))
    assert abs(np.corrcoef(images[:-1], images[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.arange(rows), images)[0, 1]) < 0.02
    other = permute.permute(np.arange(rows), rows, permute.round_keys(1, "a", 1))
    assert (images == other).sum() < 20


def test_the_order_never_changes_under_a_published_lock():
    """Golden values: a change here breaks every lock; give the algorithm a new name instead."""
    parts, items = Order([whole([5, 3, 2])]).locate(np.arange(10))
    assert parts.tolist() == [0, 1, 0, 2, 0, 1, 0, 2, 0, 1]
    assert items.tolist() == [0, 0, 1, 0, 2, 1, 3, 1, 4, 2]
    keys = permute.round_keys(7, "web@v1|", 0)
    assert permute.permute(np.arange(10), 10, keys).tolist() == [0, 8, 9, 1, 3, 2, 7, 5, 4, 6]
    assert (order.ALGORITHM, permute.ALGORITHM) == ("chairman-wheel-1", "feistel-1")


@pytest.mark.parametrize(("world", "workers"), list(product((1, 2, 3, 5, 8), (1, 2, 3, 4))))
def test_any_world_and_workers_read_the_same_sequence(world, workers):
    """Worker w of n has steps w, w + n, ...; taken in turn, and the ranks side by side, nothing is lost or moved."""
    total, start = 1003, 40
    collected = []
    for rank in range(world):
        steps = Steps(total, start, None, rank, world, 16)
        stripes = [list(range(worker, len(steps), workers)) for worker in range(workers)]
        in_turn = [stripes[at % workers][at // workers] for at in range(len(steps))]
        assert in_turn == list(range(len(steps)))
        mine = np.concatenate([steps.indices(step) for step in in_turn])
        assert (mine % world == rank).all() and (np.diff(mine) > 0).all()
        collected.append(mine)
    assert np.array_equal(np.sort(np.concatenate(collected)), np.arange(start, total))


@given(st.integers(1, 400), st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_resume_with_another_world_size_goes_on_at_the_same_index(total, first, second, batch, stop_step):
    def read(start, world, limit):
        """Indices of all ranks over `limit` steps, and the index that the state then names."""
        seen = []
        for rank in range(world):
            steps = Steps(total, start, None, rank, world, batch)
            seen += [int(i) for step in range(min(limit, len(steps))) for i in steps.indices(step)]
        return sorted(seen), min(start + limit * batch * world, total)

    before, position = read(0, first, stop_step)
    after, _ = read(position, second, total + 1)
    assert before + after == list(range(total))


@given(st.integers(1, 2000), st.integers(1, 40), st.lists(st.integers(1, 64), min_size=1, max_size=5), st.data())
@settings(max_examples=150, deadline=None)
def test_a_run_over_any_number_of_ranks_serves_each_index_once(total, batch, worlds, data):
    """Resumed again and again, on 1 to 64 ranks with any workers: step by step the same global sequence."""
    seen, position = [], 0
    for number, world in enumerate(worlds):
        last, workers = number == len(worlds) - 1, data.draw(st.integers(1, 8))
        ranks = [Steps(total, position, None, rank, world, batch) for rank in range(world)]
        stop = len(ranks[0]) if last else data.draw(st.integers(0, len(ranks[0])))
        for step in range(stop):
            worker = step % workers
            assert step in range(worker, len(ranks[0]), workers)
            together = np.sort(np.concatenate([rank.indices(step) for rank in ranks]))
            begin = position + step * batch * world
            assert np.array_equal(together, np.arange(begin, min(begin + batch * world, total)))
            seen.append(together)
        position = min(position + stop * batch * world, total)
    assert np.array_equal(np.concatenate([np.empty(0, int), *seen]), np.arange(total))
