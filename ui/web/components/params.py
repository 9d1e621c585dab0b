"""A form from the declaration of a scorer, selector or mixer: one widget a parameter, by its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from catalog.errors import BadInput
from catalog.mixers import Mixer
from catalog.plugins import Scorer
from catalog.selectors import Selector


def fields(scorers: Sequence[Scorer | Selector | Mixer]) -> dict[str, dict[str, Any]]:
    """Parameter -> its JSON schema and "users": parameters of equal name are one, as the planner forwards them."""
    found: dict[str, dict[str, Any]] = {}
    for scorer in scorers:
        schema = scorer.params.model_json_schema()
        for name, body in schema.get("properties", {}).items():
            held = found.setdefault(name, {**_resolved(body, schema.get("$defs", {})), "users": []})
            held["users"].append(scorer.name)
    return found


def _resolved(body: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and read "X or null" as an optional X."""
    if "$ref" in body:
        body = {**definitions.get(body["$ref"].rsplit("/", 1)[-1], {}), **body}
    options = [_resolved(option, definitions) for option in body.get("anyOf", [])]
    plain = [option for option in options if option.get("type") != "null"]
    if len(plain) == 1:
        return {**plain[0], **{k: v for k, v in body.items() if k != "anyOf"}, "optional": len(options) > len(plain)}
    return body


def form(scorers: Sequence[Scorer | Selector | Mixer], choices: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Draw the widgets; returns the values that differ from their defaults. choices: what a parameter may name."""
    given, choices = {}, choices or {}
    held = fields(scorers)
    columns = st.columns(min(3, len(held)) or 1, gap="small")
    for at, (name, body) in enumerate(held.items()):
        with columns[at % len(columns)]:
            value = _named(name, body, choices[name]) if name in choices else _widget(name, body)
        if value != body.get("default") and not (value in (None, "") and body.get("default") is None):
            given[name] = value
    return given


def _named(name: str, body: dict[str, Any], options: list[str]) -> str | None:
    """A column, picked from those there are; none where the parameter may be left out."""
    default = body.get("default")
    free = [] if default is None and not body.get("optional") else [""]
    held = [*free, *(option for option in options if option)]
    return st.selectbox(
        name.replace("_", " "), held, index=held.index(default) if default in held else 0, key=f"param_{name}",
        help=body.get("description"), format_func=lambda option: option or "none",
    ) or None  # fmt: skip


def _widget(name: str, body: dict[str, Any]) -> Any:
    kind, default = body.get("type"), body.get("default")
    label, key = name.replace("_", " "), f"param_{name}"
    help_ = f"{body.get('description') or ''} Used by {', '.join(body['users'])}.".strip()
    if "enum" in body:
        options = list(body["enum"])
        return st.selectbox(
            label, options, index=options.index(default) if default in options else 0, key=key, help=help_
        )
    if kind == "boolean":
        return st.checkbox(label, value=bool(default), key=key, help=help_)
    if kind in ("integer", "number"):
        whole = kind == "integer"
        low, high = _limits(body, whole)
        step = 1 if whole else _step(default)
        start = default if default is None else int(default) if whole else float(default)
        return st.number_input(
            label,
            value=start,
            min_value=low,
            max_value=high,
            step=step,
            key=key,
            help=help_,
            format=None if whole else "%g",
        )
    if kind == "string" or kind is None:
        return st.text_input(label, value=default or "", key=key, help=help_) or (default if default is None else "")
    if kind == "object":  # a file or a name will do for it, or the mapping itself
        written = st.text_input(label, value=json.dumps(default) if default else "", key=key, help=help_).strip()
        if not written.startswith("{"):
            return written or default
    else:
        written = st.text_input(label, value=json.dumps(default), key=key, help=f"{help_} As JSON.")
    try:
        return json.loads(written)
    except ValueError:
        raise BadInput(
            f"parameter {name} is not JSON: {written[:60]!r}; write for example {json.dumps(default)}"
        ) from None


def _limits(body: dict[str, Any], whole: bool) -> tuple[Any, Any]:
    """Inclusive limits; an exclusive one of a whole number moves by one, of a real one is left to the method's check."""
    low, high = body.get("minimum"), body.get("maximum")
    if whole and low is None and "exclusiveMinimum" in body:
        low = body["exclusiveMinimum"] + 1
    if whole and high is None and "exclusiveMaximum" in body:
        high = body["exclusiveMaximum"] - 1
    cast = int if whole else float
    return (cast(low) if low is not None else None), (cast(high) if high is not None else None)


def _step(default: Any) -> float:
    return 0.01 if isinstance(default, (int, float)) and 0 < abs(default) < 1 else 0.1
