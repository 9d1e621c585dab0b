"""Distribution functions and correlations agree with numpy and scipy; what is stale is named."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

import catalog.distributions as distributions
from catalog import Catalog
from catalog.distributions import correlations, distribution, stale_columns
from catalog.errors import BadInput, NotFound
from catalog.meta.models import ColumnRecord, Recipe
from catalog.testing import append_texts, attach_columns, sentences

ROWS = 400
RNG = np.random.default_rng(2)
QUALITY = RNG.normal(0, 1, ROWS)
LANGUAGE = RNG.choice(np.array(["en", "de", "fr"]), ROWS, p=[0.6, 0.3, 0.1])
LOSS = np.where(RNG.random(ROWS) < 0.3, np.nan, QUALITY * 2 + RNG.normal(0, 1, ROWS))


@pytest.fixture(scope="module")
def cat(tmp_path_factory) -> Catalog:
    held = Catalog.open(tmp_path_factory.mktemp("spread") / "home")
    append_texts(held, "web", sentences(ROWS))
    attach_columns(
        held, "web", {"quality": QUALITY, "steady": np.ones(ROWS), "ties": RNG.integers(0, 4, ROWS)}, scorer="a"
    )
    attach_columns(held, "web", {"loss": pa.array(LOSS, from_pandas=True), "odd": pa.array(LOSS)}, scorer="b")
    attach_columns(held, "web", {"language": LANGUAGE.tolist()}, scorer="langid")
    return held


def values(cat: Catalog, name: str) -> np.ndarray:
    parts = [batch.column(0).to_numpy(zero_copy_only=False) for batch in cat.scan("web", [name])]
    return np.concatenate(parts).astype(float)


def test_a_distribution_function_is_that_of_numpy_for_all_rows_and_by_label(cat):
    held = distribution(cat, "web", "quality", "language")
    assert (held["rows"], held["sampled"]) == (ROWS, ROWS)
    masks = {None: np.ones(ROWS, bool)} | {name: name == LANGUAGE for name in ("en", "de", "fr")}
    assert [group["name"] for group in held["groups"]] == list(masks)
    for group in held["groups"]:
        mine = np.sort(QUALITY[masks[group["name"]]])
        assert group["rows"] == len(mine)
        assert (group["values"][0], group["values"][-1]) == (mine[0], mine[-1])
        for at, value in enumerate(group["values"]):
            share = np.searchsorted(mine, value, side="right") / len(mine)
            assert share >= at / 200 - 1e-12  # the function has reached this share at the value
            assert np.searchsorted(mine, value, side="left") / len(mine) <= at / 200 + 1e-12


def test_not_a_number_and_a_missing_value_are_in_no_distribution(cat):
    for name in ("loss", "odd"):
        (group,) = distribution(cat, "web", name)["groups"]
        assert group["rows"] == np.isfinite(LOSS).sum()


def test_correlations_are_those_of_scipy_over_the_rows_that_have_both(cat):
    held = correlations(cat, "web")
    assert held["columns"][0] == "chars"
    assert held["left_out"] == ["steady"]
    columns = [values(cat, name) for name in held["columns"]]
    for i, row in enumerate(held["matrix"]):
        for j, value in enumerate(row):
            both = np.isfinite(columns[i]) & np.isfinite(columns[j])
            assert value == pytest.approx(spearmanr(columns[i][both], columns[j][both]).statistic, abs=1e-4)
    assert correlations(cat, "web", ["quality", "ties"])["columns"] == ["chars", "quality", "ties"]


def test_a_large_dataset_is_sampled_the_same_each_time_and_says_so(cat, monkeypatch):
    monkeypatch.setattr(distributions, "MATRIX_ROWS", 100)
    first, again = correlations(cat, "web"), correlations(cat, "web")
    assert first == again
    assert 50 < first["sampled"] < 160 and first["rows"] == ROWS


def test_what_cannot_be_drawn_is_refused_in_one_line(cat):
    with pytest.raises(NotFound):
        distribution(cat, "web", "nothing")
    with pytest.raises(BadInput, match="not a number"):
        distribution(cat, "web", "language")
    with pytest.raises(BadInput, match="by a label"):
        distribution(cat, "web", "quality", "ties")
    with pytest.raises(BadInput, match="not a number"):
        correlations(cat, "web", ["language"])


def test_a_column_of_an_older_method_or_row_set_is_stale(cat):
    assert stale_columns(cat, cat.resolve("web")) == {}
    column = next(c for c in cat.columns("web") if c.alias == "language")
    with cat.session() as session:
        session.add(Recipe(fingerprint=column.fingerprint, scorer="langid", body={"version": "0"}))
        held = session.get(ColumnRecord, next(c.id for c in cat.columns("web") if c.alias == "ties"))
        held.scope, held.population = "population", "web@v7"
        session.add(held)
        session.commit()
    found = stale_columns(cat, cat.resolve("web"))
    assert found["language"][0].startswith("made by langid 0; ")
    assert found["ties"] == ["for web@v7, not web@v1"]
