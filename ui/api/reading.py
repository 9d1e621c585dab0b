"""Read verbs over HTTP: datasets, show, card, lineage, diff, sql, search, scorers, plan, runs, doctor; mixes have their own file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from catalog.access import check
from ui.api.auth import Asked
from ui.querying import arrow_stream, search_hits
from ui.shapes import dataset_row, plain, plan_rows, run_row, scorer_row, show

router = APIRouter(tags=["read"])


class SqlRequest(BaseModel):
    """One read-only statement over views "name", "name@v3" and strata.*."""

    model_config = ConfigDict(extra="forbid")
    query: str
    limit: int = Field(10_000, ge=1, le=1_000_000, description="rows at most; `truncated` says when more were cut")
    format: Literal["json", "arrow"] = "json"


class SearchRequest(BaseModel):
    """Words, or the id of a sample to find more like."""

    model_config = ConfigDict(extra="forbid")
    ref: str
    words: str = ""
    mode: Literal["hybrid", "vector", "text"] | None = None
    like: str | None = None
    where: str | None = None
    missing: Literal["error", "drop", "keep"] = "error"
    limit: int = Field(10, ge=1, le=1000)
    column: str = Field("embedding", description="column of vectors that meaning is read from")


class PlanRequest(BaseModel):
    """What `score` would do."""

    model_config = ConfigDict(extra="forbid")
    name: str
    scorers: list[str] = Field(min_length=1)
    params: dict[str, Any] = {}
    target: str | None = None
    sample: int | None = None
    select: str | None = Field(None, description="a saved selection whose rows are meant")


@router.get("/datasets")
def datasets(cat: Asked) -> list[dict[str, Any]]:
    """Every published dataset."""
    return [dataset_row(held) for held in cat.datasets()]


@router.get("/datasets/{ref}")
def dataset(ref: str, cat: Asked, sample: Annotated[int, Query(ge=0, le=100)] = 0) -> dict[str, Any]:
    """One dataset version: counts, columns with coverage, versions, tags, and `sample` rows."""
    return plain(show(cat, ref, sample))


@router.get("/datasets/{ref}/card")
def card(ref: str, cat: Asked) -> Any:
    """Facts, licences, counts, columns and provenance."""
    return plain(cat.card(ref))


@router.get("/datasets/{ref}/lineage")
def lineage(ref: str, cat: Asked) -> Any:
    """Where it came from and what was made of it."""
    return plain(cat.lineage(ref))


@router.get("/samples/{sample}")
def trace(sample: str, cat: Asked) -> dict[str, Any]:
    """All that is known of one sample: origin, places, verdicts, columns, mixes."""
    return plain(cat.trace(sample))


class TextRequest(BaseModel):
    """A text whose support in the data is looked for."""

    model_config = ConfigDict(extra="forbid")
    text: str
    datasets: list[str] = Field([], description="where to look; every dataset that is no eval if empty")
    limit: int = Field(5, ge=1, le=100)
    reference: str | None = Field(None, description="human texts to compare with")


@router.post("/support")
def support(body: TextRequest, cat: Asked) -> dict[str, Any]:
    """The held texts nearest to a text, in meaning and in words."""
    from catalog.support import support as nearest

    return plain(nearest(cat, body.text, body.datasets, limit=body.limit, reference=body.reference))


@router.get("/selections")
def selections(cat: Asked) -> list[dict[str, Any]]:
    """The newest version of every saved selection."""
    from catalog.selections import selections as saved

    return [plain(held) for held in saved(cat)]


@router.get("/selections/{ref}")
def selection(ref: str, cat: Asked) -> dict[str, Any]:
    """One selection, the rows it holds today, and the report of a selector beside random and RS2."""
    from catalog.selections import find_selection
    from ui.selecting import described

    return {**plain(find_selection(cat, ref)), **plain(described(cat, ref))}


@router.get("/datasets/{ref}/estimate")
def estimate(ref: str, score: str, labels: str, cat: Asked, where: str | None = None, level: float = 0.95) -> Any:
    """What labels on a random sample of the rows would average over all of them, corrected by a score every row has."""
    from catalog.inference import estimate_mean

    return plain(estimate_mean(cat, ref, score, labels, where=where, level=level))


@router.get("/selectors")
def selectors(cat: Asked, experimental: bool = False) -> Any:
    """The methods that turn columns and a budget into chosen rows."""
    from catalog.plugins import plugins
    from ui.selecting import selector_row

    check(cat, "read", "selectors")
    held = plugins("selector").values()
    return plain([selector_row(one) for one in held if experimental or not one.experimental])


@router.get("/datasets/{name}/indexes")
def indexes(name: str, cat: Asked) -> list[dict[str, Any]]:
    """Its indexes, the rows they hold, and what is searched without one."""
    return cat.indexes(name)


@router.get("/datasets/{ref}/explore")
def explore(
    cat: Asked,
    ref: str,
    where: str,
    by: Annotated[list[str] | None, Query()] = None,
    examples: Annotated[int, Query(ge=0, le=200)] = 20,
    missing: Literal["error", "drop", "keep"] = "error",
) -> dict[str, Any]:
    """What a filter would keep of all rows, by facet, and rows just on either side of each line."""
    return plain(cat.explore(ref, where, by=by, examples=examples, missing=missing))


@router.get("/datasets/{ref}/rules")
def rules(
    cat: Asked,
    ref: str,
    rule: Annotated[list[str], Query(description='"word_count>=60", "quality>=0.4,de:0.3"; repeat for more')],
    examples: Annotated[int, Query(ge=0, le=200)] = 20,
    missing: Literal["error", "drop", "keep"] = "error",
) -> dict[str, Any]:
    """What thresholds keep together of all rows, what each takes away, by facet, with the rows nearest to each line."""
    return plain(cat.rules(ref, rule, examples=examples, missing=missing))


@router.get("/sets/overlap")
def sets_overlap(
    cat: Asked,
    a: str,
    b: str,
    dataset: Annotated[str | None, Query(description="what a side that is a filter is over")] = None,
    missing: Literal["error", "drop", "keep"] = "error",
    examples: Annotated[int, Query(ge=0, le=200)] = 8,
) -> dict[str, Any]:
    """Rows of one dataset that only a holds, only b, and both; a side is a selection, a version, or a filter."""
    from catalog.overlap import overlap_of

    return plain(overlap_of(cat, a, b, dataset=dataset, missing=missing, examples=examples))


@router.get("/datasets/{ref}/confounds/{column}")
def confounds(cat: Asked, ref: str, column: str) -> dict[str, Any]:
    """What a numeric column goes along with."""
    return plain(cat.confounds(ref, column))


@router.get("/datasets/{ref}/clusters")
def clusters(
    cat: Asked,
    ref: str,
    column: str = "cluster",
    words: Annotated[int, Query(ge=1, le=100)] = 6,
    texts: Annotated[int | None, Query(ge=1, description="texts that titles are made from, about")] = None,
) -> list[dict[str, Any]]:
    """Clusters, largest first, with their share and the words that tell each from the others."""
    from flows.cluster_titles import cluster_titles

    return plain(cluster_titles(cat, ref, column=column, words=words, texts=texts))


@router.get("/sets/{ref}/panel")
def panel(
    cat: Asked,
    ref: str,
    quality: Annotated[list[str] | None, Query()] = None,
    complexity: Annotated[list[str] | None, Query()] = None,
    vectors: str = "embedding",
    rows: Annotated[int, Query(ge=2, le=50_000)] = 5_000,
) -> dict[str, Any]:
    """Quality, diversity and complexity of a dataset version or a selection, from the columns it has."""
    from flows.panel import panel as make

    return plain(make(cat, ref, quality=quality or (), complexity=complexity or (), vectors=vectors, rows=rows))


@router.get("/compare")
def compare(
    a: str,
    b: str,
    cat: Asked,
    metric: Annotated[list[str] | None, Query()] = None,
    rows: Annotated[int, Query(ge=2, le=50_000)] = 5_000,
    clusters: Annotated[int, Query(ge=1, le=10_000)] = 64,
    vectors: str = "embedding",
) -> dict[str, Any]:
    """How diverse two sets are and how far apart, by vectors and by n-grams."""
    from flows.compare import compare as measure

    return plain(measure(cat, a, b, metric, rows=rows, clusters=clusters, vectors=vectors))


@router.get("/diff")
def diff(a: str, b: str, cat: Asked, scores: bool = False) -> Any:
    """Two dataset versions, or two mixes; of mixes with `scores` also how sources, languages and scores shift."""
    from ui.mixing import diff as compared

    return plain(compared(cat, a, b, scores))


@router.post("/sql")
def sql(body: SqlRequest, cat: Asked) -> Any:
    """Rows as JSON, or an Arrow stream (application/vnd.apache.arrow.stream)."""
    result = cat.sql(body.query, limit=body.limit)
    if body.format == "arrow":
        head = {"X-Strata-Truncated": str(result.truncated).lower()}
        return StreamingResponse(
            arrow_stream(result.reader()), media_type="application/vnd.apache.arrow.stream", headers=head
        )
    return {
        "columns": result.columns,
        "rows": plain(result.arrow()),
        "truncated": result.truncated,
        "note": result.note,
    }


@router.post("/search")
def search(body: SearchRequest, cat: Asked) -> dict[str, Any]:
    """Best hits first, and notes on what the result does not cover."""
    options = body.model_dump(exclude={"ref", "words"})
    return search_hits(cat, body.ref, body.words, **options)


@router.get("/evals")
def evals(cat: Asked) -> list[dict[str, Any]]:
    """Datasets of role eval: what mixes are checked against, and what each counts as a leak."""
    from catalog.evals import evals as registered

    check(cat, "read", "evals")
    return [plain(held) for held in registered(cat)]


@router.get("/scorers")
def scorers(cat: Asked) -> list[dict[str, Any]]:
    """Every scorer with what it reads, writes and takes."""
    from catalog.plugins import plugins

    check(cat, "read", "scorers")
    return [plain(scorer_row(held)) for held in plugins("scorer").values()]


@router.post("/plan")
def plan(body: PlanRequest, cat: Asked) -> dict[str, Any]:
    """Steps in order and the rows each lacks; runs nothing, not even a pilot."""
    from flows import plan as make

    planned = make(
        cat, body.name, body.scorers, params=body.params, target=body.target, sample=body.sample, selection=body.select
    )
    return plain({"ref": planned.ref, "rows": planned.rows, "sample": planned.sample, "steps": plan_rows(planned)})


@router.get("/runs")
def runs(
    cat: Asked, dataset: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[dict[str, Any]]:
    """Runs, newest first, with progress, counts and cost."""
    check(cat, "read", "runs")
    return [plain(run_row(run)) for run in cat.runs(limit, dataset)]


@router.get("/runs/{run}")
def run(run: str, cat: Asked) -> dict[str, Any]:
    """One run, by the beginning of its id or of its flow run's id."""
    from flows.watching import find_run

    seen = find_run(cat, run)
    return (
        plain(run_row(seen["run"]))
        if seen["run"] is not None
        else {"flow_run": seen["flow_run"], "status": seen["status"]}
    )


@router.get("/doctor")
def doctor(cat: Asked, deep: bool = False) -> list[dict[str, Any]]:
    """What does not agree between metadata and tables."""
    check(cat, "read", "doctor")
    return [plain(item) for item in cat.doctor(deep=deep)]
