"""The fit of evolved ranking: draw seeds, evolve them, have the variants scored, train the student on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from catalog.errors import BadInput
from catalog.plugins import Context, Scan
from flows.endpoints.wire import Question
from flows.scorers.combine._held_out import agreement, held_out
from flows.scorers.combine._students import BUCKETS, train
from flows.scorers.forward._turns import Exchange, last_exchange
from flows.scorers.judge._evolving import evolve, rank, read_rewritten, read_scores
from flows.scorers.judge._judging import JudgeParams, Key, ask_until_read
from flows.scorers.ngram._linear import unit_matrix

LEAST = 50


class EvolvedParams(JudgeParams):
    draws: int = Field(1, ge=1, le=1, description="always one: the variants of a sample are its draws")
    seeds: int = Field(200, ge=10, le=20_000, description="samples that are evolved, drawn at random")
    steps: int = Field(5, ge=1, le=9, description="times each is evolved further")
    floor: float = Field(0.3, ge=-1, le=1, description="held-out Spearman correlation below which it refuses")
    longest: int = Field(
        4000, ge=100, le=100_000, description="characters of an instruction or a response that are shown"
    )


def fit(what: str, scan: Scan, ctx: Context) -> dict[str, Any]:
    """The student and its report; refuses below the floor."""
    params: EvolvedParams = ctx.params
    seeds = _seeds(scan, ctx)
    if len(seeds) < 10:
        raise BadInput(
            f"judge_evolved_{what}: {len(seeds)} rows have an instruction with a response; it needs 10 or more"
        )
    chains = _evolved(what, seeds, ctx)
    scores = _ranked(what, seeds, chains, ctx)
    texts = [read(what, exchange, text) for at in scores for exchange, text in _variants(seeds[at][0], chains[at])]
    wanted = np.array([score for at in scores for score in scores[at]], float)
    owner = [str(at) for at in scores for _ in scores[at]]
    if len(texts) < LEAST or not np.ptp(wanted) > 0:
        raise BadInput(f"judge_evolved_{what}: {len(texts)} variants were scored; it needs {LEAST}: more --param seeds=, or a "
                       "model that can be read")  # fmt: skip
    features = unit_matrix(texts, BUCKETS)
    guess = held_out("ngram", features, wanted, owner, 5, ctx.seed)
    report = agreement(guess, wanted, np.array([len(text) for text in texts], float), ctx.seed)
    rises = np.concatenate([np.diff(scores[at]) for at in scores])
    report |= {"seeds": len(scores), "variants": len(texts), "steps_that_rose": float((rises > 0).mean()),
               "steps_that_fell": float((rises < 0).mean()), "floor": params.floor}  # fmt: skip
    if report["spearman"] < params.floor:
        raise BadInput(
            f"judge_evolved_{what}: the student's held-out Spearman correlation with the model's scores is "
            f"{report['spearman']:.3f} (95 %: {report['low']:.3f} to {report['high']:.3f}), below the floor {params.floor}; "
            "evolve more seeds, ask a better model, or lower the floor (what is answered is kept)"
        )
    return {**train("ngram", features, wanted, ctx.seed), "report": report}


def _seeds(scan: Scan, ctx: Context) -> list[tuple[Exchange, str]]:
    """Exchanges of different content, drawn by a key that more rows do not change."""
    from xxhash import xxh3_64_intdigest

    found: dict[str, tuple[int, Exchange, str]] = {}
    params: EvolvedParams = ctx.params
    for batch in scan():
        for content, sample, messages in zip(
            *(batch.column(n).to_pylist() for n in ("content_id", "sample_id", "messages"))
        ):
            if (held := exchange(messages, params.longest)) is not None:
                found.setdefault(content, (xxh3_64_intdigest(content.encode(), ctx.seed), held, sample))
    drawn = sorted(found.values(), key=lambda one: one[0])[: params.seeds]
    return [(exchange, sample) for _, exchange, sample in drawn]


def exchange(messages: Any, longest: int | None = None) -> Exchange | None:
    """The last exchange, its input put after the instruction."""
    held = last_exchange(messages)
    if held is None:
        return None
    whole = "\n\n".join(part for part in (held.instruction, held.given) if part)
    return Exchange(whole[:longest], "", held.response[:longest])


def _evolved(what: str, seeds: list[tuple[Exchange, str]], ctx: Context) -> list[list[str]]:
    """Each seed's text and its rewritten forms; a chain ends where no rewriting could be read or nothing changed."""
    chains = [[held.instruction if what == "complexity" else held.response] for held, _ in seeds]
    params: EvolvedParams = ctx.params
    for step in range(params.steps):

        def question(key: Key, draw: int, heat: float, step: int = step) -> Question:
            (held, sample), last = seeds[key[0]], chains[key[0]][-1]
            instruction, response = (last, "") if what == "complexity" else (held.instruction, last)
            return evolve(what, instruction, response, step, draw, heat, sample)

        keys = [(at, 0) for at, chain in enumerate(chains) if len(chain) == step + 1]
        for (at, _), text in ask_until_read(ctx, keys, question, read_rewritten).items():
            if text[: params.longest] != chains[at][-1]:
                chains[at].append(text[: params.longest])
    return chains


def _ranked(
    what: str, seeds: list[tuple[Exchange, str]], chains: list[list[str]], ctx: Context
) -> dict[int, list[int]]:
    """Scores of each chain in the order of evolution; they were shown in an order of chance."""
    orders = {
        at: np.random.default_rng([ctx.seed, at]).permutation(len(chain))
        for at, chain in enumerate(chains)
        if len(chain) > 1
    }

    def question(key: Key, draw: int, heat: float) -> Question:
        (held, sample), chain = seeds[key[0]], chains[key[0]]
        return rank(what, held.instruction, [chain[place] for place in orders[key[0]]], draw, heat, sample)

    scores: dict[int, list[int]] = {}
    for size in sorted({len(order) for order in orders.values()}):
        keys = [(at, 0) for at, order in orders.items() if len(order) == size]
        found = ask_until_read(ctx, keys, question, lambda text, size=size: read_scores(text, size))
        for (at, _), said in found.items():
            scores[at] = [said[place] for place in np.argsort(orders[at])]
    return scores


def _variants(held: Exchange, chain: list[str]) -> list[tuple[Exchange, str]]:
    return [(held, text) for text in chain]


def read(what: str, held: Exchange, text: str) -> str:
    """What the student reads: the instruction, or the instruction with the response."""
    return text if what == "complexity" else f"{held.instruction}\n\n{text}"
