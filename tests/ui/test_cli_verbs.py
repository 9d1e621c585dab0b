"""The verbs through the command line on a small real catalog: what is printed, what --json says, what has changed."""

from __future__ import annotations

import io
import json
import sys

import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.testing import errors_of, sentences, write_jsonl
from ui.cli.main import run


@pytest.fixture
def strata(cat, monkeypatch, capsys):
    """Run a command on a fresh catalog; JSON comes back parsed."""
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))

    def call(*words: str, status: int = 0):
        assert run(list(words)) == status
        told = capsys.readouterr()
        call.err = told.err
        return json.loads(told.out) if "--json" in words else told.out

    call.cat = cat
    return call


@pytest.fixture
def web(strata, tmp_path):
    texts = sentences(80, low=60, high=100)
    path = write_jsonl(
        tmp_path / "web.jsonl", [{"text": text, "url": f"https://example.org/{n}"} for n, text in enumerate(texts)]
    )
    with path.open("ab") as file:
        file.write(b'{"text": \n')
    strata("ingest", str(path), "--as", "web", "--licence", "CC-BY-4.0", "--owner", "ana", "--note", "a crawl")
    return path


def test_ingest_reports_what_came_in_and_again_changes_nothing(strata, web):
    assert "no datasets yet" not in strata("datasets")
    again = strata("ingest", str(web), "--as", "web", "--json")
    assert again["status"] == "unchanged" and again["counts"]["kept"] == 0
    rows = strata("datasets", "--json")
    assert [(row["name"], row["rows"], row["licence"], row["owner"], row["note"]) for row in rows] == [
        ("web", 80, "CC-BY-4.0", "ana", "a crawl")
    ]
    assert strata("datasets", "--tier", "L1", "--json") == []


def test_infer_shows_five_rows_and_changes_nothing(strata, tmp_path):
    pairs = [{"instruction": f"Add {n} and 1.", "input": "", "output": str(n + 1)} for n in range(9)]
    path = write_jsonl(tmp_path / "sft.jsonl", pairs)
    text = strata("ingest", str(path), "--infer")
    assert "chat" in text and text.count("  line ") == 5 and "Add 0 and 1." in text
    held = strata("ingest", str(path), "--infer", "--json")
    assert held[0]["kind"] == "chat" and len(held[0]["preview"]) == 5
    assert strata("datasets", "--json") == []


def test_show_tells_counts_columns_versions_and_rows(strata, web):
    strata("score", "web", "gopher_quality")
    strata("tag", "web@v1", "first")
    text = strata("show", "web", "--rows", "2")
    assert "CC-BY-4.0" in text and "word_count" in text and "100.0 %" in text and "first=v1" in text
    held = strata("show", "web@first", "--json", "--rows", "1")
    assert held["ref"] == "web@v1" and held["rows"] == 80 and len(held["sample"]) == 1
    column = next(row for row in held["columns"] if row["column"] == "word_count")
    assert column["covered"] == 80 and column["coverage"] == 1.0 and 60 <= column["mean"] <= 110


def test_scorers_plan_and_score(strata, web):
    names = {row["name"]: row for row in strata("scorers", "--json")}
    assert {"langid", "gopher_quality", "minhash"} <= set(names) and names["minhash"]["pattern"] == "global"
    assert "words between" in strata("scorers", "gopher_quality") or "word_count" in strata("scorers", "gopher_quality")
    planned = strata("plan", "web", "langid", "gopher_quality", "--json")
    assert [step["scorer"] for step in planned["steps"]] == ["langid", "gopher_quality"]
    assert planned["missing"] == 160 and planned["seconds"] > 0 and all(step["tokens"] > 0 for step in planned["steps"])
    assert strata("runs", "list", "--json")[0]["verb"] == "ingest", "a plan runs nothing"
    report = strata("score", "web", "langid", "gopher_quality", "--json")
    assert strata.err.startswith("running inline: ")
    assert report["counts"]["computed"] == 160 and report["columns"]["language"]["covered"] == 80
    again = strata("score", "web", "langid", "gopher_quality", "--json")
    assert again["counts"]["computed"] == 0 and "nothing is missing" in strata.err
    assert "nothing to do" in strata("plan", "web", "langid")


def test_score_takes_a_sample_a_parameter_and_a_name(strata, web):
    report = strata("score", "web", "token_count", "--sample", "30", "--as", "toks", "--json")
    assert report["columns"]["toks"]["states"] == {"value": 30, "not sampled": 50}
    assert strata("score", "web", "langid", "--param", "nonsense=1", status=2) == ""
    assert "has a parameter 'nonsense'" in strata.err
    assert strata("score", "web", "gopher_quality", "--as", "quality", status=2) == ""
    assert "say which: --as word_count=quality" in strata.err


def test_sql_prints_tables_json_csv_and_arrow(strata, web, monkeypatch):
    query = "SELECT source, count(*) AS n FROM web GROUP BY 1"
    assert "80" in strata("sql", query)
    assert strata("sql", query, "--json") == [{"source": "web", "n": 80}]
    pipe = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", pipe)
    assert run(["sql", "SELECT text, [1, 2] AS l FROM web", "--limit", "0", "--format", "csv"]) == 0
    lines = pipe.buffer.getvalue().decode().splitlines()
    assert lines[0] == '"text","l"' and len(lines) == 81 and lines[1].endswith('"[1,2]"')
    pipe = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", pipe)
    assert run(["sql", "SELECT * FROM web", "--format", "arrow"]) == 0
    assert pa.ipc.open_stream(pipe.buffer.getvalue()).read_all().num_rows == 80
    monkeypatch.undo()


def test_a_cut_result_says_so(strata, web):
    assert len(strata("sql", "SELECT sample_id FROM web", "--limit", "3", "--json")) == 3
    assert "only the first 3 rows" in strata.err


def test_search_prints_hits_and_what_it_does_not_cover(strata, web):
    held = strata("search", "web", "river village", "--limit", "4", "--json")
    assert len(held["hits"]) == 4 and all("river" in hit["text"] or "village" in hit["text"] for hit in held["hits"])
    assert any("searched by text alone" in line for line in held["notes"])
    text = strata("search", "web", "river", "--mode", "text", "--where", "chars > 450")
    assert text.count("\n") == 10 and held["hits"][0]["sample_id"][:12] not in strata.err
    assert strata("search", "web", status=2) == "" and "say what to search for" in strata.err
    assert strata("search", "web", "river", "--mode", "vector", status=2) == ""


def test_promote_dry_then_for_real(strata, web):
    strata(
        "score",
        "web",
        "langid",
        "gopher_quality",
        "gopher_repetition",
        "fineweb_lines",
        "exact_dup",
        "minhash",
        "pii",
        "secrets",
    )
    before = strata("datasets", "--json")
    text = strata("promote", "web", "--to", "L1", "--dry-run")
    assert "too_short" in text and "would keep 80 of 80 rows (100.0 %)" in text
    assert strata("datasets", "--json") == before
    held = strata("promote", "web", "--to", "L1", "--as", "clean", "--where", "chars > 400", "--json")
    fall = held["waterfall"]
    assert held["target"] == "clean" and fall["kept"][0] + sum(cell[0] for cell in fall["sequence"].values()) == 80
    assert strata("show", "clean", "--json")["tier"] == "L1"
    assert strata("promote", "web", "--to", "L2", status=2) == "" and strata.err.startswith("error: ")


def test_selections_are_saved_listed_shown_and_promoted(strata, web):
    made = strata("select", "save", "long", "web", "--where", "chars > 450", "--note", "for L1", "--json")
    assert made["selection"] == "long@v1"
    held = strata("select", "show", "long", "--json")
    assert held["rows"] == strata("sql", "SELECT count(*) AS n FROM web WHERE chars > 450", "--json")[0]["n"]
    assert "chars > 450" in strata("select", "list")
    assert strata("select", "save", "bad", "web", "--where", "nothing > 1", status=2) == ""
    assert "no column of web 'nothing'" in strata.err
    kept = strata("promote", "web", "--to", "L1", "--select", "long", "--json")["waterfall"]["kept"][0]
    assert 0 < kept <= held["rows"]


def test_cards_lineage_trace_and_diff(strata, web, tmp_path):
    strata("ingest", str(write_jsonl(tmp_path / "more.jsonl", sentences(20, seed=5))), "--as", "web")
    held = strata("diff", "web@v1", "web@v2", "--json")
    assert held["rows"] == {"a": 80, "b": 100, "change": 20} and "rows.change" in strata("diff", "web@v1", "web@v2")
    assert strata("card", "web").startswith("# web@v2") and strata("card", "web@v1", "--json")["counts"]["rows"] == 80
    assert "web.jsonl" in strata("lineage", "web") and strata("lineage", "web", "--json")["focus"] == "web@v2"
    sample = strata("sql", "SELECT sample_id FROM web LIMIT 1", "--json")[0]["sample_id"]
    told = strata("trace", sample)
    assert told.startswith("web (L0): v1 to now") and "web.jsonl" in told and "CC-BY-4.0" in told
    assert strata("trace", "f" * 32, status=2) == ""


def test_explore_and_confounds(strata, web):
    strata("score", "web", "gopher_quality")
    text = strata("explore", "web", "word_count > 80", "--by", "source", "--examples", "2")
    held = strata("explore", "web", "word_count > 80", "--json")
    assert f"keeps {held['kept']} of 80 rows" in text and text.count("nearest word_count > 80") == 2
    assert held["edges"][0]["kept"][0]["value"] == 81 and held["edges"][0]["dropped"][0]["value"] == 80
    assert "length" in strata("confounds", "web", "word_count")
    assert strata("confounds", "web", "word_count", "--json")["numbers"][0]["spearman"] > 0.9
    assert strata("explore", "web", "word_cuont > 80", status=2) == ""


def test_a_sources_file_runs_past_a_bad_source(strata, tmp_path):
    write_jsonl(tmp_path / "a.jsonl", sentences(10))
    (tmp_path / "sources.yaml").write_text(
        "sources:\n  - {name: a, paths: a.jsonl, licence: CC0-1.0}\n  - {name: b, paths: nowhere.jsonl}\n"
        "  - {name: c, paths: a.jsonl, expectations: {min_rows: 11}}\n"
    )
    rows = strata("ingest", "--sources", str(tmp_path / "sources.yaml"), "--json", status=2)
    assert [row["status"] for row in rows] == ["new", "error", "failed expectation"] and rows[0]["new"] == 10
    assert [row["name"] for row in strata("datasets", "--json")] == ["a"]
    assert "min_rows" in strata("ingest", "--sources", str(tmp_path / "sources.yaml"), status=2)


def test_versions_tags_names_and_retraction(strata, web, tmp_path):
    write_jsonl(tmp_path / "more.jsonl", sentences(20, seed=5))
    strata("ingest", str(tmp_path / "more.jsonl"), "--as", "web")
    assert strata("rollback", "web", "--to", "v1", "--json")["version"] == 3
    strata("tag", "web@v2", "big")
    assert strata("sql", 'SELECT count(*) AS n FROM "web@big"', "--json") == [{"n": 100}]
    strata("rename", "web", "pages")
    ids = tmp_path / "ids.txt"
    ids.write_text(
        "\n".join(row["sample_id"] for row in strata("sql", "SELECT sample_id FROM pages LIMIT 2", "--json"))
    )
    dry = strata("retract", "--ids", str(ids), "--reason", "asked to", "--dry-run", "--json")
    assert dry["rows"] == {"pages": 2} and strata("show", "pages", "--json")["rows"] == 80
    text = strata("retract", "--where", "url = 'https://example.org/7'", "--reason", "takedown 17")
    assert text.startswith("reached 1 rows") and strata("show", "pages", "--json")["rows"] == 79
    assert strata("drop", "pages", status=2) == "" and "tag big" in strata.err
    assert errors_of(strata.cat) == []


def test_a_mix_is_previewed_published_shown_compared_and_pulled(strata, web, tmp_path):
    spec = tmp_path / "mix.yaml"
    spec.write_text("name: diet\nunit: samples\nseed: 3\nparts:\n  - {dataset: web}\n")
    assert strata("mix", "preview", str(spec), "--json")["parts"]
    assert "no mix is published" in strata("mix", "list")
    made = strata("mix", "publish", str(spec), "--json")
    assert made["ref"] == "diet@v1" and "diet@v1" in strata("mix", "list")
    shown = strata("mix", "show", "diet@v1", "--json")
    assert shown["digest"] == made["digest"] == shown["lock"]["digest"]
    spec.write_text('name: diet\nunit: samples\nseed: 3\nparts:\n  - {dataset: web, where: "chars > 400"}\n')
    strata("mix", "publish", str(spec))
    assert strata("mix", "diff", "diet@v1", "diet@v2", "--json") == strata("diff", "diet@v1", "diet@v2", "--json")

    whole = _lines(strata("pull", "diet@v1"))
    assert [row["_index"] for row in whole] == list(range(80)) and len({row["sample_id"] for row in whole}) == 80
    ranks = [
        _lines(strata("pull", "diet@v1", "--rank", str(rank), "--world", "3", "--start", "10", "--limit", "5"))
        for rank in range(3)
    ]
    merged = sorted((row for part in ranks for row in part), key=lambda row: row["_index"])
    assert [row["sample_id"] for row in merged] == [row["sample_id"] for row in whole[10:25]]
    out = tmp_path / "out"
    held = strata("pull", "diet@v1", "--export", "parquet", str(out), "--limit", "30", "--json")
    assert held["rows"] == 30 and sorted(path.name for path in out.iterdir()) == ["manifest.json", "part-00000.parquet"]


def _lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_doctor_gc_runs_and_server_status(strata, web):
    assert strata("doctor", "--deep", "--json") == [] and "the catalog is whole" in strata("doctor")
    assert set(strata("gc", "--compact", "--json")) == {"web"}
    first = strata("runs", "list", "--json")[-1]
    assert first["verb"] == "ingest" and strata("runs", "show", first["id"][:8], "--json")["counts"]["quarantined"] == 1
    assert strata("runs", "cancel", first["id"], status=2) == "" and "is done, there is nothing to cancel" in strata.err
    assert "no server runs" in strata("server", "status")
    assert strata("server", "stop", "--json") == {"stopped": False}


def test_doctor_leaves_with_1_when_something_is_wrong(strata, web):
    from sqlmodel import select

    from catalog.meta.models import Version

    with strata.cat.session() as session:
        version = session.exec(select(Version)).one()
        version.rows += 1
        session.add(version)
        session.commit()
    assert "81 recorded" in strata("doctor", status=1)


def test_tokens_are_made_once_listed_and_revoked(strata):
    secret = strata("token", "create", "ci", "--verbs", "write").strip()
    rows = strata("token", "list", "--json")
    assert [(row["name"], row["verbs"], row["revoked"]) for row in rows] == [("ci", "write", None)]
    assert secret not in json.dumps(rows)
    assert strata("token", "revoke", "ci", "--json") == {"revoked": 1}
    assert strata("token", "revoke", "ci", status=2) == ""


def test_the_grant_of_the_environment_holds_for_the_command_line(strata, web, monkeypatch):
    monkeypatch.setenv("STRATA_GRANT", "read")
    assert len(strata("datasets", "--json")) == 1
    assert strata("drop", "web", status=2) == "" and "may only read" in strata.err
    monkeypatch.delenv("STRATA_GRANT")
    assert isinstance(strata.cat, Catalog) and strata.cat.find("web") is not None


def test_index_builds_and_lists(strata, web):
    strata("score", "web", "gopher_quality")
    assert "none: every text is read" in strata("index", "web")
    assert "web: text is indexed (INVERTED, 80 rows)" in strata("index", "web", "--kind", "text")
    assert strata("index", "web", "word_count", "--json")["kind"] in ("BITMAP", "BTREE")
    rows = strata("index", "web", "--json")
    assert {(row["column"], row["sort"], row["state"]) for row in rows} == {
        ("text", "text", "whole"),
        ("word_count", "scalar", "whole"),
    }
    for words, line in (
        (["web", "wordcount"], "error: no column of web 'wordcount': did you mean word_count"),
        (["web", "--kind", "vector"], "error: web has no column of vectors; `strata score web minilm` computes one"),
        (["web", "text", "--kind", "fast"], "error: --kind 'fast' is not one of vector, text, scalar"),
        (["wep"], "error: no dataset 'wep': did you mean web"),
    ):
        assert strata("index", *words, status=2) == ""
        assert strata.err.startswith(line) and strata.err.count("\n") == 1


def test_a_filter_over_a_partly_covered_column_says_what_absent_means(strata, web):
    strata("score", "web", "gopher_quality", "--sample", "20")
    words = ("search", "web", "river", "--mode", "text", "--where", "word_count > 0", "--limit", "100", "--json")
    assert strata(*words[:-1], status=2) == "" and "say missing: drop | keep" in strata.err
    dropped, kept = (strata(*words, "--missing", how)["hits"] for how in ("drop", "keep"))
    assert 0 < len(dropped) <= 20 < len(kept)
    assert strata(*words[:-1], "--missing", "maybe", status=2) == "" and "not 'maybe'" in strata.err


def test_the_twelve_characters_that_search_prints_are_enough(strata, web):
    line = strata("search", "web", "river", "--mode", "text", "--limit", "1").split()
    whole = strata("search", "web", "river", "--mode", "text", "--limit", "1", "--json")["hits"][0]["sample_id"]
    assert len(line[1]) == 12 and strata("trace", line[1], "--json")["sample_id"] == whole
    assert strata("trace", line[1][:3], status=2) == "" and "give at least 6 characters" in strata.err


def test_sql_shows_the_names_of_columns_as_they_are(strata, web):
    head = strata("sql", "SELECT sample_id, chars AS [bold]n_chars FROM web LIMIT 1".replace("[bold]", "")).splitlines()
    assert any("sample_id" in row and "n_chars" in row for row in head[:3])
    assert "n_[red]x" in strata("sql", 'SELECT 1 AS "n_[red]x"')


def test_what_cannot_be_pulled_or_found_says_what_it_is(strata, web):
    for words, line in (
        (["pull", "web"], "error: no mix 'web': 'web' is a dataset: publish a mix of it"),
        (["show", "web@frist"], "error: no tag 'web@frist': a version is written web@v1; `strata tag` names one"),
        (["index", "web", "removed"], "error: no column of web 'removed'"),
    ):
        assert strata(*words, status=2) == ""
        assert strata.err.startswith(line) and strata.err.count("\n") == 1


def test_a_corrupt_fragment_is_one_line_in_every_verb(strata, web, tmp_path):
    strata("select", "save", "long", "web", "--where", "chars > 0")
    (tmp_path / "mix.yaml").write_text("name: m\nparts: [{dataset: web}]\n")
    strata("mix", "publish", str(tmp_path / "mix.yaml"))
    (tmp_path / "again.yaml").write_text("name: again\nparts: [{dataset: web}]\n")
    for path in (strata.cat.settings.home / "tables").glob("web-*.lance/data/*.lance"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for words in (
        ["show", "web", "--rows", "2"],
        ["sql", "SELECT avg(chars) FROM web"],
        ["search", "web", "river"],
        ["score", "web", "gopher_quality", "--on", "inline"],
        ["promote", "web", "--to", "L1"],
        ["select", "show", "long"],
        ["index", "web", "text"],
        ["trace", "abcdef"],
        ["mix", "publish", str(tmp_path / "again.yaml")],
        ["pull", "m"],
        ["pull", "long"],
    ):
        assert strata(*words, status=2) == "", words
        told = [line for line in strata.err.splitlines() if not line.startswith("running inline")]
        assert len(told) == 1 and told[0].startswith("error: ") and "strata doctor" in told[0], (words, strata.err)
        assert "web" in told[0] or words[0] == "sql", told[0]
    assert "error" in strata("doctor", status=1)
