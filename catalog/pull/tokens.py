"""A tokenizer that a run is pinned to: the file, its digest, and how a document ends.

Two tokenizers of one name may split text differently; what identifies one is the SHA-256 of its `tokenizer.json`. The
library `tokenizers` is imported when one is opened: the rest of the catalog does without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from catalog.errors import BadInput, Missing, NotFound

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SLICE_CHARS = 1 << 20
"""Characters that are tokenised at once: an encoding is many times its text."""


@dataclass(frozen=True)
class PinnedTokenizer:
    """A tokenizer, the file it came from and that file's digest. end: id after a document; pad: id of empty places."""

    path: Path
    digest: str
    raw: Tokenizer
    end: int
    pad: int
    template: str | None
    named: dict[str, str]  # bos_token, eos_token ... as its configuration names them

    def __reduce__(self) -> Any:
        return _again, (self.path, self.digest, self.end, self.pad)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of each text, without special tokens."""
        found: list[np.ndarray] = []
        for begin, end in slices([len(text) for text in texts]):
            made = self.raw.encode_batch_fast(list(texts[begin:end]), add_special_tokens=False)
            found += [np.array(encoding.ids, np.int32) for encoding in made]
        return found


def slices(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of consecutive texts of about SLICE_CHARS characters each."""
    cuts, begin, held = [], 0, 0
    for at, length in enumerate(lengths):
        if held and held + length > SLICE_CHARS:
            cuts.append((begin, at))
            begin, held = at, 0
        held += length
    return [*cuts, (begin, len(lengths))] if len(lengths) else []


def open_tokenizer(
    where: str | Path | PinnedTokenizer, *, end: str | int | None = None, pad: str | int | None = None
) -> PinnedTokenizer:
    """Open a `tokenizer.json` or the folder that holds one.

    end: token that closes a document (default: the eos_token of its configuration). pad: fills a sequence up (default:
    its pad_token, else `end`).
    """
    if isinstance(where, PinnedTokenizer):
        return where
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise Missing("packing needs tokenizers: pip install 'strata-catalog[pack]'") from None
    path = Path(where)
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise NotFound("tokenizer file", str(path), remedy="give a tokenizer.json or the folder that holds one")
    body = path.read_bytes()
    try:
        raw = Tokenizer.from_buffer(body)
    except Exception as error:  # the library raises bare Exception
        raise BadInput(f"{path} is no tokenizer that `tokenizers` reads: {str(error)[:120]}") from None
    raw.no_truncation()
    raw.no_padding()
    named = _named(path.parent)
    last = _id(raw, named.get("eos_token") if end is None else end, path, "end")
    empty = named.get("pad_token") if pad is None else pad
    return PinnedTokenizer(
        path, hashlib.sha256(body).hexdigest(), raw, last, last if empty is None else _id(raw, empty, path, "pad"),
        _template(path.parent), named,
    )  # fmt: skip


def _again(path: Path, digest: str, end: int, pad: int) -> PinnedTokenizer:
    """The same tokenizer in another process."""
    found = open_tokenizer(path, end=end, pad=pad)
    if found.digest != digest:
        raise BadInput(f"tokenizer {path} changed while it was in use: digest {found.digest[:12]}, was {digest[:12]}")
    return found


def _id(raw: Tokenizer, token: str | int | None, path: Path, what: str) -> int:
    if token is None:
        raise BadInput(f"tokenizer {path} names no eos_token; say which token ends a document: {what}='...'")
    found = token if isinstance(token, int) else raw.token_to_id(token)
    if found is None or not 0 <= found < raw.get_vocab_size():
        raise BadInput(f"tokenizer {path} has no token {token!r} for {what}; choose one of its vocabulary")
    return found


def _named(folder: Path) -> dict[str, str]:
    """Special tokens by role, from the configuration beside the tokenizer."""
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        body = _json(folder / name)
        for role, token in body.items():
            value = token.get("content") if isinstance(token, dict) else token
            if role.endswith("_token") and isinstance(value, str):
                found[role] = value
    return found


def _template(folder: Path) -> str | None:
    """The chat template beside the tokenizer, from its own file or the configuration."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text("utf-8")
    held = _json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(held, list):  # several by name
        held = next((item.get("template") for item in held if item.get("name") == "default"), None)
    return held if isinstance(held, str) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        body = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
