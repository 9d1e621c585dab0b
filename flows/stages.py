"""Several selectors in sequence: each stage chooses from what the one before it left, down to the last budget.

A recipe of stages, in YAML or JSON:

    - {where: "word_count > 50"}
    - {selector: softmax, budget: 10000, params: {by: quality}}
    - {selector: kcenter, budget: 1000, params: {vectors: embedding}}

Each stage is a saved selection of its own (`NAME-1`, `NAME-2`, ... and the last `NAME`), frozen, with its report beside
random and RS2, so that it can be seen which stage did what. The same recipe again changes nothing.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.catalog import Catalog
from catalog.errors import BadInput
from catalog.meta.models import Selection
from flows.selecting import select

MOST = 20


class Stage(BaseModel):
    """A filter, or a selector with its budget; a filter in a selector's stage narrows its candidates."""

    model_config = ConfigDict(extra="forbid")

    selector: str | None = None
    budget: int | None = None
    unit: str = "samples"
    params: dict[str, Any] = Field(default_factory=dict)
    where: str | None = None
    missing: str = "error"
    tokens: str = "tokens"
    seed: int | None = None


def select_stages(
    cat: Catalog, name: str, source: str, stages: list[Any], *, seed: int = 0, note: str = ""
) -> list[Selection]:
    """Run the stages in order; returns their selections, the last one named `name`."""
    parsed = stages_of(stages)
    made: list[Selection] = []
    for number, stage in enumerate(parsed, 1):
        own = name if number == len(parsed) else f"{name}-{number}"
        said = note or f"stage {number} of {len(parsed)} of {name}"
        held = {"where": stage.where, "missing": stage.missing, "seed": seed if stage.seed is None else stage.seed}
        if stage.selector is None:
            made.append(_filter(cat, own, source, stage, said))
        else:
            assert stage.budget is not None
            made.append(select(cat, own, source, stage.selector, stage.budget, unit=stage.unit, params=stage.params,
                               tokens=stage.tokens, note=said, **held))  # fmt: skip
        source = f"{own}@v{made[-1].version}"
    return made


def _filter(cat: Catalog, name: str, source: str, stage: Stage, note: str) -> Selection:
    """A WHERE as a stage: over a saved selection it is joined with that one's."""
    from catalog.refs import parse_ref
    from catalog.selections import find_selection, save

    where, missing = stage.where or "", stage.missing
    if cat._noun(parse_ref(source).name) == "selection":
        held = find_selection(cat, source)
        source, where = held.dataset, f"({held.where}) AND ({where})"
        missing = "drop" if held.missing == "drop" else missing
    return save(cat, name, source, where, missing=missing, note=note)


def stages_of(stages: list[Any]) -> list[Stage]:
    """The stages of a recipe, checked."""
    if not isinstance(stages, list) or not 1 <= len(stages) <= MOST:
        raise BadInput(
            f"stages are a list of 1 to {MOST}, each a selector with a budget or a where; see docs/select.md"
        )
    made = []
    for number, body in enumerate(stages, 1):
        try:
            stage = Stage(**body) if isinstance(body, dict) else Stage(where=str(body))
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"stage {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if stage.selector is None and not (stage.where or "").strip():
            raise BadInput(f"stage {number} names neither a selector nor a where; give one")
        if stage.selector is not None and stage.budget is None:
            raise BadInput(f"stage {number}: selector {stage.selector} chooses within a budget; give it one")
        made.append(stage)
    budgets = [stage.budget for stage in made if stage.budget is not None and stage.unit == "samples"]
    if any(later > earlier for earlier, later in pairwise(budgets)):
        raise BadInput(f"the budgets of the stages grow ({', '.join(map(str, budgets))}); a stage can only narrow")
    return made


def read_stages(path: str | Path) -> list[Any]:
    """A recipe of stages from a YAML or JSON file."""
    import yaml

    try:
        held = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read the stages {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"the stages {path} are not YAML: {' '.join(str(error).split())[:200]}") from None
    return held.get("stages", held) if isinstance(held, dict) else held
