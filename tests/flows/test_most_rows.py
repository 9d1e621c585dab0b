"""A global method holds something of every row, so it names the rows it takes and refuses more, before it begins."""

import pytest

from catalog import Catalog
from catalog.errors import Refused
from catalog.plugins import plugins
from catalog.testing import append_texts
from flows.planner import plan


def test_a_global_method_says_at_how_many_rows_it_stops(tmp_path, monkeypatch):
    cat = Catalog.open(tmp_path / "home")
    append_texts(cat, "web", ["one", "two", "three"])
    monkeypatch.setattr("flows.portion.memory", lambda: 1 << 12)  # a machine of four kilobytes
    with pytest.raises(
        Refused, match=r"minhash holds something of every row and takes 2 rows .* has 3: promote a part"
    ):
        plan(cat, "web", ["minhash"])
    plan(cat, "web", ["text_length"])  # a row at a time: no bound
    monkeypatch.undo()
    plan(cat, "web", ["minhash"])


def test_every_global_method_names_the_rows_it_takes():
    named = {scorer.name: scorer.most_rows for scorer in plugins("scorer").values() if scorer.pattern == "global"}
    assert named and all(named.values())
