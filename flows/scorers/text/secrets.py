"""Credentials left in text: keys and tokens with a published form, private key blocks, passwords in addresses
(scheme://name:password@host), and assignments of random strings.

A name proposes, a form or the entropy decides. Placeholders ("EXAMPLE", "your_token", "xxxx", "${VAR}") do not count: a
page that teaches how to set a key is not a leak. A JSON web token must decode to a header with an algorithm, a private
key block must have a body, and the value of an unnamed secret must look random: both letters and digits and a Shannon
entropy of at least 3.5 bits a character.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog import states
from catalog.plugins import Context, Out, scorer

MIN_ENTROPY = 3.5
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_/+-])(?:(?:AKIA|ASIA)[A-Z2-7]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"
    r"|glpat-[A-Za-z0-9_-]{20}|xox[abeprs]-[0-9]{8,14}-[A-Za-z0-9-]{20,80}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z]{34}"
    r"|[sr]k_live_[A-Za-z0-9]{24,99}|npm_[A-Za-z0-9]{36}|pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,200}"
    r"|sk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,180}|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|sq0(?:csp-[A-Za-z0-9_-]{43}|atp-[A-Za-z0-9_-]{22})"
    r"|(?:bot)?[0-9]{8,10}:[A-Za-z0-9_-]{35}|(?:AC|SK)[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2}"
    r"|[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}|AccountKey=[A-Za-z0-9+/]{86}==)(?![A-Za-z0-9_])"
)
_LOGIN = re.compile(r"://[^\s:/@]{1,64}:([^\s:/@]{8,64})@[A-Za-z0-9-]+[.:/]")
_JWT = re.compile(r"(?<![\w.-])(eyJ[A-Za-z0-9_-]{10,})\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{20,}(?![\w-])")
_KEY_BLOCK = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----(?:\\n|\\r|\s|[A-Za-z-]+: [^\n]*\n){0,12}[A-Za-z0-9+/=]{40}"
)
_ASSIGNED = re.compile(
    r"(?i)(?:api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|client[_-]?secret|secret|token|passw(?:or)?d|pwd)"
    r"(?:[_-](?:id|key|value))?[\"']?\s{0,3}(?::|=|:=|=>)\s{0,3}"
    r"([\"']?)([A-Za-z0-9+/_=.~-]{20,200})(?![A-Za-z0-9+/_=.~(\[-])(?:\1)"
)
_PLACEHOLDER = re.compile(
    r"(?i)example|sample|dummy|placeholder|changeme|your|xxxx|test|fake|redacted|\.\.\.|0123456|12345678|abcdef"
)
SIEVE = (
    r"AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|AIza|hf_|[sr]k_live_|npm_|pypi-|sk-|eyJ|PRIVATE KEY"
    r"|SG\.|sq0|[0-9]{8}:[A-Za-z0-9_-]{35}|(?:AC|SK)[0-9a-f]{32}|[0-9a-f]{32}-us|AccountKey=|://[^\s:/@]{1,64}:[^\s:/@]{8}"
    r"|[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.|(?i:key|secret|token|passw|pwd)[A-Za-z_-]{0,12}[\"']?\s{0,3}[:=]"
)


def find_secrets(text: str) -> list[tuple[int, int]]:
    """Spans of secrets, without overlaps, in order of position."""
    spans = [m.span() for m in _KEY_BLOCK.finditer(text)]
    spans += [m.span() for m in _TOKEN.finditer(text) if not _PLACEHOLDER.search(m[0]) and entropy(m[0]) >= 3]
    spans += [m.span() for m in _JWT.finditer(text) if _is_header(m[1])]
    spans += [m.span(1) for m in _LOGIN.finditer(text) if _is_mixed(m[1]) and not _PLACEHOLDER.search(m[1])]
    spans += [m.span(2) for m in _ASSIGNED.finditer(text) if _is_random(m[2])]
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _is_mixed(value: str) -> bool:
    return bool(re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value))


def _is_random(value: str) -> bool:
    floor = 3.0 if re.fullmatch(r"[0-9a-fA-F]{32,}", value) else MIN_ENTROPY
    dotted = re.fullmatch(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+", value)  # process.env.NAME, a.b.c
    return _is_mixed(value) and not dotted and not _PLACEHOLDER.search(value) and entropy(value) >= floor


def _is_header(part: str) -> bool:
    try:
        return "alg" in json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, TypeError):
        return False


@scorer(
    "secrets",
    version="2",
    reads=["text"],
    writes=[Out("secrets_count", pa.int32(), "keys, tokens, private keys and passwords found", "lower", (0, None))],
    cost="cpu",
    citation="ours; RFC 7519 (JWT), RFC 7468 (key blocks), the vendors' token formats",
    stage="filter",
)
def secrets(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    texts = batch["text"]
    counts = np.zeros(len(texts), np.int32)
    sieved = pc.match_substring_regex(texts, SIEVE).fill_null(False).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(sieved).tolist():
        counts[row] = len(find_secrets(texts[row].as_py()))
    null = texts.is_null().to_numpy(zero_copy_only=False)
    state = pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8())
    return {"secrets_count": pa.array(counts, pa.int32(), mask=null), "_state": state}
