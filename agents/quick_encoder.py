"""The bundled MiniLM in NumPy, for a handful of short texts: ready in a fraction of a second, where torch takes seconds.

The same weights and the same numbers (to rounding) as the scorer `minilm`: a BERT encoder (Devlin et al. 2019,
arXiv:1810.04805) with post-layer norms and exact GELU, mean over tokens, length one. The error function is Abramowitz and
Stegun's 7.1.26, within 1.5e-7. Long lists of texts are the scorer's business.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import Missing

MAX_TOKENS = 256
EPSILON = 1e-12


def embed_quickly(texts: list[str]) -> np.ndarray:
    """Vectors of length one, float32; zeros for a text without a token."""
    model = _model()
    return np.stack([model.vector(text) for text in texts]) if texts else np.empty((0, 384), np.float32)


class _MiniLM:
    """Weights, tokenizer and the forward pass of one text."""

    def __init__(self, weights: dict[str, np.ndarray], tokenizer: Any, heads: int) -> None:
        self.weights, self.tokenizer, self.heads = weights, tokenizer, heads
        self.layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
        tokenizer.enable_truncation(MAX_TOKENS)

    def vector(self, text: str) -> np.ndarray:
        ids = self.tokenizer.encode(text).ids
        if len(ids) <= 2:  # [CLS] and [SEP] alone
            return np.zeros(self.weights["embeddings.word_embeddings.weight"].shape[1], np.float32)
        weights = self.weights
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: len(ids)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        for layer in range(self.layers):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        mean = hidden.mean(axis=0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)

    def _layer(self, hidden: np.ndarray, at: str) -> np.ndarray:
        query, key, value = (
            self._linear(hidden, f"{at}attention.self.{name}").reshape(len(hidden), self.heads, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        mixed = mixed.transpose(1, 0, 2).reshape(len(hidden), -1)
        hidden = self._norm(
            hidden + self._linear(mixed, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm"
        )
        inner = _gelu(self._linear(hidden, f"{at}intermediate.dense"))
        return self._norm(hidden + self._linear(inner, f"{at}output.dense"), f"{at}output.LayerNorm")

    def _linear(self, values: np.ndarray, name: str) -> np.ndarray:
        return values @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, values: np.ndarray, name: str) -> np.ndarray:
        centred = values - values.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return centred / scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(values: np.ndarray) -> np.ndarray:
    x = np.abs(values) / np.float32(np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * x)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(values) * (1 - poly * np.exp(-x * x))
    return (0.5 * values * (1 + erf)).astype(np.float32)


@lru_cache(maxsize=1)
def _model() -> _MiniLM:
    import json

    from flows.models.loading import load_tokenizer
    from flows.models.sources import resolve

    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise Missing(
            "searching by meaning needs the package safetensors: pip install 'strata-catalog[flows]'"
        ) from None
    folder = Path(resolve("minilm-l6", "model").where)
    heads = json.loads((folder / "config.json").read_text(encoding="utf-8"))["num_attention_heads"]
    weights = {name.removeprefix("bert."): array for name, array in load_file(folder / "model.safetensors").items()}
    return _MiniLM(weights, load_tokenizer("minilm-l6"), heads)
