"""What a filter would keep is what a selection of it holds; what a score goes along with agrees with scipy."""

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput, NotFound
from catalog.testing import append_texts, attach_columns, sentences


@pytest.fixture
def web(cat):
    append_texts(cat, "web", sentences(200))
    rng = np.random.default_rng(0)
    chars = np.array([v for b in cat.scan("web", ["chars"]) for v in b.column("chars").to_pylist()])
    language = np.where(rng.random(200) < 0.7, "en", "de")
    quality = np.log(chars) + rng.normal(0, 0.3, 200) + (language == "de")
    held = {
        "quality": pa.array(quality, pa.float32()),
        "language": pa.array(language),
        "noise": pa.array(rng.random(200)),
    }
    attach_columns(cat, "web", held, scorer="rates")
    return cat


def table(cat, *columns):
    return pa.Table.from_batches(list(cat.scan("web", list(columns)))).to_pandas()


def test_counts_equal_a_selection_of_the_same_filter(web):
    where = "quality > 5.5 AND language = 'en'"
    held, rows = web.explore("web", where), table(web, "quality", "language", "chars")
    kept = rows[(rows.quality > 5.5) & (rows.language == "en")]
    assert (held["rows"], held["kept"], held["kept_total"]) == (200, len(kept), kept.chars.sum())
    assert held["kept"] == web.lance("web").count_rows(web.predicate("web", where))
    by = {entry["value"]: entry for entry in held["facets"]["language"]}
    assert by["en"]["kept"] == len(kept) and by["de"]["kept"] == 0
    assert by["en"]["rows"] + by["de"]["rows"] == 200


def test_examples_lie_just_on_either_side_of_the_line(web):
    rows = table(web, "quality", "sample_id", "text")
    (edge,) = web.explore("web", "quality >= 5.5", examples=5)["edges"]
    above = rows[rows.quality >= 5.5].nsmallest(5, "quality")
    below = rows[rows.quality < 5.5].nlargest(5, "quality")
    assert [e["sample_id"] for e in edge["kept"]] == above.sample_id.tolist()
    assert [e["sample_id"] for e in edge["dropped"]] == below.sample_id.tolist()
    assert edge["dropped"][0]["text"] == below.text.iloc[0][:400]


def test_the_kept_side_meets_the_whole_filter(web):
    edges = web.explore("web", "language = 'en' AND quality > 5.5 AND noise < 0.5")["edges"]
    assert [(e["column"], e["operator"], e["threshold"]) for e in edges] == [("quality", ">", 5.5), ("noise", "<", 0.5)]
    english = set(table(web, "sample_id", "language").query("language == 'en'").sample_id)
    assert {e["sample_id"] for edge in edges for e in edge["kept"]} <= english


def test_a_comparison_in_a_string_is_no_line(web):
    assert web.explore("web", "text LIKE '%quality > 5%'")["edges"] == []


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda cat: cat.explore("web", "qualty > 1"), NotFound, "quality"),
        (lambda cat: cat.explore("web", "quality > 1", by=["nosuch"]), NotFound, "nosuch"),
        (lambda cat: cat.explore("web", "quality > 1", by=["noise"]), BadInput, "noise"),
        (lambda cat: cat.confounds("web", "language"), BadInput, "not a number"),
        (lambda cat: cat.confounds("web", "nosuch"), NotFound, "nosuch"),
    ],
)
def test_mistakes_are_one_line(web, call, error, said):
    with pytest.raises(error, match=said):
        call(web)


def test_a_column_that_covers_few_rows_needs_a_word_about_the_rest(web):
    append_texts(web, "web", sentences(10, seed=7))
    with pytest.raises(BadInput, match="missing"):
        web.explore("web", "quality > 5.5")
    dropped = web.explore("web", "quality > 5.5", missing="drop")
    assert web.explore("web", "quality > 5.5", missing="keep")["kept"] == dropped["kept"] + 10


def test_what_a_score_goes_along_with_agrees_with_scipy(web):
    from scipy import stats

    held, rows = web.confounds("web", "quality"), table(web, "quality", "language", "chars", "noise")
    numbers = {entry["column"]: entry for entry in held["numbers"]}
    assert held["sampled"] == held["values"] == 200
    assert numbers["length"]["spearman"] == pytest.approx(stats.spearmanr(rows.quality, rows.chars)[0], abs=1e-4)
    assert numbers["noise"]["spearman"] == pytest.approx(stats.spearmanr(rows.quality, rows.noise)[0], abs=1e-4)
    assert numbers["noise"]["low"] < numbers["noise"]["spearman"] < numbers["noise"]["high"]
    quality, noise, length = (stats.rankdata(rows[name]) for name in ("quality", "noise", "chars"))

    def without_length(ranks):
        fit = stats.linregress(length, ranks)
        return ranks - fit.intercept - fit.slope * length

    partial = stats.pearsonr(without_length(quality), without_length(noise))[0]
    assert numbers["noise"]["length_fixed"] == pytest.approx(partial, abs=1e-4)
    (language,) = [entry for entry in held["labels"] if entry["column"] == "language"]
    h = stats.kruskal(*(group.quality for _, group in rows.groupby("language")))[0]
    assert language["eta_squared"] == pytest.approx(max(0, (h - 1) / 198), abs=1e-4)
    assert {entry["value"] for entry in language["top"]} == {"en", "de"}


def test_constant_and_empty_columns_are_left_out(web):
    attach_columns(web, "web", {"same": pa.array([1.0] * 200), "none": pa.nulls(200, pa.float64())}, scorer="flat")
    names = {entry["column"] for entry in web.confounds("web", "quality")["numbers"]}
    assert not names & {"same", "none", "quality", "line"}
    with pytest.raises(BadInput, match="ten are needed"):
        web.confounds("web", "none")
