"""strata attribute."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, note, number, opened

Endpoint = Annotated[str | None, typer.Option(metavar="E", help="Language model that is asked.")]
Budget = Annotated[
    str | None, typer.Option(metavar="B", help="What it may spend; a language model is never asked without.")
]


def attribute(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A fact, a question with its answer, or an output.")],
    within: Annotated[
        list[str] | None, typer.Option("--in", metavar="DATASET", help="Where to look; default everywhere but evals.")
    ] = None,
    mix: Annotated[str | None, typer.Option(metavar="MIX", help="Only rows that this mix serves.")] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only rows that this run of the mix was served.")
    ] = None,
    by: Annotated[
        str,
        typer.Option(metavar="WAY", help="search, or clusters: cluster, then verify every sample of those that fit."),
    ] = "search",
    clusters: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="Clusters that are looked in at most.")] = 4,
    leaves: Annotated[str, typer.Option(metavar="COLUMN", help="Column of clusters.")] = "cluster_leaf",
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Samples shown; by search these alone are verified.")
    ] = 5,
    each: Annotated[bool, typer.Option("--each", help="Trace every sentence of the text by itself.")] = False,
    reference: Annotated[
        str | None, typer.Option(metavar="DATASET", help="Human texts: how many have a nearer held text.")
    ] = None,
    endpoint: Endpoint = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Find the training samples that support a fact or an output, with the lines that do, and whether nothing held does.

    Without --endpoint samples are ranked by the words, numbers and names they share with the text, and none is called support.

    By clusters (strata score web cluster_leaves) a language model names each cluster once, picks those that may speak of the text
    and judges all their samples; without it the clusters nearest to the text are looked in.

    Example: strata attribute "How long is the Limmat? 35 kilometres" --mix pretrain@v1 --endpoint e --budget b
             strata attribute "The Limmat is 35 kilometres long." --in web --by clusters --endpoint e --budget b
             strata attribute "The Limmat is 35 kilometres long." --in web --in books
    """
    from agents.trace import attribute as trace
    from agents.trace import attribute_each

    held = (attribute_each if each else trace)(
        opened(),
        text,
        within or [],
        mix=mix,
        run=run,
        limit=limit,
        by=by,
        clusters=clusters,
        leaves=leaves,
        reference=reference,
        endpoint=endpoint,
        budget=budget,
    )
    emit(json, held, lambda: _shown(held))


def _shown(held: dict[str, Any]) -> None:
    for claim in held.get("claims", [held]):
        nothing = {True: "; nothing held supports it", False: "", None: ""}[claim["nothing_held"]]
        print(f"{claim['finding']}{nothing}: {claim['text']}")
        for cluster in claim.get("clusters", []):
            print(f"  looked in {cluster['dataset']} cluster {cluster['cluster']} ({cluster['rows']} rows, by "
                  f"{cluster['picked_by']}): {', '.join(cluster['keywords'])}")  # fmt: skip
        for sample in claim["samples"]:
            lacks = f", lacks {', '.join(sample['missing'])}" if sample["missing"] else ""
            also = f" and {len(sample['also'])} copies" if sample["also"] else ""
            print(f"  {sample['verdict']}: {sample['dataset']} {sample['sample_id'][:12]}{also} "
                  f"(likeness {number(sample['score'])}{', far' if sample['far'] else ''}{lacks})")  # fmt: skip
            for line in sample["lines"]:
                print(f"      {' '.join(line['text'].split())[:200]}")
            for line in sample["warnings"]:
                print(f"      {line}")
        if "against_reference" in claim:
            print(f"  against the reference: {claim['against_reference']}")
    for line in held["notes"]:
        note(line)
