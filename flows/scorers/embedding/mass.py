"""MASS: how much of a skill graph a text touches, skills that matter and hang together counting most.

Li et al. 2025, "MASS: Mathematical Data Selection via Skill Graphs for Pretraining Large Language Models",
arXiv:2503.14917. A language model has named the skills of each item of a small reference set (the target: a list in
`meta`). Skills of nearly the same meaning are merged; the graph has a node a skill, weighted by the items that need it,
and an edge between two skills, weighted by the items that need both. A text is compared with every skill, and its
similarities S go through the adjacency matrix A, whose diagonal holds the weights of the nodes: the score is the sum of
S A. The selection takes the highest scores.

Experimental: the authors have not released their code. Here weights are divided by the number of items, a similarity is a
cosine not below zero, and the mean over skills is given, so that graphs of other sizes compare. Skills are embedded by
the encoder of the rows.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import unit, unit_vectors
from flows.scorers.embedding.minilm import VectorParams, load_sentence_encoder


class Params(VectorParams):
    skills: str = Field("skills", min_length=1, description="name of the list of skills in the target's meta")
    merge: float = Field(0.9, ge=0, le=1, description="cosine from which on two skills are one")
    most: int = Field(20_000, ge=1, le=100_000, description="different skills beyond which it refuses")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Skills, their vectors and the adjacency matrix of the reference set."""
    from flows.models import embed_texts

    params = ctx.params
    if params.vectors:
        raise BadInput(f"mass: no encoder here made the column {params.vectors}, so skills have no such vectors")
    items = read_items(ctx.target(["meta"]), params.skills)
    counts = Counter(skill for item in items for skill in item)
    if not counts:
        raise BadInput(
            f"mass: no item of the target has a list meta.{params.skills}; have a model name each item's skills, and "
            "say with --skills where they are"
        )
    if len(counts) > params.most:
        raise BadInput(
            f"mass: the target names {len(counts):,} skills, all compared with all; merge them, or raise --most"
        )
    names = sorted(counts, key=lambda skill: (-counts[skill], skill))
    encoder = load_sentence_encoder(ctx)
    vectors, valid = embed_texts(encoder, names, params.max_tokens, params.pooling)
    held = np.flatnonzero(np.asarray(valid, bool))
    names, points = [names[i] for i in held], unit(np.asarray(vectors, np.float64)[held])
    owner = merged(points, params.merge)
    nodes = np.unique(owner)
    place = {name: int(np.searchsorted(nodes, owner[i])) for i, name in enumerate(names)}
    matrix = adjacency([{place[s] for s in item if s in place} for item in items], len(nodes))
    report = {"items": len(items), "skills": len(names), "nodes": len(nodes),
              "edges": int(np.count_nonzero(np.triu(matrix, 1)))}  # fmt: skip
    listed = [names[node] for node in nodes]
    return {"points": points[nodes], "reach": matrix.sum(axis=1), "names": listed, "report": report}


def read_items(batches, key: str) -> list[list[str]]:
    """Skills of each item that names some."""
    items = []
    for batch in batches:
        for text in batch.column("meta").to_pylist():
            body = json.loads(text) if text else None
            found = body.get(key) if isinstance(body, dict) else None
            found = [found] if isinstance(found, str) else found
            skills = [s.strip() for s in found if isinstance(s, str) and s.strip()] if isinstance(found, list) else []
            if skills:
                items.append(skills)
    return items


def merged(points: np.ndarray, least: float) -> np.ndarray:
    """For each skill, most frequent first, the number of the earlier one that it is the same as, or its own."""
    owner = np.arange(len(points))
    for row in range(1, len(points)):
        earlier = np.flatnonzero(owner[:row] == np.arange(row))
        cosine = points[earlier] @ points[row]
        if cosine.max() >= least:
            owner[row] = earlier[cosine.argmax()]
    return owner


def adjacency(items: list[set[int]], size: int) -> np.ndarray:
    """Share of items that need a skill on the diagonal, that need both skills elsewhere."""
    matrix = np.zeros((size, size))
    for item in items:
        for skill in item:
            matrix[skill, skill] += 1
        for one, other in combinations(sorted(item), 2):
            matrix[one, other] += 1
            matrix[other, one] += 1
    return matrix / max(len(items), 1)


@scorer(
    "mass",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit=fit,
    fit_on="target",
    params=Params,
    load=load_sentence_encoder,
    cost="cpu",
    stage="L2",
    citation="arXiv:2503.14917",
    experimental=True,
    batch_rows=2048,
    tolerance=1e-5,
    writes=[
        Out("mass", pa.float32(), "similarity to the skills, through their graph", "higher", (0, None)),
        Out("mass_skill", pa.string(), "the skill that the text is nearest to"),
    ],
)
def mass(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    vectors, rows = unit_vectors(batch)
    value, skill = np.zeros(batch.num_rows), np.full(batch.num_rows, None, object)
    missing = np.ones(batch.num_rows, bool)
    missing[rows] = False
    if len(rows):
        cosine = vectors.astype(np.float64) @ np.asarray(ctx.state["points"]).T
        value[rows] = np.maximum(cosine, 0) @ np.asarray(ctx.state["reach"]) / len(ctx.state["names"])
        skill[rows] = np.array(ctx.state["names"], object)[cosine.argmax(axis=1)]
    return {
        "mass": pa.array(value, mask=missing).cast(pa.float32()),
        "mass_skill": pa.array(skill, pa.string()),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
