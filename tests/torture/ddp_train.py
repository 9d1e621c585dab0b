"""One rank of a small data-parallel training, for test_elastic.py: killed at any step, resumed on any number of ranks.

python ddp_train.py '{"home": ..., "folder": ..., "rank": 0, "world": 2, "attempt": 1, "run": "run", "die_at": 7}'

tokenizer: train on packed sequences; spoil: resume as no trainer should ("optimizer": forgets it, "data": one step late).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from catalog import Catalog
from catalog.pull.ledger import Ledger

GLOBAL, EVERY = 12, 4
"""Samples a step, the same for 1, 2, 3 and 4 ranks; steps between checkpoints."""


def features(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Letter shares of a text, and a target they decide: a loss that falls smoothly."""
    counts = torch.tensor([[text.lower().count(chr(97 + n)) / len(text) for n in range(26)] for text in texts])
    counts = counts.reshape(-1, 26)
    return counts, (counts @ torch.linspace(-1, 1, 26))[:, None]


def losses_of(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """The loss of every sample; of packed sequences, of every document the loss of its sequence."""
    if "text" in batch:
        x, y = features(batch["text"])
        return (model(x) - y).square().mean(1)
    rows = (model(batch["input_ids"].float()[:, :26] / 400) - 1).square().mean(1)
    return rows[batch["sources"]["row"]]


def main(home: str, folder: Path, rank: int, world: int, attempt: int, run: str, die_at: int = 0, tokenizer: str = "",
         spoil: str = "") -> None:  # fmt: skip
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{run}-{attempt}", rank=rank, world_size=world)
    reader = Catalog.open(home).mix("m")
    torch.manual_seed(0)
    shape = torch.nn.Sequential(torch.nn.Linear(26, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    model = torch.nn.parallel.DistributedDataParallel(shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    if tokenizer:
        from catalog.pull.pack import pack

        loader = pack(reader, tokenizer, 64, window=16).torch(GLOBAL // world, rank=rank, world=world)
    else:
        loader = reader.torch(GLOBAL // world, rank=rank, world=world, columns=["text"])
    step, checkpoint = 0, folder / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        if spoil != "optimizer":
            optimizer.load_state_dict(saved["optimizer"])
        if spoil == "data":
            saved["data"]["next"] += GLOBAL
        loader.load_state_dict(saved["data"])
        step = saved["step"]
    ledger = Ledger(reader, run, attempt=attempt, rank=rank, world=world, begin=loader.state_dict())
    with model.join():  # the last step is short on some ranks
        for batch in loader:
            # Gradients are averaged over ranks: each rank's share of the mean over the whole step, which may be short.
            count = GLOBAL if tokenizer else min(GLOBAL, len(reader) - step * GLOBAL)
            step += 1
            losses = losses_of(model, batch)
            optimizer.zero_grad()
            (losses.sum() * world / count).backward()
            optimizer.step()
            ledger.record(step, batch, loss=losses)
            if step == die_at and rank == world - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if step % EVERY == 0:
                ledger.flush()
                dist.barrier()  # every rank's ledger is safe before the checkpoint counts
                if rank == 0:
                    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                             "data": loader.state_dict(), "step": step}  # fmt: skip
                    torch.save(state, checkpoint.with_suffix(".new"))
                    os.replace(checkpoint.with_suffix(".new"), checkpoint)
    ledger.close()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(**given | {"folder": Path(given["folder"])})
