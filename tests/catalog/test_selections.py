"""Selections are recipes: versioned, checked when saved, resolved against the dataset of today or a fixed version."""

import pytest

from catalog.errors import BadInput, NameTaken, NotFound
from catalog.selections import count_selection, find_selection, save, selection_predicate, selections
from catalog.testing import append_texts, attach_columns, sentences


@pytest.fixture
def web(cat):
    append_texts(cat, "web", sentences(20))
    attach_columns(cat, "web", {"quality": [k / 20 for k in range(20)]})
    return cat


@pytest.mark.parametrize("cat", ["sqlite", "postgres"], indirect=True)
def test_save_again_makes_the_next_version(web):
    first = save(web, "good", "web", "quality > 0.5", note="try")
    assert (first.version, first.owner) == (1, web.settings.actor)
    assert save(web, "good", "web", "quality > 0.5").version == 1, "the same again changes nothing"
    assert save(web, "good", "web", "quality > 0.7").version == 2
    assert [(s.name, s.version) for s in selections(web)] == [("good", 2)]
    assert find_selection(web, "good").where == "quality > 0.7"
    assert find_selection(web, "good@v1").where == "quality > 0.5"
    assert count_selection(web, "good@v1") == 9 and count_selection(web, "good") == 5
    assert web.sql("SELECT name, version FROM strata.selections ORDER BY version").rows() == [
        {"name": "good", "version": 1},
        {"name": "good", "version": 2},
    ]


def test_follows_the_head_or_stays_on_a_version(web):
    save(web, "short", "web", "chars < 100000")
    save(web, "short-v1", "web@v1", "chars < 100000")
    append_texts(web, "web", sentences(5, seed=3))
    assert (count_selection(web, "short"), count_selection(web, "short-v1")) == (25, 20)
    dataset, predicate = selection_predicate(web, "short-v1")
    assert dataset == "web@v1" and web.lance(dataset).count_rows(predicate) == 20


def test_rows_without_a_value(web):
    save(web, "kept", "web", "quality > 0.5", missing="keep")
    append_texts(web, "web", sentences(5, seed=3))
    with pytest.raises(BadInput, match="do not cover"):
        save(web, "strict", "web", "quality > 0.5")
    save(web, "dropped", "web", "quality > 0.5", missing="drop")
    assert (count_selection(web, "kept"), count_selection(web, "dropped")) == (14, 9)


def test_refusals(web):
    save(web, "good", "web", "quality > 0.5")
    for given, kind, message in (
        (("web", "web", "quality > 0"), NameTaken, "taken by a dataset"),
        (("x", "wbe", "quality > 0"), NotFound, "did you mean web"),
        (("x", "web", "qualty > 0"), NotFound, "did you mean quality"),
        (("x", "web", "quality >"), BadInput, "cannot be used"),
        (("x", "web", " "), BadInput, "needs a WHERE"),
        (("Bad Name", "web", "quality > 0"), BadInput, "cannot be a name"),
        (("x", "web", "quality > 0; DROP TABLE web"), BadInput, "without ';'"),
    ):
        with pytest.raises(kind, match=message):
            save(web, *given)
    assert [s.name for s in selections(web)] == ["good"], "nothing was saved"
    with pytest.raises(NameTaken, match="taken by a selection"):
        web.create_dataset("good", kind="text", tier="L0")
    with pytest.raises(NotFound, match="did you mean good"):
        find_selection(web, "godo")
    with pytest.raises(NotFound, match="good@v1"):
        find_selection(web, "good@v7")
    with pytest.raises(NotFound, match="'web' is a dataset"):
        find_selection(web, "web")


def test_the_facade_saves_lists_and_finds(web):
    made = web.select("good", "web", "quality > 0.7", missing="drop", note="why")
    assert (made.version, made.missing) == (1, "drop") and web.select("good").where == made.where
    assert [held.name for held in web.select()] == ["good"]
    with pytest.raises(BadInput, match="say both its dataset and its where"):
        web.select("half", "web")
