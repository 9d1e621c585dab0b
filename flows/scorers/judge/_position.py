"""What the place of a text does to a judge's verdict: how often it flips with the order, and which place it prefers.

Each pair is asked in both orders, so the texts are the same and the place alone differs: a judge without a preference says
A as often as B. P. Wang et al. 2023, "Large Language Models are not Fair Evaluators", arXiv:2305.17926, and L. Zheng et al.
2023 (MT-Bench), arXiv:2306.05685, report the same two figures.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.grades.gold import wilson

Z = 1.959963984540054
BUCKETS = ((0.1, "lengths within 10 %"), (0.5, "10 to 50 % apart"), (np.inf, "more than 50 % apart"))


def position_report(forward: np.ndarray, backward: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """forward, backward: share of answers "A" of a pair in the order first-second and second-first, NaN where none could be
    read. first, second: characters of the two texts. Shares with 95 % intervals over pairs."""
    both = np.isfinite(forward) & np.isfinite(backward)
    ahead, behind = np.sign(forward[both] - 0.5), np.sign(backward[both] - 0.5)
    flips = (ahead == behind) & (ahead != 0)
    placed = (forward[both] + backward[both]) / 2
    lengths = np.stack([first[both], second[both]]).astype(float)
    apart = np.abs(lengths[0] - lengths[1]) / np.maximum(lengths.max(0), 1)
    bucket = np.searchsorted([edge for edge, _ in BUCKETS], apart, side="right")
    steady = (ahead == -behind) & (ahead != 0) & (lengths[0] != lengths[1])
    longer = (ahead[steady] > 0) == (lengths[0] > lengths[1])[steady]
    rows = [
        {"lengths": name, "pairs": int((bucket == at).sum()), **_shares(flips[bucket == at], placed[bucket == at])}
        for at, (_, name) in enumerate(BUCKETS)
    ]
    return {
        "pairs": len(forward), "both_orders_read": int(both.sum()), **_shares(flips, placed),
        "by_length": [row for row in rows if row["pairs"]], "longer_won": proportion(longer),
        "interval": "95 %, over pairs",
    }  # fmt: skip


def _shares(flips: np.ndarray, placed: np.ndarray) -> dict[str, Any]:
    return {"flipped": proportion(flips), "said_first": _mean(placed)}


def proportion(held: np.ndarray) -> dict[str, float] | None:
    """A share with Wilson's interval; None of nothing."""
    n = len(held)
    if not n:
        return None
    low, high = wilson(float(held.sum()), n)
    return {"share": float(held.mean()), "low": low, "high": high}


def _mean(values: np.ndarray) -> dict[str, float] | None:
    """A mean of 0, 1/2 and 1 with an interval: of the two answers of a pair one is as the other unless the place decides."""
    if not len(values):
        return None
    wide = Z * float(values.std()) / np.sqrt(len(values))
    mean = float(values.mean())
    return {"share": mean, "low": max(0.0, mean - wide), "high": min(1.0, mean + wide)}
