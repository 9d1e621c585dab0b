"""Comment shares against the released functions of bigcode-dataset (data/comments_golden.json)."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from catalog import states
from catalog.plugins import Context, get_scorer
from flows.scorers.text.code_comments import comment_share

ORACLES = {
    "code_comments": "bigcode-dataset's get_nl_ratio",
}

GOLDEN = json.loads((Path(__file__).parent / "data/comments_golden.json").read_text("utf-8"))


@pytest.mark.parametrize("language", sorted({language for language, _, _ in GOLDEN}))
def test_shares_equal_the_released_functions(language):
    rows = [(source, ratio) for name, source, ratio in GOLDEN if name == language]
    assert [comment_share(source, language) for source, _ in rows] == [ratio for _, ratio in rows]
    assert any(ratio > 0 for _, ratio in rows) or language == "css"


def _score(rows: list[tuple[str | None, dict | None]], **params) -> dict[str, list]:
    scorer = get_scorer("code_comments")
    columns = {"text": pa.array([text for text, _ in rows], pa.string()),
               "meta": pa.array([json.dumps(meta) if meta else None for _, meta in rows], pa.string())}  # fmt: skip
    found = scorer.function(pa.record_batch(columns), Context(params=scorer.parse_params(params)))
    return {name: column.to_pylist() for name, column in found.items()}


def test_the_language_is_a_field_or_a_parameter():
    source = "// twelve more\nx\n"
    rows = [(source, {"lang": "JavaScript"}), (source, None), (source, {"kind": "C"}), (source, {"lang": "Klingon"})]
    share = pytest.approx(14 / len(source))
    found = _score(rows)
    assert found["code_comment_share"] == [share, 0, 0, None]
    assert found["_state"][3] == states.OUT_OF_VALIDITY
    assert _score(rows[:2], field="kind", language="java")["code_comment_share"] == [share] * 2
    assert _score([("x" * 200, None), ("", None), (None, None)], max_chars=100)["_state"] == [
        states.OUT_OF_VALIDITY, states.UNDEFINED, states.UNDEFINED,
    ]  # fmt: skip


@pytest.mark.parametrize("source", ["(" * 100_000, "x = " + "-" * 50_000 + "1", "\x00", "a\u2028b # c", "1" * 10_000])
def test_what_breaks_the_parser_has_a_share(source):
    assert comment_share(source, "python") >= 0
