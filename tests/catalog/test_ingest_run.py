"""Ingest end to end: rows add up, the same files change nothing, grown files go on, bad input changes nothing."""

import gzip
from uuid import uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from catalog.errors import BadInput, Missing, NameTaken, Refused
from catalog.ingest.streams import BrokenFile
from catalog.meta.models import Checkpoint, Edge, Quarantine, Run, SourceFile, Version
from catalog.testing import errors_of, sentences, write_jsonl

both = pytest.mark.parametrize("cat", ["sqlite", "postgres"], indirect=True)


def texts_of(cat, ref):
    return [text for batch in cat.scan(ref, ["text"]) for text in batch.column("text").to_pylist()]


def column(cat, ref, name):
    return [value for batch in cat.scan(ref, [name]) for value in batch.column(name).to_pylist()]


def records(cat, model):
    with cat.session() as session:
        return list(session.exec(select(model)))


@both
def test_rows_their_places_and_what_is_recorded(cat, tmp_path):
    rows = [
        {"id": f"r{at}", "text": text, "url": f"https://x.org/{at}", "n": at} for at, text in enumerate(sentences(40))
    ]
    path = write_jsonl(tmp_path / "web.jsonl", rows)
    shown = []
    report = cat.ingest(
        [path], "web", licence="CC-BY-4.0", licence_evidence="https://x.org/terms", owner="ana", note="first crawl",
        progress=lambda done, total, unit: shown.append((done, total, unit)),
    )  # fmt: skip
    assert (report.ref, report.status, report.licence) == ("web@v1", "new", "CC-BY-4.0")
    assert report.counts == {"in": 40, "kept": 40, "held": 0, "retracted": 0, "quarantined": 0}
    assert shown[-1] == (path.stat().st_size, path.stat().st_size, "bytes")
    assert texts_of(cat, "web") == [row["text"] for row in rows]
    assert column(cat, "web", "line") == list(range(1, 41)) and set(column(cat, "web", "licence")) == {"CC-BY-4.0"}
    body = path.read_bytes()
    for offset, row in zip(column(cat, "web", "offset"), rows, strict=True):
        assert body.startswith(orjson.dumps(row), offset)
    assert orjson.loads(column(cat, "web", "meta")[3]) == {"id": "r3", "n": 3}
    dataset = cat.find("web")
    assert (dataset.kind, dataset.tier, dataset.owner, dataset.note, dataset.rows) == (
        "text",
        "L0",
        "ana",
        "first crawl",
        40,
    )
    (edge,) = records(cat, Edge)
    assert edge.source == f"file:{path}" and edge.target == "web@v1" and edge.counts["kept"] == 40
    assert edge.details["mapping"]["fields"] == {"text": "text"} and edge.details["status"] == "new"
    (run,) = records(cat, Run)
    assert run.status == "done" and run.counts == {"in": 40, "kept": 40, "skipped": 0, "quarantined": 0}
    (file,) = records(cat, SourceFile)
    assert (file.uri, file.size, file.rows) == (str(path), len(body), 40) and not records(cat, Checkpoint)
    assert errors_of(cat) == []


def test_a_missing_licence_is_said(cat, tmp_path):
    report = cat.ingest([write_jsonl(tmp_path / "a.jsonl", sentences(3))], "web")
    assert report.licence is None and "licence is unknown" in report.notes[0]
    assert set(column(cat, "web", "licence")) == {None}


@both
def test_bad_records_are_listed_and_the_rest_is_kept(cat, tmp_path):
    path = tmp_path / "a.jsonl"
    good = [orjson.dumps({"text": text}) for text in sentences(6)]
    bad = [
        b'{"text": "cut',
        b"[1]",
        b'{"text": ""}',
        b'{"text": "\xff"}',
        b'{"text": 7}',
        b'{"text": "' + b"x" * 500 + b'"}',
    ]
    path.write_bytes(b"\n".join(line for pair in zip(good, bad, strict=True) for line in pair))
    report = cat.ingest([path], "web", reading={"max_record_bytes": 480})
    assert report.counts == {"in": 12, "kept": 6, "held": 0, "retracted": 0, "quarantined": 6}
    assert report.reasons == {"broken JSON": 1, "wrong type": 2, "empty text": 1, "invalid UTF-8": 1, "oversize": 1}
    listed = sorted(records(cat, Quarantine), key=lambda item: item.line)
    assert [item.line for item in listed] == [2, 4, 6, 8, 10, 12] and {item.file for item in listed} == {str(path)}
    body = path.read_bytes()
    assert all(body[item.offset :].startswith(line) for item, line in zip(listed, bad, strict=True))
    assert all(item.detail and len(item.excerpt) <= 200 for item in listed)
    assert errors_of(cat) == []


def test_a_quarantine_larger_than_memory_allows_is_set_aside(cat, tmp_path, monkeypatch):
    monkeypatch.setattr("catalog.ingest.stream.REJECTS", 10)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b'{"text": "ok %d"}\n{"text": ""}\nnot json\n' % at for at in range(200)))
    report = cat.ingest([path], "web", fragment_rows=50)
    assert report.counts["kept"] == 200 and report.counts["quarantined"] == 400 == len(records(cat, Quarantine))
    assert len({item.line for item in records(cat, Quarantine)}) == 400 and not records(cat, Checkpoint)


@both
def test_the_same_files_again_change_nothing(cat, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", sentences(20))
    cat.ingest([path], "web")
    report = cat.ingest([path], "web")
    assert (report.status, report.ref, report.counts["in"]) == ("unchanged", "web@v1", 0)
    assert [file.status for file in report.files] == ["unchanged"] and len(records(cat, Version)) == 1
    moved = path.rename(tmp_path / "moved.jsonl")
    assert cat.ingest([moved], "web").files[0].status == "unchanged"


@both
def test_a_grown_file_goes_on_where_it_ended(cat, tmp_path):
    texts = sentences(30)
    path = write_jsonl(tmp_path / "a.jsonl", texts[:20])
    cat.ingest([path], "web")
    with path.open("ab") as file:
        file.write(b'{"text": ""}\n' + b"".join(orjson.dumps({"text": t}) + b"\n" for t in [*texts[20:], texts[0]]))
    report = cat.ingest([path], "web")
    assert report.files[0].status == "appended" and report.ref == "web@v2"
    assert report.counts == {"in": 12, "kept": 11, "held": 0, "retracted": 0, "quarantined": 1}
    assert texts_of(cat, "web") == [*texts, texts[0]]  # a repeat is a row of its own, as in one go
    assert column(cat, "web", "line")[-1] == 32 and column(cat, "web", "added") == [1] * 20 + [2] * 11
    whole = cat.ingest([path], "whole")
    assert sorted(texts_of(cat, "whole")) == sorted(texts_of(cat, "web")) and whole.counts["in"] == 32
    assert cat.ingest([path], "web").status == "unchanged" and errors_of(cat) == []


def test_growth_behind_a_line_without_an_end_reads_the_file_again(cat, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one"}\n{"text": "two"}')
    cat.ingest([path], "web")
    path.write_bytes(path.read_bytes() + b'\n{"text": "three"}\n')
    report = cat.ingest([path], "web")
    assert report.files[0].status == "changed" and texts_of(cat, "web") == ["one", "two", "three"]
    assert report.counts["held"] == 2


def test_a_changed_file_adds_what_is_new_and_keeps_what_was(cat, tmp_path):
    texts = sentences(20)
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    cat.ingest([path], "web")
    write_jsonl(path, ["a new first line", *texts[5:], texts[7]])
    report = cat.ingest([path], "web")
    assert report.counts == {"in": 17, "kept": 2, "held": 15, "retracted": 0, "quarantined": 0}
    assert texts_of(cat, "web") == [*texts, "a new first line", texts[7]]
    assert cat.ingest([path], "web").status == "unchanged" and errors_of(cat) == []


def test_only_held_rows_make_no_version(cat, tmp_path):
    texts = sentences(20)
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    cat.ingest([path], "web")
    write_jsonl(path, texts[::-1])
    report = cat.ingest([path], "web")
    assert (report.status, report.ref, report.counts["held"]) == ("unchanged", "web@v1", 20)
    assert cat.ingest([path], "web").files[0].status == "unchanged"  # the new bytes are remembered


def test_quarantine_follows_the_newest_reading_of_a_file(cat, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one"}\nbroken\n{"text": "two"}\n')
    cat.ingest([path], "web")
    path.write_bytes(b'{"text": "zero"}\nbroken\n{"text": "two"}\nworse\n')
    cat.ingest([path], "web")
    assert sorted(item.excerpt for item in records(cat, Quarantine)) == ["broken", "worse"]
    assert errors_of(cat) == []


def test_several_files_are_one_version_in_their_order(cat, tmp_path):
    texts = sentences(30)
    folder = tmp_path / "in"
    folder.mkdir()
    for at in range(3):
        write_jsonl(folder / f"part-{at}.jsonl", texts[at * 10 : at * 10 + 10])
    (folder / "empty.jsonl").write_bytes(b"")
    report = cat.ingest([f"{folder}/*.jsonl"], "web")
    assert report.ref == "web@v1" and texts_of(cat, "web") == texts
    assert [file.counts.get("kept", 0) for file in report.files] == [0, 10, 10, 10]
    write_jsonl(folder / "part-3.jsonl", [texts[0], "new"])
    again = cat.ingest([str(folder)], "web")
    assert [file.status for file in again.files] == ["unchanged"] * 4 + ["new"] and again.ref == "web@v2"
    assert again.counts["kept"] == 2  # equal content in another file is another row


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=1, max_size=40),
    st.integers(1, 30),
)
def test_any_texts_are_kept_or_listed_and_come_back_equal(cat, tmp_path, texts, fragment_rows):
    name = f"d{uuid4().hex}"
    path = write_jsonl(tmp_path / f"{name}.jsonl", ["at least one", *texts])
    report = cat.ingest([path], name, fragment_rows=fragment_rows)
    kept = ["at least one", *(text for text in texts if text and not text.isspace())]
    assert texts_of(cat, name) == kept
    assert report.counts["in"] == len(texts) + 1 == report.counts["kept"] + report.counts["quarantined"]
    assert len(set(column(cat, name, "sample_id"))) == len(kept)


def test_fragments_and_statistics_do_not_depend_on_their_size(cat, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": at, "text": text} for at, text in enumerate(sentences(3000))])
    whole, parts = cat.ingest([path], "whole", source="s"), cat.ingest([path], "parts", source="s", fragment_rows=100)
    a, b = cat.resolve(whole.ref).version, cat.resolve(parts.ref).version
    assert a.digest == b.digest and a.rows == b.rows == 3000
    assert {k: v for k, v in a.statistics.items() if k != "facets"} == {
        k: v for k, v in b.statistics.items() if k != "facets"
    }
    assert len(cat.lance("parts").get_fragments()) > 5 and errors_of(cat) == []


def test_statistics_grow_with_the_dataset(cat, tmp_path):
    texts = sentences(300)
    cat.ingest([write_jsonl(tmp_path / "a.jsonl", texts[:200])], "web", licence="CC0-1.0")
    cat.ingest([write_jsonl(tmp_path / "b.jsonl", texts[200:])], "web", licence="MIT")
    cat.ingest([write_jsonl(tmp_path / "c.jsonl", texts)], "once")
    grown, once = cat.resolve("web").version.statistics, cat.resolve("once").version.statistics
    assert grown["length_bins"] == once["length_bins"] and grown["bytes"] == once["bytes"]
    assert grown["facets"]["licence"] == {"CC0-1.0": 200, "MIT": 100}
    assert errors_of(cat) == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_truncated_file_fails_unless_its_rows_are_wanted(cat, tmp_path, keep):
    cat.ingest([write_jsonl(tmp_path / "fine.jsonl", sentences(5))], "web")
    path = tmp_path / "cut.jsonl.gz"
    packed = gzip.compress(b"".join(orjson.dumps({"text": t}) + b"\n" for t in sentences(9000, seed=1, low=30)))
    path.write_bytes(packed[:-500])
    if not keep:
        with pytest.raises(BrokenFile, match=r"cut\.jsonl\.gz is truncated"):
            cat.ingest([path], "web")
        assert cat.resolve("web").number == 1 and not records(cat, Quarantine) and not records(cat, Checkpoint)
        with pytest.raises(BrokenFile):
            cat.ingest([path], "other")
        assert cat.find("other") is None and [d.name for d in cat.datasets(unpublished=True)] == ["web"]
        return
    report = cat.ingest([path], "web", keep_going=True)
    assert report.counts["quarantined"] == 1 and report.counts["kept"] > 1000 and "truncated" in report.files[0].error
    assert records(cat, Quarantine)[0].reason == "broken file" and errors_of(cat) == []
    path.write_bytes(packed)
    mended = cat.ingest([path], "web")
    assert (
        mended.counts["held"] == report.counts["kept"] and cat.find("web").rows == 9005 and not records(cat, Quarantine)
    )


def test_when_nothing_can_be_kept_nothing_is_made(cat, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"no json\nat all\n")
    with pytest.raises(BadInput, match=r"a\.jsonl.*no record that can be read"):
        cat.ingest([path], "web")
    path.write_bytes(b'{"text": ""}\n{"text": " "}\n')
    with pytest.raises(BadInput, match=r"no record of .*a\.jsonl can be kept \(empty text 2\); the first is at line 1"):
        cat.ingest([path], "web", kind="text", mapping={"text": "text"})
    assert cat.datasets(unpublished=True) == []
    cat.ingest([write_jsonl(path, ["fine"])], "web")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "chat"}, BadInput, "web has kind text, not chat"),
        ({"tier": "L1"}, BadInput, "web has tier L0, not L1"),
        ({"role": "eval"}, BadInput, "web has role none, not eval"),
        ({"tier": "L3"}, Refused, "asks for parents"),
        ({"mapping": {"text": "nope"}}, BadInput, "no field 'nope'"),
        ({"reading": {"headr": True}}, BadInput, "no reading option 'headr'"),
        ({"licens": "x"}, BadInput, "no option 'licens'"),
        ({"expectations": {"min_row": 1}}, BadInput, "min_row"),
        ({"expectations": {"null_share": {"nope": 0.1}}}, BadInput, "no column 'nope'"),
    ],
)
def test_wrong_options_are_one_line_and_change_nothing(cat, tmp_path, options, error, words):
    path = write_jsonl(tmp_path / "a.jsonl", sentences(3))
    cat.ingest([path], "web")
    with pytest.raises(error, match=words):
        cat.ingest([write_jsonl(tmp_path / "b.jsonl", ["new"])], "web", **options)
    assert cat.resolve("web").number == 1


def test_files_of_two_kinds_and_names_in_use_are_refused(cat, tmp_path):
    text = write_jsonl(tmp_path / "a.jsonl", sentences(3))
    chat = write_jsonl(tmp_path / "b.jsonl", [{"instruction": "Do.", "output": "Done."}])
    with pytest.raises(BadInput, match="looks like chat, and .*a.jsonl is text"):
        cat.ingest([text, chat], "mixed")
    with pytest.raises(BadInput, match="cannot be a name"):
        cat.ingest([text], "No Name")
    cat.ingest([text], "web")
    cat.save_selection("mine", "web", "chars > 10") if hasattr(cat, "save_selection") else None
    if cat._noun("mine"):
        with pytest.raises(NameTaken, match="taken by a selection"):
            cat.ingest([text], "mine")


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"min_rows": 11}, "min_rows 11: 10 rows"),
        ({"max_rows": 9}, "max_rows 9: 10 rows"),
        ({"null_share": {"licence": 0.5}}, "null_share of licence 0.5: 1"),
        ({"quarantine_share": 0.05}, "quarantine_share 0.05: 0.0909"),
        ({"language_share": {"de": 0.5}}, "language_share of de 0.5: 0 of 10"),
    ],
)
def test_a_failed_expectation_publishes_nothing(cat, tmp_path, expected, words):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(orjson.dumps({"text": t}) + b"\n" for t in sentences(10)) + b"broken\n")
    with pytest.raises(Refused, match=words) as caught:
        cat.ingest([path], "web", expectations=expected)
    assert caught.value.facts["missing"] and cat.datasets(unpublished=True) == [] and not records(cat, Quarantine)
    cat.ingest(
        [path], "web", expectations={"min_rows": 10, "language_share": {"en": 0.5}, "null_share": {"licence": 1}}
    )
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "one more"}\nbroken\n')
    with pytest.raises(Refused):
        cat.ingest([tmp_path / "b.jsonl"], "web", expectations={"min_rows": 12})
    assert cat.resolve("web").number == 1 and len(records(cat, Quarantine)) == 1 and errors_of(cat) == []


def test_every_kind_is_stored_and_read_back(cat, tmp_path):
    chat = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello", "weight": 1}]}
    cat.ingest([write_jsonl(tmp_path / "chat.jsonl", [chat])], "chat")
    (turns,) = column(cat, "chat", "messages")
    assert (
        [turn["content"] for turn in turns] == ["hi", "hello"]
        and turns[1]["train"] is True
        and turns[0]["train"] is None
    )
    pair = {"prompt": "hi", "chosen": "hello", "rejected": "no"}
    cat.ingest([write_jsonl(tmp_path / "pref.jsonl", [pair])], "pref")
    assert column(cat, "pref", "chosen")[0][0]["content"] == "hello"
    task = {"question": "2+2?", "choices": ["3", "4"], "answer": 1}
    cat.ingest([write_jsonl(tmp_path / "task.jsonl", [task])], "task", role="eval")
    assert column(cat, "task", "choices") == [["3", "4"]] and column(cat, "task", "answer") == ["B"]
    cat.ingest([write_jsonl(tmp_path / "facts.jsonl", [{"name": "Aruba", "area": 180}])], "facts")
    assert cat.find("facts").kind == "knowledge" and column(cat, "facts", "text") == ["name: Aruba\narea: 180"]
    assert cat.find("task").role == "eval" and errors_of(cat) == []


def test_an_s3_like_or_unknown_scheme_is_one_line(cat):
    with pytest.raises((BadInput, Missing), match="gopher://x/y"):
        cat.ingest(["gopher://x/y.jsonl"], "web")
