"""A sparse autoencoder that keeps the k largest latents of a row: training in torch, use in numpy.

Gao et al. 2024, "Scaling and evaluating sparse autoencoders", arXiv:2406.04093: z = TopK(relu(W (x - b))), reconstruction
D z + b with unit columns of D, started as W transposed; latents that have not fired for an epoch learn what the others
leave over (the auxiliary loss, weight 1/32). One thread and one seed: the same rows give the same weights.
"""

from __future__ import annotations

import numpy as np

AUXILIARY = 1 / 32


def train(points: np.ndarray, latents: int, active: int, epochs: int, batch: int, rate: float, seed: int) -> dict:
    """Arrays of a trained autoencoder; points: rows of mean zero and mean square one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums over threads come in no fixed order
    try:
        return _train(points, latents, active, epochs, batch, rate, seed)
    finally:
        torch.set_num_threads(threads)


def _train(points: np.ndarray, latents: int, active: int, epochs: int, batch: int, rate: float, seed: int) -> dict:
    import torch

    random = torch.Generator().manual_seed(seed)
    rows = torch.from_numpy(np.ascontiguousarray(points, np.float32))
    start = torch.randn(latents, rows.shape[1], generator=random)
    decoder = (start / start.norm(dim=1, keepdim=True)).requires_grad_()
    encoder = decoder.detach().clone().requires_grad_()
    offset, bias = torch.zeros(rows.shape[1], requires_grad=True), torch.zeros(latents, requires_grad=True)
    learner = torch.optim.Adam([encoder, decoder, offset, bias], lr=rate)
    alive = torch.ones(latents, dtype=torch.bool)
    for _ in range(epochs):
        fired = torch.zeros(latents, dtype=torch.bool)
        for part in torch.randperm(len(rows), generator=random).split(batch):
            held = rows[part]
            before = torch.relu((held - offset) @ encoder.T + bias)
            top = before.topk(active, dim=1)
            sparse = torch.zeros_like(before).scatter(1, top.indices, top.values)
            left = held - (sparse @ decoder + offset)
            loss = left.square().mean()
            dead = (~alive).nonzero()[:, 0]
            if len(dead):
                spare = before[:, dead].topk(min(len(dead), 2 * active), dim=1)
                more = torch.zeros(len(held), len(dead)).scatter(1, spare.indices, spare.values) @ decoder[dead]
                loss = loss + AUXILIARY * (left.detach() - more).square().mean()
            learner.zero_grad()
            loss.backward()
            learner.step()
            with torch.no_grad():
                decoder /= decoder.norm(dim=1, keepdim=True).clamp_min(1e-8)
                fired |= (sparse > 0).any(dim=0)
        alive = fired
    return {"encoder": encoder.detach().numpy(), "decoder": decoder.detach().numpy(),
            "offset": offset.detach().numpy(), "bias": bias.detach().numpy()}  # fmt: skip


def encode(state: dict, points: np.ndarray, active: int) -> tuple[np.ndarray, np.ndarray]:
    """The `active` largest latents of each row, largest first, and their activations, which may be zero."""
    encoder = np.asarray(state["encoder"], np.float64)
    before = np.maximum((points - np.asarray(state["offset"], np.float64)) @ encoder.T + state["bias"], 0)
    at = np.argsort(-before, axis=1, kind="stable")[:, :active]
    return at, np.take_along_axis(before, at, 1)


def decode(state: dict, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Reconstruction of rows from their latents."""
    decoder = np.asarray(state["decoder"], np.float64)
    return np.einsum("rk,rkd->rd", values, decoder[at]) + np.asarray(state["offset"], np.float64)
