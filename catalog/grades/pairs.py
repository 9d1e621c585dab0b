"""Strengths of samples from comparisons: the Bradley-Terry model, fitted by minorization-maximization.

R. A. Bradley and M. E. Terry 1952; D. R. Hunter 2004, "MM algorithms for generalized Bradley-Terry models", Annals of
Statistics 32(1):384-406, arXiv:math/0406165: each round sets a strength to its wins over the sum, over its comparisons, of
1 / (own strength + the other's), and never lowers the likelihood. A tie counts as half a win for each side. The maximum is
there only if every sample is tied to every other by wins and by losses (Ford 1957); `prior` adds that many half-won
comparisons of each sample with one of strength 1, after which it always is.
"""

from __future__ import annotations

import numpy as np

from catalog.errors import BadInput

ROUNDS = 10_000


def bradley_terry(
    first: np.ndarray, second: np.ndarray, won: np.ndarray, count: int, prior: float = 0.0, tolerance: float = 1e-10
) -> np.ndarray:
    """Log strengths with mean 0, higher is better; the odds that i beats j are exp(s[i] - s[j]).

    first, second: samples of each comparison, from 0 to count - 1. won: 1 if the first won, 0 if the second, 0.5 for a tie.
    """
    if not len(first):
        raise BadInput("there are no comparisons to fit")
    if prior <= 0 and not _tied_together(first, second, won, count):
        raise BadInput(
            "no strengths fit these comparisons best: some samples only ever won or lost against the rest; compare more, or "
            "set a prior above 0"
        )
    wins = np.bincount(first, won, count) + np.bincount(second, 1 - won, count) + prior / 2
    strength = np.ones(count)
    for _ in range(ROUNDS):
        share = 1 / (strength[first] + strength[second])
        held = np.bincount(first, share, count) + np.bincount(second, share, count) + prior / (strength + 1)
        made = wins / held
        if prior <= 0:
            made /= np.exp(np.log(made).mean())
        if np.abs(np.log(made) - np.log(strength)).max() < tolerance:
            strength = made
            break
        strength = made
    logs = np.log(strength)
    return logs - logs.mean()


def _tied_together(first: np.ndarray, second: np.ndarray, won: np.ndarray, count: int) -> bool:
    """Whether from every sample every other is reached along wins: from one forwards, and to it backwards."""
    above = np.concatenate([first[won > 0], second[won < 1]])
    below = np.concatenate([second[won > 0], first[won < 1]])
    return all(_reached(begin, end, count) == count for begin, end in ((above, below), (below, above)))


def _reached(begin: np.ndarray, end: np.ndarray, count: int) -> int:
    seen = np.zeros(count, bool)
    seen[0] = True
    while True:
        more = end[seen[begin] & ~seen[end]]
        if not len(more):
            return int(seen.sum())
        seen[more] = True
