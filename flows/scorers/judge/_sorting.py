"""The three ways in which pairwise ranking prompting makes an order of comparisons. Pure: `outcome` says who is better.

outcome(pairs) -> 1, 0 or -1 for each (a, b): a is better, they tie, b is better. Items are named by their place in the
given order, best first; where the outcome says nothing that order stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Outcome = Callable[[Sequence[tuple[int, int]]], Sequence[int]]


def all_pairs(count: int, outcome: Outcome) -> list[int]:
    """Every pair once: a point for a win, half a point each for a tie."""
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    points = np.zeros(count)
    for (a, b), said in zip(pairs, outcome(pairs), strict=True):
        points[a] += (1 + said) / 2
        points[b] += (1 - said) / 2
    return sorted(range(count), key=lambda item: (-points[item], item))


def heap_sort(count: int, outcome: Outcome, top: int = 0) -> list[int]:
    """Heapsort (Williams 1964, Floyd's construction), which stops when the best `top` are out; the others follow as given."""

    def better(a: int, b: int) -> bool:
        said = outcome([(a, b)])[0]
        return said > 0 or (said == 0 and a < b)

    def sift(at: int, end: int) -> None:
        while (child := 2 * at + 1) < end:
            if child + 1 < end and better(heap[child + 1], heap[child]):
                child += 1
            if not better(heap[child], heap[at]):
                return
            heap[at], heap[child], at = heap[child], heap[at], child

    heap = list(range(count))
    for at in range(count // 2 - 1, -1, -1):
        sift(at, count)
    done: list[int] = []
    for end in range(count - 1, max(count - (top or count), 0) - 1, -1):
        done.append(heap[0])
        heap[0] = heap[end]
        sift(0, end)
    out = set(done)
    return done + [item for item in range(count) if item not in out]


def sliding_window(count: int, outcome: Outcome, passes: int) -> list[int]:
    """`passes` passes from the last to the first, each swapping neighbours that stand the wrong way: one brings up one best."""
    order = list(range(count))
    for done in range(min(passes, count - 1)):
        for at in range(count - 1, done, -1):
            if outcome([(order[at - 1], order[at])])[0] < 0:
                order[at - 1], order[at] = order[at], order[at - 1]
    return order
