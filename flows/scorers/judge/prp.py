"""Ranks by pairwise ranking prompting, where the order matters and no number does.

Z. Qin et al. 2023, "Large Language Models are Effective Text Rankers with Pairwise Ranking Prompting", arXiv:2306.17563:
two texts are shown in both orders; if the model names the same text twice, it is the better one, else they tie. allpair
asks for every pair and counts points, N(N-1)/2 comparisons; heapsort sorts by comparisons, O(N log N); sliding passes K
times from the last to the first and swaps, at most K(N-1), for the best K. Ties keep the order that `by` gives. The
question is yours, the wording around it ours. A comparison is two requests; one that was answered is never asked again,
in this run, by another method or later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.judge._judging import JudgeParams, ask_until_read
from flows.scorers.judge._pair import ask_pair, read_choice
from flows.scorers.judge._position import position_report
from flows.scorers.judge._sorting import all_pairs, heap_sort, sliding_window


class PrpParams(JudgeParams):
    question: str = Field(description="what is asked of two texts, such as: Which text teaches more?")
    method: Literal["allpair", "heapsort", "sliding"] = Field("sliding", description="how comparisons become an order")
    top: int = Field(10, ge=0, description="best ones that are sought: passes of sliding, end of heapsort; 0: all")
    by: str = Field("", description="column of numbers that gives the first order; none: the order of the rows")
    first: Literal["high", "low"] = Field("high", description="which values of `by` come first")
    longest: int = Field(
        2000, ge=100, le=1_000_000, description="characters of a text that are shown, from its beginning"
    )


class _Comparisons:
    """Verdicts on pairs, asked when needed and kept. items: places in the first order -> (text, sample id)."""

    def __init__(self, ctx: Context, items: list[tuple[str, str]]) -> None:
        self.ctx, self.items = ctx, items
        self.held: dict[tuple[int, int], tuple[float, float]] = {}

    def __call__(self, pairs: Sequence[tuple[int, int]]) -> list[int]:
        missing = list(dict.fromkeys((min(pair), max(pair)) for pair in pairs))
        self._ask([pair for pair in missing if pair not in self.held])
        return [self._said(a, b) for a, b in pairs]

    def _said(self, a: int, b: int) -> int:
        forward, backward = self.held[min(a, b), max(a, b)]
        if not (forward > 0.5 > backward or forward < 0.5 < backward):
            return 0  # the verdict went with the order, or one of the two could not be read
        return (1 if forward > 0.5 else -1) * (1 if a < b else -1)

    def _ask(self, pairs: list[tuple[int, int]]) -> None:
        params: PrpParams = self.ctx.params
        at_once = max(512, self.ctx.at_once) // (2 * params.draws) or 1
        for start in range(0, len(pairs), at_once):
            some = pairs[start : start + at_once]
            keys = [(n, swap, draw) for n in range(len(some)) for swap in (0, 1) for draw in range(params.draws)]

            def question(key: tuple[int, ...], draw: int, heat: float, some: list[tuple[int, int]] = some) -> Any:
                a, b = some[key[0]][::-1] if key[1] else some[key[0]]
                (left, owner), (right, _) = self.items[a], self.items[b]
                return ask_pair(params.question, left, right, draw, heat, owner)

            votes = np.full((len(some), 2, params.draws), np.nan)
            for (n, swap, draw), choice in ask_until_read(self.ctx, keys, question, read_choice).items():
                votes[n, swap, draw] = choice == "A"
            read = np.isfinite(votes).any(2)
            shares = np.where(read, np.nansum(votes, 2) / np.maximum(np.isfinite(votes).sum(2), 1), np.nan)
            self.held |= {pair: (float(f), float(b)) for pair, (f, b) in zip(some, shares, strict=True)}

    def report(self) -> dict[str, Any]:
        """Counts, and what the place did."""
        sizes = np.array([len(text) for text, _ in self.items])
        pairs = np.array(list(self.held), int).reshape(-1, 2)
        shares = np.array(list(self.held.values()), float).reshape(-1, 2)
        return {"comparisons": len(pairs), "ties": sum(self._said(a, b) == 0 for a, b in self.held),
                "position": position_report(shares[:, 0], shares[:, 1], sizes[pairs[:, 0]], sizes[pairs[:, 1]])}  # fmt: skip


@scorer(
    "prp_rank", version="1", pattern="global", reads=["text"], columns=("by",), cost="api", stage="L2", params=PrpParams,
    most_rows=100_000, citation="Qin et al. 2023, arXiv:2306.17563; question yours, wording ours",
    writes=[Out("prp_rank", pa.int32(), "place, 1 is best; beyond `top` as the first order has it", better="lower",
                range=(1, None))],
)  # fmt: skip
def prp_rank(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Rank rows by a model's comparisons of two at a time, each asked in both orders; a verdict that flips is a tie."""
    params: PrpParams = ctx.params
    texts, ids, order = [], [], []
    for batch in scan():
        texts += batch.column("text").to_pylist()
        ids += batch.column("sample_id").to_pylist()
        held = batch.column(params.by).cast(pa.float64()) if params.by else None
        order.append(held.to_numpy(zero_copy_only=False) if held is not None else np.zeros(batch.num_rows))
    rows = np.array([row for row, text in enumerate(texts) if text and text.strip()], np.int64)
    values = np.concatenate([np.empty(0), *order])[rows] * (1 if params.first == "low" else -1)
    rows = rows[np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")]
    compare = _Comparisons(ctx, [(texts[row][: params.longest], ids[row]) for row in rows])
    if params.method == "allpair":
        made = all_pairs(len(rows), compare)
    elif params.method == "heapsort":
        made = heap_sort(len(rows), compare, params.top)
    else:
        made = sliding_window(len(rows), compare, params.top or len(rows))
    rank = np.zeros(len(texts), np.int32)
    rank[rows[made]] = np.arange(1, len(rows) + 1)
    codes = np.where(rank > 0, states.VALUE, states.UNDEFINED).astype(np.uint8)
    return {"prp_rank": pa.array(rank, mask=rank == 0), "_state": pa.array(codes), "_report": compare.report()}
