"""strata judge report: what a judge's column is worth beside people's grades."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, table


def report(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Dataset.")],
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="Column of a judge.")],
    raw: Annotated[bool, typer.Option("--raw", help="With some answers that could not be read, as they came.")] = False,
    resamples: Annotated[int, typer.Option(min=0, help="Resamples of the bootstrap over items.")] = 1000,
    json: Json = False,
) -> None:
    """What a judge's column is worth: answers read, what the order of two texts did, and agreement with people.

    For each campaign over the dataset also the mean that people would give all of it, by prediction-powered inference.

    Example: strata judge report web judge_educational_value
    """
    from flows.judge_report import judge_report

    held = judge_report(opened(), dataset, column, raw=raw, resamples=resamples)
    emit(json, held, lambda: _show(held))


def _show(held: dict[str, Any]) -> None:
    facts(
        {
            name: held[name]
            for name in ("dataset", "column", "scorer", "model", "revision", "mean", "comparisons", "ties")
        }
    )
    print()
    answers = {name.replace("_", " "): value for name, value in held["answers"].items() if name != "raw"}
    facts(answers)
    if position := held["position"]:
        rows = [{"lengths": "all", **position}, *position["by_length"]]
        shown = [
            {"lengths": row["lengths"], "pairs": row["pairs"], "verdict flips": share(row["flipped"]),
             "says the first": share(row["said_first"])} for row in rows
        ]  # fmt: skip
        table(shown, list(shown[0]), title="position of the text (0.5 is no preference)")
        if position["longer_won"]:
            print(f"the longer text wins: {share(position['longer_won'])}")
    for row in held["people"]:
        print()
        facts(_beside(row))
    for line in held["notes"]:
        note(line)
    for one in held["answers"].get("raw", []):
        print(f"{one['sample_id']} ({one['finish']}): {one['answer']!r}")


def share(held: dict[str, Any] | None) -> str:
    """A figure with its interval."""
    if held is None:
        return ""
    value = held["share"] if "share" in held else held["value"]
    if held["low"] is None or held["low"] != held["low"]:
        return number(value)
    return f"{number(value)} [{number(held['low'])}, {number(held['high'])}]"


def _beside(row: dict[str, Any]) -> dict[str, Any]:
    out = {"campaign": row["campaign"], "question": row["question"]}
    if "same_order" in row:
        return out | {"comparisons": row["comparisons"], "same order": share(row["same_order"])}
    out |= {"samples": row["samples"], "same": row["same"]}
    for name in ("kappa", "kappa_quadratic", "alpha_nominal", "alpha_interval", "spearman"):
        if isinstance(row.get(name), dict):
            out[name.replace("_", " ")] = share(row[name])
    if made := row["estimate"]:
        out |= {"judge's mean": made["judge_alone"], "people's mean": made["people_alone"]["mean"],
                "mean of all rows": f"{number(made['mean'])} [{number(made['low'])}, {number(made['high'])}]"}  # fmt: skip
    return out
