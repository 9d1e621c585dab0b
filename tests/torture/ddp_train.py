"""One rank of a small data-parallel training, for test_elastic.py: killed at any step, resumed on any number of ranks.

python ddp_train.py HOME FOLDER RANK WORLD ATTEMPT DIE_AT [packed TOKENIZER]
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from catalog import Catalog
from catalog.pull.ledger import Ledger

BATCH, EVERY = 3, 4


def features(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Letter shares of a text, and a target they decide: a loss that falls smoothly."""
    counts = torch.tensor([[text.lower().count(chr(97 + n)) / len(text) for n in range(26)] for text in texts])
    return counts, (counts @ torch.linspace(-1, 1, 26))[:, None]


def main() -> None:
    home, folder, rank, world, attempt, die_at = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:7])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{attempt}", rank=rank, world_size=world)
    reader = Catalog.open(home).mix("m")
    torch.manual_seed(0)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(26, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    if len(sys.argv) > 7:
        from catalog.pull.pack import pack

        loader = pack(reader, sys.argv[7], 64, window=16).torch(BATCH, rank=rank, world=world)
    else:
        loader = reader.torch(BATCH, rank=rank, world=world, columns=["text"])
    step, checkpoint = 0, folder / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        loader.load_state_dict(saved["data"])
        step = saved["step"]
    ledger = Ledger(reader, "run", attempt=attempt, rank=rank, world=world, begin=loader.state_dict())
    with model.join():  # the last step is short on some ranks
        for batch in loader:
            step += 1
            if "text" in batch:
                x, y = features(batch["text"])
                losses = (model(x) - y).square().mean(1)
            else:
                x = batch["input_ids"].float()[:, :26] / 400
                rows = (model(x) - 1).square().mean(1)
                losses = rows[batch["sources"]["row"]]
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            ledger.record(step, batch, loss=losses)
            if step == die_at and rank == world - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if step % EVERY == 0:
                ledger.flush()
                dist.barrier()  # every rank's ledger is safe before the checkpoint counts
                if rank == 0:
                    state = {"model": model.state_dict(), "data": loader.state_dict(), "step": step}
                    torch.save(state, checkpoint.with_suffix(".new"))
                    os.replace(checkpoint.with_suffix(".new"), checkpoint)
    ledger.close()


if __name__ == "__main__":
    main()
