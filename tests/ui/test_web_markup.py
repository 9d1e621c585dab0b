"""Markup escapes what it is given; figures read as people write them; forms follow declarations."""

from datetime import UTC, datetime, timedelta

import pytest

from ui.web.charts import graph, histogram
from ui.web.charts.coverage import states
from ui.web.components import figures, samples, values
from ui.web.components.markup import Markup, act, h, link, text
from ui.web.components.parts import licence_chips
from ui.web.components.shell import breakdown, refusal

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def test_text_attributes_and_lists_are_escaped():
    made = h("p", EVIL, [EVIL, Markup("<b>kept</b>")], title=EVIL, hidden=False, data_act="go:a&b")
    assert "<img" not in made
    assert "<script" not in made
    assert "<b>kept</b>" in made
    assert 'data-act="go:a&amp;b"' in made
    assert "hidden" not in made
    assert text(None) == ""


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("text", {"text": EVIL}),
        (
            "chat",
            {
                "messages": [
                    {"role": EVIL, "content": EVIL, "reasoning": EVIL, "tool_calls": f'[{{"a": "{EVIL[:4]}"}}]'}
                ]
            },
        ),
        ("preference", {"messages": None, "chosen": [{"role": "assistant", "content": EVIL}], "rejected": None}),
        ("task", {"messages": [], "answer": EVIL, "choices": [EVIL], "verifier": EVIL, "tools": EVIL}),
        ("knowledge", {"text": "x", "meta": '{"<i>": "<u>", "deep": {"a": ["<s>"]}}'}),
        ("knowledge", {"text": EVIL, "meta": "no json"}),
    ],
)
def test_no_sample_becomes_markup(kind, row):
    made = samples.content(row, kind)
    for tag in ("<img", "<script", "<i>", "<u>", "<s>"):
        assert tag not in made
    assert samples.preview({"text": EVIL, **row}, kind)


def test_a_long_text_says_what_is_left_out():
    made = samples.document("x" * (samples.LONGEST + 1234))
    assert "1,234 more characters" in made
    assert len(made) < samples.LONGEST + 400


def test_links_carry_the_state_and_the_root_is_relative():
    assert link("dataset", ref="web@v1", tab="columns", column=None)["href"] == "dataset?ref=web%40v1&tab=columns"
    assert link("")["href"] == "./"
    assert act("row", 7)["data_act"] == "row:7"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"), (0, "0"), (9_999, "9,999"), (10_000, "10k"), (999_499, "999k"), (999_999, "1M"), (1_234_567, "1.23M"),
        (60_400, "60.4k"), (2_500_000_000, "2.5B"), (-9_999, "−9,999"), (-60_400, "−60.4k"),
    ],
)  # fmt: skip
def test_compact(value, said):
    assert figures.compact(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"), (True, "true"), (12345, "12,345"), (0.5, "0.5"), (3.0, "3"), (-207.312, "−207.3"), (1.23456e-7, "1.23e-07"),
        (-0.25, "−0.25"), (float("nan"), "NaN"), (float("inf"), "∞"), (123456.7, "123,457"), ("en", "en"),
        (-3, "−3"), (-3.0, "−3"), (-0.0, "0"), (-12345, "−12,345"), (-123456.7, "−123,457"), (-1.2e-7, "−1.2e-07"),
        (float("-inf"), "−∞"), ("-3", "-3"),
    ],
)  # fmt: skip
def test_number(value, said):
    assert figures.number(value) == said


def test_every_figure_below_zero_has_a_minus_sign():
    said = [figures.count(-1_200), figures.size(-2_048), figures.plural(-1_200, "row"), figures.number(-1_200)]
    assert said == ["−1,200", "−2 KiB", "−1,200 rows", "−1,200"]


def test_shares_sizes_and_times_do_not_round_to_a_lie():
    assert [figures.share(*pair) for pair in ((1, 1), (9_999, 10_000), (1, 10_000), (0, 5), (1, 0))] == [
        "100%",
        ">99.9%",
        "<0.1%",
        "0%",
        "–",
    ]
    assert [figures.size(value) for value in (12, 1023, 1024, 1_290_000)] == ["12 B", "1,023 B", "1 KiB", "1.23 MiB"]
    assert [figures.duration(value) for value in (None, 1.23, 60, 125, 7_300)] == [
        "–",
        "1.2 s",
        "60 s",
        "2 min 5 s",
        "2 h 1 min",
    ]
    now = datetime.now(UTC)
    assert figures.ago((now - timedelta(hours=5)).isoformat()) == "5 h ago"
    assert figures.ago((now - timedelta(days=40)).isoformat()) == (now - timedelta(days=40)).date().isoformat()


def test_a_missing_licence_is_never_quiet():
    assert "licence unknown" in "".join(licence_chips({"unknown": 5}))
    assert "unknown 25.0%" in "".join(licence_chips({"MIT": 3, "unknown": 1}))
    assert "+1 licences" in "".join(licence_chips({"MIT": 3, "CC0": 2, "BSD": 1}))


def test_histograms_draw_every_bin_that_is_not_empty():
    held = {
        "histogram": {"edges": [0.0, 1.0, 2.0, 3.0], "counts": [1, 0, 10_000]},
        "quantiles": {"5": 0.2, "50": 2.5, "95": 2.9},
    }
    for log in (False, True):
        made = histogram.figure(held, log=log)
        assert made.count('class="b"') == 2
        assert "2 to 3: 10,000 rows" in made
        assert "median 2.5" in made
    assert histogram.thumbnail(held).count('class="b"') == 2
    assert histogram.thumbnail({"facets": {"en": 3, "de": 1}}).count('class="b"') == 2
    constant = {"histogram": {"edges": [1.0, 1.0 + 1e-13], "counts": [7]}}
    assert ">1</text>" in histogram.figure(constant)
    assert "rect" not in histogram.thumbnail({"count": 3})


def test_coverage_counts_rows_that_nobody_looked_at():
    made = states({"value": 60, "failed": 10}, 100, legend=True)
    assert "not computed" in made
    assert "30" in made
    assert "width:60.000%" in made


def test_a_graph_holds_every_node_once_and_survives_circles():
    nodes = [graph.Node(name, f"{name}<b>") for name in "abcd"]
    edges = [
        graph.Edge("a", "b", "ingest"),
        graph.Edge("b", "c"),
        graph.Edge("a", "c"),
        graph.Edge("c", "b"),
        graph.Edge("d", "nowhere"),
    ]
    made = graph.draw(nodes, edges)
    assert made.count('class="n"') == 4
    assert made.count("<path d=") == 4
    assert "a<b>" not in made
    ranks = graph._ranks(list("abcd"), [(edge.source, edge.target) for edge in edges[:4]])
    assert ranks["a"] < ranks["b"] < ranks["c"]


def test_errors_name_the_remedy_and_hide_the_stack():
    from catalog.errors import Refused

    shown = refusal(Refused("web cannot be promoted; score it first", missing=["column language", "<b>"]))
    assert "score it first" in shown
    assert "column language" in shown
    assert "<b>" not in shown
    try:
        raise KeyError("<lost>")
    except KeyError as error:
        lines = breakdown(error)
    assert "KeyError" in lines
    assert "test_web_markup.py" in lines
    assert "Traceback" not in lines
    assert "<lost>" not in lines


def test_a_value_is_placed_between_the_percentiles():
    assert "left:50.0%" in values._place(5, {"quantiles": {"1": 0, "50": 4, "99": 10}})
    assert "left:100.0%" in values._place(99, {"quantiles": {"1": 0, "99": 10}})
    for odd in (None, True, "en"):
        assert "left" not in values._place(odd, {"quantiles": {"1": 0, "99": 10}})
