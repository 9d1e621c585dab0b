"""Small real stores for tests and for authors of plug-ins: no fakes, only little data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from catalog.catalog import Catalog

WORDS = (
    "the quick brown fox jumps over a lazy dog while seven wise owls watch from an old oak and count every star "
    "that falls into the quiet river near our village where people trade bread salt and stories each morning"
).split()


def sentences(count: int, seed: int = 0, low: int = 12, high: int = 60) -> list[str]:
    """Distinct, deterministic English-like texts of `low` to `high` words."""
    import random

    rng = random.Random(seed)
    texts = []
    for number in range(count):
        words = [rng.choice(WORDS) for _ in range(rng.randint(low, high))]
        texts.append(" ".join(words).capitalize() + f". Item {number} of series {seed}.")
    return texts


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]] | Sequence[str]) -> Path:
    """Rows, or texts as {"text": ...}, one JSON object a line."""
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps({"text": row} if isinstance(row, str) else row) + b"\n")
    return path


def text_dataset(
    cat: Catalog, folder: Path, name: str, texts: Sequence[str] | Sequence[dict[str, Any]], **options: Any
) -> str:
    """Ingest texts under a name; returns the name."""
    cat.ingest([write_jsonl(folder / f"{name}.jsonl", texts)], name, **options)
    return name


def errors_of(cat: Catalog, *, deep: bool = True) -> list[str]:
    """What `strata doctor` would call an error; empty when the catalog is whole."""
    return [f"{f.object}: {f.message}" for f in cat.doctor(deep=deep) if f.level == "error"]


def append_texts(cat: Catalog, name: str, texts: Sequence[str], *, fragments: int = 1, **facts: Any) -> str:
    """Publish texts as the next version of a dataset of kind text, through the store alone; returns the reference."""
    import numpy as np
    import pyarrow as pa

    from catalog.digests import content_id
    from catalog.meta.models import Version
    from catalog.schema import sample_schema
    from catalog.store import write_fragment
    from catalog.store.publish import publish
    from catalog.store.rows import append_fragments
    from catalog.versions import version_facts

    dataset = cat.find(name) or cat.create_dataset(name, kind="text", tier="L0", **facts)
    schema, number, start = sample_schema("text"), dataset.head + 1, dataset.rows + dataset.removed
    ids = [content_id("text", {"text": text}) for text in texts]
    columns = {field.name: pa.nulls(len(texts), field.type) for field in schema} | {
        "sample_id": pa.array([content_id("text", {"text": f"{name} {start + i}"}) for i in range(len(texts))]),
        "content_id": pa.array(ids),
        "text": pa.array(texts, pa.string()),
        "source": pa.array([name] * len(texts)),
        "added": pa.array(np.full(len(texts), number), pa.int32()),
    }
    whole = pa.RecordBatch.from_pydict(columns, schema=schema)
    step = -(-len(texts) // fragments)
    written = [
        write_fragment(cat.table_uri(dataset), cat.settings.storage, schema, [whole.slice(at, step)])
        for at in range(0, len(texts), step)
    ]
    made: list[dict[str, Any]] = []

    def change(table: Any, current: Any) -> Any:
        done = append_fragments(cat, table, written)
        made.append(version_facts(done))
        return done

    def record(session: Any, current: Any) -> None:
        facts = made[0]
        session.add(
            Version(
                dataset_id=current.id,
                number=number,
                digest=facts["digest"],
                rows=facts["rows"],
                added=len(texts),
                statistics=facts["statistics"],
            )
        )
        current.head, current.rows = number, facts["rows"]
        session.add(current)

    publish(cat, dataset.id, change, record)
    return f"{name}@v{number}"


def attach_columns(cat: Catalog, name: str, columns: Any, *, scorer: str = "test", states: Any = None) -> None:
    """Publish computed columns without a scorer: alias -> values, one for each physical row in table order.

    states: codes of `catalog.states`, null where nothing was computed; all values count as computed without it.
    """
    from hashlib import sha256

    import pyarrow as pa

    from catalog.meta.models import ColumnRecord
    from catalog.statistics import column_statistics, keep_facts
    from catalog.store import write_column_file
    from catalog.store.columns import attach
    from catalog.store.publish import publish

    mark = sha256(f"{scorer} {sorted(columns)}".encode()).hexdigest()
    state = f"{scorer}__state__{mark[:8]}"
    physical = {alias: f"{alias}__{mark[:8]}" for alias in columns}
    arrays = {
        physical[alias]: values if isinstance(values, pa.Array) else pa.array(values)
        for alias, values in columns.items()
    }
    rows = len(next(iter(arrays.values())))
    arrays[state] = pa.array([1] * rows if states is None else states, pa.uint8())
    whole, measured = pa.table(arrays), {}

    def change(table: Any, current: Any) -> Any:
        files, at = [], 0
        for part in table.get_fragments():
            piece = whole.slice(at, part.metadata.physical_rows)
            at += piece.num_rows
            files.append(
                write_column_file(
                    cat.table_uri(current),
                    cat.settings.storage,
                    whole.schema,
                    piece.to_batches(),
                    fragment=part.fragment_id,
                    lance_version=table.version,
                )
            )
        done = attach(cat, table, files, whole.schema, dict.fromkeys(whole.schema.names, state))
        measured.update(column_statistics(done, dict.fromkeys(physical.values(), state)))
        return done

    def record(session: Any, current: Any) -> None:
        for alias, held in physical.items():
            column = ColumnRecord(
                dataset_id=current.id,
                alias=alias,
                physical=held,
                state=state,
                fingerprint=mark,
                scorer=scorer,
                output=alias,
                type=str(whole.schema.field(held).type),
            )
            keep_facts(column, measured[held])
            session.add(column)

    publish(cat, cat.resolve(name).dataset.id, change, record)


def tiny_tokenizer(folder: Path, special: Sequence[str] = ("<s>", "</s>"), size: int = 400, **named: Any) -> Path:
    """Train a byte-level BPE and save it as models keep theirs; named: eos_token="</s>", chat_template="..." and so on."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(sentences(200), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    body = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", **named}
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps(body))
    return folder
