"""Tokenise the beginning of texts. A megabyte of text costs no more than its first few thousand characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

CHARS_PER_TOKEN = 16
SLACK = 32
"""Tokens beyond the limit that a cut text must give: the cut may change the last few tokens, never the ones kept."""


def encode_heads(tokenizer: Tokenizer, texts: Sequence[str], limit: int) -> list[Encoding]:
    """Encodings without special tokens, each right in its first `limit` tokens and possibly longer."""
    cut = CHARS_PER_TOKEN * (limit + SLACK)
    encodings = tokenizer.encode_batch([text[:cut] for text in texts], add_special_tokens=False)
    short = [i for i, text in enumerate(texts) if len(text) > cut and len(encodings[i].ids) < limit + SLACK]
    for i in short:  # a long run of one letter or of spaces: few tokens for many characters
        encodings[i] = tokenizer.encode(texts[i], add_special_tokens=False)
    return encodings


def batches_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in groups of like length, longest first, each at most `budget` padded tokens (one item always fits)."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for i in order:
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
