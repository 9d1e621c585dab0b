"""Row sets drawn on a map: a polygon over two columns as a WHERE, decided for every row by the filter engine.

A point is inside when a ray to its right crosses the outline an odd number of times (Shimrat 1962, "Algorithm 112:
position of point relative to polygon", Communications of the ACM 5). An edge counts from its lower end, inclusive, to its
upper end, exclusive, so that a corner counts once; crossings are put together by `<>`, which is exclusive or. Corners are
rounded to single precision first, as coordinates are stored, so that a comparison with one is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catalog.errors import BadInput

Point = tuple[float, float]
CORNERS = 200
"""Corners of an outline; each is an expression that is evaluated for every row."""


def parse_polygon(text: str) -> list[Point]:
    """ "0.1,2 3,4 5,1" -> corners; empty text is no polygon."""
    try:
        return [_corner(pair) for pair in text.split()]
    except ValueError:
        raise BadInput(
            f'the outline {text[:40]!r} is no list of points; write "x,y x,y x,y", or draw it again'
        ) from None


def _corner(pair: str) -> Point:
    x, y = pair.split(",")
    return float(x), float(y)


def write_polygon(corners: Sequence[Point]) -> str:
    """The text that `parse_polygon` reads; equal after rounding to single precision."""
    return " ".join(f"{_short(x)},{_short(y)}" for x, y in corners)


def _short(value: float) -> str:
    """The shortest text that rounds to the same number in single precision."""
    return str(np.float32(value)) if np.isfinite(np.float32(value)) else str(value)


def rectangle(left: float, right: float, low: float, high: float) -> list[Point]:
    """Corners of a box."""
    return [(left, low), (right, low), (right, high), (left, high)]


def polygon_where(x: str, y: str, corners: Sequence[Point]) -> str:
    """A WHERE that holds for the rows whose (x, y) lie inside; where the outline crosses itself, by the even-odd rule.

    It names the two columns and numbers alone: a selection that stores it gives the same rows at any time.
    """
    points = _rounded(corners)
    ends = list(zip(points, points[1:] + points[:1]))
    crossings = [_crossing(x, y, a, b) for a, b in ends if a[1] != b[1]]
    left, right = min(p[0] for p in points), max(p[0] for p in points)
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    if not crossings or left == right:
        raise BadInput("the outline encloses nothing: its corners lie on one line; draw it wider")
    x, y = _quoted(x), _quoted(y)
    box = f"{x} >= {left!r} AND {x} <= {right!r} AND {y} >= {low!r} AND {y} <= {high!r}"
    return f"{box} AND {_odd(crossings)}"


def _rounded(corners: Sequence[Point]) -> list[Point]:
    """Corners in single precision, without repetitions."""
    points: list[Point] = []
    for x, y in corners:
        point = (float(np.float32(x)), float(np.float32(y)))
        if not np.isfinite(point).all():
            raise BadInput(f"the outline has a corner that is no number: {x}, {y}; draw it again")
        if not points or point != points[-1]:
            points.append(point)
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    if len(points) < 3:
        raise BadInput(f"an outline has three corners or more, not {len(points)}; draw it again")
    if len(points) > CORNERS:
        raise BadInput(f"an outline has at most {CORNERS} corners, not {len(points)}; draw a simpler one")
    return points


def _crossing(x: str, y: str, a: Point, b: Point) -> str:
    """Whether a ray to the right from (x, y) crosses the edge from a to b."""
    (x1, y1), (x2, y2) = a, b
    x, y = _quoted(x), _quoted(y)
    rows = f"{y} >= {min(y1, y2)!r} AND {y} < {max(y1, y2)!r}"
    if x1 == x2:
        return f"({rows} AND {x} < {x1!r})"
    slope = (x2 - x1) / (y2 - y1)
    at = x1 - slope * y1
    sign = "+" if at >= 0 else "-"
    return f"({rows} AND CAST({x} AS DOUBLE) < CAST({y} AS DOUBLE) * {slope!r} {sign} {abs(at)!r})"


def _odd(crossings: list[str]) -> str:
    """Exclusive or of all, as a tree, so that brackets nest a few levels deep."""
    if len(crossings) == 1:
        return crossings[0]
    half = len(crossings) // 2
    return f"({_odd(crossings[:half])} <> {_odd(crossings[half:])})"


def _quoted(name: str) -> str:
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'
