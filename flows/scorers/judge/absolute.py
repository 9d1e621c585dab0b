"""Judges that grade a sample by itself: one scorer for each shipped rubric, and `judge` for a rubric of yours.

Direct assessment with anchors, an answer that must match a schema, asked again when it does not, and self-consistency
(X. Wang et al. 2022, arXiv:2203.11171: several draws at a temperature, here averaged or voted on). A model's grade is a
suggestion: `strata estimate` says what it is worth beside people's.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import Field, field_validator

from catalog.plugins import Context, Out, scorer
from flows.scorers.judge._judging import JudgeParams, judge_batch
from flows.scorers.judge._rubric import Rubric, read_rubric, shipped


class OwnRubric(JudgeParams):
    rubric: dict[str, Any] = Field(
        description="a rubric: its YAML file, the name of a shipped one, or the mapping itself"
    )

    @field_validator("rubric", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> dict[str, Any]:
        """The rubric itself goes into the recipe: a file may change."""
        return read_rubric(value).model_dump(mode="json", exclude_defaults=True)


def _outs(rubric: Rubric) -> list[Out]:
    made = [
        Out(f"judge_{rubric.name}_{name}" if name != rubric.name else f"judge_{name}", pa.float32(),
            (scale.about or f"{scale.low}: {scale.anchors[scale.low]}; {scale.high}: {scale.anchors[scale.high]}").strip(),
            better=scale.better, range=(scale.low, scale.high))
        for name, scale in rubric.scales.items()
    ]  # fmt: skip
    return made + [
        Out(f"judge_{rubric.name}_{name}", pa.string(), label.about or f"one of {', '.join(label.of)}", better=None)
        for name, label in rubric.labels.items()
    ]


def _declare(rubric: Rubric) -> None:
    outs = _outs(rubric)

    def grade(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
        values, codes = judge_batch(batch, ctx, rubric)
        made = {out.name: pa.array(held, out.type) for out, held in zip(outs, values.values(), strict=True)}
        return {**made, "_state": pa.array(codes)}

    grade.__doc__ = f"{rubric.about.strip()} A language model's grade, after a rubric with anchors."
    grade.__module__ = __name__
    scorer(
        f"judge_{rubric.name}", version=rubric.version, reads=["text"], writes=outs, cost="api", params=JudgeParams,
        kinds=tuple(rubric.kinds), stage="L2", batch_rows=64, citation=rubric.citation,
    )(grade)  # fmt: skip


for _rubric in shipped().values():
    _declare(_rubric)


@scorer(
    "judge", version="1", reads=["text"], cost="api", params=OwnRubric, stage="L2", batch_rows=64,
    citation="a rubric of yours",
    writes=[Out("judge_score", pa.float32(), "the rubric's first scale", better="higher"),
            Out("judge_label", pa.string(), "the rubric's first label")],
)  # fmt: skip
def judge(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Grade by a rubric of yours: its first scale and its first label; the other ones need a rubric of their own."""
    rubric = read_rubric(ctx.params.rubric)
    values, codes = judge_batch(batch, ctx, rubric)
    none = [None] * batch.num_rows
    score = values[next(iter(rubric.scales))] if rubric.scales else none
    label = values[next(iter(rubric.labels))] if rubric.labels else none
    return {
        "judge_score": pa.array(score, pa.float32()),
        "judge_label": pa.array(label, pa.string()),
        "_state": pa.array(codes),
    }
