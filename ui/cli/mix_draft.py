"""strata mix draft."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.attribute import Budget, Endpoint
from ui.cli.output import Json, emit, note, opened


def draft(
    goal: Annotated[str, typer.Argument(metavar="GOAL", help="How much of what, for what use, how often at most.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the mix.")] = "draft",
    measure: Annotated[
        str | None, typer.Option(metavar="RESULT", help="Result of recorded trials that is improved, with 16 of them.")
    ] = None,
    better: Annotated[str, typer.Option(metavar="lower|higher", help="Direction of the result.")] = "lower",
    write: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the spec there instead of printing it.")
    ] = None,
    endpoint: Endpoint = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Draft the spec of a mix for a goal in words: parts, filters, a mixer's weights; what is short, and why. Writes no mix.

    The spec is printed as YAML, why it is so on stderr. The exit status is 2 where no dataset fits, or publishing would refuse.

    Example: strata mix draft "maths-heavy 2M tokens, commercial use, at most 4 epochs, no eval leaks" > draft.yaml
    """
    from agents.mix import draft as make
    from catalog.mixes.spec import write_spec

    held = make(opened(), goal, name=name, measure=measure, better=better, endpoint=endpoint, budget=budget)
    if write and held["spec"]:
        write_spec(held["spec"], write)
    emit(json, held, lambda: _shown(held, write))
    if held["spec"] is None or held["preview"]["refused"]:
        raise typer.Exit(2)


def _shown(held: dict[str, Any], write: str | None) -> None:
    import yaml

    if held["spec"] and not write:
        print(yaml.safe_dump(held["spec"], sort_keys=False, allow_unicode=True), end="")
    for reason in held["reasons"]:
        samples = f" (samples {', '.join(sample[:12] for sample in reason['samples'])})" if reason["samples"] else ""
        note(f"{reason['text']}{samples}")
    for group in (held["weights"] or {}).get("groups", []):
        epochs = ", ".join(
            f"{row['part']} {100 * group['share'] * row['weight']:.4g} %" for row in group.get("parts", [])
        )
        said = f" ({group['said']})" if group.get("said") else ""
        note(
            f"weights by {held['weights']['mixer']}: {group['group']} {100 * group['share']:.4g} %{said}"
            + (f": {epochs}" if epochs else "")
        )
    if preview := held["preview"]:
        note(
            f"outlook: {preview['samples']:,} samples, licences {preview['licences']['verdict']}, leaks {preview['contamination']['verdict']}"
        )
    for line in held["shortfalls"]:
        note(f"short: {line}")
    for item in held["left_out"]:
        note(f"left out: {item['dataset']}: {item['why']}")
    if held["trials"]:
        note(held["trials"]["why"] + ": " + "; ".join(held["trials"]["commands"]))
    for line in held["notes"]:
        note(line)
