"""Discovery and kept queries over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ui.api.auth import Asked
from ui.shapes import plain

router = APIRouter(tags=["discover"])


class DiscoverRequest(BaseModel):
    """A need in words, and facets of which a dataset must have one value each (of columns: all)."""

    model_config = ConfigDict(extra="forbid")
    need: str
    top: int = Field(5, ge=1, le=1000)
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    tier: list[str] = []
    kind: list[str] = []
    language: list[str] = []
    licence: list[str] = []
    use: list[str] = Field([], description="research, commercial, share, share-commercial")
    role: list[str] = Field([], description="eval, target ..., or training for those without a role")
    column: list[str] = []
    endpoint: str | None = Field(None, description="a language model that helps; wants the right to propose")
    budget: str | None = Field(None, description="what it may spend; never asked without")


class QueryRequest(BaseModel):
    """One read-only statement to be kept."""

    model_config = ConfigDict(extra="forbid")
    name: str
    query: str
    note: str = ""
    replace: bool = False


@router.post("/discover")
def discover(body: DiscoverRequest, cat: Asked) -> dict[str, Any]:
    """Datasets and slices of them that answer a need, with the evidence, and what nothing satisfies."""
    from ui.discovering import discover as find

    facets = body.model_dump(exclude={"need", "top", "mode", "endpoint", "budget"})
    asked = body.model_dump(include={"top", "mode", "endpoint", "budget"})
    return plain(find(cat, body.need, facets, **asked))


@router.get("/queries")
def queries(cat: Asked) -> list[dict[str, Any]]:
    """The queries that are kept by name."""
    from catalog.queries import saved_queries

    return [plain(held) for held in saved_queries(cat)]


@router.get("/queries/{name}")
def query(name: str, cat: Asked) -> dict[str, Any]:
    """A kept query; POST /sql runs it."""
    from catalog.queries import saved_query

    return plain(saved_query(cat, name))


@router.post("/queries")
def save_query(body: QueryRequest, cat: Asked) -> dict[str, Any]:
    """Keep a query; another one under the same name is refused unless `replace`."""
    from catalog.queries import save_query as save

    return plain(save(cat, body.name, body.query, note=body.note, replace=body.replace))


@router.delete("/queries/{name}")
def delete_query(name: str, cat: Asked) -> dict[str, str]:
    """Forget a kept query."""
    from catalog.queries import delete_query as delete

    delete(cat, name)
    return {"deleted": name}
