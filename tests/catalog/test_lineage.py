"""Lineage leads from files to mixes and back, cards say what is known and what is not, one sample is found everywhere."""

import pytest

from catalog.cards import card, markdown
from catalog.errors import NotFound
from catalog.lineage import lineage, trace_sample
from catalog.meta.models import ColumnRecord, Edge, Grade, Recipe, Run
from catalog.testing import append_texts, attach_columns, sentences, text_dataset, write_jsonl


@pytest.fixture
def web(cat, tmp_path):
    """Two files, two versions, a column made by a recorded run, a mix that filters by it."""
    text_dataset(cat, tmp_path, "web", sentences(20), licence="MIT")
    cat.ingest([write_jsonl(tmp_path / "more.jsonl", sentences(10, seed=1))], "web")
    attach_columns(cat, "web", {"quality": [k / 30 for k in range(30)]}, scorer="judge")
    with cat.session() as session:
        column = session.get(ColumnRecord, cat.columns("web")[0].id)
        run = Run(verb="score", key="k", actor="ann", status="done")
        column.run_id = run.id
        session.add_all([run, column])
        session.add(Recipe(fingerprint="b" * 16, scorer="measure", body={}))
        body = {"inputs": {"nll": "b" * 16}, "target": {"ref": "good@v1"}, "evals": [{"ref": "quiz@v1", "digest": "d"}]}
        session.add(Recipe(fingerprint=column.fingerprint, scorer="judge", body=body))
        target = f"column:{column.fingerprint}"
        session.add(Edge(run_id=run.id, verb="score", source="web@v2", target=target, counts={"computed": 30}))
        session.commit()
    spec = {"name": "diet", "parts": [{"dataset": "web@v2", "where": "quality > 0.5"}], "seed": 1}
    cat.publish_mix(spec)
    return cat


def pairs(found):
    def short(name):
        return (
            name.rsplit("/", 1)[-1] if name.startswith("file:") else name.split(":")[0] if "column:" in name else name
        )

    return {(short(e["source"]), e["verb"], short(e["target"])) for e in found["edges"]}


def test_from_files_to_the_mix(web):
    found = lineage(web, "web@v2")
    expected = {
        ("web.jsonl", "ingest", "web@v1"),
        ("more.jsonl", "ingest", "web@v2"),
        ("web@v1", "version", "web@v2"),
        ("web@v2", "score", "column"),
        ("column", "filters", "mix:diet@v1"),
        ("web@v2", "mix", "mix:diet@v1"),
    }
    assert expected <= pairs(found) and found["focus"] == "web@v2" and not found["cut"]
    ids = {node["id"] for node in found["nodes"]}
    assert {end for edge in found["edges"] for end in (edge["source"], edge["target"])} <= ids
    node = next(node for node in found["nodes"] if node["id"] == "web@v2")
    assert (node["kind"], node["tier"], node["rows"]) == ("dataset", "L0", 30)
    score = next(edge for edge in found["edges"] if edge["verb"] == "score")
    assert score["actor"] == "ann" and score["counts"] == {"computed": 30}


def test_from_the_mix_to_the_files(web):
    found = pairs(lineage(web, "diet"))
    assert {("web.jsonl", "ingest", "web@v1"), ("more.jsonl", "ingest", "web@v2")} <= found
    column = f"column:{web.columns('web')[0].fingerprint}"
    above = pairs(lineage(web, column))
    assert {("column", "reads", "column"), ("good@v1", "target", "column"), ("quiz@v1", "eval", "column")} <= above
    assert ("web@v2", "score", "column") in above


def test_from_a_file(web):
    uri = next(e["source"] for e in lineage(web, "web")["edges"] if e["source"].endswith("more.jsonl"))
    assert ("web@v2", "mix", "mix:diet@v1") in pairs(lineage(web, uri))
    for ref in ("file:/nowhere.jsonl", "wbe", "mix:nothing"):
        with pytest.raises(NotFound):
            lineage(web, ref)


def test_an_older_version_has_nothing_of_the_newer(web):
    found = lineage(web, "web@v1")
    upstream = {e["source"] for e in found["edges"] if e["target"] == "web@v1"}
    assert len(upstream) == 1 and next(iter(upstream)).endswith("web.jsonl")


def test_many_files_are_one_node_and_large_graphs_are_cut(cat, tmp_path, monkeypatch):
    files = [write_jsonl(tmp_path / f"part{i}.jsonl", [text]) for i, text in enumerate(sentences(15))]
    cat.ingest(files, "web")
    found = lineage(cat, "web")
    assert len(found["nodes"]) == 2 and found["nodes"][1]["label"] == "15 files"
    assert found["edges"][0]["counts"]["kept"] == 15
    monkeypatch.setattr("catalog.lineage.MOST_NODES", 5)
    assert lineage(cat, "web")["cut"]


def test_card_says_what_is_known_and_what_is_not(web):
    held = card(web, "web")
    assert (held["ref"], held["counts"]["rows"], held["tier"]) == ("web@v2", 30, "L0")
    assert held["licence"]["declared"] == "MIT" and held["licence"]["verified"] is None
    assert held["licence"]["use_class"] == "unspecified" and held["files"]["files"] == 2
    assert held["columns"][0]["column"] == "quality" and held["columns"][0]["coverage"] == 1
    assert [step["verb"] for step in held["provenance"]] == ["ingest", "ingest"]
    text = markdown(held)
    assert "| licence declared | MIT |" in text and "| quality | judge | 100.0% |" in text and "## Provenance" in text


def test_card_of_unlicensed_rows(cat):
    append_texts(cat, "plain", sentences(3))
    held = card(cat, "plain")
    assert held["licence"]["rows"] == {"unknown": 3} and held["licence"]["rows_without"] == 3
    assert "**none stated**" in markdown(held)
    cat.create_dataset("empty", kind="text", tier="L0")
    assert card(cat, "empty")["counts"]["rows"] == 0 and "not yet" in markdown(card(cat, "empty"))


def test_one_sample_everywhere(web):
    rows = [row for batch in web.scan("web", ["sample_id", "quality"]) for row in batch.to_pylist()]
    sample = next(row["sample_id"] for row in rows if row["quality"] == 29 / 30)
    with web.session() as session:
        session.add(Grade(sample_id=sample, content_id="c", dataset="web", rubric="r", grader="ann", value="4"))
        session.commit()
    found = trace_sample(web, sample)
    row = found["rows"][0]
    assert (row["dataset"], row["versions"], row["columns"]["quality"]) == ("web", [2, None], 29 / 30)
    assert row["file"].endswith("more.jsonl") and row["line"] == 10 and row["states"] == {"judge": 1}
    assert found["mixes"] == [{"mix": "diet@v1", "part": "web@v2"}] and found["grades"][0]["value"] == "4"
    assert trace_sample(web, rows[0]["sample_id"])["mixes"] == []
    web.rollback("web", 1)
    assert trace_sample(web, sample)["rows"][0]["versions"] == [2, 2]
    web.retract(ids=[sample], reason="takedown")
    assert trace_sample(web, sample)["rows"][0]["versions"] == []
    for unknown in ("f" * 32, "x' OR '1'='1"):
        with pytest.raises(NotFound, match="32 hex digits"):
            trace_sample(web, unknown)


def test_what_training_made_of_a_mix_is_found_and_crashes_nothing(web):
    from catalog.trials import add_trial

    trial = add_trial(web, "diet", {"loss": 2.0}, seed=1, model="small", ledger="run-7")
    web_ends = {(e["verb"], e["target"]) for e in lineage(web, "web@v2")["edges"]}
    assert {("trial", f"trial:{trial.id}"), ("train", "model:small")} <= web_ends
    kinds = {node["id"]: node["kind"] for node in lineage(web, "mix:diet@v1")["nodes"]}
    assert kinds["model:small"] == "model" and kinds[f"trial:{trial.id}"] == "trial"
