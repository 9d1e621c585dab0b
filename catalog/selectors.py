"""Selectors: from the columns of candidate rows and a budget to an order of rows, and weights where a method gives them.

One file, one decorator, as for scorers; a package announces itself under the entry point group ``strata.plugins``.

    from catalog.selectors import Budget, Choice, selector

    @selector("longest", version="1", reads=["chars"], citation="ours")
    def longest(rows, budget, choice):
        return np.argsort(-rows["chars"].to_numpy(), kind="stable")

A selector returns row positions, first chosen first. It may return more than the budget holds: the caller cuts. Nothing
here says "keep": a saved selection is one answer to one budget and one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from catalog.errors import BadInput, NotFound
from catalog.plugins import NoParams, described, parse_params, plugins, register

Unit = Literal["samples", "tokens"]


@dataclass(frozen=True)
class Budget:
    """How much may be chosen. costs: what each candidate takes of it: one, or its tokens."""

    amount: int
    unit: Unit
    costs: np.ndarray

    def cut(self, order: np.ndarray) -> np.ndarray:
        """The longest beginning of an order that the budget pays for."""
        able = order[: self.most]
        return able[: int(np.searchsorted(np.cumsum(self.costs[able]), self.amount, side="right"))]

    @cached_property
    def most(self) -> int:
        """No order can put more rows than this into the budget."""
        if self.unit == "samples":
            return min(self.amount, len(self.costs))
        return int(np.searchsorted(np.cumsum(np.sort(self.costs)), self.amount, side="right"))

    def share(self, part: float) -> float:
        """A part of the whole budget, in its unit."""
        return self.amount * part


@dataclass(frozen=True)
class Chosen:
    """Positions in order of choice; weights aligned with them (None: all alike); facts for the report."""

    order: np.ndarray
    weights: np.ndarray | None = None
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """What a selector may use beside rows and budget. better: declared direction of each column it reads."""

    params: Any
    ids: np.ndarray  # sample ids, as bytes
    seed: int = 0
    better: dict[str, str | None] = field(default_factory=dict)

    @cached_property
    def uniform(self) -> np.ndarray:
        """One draw in (0, 1) a row, from its sample id and the seed: no matter where the row stands in its table."""
        return self.draws(0)

    def draws(self, stream: int) -> np.ndarray:
        """Independent draws in (0, 1) for each stream number."""
        from xxhash import xxh3_64_intdigest

        seed = (self.seed * 1_000_003 + stream) & 0xFFFFFFFFFFFFFFFF
        hashed = np.fromiter((xxh3_64_intdigest(i, seed) for i in self.ids), np.uint64, len(self.ids))
        return ((hashed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def gumbel(self) -> np.ndarray:
        """Standard Gumbel noise, one a row."""
        return -np.log(-np.log(self.uniform))

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def goodness(self, rows: pa.Table, column: str, order: str = "best") -> np.ndarray:
        """A column as numbers where more is better: its declared direction, or `order` "highest" or "lowest"."""
        values = rows[column].to_numpy().astype(np.float64)
        way = {"highest": "higher", "lowest": "lower"}.get(order) or self.better.get(column)
        if way is None:
            raise BadInput(f"column {column!r} declares no better direction: say --param order=highest or order=lowest")
        return values if way == "higher" else -values

    def ranked(self, goodness: np.ndarray) -> np.ndarray:
        """Positions from the largest down; equal values by sample id."""
        return np.lexsort((self.ids, -goodness))


@dataclass(frozen=True)
class Selector:
    """A declared selector. reads: columns; "{by}" stands for the column (or list of columns) that parameter `by` names."""

    name: str
    version: str
    function: Callable[..., Any]
    reads: tuple[str, ...]
    citation: str
    doc: str
    params: type[BaseModel] = NoParams
    experimental: bool = False
    most_rows: int | None = None
    libraries: tuple[str, ...] = ()
    module: str = ""
    source_digest: str = ""
    summary: str = ""

    def parse_params(self, given: dict[str, Any]) -> BaseModel:
        """Validate parameters; a wrong one is a `BadInput` that lists the legal ones."""
        return parse_params(f"selector {self.name}", self.params, given)

    def columns(self, params: BaseModel) -> list[str]:
        """The columns it reads under these parameters."""
        found: list[str] = []
        for name in self.reads:
            value = getattr(params, name[1:-1]) if name.startswith("{") else name
            found += [value] if isinstance(value, str) else list(value or ())
        return list(dict.fromkeys(name for name in found if name))


def selector(
    name: str, *, version: str, reads: Iterable[str], citation: str, **more: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a selector: function(rows: pa.Table, budget: Budget, choice: Choice) -> positions or Chosen."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        about = described(function)
        register(
            "selector",
            name,
            Selector(name=name, version=version, reads=tuple(reads), citation=citation, **about, **more),
        )
        return function

    return decorate


def get_selector(name: str) -> Selector:
    """The selector of that name, or `NotFound` with near matches."""
    known = plugins("selector")
    if name not in known:
        raise NotFound("selector", name, known, "see `strata selectors`")
    return known[name]
