"""National identity numbers and wallet addresses that carry a checksum, counted by kind.

A checksum decides: Bitcoin addresses (base58 with a double SHA-256), the Italian fiscal code, the Spanish NIF and NIE
(letter of the number mod 23), the British NHS number (mod 11), the Polish PESEL (mod 10) and the Indian Aadhaar number
(Verhoeff 1969). The last three are digits alone, of which one number in ten or eleven passes by chance: they count only
within CUE characters after a word that names them. The forms are those of Presidio's recognisers, which give a bare
number with a right checksum full score.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog import states
from catalog.plugins import Context, Out, scorer

CUE = 40
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
NIF = "TRWAGMYFPDXBNJZSQVHLCKE"
ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
               [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
                10, 22, 25, 24, 23], strict=True))  # fmt: skip
"""Values of the characters in odd places of an Italian fiscal code (decree of 23 December 1976)."""


def is_bitcoin(text: str) -> bool:
    number = 0
    for char in text:
        number = number * 58 + BASE58.index(char)
    if number >> 200:
        return False
    data = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


def is_fiscal_code(text: str) -> bool:
    text = text.upper()
    even = sum(int(char) if char.isdigit() else ord(char) - 65 for char in text[1:15:2])
    return (sum(ODD[char] for char in text[0:15:2]) + even) % 26 == ord(text[15]) - 65


def is_nif(text: str) -> bool:
    number = str("XYZ".find(text[0])) + text[1:] if text[0] in "XYZ" else text
    digits = re.sub(r"\D", "", number)
    return NIF[int(digits) % 23] == text[-1]


def is_nhs(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    return sum(digit * (10 - i) for i, digit in enumerate(digits)) % 11 == 0


def is_pesel(text: str) -> bool:
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return sum(int(char) * weight for char, weight in zip(text, weights, strict=True)) % 10 == 0


def is_aadhaar(text: str) -> bool:
    """Verhoeff's check over the dihedral group of order ten."""
    check, digits = 0, [int(char) for char in text if char.isdigit()]
    for i, digit in enumerate(reversed(digits)):
        check = _dihedral(check, _permuted(digit, i))
    return check == 0 and digits != digits[::-1]


def _dihedral(a: int, b: int) -> int:
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


def _permuted(digit: int, times: int) -> int:
    for _ in range(times % 8):
        digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
    return digit


KINDS: dict[str, tuple[str, Callable[[str], bool], str]] = {
    "bitcoin": (r"(?<!\w)[13][a-km-zA-HJ-NP-Z1-9]{25,33}(?!\w)", is_bitcoin, ""),
    "it_fiscal_code": (r"(?<!\w)[A-Za-z]{6}\d{2}[A-EHLMPRSTa-ehlmprst]\d{2}[A-Za-z]\d{3}[A-Za-z](?!\w)", is_fiscal_code, ""),
    "es_nif": (r"(?<!\w)(?:\d{8}|[XYZ]\d{7})-?[A-Z](?!\w)", is_nif, ""),
    "uk_nhs": (r"(?<![\w.-])\d{3}[- ]?\d{3}[- ]?\d{4}(?![\w-])", is_nhs, r"(?i)\bnhs\b|national health"),
    "pl_pesel": (r"(?<![\w.-])\d{2}(?:[02468][1-9]|[13579][0-2])(?:0[1-9]|[12]\d|3[01])\d{5}(?![\w-])", is_pesel, r"(?i)\bpesel\b"),
    "in_aadhaar": (r"(?<![\w.-])[2-9]\d{3}[- :]?\d{4}[- :]?\d{4}(?![\w-])", is_aadhaar, r"(?i)\baadhaar\b|\buidai\b|आधार"),
}  # fmt: skip
PATTERNS = {kind: (re.compile(form), check, re.compile(cue)) for kind, (form, check, cue) in KINDS.items()}
SIEVE = r"[13][a-km-zA-HJ-NP-Z1-9]{25}|[A-Za-z]{6}[0-9]{2}[A-Za-z]|[0-9XYZ][0-9]{7}-?[A-Z]"
SIEVE += r"|(?i:nhs|national health|pesel|aadhaar|uidai|आधार)"


def find_ids(text: str) -> list[tuple[str, int, int]]:
    """Kind and span of each finding."""
    found = []
    for kind, (form, check, cue) in PATTERNS.items():
        for match in form.finditer(text):
            named = not cue.pattern or cue.search(text, max(0, match.start() - CUE), match.start())
            if named and check(match[0]):
                found.append((kind, *match.span()))
    return found


@scorer(
    "pii_ids",
    version="1",
    reads=["text"],
    writes=[Out(f"pii_{kind}", pa.int32(), f"findings of kind {kind}", "lower", (0, None)) for kind in KINDS],
    cost="cpu",
    citation="ours; Verhoeff 1969; the issuers' checksums, as in microsoft/presidio",
    stage="filter",
)
def pii_ids(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    texts = batch["text"]
    counts = {kind: np.zeros(len(texts), np.int32) for kind in KINDS}
    sieved = pc.match_substring_regex(texts, SIEVE).fill_null(False).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(sieved).tolist():
        for kind, _, _ in find_ids(texts[row].as_py()):
            counts[kind][row] += 1
    null = texts.is_null().to_numpy(zero_copy_only=False)
    columns = {f"pii_{kind}": pa.array(values, pa.int32(), mask=null) for kind, values in counts.items()}
    return columns | {"_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8())}
