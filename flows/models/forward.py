"""The one forward pass behind perplexity, bits per byte, Min-K% and IFD: sums over the predicted tokens of a sequence.

Sequences are sorted by length and padded on the right up to a token budget. In a causal model a position sees only
what is left of it, so that padding on the right changes no counted value and no mask is needed, which leaves the fast
causal attention path open. The last token is never an input. Logits are made for counted positions only, a chunk at a
time (a 49,152-word vocabulary takes 100 MB per 512 positions in float32), always in float32; sums are float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.models.tokens import batches_by_length

if TYPE_CHECKING:
    import torch

    from flows.models.loading import LanguageModel

BUDGET = {"cpu": 512, "cuda": 32768}
"""Padded tokens a batch. On a CPU small batches keep activations near the cache: 512 ran 30 % faster than 4,096."""
HEAD_ROWS = {"cpu": 512, "cuda": 4096}
"""Positions whose logits are made at once."""
STATISTIC_ROWS = {"cpu": 16, "cuda": 4096}
"""Positions reduced at once: on a CPU 16 rows of logits (3 MB) pass five times through the cache, not through memory."""
WHOLE_LOGITS = 2**28
"""Logits a batch at most, for a model that must make them all at once."""
LOWEST_SHARE = 0.2
"""Share of tokens in the Min-K% mean; 20 % is the published choice."""


@dataclass(frozen=True)
class Piece:
    """A token sequence; tokens from index `start` (at least 1) to the end are predicted and counted."""

    ids: Sequence[int]
    start: int


@dataclass(frozen=True)
class Sums:
    """Per piece: summed negative log-likelihood (nats), counted tokens, summed entropy, mean lowest log-prob."""

    nll: np.ndarray
    tokens: np.ndarray
    entropy: np.ndarray
    lowest: np.ndarray


def forward_sums(
    lm: LanguageModel,
    pieces: Sequence[Piece],
    *,
    budget: int | None = None,
    tick: Callable[[int], None] = lambda rows: None,
) -> Sums:
    """One pass over all pieces; every piece must count at least one token. `tick` gets the pieces done in a batch."""
    import torch

    kind = lm.device.partition(":")[0]
    size = budget or BUDGET[kind]
    if not lm.split:
        size = min(size, max(1, WHOLE_LOGITS // lm.model.config.vocab_size))
    n = len(pieces)
    sums = Sums(np.zeros(n), np.zeros(n, np.int64), np.zeros(n), np.zeros(n))
    with torch.inference_mode():
        for group in batches_by_length([len(piece.ids) - 1 for piece in pieces], size):
            _forward_batch(lm, [pieces[i] for i in group], np.asarray(group), sums)
            tick(len(group))
    return sums


def _forward_batch(lm: LanguageModel, pieces: Sequence[Piece], rows: np.ndarray, sums: Sums) -> None:
    """Fill `sums` at `rows` from one padded batch."""
    import torch

    width = len(pieces[0].ids) - 1
    ids = np.zeros((len(pieces), width), np.int64)
    for row, piece in enumerate(pieces):
        ids[row, : len(piece.ids) - 1] = piece.ids[:-1]
    counts = np.array([len(piece.ids) - piece.start for piece in pieces])
    spots = np.concatenate([row * width + np.arange(p.start - 1, len(p.ids) - 1) for row, p in enumerate(pieces)])
    targets = np.concatenate([np.asarray(piece.ids[piece.start :]) for piece in pieces])
    logits_of = _logits(lm, torch.from_numpy(ids).to(lm.device), torch.from_numpy(spots).to(lm.device))
    nll, entropy = _reduce(logits_of, torch.from_numpy(targets).to(lm.device))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums.tokens[rows] = counts
    sums.nll[rows] = np.add.reduceat(nll, starts)
    sums.entropy[rows] = np.add.reduceat(entropy, starts)
    sums.lowest[rows] = [_lowest_mean(-nll[at : at + count]) for at, count in zip(starts, counts, strict=True)]


def _reduce(logits_of: Callable[[int, int], torch.Tensor], targets: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Negative log-likelihood and entropy of every counted position, chunk by chunk, as float64."""
    import torch

    kind, parts = targets.device.type, []
    step = STATISTIC_ROWS[kind]
    for start in range(0, len(targets), HEAD_ROWS[kind]):
        logits = logits_of(start, start + HEAD_ROWS[kind])
        wanted = targets[start : start + len(logits)]
        parts += [token_statistics(logits[i : i + step], wanted[i : i + step]) for i in range(0, len(logits), step)]
    nll, entropy = (torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True))
    return nll, entropy


def _logits(lm: LanguageModel, ids: torch.Tensor, spots: torch.Tensor) -> Callable[[int, int], Any]:
    """A function that gives float32 logits of the counted positions [from, to)."""
    if lm.split:
        hidden = lm.model.base_model(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1)[spots]
        head = lm.model.get_output_embeddings()
        return lambda start, end: head(hidden[start:end]).float()
    logits = lm.model(input_ids=ids, use_cache=False).logits.flatten(0, 1)[spots]
    return lambda start, end: logits[start:end].float().clone()


def token_statistics(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative log-likelihood and entropy (nats) of each row. Overwrites `logits`: memory traffic is the cost."""
    import torch

    logits -= logits.amax(-1, keepdim=True)
    chosen = logits.gather(-1, targets[:, None])[:, 0]
    weights = logits.exp()
    total = weights.sum(-1)
    log_total = total.log()
    return log_total - chosen, log_total - torch.linalg.vecdot(weights, logits) / total


def _lowest_mean(log_probs: np.ndarray) -> float:
    """Mean of the lowest 20 % of log-probabilities (at least one token)."""
    k = max(1, int(len(log_probs) * LOWEST_SHARE))
    return float(np.partition(log_probs, k - 1)[:k].mean())
