"""Personal data and secrets against presidio-analyzer and detect-secrets (data/pii_golden.json, make_pii_golden.py)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from flows.scorers.text._pii import KINDS, find_pii
from flows.scorers.text.secrets import find_secrets

ORACLES = {
    "pii": "presidio-analyzer on planted items and pages; checksums of ISO 7812 and ISO 13616",
    "secrets": "detect-secrets on planted tokens; near misses",
}
GOLDEN = json.loads((Path(__file__).parent / "data/pii_golden.json").read_text("utf-8"))
PAGES = Path(__file__).parents[2] / "examples/data/web_quality_dclm.jsonl"
AGREE = {"email": 13, "phone": 58, "ip": 0, "card": 0, "iban": 0, "ssn": 0}
"""Findings in the pages that both name. What only presidio calls a telephone number are dates, years and decimals but for
three; what only we do are Chinese numbers of one company but for three."""


@cache
def ours() -> dict[str, set[tuple[int, int, int]]]:
    found: dict[str, set[tuple[int, int, int]]] = {kind: set() for kind in KINDS}
    for row, line in enumerate(PAGES.read_text("utf-8").splitlines()):
        for one in find_pii(json.loads(line)["text"]):
            found[one.kind].add((row, one.start, one.end))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_planted_items_are_found_where_presidio_finds_them(kind):
    rows = [row for row in GOLDEN["planted"] if row[0] == kind]
    found = [any(one.kind == kind for one in find_pii(text)) for _, _, text, _ in rows]
    assert found == [theirs for *_, theirs in rows] == [real for _, real, _, _ in rows]
    assert sum(found) == len(found) / 2 == 60


@pytest.mark.parametrize("kind", KINDS)
def test_findings_in_pages_agree(kind):
    theirs = {(row, start, end) for row, name, start, end in GOLDEN["pages"] if name == kind}
    both = [a for a in ours()[kind] if any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for b in theirs)]
    assert len(both) == AGREE[kind]
    assert 0.8 * len(ours()[kind]) <= len(both) >= 0.75 * len(theirs)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in GOLDEN["secrets"]}))
def test_tokens_are_found_where_detect_secrets_finds_them(name):
    rows = [(text[::-1], theirs) for kind, text, theirs in GOLDEN["secrets"] if kind == name]
    assert [len(find_secrets(f"it was {text} then")) == 1 for text, _ in rows] == [theirs for _, theirs in rows]
    assert all(theirs for _, theirs in rows)
