"""strata rules: thresholds of several columns, tried on all rows before anything is saved."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, note, number, opened, table
from ui.cli.query import Ref, around, kept, percent


def rules(
    ref: Ref,
    rule: Annotated[
        list[str],
        typer.Argument(
            metavar="RULE",
            help="COLUMN>=LINE (or <=, >, <); after commas LANGUAGE:LINE for languages with a line of their own.",
        ),
    ],
    examples: Annotated[int, typer.Option(metavar="N", min=0, max=200, help="Rows on either side of each line.")] = 3,
    missing: Annotated[
        str, typer.Option(metavar="error|drop|keep", help="What a row without a value means to the rules.")
    ] = "error",
    json: Json = False,
) -> None:
    """Say what rules keep together of all rows: one line a column, own lines for languages; what each takes away. Changes nothing.

    Example: strata rules web "word_count >= 60" "quality_linear >= 0.4, de: 0.3" --missing drop
    """
    held = opened().rules(ref, rule, missing=missing, examples=examples)
    emit(json, held, lambda: _tried(held, ref))


def _tried(held: dict[str, Any], ref: str) -> None:
    kept(held)
    before, lines = held["rows"], []
    for step in held["steps"]:
        lines.append({"rule": step["rule"], "keeps alone": step["alone"], "takes away": before - step["left"],
                      "left": step["left"], "share": percent(step["left"] / held["rows"] if held["rows"] else None)})  # fmt: skip
        before = step["left"]
    table(lines, ["rule", "keeps alone", "takes away", "left", "share"])
    if held["missing"] == "keep" and held["kept"] > before:
        print(f"and {number(held['kept'] - before)} rows without a value, which are kept")
    around(held)
    for line in held["notes"]:
        note(line)
    missing = "" if held["missing"] == "error" else f" --missing {held['missing']}"
    note(f"to keep these rows by name: strata select save NAME {ref} --where {_word(held['where'])}{missing}")


def _word(text: str) -> str:
    """One word of a shell; in double quotes where they do, as a filter has single ones."""
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
