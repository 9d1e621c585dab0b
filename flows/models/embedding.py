"""Sentence vectors: the last hidden states of the real tokens pooled into one vector, scaled to length one.

mean      their mean (Reimers and Gurevych 2019, arXiv:1908.10084)
weighted  their mean weighted by position, 1, 2, ... (Muennighoff 2022, SGPT, arXiv:2202.08904; RDS+, arXiv:2503.01807)
cls       the first token's
last      the last token's
max       the largest value of each dimension over the tokens (Reimers and Gurevych 2019)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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
    pooling: str = "mean",
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
            vectors[chosen] = _embed_batch(encoder, [ids[i] for i in chosen], pooling)
            tick(len(group))
    return vectors, valid


def _embed_batch(encoder: Encoder, ids: list[list[int]], pooling: str) -> np.ndarray:
    import torch

    width = len(ids[0])
    padded = torch.zeros((len(ids), width), dtype=torch.long)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, sequence in enumerate(ids):
        padded[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    padded, mask = padded.to(encoder.device), mask.to(encoder.device)
    hidden = encoder.model(input_ids=padded, attention_mask=mask).last_hidden_state.float()
    return torch.nn.functional.normalize(_pool(hidden, mask, pooling), dim=1).cpu().numpy()


def _pool(hidden: Any, mask: Any, pooling: str) -> Any:
    """One vector a row; real tokens come first."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[range(len(hidden)), mask.sum(1) - 1]
    if pooling == "max":
        return hidden.masked_fill(mask[..., None] == 0, float("-inf")).amax(1)
    weights = mask.float() if pooling == "mean" else mask.cumsum(1).float() * mask
    return (hidden * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
