"""`strata rules` and `strata select overlap` as typed, against plain SQL over the same rows."""

import json

import numpy as np
import pyarrow as pa
import pytest

from catalog.testing import append_texts, attach_columns, sentences
from ui.cli.main import run

ROWS = 200


@pytest.fixture
def strata(cat, capsys):
    """A score with holes, a count and a language."""
    rng = np.random.default_rng(2)
    append_texts(cat, "web", sentences(ROWS))
    holes = rng.random(ROWS) < 0.1
    states = pa.array(np.where(holes, None, 1), pa.uint8())
    attach_columns(cat, "web", {"quality": pa.array(rng.random(ROWS), mask=holes)}, scorer="rates", states=states)
    attach_columns(cat, "web", {"words": rng.integers(0, 90, ROWS).astype(np.int32)}, scorer="counts")
    attach_columns(cat, "web", {"language": rng.choice(["en", "de"], ROWS).tolist()}, scorer="langid")
    cat.select("long", "web", "words > 40")

    def call(*words: str, status: int = 0):
        assert run(["--home", str(cat.settings.home), *words]) == status
        told = capsys.readouterr()
        call.err = told.err
        return json.loads(told.out) if "--json" in words and not status else told.out

    return call


def sql(strata, query: str) -> dict:
    return strata("sql", query, "--json")[0]


LINES = "words >= CASE WHEN language = 'de' THEN 60 ELSE 30 END"


@pytest.mark.parametrize(("missing", "holes"), [("drop", "false"), ("keep", "quality IS NULL")])
def test_rules_count_what_sql_counts(strata, missing, holes):
    held = strata("rules", "web", "words >= 30, de: 60", "quality < 0.8", "--missing", missing, "--json")
    passes = f"coalesce({LINES} AND quality < 0.8, false) OR {holes}"
    told = sql(strata, f"SELECT count(*) AS n, sum(chars)::BIGINT AS chars FROM web WHERE {passes}")
    assert (held["kept"], held["kept_total"], held["weight"]) == (told["n"], told["chars"], "chars")
    alone = sql(strata, f"SELECT count(*) FILTER ({LINES}) AS one, count(*) FILTER (quality < 0.8) AS two FROM web")
    assert [step["alone"] for step in held["steps"]] == [alone["one"], alone["two"]]
    rows = strata("sql", f"SELECT language, count(*) AS n FROM web WHERE {passes} GROUP BY 1 ORDER BY 1", "--json")
    assert {entry["value"]: entry["kept"] for entry in held["facets"]["language"]} == {
        r["language"]: r["n"] for r in rows
    }
    strata("select", "save", "kept", "web", "--where", held["where"], "--missing", missing)
    assert strata("select", "show", "kept", "--json")["rows"] == held["kept"]


def test_rules_print_each_step_and_how_to_keep_the_rows(strata):
    text = strata(
        "rules", "web", "words >= 30, de: 60", "quality < 0.8, fr: 0.5", "--missing", "keep", "--examples", "2"
    )
    assert "keeps alone" in text and "takes away" in text and "rows without a value, which are kept" in text
    assert (
        text.count("nearest words >= 30, kept:") == 1
        and 'strata select save NAME web --where "((language = ' in strata.err
    )
    assert "no row of web@v1 has the language 'fr'" in strata.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rules", "web", "wrods >= 3"], "did you mean words"),
        (["rules", "web", "language >= 3"], "not a number"),
        (["rules", "web", "words = 3"], "cannot be read"),
        (["rules", "web", "quality >= 0.3"], "do not cover every row"),
        (["rules", "web", "words >= 3", "--missing", "skip"], "must be drop, keep or error"),
        (["rules", "wbe", "words >= 3"], "did you mean web"),
        (["rules", "web"], "RULE"),
        (["select", "overlap", "lnog", "web"], "did you mean long"),
        (["select", "overlap", "words > 3", "web"], "--from DATASET"),
        (["select", "overlap", "quality > 0.3", "long", "--from", "web"], "do not cover every row"),
        (["select", "overlap", "wrods > 3", "long", "--from", "web"], "wrods"),
    ],
)
def test_mistakes_end_with_one_line(strata, words, line):
    strata(*words, status=2)
    assert line in strata.err and strata.err.count("\n") == 1 and strata.err.startswith("error: ")


def test_the_overlap_of_two_row_sets_is_what_sql_counts(strata):
    held = strata("select", "overlap", "long", "quality > 0.5", "--from", "web", "--missing", "drop", "--json")
    a, b = "coalesce(words > 40, false)", "coalesce(quality > 0.5, false)"
    for part, where in (("only_a", f"{a} AND NOT {b}"), ("only_b", f"NOT {a} AND {b}"), ("both", f"{a} AND {b}")):
        told = sql(strata, f"SELECT count(*) AS n, sum(chars)::BIGINT AS chars FROM web WHERE {where}")
        assert (held[part]["rows"], held[part]["total"]) == (told["n"], told["chars"])
    text = strata("select", "overlap", "long", "web@v1", "--examples", "1")
    assert "only long" in text and "only web@v1" in text and f"{held['a']['name']}" == "long"
    assert strata("select", "overlap", "web", "web", "--json")["jaccard"] == 1
