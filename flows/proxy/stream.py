"""Tokens of a mix in the order of its lock, and the rows that no proxy run is ever trained on.

The split is declared, not stored: a row is held out when its content id, a hash of its content, is below a bound. The
same content is on the same side in every dataset, mix and catalog. Designs write the split into the filters of their
mixes, so that locks do not serve held-out rows; of any other lock the stream leaves them out and counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from catalog.mixes.spec import Part, part_name
from flows.proxy.recipe import Held, Recipe

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.pull.reader import MixReader

BYTES = 256
"""End of a document in the vocabulary of bytes."""


def bound_of(share: float) -> str:
    """Content ids below this are held out: the first eight hex digits of the share."""
    return f"{min(int(share * 2**32), 2**32 - 1):08x}"


def clause(share: float) -> str:
    """The filter of rows that may be trained on."""
    return f"content_id >= '{bound_of(share)}'"


def trained_on(where: str | None, share: float) -> str:
    """A part's filter with the split."""
    if where and clause(share) in where:
        return where
    return f"({where}) AND {clause(share)}" if where else clause(share)


def held_out(where: str | None, share: float) -> str:
    """The filter of the held-out rows of a part, whether its own filter names the split or not."""
    other = f"content_id < '{bound_of(share)}'"
    if not where:
        return other
    return where.replace(clause(share), other) if clause(share) in where else f"({where}) AND {other}"


@dataclass(frozen=True)
class Tokens:
    """A tokenizer as the laboratory needs it. end: token after every document."""

    name: str
    vocabulary: int
    end: int
    encode: Callable[[list[str]], list[np.ndarray]]


def load_tokens(name: str) -> Tokens:
    """Bytes of UTF-8 and one more token, or a tokenizer by name."""
    if name == "bytes":
        return Tokens(name, BYTES + 1, BYTES, lambda texts: [
            np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts
        ])  # fmt: skip
    from flows.models import load_tokenizer

    held = load_tokenizer(name)
    size = held.get_vocab_size()  # the end of a document is one token more: names of the end differ by model
    return Tokens(name, size + 1, size, lambda texts: [
        np.array(found.ids, np.int32) for found in held.encode_batch_fast(texts, add_special_tokens=False)
    ])  # fmt: skip


@dataclass
class Stream:
    """Windows of tokens from a mix. State: the next index, and the tokens read but not yet given.

    A run begins at an index that depends on its seed and goes on from the beginning after the end, so that seeds differ
    in order too; `whole` locks (with stages) are read from index 0. skipped: held-out rows that were left out.
    """

    reader: MixReader
    tokens: Tokens
    bound: str
    begin: int
    done: int = 0
    skipped: int = 0
    ids: np.ndarray = None  # type: ignore[assignment]
    part: np.ndarray = None  # type: ignore[assignment]
    index: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        empty = np.zeros(0, np.int32)
        self.ids, self.part, self.index = empty, empty.copy(), np.zeros(0, np.int64)

    def state(self) -> dict[str, Any]:
        return {"done": self.done, "skipped": self.skipped, "ids": self.ids, "part": self.part, "index": self.index}

    def load(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next tokens, the part (number in the spec) and the global index that each comes from."""
        while len(self.ids) < count:
            self._read()
        found = self.ids[:count], self.part[:count], self.index[:count]
        self.ids, self.part, self.index = self.ids[count:], self.part[count:], self.index[count:]
        return found

    def _read(self, rows: int = 64) -> None:
        size = len(self.reader)
        if self.done >= size:
            raise BadInput(
                f"mix {self.reader.ref} is used up before the token budget of the run; raise the mix's total or max_epochs, "
                "or lower --tokens"
            )
        at = np.arange(self.done, min(self.done + rows, size), dtype=np.int64)
        self.done = int(at[-1]) + 1
        batch = self.reader.take((at + self.begin) % size, ["content_id", "text"])
        keep = [i for i, held in enumerate(batch.column("content_id").to_pylist()) if held >= self.bound]
        self.skipped += batch.num_rows - len(keep)
        texts = batch.column("text").to_pylist()
        found = self.tokens.encode([texts[i] or "" for i in keep])
        parts, indices = batch.column("_part").to_numpy(), batch.column("_index").to_numpy()
        ids = [self.ids]
        for document in found:
            ids += [document, np.array([self.tokens.end], np.int32)]
        lengths = [len(document) + 1 for document in found]
        self.ids = np.concatenate(ids)
        self.part = np.concatenate([self.part, np.repeat(parts[keep], lengths).astype(np.int32)])
        self.index = np.concatenate([self.index, np.repeat(indices[keep], lengths)])


def open_stream(cat: Catalog, mix: str, recipe: Recipe, tokens: Tokens) -> Stream:
    """The training tokens of a mix."""
    reader = cat.mix(mix)
    staged = bool(reader.lock["spec"].get("stages"))
    begin = 0 if staged or not recipe.seed else recipe.seed * 2_654_435_761 % len(reader)
    return Stream(reader, tokens, bound_of(recipe.held_out), begin)


def validation_of(lock: dict[str, Any]) -> list[Held]:
    """The parts of a lock as sets to measure, at their pinned versions."""
    found = []
    for written, held in zip(lock["spec"]["parts"], lock["parts"], strict=True):
        ref = f"{held['dataset']}@v{held['version']}"
        found.append(Held(name=part_name(Part(**written)), dataset=ref, where=held["where"] or None))
    return found


def validation_windows(cat: Catalog, held: Held, recipe: Recipe, tokens: Tokens) -> np.ndarray:
    """(windows, context) tokens of the held-out rows, in the order of their content ids; each content once."""
    rows: dict[str, str] = {}
    for batch in _held_rows(cat, held, recipe):
        rows.update(zip(batch.column("content_id").to_pylist(), batch.column("text").to_pylist(), strict=True))
    ids: list[np.ndarray] = []
    most = max(recipe.validation_tokens, recipe.context)
    for key in sorted(rows):
        ids += [*tokens.encode([rows[key] or ""]), np.array([tokens.end], np.int32)]
        if sum(map(len, ids)) >= most:
            break
    whole = np.concatenate(ids) if ids else np.zeros(0, np.int32)
    count = min(len(whole), most) // recipe.context
    if not count:
        raise BadInput(
            f"{held.name} has {len(rows)} held-out rows with {len(whole)} tokens, less than one sequence of {recipe.context}; "
            "raise held_out or lower the context"
        )
    return whole[: count * recipe.context].reshape(count, recipe.context)


def _held_rows(cat: Catalog, held: Held, recipe: Recipe) -> Iterator[Any]:
    where = held_out(held.where, recipe.held_out)
    yield from cat.scan(held.dataset, ["content_id", "text"], where=where, missing="keep")
