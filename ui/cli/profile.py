"""strata profile: what a whole set holds: toxicity over prompts, facts, features, nearness to targets."""

from __future__ import annotations

import csv
import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, opened, table
from ui.cli.query import Ref


def toxicity(
    ref: Ref,
    column: Annotated[str, typer.Option(metavar="NAME", help="Column of scores.")] = "toxicity",
    prompt: Annotated[str, typer.Option(metavar="FIELD", help="Field of meta that names the prompt.")] = "prompt",
    k: Annotated[int | None, typer.Option(min=1, help="Generations a prompt; default all it has.")] = None,
    threshold: Annotated[float, typer.Option(help="Score above which a text is toxic.")] = 0.5,
    json: Json = False,
) -> None:
    """Expected maximum and probability of toxicity over prompts, as RealToxicityPrompts reports them.

    Example: strata profile toxicity generations --prompt prompt --k 25
    """
    from flows.toxicity import prompt_toxicity

    held = prompt_toxicity(opened(), ref, column=column, prompt=prompt, k=k, threshold=threshold)
    emit(json, held, lambda: facts(held))


def fact_counts(
    ref: Ref,
    file: Annotated[Path, typer.Option("--facts", help="JSON lines or CSV with subject, object and perhaps pattern.")],
    unit: Annotated[str, typer.Option(help="paragraph or document.")] = "paragraph",
    json: Json = False,
) -> None:
    """Count the paragraphs that hold a fact's subject, its object, both, and the sentence of its pattern.

    Example: strata profile facts web --facts capitals.csv
    """
    from catalog.errors import BadInput
    from flows.facts import COUNTS, fact_counts

    if unit not in ("paragraph", "document"):
        raise BadInput(f"--unit {unit!r}: a unit is paragraph or document")
    held = fact_counts(opened(), ref, _facts(file), "document" if unit == "document" else "paragraph")
    rows = [{"fact": f"{one['subject']}, {one['object']}", **one["counts"]} for one in held["facts"]]
    emit(json, held, lambda: table(rows, ["fact", *COUNTS]))


def features(
    ref: Ref,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="tokens, lower, words, content, pairs, triples; default all."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows that are read, at most.")] = 50_000,
    json: Json = False,
) -> None:
    """Measure feature density: different features over all of them, by kind, and as the set grows.

    Example: strata profile features web
    """
    from flows.feature_density import feature_density

    held = feature_density(opened(), ref, kind, rows=rows)
    shown = [{"kind": name, **found} for name, found in held["densities"].items()]
    emit(json, held, lambda: table(shown, ["kind", "features", "different", "density", "entropy", "once"]))


def near(
    sets: Annotated[list[str], typer.Argument(metavar="SET...", help="Dataset versions, selections or mixes.")],
    pool: Annotated[str, typer.Option(metavar="REF", help="What the sets were taken from.")],
    target: Annotated[list[str], typer.Option(metavar="REF", help="What they should be like; may be repeated.")],
    json: Json = False,
) -> None:
    """KL reduction: how much nearer each set comes to the targets than the pool, in hashed n-grams.

    Example: strata profile near web-l1 --pool web --target encyclopedia
    """
    from flows.kl_reduction import kl_reduction

    held = kl_reduction(opened(), sets, pool, target)
    rows = [{"set": name, **found} for name, found in held["sets"].items()]
    emit(json, held, lambda: table(rows, ["set", "rows", "ngrams", "kl_reduction"]))


def _facts(file: Path) -> list[dict[str, Any]]:
    """Facts of a file, one a line."""
    from catalog.errors import BadInput

    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--facts {file}: cannot be read ({error}); give JSON lines or CSV in UTF-8") from None
    if file.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    try:
        found = [jsonlib.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise BadInput(f"--facts {file}: not JSON lines ({error}); a fact is one JSON object a line") from None
    if not all(isinstance(one, dict) for one in found):
        raise BadInput(f"--facts {file}: a fact is a JSON object with subject and object, one a line")
    return found
