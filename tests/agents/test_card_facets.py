"""Facets narrow what is searched, and count what there is."""

import pytest

from agents.card_facets import among, counted, narrowed
from agents.catalog_cards import cards_of
from agents.discover import NONE_LEFT, discover
from catalog.errors import NotFound
from catalog.testing import attach_columns, sentences, text_dataset


@pytest.fixture
def stock(cat, tmp_path):
    text_dataset(cat, tmp_path, "open", sentences(6), licence="MIT", note="words about volcanoes")
    text_dataset(cat, tmp_path, "closed", sentences(6, seed=1), licence="CC-BY-NC-4.0", note="words about volcanoes")
    text_dataset(cat, tmp_path, "exam", sentences(6, seed=2), role="eval")
    attach_columns(cat, "open", {"language": ["en", "de"] * 3}, scorer="langid")
    return cat


def test_values_are_counted_by_dataset(stock):
    held = counted(cards_of(stock))
    assert held["language"] == {"de": 1, "en": 1}
    assert held["licence"] == {"CC-BY-NC-4.0": 1, "MIT": 1, "unknown": 1}
    assert held["use"]["commercial"] == 1 and held["use"]["research"] == 2
    assert held["role"] == {"training": 2, "eval": 1}


def test_one_value_of_a_facet_is_enough_but_of_columns_all(stock):
    cards = cards_of(stock)
    assert [c.dataset.name for c in narrowed(cards, {"licence": ["MIT", "unknown"]})] == ["exam", "open"]
    assert [c.dataset.name for c in narrowed(cards, {"use": ["commercial"], "role": ["training"]})] == ["open"]
    assert narrowed(cards, {"column": ["language", "embedding"]}) == []
    assert among(stock, {"tier": [], "kind": []}) is None


def test_only_what_is_left_is_searched_and_what_is_kept_of_the_others_stays(stock):
    discover(stock, "volcanoes")
    kept = (stock.settings.home / "discover.arrow").read_bytes()
    found = discover(stock, "volcanoes", among=among(stock, {"use": ["commercial"]}))
    assert [item["ref"] for item in found["datasets"]] == ["open@v1"] and found["searched"] == 1
    assert found["datasets"][0]["ranks"]["words"]["place"] == 1
    assert (stock.settings.home / "discover.arrow").read_bytes() == kept
    none = discover(stock, "volcanoes", among=[])
    assert none["datasets"] == [] and none["gaps"] == [NONE_LEFT]


@pytest.mark.parametrize("asked", [{"tier": ["L9"]}, {"shape": ["round"]}])
def test_a_value_that_no_dataset_has_is_named(stock, asked):
    with pytest.raises(NotFound):
        among(stock, asked)
