"""Promotion recipes: YAML that says what to compute, what to edit, what to drop and what to keep.

    name: web-text
    to: L1
    kinds: [text]
    scores: [langid, {scorer: minhash, params: {threshold: 0.8}}]      # computed where missing
    edits: [mask_pii]                                                  # recorded; edited rows lose their columns
    drop:
      - {name: too_short, where: "word_count < 50", by_language: {zh: "chars < 100"}}
    missing: error                                                     # drop | keep: what an absent value means
    keep: "quality_linear > 0.5"                                       # optional: only these rows stay

`{name}` in a string is a variable: its default stands under `variables`, `--set name=value` gives it.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from catalog.errors import BadInput, NotFound


class ScoreItem(BaseModel):
    """A scorer that must have run; `target` for those that need one; `as`: rules call its first output {that}."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    scorer: str
    name: str | None = Field(None, alias="as")
    params: dict[str, Any] = {}
    target: str | None = None


class DropRule(BaseModel):
    """Rows for which `where` is true are dropped for the reason `name`; a language may have its own condition."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    where: str
    by_language: dict[str, str] = {}

    @property
    def expression(self) -> str:
        if not self.by_language:
            return f"({self.where})"
        cases = " ".join(f"WHEN '{code}' THEN ({where})" for code, where in sorted(self.by_language.items()))
        return f"(CASE language {cases} ELSE ({self.where}) END)"


class PromotionRecipe(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    to: Literal["L1", "L2", "L3", "L4"]
    kinds: list[str] = []
    note: str = ""
    variables: dict[str, Any] = {}
    scores: list[ScoreItem] = []
    edits: list[str] = []
    drop: list[DropRule] = []
    keep: str | None = None
    missing: Literal["error", "drop", "keep"] = "error"

    @field_validator("scores", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return [{"scorer": item} if isinstance(item, str) else item for item in value or []]


def shipped() -> dict[str, Path]:
    """Recipes that come with Strata, by name."""
    folder = Path(str(files("flows") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_recipe(source: str | Path | dict[str, Any], variables: dict[str, Any] | None = None) -> PromotionRecipe:
    """Read a recipe from a path, the name of a shipped one, or a mapping; fill its variables."""
    body = source if isinstance(source, dict) else _read(str(source))
    if not isinstance(body, dict):
        raise BadInput(f"recipe {source} is not a mapping; see `flows/recipes/` for examples")
    given = {**(body.get("variables") or {}), **(variables or {})}
    if unknown := set(variables or {}) - set(body.get("variables") or {}):
        legal = ", ".join(body.get("variables") or {}) or "none"
        raise BadInput(
            f"recipe {body.get('name')!r} has no variable {sorted(unknown)[0]!r}; its variables are: {legal}"
        )
    try:
        return PromotionRecipe(
            **{**_fill({k: v for k, v in body.items() if k != "variables"}, given), "variables": given}
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"recipe {source if not isinstance(source, dict) else body.get('name')}: {where}: {first['msg']}"
        ) from None


def _read(source: str) -> Any:
    path = Path(source)
    if not path.exists():
        known = shipped()
        if source not in known:
            raise NotFound("recipe", source, known, "give a YAML file or the name of a shipped recipe")
        path = known[source]
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).replace("\n", " ")[:160]
        raise BadInput(f"recipe {path} is not valid YAML: {reason}") from None


def _fill(value: Any, given: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, given) for item in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\{(\w+)\}", value)
    names = re.findall(r"\{(\w+)\}", value)
    for name in names:
        if name in given and given[name] is None:
            raise BadInput(f"the recipe needs a value for {name!r}: --set {name}=...")
    if whole and whole[1] in given:
        return given[whole[1]]
    return re.sub(r"\{(\w+)\}", lambda m: str(given.get(m[1], m[0])), value)
