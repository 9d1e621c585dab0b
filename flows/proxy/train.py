"""Train one small model on one lock: checkpoints, losses on held-out rows, and what became of a run that diverged.

A run that was killed goes on from its last checkpoint and ends with the numbers of one that was not: the order is a pure
function of the lock, and the checkpoint holds weights, optimizer, and the position in the stream. Sequences are cut from
the stream of documents, each closed by an end token; attention crosses documents, as in most pre-training.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from catalog.errors import BadInput, Busy, Corrupt, NotFound
from catalog.runs import Cancelled
from flows.proxy.losses import diverging, evaluate, token_losses
from flows.proxy.recipe import Recipe, build_model
from flows.proxy.stream import Stream, Tokens, load_tokens, open_stream, validation_of, validation_windows

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Weigh = Callable[[Any, Any, int], Any]
"""(loss of every token, part of every token, step) -> the loss that is minimised."""
Tick = Callable[[int], None]
"""Told of steps that are done; raises `Cancelled` where the run is to stop."""


def silent(steps: int) -> None:
    """Nobody watches."""


@dataclass
class Outcome:
    """What a run came to. losses: training loss of every step. shares: of the training tokens, by part number."""

    steps: int
    size: int
    results: dict[str, float]
    losses: list[float]
    shares: dict[int, float]
    skipped: int
    diverged: bool
    extra: dict[str, Any] = field(default_factory=dict)


def folder_of(cat: Catalog, name: str) -> Path:
    """Where a proxy model lives: model.safetensors, config.json, run.json, and checkpoint.pt while it trains."""
    return cat.settings.home / "models" / name


def train(
    cat: Catalog,
    mix: str,
    recipe: Recipe,
    folder: Path,
    *,
    weigh: Weigh | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    tick: Tick = silent,
    extra: dict[str, Any] | None = None,
) -> Outcome:
    """Train to the end, or what is left of it. weigh: another loss than the mean, such as DoReMi's; extra: its state,
    plain values that are kept in the checkpoint. A run that is cancelled leaves a checkpoint of its last step."""
    import torch

    tokens = load_tokens(recipe.tokenizer)
    with _alone(folder):
        stream = open_stream(cat, mix, recipe, tokens)
        sets = {held.name: validation_windows(cat, held, recipe, tokens)
                for held in recipe.validation or validation_of(stream.reader.lock)}  # fmt: skip
        model = build_model(recipe, tokens.vocabulary).to(device)
        run = _Run(recipe, folder, stream, model, torch.device(device), weigh, extra if extra is not None else {})
        run.resume(cat)
        if run.step:
            say(f"resumes at step {run.step} of {recipe.steps}")

        def measure_rows(step: int) -> None:
            from flows.proxy.traces import measure

            path = folder / "trajectory" / f"{step:08d}.parquet"
            if not path.exists():
                measure(cat, stream.reader.lock, model, recipe, tokens, path, device, tick)

        run.to_the_end(tick, measure_rows)
        results = {f"loss/{name}": evaluate(model, windows, device) for name, windows in sets.items()}
        results["loss/mean"] = float(np.mean(list(results.values())))
        if run.losses:
            results["train_loss"] = float(np.mean(run.losses[-max(1, len(run.losses) // 10) :]))
        return run.finish(results, tokens)


class _Run:
    """The moving state of a run."""

    def __init__(
        self, recipe: Recipe, folder: Path, stream: Stream, model: Any, device: Any, weigh: Weigh | None, extra: dict
    ) -> None:
        import torch

        self.recipe, self.folder, self.stream, self.model, self.device = recipe, folder, stream, model, device
        self.weigh, self.extra, self.step, self.diverged = weigh, extra, 0, False
        self.losses: list[float] = []
        self.served = np.zeros(len(stream.reader.lock["spec"]["parts"]), np.int64)
        self.trace: list[tuple[np.ndarray, ...]] = []
        decayed = [p for p in model.parameters() if p.ndim > 1]
        plain = [p for p in model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.peak, betas=(0.9, 0.95),
        )  # fmt: skip

    def to_the_end(self, tick: Tick, measure: Callable[[int], None]) -> None:
        """All steps that are left, unless somebody stops the run or it diverges."""
        recipe = self.recipe
        milestones = set(recipe.milestones)
        try:
            tick(self.step)
            while True:
                if self.step in milestones:  # first: a run may have been stopped while it measured
                    measure(self.step)
                if self.step >= recipe.steps or self.diverged:
                    break
                self.advance()
                tick(1)
                if self.step % recipe.checkpoint_every == 0 and self.step < recipe.steps:
                    self.save()
            tick(recipe.steps - self.step)
        except Cancelled:
            self.save()
            raise

    def advance(self) -> None:
        """One step."""
        import torch

        recipe = self.recipe
        ids, part, index = (
            np.ascontiguousarray(held).reshape(recipe.batch, recipe.context)
            for held in self.stream.take(recipe.batch * recipe.context)
        )
        self.served += np.bincount(part.ravel(), minlength=len(self.served))
        self.model.train()
        inputs = torch.from_numpy(ids.astype(np.int64)).to(self.device)
        each = token_losses(self.model, inputs)
        mean = each.mean()
        target = mean
        if self.weigh is not None:
            self.extra["inputs"] = inputs  # what the reference is asked about; never kept
            target = self.weigh(each, torch.from_numpy(part[:, 1:].astype(np.int64)).to(self.device), self.step)
            del self.extra["inputs"]
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        target.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        loss = float(mean.detach())
        if math.isfinite(loss):
            self.optimizer.step()
        self.losses.append(loss)
        if recipe.traces:
            self._note(each.detach().cpu().numpy(), index[:, 1:])
        self.step += 1
        self.diverged = diverging(self.losses, self.model.config.vocab_size)

    def _note(self, each: np.ndarray, index: np.ndarray) -> None:
        indices, at, counts = np.unique(index, return_inverse=True, return_counts=True)
        sums = np.bincount(at.ravel(), each.ravel().astype(np.float64), minlength=len(indices))
        self.trace.append((np.full(len(indices), self.step), indices, counts, sums / counts))

    def save(self) -> None:
        """Write the checkpoint beside the old one and put it in its place in one step; traces of its interval first."""
        import torch

        self._write_trace()
        body = {
            "recipe": self.recipe.digest, "lock": self.stream.reader.digest, "step": self.step, "losses": self.losses,
            "served": self.served, "stream": self.stream.state(), "model": self.model.state_dict(), "extra": self.extra,
            "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip
        path = self.folder / "checkpoint.pt"
        with open(path.with_suffix(".new"), "wb") as file:
            torch.save(body, file)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".new").replace(path)

    def resume(self, cat: Catalog) -> None:
        """Go on from the run's own checkpoint, else from the model that the recipe starts with."""
        import torch

        path = self.folder / "checkpoint.pt"
        if not path.exists():
            if self.recipe.start:
                self._start(folder_of(cat, self.recipe.start))
            return
        body = torch.load(path, map_location=self.device, weights_only=False)
        if (body["recipe"], body["lock"]) != (self.recipe.digest, self.stream.reader.digest):
            raise Corrupt(f"{path} is of another recipe or lock; remove the folder to train again")
        self.model.load_state_dict(body["model"])
        self.optimizer.load_state_dict(body["optimizer"])
        self.stream.load(body["stream"])
        self.step, self.losses, self.served = body["step"], body["losses"], body["served"]
        self.extra.update(body["extra"])
        self.diverged = bool(self.losses) and diverging(self.losses, self.model.config.vocab_size)

    def _start(self, folder: Path) -> None:
        import torch

        if read_facts(folder)["diverged"]:
            raise BadInput(
                f"proxy model {self.recipe.start} diverged: it is kept and not trained on; start from another"
            )
        body = torch.load(folder / "state.pt", map_location=self.device, weights_only=False)
        try:
            self.model.load_state_dict(body["model"])
        except RuntimeError:
            raise Corrupt(f"proxy model {self.recipe.start} has another size or vocabulary than this run") from None
        self.optimizer.load_state_dict(body["optimizer"])

    def _write_trace(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        if not self.trace:
            return
        columns = [np.concatenate(held) for held in zip(*self.trace, strict=True)]
        table = pa.table(dict(zip(("step", "_index", "tokens", "loss"), columns, strict=True)))
        (self.folder / "traces").mkdir(exist_ok=True)
        pa.parquet.write_table(table, self.folder / "traces" / f"{self.step:08d}.parquet")
        self.trace = []

    def finish(self, results: dict[str, float], tokens: Tokens) -> Outcome:
        """Keep the model, as transformers reads it, and its optimizer; drop the checkpoint."""
        import torch
        from safetensors.torch import save_file

        self._write_trace()
        save_file({name: held.contiguous() for name, held in self.model.state_dict().items() if name != "lm_head.weight"},
                  self.folder / "model.safetensors", metadata={"format": "pt"})  # fmt: skip
        self.model.config.save_pretrained(self.folder)
        torch.save(
            {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}, self.folder / "state.pt"
        )
        size = sum(p.numel() for p in self.model.parameters())
        whole = max(1, int(self.served.sum()))
        shares = {part: count / whole for part, count in enumerate(self.served.tolist())}
        made = Outcome(
            self.step, size, results, self.losses, shares, self.stream.skipped, self.diverged, dict(self.extra)
        )
        facts = {
            "mix": self.stream.reader.ref, "lock": self.stream.reader.digest, "recipe": self.recipe.model_dump(),
            "steps": made.steps, "parameters": size, "results": results, "losses": self.losses, "diverged": self.diverged,
            "token_shares": shares, "held_out_rows_skipped": made.skipped, "vocabulary": tokens.vocabulary,
        }  # fmt: skip
        (self.folder / "run.new").write_bytes(orjson.dumps(facts, option=orjson.OPT_NON_STR_KEYS))
        (self.folder / "run.new").replace(self.folder / "run.json")  # last: its presence says that the run has ended
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)
        return made


def read_facts(folder: Path) -> dict[str, Any]:
    """What a finished run left in its folder: mix, lock, recipe, results, losses, whether it diverged."""
    try:
        return orjson.loads((folder / "run.json").read_bytes())
    except OSError:
        held = sorted(path.parent.name for path in folder.parent.glob("*/run.json"))
        raise NotFound(
            "proxy model", folder.name, held, "`strata trial list` names the models that are trained"
        ) from None


def finished(folder: Path, recipe: Recipe, lock: str) -> dict[str, Any] | None:
    """The facts of this very run, where it has ended."""
    if not (folder / "run.json").exists():
        return None
    held = read_facts(folder)
    made = Recipe(**held["recipe"])
    return held if (held["lock"], made.digest, made.seed) == (lock, recipe.digest, recipe.seed) else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process a run; the lock falls with the process that held it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{folder.name} is being trained by another process; wait for it") from None
        yield
