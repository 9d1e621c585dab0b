"""What the pages ask of the catalog: facets, examples that run, the filter of a statement, commands."""

import pytest

from catalog import Catalog
from catalog.plugins import get_scorer, plugins
from catalog.testing import sentences, text_dataset
from flows import score
from ui.cli.main import run as strata
from ui.web.components.params import fields
from ui.web.queries import choosing, jobs, overview, statements


@pytest.fixture
def store(cat: Catalog, tmp_path) -> Catalog:
    text_dataset(cat, tmp_path, "web", sentences(30), licence="MIT", note="Crawled <pages>")
    text_dataset(cat, tmp_path, "notes", sentences(5, seed=4), role="target")
    score(cat, "web", ["langid", "gopher_quality", "token_count"])
    return cat


def test_cards_hold_the_facts_of_the_newest_version(store):
    web, notes = sorted(overview.cards(store), key=lambda card: -card.version.rows)
    total = sum(row["tokens"] for batch in store.scan("web", ["tokens"]) for row in batch.to_pylist())
    assert (web.name, web.version.rows, web.tokens) == ("web", 30, total)
    assert sum(web.languages.values()) == 30
    assert web.licences == {"MIT": 30}
    assert notes.licences == {overview.UNKNOWN: 5}
    assert notes.tokens is None


def test_facets_count_datasets_and_matching_narrows(store):
    cards = overview.cards(store)
    facets = overview.facets(cards)
    assert facets["kind"] == {"text": 2}
    assert facets["licence"] == {"MIT": 1, "unknown": 1}
    assert facets["score"]["word_count"] == 1

    def names(*words, **asked):
        return [card.name for card in overview.matching(cards, *words, **asked)]

    assert names("CRAWLED web") == ["web"]
    assert names("nothing") == []
    assert names("", licences=["unknown"]) == ["notes"]
    assert names("", scores=["word_count", "tokens"]) == ["web"]
    assert names("", kinds=["chat"]) == []


def test_every_example_runs(store):
    made = statements.examples(store)
    assert [title for title, _ in made][:3] == ["newest rows", "rows by source and licence", "rows by language"]
    for _, query in made:
        store.sql(query, limit=10).arrow()


def test_the_schema_browser_names_the_columns_that_sql_has(store):
    names = [name for name, _ in statements.columns_of(store, "web")]
    assert names == store.sql("SELECT * FROM web LIMIT 1").columns
    for table in statements.system_tables():
        names = [name for name, _ in statements.columns_of(store, table)]
        assert names == store.sql(f"SELECT * FROM {table} LIMIT 1").columns
    assert statements.short("fixed_size_list<item: halffloat>[384]") == "vector[384]"
    assert statements.short("list<item: string>") == "list of string"
    assert statements.short("dictionary<values=string, indices=int16, ordered=0>") == "string"


def test_offers_say_what_is_there_and_what_cannot_be(store):
    found = store.resolve("web")
    held = {offer.scorer.name: offer for group in choosing.offers(store, found).values() for offer in group}
    assert set(held) == {scorer.name for scorer in plugins("scorer").values() if not scorer.experimental}
    assert held["langid"].covered == 30
    assert held["minhash"].covered is None
    assert held["ifd_cherry"].reason == "works on chat, task"
    assert [scorer.name for scorer in choosing.upstream([get_scorer("perplexity")])] == ["lm_stats", "perplexity"]


@pytest.mark.parametrize("name", sorted(plugins("scorer")))
def test_a_form_has_a_default_for_every_parameter_but_the_required_ones(name):
    scorer = get_scorer(name)
    held = fields([scorer])
    assert set(held) == set(scorer.params.model_fields)
    needed = {"endpoint": "e", "rubric": "prrc", "question": "Which?"}
    given = {key: body["default"] for key, body in held.items() if "default" in body}
    scorer.parse_params({**given, **{key: value for key, value in needed.items() if key in held}})


def test_a_command_of_the_page_is_one_of_the_command_line(store, capfd):
    options = {"params": {"threshold": 0.5}, "sample": None, "target": "", "on": "inline", "refit": False}
    command = jobs.score_command("web", ["minhash"], options)
    assert command == ("score", "web", "minhash", "--param", "threshold=0.5", "--on", "inline")
    assert strata(["--home", str(store.settings.home), *command]) == 0
    assert "minhash_cluster" in {column.alias for column in store.columns("web")}


def test_a_job_runs_beside_and_says_what_went_wrong(store):
    job = jobs.start(store, "web@v1", jobs.score_command("web", ["langit"], {}))
    assert job.process.wait(60) == 2
    assert job.failed
    assert "did you mean langid" in job.said()
    assert job.dataset == "web"
    assert job.log.parent == store.settings.home / "logs"
