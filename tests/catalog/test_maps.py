"""Maps: outlines as filters against exact arithmetic, tiles and centres against plain counts, samples that repeat."""

from fractions import Fraction

import numpy as np
import pytest

from catalog import Catalog
from catalog.errors import BadInput
from catalog.maps import Box, centres, extent, gathered, grid, maps, points
from catalog.polygons import CORNERS, parse_polygon, polygon_where, rectangle, write_polygon
from catalog.selections import find_selection, save
from catalog.testing import append_texts, attach_columns

ROWS = 3000
RNG = np.random.default_rng(4)
X = RNG.normal(0, 2, ROWS).astype(np.float32)
Y = RNG.normal(1, 2, ROWS).astype(np.float32)
CLUSTER = RNG.integers(0, 5, ROWS).astype(np.int32)


@pytest.fixture(scope="module")
def cat(tmp_path_factory) -> Catalog:
    """3,000 rows at random places, a few on the corners and edges that the outlines below have."""
    X[:7], Y[:7] = [0, 1, 1, 0, 0.5, 1, 0.07], [0, 0, 1, 1, 0.5, 0.5, 0.1]
    held = Catalog.open(tmp_path_factory.mktemp("maps") / "home")
    append_texts(held, "web", [f"text {at}" for at in range(ROWS)], fragments=3)
    attach_columns(held, "web", {"pca_x": X, "pca_y": Y}, scorer="map_pca")
    attach_columns(held, "web", {"cluster": CLUSTER}, scorer="kmeans")
    return held


def exactly_inside(corners, x: float, y: float) -> bool:
    """The even-odd rule in rational numbers, edge by edge."""
    odd, px, py = False, Fraction(x), Fraction(y)
    exact = [(Fraction(float(np.float32(a))), Fraction(float(np.float32(b)))) for a, b in corners]
    for (x1, y1), (x2, y2) in zip(exact, exact[1:] + exact[:1]):
        if (y1 > py) != (y2 > py) and px < (x2 - x1) * (py - y1) / (y2 - y1) + x1:
            odd = not odd
    return odd


def found(cat: Catalog, corners) -> set[int]:
    where = polygon_where("pca_x", "pca_y", corners)
    rows = cat.scan("web", ["text"], where=where)
    return {int(text.split()[1]) for batch in rows for text in batch["text"].to_pylist()}


SHAPES = {
    "square": rectangle(0, 1, 0, 1),
    "triangle": [(-2.5, -1.0), (3.25, 0.5), (0.125, 4.0)],
    "arrow": [(-3, -3), (0, 3), (3, -3), (0, 0)],
    "star that crosses itself": [(np.cos(a) * 3, np.sin(a) * 3 + 1) for a in 2 * np.pi * 2 / 5 * np.arange(5)],
    "wheel": [(np.cos(a) * (2 + k % 2), np.sin(a) * (2 + k % 2)) for k, a in enumerate(np.linspace(0, 6.2, 41))],
    "small numbers": [(1e-6, 1e-6), (1.5e-1, -2e-5), (7e-2, 3.3e-1)],
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_outline_holds_the_rows_that_exact_arithmetic_puts_inside(cat, name):
    corners = [(float(x), float(y)) for x, y in SHAPES[name]]
    want = {at for at in range(ROWS) if exactly_inside(corners, float(X[at]), float(Y[at]))}
    assert want
    assert found(cat, corners) == want
    assert found(cat, corners[::-1]) == want
    assert found(cat, parse_polygon(write_polygon(corners))) == want


def test_two_outlines_that_share_an_edge_share_no_row(cat):
    left, right = found(cat, rectangle(-9, 0.5, -9, 9)), found(cat, rectangle(0.5, 9, -9, 9))
    assert not left & right
    assert len(left | right) == ROWS


def test_an_outline_is_a_selection_that_says_the_same_again(cat):
    where = polygon_where("pca_x", "pca_y", SHAPES["arrow"])
    save(cat, "corner", "web", where, missing="drop")
    held = find_selection(cat, "corner")
    rows = cat.lance("web").count_rows(cat.predicate(held.dataset, held.where, held.missing))
    assert rows == len(found(cat, SHAPES["arrow"])) == gathered(cat, "web", where, ["source"])["rows"]


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ([(0, 0), (1, 1)], "three corners"),
        ([(0, 0), (1, 0), (2, 0)], "encloses nothing"),
        ([(0, 0), (0, 1), (0, 2)], "encloses nothing"),
        ([(0, 0), (float("nan"), 1), (1, 2)], "no number"),
        ([(0, 0), (1e300, 1), (1, 2)], "no number"),
        ([(at, at % 7) for at in range(CORNERS + 1)], "at most"),
    ],
)
def test_what_is_no_outline_is_refused_in_one_line(corners, words):
    with np.errstate(over="ignore"), pytest.raises(BadInput, match=words):
        polygon_where("x", "y", corners)


def test_a_text_that_is_no_outline_is_refused():
    assert parse_polygon("") == []
    for text in ("1,2 3", "a,b c,d e,f", "1,2,3"):
        with pytest.raises(BadInput, match="no list of points"):
            parse_polygon(text)


def test_tiles_count_every_row_once(cat):
    columns = cat.columns("web")
    (places,) = maps(columns)
    assert (places.label, places.x, places.y) == ("pca", "pca_x", "pca_y")
    whole = grid(cat, "web", places, extent(columns, places), 16, 12)
    assert whole.counts.shape == (12, 16)
    assert whole.inside == whole.counts.sum() == ROWS
    box = Box(-1, 1, 0, 2)
    part = grid(cat, "web", places, box, 10, 10)
    want, _, _ = np.histogram2d(Y, X, bins=10, range=((0, 2), (-1, 1)))
    assert part.inside == want.sum() == ROWS - part.outside
    assert np.abs(part.counts - want).sum() <= 2 * 6  # rows on a line between tiles may go to either side


def test_points_are_the_smallest_ids_in_view_each_time(cat):
    (places,) = maps(cat.columns("web"))
    box = Box(-2, 2, -2, 3)
    inside = grid(cat, "web", places, box, 4, 4).inside
    first = points(cat, "web", places, box, inside, ["cluster", "chars"], 200)
    rows = [row for batch in cat.scan("web", ["sample_id"], where=box.where(places)) for row in batch[0].to_pylist()]
    assert len(rows) == inside
    assert first["sample_id"].to_pylist() == sorted(rows)[:200]
    assert points(cat, "web", places, box, inside, [], 10**9).num_rows == inside
    nowhere = Box(90, 91, 90, 91)
    assert points(cat, "web", places, nowhere, 0, ["cluster"], 10).num_rows == 0


def test_centres_are_the_means_of_the_clusters(cat):
    (places,) = maps(cat.columns("web"))
    got = centres(cat, "web", places, "cluster")
    assert set(got) == set(range(5))
    for cluster, (x, y, rows) in got.items():
        mine = cluster == CLUSTER
        assert rows == mine.sum()
        assert (x, y) == pytest.approx((X[mine].mean(dtype=float), Y[mine].mean(dtype=float)), abs=1e-6)
    with pytest.raises(BadInput, match="no cluster numbers"):
        centres(cat, "web", places, "source")
