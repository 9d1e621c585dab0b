"""Tokenise and pack a mix on the fly: sequences of one length, the same for any number of ranks and workers.

    packed = pack(cat.mix("sft@v1"), "tokenizer-folder", length=2048)
    for batch in packed.batches(8, rank=0, world=4): ...        # NumPy; packed.torch(8, workers=2) for a trainer
    packed.sequence(1000)

The global order is cut into windows of `window` indices. A window is tokenised and packed by itself (catalog.pull.packing),
so that what it holds depends on the lock, the tokenizer and the settings alone. How many sequences a window makes is known
only when its documents are tokenised; a place is therefore (window, offset in it), and going on costs one window, wherever
it is. Sequence k of the whole mix is found through the counts of the windows before it, which are kept in the home as they
become known (`$STRATA_HOME/packs`) and counted where they are not.

Every rank needs the lengths of all documents. Where the mix has a column of token counts made by this tokenizer, say
lengths="tokens": then a rank reads and tokenises only the documents of its own sequences. Else each tokenises all.

A retracted row keeps its place: it is served as padding, and no other sequence changes. A revision of the mix leaves the
windows before it as they were (catalog.pull.windows), so that a state of the old lock goes on in the new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput, Corrupt
from catalog.pull import packing
from catalog.pull.fetch import take_block
from catalog.pull.layout import Located, digest_of
from catalog.pull.packed import Counts, Packed, Place, assemble
from catalog.pull.packing import Plan
from catalog.pull.reader import MixReader
from catalog.pull.tokens import PinnedTokenizer, open_tokenizer
from catalog.pull.windows import Ancestor, lineage, origin

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.pull.chat import ChatTemplate

WINDOW = 1024
LAST = 1 << 62
"""An offset past every window."""


@dataclass(frozen=True)
class Window:
    """A packed window: which pieces make which sequence, and the tokens of the documents that were asked for."""

    number: int
    indices: np.ndarray
    part: np.ndarray
    epoch: np.ndarray
    live: np.ndarray
    plan: Plan
    tokens: list[np.ndarray | None]
    masks: list[np.ndarray | None]
    weights: np.ndarray | None = None


class PackedReader:
    """The sequences of a mix; see `pack`."""

    def __init__(
        self,
        reader: MixReader,
        tokenizer: PinnedTokenizer,
        length: int,
        window: int,
        long: str,
        lengths: str | None,
        chat: ChatTemplate | None,
        weights: str | None = None,
    ) -> None:
        self.weights, self.weighed = weights, reader.weighed(weights)
        self.reader, self.tokenizer, self.length, self.window = reader, tokenizer, length, window
        self.long, self.lengths, self.chat = long, lengths, chat
        self.fields = reader.sources.schema(chat.columns(reader) if chat else ["text"])
        self.counted = reader.sources.schema([lengths]) if lengths else None
        self.settings = {
            "algorithm": packing.ALGORITHM, "length": length, "window": window, "long": long, "end": tokenizer.end,
            "chat": chat.digest if chat else None,
        }  # fmt: skip
        self.bounds, self.ancestors = lineage(reader.lock, len(reader), window)
        self.windows = len(self.bounds)
        self.digest = self._digest(reader.digest)
        self._recent = lru_cache(maxsize=2)(self.open_window)

    def __repr__(self) -> str:
        return f"<{self.reader.ref} packed to {self.length}, {self.windows:,} windows of {self.window:,}>"

    def __reduce__(self) -> Any:
        return PackedReader, (
            self.reader, self.tokenizer, self.length, self.window, self.long, self.lengths, self.chat, self.weights,
        )  # fmt: skip

    def _digest(self, lock: str) -> str:
        """What identifies the sequences that these settings make of a lock."""
        return digest_of([lock, self.tokenizer.digest, self.settings])

    def open_window(self, number: int, wanted: range | None = None) -> Window:
        """Tokenise and pack one window; with lengths known, only the documents of sequences wanted.start, + step ...

        `wanted` counts offsets in the window.
        """
        indices = np.arange(*self.bounds.bounds(number))
        located = self.reader.layout.locate(indices)
        source = self.reader.sources.of_part[located.part]
        live = self.reader.sources.live(source, located.row)
        tokens: list[np.ndarray | None] = [None] * len(indices)
        masks: list[np.ndarray | None] = [None] * len(indices)
        held = origin(number, self.bounds, self.ancestors)
        key = f"pack|{self._digest(held.digest) if held else self.digest}|{number}"
        if self.counted is None:
            everything = np.arange(len(indices))
            self._fill(everything, located, source, tokens, masks)
            sizes = np.array([0 if found is None else len(found) for found in tokens], np.int64)
            plan = packing.plan(sizes, self.length, self.reader.layout.seed, key, self.long)
        else:
            sizes = self._sizes(located, source)
            plan = packing.plan(sizes, self.length, self.reader.layout.seed, key, self.long)
            mine = range(len(plan)) if wanted is None else range(wanted.start, len(plan), wanted.step)
            needed = [plan.doc[plan.pieces(sequence)] for sequence in mine]
            docs = np.unique(np.concatenate([*needed, np.empty(0, np.int64)]))
            docs = docs[live[docs]]
            self._fill(docs, located, source, tokens, masks)
            self._check_sizes(docs, indices, sizes, tokens)
        weights = self._weigh(indices, located, source, live) if self.weighed else None
        return Window(number, indices, located.part, located.epoch, live, plan, tokens, masks, weights)

    def _weigh(self, indices: np.ndarray, located: Located, source: np.ndarray, live: np.ndarray) -> np.ndarray:
        """The weight of each document; a retracted one is not served and weighs nothing."""
        weights, kept, sources = self.weighed, np.flatnonzero(live), self.reader.sources
        assert weights is not None
        rows = take_block(
            sources.tables,
            sources.names,
            source[kept],
            located.row[kept],
            weights.columns(sources),
            pa.schema(weights.fields()),
        )
        out = np.zeros(len(indices), np.float32)
        out[kept] = weights.of(rows, located.part[kept], indices[kept])
        return out

    def plan_window(self, number: int) -> int:
        """How many sequences a window makes; with lengths known no text is read."""
        if self.lengths:
            return len(self.open_window(number, range(LAST, LAST)).plan)
        return len(self._recent(number).plan)

    def _rows(self, docs: np.ndarray, located: Located, source: np.ndarray, schema: pa.Schema) -> pa.Table:
        sources = self.reader.sources
        names = sources.columns(schema.names)
        return take_block(sources.tables, sources.names, source[docs], located.row[docs], names, schema)

    def _fill(self, docs: np.ndarray, located: Located, source: np.ndarray, tokens: list, masks: list) -> None:
        """Tokenise these documents of a window into `tokens` and `masks`; retracted ones too, for their length."""
        rows = self._rows(docs, located, source, self.fields)
        if self.chat:
            for doc, (ids, mask) in zip(docs.tolist(), self.chat.encode(rows, self.tokenizer), strict=True):
                tokens[doc], masks[doc] = ids, mask
            return
        texts = rows.column("text").to_pylist()
        held = [at for at, text in enumerate(texts) if text]
        end = np.array([self.tokenizer.end], np.int32)
        for at, ids in zip(held, self.tokenizer.encode([texts[at] for at in held]), strict=True):
            tokens[int(docs[at])] = np.concatenate([ids, end])

    def _sizes(self, located: Located, source: np.ndarray) -> np.ndarray:
        """Tokens of each document with its end, from the column; where that is empty, by tokenising."""
        every = np.arange(len(source))
        assert self.counted is not None
        held = self._rows(every, located, source, self.counted).column(0).combine_chunks()
        known = held.is_valid().to_numpy(zero_copy_only=False)
        sizes = held.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        sizes = np.where(sizes > 0, sizes + 1, 0)
        if not known.all():
            tokens: list[np.ndarray | None] = [None] * len(source)
            self._fill(every[~known], located, source, tokens, [None] * len(source))
            for doc in every[~known].tolist():
                found = tokens[doc]
                sizes[doc] = 0 if found is None else len(found)
        return sizes

    def _check_sizes(self, docs: np.ndarray, indices: np.ndarray, sizes: np.ndarray, tokens: list) -> None:
        for doc in docs.tolist():
            found = 0 if tokens[doc] is None else len(tokens[doc])
            if found != sizes[doc]:
                raise BadInput(
                    f"column {self.lengths} says {sizes[doc] - 1} tokens at index {indices[doc]}, this tokenizer makes "
                    f"{found - 1}: score token_count with the tokenizer that packs, or leave `lengths` out"
                )

    def stream(self, place: Place, *, rank: int = 0, world: int = 1) -> Iterator[tuple[int, Window]]:
        """(sequence number of its first, window), from the window of `place` on; the next one is made meanwhile."""
        first = place.sequence - place.offset

        def make(number: int, begins: int | None) -> Window:
            if begins is None or not self.lengths:
                return self.open_window(number)
            return self.open_window(number, range((rank - begins) % world, LAST, world))

        with ThreadPoolExecutor(1, thread_name_prefix="strata-pack") as pool:
            if self.lengths:  # where the next window begins is known only when this one is planned
                for number in range(place.window, self.windows):
                    window = pool.submit(make, number, first).result()
                    yield first, window
                    first += len(window.plan)
                return
            waiting = pool.submit(make, place.window, None) if place.window < self.windows else None
            number = place.window
            while waiting is not None:
                window = waiting.result()
                number += 1
                waiting = pool.submit(make, number, None) if number < self.windows else None
                yield first, window
                first += len(window.plan)

    def batches(
        self, batch_size: int, *, rank: int = 0, world: int = 1, place: Place | None = None, drop_last: bool = False
    ) -> Iterator[tuple[Packed, Place]]:
        """One batch a step with the place after it; step s covers batch_size * world consecutive sequences.

        Rank r takes the sequences k with k % world == r.
        """
        place = place or Place(0, 0, 0)
        return self.cut(self.stream(place, rank=rank, world=world), batch_size, rank, world, place, drop_last)

    def cut(
        self,
        windows: Iterator[tuple[int, Window]],
        batch_size: int,
        rank: int,
        world: int,
        place: Place,
        drop_last: bool = False,
    ) -> Iterator[tuple[Packed, Place]]:
        """Batches of one rank from windows in order."""
        if world < 1 or not 0 <= rank < world:
            raise BadInput(f"rank {rank} of {world}: ranks count from 0 to world - 1")
        if batch_size < 1:
            raise BadInput(f"a batch of {batch_size} sequences is empty; give at least 1")
        span, held, following = batch_size * world, [], place.sequence + batch_size * world
        at = place
        for first, window in windows:
            self.remember(window.number, len(window.plan))
            begin = place.offset if window.number == place.window else 0
            if begin > len(window.plan):
                raise Corrupt(
                    f"the state names offset {begin} of window {place.window}, which makes {len(window.plan)}"
                )
            for offset in range(begin, len(window.plan)):
                number = first + offset
                if number % world == rank:
                    held.append((number, window, offset))
                at = Place(window.number, offset + 1, number + 1)
                if number + 1 == following:
                    yield assemble(self, held), at
                    held, following = [], following + span
        if at.sequence > following - span and not drop_last:
            yield assemble(self, held), at

    # -- sequence k of the whole mix ---------------------------------------------------------------------------------

    def remember(self, window: int, count: int) -> None:
        """Keep how many sequences a window makes; a home that cannot be written keeps nothing."""
        self._counts.put(window, count)

    @cached_property
    def _counts(self) -> Counts:
        """Counts that are known; windows that a lock before this one has too were counted for it."""
        counts = Counts(self._counts_file(self.digest), self.windows)
        for held in self.ancestors:
            counts.take(self._counts_file(self._digest(held.digest)), held.windows.before(held.same))
        return counts

    def _counts_file(self, digest: str) -> Path:
        return self.reader.settings.home / "packs" / f"{digest[:32]}.counts"

    def find(self, sequence: int) -> Place:
        """The place of sequence k. Windows before it that nobody counted yet are tokenised (or read by length) now."""
        if sequence < 0:
            raise BadInput(f"sequence {sequence} is negative")
        counts = self._counts
        while (window := counts.window_of(sequence)) is None:
            if counts.ready == self.windows:
                if sequence == counts.first[-1]:
                    return Place(self.windows, 0, sequence)
                raise BadInput(
                    f"sequence {sequence} is outside {self.reader.ref}, which packs to {counts.first[-1]} sequences"
                )
            counts.put(counts.ready, self.plan_window(counts.ready))
        return Place(window, sequence - int(counts.first[window]), sequence)

    def count(self) -> int:
        """Sequences of the whole mix; counts what is not counted yet."""
        counts = self._counts
        while (window := counts.extend()) < self.windows:
            counts.put(window, self.plan_window(window))
        return int(counts.first[-1])

    def sequence(self, number: int) -> Packed:
        """One sequence, by its number."""
        place = self.find(number)
        if place.window >= self.windows:
            raise BadInput(f"sequence {number} is outside {self.reader.ref}, which packs to {number} sequences")
        return assemble(self, [(number, self._recent(place.window), place.offset)])

    # -- state -------------------------------------------------------------------------------------------------------

    def state(self, place: Place) -> dict[str, Any]:
        """What a checkpoint keeps: the lock, the tokenizer, the settings, and three integers."""
        return {
            "lock": self.reader.digest, "tokenizer": self.tokenizer.digest, "packing": self.digest,
            "window": place.window, "offset": place.offset, "sequence": place.sequence,
        }  # fmt: skip

    def place_of(self, state: Any) -> Place:
        """The place a state names; `BadInput` when it belongs to another mix, tokenizer or setting."""
        numbers = ("window", "offset", "sequence")
        if not isinstance(state, dict) or set(state) != {"lock", "tokenizer", "packing", *numbers}:
            raise BadInput("this is not the state of a packed loader: it lacks lock, tokenizer, packing or the place")
        if not all(isinstance(state[name], int) and state[name] >= 0 for name in numbers):
            raise BadInput("the state of a packed loader counts window, offset and sequence from 0")
        before = next((held for held in self.ancestors if held.digest == state["lock"]), None)
        own = before.digest if before else self.reader.digest
        for name, expected, remedy in (
            ("lock", own, "open the mix the run was started with"),
            ("tokenizer", self.tokenizer.digest, "open the tokenizer.json the run was started with"),
            ("packing", self._digest(own), "pack with the length, window, long, end and template of the run"),
        ):
            if state[name] != expected:
                raise BadInput(f"the state has {name} {str(state[name])[:12]}, here it is {expected[:12]}; {remedy}")
        place = Place(*(state[name] for name in numbers))
        held = before.windows if before else self.bounds
        if place.window > len(held):
            raise Corrupt(f"the state names window {place.window}, its mix has {len(held)}")
        if before:
            self._check_revision(before, place)
        return place

    def _check_revision(self, before: Ancestor, place: Place) -> None:
        """A place of the mix that this one revises is one here when the windows up to it are the same."""
        begin, end = before.windows.bounds(place.window)
        needed = end if place.offset else begin
        if needed > before.same:
            raise BadInput(
                f"the state of {before.ref} needs the documents up to index {needed} as they were packed, and "
                f"{self.reader.ref} changed what comes after index {before.same}; revise at {needed} or later, or load a "
                "state from before"
            )

    def revisable(self, state: dict[str, Any]) -> int:
        """The first index at which the mix may be revised so that this state goes on in the revision."""
        place = self.place_of(state)
        begin, end = self.bounds.bounds(place.window)
        return end if place.offset else begin

    def torch(self, batch_size: int, *, rank: int = 0, world: int = 1, workers: int = 0, **options: Any) -> Any:
        """A resumable torch loader; see catalog.pull.pytorch_packed.PackedLoader."""
        return import_module("catalog.pull.pytorch_packed").PackedLoader(
            self, batch_size, rank, world, workers, **options
        )


def pack(
    reader: MixReader,
    tokenizer: str | Path | PinnedTokenizer,
    length: int,
    *,
    window: int = WINDOW,
    long: str | None = None,
    lengths: str | None = None,
    chat: ChatTemplate | str | bool | None = None,
    end: str | int | None = None,
    pad: str | int | None = None,
    pinned: str | None = None,
    weights: str | None = None,
) -> PackedReader:
    """Pack a mix into sequences of `length` tokens.

    tokenizer: a tokenizer.json, its folder, or one that is open. pinned: the digest it must have. window: indices that
    are packed together. long: what happens to documents longer than a sequence: split (default), cut (default for chats)
    or drop. lengths: column of token counts by this tokenizer. chat: a template (True: the tokenizer's own); then
    `messages` are packed and the loss covers the assistant's tokens. end, pad: tokens after a document and in empty places.
    weights: a column that weighs the samples, else the lock's (see catalog.pull.weights); it moves no sequence.
    """
    held = open_tokenizer(tokenizer, end=end, pad=pad)
    if "selection" in reader.lock:
        raise BadInput(f"{reader.ref} has no lock to pack; publish a mix of it")
    if pinned is not None and held.digest != pinned:
        raise BadInput(f"tokenizer {held.path} has digest {held.digest[:12]}, pinned is {pinned[:12]}; open that one")
    if length < 2:
        raise BadInput(f"a sequence of {length} tokens predicts nothing; give at least 2")
    if window < 1:
        raise BadInput(f"a window of {window} indices is empty; give at least 1")
    template = None
    if chat:
        from catalog.pull.chat import open_template

        template = open_template(held if chat is True else chat, held)
        if lengths:
            raise BadInput("lengths counts the tokens of `text`; chats are tokenised by their template: leave it out")
    long = long or ("cut" if template else "split")
    if long not in packing.LONG:
        raise BadInput(f"long is one of {', '.join(packing.LONG)}, not {long!r}")
    return PackedReader(reader, held, length, window, long, lengths, template, weights)


def shares(packed: PackedReader, windows: Sequence[int]) -> dict[str, float]:
    """How full the sequences of some windows are, and how many documents were cut."""
    used = total = whole = docs = 0
    for number in windows:
        found = packed.open_window(number).plan
        used, total = used + int(found.length.sum()), total + len(found) * packed.length
        docs += len(np.unique(found.doc))
        whole += int((np.bincount(found.doc) == 1).sum()) if len(found.doc) else 0
    return {"fill": used / max(1, total), "uncut": whole / max(1, docs)}
