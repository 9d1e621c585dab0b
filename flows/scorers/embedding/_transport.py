"""Optimal transport between uniform samples: squared distances, entropic duals, and the Sinkhorn divergence of two sets.

Cuturi 2013, arXiv:1306.0895; the iteration keeps the kernel with the duals absorbed in it (Schmitzer 2019,
arXiv:1610.06519), so that a step is two products of a matrix with a vector; the divergence is free of the entropy's bias
(Feydy et al. 2019, arXiv:1810.08278): it is zero between a set and itself.
"""

from __future__ import annotations

import numpy as np

_FAR = 30.0
"""Logarithm of a scaling from which on it goes into the kernel."""


def cost(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances."""
    rows, target = rows.astype(np.float64), target.astype(np.float64)
    squares = (rows**2).sum(1)[:, None] + (target**2).sum(1)[None, :]
    return np.maximum(squares - 2 * rows @ target.T, 0)


def soft_minimum(values: np.ndarray, epsilon: float) -> np.ndarray:
    """-eps log mean exp(-value / eps) along the last axis."""
    low = values.min(axis=1)
    return low - epsilon * np.log(np.exp((low[:, None] - values) / epsilon).mean(axis=1))


def sinkhorn(
    price: np.ndarray, epsilon: float, iterations: int, tolerance: float = 1e-7
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Duals of entropic transport between uniform marginals, the last change in units of epsilon, and the iterations.

    The strength of the entropy is lowered by halves from the largest cost, each stage starting at the last one's duals.
    """
    g, done, error = np.zeros(price.shape[1]), 0, np.inf
    stages = [epsilon]
    while stages[0] < price.max():
        stages.insert(0, stages[0] * 2)
    for eps in stages:
        most = 10 if eps > epsilon else max(iterations - done, 1)
        g, error, steps = _stage(price, g, eps, most, tolerance)
        done += steps
    return soft_minimum(price - g[None, :], epsilon), g, error, done


def _stage(price: np.ndarray, g: np.ndarray, eps: float, most: int, tolerance: float) -> tuple[np.ndarray, float, int]:
    """Iterations at one strength: the target's duals, the last change in units of it, and the number of iterations."""
    kernel, v, error = _absorbed(price, g, eps), np.ones(len(g)), np.inf
    for step in range(1, most + 1):
        with np.errstate(all="ignore"):
            u = kernel.shape[1] / (kernel @ v)
            new = kernel.shape[0] / (u @ kernel)
            error = float(np.abs(np.log(new) - np.log(v)).max())
        v = new
        far = not np.isfinite(error) or max(np.abs(np.log(u)).max(), np.abs(np.log(v)).max()) > _FAR
        if far:
            g = _iterated(price, g + eps * np.log(v) if np.isfinite(error) else g, eps)
            kernel, v = _absorbed(price, g, eps), np.ones(len(g))
        elif error < tolerance:
            return g + eps * np.log(v), error, step
    return g + eps * np.log(v), error, most


def _absorbed(price: np.ndarray, g: np.ndarray, eps: float) -> np.ndarray:
    """exp((f + g - price) / eps) with the f that fits g: the rows have mean one, so that none of them vanishes."""
    f = soft_minimum(price - g[None, :], eps)
    return np.exp((f[:, None] + g[None, :] - price) / eps)


def _iterated(price: np.ndarray, g: np.ndarray, eps: float) -> np.ndarray:
    """One iteration in logarithms, which no magnitude stops."""
    f = soft_minimum(price - g[None, :], eps)
    return soft_minimum((price - f[:, None]).T, eps)


def plan_cost(price: np.ndarray, f: np.ndarray, g: np.ndarray, epsilon: float) -> float:
    """What the entropic plan of these duals costs."""
    plan = np.exp((f[:, None] + g[None, :] - price) / epsilon) / price.size
    return float((plan * price).sum())


def energy(left: np.ndarray, right: np.ndarray, epsilon: float, iterations: int) -> float:
    """Dual value of entropic transport between two sets of points under the squared distance."""
    f, g, _, _ = sinkhorn(cost(left, right), epsilon, iterations, 1e-5)
    return float(f.mean() + g.mean())


def divergence(left: np.ndarray, right: np.ndarray, epsilon: float, iterations: int) -> float:
    """Sinkhorn divergence of two sets of points; zero for equal sets."""
    own = energy(left, left, epsilon, iterations) + energy(right, right, epsilon, iterations)
    return max(energy(left, right, epsilon, iterations) - own / 2, 0.0)


def calibrated(f: np.ndarray, mean: float, rows: int) -> np.ndarray:
    """The gradient of the transport cost in a row's weight, taken evenly from the others: f_i less the others' mean."""
    return (f - mean) * rows / (rows - 1)


def annealed(price: np.ndarray, diameter: float, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """Duals after one averaged step at each strength from the squared diameter down by quarters to the squared blur.

    A schedule of some ten steps that does not wait for convergence, as the package geomloss has it (Feydy 2020); methods
    that were published with its numbers need it.
    """
    top, bottom = 2 * np.log(max(diameter, blur)), 2 * np.log(blur)
    schedule = [np.exp(top), *np.exp(np.arange(top, bottom, 2 * np.log(0.5))), np.exp(bottom)]
    f, g = soft_minimum(price, schedule[0]), soft_minimum(price.T, schedule[0])
    for eps in schedule:
        new = soft_minimum(price - g[None, :], eps), soft_minimum(price.T - f[None, :], eps)
        f, g = (f + new[0]) / 2, (g + new[1]) / 2
    return soft_minimum(price - g[None, :], schedule[-1]), soft_minimum(price.T - f[None, :], schedule[-1])
