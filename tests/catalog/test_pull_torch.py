"""The torch views: real DataLoaders, resume from what the trainer consumed, any number of ranks and workers."""

import multiprocessing

import pytest

torch = pytest.importorskip("torch")

from catalog.errors import BadInput  # noqa: E402
from catalog.mixes import publish  # noqa: E402
from catalog.pull.pytorch import StrataIterable  # noqa: E402
from catalog.testing import append_texts, sentences  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*set_vital.*", "ignore:This DataLoader will create")


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(260), fragments=3)
    append_texts(cat, "chat", sentences(60, seed=1))
    parts = [{"dataset": "web", "weight": 3}, {"dataset": "chat", "weight": 1, "max_epochs": 2}]
    publish(cat, {"name": "m", "total": 330, "parts": parts})
    return cat


def indices(batches):
    return [index for batch in batches for index in batch["_index"].tolist()]


def test_batches_are_tensors_and_texts(store):
    batch = next(iter(store.mix("m").torch(8)))
    assert batch["_index"].dtype == torch.int64 and batch["_index"].tolist() == list(range(8))
    assert all(isinstance(text, str) for text in batch["text"]) and len(batch["text"]) == 8
    assert set(batch) == {"_index", "_part", "_epoch", "sample_id", "text"}


def test_workers_give_the_same_batches_in_the_same_order(store):
    """One real loader with two processes, broken off, and resumed without any and with another world size."""
    reader = store.mix("m")
    alone = [batch["_index"].tolist() for batch in reader.torch(16, rank=1, world=3)]
    loader = reader.torch(16, rank=1, world=3, workers=2)
    seen = []
    for batch in loader:
        seen.append(batch["_index"].tolist())
        if len(seen) == 3:
            break
    state = loader.state_dict()
    assert state == {"lock": reader.digest, "next": 3 * 16 * 3}, "prefetched batches were not consumed"
    assert seen == alone[:3]
    assert [batch["_index"].tolist() for batch in loader] == alone[3:], "the same loader goes on"
    rest = []
    for rank in (0, 1):
        resumed = reader.torch(10, rank=rank, world=2)
        resumed.load_state_dict(state)
        rest += indices(resumed)
    assert sorted(rest) == list(range(state["next"], 330))


@pytest.mark.parametrize("stop_after", [0, 1, 7, 20])
def test_resume_anywhere_equals_undisturbed(store, stop_after):
    reader = store.mix("m")
    whole = indices(reader.torch(16))
    loader = reader.torch(16)
    seen, source = [], iter(loader)
    for _ in range(stop_after):
        seen += next(source)["_index"].tolist()
    again = store.mix("m@v1").torch(16)
    again.load_state_dict(loader.state_dict())
    assert len(again) == -(-(330 - 16 * stop_after) // 16)
    assert seen + indices(again) == whole
    assert indices(again) == [] and again.state_dict()["next"] == 330, "a finished mix gives nothing more"


def test_every_rank_has_the_same_state_at_the_same_step(store):
    reader, states = store.mix("m"), set()
    for rank in range(4):
        loader = reader.torch(8, rank=rank, world=4)
        source = iter(loader)
        for _ in range(5):
            next(source)
        states.add(loader.state_dict()["next"])
    assert states == {5 * 8 * 4}


def test_drop_last_gives_every_rank_as_many_steps(store):
    reader = store.mix("m")
    lengths = {len([batch for batch in reader.torch(32, rank=rank, world=4, drop_last=True)]) for rank in range(4)}
    assert lengths == {330 // 128}
    tail = [len(list(reader.torch(32, rank=rank, world=4))) for rank in range(4)]
    assert tail == [3, 3, 3, 3]


def test_state_of_another_lock_is_refused(store):
    publish(store, {"name": "n", "parts": [{"dataset": "chat"}]})
    loader = store.mix("m").torch(8)
    with pytest.raises(BadInput, match="belongs to lock"):
        loader.load_state_dict(store.mix("n").torch(8).state_dict())
    for state in ({}, {"lock": 1}, None, {"lock": store.mix("m").digest, "next": "7"}):
        with pytest.raises(BadInput, match="not the state"):
            loader.load_state_dict(state)
    with pytest.raises(BadInput, match="names index 999"):
        loader.load_state_dict({"lock": store.mix("m").digest, "next": 999})


def test_batches_that_retraction_emptied_are_passed_over(store):
    reader = store.mix("m")
    first = next(iter(reader.torch(2)))["sample_id"]
    store.retract(reason="takedown", ids=first)
    loader = store.mix("m").torch(2)
    batch = next(iter(loader))
    assert batch["_index"].tolist()[0] >= 2 and loader.state_dict()["next"] >= 4
    assert sorted(indices(loader) + batch["_index"].tolist()) == sorted(indices(store.mix("m").torch(64)))


def test_stateful_data_loader_resumes_with_its_own_state(store):
    stateful = pytest.importorskip("torchdata.stateful_dataloader")
    reader = store.mix("m")

    def loader():
        return stateful.StatefulDataLoader(StrataIterable(reader, 16), batch_size=None, num_workers=0)

    first = loader()
    source = iter(first)
    seen = [index for _ in range(6) for index in next(source)["_index"].tolist()]
    again = loader()
    again.load_state_dict(first.state_dict())
    assert seen + indices(again) == list(range(330))


def _read_one(reader):
    try:
        return len(next(reader.batches()))
    except BadInput as error:
        return str(error)


@pytest.mark.filterwarnings("ignore:lance is not fork-safe", "ignore:.*multi-threaded.*fork")
def test_a_forked_worker_is_told_instead_of_hanging(store):
    reader = store.mix("m")
    queue = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(_read_one(reader)))
    child.start()
    assert "multiprocessing_context='forkserver'" in queue.get(timeout=60)
    child.join(60)


def test_arrow_batches_and_wrong_options(store):
    batch = next(iter(store.mix("m").torch(4, format="arrow", columns=["text"])))
    assert batch.schema.names == ["_index", "_part", "_epoch", "text"] and batch.num_rows == 4
    with pytest.raises(BadInput, match="format is torch or arrow"):
        store.mix("m").torch(4, format="numpy")
    with pytest.raises(BadInput, match="rank 4 of 4"):
        store.mix("m").torch(4, rank=4, world=4)
