"""The standing index: incremental equals rebuilt, new data is checked before it is accepted, and a keeper is one."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from catalog.catalog import Catalog
from catalog.errors import Corrupt, Refused
from catalog.index import standing
from catalog.index.keepers import KeeperPolicy, explain_pair, holders, keeper
from catalog.index.matrix import overlap_matrix
from catalog.index.segments import ARRAYS, load, merged
from catalog.index.standing import listed, opened, refresh
from catalog.mixes import publish
from catalog.testing import append_texts, errors_of, sentences, text_dataset, write_jsonl


@pytest.fixture
def cat(tmp_path):
    return Catalog.open(tmp_path / "home")


def near(text: str, seed: int = 0) -> str:
    """The text with one word of some sixty changed."""
    words = text.split()
    words[random.Random(seed).randrange(3, len(words) - 3)] = "elsewhere"
    return " ".join(words)


LONG = sentences(60, seed=4, low=120, high=160)


def contents(cat):
    """The index as sets: dataset -> rows with their content and keys, whatever the segments are."""
    found = {}
    for name in {dataset.name for dataset, _ in opened(cat)}:
        whole = merged([segment for dataset, segment in opened(cat) if dataset.name == name])
        found[name] = [np.asarray(getattr(whole, array)).tolist() for array in ARRAYS] + [whole.sources]
    return found


def test_incremental_equals_rebuilt(cat, monkeypatch):
    monkeypatch.setattr(standing, "MANY", 3)
    for step in range(6):
        append_texts(cat, "web", sentences(30, seed=step))
        append_texts(cat, f"other{step % 2}", sentences(10, seed=step // 2))
        refresh(cat)
    assert max(len(listed(cat, d.id)) for d in cat.datasets()) <= 4
    some = next(b["sample_id"].to_pylist() for b in cat.scan("web", ["sample_id"]))[::7]
    cat.retract(ids=some, reason="test")
    cat.drop("other1")
    append_texts(cat, "web", ["one more text of seven words here", ""])
    assert refresh(cat)["web"] == {"added": 2, "removed": 0}  # retraction took them out itself
    assert refresh(cat) == {}
    incremental = contents(cat)
    assert set(incremental) == {"web", "other0"} and len(incremental["web"][0]) == cat.resolve("web").dataset.rows
    for record in listed(cat):
        standing._replace(cat, [record], [])
    assert listed(cat) == []
    assert contents(cat) == incremental
    assert errors_of(cat) == []


def test_a_lost_folder_is_built_again(cat):
    import shutil

    append_texts(cat, "web", sentences(20))
    before = contents(cat)
    shutil.rmtree(standing.folder(cat))
    assert contents(cat) == before
    assert load(standing.folder(cat) / listed(cat)[0].file) is not None


def test_new_data_is_checked_before_it_is_accepted(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", LONG[:40])
    text_dataset(cat, tmp_path, "exam", sentences(30, seed=77, low=25), role="eval")
    publish(cat, {"name": "m", "parts": [{"dataset": "web"}]})
    text_dataset(cat, tmp_path, "more", LONG[40:])
    new = LONG[:10] + [near(text) for text in LONG[40:45]] + sentences(25, seed=8) + sentences(30, seed=77, low=25)[:2]
    path = write_jsonl(tmp_path / "new.jsonl", new)
    dry = cat.ingest([path], "new", dry_run=True)
    assert (dry.status, dry.counts["kept"]) == ("dry run", 42) and cat.find("new") is None
    held = dry.held
    assert (held.rows, held.exact, held.mixes) == (42, 10, 10)
    assert 13 <= held.near <= 15 and held.datasets["web"] == 10 and held.leaks == {"exam@v1": 2}
    assert "23.8% already in published mixes" in held.said()
    with pytest.raises(Refused, match="already held"):
        cat.ingest([path], "new", max_held=0.2)
    assert cat.find("new") is None
    report = cat.ingest([path], "new", check_held=True)
    assert (report.ref, report.held.exact) == ("new@v1", 10)
    # Against itself nothing is held; what it grew by is.
    path.write_text(path.read_text() + write_jsonl(tmp_path / "tail.jsonl", LONG[50:55]).read_text())
    grown = cat.ingest([path], "new", check_held=True)
    assert (grown.held.rows, grown.held.exact, grown.held.datasets) == (5, 5, {"more": 5})
    assert errors_of(cat) == []


def test_the_matrix_counts_what_a_loop_counts(cat, tmp_path):
    text_dataset(cat, tmp_path, "a", LONG[:20] + LONG[:3])
    text_dataset(cat, tmp_path, "b", LONG[10:30], tier="L1")
    held = overlap_matrix(cat, "dataset", near=False)
    texts = {"a": LONG[:20] + LONG[:3], "b": LONG[10:30]}
    names = [group["name"] for group in held["groups"]]
    for one, counts in zip(names, held["shared"], strict=True):
        for other, count in zip(names, counts, strict=True):
            want = sum(texts[other].count(text) > (one == other) for text in texts[one])
            assert count == want, (one, other)
    by_tier = overlap_matrix(cat, "tier")
    assert [group["name"] for group in by_tier["groups"]] == ["L0", "L1"] and by_tier["shared"][0][1] == 10


def test_every_pair_is_explained(cat, tmp_path):
    text_dataset(cat, tmp_path, "a", LONG[:5], licence="MIT")
    text_dataset(cat, tmp_path, "b", [near(LONG[0]), LONG[1], LONG[30]], licence="CC-BY-4.0")
    ids = {name: [i for b in cat.scan(name, ["sample_id"]) for i in b["sample_id"].to_pylist()] for name in "ab"}
    words = [LONG[0].lower().replace(".", "").split(), near(LONG[0]).lower().replace(".", "").split()]
    sets = [{tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in words]
    close = explain_pair(cat, ids["a"][0], ids["b"][0], KeeperPolicy(licences=("CC-BY-4.0", "MIT")))
    assert close["jaccard"] == pytest.approx(len(sets[0] & sets[1]) / len(sets[0] | sets[1])) and close["bands"]
    assert (close["keeper"], close["because"], close["same_content"]) == (ids["b"][0], "licence", False)
    assert explain_pair(cat, ids["a"][1], ids["b"][1])["same_content"]
    apart = explain_pair(cat, ids["a"][2], ids["b"][2])
    assert not apart["near"] and apart["jaccard"] < 0.2


def test_two_ingests_at_once_leave_one_keeper(cat, tmp_path):
    paths = {name: write_jsonl(tmp_path / f"{name}.jsonl", LONG[:20]) for name in ("left", "right")}
    errors = []

    def work(name):
        try:
            Catalog(cat.settings).ingest([paths[name]], name, check_held=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    kept = []
    for name in paths:
        for batch in cat.scan(name, ["sample_id"]):
            for sample in batch["sample_id"].to_pylist()[:5]:
                rows = holders(cat, sample)
                assert {row["dataset"] for row in rows} == {"left", "right"}
                kept.append((rows[0]["content_id"], keeper(rows)["sample_id"]))
    assert len(set(kept)) == 5  # the same one from either side
    # The keeper follows who holds the content: when it is retracted the other one is kept.
    content, first = kept[0]
    cat.retract(ids=[first], reason="test")
    other = next(s for n in paths for b in cat.scan(n, ["sample_id", "content_id"], where=f"content_id = '{content}'")
                 for s in b["sample_id"].to_pylist())  # fmt: skip
    assert [row["sample_id"] for row in holders(cat, other)] == [other] and other != first


def notes(cat, deep=False):
    return [(f.level, f.object, f.message) for f in cat.doctor(deep=deep) if f.object.startswith("standing index")]


def test_doctor_and_gc_know_the_index(cat, tmp_path):
    for name in ("web", "gone"):
        append_texts(cat, name, sentences(20, seed=len(name)))
    refresh(cat)
    assert notes(cat, deep=True) == []
    append_texts(cat, "web", sentences(5, seed=9))
    assert notes(cat) == [
        ("note", "standing index of web", "v1 of v2 is indexed; the next check of new data brings it up to date")
    ]
    refresh(cat)
    cat.drop("gone")
    (standing.folder(cat) / ".draft.1").mkdir()
    said = [message for _, _, message in notes(cat)]
    assert said == [
        "1 segments of a dropped dataset; `strata gc` frees them",
        "1 folders that no segment names; `strata gc` frees them",
    ]
    freed = cat.gc(older_than_s=0)["standing index"]
    assert freed["segments"] == 2 and freed["bytes"] > 20 * 150
    assert notes(cat, deep=True) == [] and cat.gc(older_than_s=0).get("standing index") is None
    assert {path.name for path in standing.folder(cat).iterdir()} == {record.file for record in listed(cat)}


def test_a_broken_segment_is_named_removed_and_built_again(cat):
    import shutil

    append_texts(cat, "web", sentences(20))
    before = contents(cat)
    path = standing.folder(cat) / listed(cat)[0].file
    whole = (path / "keys.npy").read_bytes()
    shutil.rmtree(path)
    assert notes(cat)[0][0] == "note" and "builds it again" in notes(cat)[0][2]
    assert contents(cat) == before and notes(cat) == []
    (path / "keys.npy").write_bytes(whole[:-40])
    assert [level for level, _, _ in notes(cat)] == ["warning"] and "`strata gc` removes it" in notes(cat)[0][2]
    with pytest.raises(Corrupt, match="strata gc"):
        opened(cat)
    assert cat.gc()["standing index"]["segments"] == 1
    assert contents(cat) == before and notes(cat, deep=True) == []
    # A change that leaves the lengths right is seen by reading the rows again.
    path = standing.folder(cat) / listed(cat)[0].file
    other = np.load(path / "keys.npy")
    other[0, 0] ^= np.uint64(1)
    np.save(path / "keys.npy", other)
    assert notes(cat) == [] and "differs from the table (other keys)" in notes(cat, deep=True)[0][2]
    assert errors_of(cat) == []


def test_many_sources_get_their_shares_and_the_matrix(cat, tmp_path, capsys, monkeypatch):
    from ui.cli.main import run

    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    text_dataset(cat, tmp_path, "old", LONG[:10])
    publish(cat, {"name": "m", "parts": [{"dataset": "old"}]})
    write_jsonl(tmp_path / "a.jsonl", LONG[5:25])
    write_jsonl(tmp_path / "b.jsonl", [near(text) for text in LONG[20:30]] + LONG[30:40])
    (tmp_path / "sources.yaml").write_text(
        "sources:\n" + "".join(f"  - {{name: {name}, uri: {name}.jsonl, licence: MIT}}\n" for name in "ab")
    )
    assert run(["ingest", "--sources", str(tmp_path / "sources.yaml"), "--json"]) == 0
    import json

    a, b = json.loads(capsys.readouterr().out)
    assert (a["overlap"], a["near"], a["mixes"]) == (0.25, 0.5, 0.25) and a["shared"] == {"old": 5, "b": 5}
    assert (b["overlap"], b["near"], b["mixes"], b["shared"]) == (0.0, 0.25, 0.0, {"a": 5})
    assert run(["ingest", "--sources", str(tmp_path / "sources.yaml")]) == 0
    assert "in old" in capsys.readouterr().out
    assert run(["ingest", "--infer", str(tmp_path / "a.jsonl"), "--json"]) == 0
    assert "of the first 20 records 100.0% already held (100.0% word for word), 25.0%" in capsys.readouterr().out
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "nowhere"))
    assert run(["ingest", "--infer", str(tmp_path / "a.jsonl")]) == 0
    assert "already held" not in capsys.readouterr().out and not (tmp_path / "nowhere").exists()
