"""One judged batch: ask, read strictly, ask again what cannot be read, average the draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context
from flows.endpoints.wire import Question
from flows.scorers.judge._rubric import Rubric

TOGETHER = 1000
"""Draws are numbered draw x TOGETHER + attempt, so that another attempt is another question."""


class JudgeParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    endpoint: str = Field(description="name of the endpoint that judges: strata endpoint add")
    budget: str | None = Field(None, description="budget that it is paid from: strata budget set")
    as_of: str | None = Field(None, description="day whose answers count, for a model without a fixed revision; today")
    draws: int = Field(
        1, ge=1, le=64, description="times each row is judged; more than one: their mean, and the majority"
    )
    temperature: float | None = Field(None, ge=0, le=2, description="none: 0 for one draw, 0.7 for more")
    retries: int = Field(2, ge=0, le=9, description="times a row is asked again whose answer cannot be read")


def judge_batch(batch: pa.RecordBatch, ctx: Context, rubric: Rubric) -> tuple[dict[str, list[Any]], np.ndarray]:
    """{scale: means of the draws, label: majorities} with None where there are none, and the states of the rows."""
    params: JudgeParams = ctx.params
    texts = batch.column("text").to_pylist()
    codes = np.full(len(texts), states.UNDEFINED, np.uint8)
    rows = [row for row, text in enumerate(texts) if text and text.strip()]
    drawn = _draws(ctx, rubric, params, {row: texts[row] for row in rows}, batch.column("sample_id").to_pylist())
    values: dict[str, list[Any]] = {name: [None] * len(texts) for name in (*rubric.scales, *rubric.labels)}
    for row in rows:
        codes[row] = states.VALUE if drawn[row] else states.FAILED
        for name in rubric.scales if drawn[row] else ():
            values[name][row] = float(np.mean([answer[name] for answer in drawn[row]]))
        for name in rubric.labels if drawn[row] else ():
            values[name][row] = _majority([answer[name] for answer in drawn[row]])
    return values, codes


def _draws(
    ctx: Context, rubric: Rubric, params: JudgeParams, texts: dict[int, str], ids: list[str]
) -> dict[int, list[dict[str, Any]]]:
    """Answers that could be read, by row. Rows that have fewer than `draws` after all retries have none."""
    wanted = [(row, draw) for row in texts for draw in range(params.draws)]
    read = ask_until_read(
        ctx, wanted,
        lambda key, draw, heat: rubric.question(texts[key[0]], draw=draw, temperature=heat, sample_id=ids[key[0]]),
        rubric.read,
    )  # fmt: skip
    found: dict[int, list[dict[str, Any]]] = {row: [] for row in texts}
    for (row, _), answer in read.items():
        found[row].append(answer)
    return {row: answers if len(answers) == params.draws else [] for row, answers in found.items()}


Key = tuple[int, ...]


def ask_until_read(
    ctx: Context,
    keys: Sequence[Key],
    question: Callable[[Key, int, float], Question],
    read: Callable[[str], Any],
) -> dict[Key, Any]:
    """Ask for every key, and again, up to `retries` times, for those whose answer `read` gives None for.

    keys: end in the number of the draw. question(key, draw, temperature): what is asked.
    """
    params: JudgeParams = ctx.params
    temperature = params.temperature if params.temperature is not None else (0.7 if params.draws > 1 else 0.0)
    found: dict[Key, Any] = {}
    for attempt in range(params.retries + 1):
        left = [key for key in keys if key not in found]
        if attempt and not left:
            break
        # The first attempt is as asked for; a fixed answer would come again, so later ones are drawn.
        heat = temperature if attempt == 0 else max(temperature, 0.7)
        replies = ctx.ask([question(key, key[-1] * TOGETHER + attempt, heat) for key in left])
        for key, reply in zip(left, replies, strict=True):
            value = read(reply.answer.text) if reply.answer else None
            if value is not None:
                found[key] = value
    return found


def _majority(names: list[str]) -> str:
    """The most frequent name; of several, the one that was drawn first."""
    counts = Counter(names)
    return max(counts, key=lambda name: (counts[name], -names.index(name)))
