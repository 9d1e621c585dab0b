"""The ledger under Hugging Face's Trainer: a real run, its losses those of the model on each sample alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from catalog.errors import BadInput  # noqa: E402
from catalog.mixes import publish  # noqa: E402
from catalog.pull.ledger import Ledger, audit, gradients_of, read_run  # noqa: E402
from catalog.pull.ledger_columns import add_ledger  # noqa: E402
from catalog.pull.pack import pack  # noqa: E402
from catalog.testing import append_texts, sentences, tiny_tokenizer  # noqa: E402
from flows.ledger_trainer import LedgerCallback, gradient_norms, sample_losses  # noqa: E402

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


def llama(**more):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=400, initializer_range=0.3, use_cache=False, **shape | more)
    return transformers.LlamaForCausalLM(config)


def train(model, packed, ledger, folder, steps=4, **more):
    keep = ("input_ids", "labels", "position_ids", "_sequence", "sources")
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=steps, learning_rate=0.0, gradient_accumulation_steps=2, report_to=[],
        remove_unused_columns=False, save_steps=2, use_cpu=True, disable_tqdm=True, **more,
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=Batches(packed.torch(2), keep), callbacks=[LedgerCallback(ledger)]).train()


def alone(model, packed, row):
    """The loss of a document, or its piece, as the only one of its batch, with its gradient in the model."""
    text = packed.reader.take([row["index"]], ["text"]).column("text")[0].as_py()
    ids = [*packed.tokenizer.raw.encode(text).ids, packed.tokenizer.end][row["first"] : row["first"] + row["tokens"]]
    model.zero_grad()
    loss = model(torch.tensor([ids]), labels=torch.tensor([ids])).loss
    loss.backward()
    return loss.item()


def norm(parameters):
    return torch.cat([held.grad.flatten() for held in parameters if held.grad is not None]).norm().item()


def test_every_step_is_recorded_with_the_loss_of_every_document(packed, tmp_path):
    model = llama()
    train(model, packed, Ledger(packed.reader, "hf"), tmp_path / "out")
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


@pytest.mark.parametrize("tied", [False, True])
def test_full_norms_are_those_of_a_backward_pass_a_sample(packed, tmp_path, tied):
    model = llama(tie_word_embeddings=tied)
    train(model, packed, Ledger(packed.reader, "full", gradients="full"), tmp_path / "out", steps=2)
    held = read_run(packed.reader, "full").to_pylist()
    assert len(held) > 8
    for row in held:
        assert row["loss"] == pytest.approx(alone(model, packed, row), rel=1e-4)
        assert row["gradient"] == pytest.approx(norm(model.parameters()), rel=1e-3)


def test_output_layer_norms_are_of_that_layer_and_called_so(packed, tmp_path):
    model = llama()
    train(model, packed, Ledger(packed.reader, "out", gradients="output_layer"), tmp_path / "out", steps=2)
    held = read_run(packed.reader, "out").to_pylist()
    for row in held:
        alone(model, packed, row)
        assert row["gradient"] == pytest.approx(norm([model.lm_head.weight]), rel=1e-3)
        assert row["gradient"] < norm(model.parameters())
    assert any(row["tokens"] <= 32 for row in held) and any(row["tokens"] > 33 for row in held), "both ways to the norm"
    assert gradients_of(packed.reader, "out") == "output_layer"


def test_norms_work_with_checkpointing_that_does_not_reenter(packed, tmp_path):
    options = {"gradient_checkpointing": True}
    plain, ours = llama(), llama()
    train(plain, packed, Ledger(packed.reader, "plain", gradients="full"), tmp_path / "a", steps=2)
    options["gradient_checkpointing_kwargs"] = {"use_reentrant": False}
    train(ours, packed, Ledger(packed.reader, "saved", gradients="full"), tmp_path / "b", steps=2, **options)
    first, second = (read_run(packed.reader, run).column("gradient").to_numpy() for run in ("plain", "saved"))
    assert first == pytest.approx(second, rel=1e-4)


def test_a_model_that_changes_its_logits_or_names_no_layer_is_refused(packed, tmp_path):
    class Capped(transformers.LlamaForCausalLM):
        def forward(self, *given, **named):
            output = super().forward(*given, **named)
            output.logits = torch.tanh(output.logits / 2)
            return output

    torch.manual_seed(0)
    model = Capped(llama().config)
    with pytest.raises(BadInput, match="changes its logits after the output layer"):
        train(model, packed, Ledger(packed.reader, "capped", gradients="output_layer"), tmp_path / "out")
    model.get_output_embeddings = lambda: None
    with pytest.raises(BadInput, match="names no output layer"):
        train(model, packed, Ledger(packed.reader, "none", gradients="output_layer"), tmp_path / "out")
    with pytest.raises(BadInput, match="full or output_layer, not of 'last'"):
        Ledger(packed.reader, "x", gradients="last")


def test_a_plain_loop_records_both_and_its_weights_are_those_without(cat, packed):
    """Norms are taken between forward and backward and change nothing."""
    weights = []
    for run, kind in (("plain", ""), ("traced", "full")):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Embedding(400, 8), torch.nn.Linear(8, 400))
        optimizer, ledger = torch.optim.SGD(model.parameters(), lr=0.1), Ledger(packed.reader, run, gradients=kind)
        for step, batch in enumerate(packed.torch(2), 1):
            losses = sample_losses(model(batch["input_ids"]), batch["labels"], batch["sources"], graph=True)
            norms = gradient_norms(losses, model.parameters()) if kind else None
            optimizer.zero_grad()
            losses.mean().backward()
            if step == 1 and norms is not None:
                mine = [held.grad.clone() for held in model.parameters()]
                optimizer.zero_grad()
                sample_losses(model(batch["input_ids"]), batch["labels"], batch["sources"], graph=True)[2].backward()
                assert norms[2].item() == pytest.approx(norm(model.parameters()), rel=1e-5)
                for held, value in zip(model.parameters(), mine, strict=True):
                    held.grad = value
            optimizer.step()
            ledger.record(step, batch, loss=losses, gradient=norms)
        ledger.close()
        weights.append(torch.cat([held.flatten() for held in model.parameters()]))
    assert torch.equal(*weights)
    made = {row["run"]: row["columns"] for row in add_ledger(cat, "m")["runs"]}
    assert made["plain"] == [f"web.{name}_plain" for name in ("loss_first", "loss_last", "seen", "step_last")]
    assert {"web.gradient_first_traced", "web.gradient_last_traced"} < set(made["traced"])
    (table,) = [batch.to_pydict() for batch in cat.scan("web", ["gradient_last_traced", "seen_traced"])]
    assert np.isfinite(table["gradient_last_traced"]).all() and table["seen_traced"] == [1] * 60
    assert add_ledger(cat, "m", run="traced")["runs"][0]["columns"] == made["traced"]


def test_the_columns_name_the_norm_and_two_kinds_are_not_one_run(cat, packed):
    batch = next(iter(packed.torch(2)))
    count = len(batch["sources"]["index"])
    for attempt, kind in enumerate(("output_layer", "", "full"), 1):
        ledger = Ledger(packed.reader, "both", attempt=attempt, gradients=kind)
        ledger.record(1, batch, gradient=np.ones(count))
        ledger.close()
        if attempt == 1:
            assert "web.output_gradient_first_both" in add_ledger(cat, "m", run="both")["runs"][0]["columns"]
    with pytest.raises(BadInput, match="gradient norms of full and output_layer"):
        add_ledger(cat, "m", run="both")
    ledger = Ledger(packed.reader, "unsaid")
    ledger.record(1, batch, gradient=np.ones(count))
    ledger.close()
    assert "web.own_gradient_last_unsaid" in add_ledger(cat, "m", run="unsaid")["runs"][0]["columns"]
