"""Ranks of rows before target texts, without holding all similarities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_HELD = 1 << 24
"""Similarities at once."""


def best_ranks(
    points: np.ndarray, target: np.ndarray, tick: Callable[[], None] = lambda: None
) -> tuple[np.ndarray, np.ndarray]:
    """For each row its best rank among all rows before any target text (1: the most similar one), and its turn.

    Turns count from 0 when target texts take rows in rounds, each its next most similar one, whether taken before or not:
    a row's turn is the first of all turns at which it comes up. Equal similarities rank in the order of the rows.
    """
    total, texts = len(points), len(target)
    turn = np.full(total, total * texts, np.int64)
    place = np.arange(total)[None, :]
    for start in range(0, texts, step := max(_HELD // max(total, 1), 1)):
        part = target[start : start + step].astype(np.float32)
        order = np.argsort(-(part @ points.T), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, place, axis=1)
        np.minimum(turn, (rank * texts + np.arange(start, start + len(part))[:, None]).min(axis=0), out=turn)
        tick()
    return turn // max(texts, 1) + 1, turn


def places(turn: np.ndarray) -> np.ndarray:
    """Position of each row in the order of turns, from 0."""
    found = np.empty(len(turn), np.int64)
    found[np.argsort(turn, kind="stable")] = np.arange(len(turn))
    return found


def mean_reciprocal(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean over target texts of 1 / rank of each row."""
    total = np.zeros(len(points))
    place = 1 / np.arange(1, len(points) + 1)
    for start in range(0, len(target), step := max(_HELD // max(len(points), 1), 1)):
        order = np.argsort(-(target[start : start + step].astype(np.float32) @ points.T), axis=1, kind="stable")
        value = np.empty(order.shape)
        np.put_along_axis(value, order, np.broadcast_to(place, order.shape), axis=1)
        total += value.sum(axis=0)
    return total / max(len(target), 1)
