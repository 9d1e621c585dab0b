"""Forward statistics of a causal language model on a text: what perplexity, bits per byte and Min-K% are made of.

nll_sum is minus the summed log-probability of the predicted tokens (teacher forcing). The text is encoded as the
model's own tokenizer encodes it: where that puts a BOS first, the BOS is context and every token of the text is
predicted; where it puts none (SmolLM2, GPT-2), the first token is context and the rest is predicted. nll_sum /
lm_tokens is then the usual loss of a causal model. lm_bytes counts the UTF-8 bytes of the predicted tokens only, to the nearest
character, so that bits per byte relate the same stretch of text. Tokens beyond `max_tokens` are not read.

mink is the Min-K% Prob of Shi et al. 2023, "Detecting Pretraining Data from Large Language Models" (arXiv:2310.16789)
with k = 20: the mean log-probability of the 20 % least likely tokens (of the least likely one in texts below 5 tokens,
where the paper's set is empty).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.forward._language_model import PassParams, load_language_model, spread, states_of

WRITES = [
    Out(
        "nll_sum",
        pa.float64(),
        "negative log-likelihood of the predicted tokens, in nats",
        range=(0, None),
        measure=True,
    ),
    Out("lm_tokens", pa.int32(), "predicted tokens", range=(1, None), measure=True),
    Out("lm_bytes", pa.int32(), "UTF-8 bytes of the predicted tokens", range=(0, None), measure=True),
    Out(
        "entropy_mean",
        pa.float32(),
        "mean entropy of the prediction at those tokens, in nats",
        range=(0, None),
        measure=True,
    ),
    Out(
        "mink",
        pa.float32(),
        "Min-20% Prob: mean log-probability of the 20 % least likely tokens",
        range=(None, 0),
        measure=True,
    ),
]


@scorer(
    "lm_stats",
    version="1",
    reads=["text"],
    writes=WRITES,
    cost="gpu",
    params=PassParams,
    load=load_language_model,
    length="text",
    batch_rows=512,
    tolerance=1e-3,
    stage="L1",
    libraries=("torch", "transformers", "tokenizers"),
    citation="Min-K% Prob: Shi et al. 2023, arXiv:2310.16789; the rest is the model's log-likelihood",
)
def lm_stats(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    from flows.models import Piece, encode_heads, forward_sums

    lm, total = ctx.model, batch.num_rows
    inner = ctx.params.max_tokens - len(lm.prefix)
    first = 0 if lm.prefix else 1
    texts = [text or "" for text in batch.column("text").to_pylist()]
    pieces, byte_counts, rows = [], [], []
    for row, encoding in enumerate(encode_heads(lm.tokenizer, texts, inner) if texts else []):
        ids = encoding.ids[:inner]
        if len(ids) <= first:
            continue
        start = encoding.token_to_chars(0)[1] if first else 0
        end = encoding.token_to_chars(len(ids) - 1)[1] if len(encoding.ids) > inner else len(texts[row])
        pieces.append(Piece([*lm.prefix, *ids], len(lm.prefix) or 1))
        byte_counts.append(len(texts[row][start:end].encode()))
        rows.append(row)
    sums = forward_sums(lm, pieces, tick=ctx.tick)
    at = np.array(rows, np.int64)
    columns = (sums.nll, sums.tokens, byte_counts, sums.entropy / np.maximum(sums.tokens, 1), sums.lowest)
    outputs = {out.name: spread(values, at, total, out.type) for out, values in zip(WRITES, columns, strict=True)}
    return outputs | {"_state": states_of(at, total)}
