"""Shares of natural, rephrased and generated text: declared by part, shown, and refused outside what is expected."""

import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound, Refused
from catalog.mixes import load_lock, preview
from catalog.testing import append_texts, attach_columns


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    for name, rows in (("web", 60), ("reworded", 60), ("textbook", 20)):
        append_texts(cat, name, [f"{name} number {row}" for row in range(rows)])
    return cat


def spec(origins=("natural", "rephrased", "generated"), weights=(6, 3, 1), **more):
    names = ("web", "reworded", "textbook")
    parts = [
        {"dataset": name, "weight": weight, **({"origin": origin} if origin else {})}
        for name, weight, origin in zip(names, weights, origins)
    ]
    return {"name": "small", "total": 50, "parts": parts, **more}


def test_shares_are_shown_beside_the_published_one_and_locked(cat):
    assert preview(cat, spec())["origins"] == {
        "natural": 0.6, "rephrased": 0.3, "generated": 0.1, "of": "samples", "undeclared parts": 0,
        "published share of rephrased": 0.3,
    }  # fmt: skip
    made = cat.publish_mix(spec(expect={"rephrased": [0.2, 0.4], "synthetic": [0, 0.5]}))
    lock = load_lock(cat, "small@v1")
    assert lock["origins"]["shares"] == {"natural": 0.6, "rephrased": 0.3, "generated": 0.1}
    assert (
        lock["origins"]["expect"] == {"rephrased": [0.2, 0.4], "synthetic": [0, 0.5]} and made.digest == lock["digest"]
    )


def test_shares_count_tokens_where_all_parts_have_them(cat):
    for name, rows, tokens in (("web", 60, 10), ("reworded", 60, 10), ("textbook", 20, 90)):
        attach_columns(cat, name, {"tokens": [tokens] * rows}, scorer="token_count")
    found = preview(cat, spec())["origins"]
    assert found["of"] == "tokens" and found["generated"] == pytest.approx(0.1 * 90 / (0.9 * 10 + 0.1 * 90))


@pytest.mark.parametrize(
    ("expect", "said"),
    [({"synthetic": [0, 0.3]}, "synthetic text is 0.4000 of its samples, and 0 to 0.3 is expected"),
     ({"rephrased": [0.35, 1]}, "rephrased text is 0.3000"), ({"natural": [0.7, 1]}, "natural text is 0.6000")],
)  # fmt: skip
def test_a_share_outside_the_expected_range_is_not_published(cat, expect, said):
    with pytest.raises(Refused, match=said):
        cat.publish_mix(spec(expect=expect))
    assert preview(cat, spec(expect=expect))["refused"][0].count(said) == 1
    with pytest.raises(NotFound):
        load_lock(cat, "small")


def test_an_undeclared_part_is_named_only_where_something_is_expected(cat):
    open_spec = spec(origins=("natural", None, "generated"))
    assert preview(cat, open_spec)["origins"]["undeclared parts"] == 1
    with pytest.raises(Refused, match=r"part 2 \(reworded\) declares none"):
        cat.publish_mix({**open_spec, "expect": {"synthetic": [0, 1]}})


def test_a_mix_that_says_nothing_of_origins_has_the_lock_it_had(cat):
    cat.publish_mix(spec(origins=(None, None, None)))
    lock = load_lock(cat, "small@v1")
    assert "origins" not in lock and "origin" not in str(lock["spec"]) and "expect" not in lock["spec"]


def test_refined_text_cannot_be_called_natural(cat):
    cat.create_dataset("refined", kind="text", tier="L3")
    append_texts(cat, "refined", [f"text {row}" for row in range(30)])
    parts = [
        {"dataset": "web", "weight": 1, "origin": "natural"},
        {"dataset": "refined", "weight": 1, "origin": "natural"},
    ]
    with pytest.raises(BadInput, match="of tier L3, rewritten or synthesised"):
        preview(cat, {"name": "both", "total": 20, "parts": parts})


def test_what_is_expected_holds_after_a_revision(cat):
    cat.publish_mix(spec(expect={"rephrased": [0.2, 0.4]}))
    with pytest.raises(Refused, match="rephrased text is"):
        cat.revise_mix("small@v1", 10, {"reworded": 30})
    again = cat.revise_mix("small@v1", 10, {"reworded": 4})
    assert 0.3 < again.lock["origins"]["shares"]["rephrased"] < 0.4


@pytest.mark.parametrize("wrong", [{"rephrased": [0.4, 0.2]}, {"rephrased": [0, 2]}, {"human": [0, 1]}])
def test_a_range_that_is_none_is_refused(cat, wrong):
    with pytest.raises(BadInput, match="expect"):
        preview(cat, spec(expect=wrong))
