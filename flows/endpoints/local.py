"""A causal language model of this machine as an endpoint: no server, no key. Slow on a CPU; meant for few rows and tests.

An answer with a schema is decoded under it: fixed parts are written, a number or a name is the most likely of those that
are allowed (drawn at a temperature above 0), free text is generated. So it can always be read, however small the model.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from flows.endpoints.wire import Answer, Question, Unanswered

if TYPE_CHECKING:
    from flows.endpoints.registry import Endpoint
    from flows.models.loading import LanguageModel

REASON_TOKENS = 60
_LOCK = threading.Lock()


def answer(endpoint: Endpoint, question: Question) -> Answer:
    """Ask the model; one question at a time."""
    import torch

    if question.tools:
        raise Unanswered(
            "a model of this process calls no tools; serve it behind an OpenAI-compatible address", again=False
        )
    with _LOCK, torch.inference_mode():  # loading is no more fit for threads than the model is
        lm = _model(endpoint.model)
        ids = _prompt(lm, question)
        room = (lm.positions or 1 << 20) - len(ids)
        if room < question.max_tokens:
            raise Unanswered(
                f"the question is {len(ids):,} tokens and {endpoint.model} takes {lm.positions:,}; shorten it "
                "(longest: in the rubric)", again=False,
            )  # fmt: skip
        seed = int(hashlib.sha256(orjson.dumps([question.messages, question.draw])).hexdigest()[:12], 16)
        draw = torch.Generator().manual_seed(seed)
        if question.schema and endpoint.structured:
            text = _under(lm, ids, question, draw)
        else:
            text = _free(_Turn(lm, ids), replace(question, schema=None), draw, question.max_tokens)
    written = len(lm.tokenizer.encode(text, add_special_tokens=False).ids)
    return Answer(text, "stop", len(ids), written, endpoint.model)


@cache
def _model(name: str) -> LanguageModel:
    from flows.models.loading import load_causal_lm

    return load_causal_lm(name)


def _prompt(lm: LanguageModel, question: Question) -> list[int]:
    """ChatML where the tokenizer knows it, else plain roles. Special tokens in the texts are not taken for such."""
    turns = [("system", question.system)] * bool(question.system) + list(question.messages)
    start, end = (lm.tokenizer.token_to_id(name) for name in ("<|im_start|>", "<|im_end|>"))
    ids = list(lm.prefix)
    for role, text in [*turns, ("assistant", None)]:
        if start is None or end is None:
            ids += _plain(lm, f"{role}: " + ("" if text is None else f"{text}\n\n"))
            continue
        ids += [start, *_plain(lm, f"{role}\n")]
        if text is not None:
            ids += [*_plain(lm, text), end, *_plain(lm, "\n")]
    return ids


def _plain(lm: LanguageModel, text: str) -> list[int]:
    for special in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        text = text.replace(special, special[:2] + " " + special[2:])
    return lm.tokenizer.encode(text, add_special_tokens=False).ids


class _Turn:
    """A text that is being read and written: the ids so far, what the model keeps of them, and the next logits."""

    def __init__(self, lm: LanguageModel, ids: list[int]) -> None:
        self.lm, self.held, self.logits = lm, None, None
        self.feed(ids)

    def feed(self, ids: list[int]) -> None:
        """Read more ids."""
        import torch

        step = torch.tensor([ids], device=self.lm.device)
        made = self.lm.model(input_ids=step, past_key_values=self.held, use_cache=True, logits_to_keep=1)
        self.held, self.logits = made.past_key_values, made.logits[0, -1].float().cpu()

    def chances(self, tails: list[list[int]]) -> Any:
        """Log-probability of each continuation; reads none of them."""
        import torch

        width = max(map(len, tails))
        rows = torch.tensor([tail + [0] * (width - len(tail)) for tail in tails], device=self.lm.device)
        held = copy.deepcopy(self.held)
        held.batch_repeat_interleave(len(tails))  # type: ignore[union-attr]
        later = self.lm.model(input_ids=rows, past_key_values=held, use_cache=True).logits.float().cpu()
        first = self.logits.expand(len(tails), 1, -1)  # type: ignore[union-attr]
        logs = torch.cat([first, later[:, :-1]], 1).log_softmax(-1)
        return torch.stack([
            logs[number, : len(tail)].gather(1, torch.tensor(tail)[:, None]).sum() for number, tail in enumerate(tails)
        ])  # fmt: skip

    def drawn(self, chances: Any, temperature: float, draw: Any) -> int:
        """The most likely of some, or one drawn by their chances."""
        import torch

        if temperature == 0:
            return int(chances.argmax())
        return int(torch.multinomial((chances / temperature).softmax(0), 1, generator=draw))


def _under(lm: LanguageModel, ids: list[int], question: Question, draw: Any) -> str:
    """An object of the schema's fields, in their order."""
    assert question.schema is not None
    fields, text, turn = question.schema["properties"], "", _Turn(lm, ids)
    for number, (name, held) in enumerate(fields.items()):
        lead = ("{" if number == 0 else ", ") + f'"{name}":'
        text += lead + " "
        if "enum" in held:
            turn.feed(_plain(lm, lead))
            options = [orjson.dumps(value).decode() for value in held["enum"]]
            close = "}" if number + 1 == len(fields) else ","  # so that 1 is not the beginning of 10
            tails = [_plain(lm, f" {option}{close}") for option in options]
            chosen = options[turn.drawn(turn.chances(tails), question.temperature, draw)]
            turn.feed(_plain(lm, f" {chosen}"))
            text += chosen
        else:
            turn.feed(_plain(lm, lead + ' "'))
            said = _free(turn, question, draw, REASON_TOKENS).split('"')[0].split("\n")[0].strip()
            turn.feed(_plain(lm, '"'))
            text += orjson.dumps(said).decode()
    return text + "}"


def _free(turn: _Turn, question: Question, draw: Any, most: int) -> str:
    """Tokens until the model ends its turn, a quote closes a field, or `most` are written."""
    words = turn.lm.tokenizer
    ends = {words.token_to_id(name) for name in ("<|im_end|>", "<|endoftext|>", "</s>")}
    out: list[int] = []
    while len(out) < most:
        chosen = turn.drawn(turn.logits, question.temperature, draw)
        if chosen in ends:
            break
        out.append(chosen)
        if question.schema is not None and '"' in words.decode([chosen]):
            break
        turn.feed([chosen])
    return words.decode(out)
