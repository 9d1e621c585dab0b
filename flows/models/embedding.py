"""Sentence vectors: mean of the last hidden states over real tokens, scaled to length one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from flows.models.tokens import batches_by_length, encode_heads

if TYPE_CHECKING:
    from flows.models.loading import Encoder

BUDGET = {"cpu": 4096, "cuda": 65536}
"""Padded tokens a batch."""


def embed_texts(
    encoder: Encoder,
    texts: Sequence[str],
    max_tokens: int = 256,
    *,
    tick: Callable[[int], None] = lambda rows: None,
) -> tuple[np.ndarray, np.ndarray]:
    """(vectors float32 [n, dimensions], valid bool [n]). A text without a single token has no vector: zeros, not valid.

    `max_tokens` counts the special tokens, as the reference implementation does; the rest of a text is not read.
    """
    import torch

    inner = max_tokens - len(encoder.prefix) - len(encoder.suffix)
    encodings = encode_heads(encoder.tokenizer, texts, inner) if len(texts) else []
    valid = np.array([len(encoding.ids) > 0 for encoding in encodings], bool)
    ids = [[*encoder.prefix, *encoding.ids[:inner], *encoder.suffix] for encoding in encodings]
    vectors = np.zeros((len(texts), encoder.dimensions), np.float32)
    rows = np.flatnonzero(valid)
    with torch.inference_mode():
        for group in batches_by_length([len(ids[i]) for i in rows], BUDGET[encoder.device.partition(":")[0]]):
            chosen = rows[group]
            vectors[chosen] = _embed_batch(encoder, [ids[i] for i in chosen])
            tick(len(group))
    return vectors, valid


def _embed_batch(encoder: Encoder, ids: list[list[int]]) -> np.ndarray:
    import torch

    width = len(ids[0])
    padded = torch.zeros((len(ids), width), dtype=torch.long)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, sequence in enumerate(ids):
        padded[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    padded, mask = padded.to(encoder.device), mask.to(encoder.device)
    hidden = encoder.model(input_ids=padded, attention_mask=mask).last_hidden_state.float()
    weights = mask[..., None].float()
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
