"""The loss of every sample at several checkpoints of a proxy run, as a column: how easily each row is learned, and when.

    strata trial run pretrain@v1 --size 1m --param trajectory=8
    strata trial traces pretrain-v1-1m-8f31c2aa-s0            # columns loss_trace_..., a list of 8 numbers a row

Rows of a dataset with alike traces are alike to a model, which is what S2L clusters (Yang et al. 2024, arXiv:2403.07384);
the column is a vector like an embedding. Every row of the mix's parts is measured alone, held-out ones too, on its first
`context` tokens, at evenly spread steps, the last of them the end.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalog import states
from catalog.errors import BadInput
from catalog.meta.models import ColumnRecord, Dataset, Edge, Recipe, new_id
from catalog.pull.layout import digest_of
from catalog.statistics import column_statistics, keep_facts
from catalog.store.columns import attach
from catalog.store.publish import publish
from catalog.store.tables import write_column_file
from flows.proxy.losses import sample_losses
from flows.proxy.recipe import Recipe as ProxyRecipe
from flows.proxy.stream import Tokens
from flows.proxy.train import Tick, folder_of, read_facts

if TYPE_CHECKING:
    from catalog.catalog import Catalog

SCORER = "loss_trace"


def measure(
    cat: Catalog, lock: dict[str, Any], model: Any, recipe: ProxyRecipe, tokens: Tokens, path: Path, device: str, tick: Tick
) -> None:  # fmt: skip
    """Write the loss of every row of a lock's parts under the model as it is now."""
    ids: dict[tuple[str, str], float] = {}
    for part in lock["parts"]:
        ref = f"{part['dataset']}@v{part['version']}"
        for batch in cat.scan(ref, ["sample_id", "text"], where=part["where"] or None, missing="keep"):
            names, texts = batch.column("sample_id").to_pylist(), batch.column("text").to_pylist()
            for begin in range(0, len(names), recipe.batch):
                piece = slice(begin, begin + recipe.batch)
                documents = tokens.encode([text or "" for text in texts[piece]])
                losses = sample_losses(model, documents, tokens.end, recipe.context, device)
                ids |= {(part["dataset_id"], name): loss for name, loss in zip(names[piece], losses, strict=True)}
                tick(0)  # a long measure tells that it lives, and stops when it is told to
    path.parent.mkdir(exist_ok=True)
    columns = {"dataset_id": [key[0] for key in ids], "sample_id": [key[1] for key in ids], "loss": list(ids.values())}
    hidden = path.with_suffix(".new")
    pq.write_table(pa.table(columns), hidden)
    hidden.replace(path)


def publish_traces(cat: Catalog, model: str) -> list[dict[str, Any]]:
    """Columns of a trained model's traces in the datasets of its mix; those that are there already stay as they are."""
    from catalog.access import check

    check(cat, "write", "trials")
    folder = folder_of(cat, model)
    facts = read_facts(folder)
    if facts["diverged"]:
        raise BadInput(f"proxy model {model} diverged: it is kept, its traces are not used")
    wanted = ProxyRecipe(**facts["recipe"]).milestones
    if not wanted:
        raise BadInput(f"{model} kept no traces at checkpoints; train with --param trajectory=N")
    held = [pq.read_table(folder / "trajectory" / f"{step:08d}.parquet") for step in wanted]
    datasets = dict.fromkeys(held[0].column("dataset_id").to_pylist())
    return [_publish(cat, model, facts, wanted, identity, held) for identity in datasets]


def _publish(
    cat: Catalog, model: str, facts: dict[str, Any], steps: list[int], identity: str, held: list[pa.Table]
) -> dict[str, Any]:
    values: dict[str, list[float]] = {}
    for table in held:
        mine = table.filter(pa.compute.equal(table.column("dataset_id"), identity))  # type: ignore[attr-defined]
        for name, loss in zip(mine.column("sample_id").to_pylist(), mine.column("loss").to_pylist(), strict=True):
            values.setdefault(name, []).append(loss)
    with cat.session() as session:
        dataset = session.get(Dataset, identity)
    assert dataset is not None
    body = {"model": model, "mix": facts["mix"], "lock": facts["lock"], "steps": steps}
    content = hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()
    fingerprint = digest_of([SCORER, body, content])
    alias = f"loss_trace_{model}".replace("-", "_").replace(".", "_")
    found = {"dataset": dataset.name, "column": alias, "rows": len(values), "steps": steps}
    if any(column.fingerprint == fingerprint for column in cat.columns(dataset.name)):
        return found
    physical, state = f"{SCORER}__{fingerprint[:8]}", f"{SCORER}__state__{fingerprint[:8]}"
    kind, measured = pa.list_(pa.float32(), len(steps)), {}
    fields = pa.schema([pa.field(physical, kind), pa.field(state, pa.uint8())])

    def change(head: Any, current: Dataset) -> Any:
        files = []
        for fragment in head.get_fragments():
            rows = fragment.to_table(columns=["sample_id"]).column("sample_id").to_pylist()
            traces = [_whole(values.get(name)) for name in rows]
            codes = [states.VALUE if trace else states.UNDEFINED for trace in traces]
            batch = pa.RecordBatch.from_arrays([pa.array(traces, kind), pa.array(codes, pa.uint8())], schema=fields)
            files.append(write_column_file(head.uri, cat.settings.storage, fields, [batch],
                                           fragment=fragment.fragment_id, lance_version=head.version))  # fmt: skip
        done = attach(cat, head, files, fields, dict.fromkeys(fields.names, state))
        measured.update(column_statistics(done, {physical: state}))
        return done

    run_id = new_id()

    def record(session: Any, current: Dataset) -> None:
        session.merge(Recipe(fingerprint=fingerprint, scorer=SCORER, body=body, base=fingerprint))
        column = ColumnRecord(
            dataset_id=current.id, alias=alias, physical=physical, state=state, fingerprint=fingerprint, scorer=SCORER,
            output=SCORER, type=str(kind), scope="population", population=facts["mix"], run_id=run_id,
        )  # fmt: skip
        keep_facts(column, measured[physical])
        session.add(column)
        session.add(Edge(run_id=run_id, verb="train", source=f"model:{model}", target=f"column:{fingerprint}",
                         counts={"rows": len(values)}, details={"recipe": body}))  # fmt: skip

    publish(cat, dataset.id, change, record)
    return found


def _whole(trace: list[float] | None) -> list[float] | None:
    """A trace without a gap; a row of one token or none has no loss."""
    return trace if trace is not None and bool(np.isfinite(trace).all()) else None
