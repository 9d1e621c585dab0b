"""strata card, lineage, trace, diff: where things come from and what changed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, table
from ui.cli.query import Ref


def card(ref: Ref, json: Json = False) -> None:
    """Print the card of a dataset version as Markdown: facts, licences, counts, columns and provenance.

    Example: strata card web > web.md
    """
    from catalog.cards import markdown

    held = opened().card(ref)
    emit(json, held, lambda: print(markdown(held)))


def trace(
    sample: Annotated[
        str | None,
        typer.Argument(
            metavar="SAMPLE_ID|model:NAME", help="Id of a sample, or its first 6 and more characters; a model."
        ),
    ] = None,
    eval_: Annotated[
        str | None, typer.Option("--eval", metavar="NAME", help="Follow the items of an eval: who holds each.")
    ] = None,
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Two sample ids: why they are duplicates, which is kept."),
    ] = None,
    overlap: Annotated[
        str | None, typer.Option(metavar="dataset|source|tier", help="Rows that groups share, over the whole catalog.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The held texts nearest to this one, in meaning and in words.")
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="DATASET", help="With --text: where to look; default everywhere."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="DATASET", help="With --text: human texts; how many have a nearer held text.")
    ] = None,
    json: Json = False,
) -> None:
    """Say all that is known of one sample: where it came from, where it is, why it was dropped, which mixes serve it.

    With --eval, a report in Markdown of the items that leaked, into which datasets, mixes and pulls, and what is unchecked.

    Example: strata trace 51b6321257f8
             strata trace --eval gsm8k > leaks.md
             strata trace model:pretrain-v1-1m-8f31c2aa-s0
             strata trace --pair 51b6321257f8 9c02ab417d33
             strata trace --overlap tier
             strata trace --text "the mitochondria is the powerhouse of the cell" --in web
    """
    if sum(given is not None for given in (sample, eval_, pair, overlap, text)) != 1:
        from catalog.errors import BadInput

        raise BadInput("say what to trace: a sample id, --eval NAME, --pair A B, --overlap source or --text TEXT")
    if pair is not None:
        _pair(pair, json)
        return
    if overlap is not None:
        _overlap(overlap, json)
        return
    if text is not None:
        _support(text, within or [], reference, json)
        return
    if eval_ is not None:
        from catalog.leaks import markdown, trace_eval

        report = trace_eval(opened(), eval_)
        emit(json, report, lambda: print(markdown(report)))
        return
    assert sample is not None
    held = opened().trace(sample)

    def human() -> None:
        if "model" in held:
            _model(held)
            return
        for row in held["rows"]:
            first, last = (row["versions"] + [None, None])[:2]
            span = f"v{first} to {f'v{last}' if last else 'now'}" if row["versions"] else "retracted"
            print(f"{row['dataset']} ({row['tier']}): {span}")
            origin = {name: row.get(name) for name in ("source", "licence", "url", "file", "line", "offset")}
            facts({f"  {name}": value for name, value in (origin | row["columns"]).items()})
        for mix in held["mixes"]:
            print(f"served by {mix['mix']}" if isinstance(mix, dict) and "mix" in mix else f"served by {mix}")

    emit(json, held, human)


def _pair(pair: tuple[str, str], json: bool) -> None:
    from catalog.index.keepers import explain_pair

    held = explain_pair(opened(), *pair)

    def human() -> None:
        table(held["rows"], ["dataset", "tier", "sample_id", "source", "licence", "created", "chars"])
        facts({
            "same content": held["same_content"], "Jaccard of word 5-grams": held["jaccard"], "by signature": held["estimate"],
            "equal bands": f"{len(held['bands'])} of 14", "duplicates": held["near"],
            "kept": f"{held['keeper']} of {held['keeper_dataset']}, by {held['because']}",
        })  # fmt: skip

    emit(json, held, human)


def _support(text: str, within: list[str], reference: str | None, json: bool) -> None:
    from catalog.support import support

    held = support(opened(), text, within, reference=reference)

    def human() -> None:
        facts({name: held[name] for name in ("cosine", "overlap", "longest", "rank") if name in held})
        shown = [{**hit, "sample_id": hit["sample_id"][:12], "text": " ".join(hit["text"].split())[:80]}
                 for hit in held["nearest"]]  # fmt: skip
        table(shown, ["dataset", "sample_id", "cosine", "overlap", "longest", "text"], empty="nothing held is near")
        for line in held["notes"]:
            note(line)

    emit(json, held, human)


def _overlap(by: str, json: bool) -> None:
    from catalog.index.matrix import overlap_matrix

    held = overlap_matrix(opened(), by)
    names = [group["name"] for group in held["groups"]]
    rows = [
        {by: group["name"], "rows": group["rows"], **{f"in {name}": count for name, count in zip(names, counts)}}
        for group, counts in zip(held["groups"], held["shared"], strict=True)
    ]
    emit(json, held, lambda: table(rows, [by, "rows", *(f"in {name}" for name in names)], as_named=True))


def lineage(ref: Ref, json: Json = False) -> None:
    """Show where a dataset came from and what was made of it.

    Example: strata lineage web-l1
    """
    held = opened().lineage(ref)

    def human() -> None:
        rows = [
            {**edge, "counts": ", ".join(f"{k} {number(v)}" for k, v in (edge.get("counts") or {}).items())}
            for edge in held["edges"]
        ]
        table(rows, ["source", "verb", "target", "counts"], empty="nothing is known to come before or after it")

    emit(json, held, human)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="Dataset version or mix, the older.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Dataset version or mix, the newer.")],
    json: Json = False,
) -> None:
    """Compare two dataset versions, or two mixes: rows, tokens, languages, sources, score shifts.

    Example: strata diff web@v1 web@v2
    """
    from ui.cli.mix import flat

    held = opened().diff(a, b)
    emit(json, held, lambda: facts(flat(held)))


def _model(held: dict[str, Any]) -> None:
    """A checkpoint: its trials, the locks behind them, what it was served, the datasets behind that."""
    facts({name: held[name] for name in ("model", "folder", "start") if held[name]})
    for trial in held["trials"]:
        results = ", ".join(f"{name} {value:.4g}" for name, value in sorted(trial["results"].items()))
        print(f"step {trial['step']} on {trial['mix']}, seed {trial['seed']}, {trial['status']}: {results}")
    for mix in held["mixes"]:
        print(f"{mix['mix']}: lock {mix['lock'][:12]}, contamination {mix['contamination']}")
    for run in held["ledger"]:
        amounts = f"{run['samples']:,} samples in {run['steps']:,} steps, {run['attempts']} attempts"
        print(f"ledger run {run['run']} of {run['mix']}: {amounts}, {run['lost']} lost, {run['repeated']} repeated")
        table(run["sources"], ["source", "samples", "records", "loss"])
    if not held["ledger"]:
        more = f"; other runs of its mixes: {', '.join(held['other_runs'])}" if held["other_runs"] else ""
        print(f"no ledger is known to be of this model{more}")
    rows = [{**row, "licences": ", ".join(sorted(row["licences"])) or "unknown"} for row in held["datasets"]]
    table(rows, ["dataset", "samples", "licences"])
