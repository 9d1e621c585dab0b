"""Orders of a stage: sorted, folded, softened, bucketed, by blocks; the same rows, rearranged inside every epoch."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.errors import BadInput, Corrupt, NotFound
from catalog.mixes import preview, publish
from catalog.mixes.orders import order_items
from catalog.mixes.reads import advice
from catalog.mixes.spec import OrderSpec
from catalog.pull.blocks import Blocks
from catalog.pull.layout import Layout, PartRows
from catalog.pull.order import Order, whole
from catalog.pull.reader import open_mix
from catalog.pull.rowset import RowSet
from catalog.pull.stored import Stored, load, save, stored
from catalog.testing import append_texts, attach_columns, sentences


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(200), fragments=3)
    append_texts(cat, "chat", sentences(60, seed=1))
    for name, rows in (("web", 200), ("chat", 60)):
        grades = [None if at % 50 == 7 else float(at * 37 % 101) for at in range(rows)]
        attach_columns(cat, name, {"grade": pa.array(grades, pa.float64())})
    return cat


def column(reader, name, part):
    rows = reader.take(np.arange(len(reader)), [name]).to_pydict()
    kept = zip(rows["_part"], rows["_epoch"], rows[name], strict=True)
    return [(epoch, value) for number, epoch, value in kept if number == part]


def rank(value, down=False):
    return (value is None, 0 if value is None else -value if down else value)


def test_a_mix_is_sorted_inside_every_part_and_epoch(store):
    for direction, down in (("ascending", False), ("descending", True)):
        spec = {"name": direction, "order": {"by": "grade", "direction": direction}, "total": 300,
                "parts": [{"dataset": "web", "weight": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 2}]}  # fmt: skip
        lock = publish(store, spec).lock
        reader = store.mix(direction)
        for part in (0, 1):
            rows = column(reader, "grade", part)
            for epoch in {row[0] for row in rows}:
                keys = [rank(value, down) for held, value in rows if held == epoch]
                assert keys == sorted(keys) and len(keys) > 20
        assert lock["parts"][0]["fingerprints"].keys() == {"grade"}
        assert lock["algorithms"]["stored_order"] == "stored-order-1"
        reader.verify(full=True)
    shuffled = publish(store, {**spec, "name": "plain", "order": {"shuffle": "full"}})
    assert shuffled.digest != lock["digest"]
    plain, ordered = store.mix("plain"), store.mix("descending")
    for part in (0, 1):
        assert sorted(column(plain, "grade", part), key=str) == sorted(column(ordered, "grade", part), key=str)


def test_stages_of_one_mix_have_their_own_orders(store):
    stages = [
        {"name": "easy", "total": 90, "weights": {"web": 2, "chat": 1}, "order": {"by": "grade"}},
        {"name": "mixed", "total": 60, "weights": {"web": 1}},
        {"name": "table", "total": 40, "weights": {"web": 1}, "order": {"shuffle": "none"}},
        {"name": "folded", "total": 60, "weights": {"web": 1, "chat": 2}, "order": {"by": "chars", "folds": 3}},
    ]
    spec = {"name": "m", "parts": [{"dataset": "web", "max_epochs": 2}, {"dataset": "chat", "max_epochs": 2}],
            "stages": stages}  # fmt: skip
    publish(store, spec)
    reader = store.mix("m")
    rows = reader.take(np.arange(250), ["grade", "chars", "sample_id"]).to_pydict()
    easy = [rank(rows["grade"][at]) for at in range(90) if rows["_part"][at] == 0]
    assert easy == sorted(easy) and len(easy) == 60
    mixed = [rank(rows["grade"][at]) for at in range(90, 150)]
    assert mixed != sorted(mixed)
    table = reader.locate(np.arange(150, 190))[1]
    assert (np.diff(table) > 0).all()
    chat = [at for at in range(190, 250) if rows["_part"][at] == 1]
    for epoch in (0, 1):
        sizes = [rows["chars"][at] for at in chat if rows["_epoch"][at] == epoch]
        expected = [size for offset in range(3) for size in sorted(sizes)[offset::3]]
        assert sizes == expected
    web = [rows["sample_id"][at] for at in range(190) if rows["_part"][at] == 0]
    assert max(Counter(web).values()) == 1, "no order makes a row come twice in an epoch"


def test_side_files_are_shared_named_and_guarded(store):
    spec = {"name": "m", "order": {"by": "grade"}, "parts": [{"dataset": "chat", "weight": 1, "max_epochs": 3}]}
    lock = publish(store, spec).lock
    (body,) = lock["orders"]
    assert (body["begin"], body["end"], body["rows"], body["width"]) == (0, 180, 60, 4), "three epochs, one file"
    path = store.settings.locks / f"{body['file']}.order"
    assert path.stat().st_size == 24 + 4 * 60
    store.gc(older_than_s=0)
    held = path.read_bytes()
    path.write_bytes(held[:-1] + b"\7")
    with pytest.raises(Corrupt, match="order file .* was changed"):
        open_mix(store, "m")
    path.unlink()
    with pytest.raises(Corrupt, match="order file .* is gone"):
        open_mix(store, "m")
    path.write_bytes(held)
    assert len(open_mix(store, "m")) == 180


def test_chance_is_drawn_anew_each_epoch(store):
    spec = {"name": "m", "order": {"by": "grade", "noise": 0.3},
            "parts": [{"dataset": "web", "weight": 1, "max_epochs": 2}]}  # fmt: skip
    assert len(publish(store, spec).lock["orders"]) == 2
    first, second = (store.mix("m").locate(np.arange(200) + at)[1].tolist() for at in (0, 200))
    assert first != second and sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        ({"by": "grad"}, NotFound, "no column of web 'grad': did you mean grade"),
        ({"folds": 3}, BadInput, "folds needs the column"),
        ({"by": "grade", "folds": 2, "noise": 0.1}, BadInput, "folds and noise contradict"),
        ({"by": "grade", "shuffle": "none"}, BadInput, "contradict each other"),
        ({"by": "grade", "even": True, "noise": 0.1}, BadInput, "noise and even contradict"),
        ({"even": True}, BadInput, "even needs the column"),
        ({"by": "sample_id", "even": True}, BadInput, "even needs a number"),
        ({"size": 10}, BadInput, "belong to shuffle: blocks"),
        ({"by": "grade", "noise": 2}, BadInput, "noise"),
        ({"shuffle": "random"}, BadInput, "full, blocks or none"),
    ],
)
def test_a_wrong_order_is_one_line(store, order, error, message):
    with pytest.raises(error, match=message) as caught:
        publish(store, {"name": "m", "order": order, "parts": [{"dataset": "web"}]})
    assert "\n" not in str(caught.value) and not store.settings.locks.exists()


def test_blocks_read_neighbours_together(store):
    """A long part by blocks of 64: every group of four runs is read before the next begins."""
    append_texts(store, "long", [f"row {at}" for at in range(3000)])
    parts = [{"dataset": "long", "weight": 1, "max_epochs": 2}]
    publish(store, {"name": "b", "order": {"shuffle": "blocks", "size": 64, "buffer": 4}, "parts": parts})
    reader = store.mix("b")
    rows = reader.locate(np.arange(6000))[1]
    for epoch in (rows[:3000], rows[3000:]):
        assert sorted(epoch.tolist()) == list(range(3000))
        groups = [np.unique(epoch[at : at + 256] // 64) for at in range(0, 2560, 256)]
        assert all(len(group) <= 8 for group in groups), "the short run shifts later groups by part of a run"
        assert len(groups[0]) == 4 or len(groups[-1]) == 4
    assert (rows[:3000] != rows[3000:]).any() and abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.95
    assert reader.verify(full=True)
    shown = preview(store, {"name": "b", "order": {"shuffle": "blocks", "size": 64, "buffer": 4}, "parts": parts})
    assert shown["reads_per_sample"] < 0.02 and "advice" not in shown


@given(st.integers(1, 2500), st.integers(1, 70), st.integers(1, 9), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_blocks_are_a_permutation_with_an_inverse(rows, size, buffer, seed):
    made = Blocks.of(rows, size, buffer, seed, "p", 0)
    places = made.place(np.arange(rows))
    assert np.array_equal(np.sort(places), np.arange(rows))
    assert np.array_equal(made.position(places), np.arange(rows))
    assert np.array_equal(made.place(np.arange(rows)[::-3]), places[::-3])
    whole_runs = size * buffer
    for group in range(rows // whole_runs):
        seen = places[group * whole_runs : (group + 1) * whole_runs] // size
        assert len(np.unique(seen)) <= 2 * buffer, "a stretch of that length lies in two groups at most"


def test_every_order_of_a_block_comes_up():
    """Chi-square over the 24 orders of four rows, two runs of two: both levels of the shuffle are fair."""
    seen = Counter(tuple(Blocks.of(4, 1, 4, seed, "p", 0).place(np.arange(4)).tolist()) for seed in range(2400))
    assert len(seen) == 24 and sum((count - 100) ** 2 / 100 for count in seen.values()) < 49.7


scores = st.lists(st.one_of(st.integers(-5, 5).map(float), st.just(float("nan")), st.none()), min_size=1, max_size=60)
ways = st.one_of(
    st.just({}), st.fixed_dictionaries({"folds": st.integers(1, 9)}), st.fixed_dictionaries({"noise": st.floats(0, 1)}),
    st.fixed_dictionaries({"buckets": st.integers(2, 9)}),
)  # fmt: skip


@given(scores, ways, st.sampled_from(("ascending", "descending")), st.data())
@settings(max_examples=200, deadline=None)
def test_an_order_rearranges_the_items_of_its_range_only(values, way, direction, data):
    rows = len(values)
    begin = data.draw(st.integers(0, 2 * rows))
    end = data.draw(st.integers(begin, 3 * rows))
    layout = Layout(Order([whole([3 * rows])]), [PartRows(RowSet(0, rows), "p")], 4, "full")
    spec = OrderSpec(by="s", direction=direction, **way)
    made = order_items(layout, 0, begin, end, spec, pa.array(values, pa.float64()))
    ordered = Layout(layout.order, layout.parts, 4, "full", stored={0: made})
    every, plain, moved = np.arange(3 * rows), *(held.positions(0, np.arange(3 * rows)) for held in (layout, ordered))
    outside = (every < begin) | (every >= end)
    assert np.array_equal(plain[outside], moved[outside])
    for epoch in range(3):
        items = every[(every >= max(begin, epoch * rows)) & (every < min(end, (epoch + 1) * rows))]
        assert sorted(plain[items]) == sorted(moved[items]), "the same rows in every epoch"
        keys = [values[at] for at in moved[items]]
        lost = [key is None or key != key for key in keys]
        sign = -1 if direction == "descending" else 1
        ranks = [(gone, 0 if gone else sign * key) for gone, key in zip(lost, keys, strict=True)]
        folds = way.get("folds", 1)
        if "noise" in way:
            where = np.abs(np.argsort(np.argsort(moved[items])) - np.argsort(np.argsort(moved[items])))
            assert where.max(initial=0) == 0
            expected = sorted(ranks)
            for at, held in enumerate(ranks):
                near = expected[max(0, at - int(way["noise"] * len(ranks)) - 1) :][
                    : 2 * int(way["noise"] * len(ranks)) + 3
                ]
                assert held in near
        elif "buckets" in way:
            size, expected = way["buckets"], sorted(ranks)
            runs = [sorted(expected[at : at + size]) for at in range(0, len(expected), size)]
            short, whole_runs = len(ranks) % size, len(ranks) // size
            cuts = (
                [
                    [0, *(size * (n + 1) - (size - short) * (n >= turn) for n in range(whole_runs + 1))]
                    for turn in range(whole_runs + 1)
                ]
                if short
                else [[size * n for n in range(whole_runs + 1)]]
            )  # the short run may come anywhere
            found = [sorted(sorted(ranks[a:b]) for a, b in pairwise(cut)) for cut in cuts]
            assert sorted(runs) in found
        else:
            assert ranks == [key for offset in range(folds) for key in sorted(ranks)[offset::folds]]


@given(scores.filter(lambda values: any(v == v for v in values if v is not None)), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_sums_grow_evenly_over_every_stretch(values, seed):
    layout = Layout(Order([whole([len(values)])]), [PartRows(RowSet(0, len(values)), "p")], seed, "full")
    (made,) = order_items(layout, 0, 0, len(values), OrderSpec(by="s", even=True), pa.array(values, pa.float64()))
    places = made.position(np.arange(len(values)))
    assert sorted(places.tolist()) == list(range(len(values)))
    known = np.array([value if value is not None and value == value else np.nan for value in values])
    mean = np.nanmean(known)
    held = np.where(np.isnan(known), mean, known)
    ahead = np.concatenate([[0.0], np.cumsum(held[places] - mean)])
    assert np.ptp(ahead) <= np.ptp(held) + 1e-9
    plain = layout.positions(0, np.arange(len(values)))
    for side in (held > mean, held <= mean):
        assert [at for at in places if side[at]] == [at for at in plain if side[at]], "each side keeps its shuffle"


def test_tokens_of_every_window_follow_the_weights(store):
    """unit tokens, even by tokens: every window of every part is within twice its mean and its largest row of its share."""
    rng = np.random.default_rng(0)
    for name, rows, mean in (("long", 900, 400), ("short", 3000, 40)):
        append_texts(store, name, sentences(rows, seed=mean))
        tokens = np.maximum(1, rng.exponential(mean, rows)).astype(np.int32)
        attach_columns(store, name, {"tokens": tokens})
    parts = [{"dataset": "long", "weight": 3}, {"dataset": "short", "weight": 1}]
    spec = {"name": "m", "unit": "tokens", "order": {"by": "tokens", "even": True}, "parts": parts}
    publish(store, spec)
    publish(store, {**spec, "name": "plain", "order": {"shuffle": "full"}})
    for name, holds in (("m", True), ("plain", False)):
        reader = store.mix(name)
        rows = reader.take(np.arange(len(reader)), ["tokens"])
        part, tokens = rows["_part"].to_numpy(), rows["tokens"].to_numpy()
        for number in (0, 1):
            mine = np.where(part == number, tokens, 0)
            ahead = np.concatenate([[0.0], np.cumsum(mine - mine.sum() / len(mine))])
            own = tokens[part == number]
            assert (np.ptp(ahead) <= 2 * own.mean() + own.max()) == holds


def test_a_curriculum_moves_a_row_by_its_noise_at_most():
    rows, noise = 5000, 0.1
    layout = Layout(Order([whole([rows])]), [PartRows(RowSet(0, rows), "p")], 4, "full")
    (made,) = order_items(layout, 0, 0, rows, OrderSpec(by="s", noise=noise), pa.array(np.arange(rows)))
    moved = made.position(np.arange(rows)) - np.arange(rows)
    assert 0.05 * rows < np.abs(moved).max() <= noise * rows
    assert (made.position(np.arange(rows)) != np.arange(rows)).mean() > 0.9


def test_length_buckets_save_padding():
    rows, size = 4096, 64
    lengths = np.random.default_rng(0).lognormal(5, 1, rows).astype(np.int64)
    layout = Layout(Order([whole([rows])]), [PartRows(RowSet(0, rows), "p")], 4, "full")
    (made,) = order_items(layout, 0, 0, rows, OrderSpec(by="n", buckets=size), pa.array(lengths))

    def padding(order):
        batches = lengths[order].reshape(-1, size)
        return 1 - batches.sum() / (batches.max(axis=1).sum() * size)

    assert padding(made.position(np.arange(rows))) < 0.2 < 0.6 < padding(layout.positions(0, np.arange(rows)))
    means = lengths[made.position(np.arange(rows))].reshape(-1, size).mean(axis=1)
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.35, "runs come in any order"


@pytest.mark.parametrize("rows", [2**32 - 1, 2**32 + 10, 2**39])
def test_positions_of_large_parts_take_five_bytes(tmp_path, rows):
    places = np.array([0, 1, 2**31, rows - 1, 255, 256], np.int64)
    made = stored(10, 22, places, rows)
    save(made, tmp_path)
    held = load(made.to_json(), tmp_path)
    assert isinstance(held, Stored) and made.to_json()["width"] == (4 if rows < 2**32 else 5)
    assert held.position(np.arange(10, 22)).tolist() == [*places.tolist(), *places.tolist()]


def test_blocks_are_advised_where_a_shuffle_reads_far_apart(tmp_path):
    """Ten million rows away from this machine: nearly one read a sample in full shuffle, a few in a thousand by blocks."""
    cat = Catalog.open(tmp_path / "home", tables="memory://tables")
    cat.create_dataset("far", kind="text", tier="L0")
    lock = {"parts": [{"dataset": "far", "dataset_id": "far"}], "order": {"shuffle": "full"}}
    full, blocks, small = (
        Layout(Order([whole([rows])]), [PartRows(RowSet(0, rows), "p")], 4, shuffle)
        for rows, shuffle in ((10**7, "full"), (10**7, "blocks"), (20_000, "full"))
    )
    told = advice(cat, lock, full)
    assert told["reads_per_sample"] > 0.85 and "far is remote" in told["advice"] and "blocks" in told["advice"]
    assert advice(cat, {**lock, "order": {"shuffle": "blocks"}}, blocks)["reads_per_sample"] < 0.01
    assert "advice" not in advice(cat, lock, small)
