"""Units, substrings, SemDeDup and D4 against naive loops written from the papers."""

from __future__ import annotations

import random
from collections import Counter
from pydoc_data.topics import topics

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import Refused
from catalog.plugins import Context, get_scorer
from flows.scorers.dedup.semdedup import earlier

ORACLES = {
    "unit_dup": "a loop over the units of every text",
    "substring_dup": "a loop over every window of every text",
    "semdedup": "the quadratic loop per cluster, earlier rows counted though removed",
    "d4": "the two steps by sorting; the centroid in closed form",
}


def solve(name, columns, step=7, **params):
    plugin = get_scorer(name)
    batch = pa.record_batch(columns)

    def scan(wanted=None):
        return (batch.slice(at, step) for at in range(0, batch.num_rows, step))

    made = plugin.function(scan, Context(params=plugin.parse_params(params)))
    assert all(made[out.name].type == out.type and len(made[out.name]) == batch.num_rows for out in plugin.writes)
    return {key: value.to_pylist() for key, value in made.items()}


PARAGRAPHS = [part for topic in sorted(topics)[:40] for part in topics[topic].split("\n\n") if len(part) > 30]


def texts_of(seed, count=60):
    rng = random.Random(seed)
    return [None, "", *("\n\n".join(rng.choices(PARAGRAPHS[:90], k=rng.randint(1, 5))) for _ in range(count))]


@pytest.mark.parametrize("unit", ["paragraph", "line"])
def test_repeated_units_equal_a_loop(unit):
    texts = texts_of(1)
    got = solve("unit_dup", {"text": pa.array(texts)}, unit=unit, shortest=20)
    cut = "\n\n" if unit == "paragraph" else "\n"
    seen: Counter[str] = Counter()
    want = []
    for text in texts:
        parts = [" ".join(p.split()) for p in (text or "").split(cut)]
        again = [p for p in parts if len(p) >= 20 and (seen[p] > 0, seen.update([p]))[0]]
        want.append(len(again))
    assert [n or 0 for n in got["unit_dup_count"]] == want
    assert got["unit_dup_count"][0] is None and got["unit_dup_share"][1] == 0
    assert max(filter(None, got["unit_dup_most"])) == max(seen.values())
    assert sum(want) > 0 and all(share is None or 0 <= share <= 1 for share in got["unit_dup_share"])


def test_units_of_ccnet_ignore_case_digits_and_punctuation():
    texts = ["Page 12 of our Catalogue!", "page 7 of our catalogue"]
    assert solve("unit_dup", {"text": texts}, normalise="ccnet")["unit_dup_count"] == [0, 1]
    assert solve("unit_dup", {"text": texts})["unit_dup_count"] == [0, 0]


@pytest.mark.parametrize("length", [12, 40])
def test_repeated_substrings_equal_a_loop(length):
    rng = random.Random(length)
    texts = [None, "", "short", "日本語のテキスト" * 4]
    for _ in range(25):
        chunk = rng.choice(PARAGRAPHS)[: rng.randint(20, 200)]
        texts.append(rng.choice(PARAGRAPHS)[:150] + chunk)
    bodies = [(text or "").encode() for text in texts]
    count = Counter(body[i : i + length] for body in bodies for i in range(len(body) - length + 1))
    seen: set[bytes] = set()
    share, again = [], []
    for body in bodies:
        held, later = set(), set()
        for i in range(len(body) - length + 1):
            gram = body[i : i + length]
            if count[gram] > 1:
                held |= set(range(i, i + length))
            if gram in seen:
                later |= set(range(i, i + length))
            seen.add(gram)
        share.append(len(held) / max(len(body), 1))
        again.append(len(later) / max(len(body), 1))
    got = solve("substring_dup", {"text": pa.array(texts)}, length=length)
    assert [value or 0 for value in got["substring_dup_share"]] == pytest.approx(share, abs=1e-6)
    assert [value or 0 for value in got["substring_dup_again"]] == pytest.approx(again, abs=1e-6)
    assert max(share) == 1 and got["substring_dup_share"][0] is None
    longest = got["substring_dup_longest"]
    a, b = sorted(range(len(texts)), key=lambda row: -(longest[row] or 0))[:2]
    best = max(
        n
        for n in range(longest[a] + 2)
        if any(bodies[a][i : i + n] in bodies[b] for i in range(len(bodies[a]) - n + 1))
    )
    assert longest[a] >= best


def test_substrings_refuse_more_text_than_they_may_hold():
    with pytest.raises(Refused, match="more than 100 bytes"):
        solve("substring_dup", {"text": ["x" * 60, "y" * 60]}, most_bytes=100)


def vectors(rows, clusters, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(rows, 384)).astype(np.float32)
    for row in range(1, rows, 3):
        points[row] = points[row - 1] + rng.normal(scale=rng.uniform(0.01, 0.6), size=384)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    label = rng.integers(0, clusters, rows)
    label[1::3] = label[0::3][: len(label[1::3])]
    centre = np.stack([points[label == k].mean(axis=0) for k in range(clusters)])
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    return points, label.astype(np.int32), (1 - (points * centre[label]).sum(axis=1)).astype(np.float32)


def batch_of(points, label, far, missing=()):
    mask = np.zeros(len(label), bool)
    mask[list(missing)] = True
    held = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), 384)
    held = pa.array([None if gone else row for row, gone in zip(held.to_pylist(), mask, strict=True)], held.type)
    facts = {name: pa.nulls(len(label), pa.string()) for name in ("text", "source", "licence", "created")}
    return {
        "embedding": held,
        "cluster": pa.array(label, mask=mask),
        "centroid_distance": pa.array(far, mask=mask),
    } | facts


@pytest.mark.parametrize(("keep", "eps"), [("hard", 0.05), ("easy", 0.1), ("hard", 0.3)])
def test_semdedup_equals_the_quadratic_loop(keep, eps):
    points, label, far = vectors(300, 5)
    got = solve("semdedup", batch_of(points, label, far, [4, 90]), keep=keep, eps=eps)
    for cluster in range(5):
        members = [row for row in range(300) if label[row] == cluster and row not in (4, 90)]
        members.sort(key=lambda row: (-far[row] if keep == "hard" else far[row], row))
        for at, row in enumerate(members):
            # An earlier row counts even where it was removed itself.
            most = max((float(points[row] @ points[other]) for other in members[:at]), default=-1.0)
            assert got["semdedup_similarity"][row] == pytest.approx(most, abs=1e-5)
            assert got["semdedup_keep"][row] == (most <= 1 - eps)
            if most > 1 - eps:
                assert float(points[row] @ points[got["semdedup_of"][row]]) == pytest.approx(most, abs=1e-5)
    assert got["semdedup_keep"][4] is None and 0 < got["semdedup_keep"].count(False) < 150


def test_a_group_has_a_size_and_the_row_that_the_policy_prefers():
    points, label, far = vectors(240, 4, 3)
    columns = batch_of(points, label, far, [7])
    sources = [["a", "b", None][row % 3] for row in range(240)]
    dates = [f"20{10 + row % 7}-01-01" if row % 5 else None for row in range(240)]
    columns |= {"source": pa.array(sources, pa.string()), "created": pa.array(dates, pa.string())}
    for keeper in ([], ["source", "newest"]):
        got = solve("semdedup", columns, eps=0.2, keeper=keeper, sources=["b"])

        def place(row, policy=bool(keeper)):
            stated = (sources[row] != "b") + (sources[row] is None), -int((dates[row] or "0000")[:4])
            return (*(stated if policy else ()), -far[row], row)

        members = [row for row in range(240) if row != 7]
        kept, edges = set(), {}
        for row in sorted(members, key=place):
            before = [o for o in members if label[o] == label[row] and place(o) < place(row)]
            most, other = max(((float(points[row] @ points[o]), o) for o in before), default=(-1.0, row))
            edges[row] = other if most > 0.8 else row
            kept |= {row} if most <= 0.8 else set()
        roots = dict.fromkeys(members, -1)
        for row in members:
            root = row
            while edges[root] != root:
                root = edges[root]
            roots[row] = root
        sizes = Counter(roots.values())
        assert {row for row in members if got["semdedup_keep"][row]} == kept == set(roots.values())
        assert [got["semdedup_group"][row] for row in members] == [roots[row] for row in members]
        assert [got["semdedup_size"][row] for row in members] == [sizes[roots[row]] for row in members]
        assert all(place(roots[row]) <= place(row) for row in members) and max(sizes.values()) > 1
        assert got["semdedup_group"][7] is None and got["semdedup_size"][7] is None


def test_blocks_do_not_change_the_similarity(monkeypatch):
    points, _, _ = vectors(100, 1)
    want = earlier(points, np.arange(100))
    monkeypatch.setattr("flows.scorers.dedup.semdedup.BLOCK", 7)
    got = earlier(points, np.arange(100))
    assert np.allclose(got[0], want[0], atol=1e-6) and np.array_equal(got[1][1:], want[1][1:])


def test_d4_keeps_both_shares_and_drops_duplicates_then_prototypes():
    from sklearn.cluster import KMeans

    points, label, far = vectors(200, 4)
    similarity = solve("semdedup", batch_of(points, label, far))["semdedup_similarity"]
    given = {
        "embedding": batch_of(points, label, far)["embedding"],
        "semdedup_similarity": pa.array(similarity, pa.float32()),
    }
    got = solve("d4", given, dedup=0.7, prototype=0.5, reclusters=1)
    step = np.array(got["d4_step"])
    assert np.bincount(step).tolist() == [60, 70, 70]
    assert max(np.array(similarity)[step > 0]) <= min(np.array(similarity)[step == 0])
    # With one cluster the centroid is the mean of what is left: k-means has nothing to choose.
    left = points[step > 0].astype(np.float64)
    centre = left.mean(axis=0) / np.linalg.norm(left.mean(axis=0))
    assert np.allclose(KMeans(1, n_init=1).fit(left).cluster_centers_[0], left.mean(axis=0), atol=1e-5)
    want = 1 - left @ centre
    assert np.array(got["d4_distance"])[step > 0].tolist() == pytest.approx(want.tolist(), abs=1e-5)
    assert want[step[step > 0] == 2].min() >= want[step[step > 0] == 1].max()
