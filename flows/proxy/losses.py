"""What a proxy model loses: of a token, a document, a held-out set; and when a run has gone wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def token_losses(model: Any, inputs: Any) -> Any:
    """(sequences, context - 1) losses of the next token."""
    import torch

    logits = model(input_ids=inputs, use_cache=False).logits[:, :-1].float()
    flat = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), inputs[:, 1:].reshape(-1), reduction="none"
    )
    return flat.view(inputs.shape[0], -1)


def sample_losses(model: Any, documents: list[np.ndarray], end: int, context: int, device: str) -> list[float]:
    """Mean loss of a token of each document with its end, cut at `context` tokens; NaN where nothing is predicted."""
    import torch

    model.eval()
    pieces = [np.append(document[: context - 1], end) if len(document) < context else document[:context]
              for document in documents]  # fmt: skip
    width = max(2, *(len(piece) for piece in pieces)) if pieces else 2
    inputs = np.full((len(pieces), width), end, np.int64)
    for row, piece in enumerate(pieces):
        inputs[row, : len(piece)] = piece  # what is filled up comes after: a causal model does not see it
    with torch.no_grad():
        each = token_losses(model, torch.from_numpy(inputs).to(device)).double().cpu().numpy()
    return [float(row[: len(p) - 1].mean()) if len(p) > 1 else math.nan for row, p in zip(each, pieces, strict=True)]


def evaluate(model: Any, windows: np.ndarray, device: str = "cpu", batch: int = 32) -> float:
    """Mean loss of a token over all windows."""
    import torch

    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(windows), batch):
            inputs = torch.from_numpy(windows[at : at + batch].astype(np.int64)).to(device)
            each = token_losses(model, inputs)
            total, count = total + float(each.double().sum()), count + each.numel()
    return total / count


def diverging(losses: list[float], vocabulary: int, window: int = 20) -> bool:
    """Not finite, or for `window` steps on average worse than a guess among all tokens by more than a tenth."""
    if not math.isfinite(losses[-1]):
        return True
    return len(losses) >= window and float(np.mean(losses[-window:])) > 1.1 * math.log(vocabulary)
