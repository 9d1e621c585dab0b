"""The law of a selector, run over every registered plug-in: a legal answer or one line, and the same one every time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput
from catalog.plugins import FAILED, plugins
from catalog.selectors import Budget, Choice
from flows.selecting import run_selector

SELECTORS = plugins("selector")
EVERY = pytest.mark.parametrize("name", list(SELECTORS))
WORDS = {"within"}
"""Parameters that name a column of words; `vectors` names one of vectors, `features` one of lists, every other one a column of numbers."""


def asked(name: str):
    """Parameters that fill every column the selector may read."""
    selector, given = SELECTORS[name], {}
    for read in selector.reads:
        if read.startswith("{"):
            special = {"within": "source", "vectors": "embedding", "features": "features"}
            given[read[1:-1]] = special.get(read[1:-1], "quality")
    return selector.parse_params(given)


def table(rows: int, kind: str = "plain") -> pa.Table:
    rng = np.random.default_rng(1)
    quality, points = rng.uniform(0, 5, rows), rng.standard_normal((rows, 8))
    if kind == "copies":
        quality, points = np.full(rows, 2.0), np.ones((rows, 8))
    if kind == "extremes":
        quality, points = np.array([1e300, -1e300, 1e-300, 0.0])[np.arange(rows) % 4], points * 1e18
    if kind == "zeros":
        quality, points = np.zeros(rows), np.zeros((rows, 8))
    words = [None if i % 7 == 3 else "مصدر" if i % 2 else "web" for i in range(rows)]
    flat = pa.array(points.astype(np.float32).ravel())
    sets = [None if i % 11 == 5 else np.flatnonzero(point > 0.4).tolist() for i, point in enumerate(points)]
    return pa.table({"quality": quality, "source": pa.array(words, pa.string()),
                     "features": pa.array(sets, pa.list_(pa.int32())),
                     "embedding": pa.FixedSizeListArray.from_arrays(flat, 8)})  # fmt: skip


def choose(name: str, rows: pa.Table, amount: int, unit: str = "samples", seed: int = 0, ids=None):
    selector, count = SELECTORS[name], rows.num_rows
    params = asked(name)
    costs = np.ones(count, np.int64) if unit == "samples" else np.arange(count) % 9 + 1
    ids = np.array([f"{i * 2654435761 % 2**32:032x}" for i in range(count)], "S32") if ids is None else ids
    better = dict.fromkeys(selector.columns(params), "higher")
    return run_selector(selector, rows, Budget(amount, unit, costs), Choice(params, ids, seed, better)), costs


def test_every_selector_imports():
    assert SELECTORS and not FAILED


@EVERY
def test_declaration_is_complete(name):
    selector = SELECTORS[name]
    assert selector.citation and selector.version and selector.summary
    assert all(field.description for field in selector.params.model_fields.values())
    assert [r for r in selector.reads if r.startswith("{") and r[1:-1] not in selector.params.model_fields] == []
    with pytest.raises(BadInput, match="no_such_parameter"):
        selector.parse_params({**asked(name).model_dump(), "no_such_parameter": 1})


@EVERY
@pytest.mark.parametrize("unit", ["samples", "tokens"])
@pytest.mark.parametrize("kind", ["plain", "copies", "zeros", "extremes"])
@pytest.mark.parametrize("rows", [0, 1, 2, 60])
def test_every_input_gives_a_legal_choice_or_one_line(name, unit, kind, rows):
    for amount in (1, 13, 1000):
        try:
            made, costs = choose(name, table(rows, kind), amount, unit)
        except BadInput as error:
            assert "\n" not in str(error)
            continue
        assert len(set(made.order.tolist())) == len(made.order) and costs[made.order].sum() <= amount
        if made.weights is not None:
            assert len(made.weights) == len(made.order) and np.isfinite(made.weights).all() and (made.weights > 0).all()


@EVERY
def test_the_same_seed_gives_the_same_rows_wherever_they_stand(name):
    rows = table(60)
    ids = np.array([f"{i:032x}" for i in range(60)], "S32")
    made, _ = choose(name, rows, 20, seed=5, ids=ids)
    again, _ = choose(name, rows, 20, seed=5, ids=ids)
    assert made.order.tolist() == again.order.tolist()
    back, _ = choose(name, rows.take(pa.array(np.arange(60)[::-1])), 20, seed=5, ids=ids[::-1])
    assert set((59 - back.order).tolist()) == set(made.order.tolist())
