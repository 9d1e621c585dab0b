"""Losses of a response with and without its instruction: what the two official forms of IFD are made of.

Cherry (Li et al. 2023, "From Quantity to Quality", arXiv:2308.12032): the response after the Alpaca prompt, and after
the bare "### Response:". Superfiltering (Li et al. 2024, arXiv:2402.00530): the response after the instruction and a line
break, and after nothing at all, so that without a BOS its first token is predicted in the conditioned pass only.

As in the authors' code, the prompt is tokenised apart to find where the response starts (a merge across the border
moves it by one), and a response is cut where prompt and response reach `max_tokens`, alone at the same length. Their
Cherry code allows the lone pass 4 tokens for its prefix, which is that prefix in LLaMA's tokenizer; here it is its
length in the model's own. The input of an Alpaca-like triple gets its own section, as in their prompts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from catalog import states
from catalog.plugins import Context, Out, scorer
from flows.scorers.forward._language_model import LongPassParams, PassParams, load_language_model, spread, states_of
from flows.scorers.forward._turns import Exchange, cherry_prompt, last_exchange, superfiltering_prompt

RESPONSE_PREFIX = "### Response:"


def _writes(form: str, alone: str) -> list[Out]:
    return [
        Out(
            f"{form}_nll_given",
            pa.float64(),
            "NLL of the response after its prompt, in nats",
            range=(0, None),
            measure=True,
        ),
        Out(
            f"{form}_tokens_given",
            pa.int32(),
            "response tokens predicted after the prompt",
            range=(1, None),
            measure=True,
        ),
        Out(f"{form}_nll_alone", pa.float64(), f"NLL of the response {alone}, in nats", range=(0, None), measure=True),
        Out(f"{form}_tokens_alone", pa.int32(), f"response tokens predicted {alone}", range=(1, None), measure=True),
    ]


CHERRY = _writes("ifd_cherry", "after the bare response prefix")
SUPERFILTERING = _writes("ifd_superfiltering", "with nothing before it")


@scorer(
    "ifd_cherry_stats",
    version="1",
    reads=["messages"],
    writes=CHERRY,
    cost="gpu",
    params=PassParams,
    load=load_language_model,
    kinds=("chat", "task"),
    length="messages",
    beyond_content=True,  # where the input of an instruction begins
    batch_rows=512,
    tolerance=1e-3,
    stage="L2",
    libraries=("torch", "transformers", "tokenizers"),
    citation="Li et al. 2023, arXiv:2308.12032",
)
def ifd_cherry_stats(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Losses of the response after the Alpaca prompt and after the bare "### Response:" (Cherry)."""
    return _stats(batch, ctx, CHERRY, cherry_prompt, RESPONSE_PREFIX)


@scorer(
    "ifd_superfiltering_stats",
    version="1",
    reads=["messages"],
    writes=SUPERFILTERING,
    cost="gpu",
    params=LongPassParams,
    load=load_language_model,
    kinds=("chat", "task"),
    length="messages",
    beyond_content=True,  # where the input of an instruction begins
    batch_rows=512,
    tolerance=1e-3,
    stage="L2",
    libraries=("torch", "transformers", "tokenizers"),
    citation="Li et al. 2024, arXiv:2402.00530",
)
def ifd_superfiltering_stats(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Losses of the response after its instruction and a line break, and with nothing before it (Superfiltering)."""
    return _stats(batch, ctx, SUPERFILTERING, superfiltering_prompt, "")


def _stats(
    batch: pa.RecordBatch, ctx: Context, writes: list[Out], prompt: Callable[[Exchange], str], lone: str
) -> dict[str, pa.Array]:
    from flows.models import forward_sums

    total = batch.num_rows
    pairs = [last_exchange(messages) for messages in batch.column("messages").to_pylist()]
    held = [row for row, pair in enumerate(pairs) if pair]
    found = _pieces(ctx, [(prompt(pair), pair.response) for pair in pairs if pair], lone)
    rows = np.array([row for row, two in zip(held, found, strict=True) if two], np.int64)
    pieces = [piece for two in found if two for piece in two]
    sums = forward_sums(ctx.model, pieces, tick=_in_rows(ctx.tick))
    columns = (sums.nll[0::2], sums.tokens[0::2], sums.nll[1::2], sums.tokens[1::2])
    outputs = {out.name: spread(values, rows, total, out.type) for out, values in zip(writes, columns, strict=True)}
    gap = np.array([states.UNDEFINED if pair else states.OUT_OF_VALIDITY for pair in pairs], np.uint8)
    return outputs | {"_state": states_of(rows, total, gap)}


def _in_rows(tick: Callable[[int], None]) -> Callable[[int], None]:
    """Progress in rows from progress in pieces, two a row, which need not end in the same batch."""
    odd = 0

    def count(pieces: int) -> None:
        nonlocal odd
        rows, odd = divmod(odd + pieces, 2)
        tick(rows)

    return count


def _pieces(ctx: Context, pairs: list[tuple[str, str]], lone: str) -> list:
    """(given, alone) of each (prompt, response), or None where no response token fits or is predicted."""
    from flows.models import Piece, encode_heads

    if not pairs:
        return []
    lm, limit = ctx.model, ctx.params.max_tokens

    def encode(texts: list[str]) -> list[list[int]]:
        return [[*lm.prefix, *encoding.ids] for encoding in encode_heads(lm.tokenizer, texts, limit + 1)]

    prompts = encode([text for text, _ in pairs])
    wholes = encode([text + response for text, response in pairs])
    alones = encode([lone + response for _, response in pairs])
    head = len(encode([lone])[0]) if lone else 1  # with nothing before it, the first token (or the BOS) is context
    found = []
    for before, whole, alone in zip(prompts, wholes, alones, strict=True):
        room = limit - len(before)
        given, bare = Piece(whole[:limit], len(before)), Piece(alone[: head + max(room, 0)], head)
        fits = len(given.ids) > given.start and len(bare.ids) > bare.start
        found.append((given, bare) if fits else None)
    return found
