"""Packing: every token once, windows that stand alone, the same sequences for any ranks, workers and resume point."""

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput, NotFound
from catalog.mixes import publish
from catalog.pull import packing
from catalog.pull.pack import pack
from catalog.pull.packed import IGNORED, Place
from catalog.testing import append_texts, attach_columns, sentences, text_dataset, tiny_tokenizer

LENGTH, WINDOW = 96, 32


@pytest.fixture
def folder(tmp_path):
    return tiny_tokenizer(tmp_path / "tokenizer")


@pytest.fixture
def store(cat):
    append_texts(cat, "web", [*sentences(150), "", "long " * 200], fragments=2)
    append_texts(cat, "chat", sentences(40, seed=1))
    parts = [{"dataset": "web", "weight": 3}, {"dataset": "chat", "weight": 1, "max_epochs": 2}]
    publish(cat, {"name": "m", "total": 200, "parts": parts})
    return cat


def all_of(packed, **options):
    return [batch for batch, _ in packed.batches(4, **options)]


def rows_of(batches):
    return {
        int(number): (batch.input_ids[row].tobytes(), batch.labels[row].tobytes(), batch.documents[row].tobytes())
        for batch in batches
        for row, number in enumerate(batch.sequences)
    }


def naive_best_fit(lengths, capacity):
    rooms = []
    for length in sorted(lengths, reverse=True):
        fits = [at for at, room in enumerate(rooms) if room >= length]
        if fits:
            at = min(fits, key=lambda at: rooms[at])
            rooms[at] -= length
        else:
            rooms.append(capacity - length)
    return sorted(rooms)


@given(st.lists(st.integers(1, 50), max_size=80), st.integers(50, 120))
def test_best_fit_leaves_the_room_that_the_naive_search_leaves(lengths, capacity):
    found = packing.best_fit(np.array(lengths, np.int64), capacity)
    rooms = capacity - np.bincount(found, np.array(lengths, np.float64)) if lengths else []
    assert sorted(int(room) for room in rooms) == naive_best_fit(lengths, capacity)


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(2, 90), st.sampled_from(packing.LONG))
def test_a_plan_places_every_token_once_and_none_over_another(lengths, capacity, long):
    plan = packing.plan(np.array(lengths, np.int64), capacity, 1, "k", long)
    kept = [min(n, capacity) if long == "cut" else 0 if long == "drop" and n > capacity else n for n in lengths]
    tokens = sorted((d, b + i) for d, b, n in zip(plan.doc, plan.begin, plan.length) for i in range(n))
    assert tokens == [(doc, at) for doc, count in enumerate(kept) for at in range(count)]
    for sequence in range(len(plan)):
        piece = plan.pieces(sequence)
        assert plan.at[piece].tolist() == (np.cumsum(plan.length[piece]) - plan.length[piece]).tolist()
        assert 0 < plan.length[piece].sum() <= capacity


def test_documents_come_back_whole_with_labels_that_never_cross(store, folder):
    reader, packed = store.mix("m"), pack(store.mix("m"), folder, LENGTH, window=WINDOW)
    pieces, batches = {}, all_of(packed)
    for batch in batches:
        for row, begin, count, index, _, _, first in batch.sources.tolist():
            pieces[index, first] = batch.input_ids[row, begin : begin + count].tolist()
            assert batch.positions[row, begin : begin + count].tolist() == list(range(count))
            assert len(set(batch.documents[row, begin : begin + count].tolist())) == 1
            labels = batch.labels[row, begin : begin + count]
            assert labels[0] == IGNORED and labels[1:].tolist() == pieces[index, first][1:]
        padding = batch.documents == 0
        assert (batch.labels[padding] == IGNORED).all() and (batch.input_ids[padding] == packed.tokenizer.pad).all()
        assert batch.cu_seqlens[0] == 0 and batch.cu_seqlens[-1] == batch.input_ids.size
        starts = np.flatnonzero(batch.positions.ravel() == 0)
        assert starts.tolist() == batch.cu_seqlens[:-1].tolist()
    for row in reader.take(range(len(reader)), ["text"]).to_pylist():
        found = [pieces[key] for key in sorted(pieces) if key[0] == row["_index"]]
        ids = packed.tokenizer.raw.encode(row["text"]).ids
        assert [token for piece in found for token in piece] == (ids + [packed.tokenizer.end] if row["text"] else [])
    assert sum(len(piece) for piece in pieces.values()) / (LENGTH * len(rows_of(batches))) > 0.9


def test_a_window_stands_alone(store, folder):
    packed = pack(store.mix("m"), folder, LENGTH, window=WINDOW)
    whole, first = rows_of(all_of(packed)), 0
    for window in range(packed.windows):
        alone = rows_of(all_of(packed, place=Place(window, 0, first)))
        assert alone == {number: row for number, row in whole.items() if number >= first}
        first += packed.plan_window(window)
    assert first == len(whole) == packed.count() and sorted(whole) == list(range(first))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 12), st.integers(1, 9), st.integers(1, 7), st.booleans())
def test_any_ranks_before_and_after_a_resume_give_one_sequence(store, folder, world, size, steps, later, other, known):
    if known and "tokens" not in {column.alias for column in store.columns("web")}:
        count_tokens(store, folder)
    packed = pack(store.mix("m"), folder, LENGTH, window=WINDOW, lengths="tokens" if known else None)
    whole = rows_of(all_of(pack(store.mix("m"), folder, LENGTH, window=WINDOW)))
    seen, states = {}, []
    for rank in range(world):
        place = Place(0, 0, 0)
        for _, (batch, after) in zip(range(steps), packed.batches(size, rank=rank, world=world), strict=False):
            assert all(number % world == rank for number in batch.sequences)
            assert not seen.keys() & rows_of([batch]).keys()
            seen |= rows_of([batch])
            place = after
        states.append(packed.state(place))
    assert all(state == states[0] for state in states)
    begin = packed.place_of(states[0])
    assert sorted(seen) == list(range(begin.sequence)) and begin.sequence == min(steps * world * size, len(whole))
    for rank in range(later):
        for batch, _ in packed.batches(other, rank=rank, world=later, place=begin):
            assert not seen.keys() & rows_of([batch]).keys()
            seen |= rows_of([batch])
    assert seen == whole


def count_tokens(store, folder, wrong=0):
    from catalog.pull.tokens import open_tokenizer

    raw = open_tokenizer(folder).raw
    for name in ("web", "chat"):
        texts = store.lance(name).to_table(columns=["text"]).column("text").to_pylist()
        counts = [len(raw.encode(text).ids) + wrong * bool(text) for text in texts]
        attach_columns(store, name, {"tokens": np.array(counts, np.int32)})


def test_known_lengths_tokenise_a_ranks_own_documents_only(store, folder):
    count_tokens(store, folder)
    packed = pack(store.mix("m"), folder, LENGTH, window=WINDOW, lengths="tokens")
    window = packed.open_window(1, range(3, 1 << 62, 4))
    held = {doc for doc, tokens in enumerate(window.tokens) if tokens is not None}
    mine = [window.plan.doc[window.plan.pieces(sequence)] for sequence in range(3, len(window.plan), 4)]
    assert held == set(np.concatenate(mine).tolist()) and len(held) < WINDOW / 2


def test_counts_of_another_tokenizer_are_refused(store, folder):
    count_tokens(store, folder, wrong=1)
    packed = pack(store.mix("m"), folder, LENGTH, window=WINDOW, lengths="tokens")
    with pytest.raises(BadInput, match="column tokens says .* this tokenizer makes"):
        all_of(packed)


def test_sequence_k_from_anywhere(store, folder):
    reader = store.mix("m")
    whole = rows_of(all_of(pack(reader, folder, LENGTH, window=WINDOW)))
    for known in (False, True):  # counted on the way, and from the file the stream above left
        if not known:
            for file in (store.settings.home / "packs").glob("*.counts"):
                file.unlink()
        packed = pack(reader, folder, LENGTH, window=WINDOW)
        for number in (len(whole) - 1, 0, len(whole) // 2):
            assert rows_of([packed.sequence(number)]) == {number: whole[number]}
            assert packed.find(number).sequence == number
    with pytest.raises(BadInput, match=f"packs to {len(whole)} sequences"):
        packed.sequence(len(whole))
    with pytest.raises(BadInput, match=f"packs to {len(whole)} sequences"):
        packed.sequence(len(whole) + 7)


def test_a_retracted_row_is_padding_and_moves_nothing(store, folder):
    before = all_of(pack(store.mix("m"), folder, LENGTH, window=WINDOW))
    gone = store.mix("m").take([5], ["sample_id"]).to_pylist()[0]["sample_id"]
    store.retract(reason="takedown", ids=[gone])
    served = {row["_index"] for row in store.mix("m").take(range(200), []).to_pylist()}
    after = all_of(pack(store.mix("m"), folder, LENGTH, window=WINDOW))
    assert len(served) < 200 and {i for batch in after for i in batch.sources[:, 3].tolist()} == served - empty(store)
    for old, new in zip(before, after, strict=True):
        assert old.cu_seqlens.tolist() == new.cu_seqlens.tolist()
        same = new.documents > 0
        assert (old.input_ids[same] == new.input_ids[same]).all() and (new.labels[~same] == IGNORED).all()


def empty(store):
    rows = store.mix("m").take(range(200), ["text"]).to_pylist()
    return {row["_index"] for row in rows if not row["text"]}


def test_what_is_refused(store, folder, tmp_path):
    reader = store.mix("m")
    packed = pack(reader, folder, LENGTH, window=WINDOW)
    state = packed.state(Place(1, 2, 20))
    assert packed.place_of(state) == Place(1, 2, 20)
    other = tiny_tokenizer(tmp_path / "other", size=300)
    with pytest.raises(BadInput, match=r"tokenizer [0-9a-f]{12}, here it is .* open the tokenizer"):
        pack(reader, other, LENGTH, window=WINDOW).place_of(state)
    with pytest.raises(BadInput, match="pinned is"):
        pack(reader, other, LENGTH, pinned=packed.tokenizer.digest)
    with pytest.raises(BadInput, match="the state has packing"):
        pack(reader, folder, LENGTH + 1, window=WINDOW).place_of(state)
    publish(store, {"name": "n", "parts": [{"dataset": "chat"}]})
    with pytest.raises(BadInput, match="the state has lock"):
        pack(store.mix("n"), folder, LENGTH, window=WINDOW).place_of(state)
    for wrong in (None, {}, {**state, "more": 1}):
        with pytest.raises(BadInput, match="not the state of a packed loader"):
            packed.place_of(wrong)
    with pytest.raises(NotFound, match="tokenizer file"):
        pack(reader, tmp_path / "nowhere", LENGTH)
    with pytest.raises(BadInput, match="no token '<end>' for end"):
        pack(reader, folder, LENGTH, end="<end>")
    with pytest.raises(BadInput, match="predicts nothing"):
        pack(reader, folder, 1)
    with pytest.raises(BadInput, match="rank 2 of 2"):
        list(packed.batches(4, rank=2, world=2))


def test_chats_are_packed_with_the_loss_on_their_answers(cat, tmp_path):
    marks = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
    folder = tiny_tokenizer(tmp_path / "tokenizer", marks)
    turns = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": f"Answer {number}"}]
        for number, question in enumerate(sentences(40, low=3, high=9))
    ]
    turns.append([{"role": "user", "content": "long " * 300}, {"role": "assistant", "content": "never reached"}])
    text_dataset(cat, tmp_path, "chat", [{"messages": held} for held in turns], kind="chat")
    publish(cat, {"name": "m", "parts": [{"dataset": "chat"}]})
    packed = pack(cat.mix("m"), folder, LENGTH, window=WINDOW, chat="chatml")
    answers, decode = set(), packed.tokenizer.raw.decode
    for batch in all_of(packed):
        for row, begin, count, *_ in batch.sources.tolist():
            labels = batch.labels[row, begin : begin + count]
            answers.add(decode(labels[labels != IGNORED].tolist(), skip_special_tokens=False))
            shown = decode(batch.input_ids[row, begin : begin + count].tolist(), skip_special_tokens=False)
            assert shown.startswith("<|im_start|>user\n")
    assert answers == {f"Answer {number}<|im_end|>\n" for number in range(40)} | {""}
    with pytest.raises(BadInput, match="lengths counts the tokens of `text`"):
        pack(cat.mix("m"), folder, LENGTH, chat="chatml", lengths="tokens")
    with pytest.raises(BadInput, match="the state has packing"):
        other = pack(cat.mix("m"), folder, LENGTH, window=WINDOW, chat="mistral")
        other.place_of(packed.state(Place(0, 0, 0)))
    text_dataset(cat, tmp_path, "web", sentences(5))
    publish(cat, {"name": "n", "parts": [{"dataset": "web"}]})
    with pytest.raises(BadInput, match="has no messages"):
        pack(cat.mix("n"), folder, LENGTH, chat="chatml")
