"""A layered drawing of a directed graph, left to right (after Sugiyama, Tagawa and Toda, 1981).

Ranks by longest path, long edges bent through points of the ranks between, order in a rank by the mean place of the
neighbours, swept both ways. Small graphs only: lineage around one dataset.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field

from ui.web.components.markup import Markup, h

HIGH, GAP_Y, GAP_X, MARGIN = 50, 18, 120, 10
SWEEPS = 8


@dataclass
class Node:
    """A box: `kind` above, `label`, `note` below. act: attributes of a click."""

    id: str
    label: str
    kind: str = ""
    note: str = ""
    colour: str = "var(--sx-edge)"
    act: dict[str, str] = field(default_factory=dict)
    here: bool = False

    @property
    def width(self) -> int:
        return int(min(250, max(96, 8.2 * len(self.label) + 26, 6.4 * len(self.note) + 26)))


@dataclass(frozen=True)
class Edge:
    source: str
    target: str
    label: str = ""
    title: str = ""


def draw(nodes: list[Node], edges: list[Edge]) -> Markup:
    """The graph as SVG. Edges that close a circle are left out of the ranks and still drawn."""
    held = {node.id: node for node in nodes}
    edges = [edge for edge in edges if edge.source in held and edge.target in held and edge.source != edge.target]
    ranks = _ranks(list(held), [(edge.source, edge.target) for edge in edges])
    columns, chains = _columns(ranks, edges)
    _order(columns, chains)
    at, size = _places(columns, held)
    lines = [_edge(edge, [at[point] for point in chain]) for edge, chain in chains]
    boxes = [_node(node, *at[node.id]) for node in held.values()]
    head = Markup(
        '<defs><marker id="sx-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0.6 L7.4 4 L0 7.4 z"/></marker></defs>'
    )
    return h(
        "div",
        h("svg", head, lines, boxes, width=size[0], height=size[1], viewBox=f"0 0 {size[0]} {size[1]}", role="group",
          aria_label=f"graph of {len(nodes)} nodes and {len(edges)} edges"),
        cls="sx-graph",
    )  # fmt: skip


def _ranks(ids: list[str], pairs: list[tuple[str, str]]) -> dict[str, int]:
    """Longest path from a root; a pair that would close a circle is ignored."""
    after = defaultdict(list)
    for a, b in pairs:
        after[a].append(b)
    seen: dict[str, int] = {}
    order: list[str] = []
    back: set[tuple[str, str]] = set()

    def visit(node: str) -> None:
        seen[node] = 1
        for other in after[node]:
            if seen.get(other) == 1:
                back.add((node, other))
            elif other not in seen:
                visit(other)
        seen[node] = 2
        order.append(node)

    for node in ids:
        if node not in seen:
            visit(node)
    rank = dict.fromkeys(ids, 0)
    for node in reversed(order):
        for other in after[node]:
            if (node, other) not in back:
                rank[other] = max(rank[other], rank[node] + 1)
    for node in order:  # a root moves right, next to what it leads to
        ahead = [rank[other] for other in after[node] if (node, other) not in back]
        if ahead and not any(b == node for _, b in pairs):
            rank[node] = min(ahead) - 1
    return rank


def _columns(ranks: dict[str, int], edges: list[Edge]) -> tuple[list[list[str]], list[tuple[Edge, list[str]]]]:
    """Ids by rank, and each edge as a chain with a point in every rank it passes."""
    columns: list[list[str]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for node, rank in ranks.items():
        columns[rank].append(node)
    chains = []
    for number, edge in enumerate(edges):
        begin, end = ranks[edge.source], ranks[edge.target]
        points = [f"\0{number}.{rank}" for rank in range(begin + 1, end)]
        for rank, point in zip(range(begin + 1, end), points):
            columns[rank].append(point)
        chains.append((edge, [edge.source, *points, edge.target]))
    return columns, chains


def _order(columns: list[list[str]], chains: list[tuple[Edge, list[str]]]) -> None:
    """Sort each rank by the mean place of its neighbours, forward and back."""
    before, after = defaultdict(list), defaultdict(list)
    for _, chain in chains:
        for a, b in itertools.pairwise(chain):
            before[b].append(a)
            after[a].append(b)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        near = before if forward else after
        for column in columns if forward else columns[::-1]:
            place = {node: i / max(len(c) - 1, 1) for c in columns for i, node in enumerate(c)}
            column.sort(
                key=lambda node: sum(place[n] for n in near[node]) / len(near[node]) if near[node] else place[node]
            )


def _places(
    columns: list[list[str]], held: dict[str, Node]
) -> tuple[dict[str, tuple[float, float, float]], tuple[int, int]]:
    """Left, middle and width of every box and point; and the size of the drawing."""
    tall = max((_height(column, held) for column in columns), default=HIGH)
    at: dict[str, tuple[float, float, float]] = {}
    x = float(MARGIN)
    for column in columns:
        wide = max((held[node].width for node in column if node in held), default=40)
        y = MARGIN + (tall - _height(column, held)) / 2
        for node in column:
            size = HIGH if node in held else 12
            width = held[node].width if node in held else wide
            at[node] = (x, y + size / 2, width)
            y += size + GAP_Y
        x += wide + GAP_X
    return at, (int(x - GAP_X + MARGIN + 1), int(tall + 2 * MARGIN))


def _height(column: list[str], held: dict[str, Node]) -> float:
    return sum(HIGH if node in held else 12 for node in column) + GAP_Y * max(len(column) - 1, 0)


def _node(node: Node, x: float, y: float, width: float) -> Markup:
    top = y - HIGH / 2
    limit = int((width - 24) / 7.4)
    label = node.label if len(node.label) <= limit else node.label[: limit - 1] + "…"
    body = [
        h("title", f"{node.kind} {node.label} {node.note}"),
        h("rect", x=f"{x:.1f}", y=f"{top:.1f}", width=f"{width:.0f}", height=HIGH, rx=7, cls="n"),
        h("rect", x=f"{x:.1f}", y=f"{top + 8:.1f}", width=3, height=HIGH - 16, rx=1.5, style=f"fill:{node.colour}"),
        h("text", node.kind.upper(), x=f"{x + 13:.1f}", y=f"{top + 14:.1f}", cls="k"),
        h("text", label, x=f"{x + 13:.1f}", y=f"{top + 29:.1f}", style="font-weight:600"),
        h("text", node.note, x=f"{x + 13:.1f}", y=f"{top + 43:.1f}", cls="s"),
    ]
    return h("g", body, cls="here" if node.here else None, **node.act)


def _edge(edge: Edge, points: list[tuple[float, float, float]]) -> Markup:
    """A smooth line from the right side of the source to the left side of the target, its label in the gap before it."""
    (x0, y0, w0), (x1, y1, _) = points[0], points[-1]
    stops = [(x0 + w0, y0), *(stop for x, y, w in points[1:-1] for stop in ((x, y), (x + w, y))), (x1 - 2, y1)]
    path = f"M{stops[0][0]:.1f} {stops[0][1]:.1f}"
    for (ax, ay), (bx, by) in itertools.pairwise(stops):
        bend = (bx - ax) / 2
        path += f" C{ax + bend:.1f} {ay:.1f} {bx - bend:.1f} {by:.1f} {bx:.1f} {by:.1f}"
    (ax, ay), (bx, by) = stops[-2:]
    at = bx - GAP_X / 2
    part = min(max((at - ax) / ((bx - ax) or 1), 0.0), 1.0)
    height = ay + (by - ay) * (3 * part**2 - 2 * part**3)
    label = (
        h("text", edge.label, x=f"{at:.1f}", y=f"{height - 4:.1f}", cls="e", text_anchor="middle")
        if edge.label
        else None
    )
    return h("g", h("title", edge.title) if edge.title else None, h("path", d=path, marker_end="url(#sx-tip)"), label)
