"""How far a mixture of samples is from a target, and how that changes with the share of each part.

The distance is the Sinkhorn divergence under the squared distance (Feydy et al. 2019, arXiv:1810.08278) between the rows of
all parts, weighted by share over rows, and the target's rows. Its derivative in the weight of a row is the dual potential
of transport to the target less that of transport to itself; the mean over a part's rows is the derivative in its share.
"""

from __future__ import annotations

import numpy as np

from flows.scorers.embedding._transport import cost


class MixtureTransport:
    """parts: a (rows, width) array of unit vectors for each; target: (rows, width)."""

    def __init__(
        self,
        parts: list[np.ndarray],
        target: np.ndarray,
        epsilon: float,
        iterations: int = 2_000,
        tolerance: float = 1e-5,
    ) -> None:
        self.epsilon, self.iterations, self.tolerance = epsilon, iterations, tolerance
        self.part = np.repeat(np.arange(len(parts)), [len(rows) for rows in parts])
        self.counts = np.bincount(self.part, minlength=len(parts))
        rows = np.concatenate(parts)
        # Unit vectors are at most 4 apart, so that exp(-4 / epsilon) is a normal number down to epsilon = 0.01.
        self.between = np.exp(-cost(rows, target) / epsilon)
        self.within = np.exp(-cost(rows, rows) / epsilon)
        self.even = np.full(len(target), 1 / len(target))
        self.own = _symmetric(np.exp(-cost(target, target) / epsilon), self.even, np.ones(len(target)), tolerance)
        self.scalings = np.ones(len(target)), np.ones(len(rows))  # where the last mixture ended, a near one begins

    def __call__(self, shares: np.ndarray) -> tuple[float, np.ndarray]:
        """The distance at these shares and its derivative in each, free of a constant: (parts,), mean 0 by share.

        A part with less than one of its rows has that one, and the distance is carried on along the slope: where there
        is no mass, the entropy gives a potential that no mixture has.
        """
        held = np.maximum(shares, 1 / self.counts)
        held = held / held.sum()
        value, slope = self._solve(held)
        return max(value + float(slope @ (shares - held)), 0.0), slope - shares @ slope

    def _solve(self, shares: np.ndarray) -> tuple[float, np.ndarray]:
        mass = shares[self.part] / self.counts[self.part]
        v, own = self.scalings
        for _ in range(self.iterations):
            u = 1 / (self.between @ (self.even * v))
            new = 1 / ((mass * u) @ self.between)
            change = np.abs(np.log(new / v)).max()
            v = new
            if change < self.tolerance:
                break
        u = 1 / (self.between @ (self.even * v))
        own = _symmetric(self.within, mass, own, self.tolerance)
        self.scalings = v, own
        eps = self.epsilon
        potential = eps * (np.log(u) - np.log(own))
        value = mass @ potential + eps * self.even @ (np.log(v) - np.log(self.own))
        slope = np.bincount(self.part, potential, len(shares)) / self.counts
        return float(value), slope


def _symmetric(kernel: np.ndarray, mass: np.ndarray, start: np.ndarray, tolerance: float) -> np.ndarray:
    """The scaling of transport from a set to itself, by the averaged iteration."""
    scaling = start
    for _ in range(1_000):
        new = np.sqrt(scaling / (kernel @ (mass * scaling)))
        change = np.abs(np.log(new / scaling)).max()
        scaling = new
        if change < tolerance:
            break
    return scaling


def calibrated(slope: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Derivatives as projektor has them: a part's mean potential less that of all other rows together.

    It is the change when a part grows and all others shrink in proportion; NaN for a part that is all there is.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return (slope - shares @ slope) / (1 - shares)
