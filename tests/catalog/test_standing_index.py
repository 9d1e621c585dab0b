"""The standing index: incremental equals rebuilt, new data is checked before it is accepted, and a keeper is one."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from catalog.catalog import Catalog
from catalog.errors import Refused
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
