"""The spec of a mix, as people write it in YAML or JSON.

    name: sft
    unit: samples            # what weights and `total` count: samples | tokens
    total: 20000             # leave out: as much as max_epochs allows (with weights), else every row once
    seed: 7
    order: {shuffle: full}   # full | blocks | none (table order); or by a column, see OrderSpec
    parts:
      - {dataset: alpaca-l2@v1, where: "ifd > 0.3", weight: 3, max_epochs: 2}
      - {dataset: gsm8k-l2, weight: 1}
      - {selection: good-pages, samples: 5000}

Weights are shares of what the parts with a fixed budget (`samples`, `tokens`) leave. A part with neither, in a spec
without weights, gives every row once. With `stages` the weights stand there instead, by the parts' names:

    stages:
      - {name: broad, total: 15000, weights: {alpaca-l2: 1, good-pages: 4}}
      - {name: final, total: 5000, weights: {alpaca-l2: 2, gsm8k-l2: 1}, order: {by: ifd}}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.errors import BadInput, NotFound
from catalog.licences import check_use
from catalog.refs import check_name, parse_ref

MOST_PARTS = 1024
MOST_STAGES = 256
ORIGINS = ("natural", "rephrased", "generated")


class Part(BaseModel):
    """Rows of one dataset version and how much of them is served."""

    model_config = ConfigDict(extra="forbid", strict=False)

    name: str | None = None
    dataset: str | None = None
    where: str | None = None
    selection: str | None = None
    missing: Literal["error", "drop", "keep"] = "error"
    weight: float | None = None
    samples: int | None = None
    tokens: int | None = None
    max_epochs: float = 1.0
    copies: str | None = None  # a selector's column of copies: each row is served so many times
    origin: Literal["natural", "rephrased", "generated"] | None = (
        None  # how its text was made; see catalog/mixes/origins.py
    )
    sample_weight: str | None = None  # column that weighs its samples in the loss; delivered with every batch


class OrderSpec(BaseModel):
    """How the rows of a part are ordered.

    shuffle says which row comes when: full; none, table order; blocks, runs of `size` neighbouring rows in shuffled
    order, `buffer` runs shuffled together. by orders what a stage takes from a part, epoch by epoch, by a column:
    folds deals it into so many passes (DELT), noise moves a row by at most about that share of the epoch, buckets cuts
    it into runs of so many rows alike and shuffles the runs, even keeps the shuffle but lets the column's sum grow evenly.
    """

    model_config = ConfigDict(extra="forbid")

    shuffle: str = "full"
    size: int | None = Field(default=None, ge=1, le=1 << 24)
    buffer: int | None = Field(default=None, ge=1, le=1 << 16)
    by: str | None = None
    direction: Literal["ascending", "descending"] = "ascending"
    folds: int | None = Field(default=None, ge=1, le=100_000)
    noise: float | None = Field(default=None, ge=0, le=1)
    buckets: int | None = Field(default=None, ge=2)
    even: bool | None = None

    def written(self) -> dict[str, Any]:
        """As a lock keeps it: the shuffle, and what else was asked for."""
        return {"shuffle": self.shuffle, **self.model_dump(exclude_defaults=True)}


class Stage(BaseModel):
    """A stretch of a mix with its own weights: `total` items in the unit of the mix, as much as the caps allow without.

    fresh: every part begins a new epoch, so that rows served before may come again (within max_epochs).
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    total: int | None = Field(default=None, ge=1)
    weights: dict[str, float]
    order: OrderSpec | None = None
    fresh: bool = False


class Rounds(BaseModel):
    """RS2: `rounds` rounds of a fresh random `share` of every part; see catalog.mixes.rounds."""

    model_config = ConfigDict(extra="forbid")

    share: float = Field(gt=0, le=1)
    rounds: int = Field(ge=1, le=MOST_STAGES)
    replacement: bool = False


class Dropout(BaseModel):
    """Progressive data dropout: each round a random `keep` of the one before, all rows in the last `revision` rounds."""

    model_config = ConfigDict(extra="forbid")

    keep: float = Field(gt=0, lt=1)
    rounds: int = Field(ge=2, le=MOST_STAGES)
    revision: int = Field(default=1, ge=0)


class Waiver(BaseModel):
    """A person takes it upon themselves that rows of a licence (or without one: unknown) may be used all the same."""

    model_config = ConfigDict(extra="forbid")

    licence: str
    by: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    part: str | None = None


class Spec(BaseModel):
    """A mix before its row sets are looked up."""

    model_config = ConfigDict(extra="forbid")

    name: str
    note: str = ""
    unit: Literal["samples", "tokens"] = "samples"
    total: int | None = None
    seed: int = Field(default=0, ge=-(1 << 63), lt=1 << 64)  # as far as a lock can write it
    order: OrderSpec = Field(default_factory=OrderSpec)
    tokens: str = "tokens"  # alias of the column that counts tokens
    parts: list[Part]
    stages: list[Stage] | None = None
    use: str | None = None  # what the mix is for; see catalog/licences.py. A licence that does not go with it blocks
    waive: list[Waiver] | None = None
    expect: dict[Literal["natural", "rephrased", "generated", "synthetic"], tuple[float, float]] | None = None  # shares
    sample_weight: str | None = None  # for parts that name none
    rs2: Rounds | None = None  # spelt out as stages, as is `dropout`
    dropout: Dropout | None = None


def load_spec(source: str | Path | dict[str, Any] | Spec) -> Spec:
    """Read and check a spec from a file, a YAML or JSON text with a newline, or a dict."""
    if isinstance(source, Spec):
        return _checked(source)
    body = read_spec(source)
    try:
        return _checked(Spec.model_validate(body))
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"mix spec: {_where(first['loc'])}: {first['msg']}; see examples/mix.yaml") from None


def read_spec(source: str | Path | dict[str, Any]) -> dict[str, Any]:
    """A spec as it is written, before it is checked."""
    body = source if isinstance(source, dict) else _read(source)
    if not isinstance(body, dict):
        raise BadInput("a mix spec is a mapping with name and parts; see examples/mix.yaml")
    return body


def _read(source: str | Path) -> Any:
    import yaml

    text, label = str(source), "the spec"
    if isinstance(source, Path) or "\n" not in text:
        label = text
        try:
            text = Path(text).read_text("utf-8")
        except OSError as error:
            raise BadInput(f"cannot read the mix spec {label}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadInput(f"the mix spec {label} is not UTF-8 text") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{label} is not YAML: {' '.join(str(error).split())[:200]}") from None


def write_spec(body: dict[str, Any], path: str | Path) -> None:
    """A spec as YAML, in the order of its fields."""
    import yaml

    try:
        Path(path).write_text(yaml.safe_dump(body, sort_keys=False, allow_unicode=True), "utf-8")
    except OSError as error:
        raise BadInput(f"cannot write the mix spec {path}: {error.strerror}") from None


def _where(loc: tuple[int | str, ...]) -> str:
    """("parts", 0, "weight") -> "part 1: weight"; stages likewise."""
    if len(loc) > 1 and loc[0] in ("parts", "stages") and isinstance(loc[1], int):
        return ": ".join([f"{str(loc[0])[:-1]} {loc[1] + 1}", *(str(item) for item in loc[2:])])
    return ".".join(str(item) for item in loc) or "spec"


def part_name(part: Part) -> str:
    """What mixers and trials call a part: its name, else its selection or dataset without the version."""
    return part.name or parse_ref(part.selection or part.dataset or "").name


def label(number: int, part: Part) -> str:
    """How messages name a part: by number (from 1) and by what it reads."""
    return f"part {number + 1} ({part.selection or part.dataset})"


def _checked(spec: Spec) -> Spec:
    check_name(spec.name)
    if spec.use is not None:
        check_use(spec.use)
    for name, (low, high) in (spec.expect or {}).items():
        if not 0 <= low <= high <= 1:
            raise BadInput(f"mix {spec.name}: expect: {name}: [{low:g}, {high:g}] is no range of shares within 0 and 1")
    if spec.waive and spec.use is None:
        raise BadInput(
            f"mix {spec.name}: a waiver stands against a use, and none is said; add use: commercial or another"
        )
    _check_order(f"mix {spec.name}", spec.order)
    if not spec.parts:
        raise BadInput(f"mix {spec.name} has no parts; name at least one dataset")
    if len(spec.parts) > MOST_PARTS:
        raise BadInput(f"mix {spec.name} has {len(spec.parts)} parts; at most {MOST_PARTS} are allowed")
    if spec.total is not None and spec.total < 1:
        raise BadInput(f"mix {spec.name}: total {spec.total} serves nothing; give at least 1 or leave it out")
    for number, part in enumerate(spec.parts):
        _check_part(spec.name, label(number, part), part)
    if spec.rs2 is not None or spec.dropout is not None:
        _check_rounds(spec)
        return spec
    if spec.stages is not None:
        check_stages(spec, spec.stages)
        return spec
    weighted = [part.weight is not None for part in spec.parts]
    for number, part in enumerate(spec.parts):
        if any(weighted) and part.weight is None and part.samples is None and part.tokens is None and not part.copies:
            raise BadInput(
                f"mix {spec.name}: {label(number, part)} has no weight while others have; "
                "give it weight, samples or tokens"
            )
    if spec.total is not None and not any(weighted):
        raise BadInput(f"mix {spec.name}: total is divided by weights, and no part has a weight; add them")
    return spec


def _check_rounds(spec: Spec) -> None:
    """Rounds say themselves how much they take of every part, in samples and at random."""
    name = "rs2" if spec.rs2 is not None else "dropout"
    others = [other for other in ("dropout", "stages", "total") if other != name and getattr(spec, other) is not None]
    if others:
        raise BadInput(f"mix {spec.name}: {name} and {others[0]} contradict each other; keep one")
    if spec.unit != "samples":
        raise BadInput(f"mix {spec.name}: {name} counts samples; leave out unit: {spec.unit}")
    if spec.order.shuffle == "none":
        raise BadInput(f"mix {spec.name}: {name} draws at random, and shuffle: none does not; leave it out")
    if spec.dropout is not None and spec.dropout.revision > spec.dropout.rounds:
        raise BadInput(f"mix {spec.name}: dropout: revision is more than its {spec.dropout.rounds} rounds; lower it")
    for number, part in enumerate(spec.parts):
        if any(value is not None for value in (part.weight, part.samples, part.tokens, part.copies)):
            raise BadInput(
                f"mix {spec.name}: {label(number, part)}: {name} takes the same share of every part; leave weight, "
                "samples, tokens and copies out, or write stages"
            )


def _check_order(place: str, order: OrderSpec) -> None:
    if order.shuffle not in ("full", "blocks", "none"):
        raise BadInput(f"{place}: shuffle is full, blocks or none, not {order.shuffle!r}")
    if order.shuffle != "blocks" and (order.size or order.buffer):
        raise BadInput(f"{place}: size and buffer belong to shuffle: blocks; add it or leave them out")
    ways = [name for name in ("folds", "noise", "buckets", "even") if getattr(order, name)]
    if order.by is None and (ways or order.direction != "ascending"):
        raise BadInput(
            f"{place}: {(ways or ['direction'])[0]} needs the column the rows are ordered by; add by: COLUMN"
        )
    if len(ways) > 1:
        raise BadInput(f"{place}: {' and '.join(ways)} contradict each other; keep one")
    if order.by is not None and order.shuffle == "none":
        raise BadInput(f"{place}: shuffle: none and by: {order.by} contradict each other; keep one")


def check_stages(spec: Spec, stages: list[Stage]) -> None:
    """Refuse stages that contradict the rest of the spec."""
    if not stages or len(stages) > MOST_STAGES:
        raise BadInput(f"mix {spec.name} has {len(stages)} stages; write 1 to {MOST_STAGES}, or leave stages out")
    if spec.total is not None:
        raise BadInput(f"mix {spec.name}: total and stages contradict each other; give every stage its total")
    names = [part_name(part) for part in spec.parts]
    for number, part in enumerate(spec.parts):
        if any(value is not None for value in (part.weight, part.samples, part.tokens, part.copies)):
            raise BadInput(
                f"mix {spec.name}: {label(number, part)}: in a mix of stages the weights stand in the stages"
            )
        if names.index(names[number]) != number:
            raise BadInput(f"mix {spec.name}: two parts are called {names[number]}; give them a name: each")
    for stage in stages:
        place = f"mix {spec.name}: stage {stage.name}"
        if [other.name for other in stages].count(stage.name) > 1:
            raise BadInput(f"{place} is there twice; give every stage its own name")
        for name, weight in stage.weights.items():
            if name not in names:
                raise NotFound(f"part of mix {spec.name} (stage {stage.name})", name, names)
            if not 0 <= weight < float("inf"):
                raise BadInput(f"{place}: weight {weight:g} of {name} is not a number from 0 up")
        if not any(stage.weights.values()):
            raise BadInput(f"{place} gives no part a weight above 0; add one or remove the stage")
        if stage.order is not None:
            _check_order(place, stage.order)
            if stage.order.by is None and stage.order.shuffle != spec.order.shuffle and stage.order.shuffle != "none":
                raise BadInput(
                    f"{place}: shuffle: {stage.order.shuffle} is chosen once for the whole mix; write it in the mix's "
                    "order, or order the stage by a column"
                )
    idle = [name for name in names if not any(stage.weights.get(name) for stage in stages)]
    if idle:
        raise BadInput(f"mix {spec.name}: no stage gives part {idle[0]} a weight; add one or remove the part")


def _check_part(mix: str, name: str, part: Part) -> None:
    def wrong(reason: str) -> BadInput:
        return BadInput(f"mix {mix}: {name}: {reason}")

    if part.dataset is None and part.selection is None:
        raise wrong("name a dataset or a selection")
    if part.weight is not None and not 0 < part.weight < float("inf"):
        raise wrong(f"weight {part.weight:g} is not a positive number; give one above 0 or remove the part")
    budgets = [name for name in ("weight", "samples", "tokens", "copies") if getattr(part, name) is not None]
    if len(budgets) > 1:
        raise wrong(f"{' and '.join(budgets)} contradict each other; keep one")
    for budget in ("samples", "tokens"):
        if (value := getattr(part, budget)) is not None and value < 1:
            raise wrong(f"{budget} {value} serves nothing; give at least 1 or remove the part")
    if not 0 < part.max_epochs < float("inf"):
        raise wrong(f"max_epochs {part.max_epochs:g} is not a positive number")
