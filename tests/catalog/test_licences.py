"""What a mix is for decides which licences block it; a person may waive, by name and with a reason."""

import pytest

from catalog import Catalog
from catalog.errors import BadInput, Refused
from catalog.ingest import ingest
from catalog.licences import blocks, obligations, terms
from catalog.mixes import load_lock, preview, publish
from catalog.testing import append_texts, write_jsonl


@pytest.mark.parametrize(
    ("licence", "use", "blocked"),
    [
        ("MIT", "share-commercial", False), ("CC0-1.0", "commercial", False), ("CC-BY-4.0", "commercial", False),
        ("CC-BY-SA-3.0", "commercial", False), ("cc-by-nc-4.0", "commercial", True), ("CC BY-NC-SA 4.0", "research", False),
        ("CC-BY-NC-4.0", "share", False), ("CC-BY-NC-4.0", "share-commercial", True), ("CC-BY-ND-4.0", "share", True),
        ("CC-BY-ND-4.0", "research", False), ("GPL-3.0-only", "commercial", False), ("ODbL-1.0", "share", False),
        ("custom terms", "research", True), (None, "research", True), ("", "commercial", True),
        ("MIT OR CC-BY-NC-4.0", "commercial", False), ("(MIT AND CC-BY-NC-4.0)", "commercial", True),
    ],
)  # fmt: skip
def test_a_licence_goes_with_a_use_or_not(licence, use, blocked):
    assert bool(blocks(licence, use)) is blocked


def test_permissions_of_every_family_never_grow_with_a_stricter_use():
    for licence in ("MIT", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "CC-BY-NC-ND-4.0", "nonsense"):
        for weaker, stronger in (
            ("research", "commercial"),
            ("share", "share-commercial"),
            ("commercial", "share-commercial"),
        ):
            assert not (blocks(licence, weaker) and not blocks(licence, stronger))


def test_obligations_are_listed_and_never_block():
    assert obligations("CC-BY-SA-4.0") == ["attribution", "share alike"] and obligations("CC0-1.0") == []
    assert terms("made up") is None


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    append_texts(cat, "free", [f"free {row}" for row in range(6)], licence="MIT")
    rows = [{"text": f"mixed {n}", "licence": (None, "CC-BY-NC-4.0", "CC-BY-SA-4.0")[n % 3]} for n in range(9)]
    ingest(cat, [str(write_jsonl(tmp_path / "m.jsonl", rows))], "mixed", mapping={"licence": "licence"})
    return cat


def spec(**more):
    return {"name": "m", "parts": [{"dataset": "free"}, {"dataset": "mixed"}], **more}


def test_without_a_use_a_lock_reports_and_nothing_blocks(cat):
    assert publish(cat, spec()).lock["licences"] == {
        "verdict": "unknown licences", "rows": {"CC-BY-NC-4.0": 3, "CC-BY-SA-4.0": 3, "MIT": 6}, "unknown": {"mixed@v1": 3},
    }  # fmt: skip


def test_a_use_is_blocked_by_rows_that_a_filter_shows(cat):
    held = preview(cat, spec(use="commercial"))["licences"]
    assert held["verdict"] == "blocked" and held["obligations"]["share alike"] == ["CC-BY-SA-4.0"]
    found = {entry["licence"]: entry for entry in held["blocked"]}
    assert {name: entry["rows"] for name, entry in found.items()} == {None: 3, "CC-BY-NC-4.0": 3}
    for entry in found.values():
        assert sum(batch.num_rows for batch in cat.scan("mixed", ["sample_id"], where=entry["find"])) == 3
    with pytest.raises(Refused, match=r"use commercial is blocked by 6 rows: 3 of mixed .* waive"):
        publish(cat, spec(use="commercial"))
    kept = [{"dataset": "free"}, {"dataset": "mixed", "where": "licence = 'CC-BY-SA-4.0'"}]
    assert publish(cat, spec(use="commercial", parts=kept)).lock["licences"]["verdict"] == "allowed"


def test_a_named_person_may_waive_with_a_reason(cat):
    waive = [{"licence": "unknown", "by": "ann", "reason": "asked the source"}]
    with pytest.raises(Refused, match="blocked by 3 rows"):
        publish(cat, spec(use="commercial", waive=waive))
    waive.append({"licence": "CC-BY-NC-4.0", "part": "mixed", "by": "ann", "reason": "agreement of 3 May"})
    made = publish(cat, spec(use="commercial", waive=waive))
    assert [entry["by"] for entry in load_lock(cat, f"m@v{made.version}")["licences"]["waived"]] == ["ann", "ann"]
    with pytest.raises(BadInput, match="waive"):
        publish(cat, spec(use="commercial", waive=[{"licence": "unknown", "by": "", "reason": "x"}]))
    with pytest.raises(BadInput, match="none is said"):
        publish(cat, spec(waive=waive))
    with pytest.raises(BadInput, match="use 'resaerch' is not known"):
        publish(cat, spec(use="resaerch"))
