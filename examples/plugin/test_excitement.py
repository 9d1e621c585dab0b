"""A scorer is a function of a batch: test it as one."""

import pyarrow as pa
import pytest
from strata_excitement.excitement import excitement

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
