"""A column on a scale of its own spread."""

from __future__ import annotations

import numpy as np

LARGE = 1e150
"""Values beyond this have squares that no float holds; they are scaled down first, which a z-score does not notice."""


def zscores(values: np.ndarray) -> np.ndarray:
    """(x - mean) / population deviation; a constant column is 0 everywhere."""
    most = np.abs(values).max(initial=0)
    if most > LARGE:
        values = values / most
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
