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
