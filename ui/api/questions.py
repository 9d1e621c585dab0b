"""Tracing facts, questions in words and drafts of mixes over HTTP. All read; a language model wants the right to propose."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ui import questions
from ui.api.auth import Asked
from ui.shapes import plain

router = APIRouter(tags=["agents"])
ENDPOINT = "a language model that helps; wants the right to propose"
BUDGET = "what it may spend; never asked without"


class Model(BaseModel):
    """Endpoint and budget, both or none."""

    model_config = ConfigDict(extra="forbid")
    endpoint: str | None = Field(None, description=ENDPOINT)
    budget: str | None = Field(None, description=BUDGET)


class AttributeRequest(Model):
    """A fact or an output, and where to look: datasets, or what a mix (or a run of it) serves."""

    text: str
    datasets: list[str] = []
    mix: str | None = None
    run: str | None = None
    limit: int = Field(5, ge=1, le=100, description="samples that are shown; by search these alone are verified")
    by: Literal["search", "clusters"] = Field(
        "search", description="clusters: cluster, then verify all of their samples"
    )
    clusters: int = Field(4, ge=1, le=50, description="clusters that are looked in at most")
    leaves: str = Field("cluster_leaf", description="column of clusters")
    each: bool = Field(False, description="every sentence by itself")
    reference: str | None = Field(None, description="a dataset of human texts to compare with")


class DraftRequest(Model):
    """A goal in words: how much, of what, for what use, how often at most."""

    goal: str
    name: str = Field("draft", description="of the mix")
    measure: str | None = Field(None, description="a result of recorded trials that is improved")
    better: Literal["lower", "higher"] = "lower"


class QuestionRequest(Model):
    """A question in words about the rows and datasets of the catalog."""

    text: str
    dataset: str | None = Field(None, description="the one that is meant where the question names none")
    limit: int = Field(1000, ge=1, le=100_000)


@router.post("/attribute")
def attribute(body: AttributeRequest, cat: Asked) -> dict[str, Any]:
    """The samples that support a text, with the lines that do, and whether nothing held does."""
    return plain(questions.attribute(cat, **body.model_dump()))


@router.post("/question")
def question(body: QuestionRequest, cat: Asked) -> dict[str, Any]:
    """Read-only SQL for a question, its rows, a chart that fits and a sentence."""
    return plain(questions.question(cat, **body.model_dump()))


@router.post("/mixes/draft")
def draft(body: DraftRequest, cat: Asked) -> dict[str, Any]:
    """A spec for a goal in words: parts, filters and a mixer's weights, with preview, shortfalls and reasons. Writes nothing."""
    return plain(questions.draft(cat, **body.model_dump()))
