"""Where a version came from and what was made of it: from files through versions and columns to mixes.

Nodes are what edges name: "file:...", "name@v3", "column:<fingerprint>", "mix:name@v1", and what training made of a mix:
"trial:<id>", "model:name", "run:<ledger or laboratory>". What edges do not say is added: a
version holds the rows of the version before it, a column was made from other columns and against a target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlmodel import or_, select

from catalog.access import check
from catalog.errors import NotFound
from catalog.meta.models import ColumnRecord, Dataset, Edge, Mix, Recipe, Run, Version
from catalog.trace import trace_sample

if TYPE_CHECKING:
    from sqlmodel import Session

    from catalog.catalog import Catalog

__all__ = ["lineage", "trace_sample"]

MOST_NODES = 1000
MANY_FILES = 12
"""More files than this into one version are shown as one node."""


def lineage(cat: Catalog, ref: str) -> dict[str, Any]:
    """Nodes and edges upstream and downstream of a dataset version, a mix ("mix:name@v1") or a file ("file:...").

    {"focus", "nodes": [{"id", "kind", "label", ...}], "edges": [{"source", "target", "verb", ...}], "cut": bool}
    """
    check(cat, "read", ref)
    with cat.session() as session:
        focus = _focus(cat, session, ref)
        graph = _Graph(session)
        graph.walk(focus, up=True)
        graph.walk(focus, up=False)
        edges = _gathered(graph.edges.values())
        ids = dict.fromkeys([focus, *(end for edge in edges for end in (edge["source"], edge["target"]))])
        counts = {edge["source"]: edge["files"] for edge in edges if "files" in edge}
        nodes = [_node(session, name, counts.get(name)) for name in ids]
    return {"focus": focus, "nodes": nodes, "edges": edges, "cut": graph.cut}


def _focus(cat: Catalog, session: Session, ref: str) -> str:
    if not ref.startswith(("file:", "column:", "mix:")):
        if cat._noun(ref.partition("@")[0]) == "mix":
            ref = f"mix:{ref}"
        else:
            return cat.resolve(ref).ref
    if ref.startswith("mix:") and "@" not in ref:
        numbers = session.exec(select(Mix.version).where(Mix.name == ref[4:])).all()
        ref = f"{ref}@v{max(numbers, default=0)}"
    if session.exec(select(Edge.id).where(or_(Edge.source == ref, Edge.target == ref))).first() is None:
        kind, _, name = ref.partition(":")
        raise NotFound(kind, name, session.exec(select(Edge.target).distinct()).all()[:100])
    return ref


class _Graph:
    """Edges found so far, breadth first in one direction at a time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.edges: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.seen: dict[bool, set[str]] = {True: set(), False: set()}
        self.cut = False

    def walk(self, start: str, up: bool) -> None:
        wave, seen = [start], self.seen[up]
        seen.add(start)
        while wave:
            found = list(self._next(wave, up))
            for edge in found:
                self.edges.setdefault((edge["source"], edge["target"], edge["verb"]), edge)
            ends = dict.fromkeys(edge["source" if up else "target"] for edge in found)
            wave = [end for end in ends if end not in seen]
            if len(seen) + len(wave) > MOST_NODES:
                wave, self.cut = wave[: max(0, MOST_NODES - len(seen))], True
            seen.update(wave)

    def _next(self, wave: list[str], up: bool) -> Iterable[dict[str, Any]]:
        here, there = (Edge.target, Edge.source) if up else (Edge.source, Edge.target)
        for at in range(0, len(wave), 500):
            for edge in self.session.exec(select(Edge).where(here.in_(wave[at : at + 500])).order_by(there)):  # type: ignore[attr-defined]
                if edge.verb == "score":
                    yield from self._columns_of(edge)
                elif edge.verb != "retract":
                    yield _recorded(self.session, edge)
        for name in wave:
            if name.startswith("column:"):
                yield from [*self._makers(name), *self._inputs(name)] if up else self._users(name)
            elif ":" not in name:  # a version: nothing else has a name without its kind
                yield from self._neighbour(name, up)

    def _neighbour(self, name: str, up: bool) -> Iterable[dict[str, Any]]:
        """A version keeps the rows of the one before."""
        dataset, _, number = name.rpartition("@v")
        other = int(number) + (-1 if up else 1)
        held = self.session.exec(
            select(Version).join(Dataset, Dataset.id == Version.dataset_id)  # type: ignore[arg-type]
            .where(Dataset.name == dataset, Dataset.dropped.is_(None), Version.number == other)  # type: ignore[union-attr]
        ).first()  # fmt: skip
        if held is not None:
            ends = (f"{dataset}@v{other}", name) if up else (name, f"{dataset}@v{other}")
            yield {"source": ends[0], "target": ends[1], "verb": "version", "counts": {}}

    def _columns_of(self, edge: Edge) -> Iterable[dict[str, Any]]:
        """A pass writes the columns of several scorers; its edge names the last of them."""
        marks = self.session.exec(
            select(ColumnRecord.fingerprint).where(ColumnRecord.run_id == edge.run_id).distinct()
        ).all()
        for target in dict.fromkeys([edge.target, *(f"column:{mark}" for mark in sorted(marks))]):
            yield _recorded(self.session, edge) | {"target": target}

    def _makers(self, name: str) -> Iterable[dict[str, Any]]:
        """The passes that wrote a column, by the runs that its records name."""
        runs = self.session.exec(
            select(ColumnRecord.run_id).where(ColumnRecord.fingerprint == name.removeprefix("column:")).distinct()
        ).all()
        for edge in self.session.exec(select(Edge).where(Edge.verb == "score", Edge.run_id.in_(runs))):  # type: ignore[attr-defined]
            yield _recorded(self.session, edge) | {"target": name}

    def _inputs(self, name: str) -> Iterable[dict[str, Any]]:
        """What a column's recipe names: other columns, a target."""
        recipe = self.session.get(Recipe, name.removeprefix("column:"))
        body = recipe.body if recipe else {}
        for value in (body.get("inputs") or {}).values():
            if isinstance(value, str) and self.session.get(Recipe, value) is not None:
                yield {"source": f"column:{value}", "target": name, "verb": "reads", "counts": {}}
        if target := (body.get("target") or {}).get("ref"):
            yield {"source": target, "target": name, "verb": "target", "counts": {}}
        for held in body.get("evals") or []:
            yield {"source": held["ref"], "target": name, "verb": "eval", "counts": {}}

    def _users(self, name: str) -> Iterable[dict[str, Any]]:
        """Mixes whose filters read a column."""
        mark = name.removeprefix("column:")
        for edge in self.session.exec(select(Edge).where(Edge.verb == "mix")):
            if mark in (edge.details.get("fingerprints") or {}).values():
                yield {"source": name, "target": edge.target, "verb": "filters", "counts": {}}


def _recorded(session: Session, edge: Edge) -> dict[str, Any]:
    run = session.get(Run, edge.run_id)
    return {
        "source": edge.source,
        "target": edge.target,
        "verb": edge.verb,
        "counts": edge.counts,
        "run": edge.run_id,
        "actor": run.actor if run else "",
        "cost": run.cost if run else {},
        "created": edge.created,
    }


def _gathered(edges: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Many files into one version become one edge that counts them."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    out = []
    for edge in edges:
        if edge["source"].startswith("file:"):
            groups[edge["target"], edge["verb"]].append(edge)
        else:
            out.append(edge)
    for (target, _), held in groups.items():
        if len(held) <= MANY_FILES:
            out += held
            continue
        counts: dict[str, int] = defaultdict(int)
        for edge in held:
            for name, value in edge["counts"].items():
                counts[name] += value
        out.append({**held[0], "source": f"files:{target}", "counts": dict(counts), "files": len(held)})
    return out


def _node(session: Session, name: str, files: int | None) -> dict[str, Any]:
    if name.startswith("file:"):
        return {"id": name, "kind": "file", "label": name[5:].rstrip("/").rsplit("/", 1)[-1], "uri": name[5:]}
    if name.startswith("files:"):
        return {"id": name, "kind": "file", "label": f"{files:,} files", "files": files}
    if name.startswith("mix:"):
        return {"id": name, "kind": "mix", "label": name[4:]}
    if name.startswith("column:"):
        recipe = session.get(Recipe, name[7:])
        aliases = session.exec(select(ColumnRecord.alias).where(ColumnRecord.fingerprint == name[7:]).distinct()).all()
        scorer = recipe.scorer if recipe else name[7:]
        return {"id": name, "kind": "column", "label": scorer, "scorer": scorer, "columns": sorted(set(aliases))}
    kind, colon, label = name.partition(":")
    if colon:
        return {"id": name, "kind": kind, "label": label[:8] if kind == "trial" else label}
    dataset, _, number = name.rpartition("@v")
    found = session.exec(
        select(Dataset, Version).join(Version, Version.dataset_id == Dataset.id)  # type: ignore[arg-type]
        .where(Dataset.name == dataset, Version.number == (int(number) if number.isdigit() else -1))
        .order_by(Dataset.dropped.is_not(None))  # type: ignore[union-attr]
    ).first()  # fmt: skip
    node: dict[str, Any] = {"id": name, "kind": "dataset", "label": name}
    if found is not None:
        held, version = found
        node |= {"tier": held.tier, "data_kind": held.kind, "rows": version.rows, "role": held.role}
        node |= {"retracted": version.retracted, "dropped": held.dropped is not None}
    return node
