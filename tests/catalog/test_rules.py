"""Rules on a deck keep what a selection of their WHERE holds; two row sets beside each other are plain set algebra."""

import numpy as np
import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.overlap import overlap, overlap_of, side_of
from catalog.rules import Rule, deck, parse_rules, preview, rules_where, write_rules
from catalog.selections import save
from catalog.testing import append_texts, attach_columns, sentences

ROWS = 500
RNG = np.random.default_rng(1)
QUALITY = RNG.choice(np.array([0.1, 0.25, 0.4, 0.4, 0.5, 0.7, np.nan], np.float32), ROWS)
WORDS = RNG.integers(0, 40, ROWS).astype(np.int32)
LANGUAGE = RNG.choice(np.array(["en", "de", "fr", "it's"]), ROWS)
HOLES = RNG.random(ROWS) < 0.1


@pytest.fixture(scope="module")
def cat(tmp_path_factory) -> Catalog:
    """Scores that lie on the lines, a NaN among them, rows without a value, rows without a language."""
    held = Catalog.open(tmp_path_factory.mktemp("rules") / "home")
    append_texts(held, "web", sentences(ROWS), fragments=3)
    states = pa.array(np.where(HOLES, None, 1), pa.uint8())
    columns = {"quality": pa.array(QUALITY, pa.float32(), mask=HOLES), "loss_two": pa.array(RNG.random(ROWS))}
    attach_columns(held, "web", columns, scorer="rates", states=states)
    attach_columns(held, "web", {"words": WORDS}, scorer="counts")
    language = pa.array([None if at % 50 == 0 else name for at, name in enumerate(LANGUAGE)])
    attach_columns(held, "web", {"language": language}, scorer="langid")
    return held


def reference(cat: Catalog, where: str, missing: str) -> int:
    return cat.lance("web").count_rows(cat.predicate("web", where, missing))


CASES = [
    [Rule("quality", ">=", 0.4)],
    [Rule("quality", ">", 0.4)],
    [Rule("quality", "<=", 0.4), Rule("words", ">", 7)],
    [Rule("quality", "<", 0.4)],
    [Rule("words", ">=", 7.5)],
    [Rule("words", "<", 7.5), Rule("words", ">", 2.5)],
    [Rule("words", "<=", 7.5)],
    [Rule("quality", ">=", 0.4, (("de", 0.7), ("it's", 0.1))), Rule("words", "<", 30, (("en", 10),))],
    [Rule("loss_two", "<", 0.5), Rule("quality", ">=", 0.25, (("nobody", 0.9),))],
]


@pytest.mark.parametrize("missing", ["drop", "keep"])
@pytest.mark.parametrize("rules", CASES, ids=write_rules)
def test_a_deck_keeps_what_a_selection_of_the_same_rules_holds(cat, rules, missing):
    held = preview(cat, deck(cat, "web", [rule.column for rule in rules]), rules, missing=missing, examples=3)
    assert held["kept"] == reference(cat, held["where"], missing)
    told = cat.explore("web", held["where"], missing=missing, examples=3)
    for name in ("rows", "kept", "share", "total", "kept_total", "facets", "weight"):
        assert held[name] == told[name], name
    assert held["steps"][-1]["left"] == reference(cat, held["where"], "drop")
    assert [step["alone"] for step in held["steps"]] == [reference(cat, step["rule"], "drop") for step in held["steps"]]


def test_examples_are_the_rows_nearest_to_their_own_line(cat):
    rule = Rule("words", ">=", 20, (("de", 5),))
    (edge,) = preview(cat, deck(cat, "web", ["words"]), [rule], examples=20)["edges"]
    lines = np.where([at % 50 and name == "de" for at, name in enumerate(LANGUAGE)], 5, 20)
    for side, mask in (("kept", lines <= WORDS), ("dropped", lines > WORDS)):
        near = np.sort(np.abs(WORDS - lines)[mask])[:20]
        ids = {row["sample_id"] for row in edge[side]}
        assert len(ids) == 20
        wanted = [abs(row - line) for row, line, name in zip(WORDS, lines, cat_ids(cat), strict=True) if name in ids]
        assert sorted(wanted) == near.tolist()


def cat_ids(cat: Catalog) -> list[str]:
    return [name for batch in cat.scan("web", ["sample_id"]) for name in batch[0].to_pylist()]


def test_rules_survive_the_address():
    for rules in CASES:
        assert parse_rules(write_rules(rules)) == rules
    assert parse_rules("") == []
    for odd in ("quality", "quality>=", "quality>=x", "a>=1,de", "a>=1,de:x"):
        with pytest.raises(BadInput, match="cannot be read"):
            parse_rules(odd)


def test_what_is_no_rule_is_refused_in_one_line(cat):
    with pytest.raises(NotFound):
        deck(cat, "web", ["nothing"])
    with pytest.raises(BadInput, match="not a number"):
        deck(cat, "web", ["language"])
    with pytest.raises(BadInput, match="score langid"):
        rules_where([Rule("words", ">", 1, (("de", 2),))], None)
    with pytest.raises(BadInput, match="must be a number"):
        rules_where([Rule("words", ">", float("nan"))], None)


def test_two_sets_are_split_into_what_each_alone_and_both_hold(cat):
    a, b = ("web", "words < 25", "error"), ("web", "words >= 10 AND language = 'en'", "drop")
    held = overlap(cat, a, b, examples=5)
    english = np.array([at % 50 != 0 and name == "en" for at, name in enumerate(LANGUAGE)])
    in_a, in_b = WORDS < 25, (WORDS >= 10) & english
    chars = np.array([n for batch in cat.scan("web", ["chars"]) for n in batch[0].to_pylist()])
    ids = np.array(cat_ids(cat))
    for part, mask in (("only_a", in_a & ~in_b), ("only_b", in_b & ~in_a), ("both", in_a & in_b)):
        assert (held[part]["rows"], held[part]["total"]) == (mask.sum(), chars[mask].sum())
        assert {row["sample_id"] for row in held[part]["examples"]} <= set(ids[mask])
        assert len(held[part]["examples"]) == min(5, mask.sum())
    assert held["jaccard"] == pytest.approx((in_a & in_b).sum() / (in_a | in_b).sum(), abs=1e-6)
    whole = overlap(cat, ("web", None, "error"), a)
    assert (whole["only_b"]["rows"], whole["both"]["rows"]) == (0, in_a.sum())
    with pytest.raises(BadInput, match="no ids in common"):
        overlap(cat, a, ("other", None, "error"))


@pytest.mark.parametrize("missing", ["drop", "keep"])
@pytest.mark.parametrize("rules", CASES, ids=write_rules)
def test_rules_without_a_deck_say_the_same(cat, monkeypatch, rules, missing):
    held = cat.rules("web", rules, missing=missing, examples=0)
    assert held == cat.rules("web", [write_rules(rules)], missing=missing, examples=0)
    monkeypatch.setattr("catalog.rules.DECK_ROWS", ROWS - 1)
    scanned = cat.rules("web", rules, missing=missing, examples=0)
    assert {**scanned, "edges": []} == {**held, "edges": []}


def test_rules_as_people_write_them_and_what_is_refused(cat):
    assert parse_rules(" quality >= 0.4 , de : 0.3 | words<9 ") == [
        Rule("quality", ">=", 0.4, (("de", 0.3),)),
        Rule("words", "<", 9.0),
    ]
    held = cat.rules("web", ["words >= 10, xx: 3", "words < 20"])
    assert held["kept"] == int(((WORDS >= 10) & (WORDS < 20)).sum())
    assert held["notes"] == ["no row of web@v1 has the language 'xx': its line decides nothing"]
    for rules, options, kind, line in (
        (["quality >= 0.4"], {}, BadInput, "do not cover every row"),
        (["quality >= 0.4"], {"missing": "skip"}, BadInput, "must be drop, keep or error"),
        (["wrods >= 4"], {}, NotFound, "did you mean words"),
        (["language >= 4"], {}, BadInput, "not a number"),
        ([], {}, BadInput, "1 to 16 rules, not 0"),
        (["words >= 4"] * 17, {}, BadInput, "not 17"),
        (["words >= nan"], {}, BadInput, "must be a number"),
    ):
        with pytest.raises(kind, match=line) as caught:
            cat.rules("web", rules, **options)
        assert "\n" not in str(caught.value)


def test_sides_are_selections_versions_or_filters(cat):
    save(cat, "low", "web", "words < 25")
    save(cat, "good", "web", "quality > 0.3", missing="drop")
    assert side_of(cat, "good") == ("web", "quality > 0.3", "drop") and side_of(cat, "web") == ("web@v1", None, "error")
    assert side_of(cat, "words > 3", "web", "keep") == ("web@v1", "words > 3", "keep")
    held = overlap_of(cat, "low@v1", "words >= 10", dataset="web", examples=0)
    assert [held[part]["rows"] for part in ("only_a", "only_b", "both")] == [
        int((WORDS < 10).sum()), int((WORDS >= 25).sum()), int(((WORDS >= 10) & (WORDS < 25)).sum()),
    ]  # fmt: skip
    assert held["b"] == {"name": "words >= 10", "dataset": "web@v1", "where": "words >= 10", "missing": "error"}
    for given, dataset, kind, line in (
        ("lwo", None, NotFound, "did you mean low"),
        ("lwo", "web", NotFound, "did you mean low"),
        ("low@v7", None, NotFound, "low@v7"),
        ("words > 3", None, BadInput, "--from DATASET"),
    ):
        with pytest.raises(kind, match=line):
            side_of(cat, given, dataset)
    with pytest.raises(BadInput, match="do not cover every row"):
        overlap_of(cat, "quality > 0.2", "low", dataset="web")
    with pytest.raises(NotFound, match="wrods"):
        overlap_of(cat, "wrods > 2", "low", dataset="web")
