"""Checksums of identity numbers against presidio-analyzer's recognisers (data/presidio_golden.json)."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from catalog.plugins import Context, get_scorer
from flows.scorers.text.pii_ids import KINDS, PATTERNS, find_ids

ORACLES = {
    "pii_ids": "presidio-analyzer's recognisers",
}

GOLDEN = json.loads((Path(__file__).parent / "data/presidio_golden.json").read_text("utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_checksums_equal_presidios(kind):
    rows = [(text, found) for name, text, found in GOLDEN if name == kind]
    form, check, _ = PATTERNS[kind]
    ours = [bool(form.fullmatch(text)) and check(text) for text, _ in rows]
    assert ours == [found for _, found in rows] and 0 < sum(ours) < len(ours)


def test_digits_alone_need_a_word_that_names_them():
    number = next(text for kind, text, found in GOLDEN if kind == "pl_pesel" and found)
    assert find_ids(f"order {number} was sent") == []
    assert [kind for kind, _, _ in find_ids(f"PESEL: {number}")] == ["pl_pesel"]
    assert find_ids(f"PESEL {'x' * 60} {number}") == []


def test_counts_come_by_kind_and_row():
    address = next(text for kind, text, found in GOLDEN if kind == "bitcoin" and found)
    nif = next(text for kind, text, found in GOLDEN if kind == "es_nif" and found)
    scorer = get_scorer("pii_ids")
    texts = pa.array([f"send to {address}, {address}.", f"NIF {nif}", "nothing here", None, ""])
    found = scorer.function(pa.record_batch({"text": texts}), Context(params=scorer.parse_params({})))
    assert found["pii_bitcoin"].to_pylist() == [2, 0, 0, None, 0]
    assert found["pii_es_nif"].to_pylist() == [0, 1, 0, None, 0]
