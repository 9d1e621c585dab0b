"""Every page of the web face in Streamlit's own test runner: an empty home, and a small real one."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.testing import attach_columns, sentences, write_jsonl
from flows import promote, score
from ui.web.components.shell import breakdown, refusal
from ui.web.testing import APP, alerts, markup, said, view

PAGES = ("home", "discover", "dataset", "grade", "flows", "sql", "mixes", "experiments", "intake", "incidents", "admin")
TURN = {"role": "user", "content": "Add two and two"}
EVIL = "<script>window.hacked = 1</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Datasets of four kinds in two tiers, with scores, a verdict, two versions, a tag, two mixes and an eval."""
    folder = tmp_path_factory.mktemp("web")
    cat = Catalog.open(folder / "home")

    def ingest(name: str, rows: list, file: str = "", **facts) -> None:
        cat.ingest([write_jsonl(folder / f"{file or name}.jsonl", rows)], name, **facts)

    pages = [
        {"text": text, "url": f"https://example.org/{at}"} for at, text in enumerate(sentences(60, low=60, high=90))
    ]
    ingest("web", [*pages, {"text": EVIL}, pages[0], {"text": ""}], licence="MIT", owner="ada", note="crawled pages")
    ingest("web", sentences(9, seed=2), "more", licence=None)
    chats = [{"messages": [TURN, {"role": "assistant", "content": f"That is {at}."}]} for at in range(12)]
    ingest("chats", chats)
    sides = {
        "chosen": [{"role": "assistant", "content": "Four."}],
        "rejected": [{"role": "assistant", "content": "Five."}],
    }
    ingest("pairs", [{"prompt": [TURN], **sides}] * 3, licence="Apache-2.0")
    tasks = [{"question": f"What is {at} and {at}?", "answer": f"Add them. #### {2 * at}"} for at in range(8)]
    ingest("sums", tasks, licence="MIT", role="eval")
    score(cat, "web", ["langid", "gopher_quality", "exact_dup", "token_count"])
    score(cat, "web", ["text_length"], sample=20)
    score(cat, "chats", ["token_count"])
    rules = {
        "few_words": "word_count < 70",
        "copies": "NOT exact_dup_keep",
        "near_copies": "NOT minhash_keep",
        "personal": "pii_count > 9",
        "secrets": "secrets_count > 0",
    }
    recipe = {
        "name": "short",
        "to": "L1",
        "kinds": ["text"],
        "scores": ["langid", "gopher_quality", "exact_dup", "minhash", "pii", "secrets"],
        "drop": [{"name": name, "where": where} for name, where in rules.items()],
        "missing": "keep",
    }
    promote(cat, "web", "L1", recipe=recipe)
    cat.tag("web@v1", "first")
    parts = [{"dataset": "web-l1", "weight": 2, "max_epochs": 3}, {"dataset": "chats", "weight": 1}]
    cat.publish_mix({"name": "blend", "parts": parts})
    cat.publish_mix({"name": "blend", "seed": 9, "parts": parts[:1]})
    return folder / "home"


def opened(home: Path, monkeypatch) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    return AppTest.from_file(str(APP), default_timeout=120)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_home_says_what_to_do(page, tmp_path, monkeypatch):
    at = opened(tmp_path / "none", monkeypatch)
    text = view(at, page)
    assert alerts(at) == 0
    assert "strata" in text


@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws_a_real_home(home, monkeypatch, page):
    at = opened(home, monkeypatch)
    view(at, page)
    assert alerts(at) == 0


REFUSED = [
    ("dataset", {"ref": "gone"}), ("dataset", {"ref": "web@v99"}), ("mixes", {"mix": "gone"}), ("mixes", {"mix": "blend@v7"}),
    ("grade", {"campaign": "gone"}), ("incidents", {"receipt": "abcdef12"}), ("incidents", {"proposal": "abcdef12"}),
    ("discover", {"a": "gone", "b": "web"}), ("assistant", {"tab": "proposals", "proposal": "ffffffff"}),
]  # fmt: skip


@pytest.mark.parametrize(("page", "query"), REFUSED, ids=[f"{page}-{query}" for page, query in REFUSED])
def test_a_page_that_refuses_has_one_heading_of_its_own(home, monkeypatch, page, query):
    at = opened(home, monkeypatch)
    view(at, page, **query)
    assert alerts(at) == 1 and markup(at).count("<h1") == 1


def test_a_failure_is_a_heading_only_where_it_stands_for_the_page():
    for made, whole in ((refusal(NotFound("dataset", "gone", [])), False), (refusal(BadInput("no; try"), whole=True), True),
                        (breakdown(ValueError("x")), False), (breakdown(ValueError("x"), whole=True), True)):  # fmt: skip
        assert ("<h1" in made) is whole and 'role="alert"' in made


def test_home_shows_lanes_sizes_licences_and_what_ran(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "home")
    for words in (
        "L0 raw",
        "L4 organized",
        "5 datasets",
        "licence unknown",
        "of web@v2",
        "eval",
        "promote",
        "strata promote NAME --to L2",
    ):
        assert words in text
    assert "dataset?ref=web-l1" in markup(at)


def test_home_facets_narrow_the_lanes_and_live_in_the_address(home, monkeypatch):
    at = opened(home, monkeypatch)
    view(at, "home")
    at.multiselect(key="in_kind").select("chat").run()
    assert "dataset?ref=chats" in markup(at)
    assert "dataset?ref=pairs" not in markup(at)
    assert at.query_params["kind"] in ("chat", ["chat"])
    at.multiselect(key="in_kind").unselect("chat").run()
    at.text_input(key="in_q").set_value("crawled").run()
    assert "dataset?ref=web" in markup(at)
    assert "dataset?ref=chats" not in markup(at)
    view(at, "home", score="word_count", licence="MIT")
    assert "dataset?ref=web-l1" in markup(at)
    assert "dataset?ref=sums" not in markup(at)


def test_card_shows_licences_provenance_and_quarantine(home, monkeypatch):
    text = view(opened(home, monkeypatch), "dataset", ref="web")
    for words in (
        "not verified",
        "crawled pages",
        "empty text",
        "ingest",
        "median",
        "gopher_quality",
        "first",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("web", ["of 71", "https://example.org/0", "kept in web_l1", "line 1"]),
        ("web@v1", ["of 62"]),
        ("chats", ["assistant", "That is 0."]),
        ("pairs", ["chosen", "rejected", "Four", "Five"]),
        ("sums", ["answer", "What is 0 and 0?"]),
    ],
)
def test_samples_of_every_kind(home, monkeypatch, ref, words):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref=ref, tab="samples")
    assert alerts(at) == 0
    for word in words:
        assert word in text


def test_samples_filter_sort_page_and_say_why_a_row_was_dropped(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web", tab="samples", where="word_count >= 85", sort="word_count", order="up")
    assert re.search(r"1–\d+\s+of \d+ matching, 71 in all, by word_count", text)
    assert "of 71" in view(at, "dataset", ref="web", tab="samples", at="50")
    assert "51–71" in said(at)
    text = view(at, "dataset", ref="web", tab="samples", where="verdict_web_l1 = 'few_words'")
    assert "dropped from web_l1: few_words" in text
    assert alerts(at) == 0


def test_samples_refuse_a_filter_in_one_line_and_go_on(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web", tab="samples", where="bytes_utf8 > 3")
    assert "do not cover every row" in text
    assert "bytes_utf8" in view(
        at, "dataset", ref="web", tab="samples", where="bytes_utf8 > 3", missing="drop", show="bytes_utf8"
    )
    assert alerts(at) == 0
    assert "did you mean word_count" in view(at, "dataset", ref="web", tab="samples", where="word_cuont > 3")
    assert alerts(at) == 1


def test_samples_search_by_words_and_trace(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web", tab="samples", q="Item 7 of series 2")
    assert "best hits, by relevance" in text
    name = next(iter(Catalog.open(home).scan("web-l1", ["sample_id"], limit=1))).column(0)[0].as_py()
    row = (
        next(iter(Catalog.open(home).scan("web-l1", ["sample_id"], limit=1, with_row_id=True)))
        .column("_rowid")[0]
        .as_py()
    )
    text = view(at, "dataset", ref="web-l1", tab="samples", row=str(row), trace=name)
    for words in ("everywhere", "web-l1", "since v1", "blend@v2"):
        assert words in text


def test_a_hostile_sample_stays_text(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web", tab="samples", q="window hacked")
    assert EVIL in text
    assert "<script" not in markup(at)
    assert "<img" not in markup(at)


def test_columns_show_distribution_coverage_length_recipe(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web", tab="columns", column="word_count")
    for words in (
        "Distribution",
        "Coverage",
        "Rank correlation with characters",
        "Recipe",
        "Rae et al. 2021",
        "fingerprint",
        "median",
    ):
        assert words in text
    assert "<rect" in markup(at)
    text = view(at, "dataset", ref="web", tab="columns", column="bytes_utf8")
    assert "not sampled" in text
    assert "strata score pairs" in view(at, "dataset", ref="pairs", tab="columns")


def test_explore_counts_what_a_filter_keeps_and_shows_both_sides(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web", tab="explore", where="word_count >= 85", missing="drop")
    kept = Catalog.open(home).explore("web", "word_count >= 85", missing="drop")
    assert f"{kept['kept']} of {kept['rows']}" in text and "nearest to word_count >= 85" in text
    assert "rank correlation" in view(at, "dataset", ref="web", tab="explore", **{"with": "word_count"})
    assert "did you mean word_count" in view(at, "dataset", ref="web", tab="explore", where="word_cuont > 3")
    assert "Write a filter" in view(at, "dataset", ref="chats", tab="explore", way="filter")


def test_clusters_show_the_axes_and_say_what_is_missing(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web", tab="clusters")
    assert "Quality, diversity, complexity" in text and "word_count" in text and "score minilm to know" in text
    assert "No clusters yet" in text and "strata score web kmeans" in text
    assert "has no column embedding" in view(at, "dataset", ref="web", tab="clusters", other="web-l1")
    cat = Catalog.open(home)
    rows = cat.resolve("chats").dataset.rows
    attach_columns(cat, "chats", {"cluster": pa.array([0] * rows, pa.int32())}, scorer="kmeans")
    text = view(at, "dataset", ref="chats", tab="clusters")
    assert f"1 cluster of {rows} rows" in text and "100%" in text


def test_versions_list_and_compare(home, monkeypatch):
    text = view(opened(home, monkeypatch), "dataset", ref="web", tab="versions")
    for words in ("+9", "web@v1", "only in the newer", "licences"):
        assert words in text


def test_lineage_draws_files_versions_and_mixes(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "dataset", ref="web-l1", tab="lineage")
    for words in ("web.jsonl", "web@v2", "blend@v1", "promote"):
        assert words in text
    assert "go:mixes?mix=blend%40v1" in markup(at)


def test_an_unknown_dataset_and_a_broken_view_are_one_panel(home, monkeypatch):
    at = opened(home, monkeypatch)
    assert "did you mean web" in view(at, "dataset", ref="wbe")
    monkeypatch.setattr("ui.web.tabs.card._about", lambda held: 1 / 0)
    text = view(at, "dataset", ref="web")
    assert "This view could not be drawn" in text
    assert "ZeroDivisionError" in text
    assert "Traceback" not in text


def test_flows_plan_what_is_missing_and_name_the_command(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "flows", dataset="chats", scorer=["langid", "token_count"])
    for words in (
        "12",
        "done",
        "one pass over the rows",
        "strata score chats langid token_count",
        "history",
    ):
        assert words in text
    text = view(at, "flows", dataset="web", scorer=["perplexity"])
    assert "needed by others" in text
    assert "works on chat, task" in text
    at.number_input(key="sample").set_value(10).run()
    assert "strata score web perplexity --sample 10" in said(at)


def test_flows_form_follows_the_declaration(home, monkeypatch):
    at = opened(home, monkeypatch)
    view(at, "flows", dataset="web", scorer=["minhash"])
    names = {box.label for box in at.number_input}
    assert {"threshold", "num perm"} <= names
    at.number_input(key="param_threshold").set_value(0.9).run()
    assert "--param threshold=0.9" in said(at)


def test_flows_start_runs_the_command_and_shows_it(home, monkeypatch):
    at = opened(home, monkeypatch)
    view(at, "flows", dataset="pairs", scorer=["text_length"])
    at.selectbox(key="place").select("inline").run()
    at.button[0].click().run()
    import time

    deadline = time.monotonic() + 90
    while not Catalog.open(home).columns("pairs") and time.monotonic() < deadline:
        time.sleep(0.3)
    at.run()
    assert "Nothing is missing" in said(at)
    assert "text_length" in said(at)
    run = Catalog.open(home).runs(limit=1)[0]
    assert (run.verb, run.dataset, run.status) == ("score", "pairs", "done")


def test_sql_runs_bounds_and_saves_a_selection(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "sql", q='SELECT language, count(*) AS rows FROM "web" GROUP BY 1', table="web")
    assert "complete" in text
    assert "word_count" in text
    assert at.dataframe[0].value["rows"].sum() == 71
    text = view(at, "sql", q="SELECT text FROM web, range(100)", limit="100")
    assert "only the first 100 rows" in text
    view(at, "sql", q="SELECT * FROM web WHERE word_count > 80 LIMIT 5")
    at.text_input(key="selection_name").set_value("long-pages").run()
    next(button for button in at.button if button.label == "Save").click().run()
    assert "Saved long-pages@v1" in said(at)


def test_select_chooses_by_a_method_and_shows_it_beside_random_and_rs2(home, monkeypatch):
    at = opened(home, monkeypatch)
    assert "No selection of this dataset is saved" in view(at, "dataset", ref="chats", tab="select")
    at.text_input(key="choice_name").set_value("few-chats")
    at.selectbox(key="param_by").set_value("chars")
    at.selectbox(key="param_order").set_value("lowest")
    at.number_input(key="choice_budget").set_value(3).run()
    at.button(key="choice_go").click().run()
    text = said(at)
    for words in ("few-chats@v1", "topk, seed 0", "4 rounds of RS2", "mean chars", "shared with random"):
        assert words in text


def test_sql_refuses_what_writes(home, monkeypatch):
    at = opened(home, monkeypatch)
    view(at, "sql", q="DROP TABLE web")
    assert alerts(at) == 1


def test_mixes_show_lock_samples_diff_and_code(home, monkeypatch):
    at = opened(home, monkeypatch)
    text = view(at, "mixes", mix="blend@v1")
    for words in ("web-l1@v1", "chats@v1", "unknown licences in", "unchecked against 1 eval", "Digests", "chairman"):
        assert words in text
    assert "in the global order" in view(at, "mixes", mix="blend@v1", tab="served")
    text = view(at, "mixes", mix="blend@v2", tab="diff")
    assert "removed" in text
    assert "Samples only in" in text
    view(at, "mixes", mix="blend", tab="train")
    assert 'mix("blend@v2")' in at.code[0].value


def pressed(at: AppTest, label: str) -> None:
    """Click the button with this label."""
    [button] = [item for item in at.button if item.label == label]
    button.click().run()


def test_mixes_preview_and_publish_a_spec(home, monkeypatch):
    at = opened(home, monkeypatch)
    view(at, "mixes", mix="new")
    at.text_area(key="mix_spec").set_value("name: fresh\nparts:\n  - {dataset: chats}").run()
    pressed(at, "Preview")
    assert re.search(r"samples\s+12\b", said(at))
    at.text_area(key="mix_spec").set_value("name: fresh\nparts:\n  - {dataset: sums}").run()
    pressed(at, "Publish")
    assert "role eval" in said(at)
    at.text_area(key="mix_spec").set_value("name: fresh\nparts:\n  - {dataset: chats}").run()
    pressed(at, "Publish")
    assert [mix.name for mix in _mixes(home)].count("fresh") == 1


def _mixes(home: Path) -> list:
    from ui.web.queries.mixtures import published

    return [mix for mixes in published(Catalog.open(home)).values() for mix in mixes]
