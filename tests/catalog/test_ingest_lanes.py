"""The fast lane is a matter of speed only: whatever the bytes, it gives what the careful lane gives."""

import json

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.ingest import lanes, regular
from catalog.ingest.batches import Defaults
from catalog.ingest.discover import discover
from catalog.ingest.infer import infer_rows
from catalog.ingest.lanes import prepare_regular, regular_shape
from catalog.ingest.mapping import Mapping
from catalog.ingest.prepare import Job, prepare
from catalog.testing import sentences, write_jsonl

ROW = {"id": "k", "text": "a text", "url": "u", "created": "2024-01-01", "n": 1, "ok": True, "share": 0.5}


def job_of(path, mapping=None, **options):
    (source,) = discover([str(path)], **{"block_bytes": 1 << 20, **options})
    return Job(source, mapping or infer_rows([ROW]), "s", Defaults("s", "MIT", str(path), 1), None)


def outcome(chunks):
    """Everything that comes of a file, whatever the chunks: rows with meta as values, ids, rejects, end."""
    rows, ids, contents, rejects, keyed, end, read = [], b"", b"", [], [], None, 0
    for chunk in chunks:
        rows += chunk.batch.to_pylist()
        ids, contents, rejects = ids + chunk.ids, contents + chunk.contents, rejects + chunk.rejects
        keyed += [True] * len(chunk.ids) if chunk.keyed is None else chunk.keyed.tolist()
        end, read = chunk.next, read + chunk.read
    for row in rows:
        row["meta"] = row["meta"] and json.dumps(json.loads(row["meta"]), sort_keys=True)
    return rows, ids, contents, sorted(rejects, key=lambda item: item.line), keyed, end, read


def both(path, mapping=None, **options):
    job = job_of(path, mapping, **options)
    shape = regular_shape(job)
    careful = outcome(prepare(job))
    return (outcome(prepare_regular(job, shape, 2)), careful, shape) if shape else (None, careful, None)


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
VALUES = {
    "id": st.one_of(TEXT, st.just("")),
    "text": st.one_of(TEXT, st.sampled_from([" \n", "\u3000", "\u2028\u00a0", "\x1f", "é", "\x00x", '"', "\\"])),
    "url": st.one_of(st.none(), TEXT),
    "created": st.sampled_from(["2024-01-01", "", "yesterday", None]),
    "n": st.integers(-(2**63), 2**63 - 1),
    "ok": st.booleans(),
    "share": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5)),
}
ODD = st.sampled_from(
    [
        b"", b" ", b"{}", b"[1]", b'{"text": "x"}', b"not json", b'{"text": "\xff"}', b'{"text": 3, "id": "x"}',
        b'{"text": "\\ud800"}', b'{"id":"a","text":"b","url":"c","created":"","n":1,"ok":true,"share":0.5,"more":1}',
        b'{"id":"a","id":"z","text":"b","url":"c","created":"","n":1,"ok":true,"share":0.5}',
        b'{"id":"a","text":"b","url":"c","created":"","n":1.5,"ok":true,"share":1e999}',
        b'{"id":null,"text":"b","url":"c","created":"","n":1,"ok":null,"share":0.5}',
        b'{"id":"a","text":"b","url":"c","created":"","n":1,"ok":true,"share":0.5}{"id":"a"}', b'{"text":', b'"x"}',
        b' {"id":"a","text":"b","url":"c","created":"","n":1,"ok":true,"share":0.5} ',
        b'{"id":"a","text":"b","url":"c","created":"","n":99999999999999999999,"ok":true,"share":0.5}',
    ]
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(st.fixed_dictionaries(VALUES), st.fixed_dictionaries(VALUES), ODD), max_size=40),
    st.booleans(),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)
def test_both_lanes_agree_on_any_lines(tmp_path, lines, ascii_only, end, ended):
    first = [orjson.dumps(ROW)] * 3
    body = [
        line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        for line in lines
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(end.join([*first, *body]) + (end if ended else b""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "FEW", 4)
        patch.setattr(regular, "SAMPLE", 3)  # so that only the regular lines decide on the lane
        fast, careful, shape = both(path, block_bytes=4096)
    assert shape is not None and fast[:5] == careful[:5] and fast[6] == careful[6]


def test_regular_files_take_the_fast_lane_whole(tmp_path, monkeypatch):
    rows = [{**ROW, "id": f"k{at}", "text": text, "n": at} for at, text in enumerate(sentences(3000))]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    monkeypatch.setattr(lanes._Lane, "carefully", lambda *_: pytest.fail("a regular block went the careful way"))
    fast, careful, shape = both(path, block_bytes=1 << 16)
    assert fast == careful and shape.kept == ("id", "n", "ok", "share") and len(fast[0]) == 3000
    assert pa.types.is_float64(shape.schema.field("share").type)


def test_one_bad_line_costs_the_fast_lane_little(tmp_path, monkeypatch):
    lines = [orjson.dumps({**ROW, "text": text}) for text in sentences(5000)]
    lines[3333] = b"broken"
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    taken, carefully = [], lanes._Lane.carefully
    monkeypatch.setattr(
        lanes._Lane, "carefully", lambda self, block, line: taken.append(block) or carefully(self, block, line)
    )
    fast, careful, _ = both(path)
    assert fast[:5] == careful[:5] and [reject.line for reject in fast[3]] == [3334]
    assert len(taken) == 1 and taken[0].data.count(b"\n") < 5000 / 8


def test_the_fast_lane_is_given_up_where_it_never_fits(tmp_path, monkeypatch):
    regular = [orjson.dumps({**ROW, "text": text}) for text in sentences(300)]
    other = [orjson.dumps({"text": text, "tags": []}) for text in sentences(6000, seed=1)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*regular, *other]) + b"\n")
    tried, fast = [], lanes._Lane._fast
    monkeypatch.setattr(lanes._Lane, "_fast", lambda self, lines: tried.append(lines.line) or fast(self, lines))
    found, careful, _ = both(path, block_bytes=8192)
    assert found[:5] == careful[:5] and max(tried) < 4000


@pytest.mark.parametrize(
    "row",
    [
        {"text": "a", "tags": ["x"]}, {"text": "a", "n": None}, {"text": "a", "where": {"x": 1}}, {"other": "a"},
        {"text": "a", "url": 5},
    ],
)  # fmt: skip
def test_files_of_another_shape_do_not_enter(tmp_path, row):
    mapping = Mapping("text", "text", {"text": "text"}, {"url": "url"} if "url" in row else {}, None, reader="jsonl")
    assert regular_shape(job_of(write_jsonl(tmp_path / "a.jsonl", [row] * 5), mapping)) is None


def test_a_line_beyond_the_limit_and_a_cut_file(tmp_path):
    lines = [orjson.dumps({**ROW, "text": text}) for text in sentences(200)]
    lines[50] = orjson.dumps({**ROW, "text": "x" * 3000})
    path = tmp_path / "a.jsonl"
    for block in (256, 4096, 1 << 20):
        path.write_bytes(b"\n".join(lines))
        fast, careful, _ = both(path, max_record_bytes=2000, block_bytes=block)
        assert fast[:5] == careful[:5] and [(r.line, r.reason) for r in fast[3]] == [(51, "oversize")]
