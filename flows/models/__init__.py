"""Models by name: bundled ones that work offline, local folders, Hugging Face ids. Nothing here imports torch early."""

from flows.models.embedding import embed_texts
from flows.models.forward import Piece, Sums, forward_sums
from flows.models.loading import (
    Encoder,
    LanguageModel,
    hidden_size,
    load_causal_lm,
    load_encoder,
    load_tokenizer,
)
from flows.models.sources import model_revision, models_folder
from flows.models.tokens import encode_heads

__all__ = [
    "Encoder",
    "LanguageModel",
    "Piece",
    "Sums",
    "embed_texts",
    "encode_heads",
    "forward_sums",
    "hidden_size",
    "load_causal_lm",
    "load_encoder",
    "load_tokenizer",
    "model_revision",
    "models_folder",
]
