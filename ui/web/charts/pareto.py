"""Mixes by two results: a cloud, the fronts through it, the one that was chosen. The table beside it says the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from flows.mix_front import Aim, Point
from ui.web.charts.whiskers import _ticks
from ui.web.components.figures import number
from ui.web.components.markup import Markup, h, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 380, 74, 18, 14, 52
RADII = {"run": 5.0, "drawn": 2.6, "best": 5.0, "spec": 5.0}
Place = Callable[[float, float], tuple[float, float]]


def figure(points: Sequence[Point], aims: tuple[Aim, Aim], chosen: str, said: Mapping[str, str]) -> Markup:
    """points of both kinds; chosen: key of the one in the spec; said: what a point's tooltip says."""
    (x0, x1), (y0, y1) = (_span(points, at, chosen) for at in (0, 1))

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * (x - x0) / (x1 - x0)
        return across, TOP + (HEIGHT - TOP - BOTTOM) * (y1 - y) / (y1 - y0)

    pieces = _axes((x0, x1), (y0, y1), aims, place)
    for kinds, style in ((("drawn", "best", "spec"), "front guess"), (("run",), "front")):
        pieces += _staircase([p for p in points if p.kind in kinds and not p.front], aims, place, style)
    last = sorted(points, key=lambda p: (p.key == chosen, p.kind != "drawn", -p.front))
    pieces += [_mark(point, place, point.key == chosen, said[point.key]) for point in last]
    runs, fronts = sum(p.kind == "run" for p in points), sum(not p.front for p in points)
    named = f"{aims[0].name} against {aims[1].name}: {runs} measured and {len(points) - runs} predicted mixes, {fronts} of them on a front; the table lists them"
    return h("svg", pieces, viewBox=f"0 0 {WIDTH} {HEIGHT}", cls="sx-pareto", role="img", aria_label=named)


def _span(points: Sequence[Point], at: int, chosen: str) -> tuple[float, float]:
    """All values, and the intervals that are drawn, with a margin."""
    ends = [point.values[at] for point in points]
    ends += [end for p in points if _barred(p, p.key == chosen) for end in (p.low[at], p.high[at]) if end is not None]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or abs(high) * 0.05 or 0.5
    return low - margin, high + margin


def _barred(point: Point, chosen: bool) -> bool:
    """Bars on all points would hide them: runs of the front have them, and the one that was chosen."""
    return chosen or point.kind == "best" or (point.kind == "run" and not point.front)


def _axes(xs: tuple[float, float], ys: tuple[float, float], aims: tuple[Aim, Aim], place: Place) -> list[Markup]:
    pieces: list[Markup] = []
    base, top = HEIGHT - BOTTOM, TOP
    for tick in _ticks(*xs):
        x = f"{place(tick, ys[0])[0]:.1f}"
        pieces += [h("line", x1=x, x2=x, y1=top, y2=base, cls="g"),
                   h("text", number(tick), x=x, y=base + 17, text_anchor="middle")]  # fmt: skip
    for tick in _ticks(*ys):
        y = place(xs[0], tick)[1]
        pieces += [h("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", cls="g"),
                   h("text", number(tick), x=LEFT - 8, y=f"{y + 4:.1f}", text_anchor="end")]  # fmt: skip
    middle = (top + base) / 2
    pieces += [
        h("text", _axis(aims[0], "←", "→"), x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8, text_anchor="middle", cls="n"),
        h("text", _axis(aims[1], "←", "→"), x=14, y=middle, text_anchor="middle", cls="n", transform=f"rotate(-90 14 {middle})"),
    ]  # fmt: skip
    return pieces


def _axis(aim: Aim, lower: str, higher: str) -> str:
    """The name, and where better lies."""
    name = aim.name if len(aim.name) < 46 else f"{aim.name[:44]}…"
    return f"{lower} {name}, lower is better" if aim.better == "lower" else f"{name}, higher is better {higher}"


def _staircase(front: Sequence[Point], aims: tuple[Aim, Aim], place: Place, style: str) -> list[Markup]:
    """What the front attains: between two of its mixes, the worse of both in each result."""
    if len(front) < 2:
        return []
    worse = min if aims[1].better == "higher" else max
    held = sorted({point.values for point in front})
    corners = [held[0]]
    for (xa, ya), (xb, yb) in pairwise(held):
        keeps = worse(ya, yb)
        corners += [(xb, ya) if keeps == ya else (xa, yb), (xb, yb)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*corner) for corner in corners))
    return [h("polyline", points=path, cls=style)]


def _mark(point: Point, place: Place, chosen: bool, said: str) -> Markup:
    x, y = place(*point.values)
    pieces: list[Markup] = [Markup(f"<title>{text(said)}</title>")]
    if _barred(point, chosen):
        (xl, yl), (xh, yh) = ((end[0], end[1]) for end in (point.low, point.high))
        if xl is not None and xh is not None:
            a, b = place(xl, 0)[0], place(xh, 0)[0]
            pieces.append(h("line", x1=f"{a:.1f}", x2=f"{b:.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}", cls="w"))
        if yl is not None and yh is not None:
            a, b = place(0, yl)[1], place(0, yh)[1]
            pieces.append(h("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{a:.1f}", y2=f"{b:.1f}", cls="w"))
    radius = RADII[point.kind]
    if point.kind in ("best", "spec"):
        pieces.append(h("rect", x=f"{x - 4.5:.1f}", y=f"{y - 4.5:.1f}", width=9, height=9, transform=f"rotate(45 {x:.1f} {y:.1f})" if point.kind == "best" else None))  # fmt: skip
    else:
        pieces.append(h("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius))
    if chosen:
        pieces.append(h("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius + 5, cls="ring"))
    style = f"{point.kind} {'on' if not point.front else 'off'}"
    return h("g", pieces, cls=style, data_act=f"take:{point.key}")
