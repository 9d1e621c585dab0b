"""The commit protocol: what is not named by a metadata row is never seen, whatever order things happen in."""

import lance
import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import select

from catalog import Catalog
from catalog.errors import Busy, Corrupt
from catalog.meta.models import Dataset
from catalog.store import write_column_file
from catalog.store.columns import attach
from catalog.store.gc import compact
from catalog.store.publish import lease, publish, published_head
from catalog.store.rows import mark_removed
from catalog.testing import append_texts, errors_of, sentences

pytestmark = pytest.mark.parametrize("cat", ["sqlite", "postgres"], indirect=True)

FIELDS = pa.schema([pa.field("s__1", pa.float32()), pa.field("x__state__1", pa.uint8())])
DECIDERS = {"s__1": "x__state__1", "x__state__1": "x__state__1"}


def column(table, fragment, values, states=None):
    """A column file for one fragment, values as given."""
    states = [1] * len(values) if states is None else states
    batch = pa.RecordBatch.from_arrays([pa.array(values, pa.float32()), pa.array(states, pa.uint8())], schema=FIELDS)
    return write_column_file(table.uri, None, FIELDS, [batch], fragment=fragment, lance_version=table.version)


def scores(cat, name="web"):
    return dict(
        zip(
            *[
                cat.lance(name).to_table(columns=["text", "s__1"], filter="removed IS NULL").column(c).to_pylist()
                for c in ("text", "s__1")
            ]
        )
    )


def attach_and_publish(cat, files):
    publish(
        cat, cat.find("web").id, lambda table, _: attach(cat, table, files, FIELDS, DECIDERS), lambda session, d: None
    )


def test_an_orphan_of_a_crashed_writer_is_never_published(cat):
    append_texts(cat, "web", sentences(10))
    table = cat.lance("web")
    rows = table.to_table()
    lance.write_dataset(rows.slice(0, 3), table.uri, mode="append")  # committed to Lance, never to the metadata
    assert lance.dataset(table.uri).count_rows() == 13
    assert cat.lance("web").count_rows() == 10
    append_texts(cat, "web", sentences(5, seed=1))
    assert cat.lance("web").count_rows() == 15
    assert errors_of(cat) == []


def test_a_failure_while_changing_publishes_nothing_and_frees_the_lease(cat):
    append_texts(cat, "web", sentences(10))
    before = cat.find("web")

    def fail(table, dataset):
        mark_removed(cat, table, np.array([0, 1], np.uint64), 2)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        publish(cat, before.id, fail, lambda session, d: None)
    assert cat.find("web").lance_version == before.lance_version
    assert cat.find("web").lease_owner is None
    append_texts(cat, "web", sentences(2, seed=3))
    assert cat.lance("web").count_rows("removed IS NULL") == 12


def test_a_lost_lease_fails_the_fence(cat):
    append_texts(cat, "web", sentences(4))
    dataset = cat.find("web")

    def steal(table, _):
        with cat.session() as session:
            held = session.get(Dataset, dataset.id)
            held.lease_token += 1
            session.add(held)
            session.commit()
        return None

    with pytest.raises(Busy, match="taken over"):
        publish(cat, dataset.id, steal, lambda session, d: None)


def test_a_second_writer_waits_and_then_gives_up_with_one_line(cat):
    append_texts(cat, "web", sentences(4))
    dataset = cat.find("web")
    with lease(cat, dataset.id), pytest.raises(Busy, match="try again"), lease(cat, dataset.id, wait=0.2):
        pass


def test_the_lease_of_a_dead_process_is_taken_over_at_once(cat):
    append_texts(cat, "web", sentences(4))
    import socket

    with cat.session() as session:
        held = session.exec(select(Dataset)).one()
        held.lease_owner, held.lease_expires = f"{socket.gethostname()}|999999|1|0", "9999"
        session.add(held)
        session.commit()
        dataset_id = held.id
    with lease(cat, dataset_id, wait=0.5) as taken:
        assert taken.token > 0


def test_columns_are_added_without_touching_the_text(cat, tmp_path):
    append_texts(cat, "web", sentences(200))
    table = cat.lance("web")
    before = {data.path for f in table.get_fragments() for data in f.metadata.files}
    attach_and_publish(cat, [column(table, 0, range(200))])
    after = {data.path for f in cat.lance("web").get_fragments() for data in f.metadata.files}
    assert before < after and len(after) == len(before) + 1
    assert sorted(scores(cat).values()) == list(range(200))


def test_rows_appended_and_removed_while_a_score_ran_stay_that_way(cat):
    texts = sentences(100)
    append_texts(cat, "web", texts)
    table = cat.lance("web")
    file = column(table, 0, range(100))  # computed on v1
    append_texts(cat, "web", sentences(20, seed=9))
    publish(
        cat,
        cat.find("web").id,
        lambda t, d: mark_removed(cat, t, np.array([5, 6], np.uint64), 3)[0],
        lambda s, d: setattr(d, "removed", 2),
    )
    attach_and_publish(cat, [file])
    held = scores(cat)
    assert len(held) == 118, "a removed row came back"
    assert held[texts[7]] == 7.0 and texts[5] not in held
    assert sum(value is None for value in held.values()) == 20


@pytest.mark.parametrize("fragments", [2, 5])
def test_a_compaction_while_a_score_ran_loses_no_value(cat, fragments):
    texts = sentences(100)
    append_texts(cat, "web", texts, fragments=fragments)
    table = cat.lance("web")
    size = 100 // fragments
    files = [column(table, i, range(i * size, (i + 1) * size)) for i in range(fragments)]
    assert compact(cat, cat.find("web"))["after"] == 1
    attach_and_publish(cat, files)
    assert scores(cat) == {text: float(i) for i, text in enumerate(texts)}


def test_two_runs_that_computed_different_rows_are_united(cat):
    append_texts(cat, "web", sentences(6))
    table = cat.lance("web")
    first = column(table, 0, [1, 2, 3, None, None, None], [1, 1, 1, 5, 5, 5])
    second = column(table, 0, [None, None, None, 4, 5, 6], [5, 5, 5, 1, 1, 1])
    attach_and_publish(cat, [first])
    attach_and_publish(cat, [second])
    assert sorted(scores(cat).values()) == [1, 2, 3, 4, 5, 6]


def test_row_ids_survive_compaction(cat):
    texts = sentences(60)
    append_texts(cat, "web", texts, fragments=3)
    ids = pa.array([59, 3, 31], pa.uint64())
    before = cat.lance("web")._take_rows(ids, columns=["text"]).column("text").to_pylist()
    cat.gc("web", compact=True)
    assert (
        cat.lance("web")._take_rows(ids, columns=["text"]).column("text").to_pylist()
        == before
        == [texts[59], texts[3], texts[31]]
    )


def test_a_missing_table_is_one_line(cat):
    append_texts(cat, "web", sentences(3))
    import shutil

    shutil.rmtree(cat.table_uri(cat.find("web")))
    with pytest.raises(Corrupt, match="strata doctor"):
        cat.lance("web")
    assert any("cannot be opened" in finding for finding in errors_of(cat))


def test_a_corrupt_data_file_is_found_by_the_doctor(cat):
    append_texts(cat, "web", sentences(300))
    from pathlib import Path

    path = next(Path(cat.table_uri(cat.find("web"))).glob("data/*.lance"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert errors_of(cat)


def test_collection_keeps_what_unfinished_runs_wrote(cat):
    append_texts(cat, "web", sentences(10))
    from catalog.store import checkpoints

    file = column(cat.lance("web"), 0, range(10))
    checkpoints.save(cat, f"{cat.find('web').id}:score:k", "0", {"file": file.to_json()})
    cat.gc("web", older_than_s=0)
    from pathlib import Path

    assert (Path(cat.table_uri(cat.find("web"))) / "data" / file.path).exists()
    cat.gc("web", older_than_s=0, abandon=True)
    assert not (Path(cat.table_uri(cat.find("web"))) / "data" / file.path).exists()
    assert errors_of(cat) == []


def test_published_head_undoes_later_versions(cat):
    append_texts(cat, "web", sentences(10))
    table = cat.lance("web")
    table.delete("true")
    assert published_head(cat, cat.find("web")).count_rows() == 10


def test_two_catalog_objects_share_one_home(cat, tmp_path):
    append_texts(cat, "web", sentences(3))
    other = Catalog(cat.settings)
    assert other.resolve("web").ref == "web@v1"
