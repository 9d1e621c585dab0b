"""strata mix weights|split|publish|preview|list|show|diff|key|sign|verify, strata pull."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, pairs, progress, table

Spec = Annotated[str, typer.Argument(metavar="SPEC.yaml", help="Mix spec: parts, weights, order.")]
Ref = Annotated[str, typer.Argument(metavar="NAME@vN", help="Published mix; without @vN the newest.")]


def preview(spec: Spec, json: Json = False) -> None:
    """Show what publishing a spec would freeze: tokens, epochs, repetition and shortfall of each part. Changes nothing.

    A spec that publishing would refuse is shown too, with how much each part is short; the exit status is then 2.

    Example: strata mix preview pretrain.yaml
    """
    from catalog.mixes import preview as make

    held = make(opened(), spec)
    emit(json, held, lambda: _summary({name: value for name, value in held.items() if name != "refused"}))
    for line in held["refused"]:
        note(f"error: {line}")
    if held["refused"]:
        raise typer.Exit(2)


def weights(
    spec: Spec,
    mixer: Annotated[str, typer.Option(metavar="NAME", help="Method that finds the weights: see `strata mixers`.")],
    param: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Parameter of the mixer.")] = None,
    trials: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Runs: .csv, .jsonl or .parquet, weights by part and results; or catalog: the recorded trials.",
        ),
    ] = None,
    goal: Annotated[str, typer.Option(metavar="RESULT", help="Result of the trials that is improved.")] = "",
    better: Annotated[str, typer.Option(metavar="lower|higher", help="Direction of the goal.")] = "lower",
    write: Annotated[str | None, typer.Option(metavar="FILE", help="Write the spec with the weights there.")] = None,
    seed: Annotated[int, typer.Option(help="Start of the random numbers.")] = 0,
    json: Json = False,
) -> None:
    """Find weights for the parts of a spec, with the outcome a method predicts. Changes nothing in the catalog.

    Example: strata mix weights pretrain.yaml --mixer unimax --param epochs=2 --write weighted.yaml
    """
    from flows.mixing import weigh

    found = weigh(opened(), spec, mixer, params=pairs(param or [], "--param"), trials=trials, goal=goal,
                  better=better, seed=seed)  # fmt: skip
    if write:
        from catalog.mixes.spec import write_spec

        write_spec(found.spec, write)
    held = found.to_json()

    def human() -> None:
        table(held["parts"], ["part", "weight", "proportional", "epochs"])
        facts(flat({name: held[name] for name in ("predicted", "low", "high", "report") if held.get(name) is not None}))
        if write:
            note(f"written to {write}: `strata mix publish {write}`")

    emit(json, held, human)


def split(
    spec: Spec,
    by: Annotated[str, typer.Option(metavar="COLUMN", help="Column whose values become parts.")],
    write: Annotated[str, typer.Option(metavar="FILE", help="Where the new spec is written.")],
    part: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this part; repeat for more.")] = None,
    json: Json = False,
) -> None:
    """Cut parts of a spec by the values of a column, so that weights can be given by attribute.

    Example: strata mix split pretrain.yaml --by language --part web-l2 --write by-language.yaml
    """
    from catalog.mixes.spec import write_spec
    from catalog.mixes.split import split_parts

    found = split_parts(opened(), spec, by, part)
    write_spec(found, write)
    rows = [{"part": held.get("name") or held.get("dataset") or held.get("selection"), "weight": held.get("weight"),
             "where": held.get("where", "")} for held in found["parts"]]  # fmt: skip

    def human() -> None:
        table(rows, ["part", "weight", "where"])
        note(f"written to {write}: give it weights with `strata mix weights {write} --mixer NAME`")

    emit(json, found, human)


def publish(spec: Spec, json: Json = False) -> None:
    """Freeze a mix by a lock: row sets, counts, order, licence and contamination verdicts.

    Example: strata mix publish pretrain.yaml
    """
    from catalog.mixes import summary
    from catalog.mixes.reads import advice
    from catalog.pull.layout import Layout

    cat = opened()
    made = cat.publish_mix(spec)
    held = {"ref": f"{made.name}@v{made.version}", "digest": made.digest, **summary(made.lock)}
    held |= advice(cat, made.lock, Layout.from_lock(made.lock, cat.settings.locks, verify=False))
    emit(json, held, lambda: _summary(held))


def key(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where the private key goes; FILE.pub is the public half.")
    ],
    json: Json = False,
) -> None:
    """Make a key to sign mixes with.

    Example: strata mix key ~/.strata-key
    """
    from catalog.mixes.sign import new_key

    made = new_key(file)
    emit(json, {"file": file, "fingerprint": made}, lambda: print(f"key {made[:16]} is in {file}; share {file}.pub"))


def sign(
    ref: Ref,
    with_: Annotated[str, typer.Option("--key", metavar="FILE", help="Ed25519 private key; see `strata mix key`.")],
    json: Json = False,
) -> None:
    """Sign the lock of a mix; the lock does not change, and others may sign it too.

    Example: strata mix sign pretrain@v1 --key ~/.strata-key
    """
    from catalog.mixes.sign import sign as make

    made = make(opened(), ref, with_)
    emit(
        json,
        made,
        lambda: print(f"lock {made['lock'][:12]} is signed by {made['signer']} with key {made['fingerprint'][:16]}"),
    )


def verify(
    ref: Ref,
    by: Annotated[
        str | None, typer.Option("--by", metavar="FILE.pub", help="Demand a valid signature of this key.")
    ] = None,
    json: Json = False,
) -> None:
    """Show who signed a mix, and whether what they signed is this lock. Unsigned is legal.

    Example: strata mix verify pretrain@v1 --by ann.pub
    """
    from catalog.mixes.sign import signatures

    held = signatures(opened(), ref, by)
    rows = [{**entry, "key": entry["fingerprint"][:16]} for entry in held]
    emit(json, held, lambda: table(rows, ["key", "signer", "signed", "valid"], empty=f"{ref} is not signed"))


def revise(
    ref: Ref,
    at_sample: Annotated[int, typer.Option(metavar="N", help="First global index that the change applies to.")],
    weights: Annotated[
        list[str] | None, typer.Option(metavar="PART=W", help="Weight of a part from there on; repeat for more.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="New part: a dataset, or what a spec says of it: {dataset: d, where: ...}."),
    ] = None,
    total: Annotated[
        int | None, typer.Option(metavar="N", help="What the changed stage serves from there on; as planned without.")
    ] = None,
    json: Json = False,
) -> None:
    """Change the weights of a mix in mid-run, or add a part: its next version, the same below index N.

    Example: strata mix revise pretrain@v1 --at-sample 120000 --weights web=2 --weights math=3 --add math-l2
    """
    from catalog.errors import BadInput
    from catalog.mixes import summary

    shares: dict[str, float] = {}
    for name, value in pairs(weights or [], "--weights").items():
        try:
            shares[name] = float(value)
        except (TypeError, ValueError):
            raise BadInput(f"--weights {name}={value}: {value!r} is not a number") from None
    made = opened().revise_mix(ref, at_sample, shares, add=[_part(text) for text in add or []], total=total)
    held = {"ref": f"{made.name}@v{made.version}", **summary(made.lock)}
    emit(json, held, lambda: _summary(held))


def _part(text: str) -> str | dict[str, Any]:
    """A dataset reference, or a mapping as YAML writes it on one line."""
    from catalog.mixes.spec import read_spec

    return read_spec(text + "\n") if text.lstrip().startswith("{") else text


def list_mixes(json: Json = False) -> None:
    """List the published mixes.

    Example: strata mix list
    """
    from sqlmodel import select

    from catalog.access import check
    from catalog.meta.models import Mix

    cat = opened()
    check(cat, "read", "mixes")
    with cat.session() as session:
        held = session.exec(select(Mix).order_by(Mix.name, Mix.version)).all()  # type: ignore[arg-type]
    rows = [{"mix": f"{mix.name}@v{mix.version}", "digest": mix.digest, "parts": len(mix.lock.get("parts", [])),
             "actor": mix.actor, "created": mix.created} for mix in held]  # fmt: skip
    emit(
        json, rows, lambda: table(rows, ["mix", "parts", "digest", "actor", "created"], empty="no mix is published yet")
    )


def show(ref: Ref, json: Json = False) -> None:
    """Show a published mix and its lock.

    Example: strata mix show pretrain@v1 --json
    """
    from catalog.mixes import find_mix, load_lock, summary

    cat = opened()
    made = find_mix(cat, ref)
    lock = load_lock(cat, f"{made.name}@v{made.version}")
    held = {"ref": f"{made.name}@v{made.version}", "digest": made.digest, **summary(lock)}
    emit(json, {**held, "lock": lock}, lambda: _summary(held))


def diff(
    a: Annotated[str, typer.Argument(metavar="A@vN", help="Mix, the older.")],
    b: Annotated[str, typer.Argument(metavar="B@vN", help="Mix, the newer.")],
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Also how sources, languages and scores shift, from a sample of each order."),
    ] = False,
    json: Json = False,
) -> None:
    """Compare two mixes: parts, shares, tokens, and samples that only one serves.

    Example: strata mix diff pretrain@v1 pretrain@v2 --scores
    """
    from catalog.mixes import diff_mixes

    cat = opened()
    held = diff_mixes(cat, a, b)
    if scores:
        from catalog.mixes.shifts import shifts

        held = {**held, "shifts": shifts(cat, a, b)}

    def human() -> None:
        facts(flat({name: value for name, value in held.items() if name not in ("shifts", "parts")}))
        rows = [_part_change(part) for part in held["parts"]]
        table(rows, ["part", "where", "status", "samples a", "samples b", "share a", "share b"], title="parts")
        if scores:
            _shifts(held["shifts"])

    emit(json, held, human)


def _part_change(part: dict[str, Any]) -> dict[str, Any]:
    row = {"part": part["dataset"], "where": part["where"], "status": part["status"]}
    for side in ("a", "b"):
        held = part.get(side) or {}
        row |= {f"samples {side}": held.get("samples"), f"share {side}": held.get("share")}
    return row


def _shifts(found: dict[str, Any]) -> None:
    shares = [{"column": column, "value": value, "a": a, "b": b}
              for column, values in found["shares"].items() for value, (a, b) in values.items()]  # fmt: skip
    table(shares, ["column", "value", "a", "b"], title="shares of what is served")
    moved = [{"column": name, **held} for name, held in found["numbers"].items() if held["shift"] > held["chance"]]
    columns = ["column", "mean a", "mean b", "median a", "median b", "shift", "chance"]
    table(moved, columns, title="scores that shift beyond chance", empty="no score shifts beyond chance")


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested facts as dotted names, for a plain listing."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            found |= flat(item, f"{prefix}{name}.")
        elif isinstance(item, list):
            found[f"{prefix}{name}"] = ", ".join(str(part) for part in item[:8]) + (" ..." if len(item) > 8 else "")
        else:
            found[f"{prefix}{name}"] = item
    return found


def _summary(held: dict[str, Any]) -> None:
    parts = held.get("parts", [])
    facts(flat({name: value for name, value in held.items() if name not in ("parts", "stages")}))
    if stages := held.get("stages"):
        rows = [{**stage, "parts": "; ".join(f"{name} {text}" for name, text in stage["parts"].items()),
                 "order": " ".join(f"{name}={value}" for name, value in stage["order"].items())} for stage in stages]  # fmt: skip
        table(rows, ["name", "start", "samples", "tokens", "parts", "order"])
    if parts:
        table(parts, [name for name in parts[0] if not isinstance(parts[0][name], (dict, list))])


def pull(
    ref: Annotated[
        str, typer.Argument(metavar="NAME@vN", help="Published mix, or saved selection; without @vN the newest.")
    ],
    limit: Annotated[int | None, typer.Option(metavar="N", min=0, help="At most N samples.")] = None,
    rank: Annotated[int, typer.Option(metavar="R", help="This rank.")] = 0,
    world: Annotated[int, typer.Option(metavar="W", help="Number of ranks.")] = 1,
    start: Annotated[int, typer.Option(metavar="K", help="First global index.")] = 0,
    column: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these columns; repeat for more.")
    ] = None,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            metavar="FORMAT DIR",
            help="Write files instead: parquet, jsonl, mds, webdataset, megatron, or a plug-in's format.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Option of the format: megatron takes tokenizer=FOLDER."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="First check the whole stream against the lock.")] = False,
    by_rank: Annotated[
        bool, typer.Option("--by-rank", help="A selection's rows in the order its selector chose them.")
    ] = False,
    json: Json = False,
) -> None:
    """Serve a mix in its locked order (or a selection in table order), as JSON lines on stdout or as files.

    Example: strata pull pretrain@v1 --rank 0 --world 8 --limit 5
    """
    reader = opened().pull(ref, by_rank=by_rank)
    if verify:
        note(f"stream digest {reader.verify(full=True)}")
    stop = None if limit is None else min(len(reader), start + limit * world)
    if export is not None:
        with progress("export"):
            held = reader.export(export[1], export[0], start=start, stop=stop, rank=rank, world=world, columns=column,
                                 options=pairs(option or [], "--option"))  # fmt: skip
        emit(json, {"folder": str(export[1]), **held},
             lambda: print(f"{number(held['rows'])} rows in {len(held['shards'])} files in {export[1]}"))  # fmt: skip
        return
    import orjson

    from ui.shapes import plain

    served = 0
    options = {"rank": rank, "world": world, "batch_rows": min(256, max(1, limit or 256)), "columns": column}
    for batch in reader.batches(start, stop, **options):
        for row in plain(batch):
            if limit is not None and served >= limit:
                return
            print(orjson.dumps(row).decode())
            served += 1
