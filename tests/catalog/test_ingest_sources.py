"""A sources file: all are run, a bad one stops none, each ends in a line that says what became of it."""

import textwrap

import pytest
from sqlmodel import select

from catalog.errors import BadInput, NotFound
from catalog.ingest.sources import ingest_sources, load_sources
from catalog.meta.models import Quarantine
from catalog.testing import errors_of, sentences, write_jsonl


@pytest.fixture
def folder(tmp_path):
    texts = sentences(60)
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/web-0.jsonl", texts[:20])
    write_jsonl(tmp_path / "data/web-1.jsonl", texts[20:40])
    write_jsonl(tmp_path / "data/copy.jsonl", [{"body": text, "lic": "MIT"} for text in texts[30:50]])
    write_jsonl(tmp_path / "data/small.jsonl", texts[:3])
    (tmp_path / "data/cut.json").write_text('[{"text": "a"}, {"text": ')
    return tmp_path


def sources(folder, body):
    path = folder / "sources.yaml"
    path.write_text(textwrap.dedent(body))
    return path


ALL = """
    sources:
      - name: web
        uri: data/web-*.jsonl
        licence: CC-BY-4.0
        licence_evidence: https://example.org/terms
        owner: ana
        expectations: {min_rows: 40, language_share: {en: 0.5}}
      - name: cut
        uri: data/cut.json
      - name: copy
        paths: [data/copy.jsonl]
        mapping: {text: body, licence: lic}
        expectations: {null_share: {licence: 0}}
      - name: small
        uri: data/small.jsonl
        expectations: {min_rows: 10, null_share: {url: 0.5}}
      - name: nowhere
        uri: data/nowhere.jsonl
"""


def test_all_run_past_the_bad_ones(cat, folder):
    path = sources(folder, ALL)
    web, cut, copy, small, nowhere = ingest_sources(cat, path)
    assert (web.status, web.new, web.ref, web.overlap) == ("new", 40, "web@v1", 0.0)
    assert cut.status == "error" and "cut.json" in cut.error and "--keep-going" in cut.error
    assert (copy.status, copy.new, copy.overlap) == ("new", 20, 0.5)
    assert small.status == "failed expectation" and small.failed == "min_rows 10: 3 rows; null_share of url 0.5: 1"
    assert nowhere.status == "error" and "no file or folder" in nowhere.error
    assert [dataset.name for dataset in cat.datasets(unpublished=True)] == ["copy", "web"]
    assert (cat.find("web").owner, cat.find("web").licence_evidence) == ("ana", "https://example.org/terms")
    licences = {v for batch in cat.scan("copy", ["licence"]) for v in batch.column("licence").to_pylist()}
    assert licences == {"MIT"} and errors_of(cat) == []


def test_a_second_round_adds_only_what_is_new(cat, folder):
    path = sources(folder, ALL)
    ingest_sources(cat, path)
    with (folder / "data/web-1.jsonl").open("ab") as file:
        file.write(b'{"text": "one more"}\nbroken\n')
    write_jsonl(
        folder / "data/small.jsonl", [{"text": text, "url": f"u{at}"} for at, text in enumerate(sentences(12, seed=9))]
    )
    web, _, copy, small, _ = ingest_sources(cat, path)
    assert (web.status, web.appended, web.unchanged, web.quarantined) == ("appended", 1, 40, 1)
    assert (copy.status, copy.unchanged, copy.new, copy.appended) == ("unchanged", 20, 0, 0)
    assert (small.status, small.new) == ("new", 12)
    with cat.session() as session:
        assert [item.line for item in session.exec(select(Quarantine))] == [22]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sources: []", "names no sources"),
        ("sources: 3", "names no sources"),
        ("sources:\n  - {name: web}", "source 'web': uri"),
        ("sources:\n  - {name: web, uri: a, licens: x}", "source 'web': licens.*licence"),
        ("sources:\n  - {name: web, uri: a, expectations: {min: 3}}", "expectations.min"),
        ("sources:\n  - {name: A B, uri: a}", "cannot be a name"),
        ("sources:\n  - {name: web, uri: a}\n  - {name: web, uri: b}", "'web' is named twice"),
        ("sources:\n  - just words", "entry 1 is not a mapping"),
        ("sources: [", "is not YAML"),
    ],
)
def test_a_wrong_file_is_one_line_and_runs_nothing(cat, folder, body, words):
    with pytest.raises(BadInput, match=words):
        ingest_sources(cat, sources(folder, body))
    assert cat.datasets(unpublished=True) == []


def test_no_file_and_paths_beside_the_file(folder):
    with pytest.raises(NotFound, match="sources file"):
        load_sources(folder / "none.yaml")
    (spec,) = load_sources(sources(folder, "- {name: web, uri: [data/a.jsonl, /b.jsonl, 's3://x/c.jsonl']}"))
    assert spec.uri == [str(folder / "data/a.jsonl"), "/b.jsonl", "s3://x/c.jsonl"]


def test_the_example_holds_what_it_promises(cat):
    from pathlib import Path

    results = ingest_sources(cat, Path(__file__).parents[2] / "examples/sources.yaml")
    assert {result.status for result in results} == {"new"} and not any(result.quarantined for result in results)
    kinds = {result.name: cat.find(result.name).kind for result in results}
    assert {"text", "chat", "preference", "task"} <= set(kinds.values())
    assert all(result.licence for result in results) and errors_of(cat) == []
