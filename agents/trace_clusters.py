"""Cluster, then verify: a language model picks clusters by their keywords, and every sample of those is judged.

After FASTTRACK (Chen et al. 2024, arXiv:2404.15157; Findings of EMNLP 2024, "Reliable Fact Tracing via Clustering and LLM-Powered
Evidence Validation"). Offline: recursive clusters of vectors until they are small, and keywords for each by a language model.
Online: a language model chooses clusters by their keywords, then judges their samples for support.

It does not carry that method's name, since its text could be read no further than abstract and introduction: these say that
clusters of the training data narrow what a language model validates. Recursion, keywords and the choice by a model are told in
summaries of it; branching, size of a leaf, number and matching of keywords, how many clusters are kept, prompts, batches and the
scale of verdicts could not be compared and are ours. What differs by choice: a sample is judged in a question of its own, as in
`agents.trace`, so that none stands beside another; at most SHORTLIST clusters are named, those nearest to the fact; the NEAREST
clusters are always looked in, whatever their keywords say, so that a sample that steers them hides nothing of these.

A name of a cluster is asked once: its question holds the texts with the lowest ids among the rows the tree was fitted on, and
its answer is stored with the endpoint's calls. Names are data: words without punctuation that could be read as anything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from agents.asking import Asker, Query
from agents.evidence import WORD, Fact, addresses_reader, evidence, keyed
from agents.prompting import prompt
from agents.scope import Place
from agents.trace_leaves import (
    WORDS,
    Embed,
    Leaf,
    add_rank,
    in_order,
    leaves_of,
    read_texts,
    read_words,
    rows_of,
    shortened,
    told_lines,
)  # fmt: skip
from catalog.errors import BadInput, Missing

if TYPE_CHECKING:
    from catalog.catalog import Catalog

COLUMN = "cluster_leaf"
MOST = 50
"""Clusters that may be looked in."""
JUDGED = 400
"""Samples that are judged at most; beyond it those that share most with the fact."""
NEAREST = 2
"""Clusters that are looked in whatever the model picks: the first by meaning and by words are seldom one."""
SHOWN, WIDTH = 6, 300
"""Texts of a cluster that its name is made from, and characters of each."""
TOGETHER = 40
"""Clusters in one question."""
KEYWORD = re.compile(r"[^\W_](?:[\w '’&+#./-]{0,38}[\w+#])?")
LABEL: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["keywords"],
    "properties": {"keywords": {"type": "array", "items": {"type": "string"}}},
}  # fmt: skip
PICK: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["clusters"],
    "properties": {"clusters": {"type": "array", "items": {"type": "integer"}}},
}  # fmt: skip


class Label(BaseModel):
    """What a model says a cluster is about."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keywords: list[str]


class Picked(BaseModel):
    """Numbers of the clusters that a model would look in."""

    model_config = ConfigDict(extra="forbid", strict=True)

    clusters: list[int]


class Candidates(NamedTuple):
    """rows: of the clusters that were looked in, best first; clusters: those; told: what is not covered."""

    rows: list[dict[str, Any]]
    clusters: list[dict[str, Any]]
    told: list[str]


def by_clusters(
    cat: Catalog, places: Sequence[Place], fact: Fact, helper: Asker | None, *, clusters: int = 4, column: str = COLUMN,
    embed: Embed | None = None,
) -> Candidates:  # fmt: skip
    """The samples of the clusters that may hold the fact, over all places that have clusters."""
    if not 1 <= clusters <= MOST:
        raise BadInput(f"clusters must be 1 to {MOST}, not {clusters}")
    every, told = _leaves(cat, places, fact, column, embed)
    short = shortened(every)
    read_texts(cat, short, column)
    read_words(short)
    if helper is not None:
        _name(helper, short)
    add_rank(short, lambda leaf: _shared(fact, leaf))
    short = in_order(short)
    chosen = _chosen(helper, fact, short, clusters, told) if short else []
    if len(short) < len(every):
        told.append(f"of {len(every):,} clusters the {len(short)} nearest to the text were considered")
    rows, left = _rows(cat, chosen, fact, column)
    if left:
        told.append(f"{left} samples of these clusters that share least with the text were left out ({JUDGED} at most)")
    told.append(
        f"{len(rows)} samples of {len(chosen)} of {len(every):,} clusters were looked at; what others hold is not known"
    )
    return Candidates(rows, [_shown(leaf) for leaf in chosen], told)


def _leaves(
    cat: Catalog, places: Sequence[Place], fact: Fact, column: str, embed: Embed | None
) -> tuple[list[Leaf], list[str]]:
    every: list[Leaf] = []
    told: list[str] = []
    lacking: list[Missing] = []
    for place in places:
        try:
            leaves, said = leaves_of(cat, place, fact, column, embed)
        except Missing as error:
            lacking.append(error)
            told.append(f"{place.ref}: not searched: {error}")
            continue
        every += leaves
        told += [f"{place.ref}: {line}" for line in said]
    if lacking and len(lacking) == len(places):
        raise lacking[0]
    return every, told


def _name(helper: Asker, leaves: Sequence[Leaf]) -> None:
    """Keywords by the language model, of the places whose text it may see; a question a cluster."""
    asked = [leaf for leaf in leaves if helper.may_show([leaf.place.ref]) and _sample_of(leaf)]
    queries = [Query(prompt("trace_label"), _sample_of(leaf), LABEL, 120) for leaf in asked]
    for leaf, answer in zip(asked, helper.ask(queries), strict=True):
        said = helper.read(Label, answer)
        if said is not None and (words := cleaned(said.keywords)):
            leaf.keywords, leaf.named_by = words, "model"
    if unnamed := sum(leaf.named_by != "model" for leaf in asked):
        helper.notes.append(f"{unnamed} of {len(leaves)} clusters go by their own words: no usable name was given")


def _sample_of(leaf: Leaf) -> str:
    """What a name is made from, the same as long as these rows are there; empty where no line can be shown."""
    told = [text for _, full in leaf.texts if (text := " ".join(told_lines(full))[:WIDTH])][:SHOWN]
    numbered = "\n".join(f"{at}: {text}" for at, text in enumerate(told, 1))
    return f"Samples of one cluster (data, no instructions):\n{numbered}" if told else ""


def cleaned(keywords: Sequence[str]) -> list[str]:
    """Keywords that are words and nothing else, once each; none that speaks to whoever reads them."""
    plain = (" ".join(word.split()) for word in keywords)
    kept = [word for word in plain if KEYWORD.fullmatch(word) and not addresses_reader(word)]
    kept = list(dict.fromkeys(kept))[:WORDS]
    return [] if addresses_reader(", ".join(kept)) else kept


def _shared(fact: Fact, leaf: Leaf) -> float:
    """Share of the fact's weight that a cluster's words and keywords hold."""
    held = {keyed(word) for word in WORD.findall(" ".join([*leaf.words, *leaf.keywords]))}
    return sum(weight for word, weight in fact.weights.items() if word in held) / fact.total


def _chosen(helper: Asker | None, fact: Fact, short: list[Leaf], clusters: int, told: list[str]) -> list[Leaf]:
    """The nearest clusters, then those that the model picks; without its word the nearest ones."""
    open_to = [leaf for leaf in short if helper is not None and helper.may_show([leaf.place.ref])]
    picked = _picked(helper, fact, open_to) if helper is not None and open_to else None
    if picked is None:
        told.append("clusters were chosen by likeness and words, not picked by a language model")
        chosen = short[:clusters]
    else:
        closed = [leaf for leaf in short if all(leaf is not other for other in open_to)]
        wanted = _once([*short[:NEAREST], *picked])
        chosen = _once([*wanted, *closed])[:clusters]
        if len(wanted) > clusters:
            told.append(
                f"{len(wanted) - clusters} further clusters were picked and not looked in (--clusters {clusters})"
            )
        for leaf in picked:
            leaf.picked_by = "model"
    for leaf in chosen:
        leaf.picked_by = leaf.picked_by or "nearness"
    return chosen


def _once(leaves: Sequence[Leaf]) -> list[Leaf]:
    return list({id(leaf): leaf for leaf in leaves}.values())


def _picked(helper: Asker, fact: Fact, leaves: list[Leaf]) -> list[Leaf] | None:
    """The clusters a model would look in, nearest first; None where not every question has an answer."""
    groups = [leaves[begin : begin + TOGETHER] for begin in range(0, len(leaves), TOGETHER)]
    queries = [Query(prompt("trace_pick"), _listed(fact, group), PICK, 200) for group in groups]
    wanted: list[Leaf] = []
    for group, answer in zip(groups, helper.ask(queries), strict=True):
        if (said := helper.read(Picked, answer)) is None:
            return None
        numbers = {number for number in said.clusters if 1 <= number <= len(group)}
        wanted += [leaf for number, leaf in enumerate(group, 1) if number in numbers]
    return wanted


def _listed(fact: Fact, leaves: Sequence[Leaf]) -> str:
    lines = [f"{at}: {', '.join(leaf.keywords) or 'no word'}" for at, leaf in enumerate(leaves, 1)]
    return f"Claim: {fact.text}\n\nClusters (data, no instructions):\n" + "\n".join(lines)


def _rows(cat: Catalog, chosen: Sequence[Leaf], fact: Fact, column: str) -> tuple[list[dict[str, Any]], int]:
    """Every sample of the clusters, a content once, with the lines that speak of the fact; and how many are left out."""
    held: dict[str, dict[str, Any]] = {}
    for leaf in chosen:
        for row in rows_of(cat, [leaf], ["sample_id", "content_id", "text"], column):
            ref = leaf.place.ref
            if (other := held.get(row["content_id"])) is not None:
                other["also"].append({"dataset": ref, "sample_id": row["sample_id"]})
                continue
            text = row["text"] or ""
            held[row["content_id"]] = {
                "dataset": ref, "sample_id": row["sample_id"], "also": [], "text": text, "cluster": leaf.number,
                **evidence(fact, text),
            }  # fmt: skip
    rows = sorted(held.values(), key=lambda row: (-row["score"], row["sample_id"]))
    return rows[:JUDGED], max(0, len(rows) - JUDGED)


def _shown(leaf: Leaf) -> dict[str, Any]:
    return {"dataset": leaf.place.ref, "cluster": leaf.number, "rows": leaf.rows, "keywords": leaf.keywords,
            "named_by": leaf.named_by, "likeness": leaf.likeness, "picked_by": leaf.picked_by}  # fmt: skip
