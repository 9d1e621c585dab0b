"""Forward statistics and IFD against a naive float64 loop that runs the model once a token, on tiny random models."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import Context, get_scorer
from catalog.schema import MESSAGES
from flows.models.testing import tiny_language_model

ORACLES = {
    "lm_stats": "a naive float64 loop, one token a model call, to 1e-5",
    "perplexity": "a naive float64 loop, one token a model call, to 1e-5",
    "bits_per_byte": "a naive float64 loop, one token a model call, to 1e-5",
    "ifd_cherry": "the published procedure as a naive double pass, to 1e-5",
    "ifd_cherry_stats": "the published procedure as a naive double pass, to 1e-5",
    "ifd_superfiltering": "the published procedure as a naive double pass, to 1e-5",
    "ifd_superfiltering_stats": "the published procedure as a naive double pass, to 1e-5",
}

TEXTS = [
    "The quick brown fox counts every star that falls into the quiet river.",
    "owl",
    "Bread, salt & stories — naïve café 你好 мир 😀 each morning.\n\n12 owls; 7 foxes.",
    "the river " * 20,
    "a" * 100,
]
TRIPLES = [
    ("Name an animal of the river.", "", "The quick brown fox."),
    ("Say one letter.", "", "x"),
    ("Count the owls. " * 3, "", "Seven wise owls watch from an old oak. " * 8),
    ("Tell a story", "bread and salt 你好", "- people trade bread\n- people trade salt"),
    ("End on a colon:", "\n", ": ) smile"),
    ("the river " * 200, "", "No room is left for this answer."),
]


@pytest.fixture(scope="module", params=[False, True], ids=["no-bos", "bos"])
def model(request, tmp_path_factory) -> str:
    return tiny_language_model(tmp_path_factory.mktemp("lm") / f"bos-{request.param}", bos=request.param)


@pytest.fixture(scope="module")
def oracle(model):
    """(tokenizer, per-token log-probabilities in float64): each token from a forward pass over what precedes it."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one token at a time is too little work to share
    net = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64, attn_implementation="eager").eval()
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))

    def log_probs(ids: list[int], start: int) -> tuple[list[float], list[float]]:
        values, entropies = [], []
        with torch.inference_mode():
            for t in range(start, len(ids)):
                row = net(input_ids=torch.tensor([ids[:t]])).logits[0, -1].log_softmax(-1)
                values.append(row[ids[t]].item())
                entropies.append(-(row.exp() * row).sum().item())
        return values, entropies

    yield tokenizer, log_probs
    torch.set_num_threads(threads)


def run(name: str, model: str, batch: pa.RecordBatch, **params) -> dict[str, pa.Array]:
    plugin = get_scorer(name)
    ctx = Context(params=plugin.parse_params({"model": model, **params}), device="cpu", dtype="float32")
    ctx.model = plugin.load(ctx) if plugin.load else None
    return plugin.function(batch, ctx)


def chats(triples) -> pa.RecordBatch:
    """Conversations as ingest makes them of instruction, input and response."""
    rows = []
    for instruction, given, response in triples:
        content = f"{instruction}\n\n{given}" if given else instruction
        meta = json.dumps({"input_chars": len(given)}) if given else None
        user = {"role": "user", "content": content, "meta": meta}
        rows.append([user, {"role": "assistant", "content": response}])
    return pa.RecordBatch.from_pydict({"messages": pa.array(rows, MESSAGES)})


@pytest.mark.parametrize("max_tokens", [16, 64])
def test_lm_stats_equal_a_naive_token_loop(model, oracle, max_tokens):
    tokenizer, log_probs = oracle
    batch = pa.RecordBatch.from_pydict({"text": pa.array(TEXTS)})
    got = {k: v.to_pylist() for k, v in run("lm_stats", model, batch, max_tokens=max_tokens).items()}
    for row, text in enumerate(TEXTS):
        encoding = tokenizer.encode(text)
        ids = encoding.ids[:max_tokens]
        values, entropies = log_probs(ids, 1)
        if not values:
            assert got["nll_sum"][row] is None
            continue
        assert got["nll_sum"][row] == pytest.approx(-sum(values), rel=1e-5)
        assert got["lm_tokens"][row] == len(values)
        assert got["entropy_mean"][row] == pytest.approx(np.mean(entropies), rel=1e-5)
        lowest = sorted(values)[: max(1, int(len(values) * 0.2))]
        assert got["mink"][row] == pytest.approx(np.mean(lowest), rel=1e-5)
        first, last = encoding.offsets[1], encoding.offsets[len(ids) - 1]
        assert got["lm_bytes"][row] == len(text[first[0] : last[1]].encode())


def test_scores_follow_from_the_sums(model, oracle):
    tokenizer, log_probs = oracle
    batch = pa.RecordBatch.from_pydict({"text": pa.array(TEXTS[:1])})
    sums = run("lm_stats", model, batch, max_tokens=64)
    table = pa.RecordBatch.from_pydict({k: v for k, v in sums.items() if k != "_state"})
    encoding = tokenizer.encode(TEXTS[0])
    values, _ = log_probs(encoding.ids, 1)
    perplexity = run("perplexity", model, table)["perplexity"][0].as_py()
    assert perplexity == pytest.approx(math.exp(-np.mean(values)), rel=1e-5)
    covered = TEXTS[0][encoding.offsets[1][0] :].encode()
    bits = run("bits_per_byte", model, table)["bits_per_byte"][0].as_py()
    assert bits == pytest.approx(-sum(values) / math.log(2) / len(covered), rel=1e-5)


ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)
ALPACA_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)


def naive_cherry(tokenizer, log_probs, instruction: str, given: str, response: str, limit: int) -> float | None:
    """Mean loss after the Alpaca prompt over mean loss after "### Response:", each cut to what fits."""
    prompt = (ALPACA_INPUT if given else ALPACA).format(instruction=instruction, input=given)
    prompt_tokens, prefix_tokens = len(tokenizer.encode(prompt).ids), len(tokenizer.encode("### Response:").ids)
    if prompt_tokens >= limit:
        return None
    whole = tokenizer.encode(prompt + response).ids[:limit]
    alone = tokenizer.encode("### Response:" + response).ids[: prefix_tokens + limit - prompt_tokens]
    given_losses, _ = log_probs(whole, prompt_tokens)
    alone_losses, _ = log_probs(alone, prefix_tokens)
    return float(np.mean(given_losses) / np.mean(alone_losses)) if given_losses and alone_losses else None


def naive_superfiltering(tokenizer, log_probs, instruction: str, given: str, response: str, limit: int) -> float | None:
    """exp(mean loss after "instruction\\n") over exp(mean loss of all but the first id of the response alone)."""
    prompt = f"{instruction}\n{given}\n" if given else f"{instruction}\n"
    prompt_tokens = len(tokenizer.encode(prompt).ids)
    if limit - prompt_tokens + 1 <= 0:
        return None
    given_losses, _ = log_probs(tokenizer.encode(prompt + response).ids[:limit], prompt_tokens)
    alone_losses, _ = log_probs(tokenizer.encode(response).ids[: limit - prompt_tokens + 1], 1)
    if not given_losses or not alone_losses:
        return None
    return math.exp(-np.mean(given_losses)) / math.exp(-np.mean(alone_losses))


@pytest.mark.parametrize(
    ("form", "naive"), [("ifd_cherry", naive_cherry), ("ifd_superfiltering", naive_superfiltering)]
)
@pytest.mark.parametrize("max_tokens", [150, 220])
def test_ifd_equals_the_published_procedure(model, oracle, form, naive, max_tokens):
    batch = chats(TRIPLES)
    sums = run(f"{form}_stats", model, batch, max_tokens=max_tokens)
    table = pa.RecordBatch.from_pydict(
        {"messages": batch.column("messages"), **{k: v for k, v in sums.items() if k != "_state"}}
    )
    got = run(form, model, table)[form].to_pylist()
    want = [naive(*oracle, *triple, max_tokens) for triple in TRIPLES]
    assert [value is None for value in got] == [value is None for value in want]
    assert want[0] is not None and want[5] is None
    for mine, theirs in zip(got, want, strict=True):
        assert theirs is None or mine == pytest.approx(theirs, rel=1e-5)
