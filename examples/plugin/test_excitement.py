"""A plug-in is a function: test it as one."""

import io

import pyarrow as pa
import pytest
from strata_excitement import fortune, headlines, tsv
from strata_excitement.excitement import excitement

from catalog.ingest.records import Source
from catalog.plugins import Context, NoParams

TEXTS = ["Wow!", "Quiet.", "", None, "!!", "¡Olé! 祝!"]


def test_marks_per_hundred_characters():
    batch = pa.record_batch({"text": pa.array(TEXTS)})
    found = excitement(batch, Context(params=NoParams()))["excitement"]
    assert found.type == pa.float32()
    assert found.to_pylist() == pytest.approx([25.0, 0.0, None, None, 100.0, 25.0])
    pieces = [excitement(batch.slice(at, 1), Context(params=NoParams()))["excitement"] for at in range(len(TEXTS))]
    assert pa.concat_arrays(pieces) == found
    assert len(excitement(batch.slice(0, 0), Context(params=NoParams()))["excitement"]) == 0


def test_fortunes_are_read_and_reading_goes_on_anywhere(tmp_path):
    path = tmp_path / "jokes"
    path.write_text("Knock knock.\n%\nWho is\nthere?\n%\nNobody.\n")
    source = Source(str(path), "jokes", "fortune")
    (chunk,) = fortune.read(source, None)
    assert [row["text"] for row in chunk.rows] == ["Knock knock.", "Who is\nthere?", "Nobody."]
    assert list(chunk.lines) == [1, 2, 3]
    (rest,) = fortune.read(source, {"line": 3})
    assert [row["text"] for row in rest.rows] == ["Nobody."] and list(rest.lines) == [3]


def test_a_headline_is_the_first_line():
    convert = headlines.headline_story({"headline": "title", "story": "story"})
    row = {"title": "Rain", "story": "It fell.", "page": 3}
    assert convert(row) == {"text": "Rain\n\nIt fell."} and row == {"page": 3}


def test_tabs_and_line_ends_stay_inside_their_cell():
    batch = pa.record_batch({"text": ["a\tb\nc", None], "n": [1, 2], "tags": [["x"], []]})
    file = io.BytesIO()
    tsv.write(file, batch.schema, iter([batch]))
    assert file.getvalue().decode().splitlines() == ["text\tn\ttags", 'a b c\t1\t["x"]', "\t2\t[]"]
