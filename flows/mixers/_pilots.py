"""What projektor fits at a pilot size, its slope in the shares, and how two sizes are carried on to a third.

Kang et al. 2023, arXiv:2307.02460, equations of stage one and two; the terms of the notebook leave out squares alone and
all of the last part, which the others imply.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.errors import BadInput
from catalog.mixers import Trials


def design(shares: np.ndarray, distance: np.ndarray, terms: str) -> np.ndarray:
    """(runs, terms): b0, b1, b2 times the distance, then c0, c1, c2."""
    if terms == "notebook":
        free = shares[:, :-1]
        bent, plain = np.column_stack([free, free**2]), free
    else:
        bent = plain = np.column_stack([shares[:, :-1], shares**2])
    one = np.ones((len(shares), 1))
    return np.column_stack([np.column_stack([one, bent]) * distance[:, None], one, plain])


def fit(shares: np.ndarray, distance: np.ndarray, losses: np.ndarray, terms: str) -> np.ndarray:
    """Coefficients by least squares, the smallest where the runs leave a choice."""
    return np.linalg.lstsq(design(shares, distance, terms), losses, rcond=None)[0]


def blocks(
    found: np.ndarray, parts: int, terms: str
) -> tuple[float, np.ndarray, np.ndarray, float, np.ndarray, np.ndarray]:
    """b0, b1, b2, c0, c1, c2, a number a part where there is one a part; 0 for what the terms leave out."""
    squares = parts - 1 if terms == "notebook" else parts
    b1, b2, rest = np.split(found[1:], [parts - 1, parts - 1 + squares])
    c1, c2 = rest[1:parts], rest[parts:]
    wide = [np.concatenate([held, np.zeros(parts - len(held))]) for held in (b1, b2, c1, c2)]
    return float(found[0]), wide[0], wide[1], float(rest[0]), wide[2], wide[3]


def value_and_slope(
    found: np.ndarray, shares: np.ndarray, distance: float, slope: np.ndarray, terms: str
) -> tuple[float, np.ndarray]:
    """The fit at one mixture and its derivative in every share. slope: that of the distance."""
    b0, b1, b2, c0, c1, c2 = blocks(found, len(shares), terms)
    factor = b0 + b1 @ shares + b2 @ shares**2
    value = factor * distance + c0 + c1 @ shares + c2 @ shares**2
    return float(value), factor * slope + (b1 + 2 * b2 * shares) * distance + c1 + 2 * c2 * shares


def project(small: Any, large: Any, sizes: tuple[float, float], budget: float) -> Any:
    """Performance at a budget from that at two sizes: a line in the logarithm of the size, with no parameter of its own."""
    first, second = sizes
    return (np.log(budget / first) * large - np.log(budget / second) * small) / np.log(second / first)


def pilots(runs: Trials, least: int) -> tuple[tuple[float, float], tuple[np.ndarray, np.ndarray]]:
    """The smallest and the largest size with enough runs, and which runs these are. Sizes within 5 % are one."""
    order = np.argsort(runs.tokens, kind="stable")
    cuts = np.flatnonzero(np.diff(np.log(runs.tokens[order])) > 0.05) + 1
    groups = [group for group in np.split(order, cuts) if len(group) >= least]
    if len(groups) < 2:
        raise BadInput(
            f"mixer projektor needs two sizes (the column tokens) with {least} runs each, the trials hold {len(groups)}; "
            "run the same mixes at another size, or fit fewer terms: --param terms=notebook"
        )
    ends = groups[0], groups[-1]
    return (float(runs.tokens[ends[0]].mean()), float(runs.tokens[ends[1]].mean())), ends
