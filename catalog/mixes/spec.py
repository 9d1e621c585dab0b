"""The spec of a mix, as people write it in YAML or JSON.

    name: sft
    unit: samples            # what weights and `total` count: samples | tokens
    total: 20000             # leave out: as much as max_epochs allows (with weights), else every row once
    seed: 7
    order: {shuffle: full}   # full | none (table order)
    parts:
      - {dataset: alpaca-l2@v1, where: "ifd > 0.3", weight: 3, max_epochs: 2}
      - {dataset: gsm8k-l2, weight: 1}
      - {selection: good-pages, samples: 5000}

Weights are shares of what the parts with a fixed budget (`samples`, `tokens`) leave. A part with neither, in a spec
without weights, gives every row once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.errors import BadInput
from catalog.refs import check_name, parse_ref

LATER = ("blocks", "sorted", "folding", "curriculum", "buckets")
MOST_PARTS = 1024


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


class OrderSpec(BaseModel):
    """How the rows of a part are ordered."""

    model_config = ConfigDict(extra="forbid")

    shuffle: str = "full"


class Spec(BaseModel):
    """A mix before its row sets are looked up."""

    model_config = ConfigDict(extra="forbid")

    name: str
    note: str = ""
    unit: Literal["samples", "tokens"] = "samples"
    total: int | None = None
    seed: int = 0
    order: OrderSpec = Field(default_factory=OrderSpec)
    tokens: str = "tokens"  # alias of the column that counts tokens
    parts: list[Part]


def load_spec(source: str | Path | dict[str, Any] | Spec) -> Spec:
    """Read and check a spec from a file, a YAML or JSON text with a newline, or a dict."""
    if isinstance(source, Spec):
        return _checked(source)
    body = read_spec(source)
    try:
        return _checked(Spec(**body))
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
    """("parts", 0, "weight") -> "part 1: weight"."""
    if len(loc) > 1 and loc[0] == "parts" and isinstance(loc[1], int):
        return ": ".join([f"part {loc[1] + 1}", *(str(item) for item in loc[2:])])
    return ".".join(str(item) for item in loc) or "spec"


def part_name(part: Part) -> str:
    """What mixers and trials call a part: its name, else its selection or dataset without the version."""
    return part.name or parse_ref(part.selection or part.dataset or "").name


def label(number: int, part: Part) -> str:
    """How messages name a part: by number (from 1) and by what it reads."""
    return f"part {number + 1} ({part.selection or part.dataset})"


def _checked(spec: Spec) -> Spec:
    check_name(spec.name)
    if spec.order.shuffle in LATER:
        raise BadInput(f"mix {spec.name}: order {spec.order.shuffle!r} is not available; use shuffle: full or none")
    if spec.order.shuffle not in ("full", "none"):
        raise BadInput(f"mix {spec.name}: shuffle is full or none, not {spec.order.shuffle!r}")
    if not spec.parts:
        raise BadInput(f"mix {spec.name} has no parts; name at least one dataset")
    if len(spec.parts) > MOST_PARTS:
        raise BadInput(f"mix {spec.name} has {len(spec.parts)} parts; at most {MOST_PARTS} are allowed")
    if spec.total is not None and spec.total < 1:
        raise BadInput(f"mix {spec.name}: total {spec.total} serves nothing; give at least 1 or leave it out")
    for number, part in enumerate(spec.parts):
        _check_part(spec.name, label(number, part), part)
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
