"""Plug-ins: one file, one decorator. Ours and third parties' enter by the same door.

A package announces itself with the entry point group ``strata.plugins`` (name -> a package whose modules hold
decorated functions). `load_plugins()` imports every module below those packages once; a decorator fills `REGISTRY`.
Modules must be light to import: torch and friends belong inside the functions that need them.

    from catalog.plugins import scorer, Out

    @scorer("word_count", version="1", reads=["text"], cost="cpu", citation="ours",
            writes=[Out("word_count", pa.int32(), "words between white space", better=None)])
    def word_count(batch, ctx):
        return {"word_count": pa.array([len(t.split()) for t in batch["text"].to_pylist()], pa.int32())}
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from catalog.errors import BadInput, NotFound

Cost = Literal["cpu", "gpu", "api"]
Pattern = Literal["map", "fit", "global"]
Better = Literal["higher", "lower"] | None


class NoParams(BaseModel):
    """A plug-in without parameters."""

    model_config = ConfigDict(extra="forbid")


def parse_params(whose: str, model: type[BaseModel], given: dict[str, Any]) -> BaseModel:
    """Parameters of a plug-in, validated; a wrong one is a `BadInput` that lists the legal ones."""
    try:
        return model(**given)
    except ValidationError as error:
        errors = error.errors()
        # A misspelt name explains a missing one, not the other way round.
        first = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])
        where = ".".join(str(part) for part in first["loc"]) or "parameters"
        known = ", ".join(model.model_fields) or "none"
        raise BadInput(f"{whose}: {where}: {first['msg']}; its parameters are: {known}") from None


@dataclass(frozen=True)
class Out:
    """One output column.

    name: short name, the alias users type. type: Arrow type. doc: unit and meaning in one line.
    better: "higher", "lower" or None (neither is better). range: (low, high), None = unbounded.
    measure: True for a fact others build on (stored once, shared); False for a derived score.
    """

    name: str
    type: pa.DataType
    doc: str
    better: Better = None
    range: tuple[float | None, float | None] = (None, None)
    measure: bool = False


@dataclass(frozen=True)
class Scorer:
    """A function from Arrow batches to Arrow columns, with all that the runner must know about it.

    map:    score(batch, ctx) -> {output: pa.Array}; a value depends on its row alone
    fit:    fit(scan, ctx) -> dict of JSON values and numpy arrays, frozen as ctx.state; then score(batch, ctx)
    global: solve(scan, ctx) -> {output: pa.Array}, aligned with the scan's rows; a value depends on the whole row set

    `scan()` yields record batches of sample_id, content_id and `reads`, in one fixed order, as often as it is called.
    A result may also hold "_state", uint8 codes of `catalog.states`, where a null needs a reason; that of a global method
    "_report" too, facts that are recorded with the column.

    reads:    sample fields ("text", "messages", ...) and output names of other scorers ("nll_sum"); output names are
              unique over all scorers. Parameters of equal name are forwarded to the scorer that writes the input.
    fit_on:   "self": the dataset's rows; "target": the rows of --target, which a global method may read too; "evals": every dataset
              of role eval.
              fit_uses_rows: a fit on a target that also reads the dataset's own rows (DSIR's raw distribution).
              A "report" key in the fitted state is recorded with the column (agreement, AUC, counts).
    extend:   for fit_on "evals": extend(batch, ctx) -> what `function` gives, from the values under other evals, which the
              batch holds as held_<output>; ctx.added is the state of the evals those do not know (None: there are
              none), ctx.gone says that they know evals which no longer count.
    beyond_content: reads what a content id does not stand for (metadata of a turn): never answered from another dataset.
    load:     load(ctx) -> model; called once a worker, found in ctx.model.
    columns:  parameters whose values name columns of the dataset (aliases, or outputs of scorers), read beside `reads`;
              fit_columns: the same, read by the fit alone, so that they need not cover every row (a distilled teacher).
              target_columns: those of `columns` that the fit reads of the target too, under the same name.
    swaps:    input name -> parameter that may name another column to read in its place (vectors of another encoder).
              Where that column was made by the input's own scorer, its parameters are taken over from its recipe.
    widths:   widths(params) -> {output: numbers a row} for vector outputs whose width a model decides; asked at planning.
    most_rows: of a global method, which holds something of every row: rows that it takes on a machine of 16 GB; on
              another machine in proportion. Past them it refuses, and belongs on an engine.
    length:   name of an input whose length the runner may sort by to batch alike lengths (None: file order).
    batch_rows: rows a call at most; the result never depends on it.
    """

    name: str
    version: str
    pattern: Pattern
    function: Callable[..., Any]
    reads: tuple[str, ...]
    writes: tuple[Out, ...]
    cost: Cost
    citation: str
    doc: str
    params: type[BaseModel] = NoParams
    fit: Callable[..., dict[str, Any]] | None = None
    fit_on: Literal["self", "target", "evals"] = "self"
    fit_uses_rows: bool = False
    extend: Callable[..., dict[str, Any]] | None = None
    columns: tuple[str, ...] = ()
    fit_columns: tuple[str, ...] = ()
    target_columns: tuple[str, ...] = ()
    swaps: dict[str, str] = field(default_factory=dict)
    widths: Callable[[Any], dict[str, int]] | None = None
    beyond_content: bool = False
    load: Callable[..., Any] | None = None
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    stage: str = "any"
    length: str | None = None
    batch_rows: int = 1024
    tolerance: float = 0.0
    experimental: bool = False
    requires: tuple[str, ...] = ()
    most_rows: int | None = None
    libraries: tuple[str, ...] = ()
    module: str = ""
    source_digest: str = ""
    summary: str = field(default="")

    def out(self, name: str) -> Out:
        for out in self.writes:
            if out.name == name:
                return out
        raise NotFound(f"output of scorer {self.name}", name, [o.name for o in self.writes])

    def sized(self, widths: dict[str, int]) -> tuple[Out, ...]:
        """The outputs, vectors as wide as `widths` says where it names them."""
        return tuple(
            replace(out, type=pa.list_(out.type.value_type, widths[out.name])) if out.name in widths else out
            for out in self.writes
        )

    def named_columns(self, params: BaseModel, *, fit_only: bool = False) -> list[str]:
        """Columns that parameters name; fit_only: those that only the fit reads."""
        found: list[str] = []
        for name in self.fit_columns if fit_only else self.columns:
            value = getattr(params, name)
            found += [value] if isinstance(value, str) else list(value or ())
        return [name for name in dict.fromkeys(found) if name]

    def parse_params(self, given: dict[str, Any]) -> BaseModel:
        """Validate parameters; a wrong one is a `BadInput` that lists the legal ones."""
        return parse_params(f"scorer {self.name}", self.params, given)


Scan = Callable[..., Iterator[pa.RecordBatch]]


def _no_target(*columns: Any) -> Iterator[pa.RecordBatch]:
    raise BadInput("this scorer reads a target dataset: --target NAME[@vN]")


def _no_endpoint(questions: Sequence[Any]) -> list[Any]:
    raise BadInput("this scorer asks an endpoint: --param endpoint=NAME, see `strata endpoint`")


@dataclass(frozen=True)
class EvalSet:
    """A dataset of role eval as a scorer sees it: its reference ("gsm8k@v1"), a scan over its rows, and what it protects.

    fields: what of an item is a leak; action: what becomes of a row that holds it; share, numbers: from which share of
    an item's words on, copied and with numbers masked.
    """

    ref: str
    scan: Scan
    kind: str = "text"
    fields: tuple[str, ...] = ("text",)
    action: str = "flag"
    share: float = 0.5
    numbers: float = 0.8

    def columns(self) -> list[str]:
        """Columns of its rows that the fields are read from."""
        from catalog.schema import field_names

        return [name for name in ("text", "messages", "choices", "answer", "meta") if name in field_names(self.kind)]


@dataclass
class Context:
    """What a scorer's functions receive beside the batch.

    target: scan of the --target dataset (columns may be named: `ctx.target(["text", "meta"])`), fit only.
    evals: every dataset of role eval, fit only. state: what fit returned. model: what load returned.
    added, gone: see `Scorer.extend`.
    device: "cpu", "cuda:0" ...; dtype: "float32" or "bfloat16" for models. seed: the only source of randomness.
    tick: call with a number of rows done, to move the progress bar inside one long call.
    ask: of a scorer of cost "api": questions -> replies, from the endpoint and budget that its parameters name.
    at_once: questions that are best asked in one call of it, because a provider takes them as a batch; 0: it is the same.
    """

    params: Any
    target: Scan = _no_target
    evals: tuple[EvalSet, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    added: dict[str, Any] | None = None
    gone: bool = False
    model: Any = None
    device: str = "cpu"
    dtype: str = "bfloat16"
    seed: int = 0
    tick: Callable[[int], None] = lambda rows: None
    ask: Callable[[Sequence[Any]], list[Any]] = _no_endpoint
    at_once: int = 0


REGISTRY: dict[str, dict[str, Any]] = {}
FAILED: dict[str, str] = {}


def register(group: str, name: str, item: Any) -> None:
    """Put a plug-in into a group; two of one name from different modules are an error."""
    held = REGISTRY.setdefault(group, {})
    if name in held and held[name].module != item.module:
        raise BadInput(f"{group} plug-in {name!r} is declared twice: {held[name].module} and {item.module}; rename one")
    held[name] = item


def described(function: Callable[..., Any]) -> dict[str, Any]:
    """What a declaration takes from the function itself: its text (else its module's), first paragraph and source."""
    doc = inspect.cleandoc(function.__doc__ or sys.modules[function.__module__].__doc__ or "")
    return {
        "function": function, "doc": doc, "summary": doc.split("\n\n")[0].replace("\n", " "),
        "module": function.__module__, "source_digest": source_digest(function.__module__),
    }  # fmt: skip


def scorer(
    name: str,
    *,
    version: str,
    reads: Iterable[str],
    writes: Iterable[Out],
    cost: Cost,
    citation: str,
    pattern: Pattern | None = None,
    fit: Callable[..., Any] | None = None,
    **more: Any,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a scorer. `pattern` is "fit" when `fit` is given, else "map" unless said otherwise."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        register(
            "scorer",
            name,
            Scorer(
                name=name,
                version=version,
                pattern=pattern or ("fit" if fit else "map"),
                reads=tuple(reads),
                writes=tuple(writes),
                cost=cost,
                citation=citation,
                fit=fit,
                **described(function),
                **more,
            ),
        )
        return function

    return decorate


@dataclass(frozen=True)
class Transform:
    """An edit of text: function(text, *columns) -> pa.StringArray, null where the text stays.

    reads: outputs of scorers whose values the edit is given, in order; a promotion scores them first or refuses.
    """

    name: str
    version: str
    function: Callable[..., Any]
    citation: str
    doc: str
    module: str
    reads: tuple[str, ...] = ()


def transform(
    name: str, *, version: str, citation: str, reads: Iterable[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an edit that a promotion recipe may name."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        doc = inspect.cleandoc(function.__doc__ or "")
        register(
            "transform", name, Transform(name, version, function, citation, doc, function.__module__, tuple(reads))
        )
        return function

    return decorate


def get_transform(name: str) -> Transform:
    known = plugins("transform")
    if name not in known:
        raise NotFound("edit", name, known)
    return known[name]


def source_digest(module: str) -> str:
    path = getattr(sys.modules[module], "__file__", None)
    if not path:
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


@cache
def load_plugins() -> None:
    """Import every module below the announced packages. One that fails is kept in `FAILED`, never hidden."""
    for entry in entry_points(group="strata.plugins"):
        try:
            package = entry.load()
        except Exception as error:  # a broken third-party package must not take the catalog down
            FAILED[entry.value] = f"{type(error).__name__}: {error}"
            continue
        for info in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
            if info.ispkg or info.name.rsplit(".", 1)[-1].startswith("_"):
                continue
            try:
                importlib.import_module(info.name)
            except Exception as error:
                FAILED[info.name] = f"{type(error).__name__}: {error}"


def plugins(group: str) -> dict[str, Any]:
    """All plug-ins of a group ("scorer", "selector", "mixer", "reader", "exporter"), by name."""
    load_plugins()
    return dict(sorted(REGISTRY.get(group, {}).items()))


def get_scorer(name: str) -> Scorer:
    """The scorer of that name, or `NotFound` with near matches."""
    known = plugins("scorer")
    if name not in known:
        owner = next((s.name for s in known.values() if any(o.name == name for o in s.writes)), None)
        remedy = f"{name!r} is an output of scorer {owner!r}; use that name" if owner else "see `strata scorers`"
        raise NotFound("scorer", name, known, remedy)
    return known[name]
