"""Uniform random rows without replacement: the baseline that stands beside every selection."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from catalog.selectors import Budget, Choice, selector


@selector("random", version="1", reads=[], citation="ours")
def random(rows: pa.Table, budget: Budget, choice: Choice) -> np.ndarray:
    """Uniform random rows without replacement; a larger budget with the same seed contains a smaller one."""
    return np.argsort(choice.uniform, kind="stable")
