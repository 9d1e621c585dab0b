"""Surprisal of every predicted token, where sums over a text do not do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from flows.models.forward import BUDGET, WHOLE_LOGITS, Piece, _logits, _reduce
from flows.models.tokens import batches_by_length

if TYPE_CHECKING:
    from flows.models.loading import LanguageModel


def token_surprisals(
    lm: LanguageModel, pieces: Sequence[Piece], *, tick: Callable[[int], None] = lambda rows: None
) -> list[np.ndarray]:
    """Negative log-likelihoods (nats, float64) of the counted tokens of each piece, in order."""
    import torch

    size = BUDGET[lm.device.partition(":")[0]]
    if not lm.split:
        size = min(size, max(1, WHOLE_LOGITS // lm.model.config.vocab_size))
    found: list[np.ndarray] = [np.empty(0)] * len(pieces)
    with torch.inference_mode():
        for group in batches_by_length([len(piece.ids) - 1 for piece in pieces], size):
            held = [pieces[i] for i in group]
            width = len(held[0].ids) - 1
            ids = np.zeros((len(held), width), np.int64)
            for row, piece in enumerate(held):
                ids[row, : len(piece.ids) - 1] = piece.ids[:-1]
            spots = np.concatenate([row * width + np.arange(p.start - 1, len(p.ids) - 1) for row, p in enumerate(held)])
            targets = torch.from_numpy(np.concatenate([np.asarray(piece.ids[piece.start :]) for piece in held]))
            logits_of = _logits(lm, torch.from_numpy(ids).to(lm.device), torch.from_numpy(spots).to(lm.device))
            nll = _reduce(logits_of, targets.to(lm.device))[0]
            ends = np.cumsum([len(piece.ids) - piece.start for piece in held])
            for place, part in zip(group, np.split(nll, ends[:-1]), strict=True):
                found[place] = part
            tick(len(group))
    return found
