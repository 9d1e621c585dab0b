"""The ledger under Hugging Face's Trainer: what each step was served, and the loss of every sample.

    from flows.ledger_trainer import LedgerCallback
    ledger = Ledger(reader, "run-7")
    trainer = Trainer(model, TrainingArguments(..., remove_unused_columns=False), train_dataset=...,
                      callbacks=[LedgerCallback(ledger)])

The batches carry `_index`, `_part` and `_epoch` (or, packed, `_sequence` and `sources`); they are taken off before the
model sees its inputs. The loss of a sample is the mean over its tokens that have a label, from the logits the model made
for the step; no second forward pass. What is recorded is what the trainer consumed: a batch read ahead is not.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback

from catalog.pull.ledger import Ledger

OURS = ("_index", "_part", "_epoch", "_sequence", "sources")


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(rows, length) losses of predicting labels[:, i] from what is before it; 0 where the label is -100."""
    rows = []
    for given, wanted in zip(logits.detach(), labels, strict=True):  # a row at a time: float logits are large
        found = torch.nn.functional.cross_entropy(given[:-1].float(), wanted[1:], ignore_index=-100, reduction="none")
        rows.append(torch.nn.functional.pad(found, (1, 0)))
    return torch.stack(rows)


def sample_losses(logits: torch.Tensor, labels: torch.Tensor, sources: dict[str, Any] | None = None) -> torch.Tensor:
    """Mean loss of each row; of a packed batch, of each document. NaN where no token has a label."""
    losses, kept = token_losses(logits, labels), labels != -100
    kept[:, 0] = False
    if sources is None:
        return losses.sum(1) / kept.sum(1)
    out = []
    for row, begin, tokens in zip(*(sources[name].tolist() for name in ("row", "begin", "tokens")), strict=True):
        piece = slice(begin, begin + tokens)
        out.append(losses[row, piece].sum() / kept[row, piece].sum())
    return torch.stack(out) if out else losses.new_zeros(0)


class LedgerCallback(TrainerCallback):
    """Records every step, and makes the ledger safe whenever the trainer saves a checkpoint."""

    def __init__(self, ledger: Ledger, *, losses: bool = True) -> None:
        self.ledger, self.losses = ledger, losses
        self._batch: dict[str, Any] | None = None
        self._waiting: list[tuple[dict[str, Any], Any]] = []
        self._hooks: list[Any] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        self._hooks = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, with_kwargs=True),
        ]

    def _before(self, model: Any, args: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self._batch = {name: inputs[name] for name in OURS if name in inputs}
        return args, {name: value for name, value in inputs.items() if name not in OURS}

    def _after(self, model: Any, args: Any, inputs: dict[str, Any], output: Any) -> None:
        batch, self._batch = self._batch, None
        if not model.training or not batch:
            return
        loss = None
        if self.losses and inputs.get("labels") is not None:
            logits = output["logits"] if isinstance(output, dict) else output.logits
            with torch.no_grad():
                loss = sample_losses(logits, inputs["labels"], batch.get("sources")).cpu()
        self._waiting.append((batch, loss))

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        for batch, loss in self._waiting:  # of all accumulated batches
            self.ledger.record(state.global_step, batch, loss=loss)
        self._waiting = []

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.ledger.flush()

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        self.ledger.close()
