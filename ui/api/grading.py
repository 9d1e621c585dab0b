"""Grading over HTTP: campaigns, items, results. Who grades is whoever the token belongs to, never a parameter.

POST /campaigns/clarity/next            -> an item, held for the token's owner
POST /items/HANDLE/grade {"values": {"clarity": 4}}
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from catalog import grades
from catalog.access import check
from ui.api.auth import Asked
from ui.grading import agreement, campaign_row, rubric_of
from ui.shapes import plain

router = APIRouter(tags=["grade"])
Resamples = Annotated[int, Query(ge=0, le=10_000, description="resamples of the bootstrap over items")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CampaignRequest(Strict):
    """What is to be graded, frozen when it is made."""

    name: str
    source: str = Field(description="DATASET, DATASET@vN or SELECTION")
    rubric: str | dict[str, Any] | None = Field(None, description="its body, or the name of a shipped one")
    graders: int = Field(1, ge=1)
    order: Literal["given", "random", "uncertain", "disagreeing", "stratified"] = "given"
    columns: list[str] | None = None
    threshold: float | None = None
    seed: int = 0
    where: str | None = None
    missing: Literal["error", "drop", "keep"] = "error"
    items: int | None = Field(None, ge=1)
    pairs: int = Field(0, ge=0)
    target: Literal["sample", "turn", "span"] = "sample"
    gold_every: int = Field(0, ge=0)
    hold: float = Field(1800.0, gt=0, description="seconds until an item goes to somebody else")
    suggest: dict[str, str] | None = Field(None, description="scale or label -> column with what a model said")
    reveal: Literal["after", "before"] = "after"
    note: str = ""


class GradeRequest(Strict):
    """A grade: {scale or label: value}; parts as {"turn:2": {...}} or {"span:0-40": {...}}."""

    values: dict[str, Any] = Field(min_length=1)
    note: str = ""
    seconds: float | None = Field(None, ge=0)
    revision: int | None = Field(None, ge=1, description="stored once, however often it is sent")
    edit: str | None = Field(None, description="a better text or response; the item's `response` says where it stands")


class SkipRequest(Strict):
    note: str = ""


class PlantRequest(Strict):
    """A sample whose answer is known. Whoever plants it is never given it."""

    sample: str
    answer: dict[str, Any] = Field(min_length=1)


class SettleRequest(Strict):
    """Final values of an item; they stand before every rule."""

    item: int = Field(ge=0, description="its number in the conflicts")
    values: dict[str, Any] = Field(min_length=1)
    target: str = ""
    note: str = ""


class BulkRequest(Strict):
    """One grade for every row of a filter."""

    values: dict[str, Any] = Field(min_length=1)
    where: str
    missing: Literal["error", "drop", "keep"] = "error"
    note: str = ""
    dry_run: bool = False


class PublishRequest(Strict):
    rule: Literal["majority", "mean", "median"] = "majority"
    least: int = Field(1, ge=1)
    to: str | None = None


class EditsRequest(Strict):
    to: str = Field(description="dataset that the new samples become")
    note: str = ""


@router.get("/campaigns")
def campaigns(cat: Asked) -> list[dict[str, Any]]:
    """Every campaign, newest first, with what waits for the token's owner."""
    return plain(grades.overview(cat))


@router.post("/campaigns")
def create(body: CampaignRequest, cat: Asked) -> dict[str, Any]:
    """Make a campaign and freeze its queue; the same request again is the campaign that is there."""
    given = body.model_dump(exclude={"name", "source", "rubric"})
    made = grades.create(cat, body.name, body.source, rubric_of(body.rubric, body.pairs), **given)
    return plain({**campaign_row(made), "rubric_digest": made.rubric_digest})


@router.get("/campaigns/{name}")
def status(name: str, cat: Asked) -> dict[str, Any]:
    """How far a campaign is, and each grader's count, speed and share of planted items right."""
    return plain(grades.status(cat, name))


@router.post("/campaigns/{name}/next")
def next_item(name: str, cat: Asked) -> dict[str, Any] | None:
    """The next item, held for the token's owner; null when nothing is left for them."""
    return plain(grades.next_item(cat, name))


@router.get("/items/{item}")
def look(item: str, cat: Asked) -> dict[str, Any]:
    """An item again: only for who holds or graded it."""
    return plain(grades.look(cat, item))


@router.post("/items/{item}/grade")
def put(item: str, body: GradeRequest, cat: Asked) -> dict[str, Any]:
    """Grade an item in the name of the token's owner; the same again changes nothing."""
    return plain(grades.put(cat, item, **body.model_dump()))


@router.post("/items/{item}/skip")
def skip(item: str, body: SkipRequest, cat: Asked) -> dict[str, Any]:
    """Leave an item to others."""
    return plain(grades.skip(cat, item, note=body.note))


@router.post("/campaigns/{name}/undo")
def undo(name: str, cat: Asked) -> dict[str, Any]:
    """Take back the last grade or skip of the token's owner; it stays on record."""
    return plain(grades.undo(cat, name))


@router.post("/campaigns/{name}/plant")
def plant(name: str, body: PlantRequest, cat: Asked) -> dict[str, Any]:
    """Plant a sample whose answer is known."""
    return plain(grades.plant(cat, name, body.sample, body.answer))


@router.get("/campaigns/{name}/agreement")
def agree(name: str, cat: Asked, resamples: Resamples = 1000, seed: int = 0) -> dict[str, Any]:
    """How far the graders agree beyond chance, with intervals, and planted items."""
    return plain(agreement(cat, name, resamples, seed))


@router.get("/campaigns/{name}/compare/{column}")
def compare(
    name: str, column: str, cat: Asked, question: str | None = None,
    rule: Literal["majority", "mean", "median"] = "mean", resamples: Resamples = 1000, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """A model's grades beside people's."""
    return plain(grades.compare_column(cat, name, column, question=question, rule=rule, resamples=resamples, seed=seed))


@router.get("/campaigns/{name}/conflicts")
def conflicts(
    name: str, cat: Asked, apart: Annotated[int, Query(ge=1)] = 1, settled: bool = False
) -> list[dict[str, Any]]:
    """Items on which graders differ, widest first, once all their grades are in."""
    return plain(grades.conflicts(cat, name, apart=apart, settled=settled))


@router.post("/campaigns/{name}/settle")
def settle(name: str, body: SettleRequest, cat: Asked) -> dict[str, Any]:
    """Settle an item by final values, in the name of the token's owner."""
    return plain(grades.adjudicate(cat, name, body.item, body.values, target=body.target, note=body.note))


@router.get("/campaigns/{name}/grades")
def export(name: str, cat: Asked, whole: bool = False, history: bool = False) -> list[dict[str, Any]]:
    """Grades as rows. whole: also of items that wait for a grader, which wants an admin token: it ends blindness."""
    check(cat, "admin" if whole else "read", f"grades of campaign {name}")
    return plain(grades.export(cat, name, whole=whole, history=history))


@router.get("/campaigns/{name}/bulk")
def bulk_acts(name: str, cat: Asked, history: bool = False) -> list[dict[str, Any]]:
    """Grades that were given to many rows at once."""
    return plain(grades.bulk_acts(cat, name, history=history))


@router.post("/campaigns/{name}/bulk")
def bulk(name: str, body: BulkRequest, cat: Asked) -> dict[str, Any]:
    """Give the untouched items of a filter one grade, as one act; dry_run says how many they are."""
    return plain(grades.bulk(cat, name, body.values, **body.model_dump(exclude={"values"})))


@router.post("/campaigns/{name}/bulk/{act}/undo")
def bulk_undo(name: str, act: str, cat: Asked) -> dict[str, Any]:
    """Take an act back: its items are asked again."""
    return plain(grades.bulk_undo(cat, name, act))


@router.post("/campaigns/{name}/publish")
def publish(name: str, body: PublishRequest, cat: Asked) -> dict[str, Any]:
    """Publish people's grades as columns with their recipe."""
    return plain(grades.publish_grades(cat, name, rule=body.rule, least=body.least, to=body.to))


@router.post("/campaigns/{name}/edits")
def edits(name: str, body: EditsRequest, cat: Asked) -> dict[str, Any]:
    """Publish what graders wrote better as new samples that name their parents."""
    return plain(grades.publish_edits(cat, name, body.to, note=body.note))


@router.post("/campaigns/{name}/close")
def close(name: str, cat: Asked, reopen: bool = False) -> dict[str, Any]:
    """Ask for no more grades, or with reopen take them again."""
    held = grades.close(cat, name, reopen=reopen)
    return {"campaign": name, "closed": held.closed}
