"""Lineage: from source files over versions and columns to mixes, as a graph whose boxes open what they name."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from catalog import Catalog
from catalog.catalog import Resolved
from ui.web.charts.graph import Edge, Node
from ui.web.charts.graph import draw as draw_graph
from ui.web.components import shell
from ui.web.components.figures import compact, count, plural, stamp
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import caps, table

SHOWN = ("kept", "rows", "added")
"""Counts of which the first that is there labels an edge."""
VERBS: dict[str, str] = {"version": "next version", "filters": "", "reads": "", "eval": "checked against"}


def draw(cat: Catalog, found: Resolved) -> None:
    held = cat.lineage(found.ref)
    if not held["edges"]:
        shell.show(shell.note("Nothing is recorded around this version."))
        return
    if held["cut"]:
        shell.show(shell.note("The graph is cut: what lies further away is not drawn.", "warn"))
    nodes, edges = gathered(held)
    live(
        h(
            "div",
            h(
                "div",
                draw_graph([_node(node, held["focus"]) for node in nodes], [_edge(edge) for edge in edges]),
                cls="sx-panel",
            ),
            _steps(held),
            cls="sx-stack",
        ),
        "lineage",
    )


def gathered(held: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Columns with the same neighbours become one node: a dataset with sixty scores stays readable."""
    kinds = {node["id"]: node["kind"] for node in held["nodes"]}
    near: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for edge in held["edges"]:
        for own, other, way in ((edge["source"], edge["target"], "to"), (edge["target"], edge["source"], "from")):
            if kinds.get(own) == "column" and kinds.get(other) != "column":
                near[own].add((way, other))
    groups: dict[frozenset[tuple[str, str]], list[str]] = defaultdict(list)
    for name, neighbours in near.items():
        groups[frozenset(neighbours)].append(name)
    home: dict[str, str] = {
        name: f"columns:{members[0]}" for members in groups.values() if len(members) > 1 for name in members
    }
    by_id = {node["id"]: node for node in held["nodes"]}
    nodes = {home.get(name, name): node for name, node in by_id.items()}
    for members in groups.values():
        if len(members) > 1:
            scorers = sorted({by_id[name]["label"] for name in members})
            columns = sum(len(by_id[name].get("columns", [])) for name in members)
            nodes[home[members[0]]] = {
                "id": home[members[0]],
                "kind": "column",
                "label": plural(columns, "column"),
                "scorers": scorers,
            }
    edges: dict[tuple[str, str, str], dict[str, Any]] = {}
    for edge in held["edges"]:
        source, target = str(edge["source"]), str(edge["target"])
        source, target = home.get(source, source), home.get(target, target)
        if source != target:
            edges.setdefault((source, target, edge["verb"]), {**edge, "source": source, "target": target})
    return list(nodes.values()), list(edges.values())


def _node(node: dict[str, Any], focus: str) -> Node:
    name, here = node["id"], node["id"] == focus
    if node["kind"] == "dataset":
        return _dataset(node, here)
    if node["kind"] == "mix":
        clicks = _clicks(link("mixes", mix=node["label"]))
        return Node(name, node["label"], "mix", "locked", "var(--sx-accent)", clicks, here)
    if node["kind"] == "column":
        names = node.get("columns") or node.get("scorers") or []
        note = ", ".join(names[:2]) + (f" +{len(names) - 2}" if len(names) > 2 else "")
        short = note if len(note) <= 36 else note[:35] + "…"
        return Node(name, node["label"], "column", short, "var(--sx-warn)", {}, here)
    return Node(name, node["label"], node["kind"], "", "var(--sx-faint)", {}, here)


def _dataset(node: dict[str, Any], here: bool) -> Node:
    tier, gone = node.get("tier"), node.get("retracted")
    note = f"{compact(node.get('rows'))} rows" + (f", {count(gone)} retracted" if gone else "")
    kind = f"{tier or ''} {node.get('role') or node.get('data_kind') or 'dataset'}".strip()
    shown = tier and not node.get("dropped")
    clicks = _clicks(link("dataset", ref=node["id"], tab="lineage")) if shown else {}
    colour = f"var(--sx-{tier.lower()})" if tier else "var(--sx-edge)"
    return Node(node["id"], node["label"], kind, note, colour, clicks, here)


def _clicks(attributes: dict[str, str]) -> dict[str, str]:
    """SVG groups take the action; an address means nothing to them."""
    return {"data_act": attributes["data_act"], "tabindex": "0", "role": "link"} if attributes else {}


def _edge(edge: dict[str, Any]) -> Edge:
    """Labelled by its verb and the first count that says how much; what merely reads stays unlabelled."""
    counts = edge.get("counts") or {}
    first = next(((name, counts[name]) for name in SHOWN if counts.get(name)), None)
    label: str = VERBS.get(edge["verb"]) or ("" if edge["verb"] in VERBS else str(edge["verb"]))
    if label and first:
        label += f" · {compact(first[1])} {first[0]}"
    title = ", ".join(f"{count(value)} {name}" for name, value in counts.items())
    return Edge(edge["source"], edge["target"], label, f"{edge['verb']}: {title}" if title else edge["verb"])


def _steps(held: dict[str, Any]) -> Markup:
    """The same edges as lines, with who and when."""
    edges = [edge for edge in held["edges"] if edge.get("created")]
    rows = [
        (
            h("b", edge["verb"]),
            h("span", _short(edge["source"], held), title=edge["source"]),
            h("span", _short(edge["target"], held), title=edge["target"]),
            ", ".join(f"{count(value)} {name}" for name, value in edge["counts"].items() if value),
            edge.get("actor") or "–",
            stamp(edge["created"]),
            h("span", (edge.get("run") or "–")[:8], cls="sx-mono sx-faint"),
        )
        for edge in sorted(edges, key=lambda edge: edge["created"], reverse=True)[:60]
    ]
    return h(
        "div",
        h("div", caps("edges"), style="margin-bottom:8px"),
        table(["verb", "from", "to", "counts", "actor", "when", "run"], rows, nowrap=(0, 4, 5, 6)),
    )


def _short(name: str, held: dict[str, Any]) -> str:
    return next((node["label"] for node in held["nodes"] if node["id"] == name), name)
