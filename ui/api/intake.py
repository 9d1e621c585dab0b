"""Intake and incidents over HTTP: sources and what is settled about them; what of something is held; receipts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from catalog.plain import plain
from ui.api.auth import Asked

router = APIRouter(tags=["intake"])
Status = Literal["failed", "waiting", "licence", "quarantine", "overlap", "score", "ready", "in"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Named(Strict):
    names: list[str] = Field(min_length=1, max_length=500, description="sources")


class Verified(Named):
    licence: str | None = Field(None, description="what the evidence shows; what each declares if not given")


class Approved(Strict):
    proposals: Annotated[list[str], Field(min_length=1, max_length=500, description="id, or id:digits of the look")]


class Incident(Strict):
    text: str = Field(min_length=1, description="an address, a sample id, a source, a text or an eval item")
    nearest: bool = Field(False, description="of a text that is not held, look for what comes nearest")


@router.get("/intake")
def sources(cat: Asked, status: Status | None = None) -> list[dict[str, Any]]:
    """Every source: where it stands, why it failed, what is to be done next."""
    from ui.intake import intake_rows

    return plain(intake_rows(cat, status))


@router.post("/intake/verify")
def verify(body: Verified, cat: Asked) -> dict[str, str]:
    """The licence of sources, verified by who asks."""
    from catalog.ingest.register import verify_licence

    return verify_licence(cat, body.names, body.licence)


@router.post("/intake/accept")
def accept(body: Named, cat: Asked) -> dict[str, int]:
    """The quarantined rows of sources were looked at."""
    from catalog.ingest.register import accept_quarantine

    return accept_quarantine(cat, body.names)


@router.post("/intake/{name}/check")
def check_held(name: str, cat: Asked) -> dict[str, Any]:
    """What of a source is held elsewhere, in mixes, and which evals it leaks."""
    from catalog.ingest.register import check_source

    return check_source(cat, name)


@router.post("/intake/promote")
def promote(body: Named, cat: Asked) -> list[dict[str, Any]]:
    """Propose that sources become L1, each with the effect of its dry run."""
    from ui.intake import propose_promotion

    return plain(propose_promotion(cat, body.names))


@router.post("/intake/approve")
def approve(body: Approved, cat: Asked) -> list[dict[str, Any]]:
    """Approve many proposals one after the other, past those that are refused."""
    from ui.intake import approve_many

    return plain(approve_many(cat, body.proposals))


@router.delete("/intake/{name}")
def forget(name: str, cat: Asked) -> dict[str, str]:
    """Take a source that never came in off the list."""
    from catalog.ingest.register import forget_source

    forget_source(cat, name)
    return {"forgotten": name}


@router.post("/incidents")
def incident(body: Incident, cat: Asked) -> dict[str, Any]:
    """What of an address, a sample, a text or an eval item is held, and whom it reached. Changes nothing."""
    from catalog.incidents import locate

    held = locate(cat, body.text, nearest=body.nearest)
    reach = cat.retract(reason="a look", dry_run=True, **held["ask"]) if held["ask"] else None
    return plain({**held, "reach": reach})


@router.get("/receipts")
def receipts(cat: Asked) -> list[dict[str, Any]]:
    """What was taken out, newest first."""
    from catalog.receipts import receipts as held

    return plain(held(cat))


@router.get("/receipts/{run}")
def receipt(run: str, cat: Asked) -> dict[str, Any]:
    """The receipt of a retraction."""
    from catalog.receipts import receipt as held

    return plain(held(cat, run))
