"""Writes data/presidio_golden.json: what presidio-analyzer's pattern recognisers say of made-up numbers.

    python tests/oracles/make_presidio_golden.py     (presidio-analyzer==2.2.366, without a language model)

For each kind, random strings of its form, of which about a third carry a right check character; a string counts as found
where the recogniser returns a result of full score, which needs the checksum.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

from presidio_analyzer import predefined_recognizers as known

RECOGNIZERS = {
    "bitcoin": known.CryptoRecognizer(),
    "it_fiscal_code": known.ItFiscalCodeRecognizer(),
    "es_nif": known.EsNifRecognizer(),
    "uk_nhs": known.NhsRecognizer(),
    "pl_pesel": known.PlPeselRecognizer(),
    "in_aadhaar": known.InAadhaarRecognizer(),
}
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def candidates(kind: str, rng: random.Random) -> list[str]:
    """Strings of the form; where the last character checks, all its values are tried for one string in three."""

    def digits(n: int) -> str:
        return "".join(rng.choice("0123456789") for _ in range(n))

    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if kind == "bitcoin":
        return [address(rng, good) for good in (True, False) for _ in range(6)]
    if kind == "it_fiscal_code":
        stems = ["".join(rng.choice(letters) for _ in range(6)) + digits(2) + rng.choice("ABCDEHLMPRST")
                 + f"{rng.randint(1, 28):02d}" + rng.choice(letters) + digits(3) for _ in range(2)]  # fmt: skip
        return [stem + last for stem in stems for last in letters]
    if kind == "es_nif":
        return [stem + last for stem in (digits(8), digits(8)) for last in "TRWAGMYFPDXBNJZSQVHLCKE"]
    if kind == "uk_nhs":
        return [stem + str(last) for stem in (digits(9), digits(9), digits(9)) for last in range(10)]
    if kind == "pl_pesel":
        return [f"{stem}{last}" for stem in ("4405140135", "0207080362", "9909260912") for last in range(10)]
    return [f"{rng.randint(2, 9)}{digits(10)}{last}" for _ in range(4) for last in range(10)]


def address(rng: random.Random, good: bool) -> str:
    """A made-up Bitcoin address."""
    data = b"\x00" + rng.randbytes(20)
    check = hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4] if good else rng.randbytes(4)
    number, text = int.from_bytes(data + check, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" + text


def main() -> None:
    rng, rows = random.Random(0), []
    for kind, recognizer in RECOGNIZERS.items():
        for text in candidates(kind, rng):
            found = recognizer.analyze(text, recognizer.supported_entities, None)
            rows.append([kind, text, any(one.score == 1.0 for one in found)])
    body = ",\n".join(json.dumps(row) for row in rows)
    (Path(__file__).parent / "data/presidio_golden.json").write_text(f"[\n{body}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
