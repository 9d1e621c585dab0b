"""Verbs that change something: score, promote, ingest, selections, versions, retract, runs, gc.

`score` picks a place as the command line does: short work runs inside the request, long work goes to a Prefect server
and the answer names the run. Files are read where the service runs, so `ingest` wants an admin token.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from catalog.access import check
from catalog.errors import BadInput
from ui.api.auth import Asked
from ui.api.reading import PlanRequest
from ui.shapes import plain, version_row

router = APIRouter(tags=["write"])


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScoreRequest(PlanRequest):
    """A plan to run."""

    aliases: dict[str, str] = Field({}, description="output -> column name")
    refit: bool = False
    on: Literal["inline", "home", "team"] | None = None
    device: str | None = None
    dtype: str | None = None


class PromoteRequest(Strict):
    """A promotion, or with dry_run its waterfall."""

    ref: str
    to: Literal["L1", "L2", "L3", "L4"]
    recipe: str | dict[str, Any] | None = None
    variables: dict[str, Any] = {}
    where: str | None = None
    select: str | None = None
    name: str | None = None
    dry_run: bool = False


class IndexRequest(Strict):
    """Which column to index; a kind alone means the column that a search reads."""

    column: str | None = None
    kind: Literal["vector", "text", "scalar"] | None = None
    force: bool = False


class IngestRequest(Strict):
    """Files where the service runs, into a dataset; the fields are those of `Catalog.ingest`."""

    paths: list[str] = Field(min_length=1)
    name: str
    kind: str | None = None
    mapping: dict[str, str] = Field({}, description="role or row column -> field of the records")
    key: str | None = None
    reading: dict[str, Any] = Field({}, description="format, header, columns, delimiter, max_record_bytes")
    expectations: dict[str, Any] = Field({}, description="bounds; one that fails leaves the version unpublished")
    keep_going: bool = False
    overlap: bool = False
    tier: str | None = None
    role: str | None = None
    licence: str | None = None
    licence_evidence: str | None = None
    source: str | None = None
    owner: str | None = None
    note: str | None = None
    use_class: str | None = None


class SelectionRequest(Strict):
    """Rows for which `where` holds, or with `selector` what that method chooses within `budget`, or those of a `query`."""

    name: str
    dataset: str | None = Field(None, description="a dataset, or for a selector also a saved selection")
    where: str | None = None
    missing: Literal["error", "drop", "keep"] = "error"
    note: str = ""
    selector: str | None = Field(None, description="see /selectors")
    budget: int | None = None
    unit: Literal["samples", "tokens"] | None = None
    params: dict[str, Any] | None = None
    tokens: str | None = Field(None, description="column that counts tokens")
    seed: int | None = None
    stages: list[dict[str, Any]] | None = Field(None, description="several selectors and filters in sequence")
    query: str | None = Field(None, description="SELECT ... FROM one dataset WHERE ..., or @name of a kept query")
    freeze: bool | None = Field(None, description="with query: exactly the rows of its sample_id column")


class RetractRequest(Strict):
    reason: str
    match: str | None = Field(None, description="beginning of an address, a sample id, or a source")
    where: str | None = None
    ids: list[str] | None = None
    datasets: list[str] | None = None
    copies: bool = Field(False, description="also exact copies under other ids")
    children: bool = Field(False, description="also rows made from the samples")
    dry_run: bool = False


@router.post("/score")
def score(body: ScoreRequest, cat: Asked) -> dict[str, Any]:
    """Compute columns. Inline the answer is the report; on a server it is {"flow_run": id}: see /runs/{id}."""
    from flows import plan
    from flows.places import SHORT_SECONDS, choose
    from ui.planning import choose_by, estimate, run_plan

    found = cat.resolve(body.name)
    check(cat, "write", found.dataset.name)
    options = {
        "params": body.params,
        "target": body.target,
        "sample": body.sample,
        "selection": body.select,
        "device": body.device,
        "dtype": body.dtype,
        "aliases": body.aliases,
        "refit": body.refit,
    }
    planned = plan(cat, body.name, body.scorers, **options)
    costs = estimate(cat, planned) if body.on is None else []
    by = choose_by(costs) if costs else {}
    place = choose(cat, planned, body.on, **by)
    if body.on is None and place.kind == "inline" and by.get("seconds", 0) > SHORT_SECONDS:
        place = choose(cat, planned, "home")  # nobody waits for an answer that long: the home's server is started
    held = run_plan(cat, place, body.name, body.scorers, planned, options, detach=True)
    return {**held, "why": place.sentence}


@router.post("/promote")
def promote(body: PromoteRequest, cat: Asked) -> dict[str, Any]:
    """Make the next tier's dataset, or refuse with every missing item named."""
    from flows import promote as run

    if isinstance(body.recipe, str) and ("/" in body.recipe or body.recipe.endswith((".yaml", ".yml"))):
        raise BadInput("over HTTP a recipe is the name of a shipped one, or the recipe itself as an object")
    report = run(
        cat, body.ref, body.to, recipe=body.recipe, variables=body.variables, where=body.where, selection=body.select,
        name=body.name, dry_run=body.dry_run,
    )  # fmt: skip
    return plain(report)


@router.post("/ingest")
def ingest(body: IngestRequest, cat: Asked) -> Any:
    """Read files that the service can see; wants an admin token, as those files are the service's."""
    check(cat, "admin", f"ingest {body.name}")
    return plain(cat.ingest(body.paths, body.name, **body.model_dump(exclude={"paths", "name"}, exclude_none=True)))


@router.post("/selections")
def save_selection(body: SelectionRequest, cat: Asked) -> Any:
    """Save a named row set; what a selector chose comes back with its report, beside random and RS2."""
    from ui.selecting import described
    from ui.selecting import save_selection as save

    made = save(cat, body.name, body.dataset, **body.model_dump(exclude={"name", "dataset"}))
    return {**plain(made), **plain(described(cat, f"{made.name}@v{made.version}"))}


@router.post("/datasets/{name}/rollback")
def rollback(name: str, to: int, cat: Asked) -> dict[str, Any]:
    """A new version with the rows of an old one."""
    return version_row(cat.rollback(name, to))


@router.post("/datasets/{ref}/tag")
def tag(ref: str, label: str, cat: Asked) -> dict[str, Any]:
    """Name a version."""
    return {"ref": f"{ref.partition('@')[0]}@{label}", "version": cat.tag(ref, label).version}


@router.post("/datasets/{name}/rename")
def rename(name: str, to: str, cat: Asked) -> dict[str, str]:
    """Rename a dataset."""
    cat.rename(name, to)
    return {"old": name, "new": to}


@router.delete("/datasets/{name}")
def drop(name: str, cat: Asked) -> dict[str, str]:
    """Take a dataset out of the catalog."""
    cat.drop(name)
    return {"dropped": name}


@router.post("/datasets/{name}/indexes")
def index(name: str, body: IndexRequest, cat: Asked) -> dict[str, Any]:
    """Build the index of a column, or rebuild it."""
    return cat.index(name, body.column, sort=body.kind, force=body.force)


@router.post("/retract")
def retract(body: RetractRequest, cat: Asked) -> Any:
    """Take samples out of every version and mix, or with dry_run say what that would reach."""
    return plain(cat.retract(**body.model_dump()))


@router.post("/runs/{run}/cancel")
def cancel(run: str, cat: Asked) -> dict[str, str]:
    """Stop a run at its next batch."""
    from flows.watching import cancel_run

    return {"run": run, "done": cancel_run(cat, run)}


@router.post("/gc")
def gc(cat: Asked, name: str | None = None, compact: bool = False) -> Any:
    """Free what nothing points to."""
    return plain(cat.gc(name, compact=compact))
