"""What a mix and its pull refuse: one line that names the part, column, version, lock or tokenizer; nothing is published."""

import numpy as np
import pytest
from sqlmodel import select

from catalog.errors import BadInput, Corrupt, Refused
from catalog.meta.models import Dataset, Mix, Version
from catalog.mixes import preview, publish, revise
from catalog.testing import append_texts, attach_columns, sentences, tiny_tokenizer
from flows.runner import score

ROWS = 60


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(ROWS), fragments=2)
    append_texts(cat, "chat", sentences(30, seed=1))
    append_texts(cat, "exam", sentences(10, seed=2), role="eval")
    attach_columns(cat, "web", {"grade": np.arange(ROWS, dtype=np.float32)})
    return cat


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500
    return text


def published(store):
    with store.session() as session:
        return len(session.exec(select(Mix)).all())


def test_weights_beyond_the_caps_name_the_part_and_the_tokens_it_lacks(store):
    for name in ("web", "chat"):
        score(store, name, ["token_count"])
    tokens = int(store.sql("select sum(tokens) n from chat").rows()[0]["n"])
    parts = [{"dataset": "web", "weight": 1, "max_epochs": 9}, {"dataset": "chat", "weight": 1}]
    with pytest.raises(BadInput, match=r"part 2 \(chat\) is short of") as caught:
        publish(store, {"name": "m", "unit": "tokens", "total": 4 * tokens, "parts": parts})
    short = int(one_line(caught).split("short of ")[1].split(" tokens")[0].replace(",", ""))
    assert short == pytest.approx(tokens, rel=0.02)
    with pytest.raises(BadInput, match=r"part 2 \(chat\) is short of 20 samples \(about ([\d,]+) tokens\)") as caught:
        publish(store, {"name": "m", "total": 100, "parts": parts})
    told = int(one_line(caught).split("about ")[1].split(" tokens")[0].replace(",", ""))
    assert told == round(tokens / 30 * 20)
    stages = [
        {"name": "a", "total": 50, "weights": {"chat": 1, "web": 1}},
        {"name": "b", "total": 9, "weights": {"chat": 1}},
    ]
    parts = [{"dataset": "web"}, {"dataset": "chat"}]
    with pytest.raises(
        BadInput, match=r"stage b: part 2 \(chat\) is short of 4 samples \(about [\d,]+ tokens\)"
    ) as caught:
        publish(store, {"name": "m", "parts": parts, "stages": stages})
    one_line(caught)
    assert published(store) == 0


def test_an_eval_set_is_no_part_of_a_mix_its_preview_or_its_revision(store):
    publish(store, {"name": "m", "total": 60, "parts": [{"dataset": "web", "weight": 1}]})
    for ask in (
        lambda: publish(store, {"name": "n", "parts": [{"dataset": "web"}, {"dataset": "exam"}]}),
        lambda: preview(store, {"name": "n", "parts": [{"dataset": "web"}, {"dataset": "exam"}]}),
        lambda: revise(store, "m", 20, {"web": 1}, add=[{"dataset": "exam", "weight": 1}]),
    ):
        with pytest.raises(Refused, match=r"\(exam\) has role eval and is protected from training") as caught:
            ask()
        one_line(caught)
    assert published(store) == 1


@pytest.fixture
def chosen(store):
    publish(store, {"name": "m", "parts": [{"dataset": "web", "where": "grade > 9"}, {"dataset": "chat"}]})
    return store


def change(cat, kind, wanted, **values):
    with cat.session() as session:
        for row in session.exec(select(kind)).all():
            if wanted(row):
                for name, value in values.items():
                    setattr(row, name, value)
                session.add(row)
        session.commit()


def test_a_changed_version_is_named_with_both_digests(chosen):
    identity = chosen.find("chat").id
    change(chosen, Version, lambda held: held.dataset_id == identity, digest="f" * 64)
    with pytest.raises(Corrupt, match="chat@v1 has digest ffffffffffffffff, the lock names [0-9a-f]{16}") as caught:
        chosen.mix("m")
    one_line(caught)


def test_a_column_that_is_gone_is_named_with_its_fingerprint(chosen):
    fingerprint = chosen.mix("m").lock["parts"][0]["fingerprints"]["grade"]
    table = chosen.lance("web")
    table.drop_columns([name for name in table.schema.names if name.startswith("grade__")])
    change(chosen, Dataset, lambda held: held.name == "web", lance_version=table.version)
    reader = chosen.mix("m")
    assert len(reader.take(range(80), ["text"])) == 80, "what is served does not need it any more"
    with pytest.raises(
        Corrupt, match=rf"part 1 \(web@v1\) was made by column grade with fingerprint {fingerprint[:16]}"
    ) as caught:
        reader.verify()
    one_line(caught)


def test_a_column_with_other_values_is_named(chosen):
    table = chosen.lance("web")
    physical = next(name for name in table.schema.names if name.startswith("grade__"))
    table.update({physical: "0"}, where=f"{physical} = 20")
    change(chosen, Dataset, lambda held: held.name == "web", lance_version=table.version)
    with pytest.raises(
        Corrupt, match=r"part 1 \(web@v1\) now selects other rows than its lock \(chosen by column grade\)"
    ) as caught:
        chosen.mix("m").verify(full=True)
    one_line(caught)


def test_a_state_of_another_lock_names_both(chosen):
    publish(chosen, {"name": "n", "parts": [{"dataset": "chat"}]})
    torch_views = pytest.importorskip("catalog.pull.pytorch")
    state = {"lock": chosen.mix("n").digest, "next": 4}
    reader = chosen.mix("m")
    with pytest.raises(
        BadInput, match=f"belongs to lock {state['lock'][:12]}, m@v1 has lock {reader.digest[:12]}"
    ) as caught:
        torch_views.StrataLoader(reader, 4).load_state_dict(state)
    one_line(caught)


def test_a_tokenizer_that_is_not_the_pinned_one_names_both(chosen, tmp_path):
    pytest.importorskip("tokenizers")
    right, wrong = tiny_tokenizer(tmp_path / "right"), tiny_tokenizer(tmp_path / "wrong", size=300)
    packed = chosen.mix("m").pack(right, 64)
    digest, state = packed.tokenizer.digest, packed.state(packed.find(0))
    with pytest.raises(
        BadInput, match=rf"tokenizer .*wrong.* has digest [0-9a-f]{{12}}, pinned is {digest[:12]}"
    ) as caught:
        chosen.mix("m").pack(wrong, 64, pinned=digest)
    one_line(caught)
    with pytest.raises(BadInput, match=f"the state has tokenizer {digest[:12]}, here it is") as caught:
        chosen.mix("m").pack(wrong, 64).place_of(state)
    one_line(caught)
    (right / "tokenizer.json").write_bytes((wrong / "tokenizer.json").read_bytes())
    with pytest.raises(BadInput, match="changed while it was in use"):
        type(packed.tokenizer).__reduce__(packed.tokenizer)[0](*packed.tokenizer.__reduce__()[1])
