"""Packed sequences in torch: workers, state, and no attention across documents, shown by a model's own numbers."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from catalog.mixes import publish  # noqa: E402
from catalog.pull.pack import pack  # noqa: E402
from catalog.pull.pytorch_packed import attention_mask  # noqa: E402
from catalog.testing import append_texts, sentences, tiny_tokenizer  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*set_vital.*", "ignore:This DataLoader will create")


@pytest.fixture
def packed(cat, tmp_path):
    append_texts(cat, "web", sentences(120), fragments=2)
    publish(cat, {"name": "m", "parts": [{"dataset": "web", "weight": 1}]})
    return pack(cat.mix("m"), tiny_tokenizer(tmp_path / "tokenizer"), 128, window=16)


def numbers(loader):
    return [(batch["_sequence"].tolist(), batch["input_ids"].tolist()) for batch in loader]


def test_workers_give_the_same_sequences_and_the_state_is_what_was_consumed(packed):
    alone = numbers(packed.torch(3, rank=1, world=2))
    loader, seen = packed.torch(3, rank=1, world=2, workers=2), []
    for batch in loader:
        seen.append((batch["_sequence"].tolist(), batch["input_ids"].tolist()))
        if len(seen) == 3:
            break
    state = loader.state_dict()
    assert seen == alone[:3] and state["sequence"] == 18
    again = packed.torch(3, rank=1, world=2)
    again.load_state_dict(state)
    assert numbers(again) == alone[3:] == numbers(loader)
    assert numbers(loader) == []


@pytest.fixture
def model(packed):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=packed.tokenizer.raw.get_vocab_size(), initializer_range=0.3, **shape)
    return transformers.LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("how", ["mask", "position_ids"])
def test_no_token_sees_another_document(packed, model, how):
    """Each document's logits in the packed row are those it has alone."""
    batch = next(iter(packed.torch(2)))
    mask = attention_mask(batch["document_ids"]) if how == "mask" else None
    with torch.no_grad():
        found = model(
            batch["input_ids"], position_ids=batch["position_ids"], attention_mask=mask, use_cache=False
        ).logits
        blind = model(batch["input_ids"]).logits
        worst = 0.0
        for row, begin, count in zip(*(batch["sources"][name].tolist() for name in ("row", "begin", "tokens"))):
            alone = model(batch["input_ids"][row : row + 1, begin : begin + count]).logits[0]
            torch.testing.assert_close(found[row, begin : begin + count], alone, rtol=1e-4, atol=1e-4)
            worst = max(worst, (blind[row, begin : begin + count] - alone).abs().max().item())
    assert worst > 0.1, "without the mask it leaks, so the comparison means something"


def test_the_loss_is_the_mean_over_documents_alone(packed, model):
    batch = next(iter(packed.torch(2)))
    given = {name: batch[name] for name in ("input_ids", "labels", "position_ids")}
    with torch.no_grad():
        whole = model(**given, attention_mask=attention_mask(batch["document_ids"])).loss
        total = count = 0
        for row, begin, size in zip(*(batch["sources"][name].tolist() for name in ("row", "begin", "tokens"))):
            ids = batch["input_ids"][row : row + 1, begin : begin + size]
            total += model(ids, labels=ids).loss.item() * (size - 1) if size > 1 else 0
            count += size - 1
    assert whole.item() == pytest.approx(total / count, rel=1e-5)
