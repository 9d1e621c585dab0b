"""Load tokenizers, causal language models and sentence encoders, once a process each."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput, Missing
from flows.models.sources import Source, offline, resolve

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class LanguageModel:
    """A causal model in eval mode. `prefix`: ids its tokenizer puts before every text (a BOS, or nothing).

    `positions`: longest sequence it accepts (0: unknown). `split`: its logits are the output matrix times the last
    hidden state and nothing else (checked at load), so that logits may be computed for chosen positions in chunks.
    """

    name: str
    model: Any
    tokenizer: Tokenizer
    device: str
    dtype: str
    prefix: tuple[int, ...]
    positions: int
    split: bool


@dataclass(frozen=True)
class Encoder:
    """A sentence encoder. `prefix` and `suffix`: special ids around every text ([CLS], [SEP])."""

    name: str
    model: Any
    tokenizer: Tokenizer
    device: str
    dtype: str
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    positions: int
    dimensions: int


def load_tokenizer(name: str) -> Tokenizer:
    """The fast tokenizer of a model, without truncation or padding. Needs no torch when tokenizer.json is there."""
    return _tokenizer(resolve(name, "tokenizer"))


def load_causal_lm(name: str, device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """A causal language model and its tokenizer, ready for `forward_sums`; kept for the life of the process."""
    return _causal_lm(resolve(name, "model"), resolve(name, "tokenizer"), device, dtype)


def load_encoder(name: str, device: str = "cpu", dtype: str = "float32") -> Encoder:
    """A sentence encoder and its tokenizer, ready for `embed_texts`; kept for the life of the process."""
    return _encoder(resolve(name, "model"), resolve(name, "tokenizer"), device, dtype)


@lru_cache(maxsize=64)
def hidden_size(name: str) -> int:
    """Numbers of a hidden state of a model, as its configuration says; nothing of its weights is read."""
    source = resolve(name, "model")
    if source.hub:
        quiet_transformers(name)
        from transformers import AutoConfig

        try:
            body = AutoConfig.from_pretrained(source.where, revision=source.revision).to_dict()
        except Exception as error:
            raise _unreadable(source, error) from error
    else:
        try:
            body = json.loads((Path(source.where) / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _unreadable(source, error) from error
    for key in ("hidden_size", "d_model", "n_embd", "dim"):
        if isinstance(body.get(key), int):
            return body[key]
    raise BadInput(f"model {name!r}: its config.json states no hidden_size; name a text encoder or a language model")


@lru_cache(maxsize=2)
def _causal_lm(source: Source, words: Source, device: str, dtype: str) -> LanguageModel:
    model = _model(source, "AutoModelForCausalLM", device, dtype)
    tokenizer = _tokenizer(words)
    prefix, _ = special_ids(tokenizer)
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    return LanguageModel(source.name, model, tokenizer, device, dtype, prefix, positions, _splits(model, device))


@lru_cache(maxsize=2)
def _encoder(source: Source, words: Source, device: str, dtype: str) -> Encoder:
    model = _model(source, "AutoModel", device, dtype)
    tokenizer = _tokenizer(words)
    prefix, suffix = special_ids(tokenizer)
    config = model.config
    positions = getattr(config, "max_position_embeddings", None) or 0
    return Encoder(source.name, model, tokenizer, device, dtype, prefix, suffix, positions, config.hidden_size)


def _model(source: Source, family: str, device: str, dtype: str) -> Any:
    quiet_transformers(source.name)
    import torch
    import transformers

    try:
        model = getattr(transformers, family).from_pretrained(
            source.where, dtype=getattr(torch, dtype), **_where(source)
        )
    except Exception as error:  # each format has its own exceptions, down to bare ones
        raise _unreadable(source, error) from error
    model.eval().requires_grad_(False)
    return model.to(device)


@lru_cache(maxsize=8)
def _tokenizer_json(source: Source) -> str:
    """The tokenizer as JSON text: a parsed one is mutable, so that every caller gets its own."""
    file = Path(source.where) / "tokenizer.json"
    if not source.hub and file.is_file():
        return file.read_text(encoding="utf-8")
    quiet_transformers(source.name)
    from transformers import AutoTokenizer

    try:
        held = AutoTokenizer.from_pretrained(source.where, **_where(source))
        return held.backend_tokenizer.to_str()
    except Exception as error:
        raise _unreadable(source, error) from error


def _tokenizer(source: Source) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise Missing(
            f"model {source.name!r}: the package tokenizers is not here; pip install 'strata-catalog[flows]'"
        ) from None
    text = _tokenizer_json(source)
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the parser raises bare exceptions
        raise _unreadable(source, error) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids that the tokenizer's own template puts before and after a text."""
    encoding = tokenizer.encode("a")
    marks = encoding.special_tokens_mask
    first = next((i for i, mark in enumerate(marks) if not mark), len(marks))
    last = next((i for i, mark in enumerate(reversed(marks)) if not mark), 0)
    ids = tuple(encoding.ids)
    return ids[:first], ids[len(ids) - last :]


def quiet_transformers(name: str) -> None:
    """Import transformers with telemetry and progress bars off, or say which package is missing for this model."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise Missing(
                f"model {name!r} needs the package {package}, which is not here; pip install 'strata-catalog[flows]'"
            )
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _where(source: Source) -> dict[str, Any]:
    if not source.hub:
        return {"local_files_only": True}
    return {"revision": source.revision, "local_files_only": _cached(source)}


def _cached(source: Source) -> bool:
    """Whether the hub snapshot holds weights here already, so that no request is needed."""
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
    return offline() or any(
        isinstance(try_to_load_from_cache(source.where, f, revision=source.revision), str) for f in files
    )


def _unreadable(source: Source, error: Exception) -> Exception:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    kind = Missing if source.hub else BadInput
    return kind(
        f"model {source.name!r} cannot be loaded from {source.where}: {reason}; check the folder or name another model"
    )


def _splits(model: Any, device: str) -> bool:
    """Whether head(trunk(x)) gives the model's own logits: false for models that scale or cap them."""
    import torch

    head = model.get_output_embeddings()
    trunk = model.base_model
    if head is None or trunk is model:
        return False
    ids = torch.arange(1, 9, device=device)[None] % model.config.vocab_size
    with torch.inference_mode():
        whole = model(input_ids=ids, use_cache=False).logits.float()
        parts = head(trunk(input_ids=ids, use_cache=False).last_hidden_state).float()
    return whole.shape == parts.shape and torch.allclose(whole, parts, rtol=1e-3, atol=1e-3)
