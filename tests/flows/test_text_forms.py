"""Code files, page furniture and formats: small texts with known answers, and loops over characters."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.plugins import Context, get_scorer
from flows.scorers.text.format_shares import measure as formats
from flows.scorers.text.refinedweb_lines import line_class, pattern_words
from flows.scorers.text.refinedweb_lines import measure as refined
from flows.scorers.text.starcoder_code import visible_length

ORACLES = {
    "starcoder_code": "plain Python over characters and lines",
}


def _score(name: str, texts: list[str | None]) -> dict[str, list]:
    scorer = get_scorer(name)
    ctx = Context(params=scorer.parse_params({}))
    found = scorer.function(pa.record_batch({"text": pa.array(texts, pa.string())}), ctx)
    return {key: column.to_pylist() for key, column in found.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab1 \n\r²½一ß<>&é\u2028_"), max_size=40), min_size=1, max_size=4))
def test_code_measures_equal_plain_python(texts):
    found = _score("starcoder_code", texts)
    for i, text in enumerate(texts):
        lines = text.splitlines()
        if text:
            assert found["code_max_line"][i] == max(map(len, lines))
            assert found["code_mean_line"][i] == pytest.approx(sum(map(len, lines)) / len(lines))
            assert found["code_alphanum_share"][i] == pytest.approx(sum(map(str.isalnum, text)) / len(text))
            assert found["code_alpha_share"][i] == pytest.approx(sum(map(str.isalpha, text)) / len(text))


def test_xml_is_told_by_its_first_hundred_characters():
    head = '<?xml version="1.0"?>'
    assert _score("starcoder_code", [head, " " * 60 + head, " " * 95 + head, "x", ""])["code_xml"] == [1, 1, 0, 0, 0]


def test_visible_text_is_what_stands_outside_tags_scripts_and_styles():
    page = "<html><head><style>p {color: red}</style><script>if (a < b) { x() }</script></head><body><p>Hello &amp; you</p></body></html>"
    assert visible_length(page) == len("Hello & you")
    assert visible_length("no markup at all") == 16
    assert visible_length("a < b <![x broken") > 0


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("HOME ABOUT Contact", "uppercase"),
        ("1 234", "numeric"),
        ("3 likes", "counter"),
        ("1,204 Comments", "counter"),
        ("12K views", "counter"),
        ("Menu", "one_word"),
        ("The boat came home before the storm.", ""),
        ("3 likes were given to the post", ""),
    ],
)
def test_lines_are_discarded_by_the_rules_of_the_paper(line, kind):
    assert line_class(line) == kind


def test_patterns_count_in_short_lines_only():
    assert pattern_words("Sign-in to your account") == 1
    assert pattern_words("Our new harbour opens in May. Read more...") == 2
    assert pattern_words("You have 3 items in cart now") == 3
    assert pattern_words("In this chapter we shall read about boats and then you may read more") == 0


def test_removed_words_are_of_all_words():
    found = refined("Menu\nThe boat came home before the storm.\n3 likes\n")
    assert found["rw_removed_words"] == pytest.approx(3 / 10)
    assert found["rw_one_word_lines"] == found["rw_counter_lines"] == pytest.approx(1 / 3)


def test_formats_are_shares_of_the_characters():
    assert formats("```\nx = 1\n```\nab")["code_share"] == pytest.approx(9 / 11)
    assert formats("| a | b |\n| 1 | 2 |\nabcd")["table_share"] == pytest.approx(10 / 14)
    assert formats("- one\n2. two\nabcd")["list_share"] == pytest.approx(9 / 13)
    assert formats("# Head\nabcde")["heading_share"] == pytest.approx(5 / 10)
    assert formats("<b>abc</b>")["html_tag_share"] == pytest.approx(7 / 10)
    assert formats("so $x+1$ is")["maths_share"] == pytest.approx(5 / 9)
    assert formats(r"\[ a = b \] c")["maths_share"] == pytest.approx(7 / 8)


def test_prices_and_comparisons_are_no_formulas_or_tags():
    found = formats("It costs $5 and $7, or US$20 for 3 < 4 and 5 > 2; see a_b and 5-6.")
    assert found["maths_share"] == found["html_tag_share"] == found["list_share"] == 0
