"""Judges that compare two samples, and the strengths that follow: QuRating's four criteria, or a question of yours.

A. Wettig et al. 2024 (QuRating), arXiv:2402.09739: a model compares better than it grades, so texts are compared in pairs
on writing style, required expertise, facts and trivia, and educational value, each pair in both orders to take out the
preference for a position, and the Bradley-Terry model turns the outcomes into one number a text. The criteria are theirs,
the wording is ours. They then train a rater on the outcomes; here `distil` does that from the column.

Which texts meet: rounds of cycles through a random order, so that each text has two opponents a round and every text is
tied to every other through a chain of comparisons from the first round on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.endpoints.wire import Question
from flows.scorers.judge._judging import JudgeParams, Key, ask_until_read
from flows.scorers.judge._pair import ask_pair, read_choice
from flows.scorers.judge._position import position_report

CRITERIA = {
    "writing_style": "Which text is better and more beautifully written?",
    "required_expertise": "Which text needs more expertise and previous knowledge to be understood?",
    "facts_and_trivia": "Which text holds more facts and trivia? Specific and little known ones count for more.",
    "educational_value": "Which text teaches more, for example by clear explanations, reasoning step by step, or questions with answers?",
}


class PairParams(JudgeParams):
    rounds: int = Field(3, ge=1, le=100, description="opponents of each row, by two: a round is two comparisons a row")
    longest: int = Field(
        2000, ge=100, le=1_000_000, description="characters of a text that are shown, from its beginning"
    )
    prior: float = Field(0.1, gt=0, description="comparisons with an average row, half won, that each row begins with")
    together: int = Field(512, ge=1, le=100_000, description="questions asked at a time")


class OwnPairs(PairParams):
    question: str = Field(description="what is asked of two texts, such as: Which text is funnier?")


def compare_all(scan: Scan, ctx: Context, question: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
    """Strengths, shares of comparisons won, and states, in the rows' order; and what the place of a text did."""
    from catalog.grades.pairs import bradley_terry

    params: PairParams = ctx.params
    batches = [(batch.column("text"), batch.column("sample_id")) for batch in scan(["text"])]
    texts = [text for column, _ in batches for text in column.to_pylist()]
    ids = [one for _, column in batches for one in column.to_pylist()]
    rows = np.array([row for row, text in enumerate(texts) if text and text.strip()], np.int64)
    strength, share = np.full(len(texts), np.nan), np.full(len(texts), np.nan)
    codes = np.full(len(texts), states.UNDEFINED, np.uint8)
    if len(rows) < 2:
        return strength, share, codes, {}
    first, second = pairs_of(len(rows), params.rounds, ctx.seed)
    shown = [texts[row][: params.longest] for row in rows]
    votes = _votes(ctx, question, shown, [ids[row] for row in rows], first, second)
    won = _outcomes(*votes)
    known = np.isfinite(won)
    if not known.any():
        raise BadInput(f"endpoint {params.endpoint} gave no comparison that can be read; see `strata endpoint list`")
    seen = np.bincount(first[known], minlength=len(rows)) + np.bincount(second[known], minlength=len(rows))
    codes[rows] = np.where(seen > 0, states.VALUE, states.FAILED)
    found = bradley_terry(first[known], second[known], won[known], len(rows), prior=params.prior)
    wins = np.bincount(first[known], won[known], len(rows)) + np.bincount(second[known], 1 - won[known], len(rows))
    strength[rows] = np.where(seen > 0, found, np.nan)
    share[rows] = np.where(seen > 0, wins / np.maximum(seen, 1), np.nan)
    sizes = np.array([len(text) for text in shown])
    with np.errstate(invalid="ignore"):
        placed = position_report(
            votes[0][:, 0] / votes[1][:, 0], votes[0][:, 1] / votes[1][:, 1], sizes[first], sizes[second]
        )
    return strength, share, codes, {"position": placed}


def pairs_of(count: int, rounds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Who meets whom: a cycle through a random order in each round; a pair that met already does not meet again."""
    rng, seen, pairs = np.random.default_rng(seed), set(), []
    for _ in range(rounds):
        order = rng.permutation(count)
        for a, b in zip(order, np.roll(order, -1), strict=True):
            key = (min(a, b), max(a, b))
            if a != b and key not in seen:
                seen.add(key)
                pairs.append((int(a), int(b)))
    made = np.array(pairs, np.int64).reshape(-1, 2)
    return made[:, 0], made[:, 1]


def _votes(
    ctx: Context, question: str, shown: list[str], ids: list[str], first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Answers "A" and answers, [pair, order]; the second order shows the second text as A."""
    params: PairParams = ctx.params
    said, asked = np.zeros((len(first), 2)), np.zeros((len(first), 2))
    turns = [(pair, swapped, draw) for pair in range(len(first)) for swapped in (0, 1) for draw in range(params.draws)]

    def ask(key: Key, draw: int, heat: float) -> Question:
        pair, swapped, _ = key
        a, b = (second[pair], first[pair]) if swapped else (first[pair], second[pair])
        return ask_pair(question, shown[a], shown[b], draw, heat, ids[first[pair]])

    together, rows = max(params.together, ctx.at_once), len(shown)
    for begin in range(0, len(turns), together):
        some = turns[begin : begin + together]
        for (pair, swapped, _), choice in ask_until_read(ctx, some, ask, read_choice).items():
            said[pair, swapped] += choice == "A"
            asked[pair, swapped] += 1
        ctx.tick(rows * min(begin + together, len(turns)) // len(turns) - rows * begin // len(turns))
    return said, asked


def _outcomes(said: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """1: the first won, 0: the second, between: its share over both orders and all draws; NaN: no answer could be read."""
    votes = said[:, 0] + asked[:, 1] - said[:, 1]
    with np.errstate(invalid="ignore"):
        return np.where(asked.sum(1) > 0, votes / asked.sum(1), np.nan)


def _declare(name: str, question: str | None) -> None:
    outs = [
        Out(f"pairs_{name}", pa.float64(), "log strength in the Bradley-Terry model, mean 0", better="higher"),
        Out(f"pairs_{name}_won", pa.float32(), "share of its comparisons that it won", better="higher", range=(0, 1)),
    ]

    def compare(scan: Scan, ctx: Context) -> dict[str, Any]:
        strength, share, codes, report = compare_all(scan, ctx, question or ctx.params.question)
        found = (
            pa.array(values, out.type, from_pandas=True) for out, values in zip(outs, (strength, share), strict=True)
        )
        return {
            **dict(zip([out.name for out in outs], found, strict=True)),
            "_state": pa.array(codes),
            "_report": report,
        }

    compare.__doc__ = f"{question or 'A question of yours.'} Strengths from a model's comparisons in both orders."
    compare.__module__ = __name__
    scorer(
        f"pairs_{name}", version="1", pattern="global", reads=["text"], writes=outs, cost="api", stage="L2",
        params=OwnPairs if question is None else PairParams, most_rows=200_000,
        citation="a question of yours" if question is None else "Wettig et al. 2024, arXiv:2402.09739; our wording",
    )(compare)  # fmt: skip


for _name, _question in CRITERIA.items():
    _declare(_name, _question)
_declare("own", None)
