"""Tiny real models for tests and for authors of plug-ins: random weights, a trained tokenizer, saved like any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog.testing import sentences
from flows.models.loading import quiet_transformers


def tiny_language_model(folder: Path, *, bos: bool = False, family: str = "Llama", seed: int = 0, **config: Any) -> str:
    """Save a two-layer causal model under `folder`; returns its path, which every `model` parameter accepts.

    `bos`: the tokenizer puts a BOS before every text. `family`: prefix of the transformers classes. `config`: more
    fields of its configuration.
    """
    import torch
    import transformers

    size = _tokenizer(folder, ["<s>"], before="<s>" if bos else None)
    quiet_transformers(str(folder))
    small = {
        "vocab_size": size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.3,
    }
    torch.manual_seed(seed)
    options = getattr(transformers, f"{family}Config")(**{**small, **config})
    getattr(transformers, f"{family}ForCausalLM")(options).save_pretrained(folder)
    return str(folder)


def tiny_encoder(folder: Path, *, dimensions: int = 384, seed: int = 0) -> str:
    """Save a one-layer BERT under `folder`, with [CLS] and [SEP] around every text; returns its path."""
    import torch
    from transformers import BertConfig, BertModel

    size = _tokenizer(folder, ["[CLS]", "[SEP]"], before="[CLS]", after="[SEP]")
    quiet_transformers(str(folder))
    torch.manual_seed(seed)
    options = BertConfig(
        vocab_size=size,
        hidden_size=dimensions,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    BertModel(options).save_pretrained(folder)
    return str(folder)


def tiny_classifier(folder: Path, *, labels: Sequence[str] = ("fine", "toxic"), seed: int = 0, **config: Any) -> str:
    """Save a one-layer BERT with a classification head under `folder`; returns its path. `config`: as above."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    size = _tokenizer(folder, ["[CLS]", "[SEP]"], before="[CLS]", after="[SEP]")
    quiet_transformers(str(folder))
    torch.manual_seed(seed)
    options = BertConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        **config,
    )
    BertForSequenceClassification(options).save_pretrained(folder)
    return str(folder)


def _tokenizer(folder: Path, special: Sequence[str], before: str | None = None, after: str | None = None) -> int:
    """Train and save a byte-level BPE with a template; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(sentences(200), trainer)
    used = [mark for mark in (before, after) if mark]
    if used:
        template = " ".join(part for part in (before, "$A", after) if part)
        marks = [(mark, tokenizer.token_to_id(mark)) for mark in used]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=marks)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()
