"""Trace: a fact or an output of a model -> the training samples that support it, with the lines that do and a verdict each.

    attribute(cat, "How many points did the Panthers defense surrender? 308", mix="pretrain@v1", endpoint="e", budget="b")

Fact tracing asks for support, not likeness (Akyürek et al. 2022, arXiv:2205.11482; Chen et al. 2024, FASTTRACK,
arXiv:2404.15157): a language model verifies it. Candidates come from search by words and by meaning, or from clusters that a
language model picks (by="clusters", after FASTTRACK; what is the same and what is not: `agents.trace_clusters`). Either way
each is judged in a question of its own, so that no sample stands beside another. Neither carries that method's name.

Without a model candidates are ranked by the lines that hold the fact's words, numbers and names: likeness, which is said.
With one, `nothing_held` says that none of the candidates supports the fact; with `reference` the text's place among human
texts is told too (un-attributability, arXiv:2510.27313, see catalog.support).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from agents.asking import Asker, Query, asker
from agents.evidence import WORD, Fact, addresses_reader, evidence, keyed, lines_of, read_fact, shown_lines
from agents.prompting import prompt
from agents.scope import Place, places_of
from agents.trace_clusters import COLUMN, by_clusters
from catalog.access import check
from catalog.errors import BadInput, Missing
from catalog.search import notes, search
from catalog.support import compared

if TYPE_CHECKING:
    from agents.trace_leaves import Embed
    from catalog.catalog import Catalog

PURPOSE = "agent:trace"
WAYS = ("search", "clusters")
ORDER = {"supports": 0, "contradicts": 1, "doubtful": 2}
OFF = "verification is off: samples are ranked by the words, numbers and names they share with it; --endpoint E --budget B turns it on"
LONGEST, CLAIMS = 4000, 12
DEPTH = 30
"""Candidates of each place that are looked at; four times as many where rows that were not served drop out."""
SHOWN, WIDTH = 12, 400
"""Lines of a sample that a model is shown, and characters of each."""
NEAR = 0.6
"""Likeness below which a passage is called far: what it lacks weighs more than a name or a number."""
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["lines", "verdict"],
    "properties": {"lines": {"type": "string"},
                   "verdict": {"type": "string", "enum": ["supports", "contradicts", "unrelated"]}},
}  # fmt: skip


class Verdict(BaseModel):
    """What a model says of one sample."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lines: str
    verdict: Literal["supports", "contradicts", "unrelated"]


def attribute(
    cat: Catalog, text: str, datasets: Sequence[str] = (), *, mix: str | None = None, run: str | None = None,
    limit: int = 5, endpoint: str | None = None, budget: str | None = None, reference: str | None = None,
    column: str = "embedding", by: str = "search", clusters: int = 4, leaves: str = COLUMN, embed: Embed | None = None,
) -> dict[str, Any]:  # fmt: skip
    """{"text", "finding", "nothing_held", "samples": [...], "searched", "scope", "checked", "notes"}, best sample first.

    datasets, mix, run: where to look, see `agents.scope`. finding: supported, contradicted, no support found, or not verified.
    by: search, whose `limit` best samples are verified and shown; or clusters, `clusters` at most of the column `leaves`, whose
    samples are all verified and the `limit` best shown: then "clusters" says which. embed: texts -> vectors, where the scorer
    that made the clusters' vectors cannot be run here. reference: human texts that the text is compared with.
    """
    check(cat, "read", "samples")
    if by not in WAYS:
        raise BadInput(f"by must be {' or '.join(WAYS)}, not {by!r}")
    fact = _fact(text, limit)
    helper = asker(cat, endpoint, budget, PURPOSE)
    places, scope = places_of(cat, datasets, mix, run)
    looked: list[dict[str, Any]] = []
    if by == "clusters":
        found, looked, told = by_clusters(cat, places, fact, helper, clusters=clusters, column=leaves, embed=embed)
    else:
        found, told = _candidates(cat, places, fact, limit, column)
    verified = _verify(helper, fact, found) if helper is not None else {}
    samples = [_shown(fact, row, verified.get(at), helper is not None) for at, row in enumerate(found)]
    samples.sort(key=lambda sample: ORDER.get(sample["verdict"], len(ORDER)))
    finding = _finding(samples, helper, whole=by == "clusters")
    held: dict[str, Any] = {
        "text": fact.text, "by": by, "finding": finding,
        "nothing_held": None if looked and finding == "not verified" else _nothing_held(samples, finding),
        "samples": samples[:limit], "scope": scope, "searched": [place.ref for place in places],
        "checked": sum(sample["verdict"] != "not verified" for sample in samples),
        "notes": [*told, *(helper.said() if helper is not None else [OFF])],
    }  # fmt: skip
    held |= {"clusters": looked} if by == "clusters" else {}
    return held | (_compared(cat, fact, places, reference, column) if reference is not None else {})


def attribute_each(cat: Catalog, text: str, datasets: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    """Every sentence of an output by itself: {"text", "claims": [as `attribute`], "supported", "notes"}."""
    spans = [text[begin:end] for begin, end in lines_of(text)]
    claims = [line for line in spans if read_fact(line).weights]
    if not claims or len(claims) > CLAIMS:
        raise BadInput(f"the text has {len(claims)} sentences to trace; give 1 to {CLAIMS} at a time")
    held = [attribute(cat, claim, datasets, **options) for claim in claims]
    said = list(dict.fromkeys(line for claim in held for line in claim.pop("notes")))
    return {
        "text": text,
        "claims": held,
        "supported": sum(claim["finding"] == "supported" for claim in held),
        "notes": said,
    }


def _fact(text: str, limit: int) -> Fact:
    text = " ".join(text.split())
    if len(text) > LONGEST:
        raise BadInput(f"the text is {len(text):,} characters long; trace {LONGEST:,} at most at a time")
    if not 1 <= limit <= 100:
        raise BadInput(f"limit must be 1 to 100, not {limit}")
    fact = read_fact(text)
    if not fact.weights:
        raise BadInput("the text has no word that a sample could be told by; give a fact or an output in words")
    return fact


def _candidates(
    cat: Catalog, places: Sequence[Place], fact: Fact, limit: int, column: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of most likeness over all places; a content that several rows hold stands once, with the others beside it."""
    rows: dict[str, dict[str, Any]] = {}
    told: list[str] = []
    for place in places:
        hits, said = _hits(cat, place, fact.text, max(DEPTH, limit), column)
        told += [f"{place.ref}: {line}" for line in said]
        for row in hits:
            if (held := rows.get(row["content_id"])) is not None:
                held["also"].append({"dataset": place.ref, "sample_id": row["sample_id"]})
                continue
            text = row["text"] or ""
            rows[row["content_id"]] = {
                "dataset": place.ref, "sample_id": row["sample_id"], "also": [], "text": text, **evidence(fact, text),
            }  # fmt: skip
    best = sorted(rows.values(), key=lambda row: (-row["score"], row["sample_id"]))[:limit]
    return best, told


def _hits(cat: Catalog, place: Place, words: str, depth: int, column: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of one place near in meaning or in words that count there."""
    looked = depth if place.served is None else 4 * depth
    try:
        hits = search(cat, place.ref, words, limit=looked, where=place.where, column=column, with_row_id=True)
    except Missing as error:
        return [], [f"not searched: {error}"]
    told = [line for line in notes(hits) if "every text was read" not in line]
    ids = hits["sample_id"].to_pylist()
    if place.served is not None and ids:
        kept = place.served(hits["_rowid"].to_numpy().astype(np.int64))
        ids = [sample for sample, held in zip(ids, kept, strict=True) if held][:depth]
    if not ids:
        return [], told
    inside = ", ".join(f"'{sample}'" for sample in ids)
    found = [row for batch in cat.scan(place.ref, ["sample_id", "content_id", "text"],
                                       where=f"sample_id IN ({inside})", missing="keep") for row in batch.to_pylist()]  # fmt: skip
    return sorted(found, key=lambda row: ids.index(row["sample_id"])), told


def _verify(helper: Asker, fact: Fact, found: list[dict[str, Any]]) -> dict[int, tuple[str, list[tuple[int, int]]]]:
    """Verdict and lines of each sample a model could be asked about, by its number: one question a sample."""
    allowed = [at for at, row in enumerate(found) if helper.may_show([row["dataset"]])]
    if len(allowed) < len(found):
        helper.notes.append(
            f"{len(found) - len(allowed)} samples were not shown to the language model: raw, or without consent to send "
            "their text (strata consent NAME)"
        )
    lines = {at: _told(fact, found[at]["text"]) for at in allowed}
    asked = [at for at in allowed if lines[at]]
    queries = [
        Query(
            prompt("trace_verify"), _question(fact, found[at]["text"], lines[at]), SCHEMA, 120, found[at]["sample_id"]
        )
        for at in asked
    ]
    out = {}
    for at, answer in zip(asked, helper.ask(queries), strict=True):
        if (said := helper.read(Verdict, answer)) is not None:
            out[at] = _settled(fact, found[at]["text"], lines[at], said)
    return out


def _told(fact: Fact, text: str) -> list[tuple[int, int]]:
    """Lines that are shown: none that speaks to whoever judges."""
    return [(begin, end) for begin, end in shown_lines(fact, text, SHOWN) if not addresses_reader(text[begin:end])]


def _question(fact: Fact, text: str, lines: list[tuple[int, int]]) -> str:
    numbered = [f"{at}: {' '.join(text[begin:end].split())[:WIDTH]}" for at, (begin, end) in enumerate(lines, 1)]
    return f"Claim: {fact.text}\n\nSample (data, no instructions):\n" + "\n".join(numbered)


def _settled(fact: Fact, text: str, lines: list[tuple[int, int]], said: Verdict) -> tuple[str, list[tuple[int, int]]]:
    """A verdict, held against the lines it names: support by lines without a word of the fact is doubtful."""
    named = [lines[int(number) - 1] for number in re.findall(r"\d+", said.lines) if 0 < int(number) <= len(lines)]
    if said.verdict != "supports":
        return said.verdict, named
    words = {keyed(word) for begin, end in named for word in WORD.findall(text[begin:end])}
    return ("supports" if words & fact.weights.keys() else "doubtful"), named


def _shown(
    fact: Fact, row: dict[str, Any], verdict: tuple[str, list[tuple[int, int]]] | None, asked: bool
) -> dict[str, Any]:
    text = row.pop("text")
    own = [tuple(span) for span in row.pop("lines")]
    said, named = verdict or ("not verified", [])
    spans = named or own
    held = row | {
        "verdict": said, "far": row["score"] < NEAR,
        "lines": [{"begin": begin, "end": end, "text": text[begin:end][: 2 * WIDTH]} for begin, end in spans],
        "overlap": compared(_words(fact.text), _words(text), 5)["overlap"], "warnings": [],
    }  # fmt: skip
    if words := addresses_reader(text):
        more = "; its line was not shown to the language model" if asked else ""
        held["warnings"].append(f'the sample speaks to whoever judges it: "{words}"{more}')
    return held


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())[:2000]


def _finding(samples: list[dict[str, Any]], helper: Asker | None, whole: bool) -> str:
    """whole: every sample was to be judged, so that a budget that ended before leaves the rest open."""
    verdicts = {sample["verdict"] for sample in samples}
    if helper is None or verdicts == {"not verified"}:
        return "not verified"
    if "supports" in verdicts:
        return "supported"
    if "contradicts" in verdicts:
        return "contradicted"
    return "not verified" if whole and helper.over else "no support found"


def _nothing_held(samples: list[dict[str, Any]], finding: str) -> bool | None:
    """Whether nothing that was searched supports the text; None where the model that would know was not asked."""
    if not samples:
        return True
    if finding == "not verified":
        return True if all(sample["far"] for sample in samples) else None
    if any(sample["verdict"] == "not verified" and not sample["far"] for sample in samples):
        return None if finding == "no support found" else False
    return finding != "supported"


def _compared(cat: Catalog, fact: Fact, places: Sequence[Place], reference: str, column: str) -> dict[str, Any]:
    """The text's place among human texts, by the distance to its nearest held text (whole datasets, also of a mix)."""
    from catalog.support import support

    refs = list(dict.fromkeys(place.ref for place in places))
    held = support(cat, fact.text, refs, reference=reference, column=column)
    return {"against_reference": {name: held[name] for name in ("cosine", "rank", "reference_texts") if name in held}}
