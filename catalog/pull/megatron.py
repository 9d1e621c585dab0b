"""The exact hand-off to Megatron: a dataset whose item k is packed sequence k of a mix.

    sequences = MegatronSequences(pack(cat.mix("pretrain@v1"), "tokenizer-folder", length=4097))
    sampler = MegatronPretrainingSampler(total_samples=len(sequences), consumed_samples=consumed, ...)

Megatron's own samplers number the samples of a run from 0, and a resume starts at `consumed_samples`; so item k being the
same whatever the number of ranks, a run goes on exactly, also with another data-parallel size or micro batch. Items are
what its GPTDataset gives with reset positions and the loss masked after a document's end, but never cut from another
document, and as NumPy arrays, which the default collation turns into tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.errors import BadInput
from catalog.pull.pack import PackedReader
from catalog.pull.packed import IGNORED


class MegatronSequences:
    """Map-style dataset over packed sequences of length + 1 tokens.

    samples: how many the run will train on; without it all windows are counted first, which tokenises those that were
    never counted. attention_mask: add the (1, length, length) mask, True where a token must not look.
    """

    def __init__(self, packed: PackedReader, *, samples: int | None = None, attention_mask: bool = False) -> None:
        if samples is not None and samples < 1:
            raise BadInput(f"a run of {samples} samples trains on nothing; give at least 1")
        self.packed, self.attention_mask = packed, attention_mask
        self.samples = packed.count() if samples is None else samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not 0 <= number < self.samples:
            raise IndexError(number)
        found = self.packed.sequence(number)
        labels, documents = found.labels[0, 1:], found.documents[0]
        kept = (labels != IGNORED).astype(np.float32)
        kept = kept if found.weights is None else kept * found.weights[0, 1:]
        item = {
            "tokens": found.input_ids[0, :-1].copy(),
            "labels": found.input_ids[0, 1:].copy(),
            "loss_mask": kept,
            "position_ids": found.positions[0, :-1].copy(),
        }
        if self.attention_mask:
            own = documents[:-1]
            seen = (own[:, None] == own[None, :]) & np.tri(len(own), dtype=bool)
            item["attention_mask"] = ~seen[None]
        return item
