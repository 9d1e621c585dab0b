"""Personal data in a recognisable form, counted by kind: mail addresses, telephone numbers, IP addresses, payment cards
(Luhn), IBANs (mod 97), United States social security numbers.

The measure is high-precision: names, postal addresses and numbers without a telling form are not found. What counts and
what does not is stated in `_pii`. Rows are first narrowed down by linear-time patterns over the whole batch.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog import states
from catalog.plugins import Context, Out, scorer
from flows.scorers.text._pii import KINDS, find_pii

SIEVES = {
    "email": r"@[A-Za-z0-9-]+\.",
    "iban": r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]",
    "card": r"[2-6](?:[ -]?[0-9]){12}",
    "ip": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2}",
    "ssn": r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}",
    "phone": r"[0-9](?:[ .()/\x{a0}\x{2011}-]{0,2}[0-9]){6}",
}
"""A text that a sieve (RE2) does not match holds nothing of that kind."""


def count_pii(texts: pa.Array) -> dict[str, np.ndarray]:
    """Findings of each row, by kind."""
    counts = {kind: np.zeros(len(texts), np.int32) for kind in KINDS}
    sieved = {kind: _may_hold(texts, sieve) for kind, sieve in SIEVES.items()}
    for row in np.flatnonzero(np.logical_or.reduce(list(sieved.values()))).tolist():
        kinds = tuple(kind for kind in KINDS if sieved[kind][row])
        for found in find_pii(texts[row].as_py(), kinds):
            counts[found.kind][row] += 1
    return counts


def _may_hold(texts: pa.Array, sieve: str) -> np.ndarray:
    return pc.match_substring_regex(texts, sieve).fill_null(False).to_numpy(zero_copy_only=False)


def _out(name: str, doc: str) -> Out:
    return Out(name, pa.int32(), doc, better="lower", range=(0, None))


@scorer(
    "pii",
    version="1",
    reads=["text"],
    writes=[
        _out("pii_email", "mail addresses"),
        _out("pii_phone", "telephone numbers"),
        _out("pii_ip", "public IP addresses"),
        _out("pii_card", "payment card numbers that pass the Luhn check"),
        _out("pii_iban", "IBANs that pass the mod 97 check"),
        _out("pii_ssn", "United States social security numbers"),
        _out("pii_count", "all of these"),
    ],
    cost="cpu",
    citation="ours; ISO/IEC 7812 (Luhn), ISO 13616 (IBAN), ITU-T E.164",
    stage="filter",
)
def pii(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    texts = batch["text"]
    counts = count_pii(texts)
    counts["count"] = sum(counts.values(), np.zeros(len(texts), np.int32))
    null = texts.is_null().to_numpy(zero_copy_only=False)
    columns = {f"pii_{kind}": pa.array(values, pa.int32(), mask=null) for kind, values in counts.items()}
    return columns | {"_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8())}
