"""The ledger under a trainer: what each step was served, and the loss and gradient norm of every sample.

    from flows.ledger_trainer import LedgerCallback
    ledger = Ledger(reader, "run-7", gradients="full")        # or "output_layer", or nothing: losses alone
    trainer = Trainer(model, TrainingArguments(..., remove_unused_columns=False), train_dataset=...,
                      callbacks=[LedgerCallback(ledger)])

    losses = sample_losses(logits, batch["labels"], graph=True)              # a loop of one's own: before backward()
    ledger.record(step, batch, loss=losses, gradient=gradient_norms(losses, model.parameters()))

The batches carry `_index`, `_part` and `_epoch` (or, packed, `_sequence` and `sources`); the callback takes them off before
the model sees its inputs. A sample's loss is the mean over its tokens that have a label, from the logits that the model
made for the step; no second forward pass. What is recorded is what the trainer consumed: a batch read ahead is not.

A norm is that of the gradient of this loss at the step's weights, alone: before clipping, accumulation and averaging.
"full" is over all weights that are trained, by a backward pass a sample, so the step takes some batch-size times the
backward; "output_layer" is over the weight of the output layer alone, in closed form from the logits and what entered
that layer, at about the cost of the logits. They are different numbers, and the ledger and its columns name which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from transformers import TrainerCallback

from catalog.errors import BadInput
from catalog.pull.ledger import Ledger

OURS = ("_index", "_part", "_epoch", "_sequence", "sources")


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(rows, length) losses of predicting labels[:, i] from what is before it; 0 where the label is -100."""
    rows = []
    for given, wanted in zip(logits, labels, strict=True):  # a row at a time: float logits are large
        found = torch.nn.functional.cross_entropy(given[:-1].float(), wanted[1:], ignore_index=-100, reduction="none")
        rows.append(torch.nn.functional.pad(found, (1, 0)))
    return torch.stack(rows)


def _samples(labels: torch.Tensor, sources: dict[str, Any] | None) -> Iterator[tuple[int, torch.Tensor]]:
    """Of each sample the row of the batch and the positions of the tokens that have a label and are predicted."""
    kept = labels != -100
    kept[:, 0] = False
    if sources is None:
        for row in range(len(labels)):
            yield row, kept[row].nonzero()[:, 0]
        return
    for row, begin, tokens in zip(*(sources[name].tolist() for name in ("row", "begin", "tokens")), strict=True):
        yield row, begin + kept[row, begin : begin + tokens].nonzero()[:, 0]


def sample_losses(
    logits: torch.Tensor, labels: torch.Tensor, sources: dict[str, Any] | None = None, *, graph: bool = False
) -> torch.Tensor:
    """Mean loss of each row; of a packed batch, of each document. NaN where no token has a label.

    graph: keep how it was computed, for `gradient_norms`.
    """
    losses = token_losses(logits if graph else logits.detach(), labels)
    found = [losses[row, at].mean() for row, at in _samples(labels, sources)]
    return torch.stack(found) if found else losses.new_zeros(0)


def gradient_norms(losses: torch.Tensor, parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor:
    """The norm of each loss's gradient over all parameters that are trained: exact, a backward pass each.

    Leaves `.grad` as it is, and the graph for the backward() of the step. NaN for a loss that is not finite.
    """
    trained, norms = [held for held in parameters if held.requires_grad], []
    for loss in losses:
        if not bool(torch.isfinite(loss)):
            norms.append(torch.tensor(float("nan"), device=losses.device))
            continue
        try:
            found = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            if "checkpoint" not in str(error).lower():
                raise
            raise BadInput(
                "full gradient norms need gradient checkpointing without re-entry: "
                "gradient_checkpointing_kwargs={'use_reentrant': False}, or record output_layer norms"
            ) from None
        held = [value.coalesce().values() if value.is_sparse else value for value in found if value is not None]
        norms.append(torch.stack([value.float().square().sum() for value in held]).sum().sqrt())
    return torch.stack(norms).detach() if norms else losses.new_zeros(0)


def output_gradient_norms(
    logits: torch.Tensor, labels: torch.Tensor, entered: torch.Tensor, sources: dict[str, Any] | None = None
) -> torch.Tensor:
    """The norm of each sample's gradient over the output layer's weight, logits = entered @ weight.T (+ bias).

    The gradient is the sum over tokens of (softmax - one-hot) x entered / tokens. Its norm needs the inner products of
    tokens alone, which is the smaller matrix for short samples. With tied embeddings the input side is not in it.
    """
    norms = []
    with torch.no_grad():
        for row, at in _samples(labels, sources):
            if not len(at):
                norms.append(torch.tensor(float("nan"), device=logits.device))
                continue
            error = torch.softmax(logits[row, at - 1].float(), dim=-1)
            error[torch.arange(len(at), device=error.device), labels[row, at]] -= 1
            state = entered[row, at - 1].float()
            if len(at) < state.shape[-1]:
                square = ((error @ error.T) * (state @ state.T)).sum().clamp(min=0)
            else:
                square = (error.T @ state).square().sum()
            norms.append(square.sqrt() / len(at))
    return torch.stack(norms) if norms else logits.new_zeros(0)


class LedgerCallback(TrainerCallback):
    """Records every step, and makes the ledger safe whenever the trainer saves a checkpoint.

    Gradient norms are those that the ledger was made for: `Ledger(..., gradients="full")` or "output_layer".
    """

    def __init__(self, ledger: Ledger, *, losses: bool = True) -> None:
        self.ledger, self.losses = ledger, losses
        self._batch: dict[str, Any] | None = None
        self._entered: torch.Tensor | None = None
        self._checked = False
        self._waiting: list[tuple[dict[str, Any], Any, Any]] = []
        self._hooks: list[Any] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        self._hooks = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, with_kwargs=True),
        ]
        if self.ledger.gradients == "output_layer":
            self._hooks.append(_output_layer(model).register_forward_pre_hook(self._into_output))

    def _before(self, model: Any, args: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self._batch = {name: inputs[name] for name in OURS if name in inputs}
        return args, {name: value for name, value in inputs.items() if name not in OURS}

    def _into_output(self, layer: Any, args: tuple[torch.Tensor, ...]) -> None:
        self._entered = args[0].detach()

    def _after(self, model: Any, args: Any, inputs: dict[str, Any], output: Any) -> None:
        batch, self._batch = self._batch, None
        if not model.training or not batch:
            return
        loss = gradient = None
        labels, sources = inputs.get("labels"), batch.get("sources")
        if labels is not None and (self.losses or self.ledger.gradients):
            logits = output["logits"] if isinstance(output, dict) else output.logits
            full = self.ledger.gradients == "full"
            loss = sample_losses(logits, labels, sources, graph=full)
            if full:
                gradient = gradient_norms(loss, model.parameters()).cpu()
            elif self.ledger.gradients:
                gradient = output_gradient_norms(logits, labels, self._output_input(model, logits), sources).cpu()
            loss = loss.detach().cpu() if self.losses else None
        self._waiting.append((batch, loss, gradient))

    def _output_input(self, model: Any, logits: torch.Tensor) -> torch.Tensor:
        """What entered the output layer, where the logits are that layer's and nothing else's."""
        entered, self._entered = self._entered, None
        if entered is None or entered.shape[:2] != logits.shape[:2]:
            raise BadInput("the output layer did not see every token of the step; record full norms instead")
        if not self._checked:
            with torch.no_grad():
                made = _output_layer(model)(entered[:1, :8])
            self._entered = None
            if not torch.allclose(made.float(), logits[:1, :8].float(), rtol=1e-2, atol=1e-2):
                raise BadInput("the model changes its logits after the output layer; record full norms instead")
            self._checked = True
        return entered

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        for batch, loss, gradient in self._waiting:  # of all accumulated batches
            self.ledger.record(state.global_step, batch, loss=loss, gradient=gradient)
        self._waiting = []

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.ledger.flush()

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        self.ledger.close()


def _output_layer(model: Any) -> Any:
    layer = getattr(model, "get_output_embeddings", lambda: None)()
    if layer is None:
        raise BadInput(f"{type(model).__name__} names no output layer; record full norms instead")
    return layer
