"""The exact hand-off: items by consumed_samples, in Megatron's own masks, whatever the data-parallel size."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from catalog.errors import BadInput  # noqa: E402
from catalog.mixes import publish  # noqa: E402
from catalog.pull.megatron import MegatronSequences  # noqa: E402
from catalog.pull.pack import pack  # noqa: E402
from catalog.testing import append_texts, sentences, tiny_tokenizer  # noqa: E402


@pytest.fixture
def packed(cat, tmp_path):
    append_texts(cat, "web", sentences(120), fragments=2)
    publish(cat, {"name": "m", "parts": [{"dataset": "web", "weight": 1}]})
    return pack(cat.mix("m"), tiny_tokenizer(tmp_path / "tokenizer"), 129, window=16)


def sampled(total, consumed, rank, ranks, micro):
    """Megatron's MegatronPretrainingSampler: consecutive samples, the next micro * ranks at a time."""
    held = []
    for number in range(consumed, total):
        held.append(number)
        if len(held) == micro * ranks:
            yield held[rank * micro : (rank + 1) * micro]
            held = []


def test_masks_and_positions_are_megatrons_own(packed):
    pytest.importorskip("megatron.core")
    from megatron.core.datasets.gpt_dataset import _get_ltor_masks_and_position_ids

    sequences, end = MegatronSequences(packed, attention_mask=True), packed.tokenizer.end
    for number in range(len(sequences)):
        item = sequences[number]
        tokens, full = (
            torch.from_numpy(item["tokens"]),
            int(packed.sequence(number).documents[0].astype(bool).sum()) - 1,
        )
        mask, loss, positions = _get_ltor_masks_and_position_ids(tokens, end, True, True, True, True)
        assert item["loss_mask"][:full].tolist() == loss[:full].tolist() and not item["loss_mask"][full:].any()
        assert item["position_ids"][:full].tolist() == positions[:full].tolist()
        assert (torch.from_numpy(item["attention_mask"])[:, :full, :full] == mask[:, :full, :full]).all()
        assert item["labels"][:-1].tolist() == item["tokens"][1:].tolist()


def test_a_run_goes_on_by_consumed_samples_on_other_ranks(packed):
    sequences = MegatronSequences(packed)
    order = [batch.input_ids[row] for batch, _ in packed.batches(4) for row in range(len(batch.sequences))]
    assert len(sequences) == len(order)
    served = []
    for ranks, micro, steps in ((2, 2, 3), (3, 1, 2), (1, 4, 2)):
        consumed = len(served)
        plans = [list(sampled(len(sequences), consumed, rank, ranks, micro))[:steps] for rank in range(ranks)]
        for step in range(steps):
            for plan in plans:
                served += [sequences[number]["tokens"] for number in plan[step]]
    assert all((found == wanted[:-1]).all() for found, wanted in zip(served, order)) and len(served) == 26


def test_it_works_under_torchs_loader_and_refuses_nonsense(packed):
    sequences = MegatronSequences(packed, samples=6)
    batch = next(iter(torch.utils.data.DataLoader(sequences, batch_sampler=[[4, 5]])))
    assert batch["tokens"].shape == (2, 128) and batch["tokens"].dtype == torch.int64
    assert batch["tokens"][1].tolist() == packed.sequence(5).input_ids[0, :-1].tolist()
    assert np.array_equal(batch["loss_mask"][0].numpy() > 0, packed.sequence(4).labels[0, 1:] != -100)
    with pytest.raises(IndexError):
        sequences[6]
    with pytest.raises(BadInput, match="trains on nothing"):
        MegatronSequences(packed, samples=0)
