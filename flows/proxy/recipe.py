"""What a proxy run is: a model of the family, a token budget, a schedule, a seed, and the sets its loss is measured on.

The family is Llama's architecture from 0.25 to 100 million parameters, started at random. `reduced` follows Wang et al.
2025, "Can Small Training Runs Reliably Guide Data Curation?", arXiv:2512.24503: the best learning rate depends on the
data, so that runs at one usual rate may order mixes wrongly; at a very small rate (theirs: 1e-5 to 1e-6 for 125M
parameters) small runs order them as tuned large runs do.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from catalog.errors import BadInput, NotFound

SIZES: dict[str, tuple[int, int, int, float]] = {
    "16k": (32, 1, 2, 1e-2), "64k": (48, 2, 2, 5e-3), "256k": (64, 5, 2, 3e-3), "1m": (128, 5, 4, 2e-3),
    "3m": (192, 7, 6, 2e-3), "10m": (320, 8, 5, 1.5e-3), "30m": (512, 10, 8, 1e-3), "60m": (640, 12, 10, 8e-4),
    "100m": (768, 14, 12, 6e-4),
}  # fmt: skip
"""Name -> width, layers, heads, usual learning rate. A name counts the parameters beside the embeddings."""

REDUCED = 0.01
"""What `reduced` multiplies the usual rate by: 1e-5 near the size that the paper measured."""


class Held(BaseModel):
    """A set that losses are measured on: the held-out rows of a dataset version under a filter."""

    model_config = ConfigDict(extra="forbid")

    name: str
    dataset: str
    where: str | None = None


class Recipe(BaseModel):
    """Everything that decides the numbers of a run, except the mix."""

    model_config = ConfigDict(extra="forbid")

    size: str = Field("1m", description="model of the family: " + ", ".join(SIZES))
    tokens: int = Field(1_000_000, ge=1, description="training tokens")
    seed: int = Field(0, ge=0, description="of the first weights, and where in the order the run begins")
    tokenizer: str = Field("bytes", description="bytes, or a tokenizer that models know by name")
    context: int = Field(128, ge=2, description="tokens a sequence")
    batch: int = Field(16, ge=1, description="sequences a step")
    rate: float | None = Field(None, gt=0, description="peak learning rate; default: the size's usual one")
    reduced: bool = Field(False, description="train at a hundredth of the rate, for an order of mixes that transfers")
    schedule: Literal["wsd", "cosine"] = Field("wsd", description="shape after the warm-up")
    warmup: float = Field(0.05, ge=0, le=1, description="share of the steps with a rising rate")
    decay: float = Field(0.3, ge=0, le=1, description="wsd: share of the steps with a rate that falls to zero")
    weight_decay: float = Field(0.1, ge=0, description="of AdamW")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    held_out: float = Field(0.1, gt=0, lt=1, description="share of contents that are never trained on")
    validation: list[Held] = Field([], description="sets to measure; default: the parts of the mix")
    validation_tokens: int = Field(16_384, ge=1, description="most tokens measured of each set")
    start: str = Field("", description="name of a proxy model to go on from, with its optimizer")
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints; changes no number")
    traces: bool = Field(False, description="keep the loss of every sample that was trained on")
    trajectory: int = Field(0, ge=0, le=1000, description="checkpoints at which the loss of every row is measured")

    @model_validator(mode="after")
    def _within(self) -> Recipe:
        if self.warmup + (self.decay if self.schedule == "wsd" else 0) > 1:
            raise ValueError("warmup and decay take more than the whole run")
        return self

    @property
    def steps(self) -> int:
        return max(1, self.tokens // (self.context * self.batch))

    @property
    def milestones(self) -> list[int]:
        """Steps after which the loss of every row is measured: evenly spread, the last at the end."""
        return sorted({-(-self.steps * k // self.trajectory) for k in range(1, self.trajectory + 1)})

    @property
    def peak(self) -> float:
        return (self.rate or SIZES[self.size][3]) * (REDUCED if self.reduced else 1.0)

    @property
    def digest(self) -> str:
        """Equal for runs that differ in nothing but the mix and the seed."""
        hidden = {"seed", "checkpoint_every", "traces"} | (set() if self.trajectory else {"trajectory"})
        body = self.model_dump(exclude=hidden)
        return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = round(self.warmup * self.steps)
        if step < warm:
            return self.peak * (step + 1) / warm
        if self.schedule == "cosine":
            return self.peak * (0.55 + 0.45 * math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))
        fall = round(self.decay * self.steps)
        left = self.steps - step
        return self.peak * min(1.0, left / fall) if fall else self.peak


def make_recipe(**given: Any) -> Recipe:
    """A recipe, or one line that says which field is wrong."""
    try:
        made = Recipe(**given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(item) for item in first["loc"]) or "recipe"
        raise BadInput(f"proxy run: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    if made.size not in SIZES:
        raise NotFound("model size", made.size, SIZES, "one of " + ", ".join(SIZES))
    return made


def build_model(recipe: Recipe, vocabulary: int) -> Any:
    """A model of the family with random weights that depend on the seed alone."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers, heads, _ = SIZES[recipe.size]
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=max(16, width * 8 // 3 // 16 * 16),
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads,
        max_position_embeddings=recipe.context, tie_word_embeddings=True, bos_token_id=None, eos_token_id=None,
        use_cache=False,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return LlamaForCausalLM(config)
