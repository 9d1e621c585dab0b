"""The ledger under Hugging Face's Trainer: a real run, its losses those of the model on each sample alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from catalog.mixes import publish  # noqa: E402
from catalog.pull.ledger import Ledger, audit, read_run  # noqa: E402
from catalog.pull.pack import pack  # noqa: E402
from catalog.testing import append_texts, sentences, tiny_tokenizer  # noqa: E402
from flows.ledger_trainer import LedgerCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Batches(torch.utils.data.IterableDataset):
    """What a loader of ours gives, for a Trainer that is told not to batch."""

    def __init__(self, loader, keep):
        self.loader, self.keep = loader, keep

    def __iter__(self):
        for batch in self.loader:
            yield {name: batch[name] for name in self.keep}


class Trainer(transformers.Trainer):
    def get_train_dataloader(self):
        return torch.utils.data.DataLoader(self.train_dataset, batch_size=None)


@pytest.fixture
def packed(cat, tmp_path):
    append_texts(cat, "web", sentences(60))
    publish(cat, {"name": "m", "parts": [{"dataset": "web", "weight": 1}]})
    return pack(cat.mix("m"), tiny_tokenizer(tmp_path / "tokenizer"), 128, window=16)


def test_every_step_is_recorded_with_the_loss_of_every_document(packed, tmp_path):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=400, initializer_range=0.3, use_cache=False, **shape)
    )
    keep = ("input_ids", "labels", "position_ids", "_sequence", "sources")
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=4, learning_rate=0.0, gradient_accumulation_steps=2, report_to=[],
        remove_unused_columns=False, save_steps=2, use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    ledger = Ledger(packed.reader, "hf")
    loader = packed.torch(2)
    Trainer(model, arguments, train_dataset=Batches(loader, keep), callbacks=[LedgerCallback(ledger)]).train()
    held = read_run(packed.reader, "hf")
    assert held.column("step").unique().to_pylist() == [1, 2, 3, 4]
    assert held.column("position").unique().to_pylist() == list(range(16)), "two batches of two a step"
    assert audit(packed.reader, held)["repeated"] == [] == audit(packed.reader, held)["lost"]
    model.eval()
    texts = dict(zip(range(60), packed.reader.take(range(60), ["text"]).column("text").to_pylist()))
    for row in held.to_pylist():
        ids = [*packed.tokenizer.raw.encode(texts[row["index"]]).ids, packed.tokenizer.end]
        ids = torch.tensor([ids[row["first"] : row["first"] + row["tokens"]]])
        with torch.no_grad():
            assert row["loss"] == pytest.approx(model(ids, labels=ids).loss.item(), rel=1e-4)
    assert np.isfinite(held.column("loss").to_numpy()).all()
