"""Class probabilities of texts by any sequence classification model: its own head, its own activation.

As in transformers' text classification pipeline, several exclusive classes get a softmax, one class or classes that do
not exclude one another (problem_type multi_label_classification) a sigmoid each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from flows.models.loading import _model, _tokenizer, special_ids
from flows.models.sources import Source, resolve
from flows.models.tokens import batches_by_length, encode_heads

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BUDGET = {"cpu": 4096, "cuda": 65536}
"""Padded tokens a batch."""


@dataclass(frozen=True)
class Classifier:
    """A classification model. `labels`: its classes in order; `exclusive`: their probabilities add up to one."""

    name: str
    model: Any
    tokenizer: Tokenizer
    device: str
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    positions: int
    labels: tuple[str, ...]
    exclusive: bool

    def label(self, wanted: str) -> int:
        """Place of the class of that name, whatever its case."""
        lower = [label.lower() for label in self.labels]
        if wanted.lower() not in lower:
            known = ", ".join(self.labels)
            raise BadInput(f"model {self.name!r} has no class {wanted!r}: --param label=... of {known}")
        return lower.index(wanted.lower())


def load_classifier(name: str, device: str = "cpu", dtype: str = "float32") -> Classifier:
    """A classification model and its tokenizer; kept for the life of the process."""
    return _classifier(resolve(name, "model"), resolve(name, "tokenizer"), device, dtype)


@lru_cache(maxsize=2)
def _classifier(source: Source, words: Source, device: str, dtype: str) -> Classifier:
    model = _model(source, "AutoModelForSequenceClassification", device, dtype)
    config = model.config
    if not any("SequenceClassification" in one for one in config.architectures or ()):
        raise BadInput(f"model {source.name!r} was not trained to classify texts; name one with a classification head")
    if config.problem_type == "regression":
        raise BadInput(f"model {source.name!r} gives a number, no probability of a class; name a classifier")
    tokenizer = _tokenizer(words)
    prefix, suffix = special_ids(tokenizer)
    labels = tuple(str(config.id2label[i]) for i in range(config.num_labels))
    exclusive = config.num_labels > 1 and config.problem_type != "multi_label_classification"
    positions = getattr(config, "max_position_embeddings", None) or 0
    return Classifier(source.name, model, tokenizer, device, prefix, suffix, positions, labels, exclusive)


def classify_texts(
    classifier: Classifier, texts: Sequence[str], max_tokens: int, *, tick: Callable[[int], None] = lambda rows: None
) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float64 [n, classes], valid bool [n]); a text without a token has none. `max_tokens` counts the
    special tokens; the rest of a text is not read."""
    import torch

    inner = max_tokens - len(classifier.prefix) - len(classifier.suffix)
    encodings = encode_heads(classifier.tokenizer, texts, inner) if len(texts) else []
    valid = np.array([len(encoding.ids) > 0 for encoding in encodings], bool)
    ids = [[*classifier.prefix, *encoding.ids[:inner], *classifier.suffix] for encoding in encodings]
    found = np.zeros((len(texts), len(classifier.labels)))
    rows = np.flatnonzero(valid)
    with torch.inference_mode():
        for group in batches_by_length([len(ids[i]) for i in rows], BUDGET[classifier.device.partition(":")[0]]):
            chosen = rows[group]
            found[chosen] = _batch(classifier, [ids[i] for i in chosen])
            tick(len(group))
    return found, valid


def _batch(classifier: Classifier, ids: list[list[int]]) -> np.ndarray:
    import torch

    padding = classifier.model.config.pad_token_id or 0
    padded = torch.full((len(ids), max(map(len, ids))), padding, dtype=torch.long)
    mask = torch.zeros_like(padded)
    for row, sequence in enumerate(ids):
        padded[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    logits = classifier.model(input_ids=padded.to(classifier.device), attention_mask=mask.to(classifier.device)).logits
    logits = logits.double()
    return (logits.softmax(1) if classifier.exclusive else logits.sigmoid()).cpu().numpy()
