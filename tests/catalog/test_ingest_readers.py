"""Formats: the same records come out of every file format, with their exact places, and reading goes on anywhere."""

import bz2
import gzip
import io
import json

import orjson
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput, Missing, NotFound
from catalog.ingest.discover import discover
from catalog.ingest.infer import infer
from catalog.ingest.records import Chunk, get_reader, reader, readers
from catalog.ingest.streams import BrokenFile, Stream
from catalog.plugins import REGISTRY
from catalog.testing import sentences, write_jsonl

ROWS = [{"id": f"r{at}", "text": text, "n": at} for at, text in enumerate(sentences(3000, low=3, high=12))]
SMALL = {"block_bytes": 4096}


def chunks(path, at=None, **options):
    (source,) = discover([str(path)], **{**SMALL, **options})
    return list(get_reader(source.reader).read(source, at))


def rows(path, at=None, **options):
    return [row for chunk in chunks(path, at, **options) for row in chunk.rows]


def rejects(path, **options):
    return [reject for chunk in chunks(path, **options) for reject in chunk.rejects]


def packed(path, body):
    pack = {".gz": gzip.compress, ".zst": zstandard.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
    half = len(body) // 2
    path.write_bytes(pack(body[:half]) + pack(body[half:]))  # two members or frames, as concatenation leaves them
    return path


LINES = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.jsonl.bz2", "a.json", "a.ndjson.gz"])
def test_json_lines_packed_or_not_with_line_and_offset(tmp_path, name):
    path = packed(tmp_path / name, LINES)
    found = chunks(path)
    assert [row for chunk in found for row in chunk.rows] == ROWS
    assert [line for chunk in found for line in chunk.lines] == list(range(1, 3001))
    for chunk in found:
        for row, offset in zip(chunk.rows, chunk.offsets, strict=True):
            assert LINES.startswith(orjson.dumps(row), offset)
    assert sum(chunk.read for chunk in found) == len(LINES)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "b.json", "c.csv", "d.parquet", "e.arrow"])
def test_reading_goes_on_behind_any_chunk(tmp_path, name):
    path = write(tmp_path / name)
    found = chunks(path)
    assert len(found) > 3 and [row for chunk in found for row in chunk.rows] == (
        as_text(ROWS) if "csv" in name else ROWS
    )
    for at in (0, len(found) // 2, len(found) - 1):
        rest = chunks(path, found[at].next)
        assert [row for chunk in rest for row in chunk.rows] == [row for chunk in found[at + 1 :] for row in chunk.rows]
        assert [line for chunk in rest for line in chunk.lines] == [n for chunk in found[at + 1 :] for n in chunk.lines]


def write(path):
    if path.suffix == ".json":
        path.write_text(json.dumps(ROWS, indent=1, ensure_ascii=False))
    elif path.suffix == ".csv":
        path.write_text("id,text,n\n" + "".join(f'{r["id"]},"{r["text"]}",{r["n"]}\n' for r in ROWS))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=700)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(path, pa.Table.from_pylist(ROWS).schema) as file:
            file.write_table(pa.Table.from_pylist(ROWS), max_chunksize=900)
    else:
        packed(path, LINES)
    return path


def as_text(rows):
    return [{name: str(value) for name, value in row.items()} for row in rows]


def test_processes_share_a_file_without_overlap(tmp_path):
    path = packed(tmp_path / "a.jsonl", LINES)
    (source,) = discover([str(path)], **SMALL)
    from dataclasses import replace

    parts = [list(get_reader("jsonl").read(replace(source, share=(part, 3)), None)) for part in range(3)]
    lines = sorted(line for part in parts for chunk in part for line in chunk.lines)
    assert lines == list(range(1, 3001)) and all(parts)
    assert [n for c in parts[0] for n in c.lines][:1] == [1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=30),
    st.sampled_from([16, 64, 4096]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_text_survives_the_round_trip(tmp_path, texts, block, ascii_only, end):
    body = "".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + end for text in texts).encode()
    path = tmp_path / "a.jsonl"
    path.write_bytes(body)
    found = chunks(path, block_bytes=block)
    assert [row["text"] for chunk in found for row in chunk.rows] == texts
    for chunk in found:
        assert all(
            json.loads(body[offset:].split(b"\n")[0]) == row
            for row, offset in zip(chunk.rows, chunk.offsets, strict=True)
        )


BROKEN = [
    (b'{"text": "cut', "broken JSON"),
    (b"[1, 2]", "wrong type"),
    (b'"only a string"', "wrong type"),
    (b"17", "wrong type"),
    (b'{"text": "a\xffb"}', "invalid UTF-8"),
    (b'{"text": "\\ud83d alone"}', "lone surrogate"),
    (b"[" * 5000, "broken JSON"),
    (b'{"text": "' + b"x" * 3000 + b'"}', "oversize"),
]


@pytest.mark.parametrize("block", [64, 1 << 20])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_each_broken_line_is_named_and_costs_no_other(tmp_path, block, end):
    lines = [b'{"text": "good 0"}']
    for bad, _ in BROKEN:
        lines += [bad, b"", b'{"text": "good"}']
    body = end.join(lines)  # the last line has no end
    path = tmp_path / "a.jsonl"
    path.write_bytes(body)
    found = rejects(path, block_bytes=block, max_record_bytes=2000)
    expected = ["oversize" if len(bad) > 2000 else reason for bad, reason in BROKEN]
    assert [reject.reason for reject in found] == expected
    for reject, (bad, _) in zip(found, BROKEN, strict=True):
        assert body[reject.offset :].startswith(bad) and body[: reject.offset].count(b"\n") == reject.line - 1
        assert len(reject.excerpt) <= 200 and reject.detail
    assert len(rows(path, block_bytes=block, max_record_bytes=2000)) == len(BROKEN) + 1


def test_a_line_far_beyond_the_limit_needs_no_memory_for_it(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "' + b"x" * 300_000 + b'"}\n{"text": "next"}\n')
    (reject,) = rejects(path, max_record_bytes=1000)
    assert reject.reason == "oversize" and "300012 bytes" in reject.detail and reject.line == 1
    assert rows(path, max_record_bytes=1000) == [{"text": "next"}]


def test_nan_and_byte_order_mark_are_accepted_and_utf16_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a", "score": NaN}\n')
    (chunk,) = chunks(path)
    assert chunk.rows[0]["text"] == "a" and chunk.offsets == [3]
    path.write_bytes('{"text": "a"}\n'.encode("utf-16"))
    with pytest.raises(BadInput, match="UTF-16"):
        chunks(path)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.jsonl.bz2"])
def test_a_truncated_file_breaks_behind_the_rows_before(tmp_path, name):
    path = packed(tmp_path / name, LINES * 8)
    path.write_bytes(path.read_bytes()[:-20])
    (source,) = discover([str(path)])
    found = []
    with pytest.raises(BrokenFile, match=f"{name} is truncated or broken after byte .*keep-going"):
        for chunk in get_reader("jsonl").read(source, None):
            found += chunk.rows
    assert 0 < len(found) < 24_000 and found[:3000] == ROWS[: len(found)]


def test_json_arrays_pretty_or_not_and_lists_in_an_object(tmp_path):
    path = tmp_path / "a.json"
    for body in (json.dumps(ROWS), json.dumps(ROWS, indent=2), json.dumps({"version": 1, "data": ROWS})):
        path.write_text(body)
        assert rows(path) == ROWS
    path.write_text(json.dumps({"name": "one record", "parts": [1, 2]}, indent=1))
    assert rows(path) == [{"name": "one record", "parts": [1, 2]}]
    squad = {"data": [{"title": "T", "paragraphs": [{"context": "c1", "qas": []}, {"context": "c2", "qas": []}]}]}
    path.write_text(json.dumps(squad))
    assert [row["context"] for row in rows(path)] == ["c1", "c2"] and rows(path)[0]["title"] == "T"


def test_bad_elements_of_an_array_are_rejected_and_a_cut_breaks_the_file(tmp_path):
    path = tmp_path / "a.json"
    body = b'[{"text": "a"}, 7, {"text": "b\xff"}, {"text": "\\ud800"}, {"text": "c"}]'
    path.write_bytes(body)
    assert [row["text"] for row in rows(path)] == ["a", "c"]
    found = rejects(path)
    assert [(reject.line, reject.reason) for reject in found] == [
        (2, "wrong type"),
        (3, "invalid UTF-8"),
        (4, "lone surrogate"),
    ]
    assert body[found[1].offset :].startswith(b'{"text": "b')
    path.write_bytes(body[:-10])
    (source,) = discover([str(path)])
    got = []
    with pytest.raises(BrokenFile, match="record 5 at byte"):
        for chunk in get_reader("json").read(source, None):
            got += chunk.rows
    assert [row["text"] for row in got] == ["a"]


CSV = 'id,title,text\n1,"A, B","line one\nline two"\n2,C,"say ""hi"""\n3,D,plain\n'


def test_csv_with_quoted_newlines_has_the_line_and_offset_of_each_record(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(CSV.encode())
    (chunk,) = chunks(path)
    assert [row["text"] for row in chunk.rows] == ["line one\nline two", 'say "hi"', "plain"]
    assert chunk.lines == [2, 4, 5] and [CSV.encode()[o : o + 1] for o in chunk.offsets] == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("body", "header", "names"),
    [
        ('"3","Fears for T N","Unions say"\n"4","The Race","Toronto"\n', False, ["c0", "c1", "c2"]),
        ("text,label\nhello there,1\nbye now,0\n", True, ["text", "label"]),
        ("Question;Best Answer\nWhy?;Because\n", True, ["Question", "Best Answer"]),
        ("a long sentence that is no name at all,1\nanother long sentence of the same sort,2\n", False, ["c0", "c1"]),
        ("word\tcount\nhouse\t3\nhouse\t4\n", True, ["word", "count"]),
        ("house,3\nhouse,4\n", False, ["c0", "c1"]),
        (",text\n0,a\n1,b\n", True, ["c0", "text"]),
    ],
)
def test_headers_are_told_from_records(tmp_path, body, header, names):
    path = tmp_path / "a.csv"
    path.write_text(body)
    found = rows(path)
    assert list(found[0]) == names and len(found) == len(body.splitlines()) - header


def test_header_and_columns_can_be_said(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\nhello\t1\n")
    assert len(rows(path, header=False)) == 2 and len(rows(path, header=True)) == 1
    assert rows(path, header=False, columns=["a", "b"])[0] == {"a": "text", "b": "label"}
    assert rows(path, header=True, columns=["a", "b"]) == [{"a": "hello", "b": "1"}]


def test_bad_csv_records_are_rejected(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,n\nok,1\nshort\nlong,2,3\nbad\xff,4\nfine,5\n")
    assert [row["text"] for row in rows(path)] == ["ok", "fine"]
    assert [(r.line, r.reason) for r in rejects(path)] == [(3, "broken row"), (4, "broken row"), (5, "invalid UTF-8")]
    path.write_text('text,n\nok,1\n"never closed,2\n' + "more,3\n" * 400)
    assert [r.reason for r in rejects(path, max_record_bytes=1000)][:1] == ["oversize"]


def test_parquet_feather_and_arrow_streams(tmp_path):
    nested = [
        {"text": "a", "messages": [{"role": "user", "content": "x"}], "when": None},
        {"text": "b", "messages": [], "when": None},
    ]
    table = pa.Table.from_pylist(nested)
    pq.write_table(table, tmp_path / "a.parquet")
    pyarrow.feather.write_feather(table, tmp_path / "b.feather")
    with pa.ipc.new_stream(tmp_path / "c.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ("a.parquet", "b.feather", "c.arrow"):
        assert rows(tmp_path / name) == nested
    (tmp_path / "d.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-30])
    with pytest.raises(BrokenFile, match=r"d\.parquet cannot be read"):
        rows(tmp_path / "d.parquet")


def test_invalid_utf8_in_a_string_column_costs_the_row(tmp_path):
    bad = pa.StringArray.from_buffers(2, pa.array([0, 1, 3], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff\xfe"))
    pq.write_table(pa.table({"text": bad}), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == [{"text": "a"}]
    assert [(r.line, r.reason) for r in rejects(tmp_path / "a.parquet")] == [(2, "invalid UTF-8")]


def test_a_folder_of_text_is_a_row_a_file(tmp_path):
    for name, body in {
        "b.md": b"# B",
        "sub/a.py": b"print(1)\n",
        "z.txt": b"\xff",
        ".hidden.txt": b"x",
        "img.png": b"\x89",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(body)
    (chunk,) = chunks(tmp_path)
    assert [row["path"] for row in chunk.rows] == ["b.md", "sub/a.py"]
    assert chunk.rows[1]["language"] == "Python" and chunk.files[0].endswith("b.md")
    assert [reject.reason for reject in chunk.rejects] == ["invalid UTF-8"] and chunk.rejects[0].file.endswith("z.txt")


def test_saved_hugging_face_folders_and_hub_ids(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    splits = datasets.DatasetDict(
        {"train": datasets.Dataset.from_list(ROWS[:5]), "test": datasets.Dataset.from_list(ROWS[5:7])}
    )
    splits.save_to_disk(tmp_path / "saved")
    found = rows(tmp_path / "saved")
    assert [row["split"] for row in found] == ["train"] * 5 + ["test"] * 2 and found[0]["text"] == ROWS[0]["text"]
    splits["train"].save_to_disk(tmp_path / "one")
    assert rows(tmp_path / "one") == ROWS[:5]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (source,) = discover(["hf://nobody/nothing"])
    with pytest.raises(Missing, match="hf://nobody/nothing.*save_to_disk"):
        list(get_reader("hub").read(source, None))


def warc_file(path, pages):
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=path.suffix == ".gz")
        for at, html in enumerate(pages):
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            url = f"https://example.org/{at}"
            writer.write_record(
                writer.create_warc_record(url, "response", payload=io.BytesIO(html), http_headers=headers)
            )
            request = StatusAndHeaders("GET / HTTP/1.1", [], is_http_request=True)
            writer.write_record(
                writer.create_warc_record(url, "request", payload=io.BytesIO(b""), http_headers=request)
            )
    return path


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_warc_pages_are_extracted(tmp_path, name):
    pytest.importorskip("warcio")
    pytest.importorskip("trafilatura")
    body = "".join(f"<p>{text}</p>" for text in sentences(6, low=20))
    page = f"<html><body><nav>menu</nav><article>{body}</article></body></html>".encode()
    path = warc_file(tmp_path / name, [page, b"<html></html>", page])
    (chunk,) = chunks(path, block_bytes=1 << 20)
    assert [row["url"] for row in chunk.rows] == ["https://example.org/0", "https://example.org/2"]
    assert sentences(1, low=20)[0][:40] in chunk.rows[0]["text"] and "menu" not in chunk.rows[0]["text"]
    assert [(reject.line, reject.reason) for reject in chunk.rejects] == [(2, "empty text")]
    later = rows(path, {"offset": chunk.offsets[1], "line": 3})
    assert [row["url"] for row in later] == ["https://example.org/2"]
    if name == "a.warc":
        path.write_bytes(path.read_bytes()[:-700])
        with pytest.raises(BrokenFile, match="broken near record 3"):
            chunks(path)


def test_wet_records_are_taken_as_they_are(tmp_path):
    pytest.importorskip("warcio")
    from warcio.warcwriter import WARCWriter

    path = tmp_path / "a.wet.gz"
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        record = writer.create_warc_record("https://x.org", "conversion", payload=io.BytesIO("déjà vu".encode()),
                                           warc_content_type="text/plain")  # fmt: skip
        writer.write_record(record)
    (row,) = rows(path)
    assert row["text"] == "déjà vu" and row["url"] == "https://x.org" and row["warc_id"] and row["created"]


def test_folders_globs_and_labels(tmp_path):
    for name in ("en/part-0.jsonl", "fr/part-0.jsonl", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_jsonl(tmp_path / name, ["a text"])
    assert [source.label for source in discover([str(tmp_path)])] == ["en/part-0.jsonl", "fr/part-0.jsonl"]
    assert [source.label for source in discover([f"{tmp_path}/*/part-*.jsonl"])] == [
        "en/part-0.jsonl",
        "fr/part-0.jsonl",
    ]
    assert [source.label for source in discover([str(tmp_path / "en/part-0.jsonl")])] == ["part-0.jsonl"]
    assert len(discover([str(tmp_path), str(tmp_path / "en/part-0.jsonl")])) == 2


def test_paths_that_lead_nowhere_are_one_line(tmp_path):
    write_jsonl(tmp_path / "pages.jsonl", ["a text"])
    with pytest.raises(NotFound, match=r"did you mean .*pages\.jsonl"):
        discover([str(tmp_path / "page.jsonl")])
    with pytest.raises(NotFound, match="hf://owner/name"):
        discover(["owner/name"])
    with pytest.raises(NotFound, match="file that matches"):
        discover([str(tmp_path / "*.csv")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no data or text file"):
        discover([str(tmp_path / "empty")])
    (tmp_path / "blob.bin").write_bytes(b"x")
    with pytest.raises(BadInput, match="--format"):
        discover([str(tmp_path / "blob.bin")])
    assert discover([str(tmp_path / "blob.bin")], format="jsonl")[0].reader == "jsonl"
    with pytest.raises(NotFound, match="reader 'jsnl'"):
        discover([str(tmp_path / "blob.bin")], format="jsnl")


def test_objects_in_a_store_are_read_like_files(monkeypatch):
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        storage = {
            "aws_endpoint": f"http://{host}:{port}", "aws_access_key_id": "x", "aws_secret_access_key": "y",
            "aws_region": "us-east-1",
        }  # fmt: skip
        import boto3

        client = boto3.client("s3", endpoint_url=storage["aws_endpoint"], aws_access_key_id="x", aws_secret_access_key="y",
                              region_name="us-east-1")  # fmt: skip
        client.create_bucket(Bucket="crawl")
        client.put_object(Bucket="crawl", Key="in/a.jsonl.gz", Body=gzip.compress(LINES))
        client.put_object(Bucket="crawl", Key="in/b.jsonl", Body=LINES)
        found = discover(["s3://crawl/in"], storage=storage)
        assert [source.label for source in found] == ["a.jsonl.gz", "b.jsonl"]
        for source in found:
            assert [row for chunk in get_reader("jsonl").read(source, None) for row in chunk.rows] == ROWS
        plain = found[1]
        first = next(get_reader("jsonl").read(plain, None))
        rest = [row for chunk in get_reader("jsonl").read(plain, first.next) for row in chunk.rows]
        assert first.rows + rest == ROWS
        with pytest.raises(NotFound, match="s3://crawl/none"):
            discover(["s3://crawl/none.jsonl"], storage=storage)
    finally:
        server.stop()


def test_a_plug_in_reader_is_picked_by_suffix_and_by_content(tmp_path, monkeypatch):
    monkeypatch.setitem(REGISTRY, "reader", dict(readers()))

    @reader("pairs", suffixes=(".pairs",), sniff=lambda head: head.startswith(b"#pairs\n"))
    def read(source, at):
        """Lines of `key=text`."""
        with Stream(source.uri) as stream:
            lines = b"".join(stream.blocks()).decode().splitlines()[1:]
        yield Chunk([{"text": line} for line in lines], range(1, len(lines) + 1), None, {"line": len(lines) + 1})

    body = b"#pairs\na=1\nb=2\n"
    for name, how in (
        ("x.pairs", bytes),
        ("x.pairs.gz", gzip.compress),
        ("unnamed", bytes),
        ("odd.xyz", gzip.compress),
    ):
        (tmp_path / name).write_bytes(how(body))
        assert [row["text"] for row in rows(tmp_path / name)] == ["a=1", "b=2"], name
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "y.pairs").write_bytes(body)
    assert [source.reader for source in discover([str(tmp_path / "folder")])] == ["pairs"]
    (tmp_path / "lines.jsonl").write_bytes(b"#pairs\n")
    assert discover([str(tmp_path / "lines.jsonl")])[0].reader == "jsonl", "a suffix that is known decides"
    (tmp_path / "other.xyz").write_bytes(b"nothing known")
    with pytest.raises(BadInput, match="cannot tell its format by its name; say --format, one of .*pairs"):
        discover([str(tmp_path / "other.xyz")])


def test_a_nested_field_can_be_any_role(tmp_path, cat):
    texts = sentences(30)
    records = [{"data": {"body": text, "link": f"https://e.org/{at}", "n": at}, "top": at} for at, text in
               enumerate(texts)]  # fmt: skip
    records[7] = {"data": None, "top": 7}
    table = pa.Table.from_pylist(records)
    pq.write_table(table, tmp_path / "a.parquet")
    pyarrow.feather.write_feather(table, str(tmp_path / "a.arrow"))
    write_jsonl(tmp_path / "a.jsonl", records)
    (tmp_path / "a.json").write_bytes(orjson.dumps(records))
    kept = [text for at, text in enumerate(texts) if at != 7]
    nested = {"text": "data.body", "url": "data.link", "key": "data.n"}
    for name in ("a.parquet", "a.arrow", "a.jsonl", "a.json"):
        as_ = name.replace(".", "-")
        report = cat.ingest([tmp_path / name], as_, mapping=nested)
        assert (report.counts["in"], report.counts["kept"]) == (30, 29), name
        held = [row for batch in cat.scan(as_, ["text", "url", "meta"]) for row in batch.to_pylist()]
        assert [row["text"] for row in held] == kept and held[3]["url"] == "https://e.org/3"
        assert orjson.loads(held[3]["meta"]) == {"data": {}, "data.n": 3, "top": 3}
        assert cat.ingest([tmp_path / name], as_, mapping=nested).status == "unchanged"
    preview = infer(str(tmp_path / "a.parquet"), given={"text": "data.body"}).preview
    assert preview[0]["text"] == texts[0] and preview[0]["line"] == 1
    with pytest.raises(BadInput, match="no field 'data.boddy'; they have data, top"):
        infer(str(tmp_path / "a.parquet"), given={"text": "data.boddy"})
