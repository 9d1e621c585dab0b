"""Run a plan: stage by stage, unit by unit, resumable, published once a stage.

Prefect-free: the same functions run inline, in worker processes, or as tasks of a Prefect flow (flows/score_flow.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import Session, select

from catalog.catalog import Catalog
from catalog.errors import StrataError
from catalog.meta.models import ColumnRecord, Dataset, Edge, Recipe
from catalog.runs import Progress, add_counts, run
from catalog.store import checkpoints
from catalog.store.columns import attach
from catalog.store.publish import publish
from catalog.store.tables import ColumnFile, write_column_file
from flows.extending import added_step
from flows.job import Job, context, load_state, save_state, scan_of, settings_to_json
from flows.journal import forget_journal
from flows.planner import Plan, Step, plan
from flows.portion import count_missing
from flows.unit import checked, reusable, run_unit

Mapper = Callable[[Job, list[int], Progress], Iterable[dict[str, Any]]]


@dataclass
class Report:
    """What a score command did. columns: alias -> coverage; counts: rows computed, reused, skipped."""

    ref: str
    run_id: str | None
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)


def score(
    cat: Catalog,
    ref: str,
    scorers: list[str],
    *,
    params: dict[str, Any] | None = None,
    target: str | None = None,
    sample: int | None = None,
    selection: str | None = None,
    aliases: dict[str, str] | None = None,
    refit: bool = False,
    workers: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    place: str = "inline",
    mapper: Mapper | None = None,
    show: Any = None,
) -> Report:
    """Compute what is missing of `scorers` on a dataset. Interrupted, the same call resumes.

    selection: compute the rows that a saved selection holds; the others count as not sampled and keep what they have.
    """
    from catalog.access import check

    name = cat.resolve(ref).dataset.name
    check(cat, "write", name)
    planned = plan(
        cat, ref, scorers, params=params, target=target, sample=sample, selection=selection, aliases=aliases,
        refit=refit, device=device, dtype=dtype,
    )  # fmt: skip
    if not planned.todo:
        return _report(cat, planned, None)
    request = {"scorers": scorers, "params": params or {}, "target": target, "sample": sample}
    request |= {"selection": planned.selection} if selection else {}
    with run(cat, "score", f"score:{name}", dataset=name, place=place, **request) as record:
        total = sum(step.missing for step in planned.todo)
        progress = Progress(cat, record.id, total, "rows", show)
        for stage in planned.stages():
            job = make_job(cat, planned, stage, record.id, device=device)
            # Rows that came since the plan are computed too, so they count.
            progress.total += sum(count_missing(cat, planned, step) - step.missing for step in stage)
            run_stage(job, mapper or pool_mapper(workers), progress)
        return _report(cat, planned, record.id)


def make_job(cat: Catalog, planned: Plan, stage: list[Step], run_id: str, **options: Any) -> Job:
    dataset = cat.resolve(planned.ref).dataset
    return Job(
        settings=settings_to_json(cat.settings),
        dataset_id=dataset.id,
        name=dataset.name,
        ref=planned.ref,
        uri=cat.table_uri(dataset),
        lance_version=dataset.lance_version,
        steps=tuple(stage),
        sample_below=planned.sample_below,
        where=planned.where,
        run_id=run_id,
        **options,
    )


def run_stage(job: Job, mapper: Mapper, progress: Progress) -> None:
    """Fit what must be fitted, compute every unit that has no checkpoint, publish."""
    cat = job.catalog()
    if job.steps[0].plugin.pattern == "global":
        payloads = list(_solve(job, progress))
    else:
        for step in job.steps:
            for fitted in (step, added_step(step)):  # the index of added evals serves every dataset that lacks them
                if fitted and fitted.plugin.pattern == "fit" and load_state(cat, fitted) is None:
                    fit_step(job, fitted)
        units = [fragment.fragment_id for fragment in _open(job).get_fragments()]
        saved = checkpoints.load(cat, job.key)
        held = {unit: body for unit, body in saved.items() if reusable(job, body, units)}
        progress.tick(sum(body.get("done", 0) for unit, body in held.items() if int(unit) in units))
        todo = [unit for unit in units if str(unit) not in held]
        payloads = [*held.values(), *mapper(job, todo, progress)]
    publish_stage(job, payloads)
    forget_journal(cat, job)


def pool_mapper(workers: int | None = None) -> Mapper:
    """Units in this process, or in `workers` processes when the stage is long enough to pay for starting them."""

    def mapper(job: Job, units: list[int], progress: Progress) -> Iterator[dict[str, Any]]:
        import os

        rows = sum(step.missing for step in job.steps)
        count = workers or (1 if job.expensive or rows < 100_000 else os.cpu_count() or 1)
        count = min(count, len(units))
        if count <= 1:
            for unit in units:
                yield run_unit(job, unit, progress.tick)
            return
        import multiprocessing as mp
        from concurrent.futures import ProcessPoolExecutor, as_completed
        from concurrent.futures.process import BrokenProcessPool

        with ProcessPoolExecutor(count, mp_context=mp.get_context("spawn")) as pool:
            futures = [pool.submit(_remote_unit, job.to_json(), unit) for unit in units]
            try:
                for future in as_completed(futures):
                    payload = future.result()
                    progress.tick(payload["done"])
                    yield payload
            except BrokenProcessPool:
                raise StrataError(
                    "a worker process was killed, most often for want of memory; finished fragments are kept, "
                    "the same command resumes: try it with fewer --workers"
                ) from None
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    return mapper


def _remote_unit(job: bytes, unit: int) -> dict[str, Any]:
    return run_unit(Job.from_json(job), unit)


def fit_step(job: Job, step: Step) -> None:
    """Fit and freeze a state; the scan covers the rows of the version named in the job."""
    cat, plugin = job.catalog(), step.plugin
    assert plugin.fit is not None
    fields = [name for name, physical in step.inputs.items()]
    state = plugin.fit(_named_scan(job, step, fields), context(job, step, fitting=True))
    save_state(cat, step, state)  # one that cannot be stored fails here, before anything is computed with it


def _named_scan(job: Job, step: Step, fields: list[str]) -> Callable[..., Iterator[pa.RecordBatch]]:
    """Scan of this dataset under the scorer's own input names."""
    cat = job.catalog()
    by_physical = {column.physical: column.alias for column in cat.columns(job.name)}
    aliases = [by_physical.get(step.inputs[name], step.inputs[name]) for name in fields]
    inner = scan_of(cat, job.ref, aliases, job.lance_version)

    def scan(wanted: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        for batch in inner():
            renamed = dict(zip(["sample_id", "content_id"], batch.columns[:2]))
            renamed |= {name: batch.column(alias) for name, alias in zip(fields, aliases)}
            yield pa.RecordBatch.from_pydict(renamed)

    return scan


def _solve(job: Job, progress: Progress) -> Iterator[dict[str, Any]]:
    """A global method over all rows of the version, then one column file a fragment."""
    cat, step = job.catalog(), job.steps[0]
    plugin, number = step.plugin, cat.resolve(job.ref).number
    table = _open(job)
    lives = [
        _in_version(fragment.scanner(columns=["added", "removed"]).to_table(), number)
        for fragment in table.get_fragments()
    ]
    # Counted in the table that is read: a removal may have changed what the version holds by now.
    rows, seen = sum(int(pc.sum(live).as_py() or 0) for live in lives), 0

    def tick(amount: int) -> None:  # a method may pass over the rows more than once; the bar counts each row once
        nonlocal seen
        amount = min(amount, rows - seen)
        seen += amount
        progress.tick(amount)

    result = plugin.function(_named_scan(job, step, list(step.inputs)), context(job, step, tick=tick))
    values = checked(step, result, rows)
    tick(rows)
    at = 0
    for fragment, live in zip(table.get_fragments(), lives, strict=True):
        count = int(pc.sum(live).as_py() or 0)
        take = np.cumsum(live.to_numpy(zero_copy_only=False)) - 1 + at
        index = pa.array(np.maximum(take, 0), mask=~live.to_numpy(zero_copy_only=False))
        arrays = [values[out.name].take(index) for out in plugin.writes] + [values["_state"].take(index)]
        at += count
        file = write_column_file(
            job.uri,
            cat.settings.storage,
            job.fields,
            [pa.RecordBatch.from_arrays(arrays, schema=job.fields)],
            fragment=fragment.fragment_id,
            lance_version=job.lance_version,
        )
        yield {"file": file.to_json(), "counts": {"computed": count, "reused": 0}, "seconds": 0.0,
               "report": result.get("_report")}  # fmt: skip


def _open(job: Job) -> Any:
    from catalog.store.tables import open_table

    return open_table(job.uri, job.lance_version, job.catalog().settings.storage)


def _in_version(held: pa.Table, number: int) -> pa.Array:
    removed, added = held.column("removed"), held.column("added")
    alive = pc.or_kleene(pc.is_null(removed), pc.greater(removed, number))
    return pc.fill_null(pc.and_(pc.less_equal(added, number), alive), False).combine_chunks()


def publish_stage(job: Job, payloads: list[dict[str, Any]]) -> None:
    """Attach the stage's files to the head and record recipes, columns, statistics and the edge, all or nothing."""
    from catalog.statistics import column_statistics

    cat = job.catalog()
    files = [ColumnFile.from_json(body["file"]) for body in payloads]
    measured: dict[str, dict[str, Any]] = {}

    def change(table: Any, dataset: Dataset) -> Any:
        done = attach(cat, table, files, job.fields, job.deciders)
        physical = {column: step.state for step in job.steps for column in step.outputs.values()}
        measured.update(column_statistics(done, physical))
        return done

    def record(session: Session, dataset: Dataset) -> None:
        counts = {name: sum(body["counts"][name] for body in payloads) for name in ("computed", "reused")}
        told = next(({"report": body["report"]} for body in payloads if body.get("report")), {})
        for step in job.steps:
            _record_step(session, dataset, job, step, measured, told or load_state(cat, step) or {})
        add_counts(session, job.run_id, **counts)
        session.add(
            Edge(
                run_id=job.run_id,
                verb="score",
                source=job.ref,
                target=f"column:{job.steps[-1].fingerprint}",
                counts=counts,
                details={
                    "columns": [alias for step in job.steps for alias in step.aliases.values()],
                    "seconds": sum(b["seconds"] for b in payloads),
                },
            )
        )
        checkpoints.clear(session, job.key)

    publish(cat, job.dataset_id, change, record)


def _record_step(
    session: Session,
    dataset: Dataset,
    job: Job,
    step: Step,
    measured: dict[str, dict[str, Any]],
    fitted: dict[str, Any],
) -> None:
    from catalog.statistics import keep_facts

    plugin = step.plugin
    scope = {"map": "row", "fit": "fitted", "global": "population"}[plugin.pattern]
    session.merge(
        Recipe(
            fingerprint=step.fingerprint,
            scorer=step.scorer,
            body=step.recipe,
            base=step.base,
            source_digest=plugin.source_digest,
        )
    )
    held = {c.physical: c for c in session.exec(select(ColumnRecord).where(ColumnRecord.dataset_id == dataset.id))}
    taken = {c.alias for c in held.values()}
    for out in step.outs:
        physical = step.outputs[out.name]
        column = held.get(physical)
        if column is None:
            alias = step.aliases[out.name]
            if older := next(
                (c for c in held.values() if c.alias == alias and _same_but_scope(session, c, step)), None
            ):
                # The newest row set, or verdict, owns the short name; the older column stays readable under another.
                older.alias = f"{alias}_{_told_apart(older)}"
                session.add(older)
                session.flush()
            elif alias in taken:  # another process published under this alias meanwhile
                alias = f"{alias}_{step.fingerprint[:4]}"
            column = ColumnRecord(
                dataset_id=dataset.id, alias=alias, physical=physical, state=step.state, fingerprint=step.fingerprint,
                scorer=step.scorer, output=out.name, type=str(out.type), better=out.better, scope=scope,
            )  # fmt: skip
        column.population = job.ref if scope == "population" else None
        keep_facts(column, measured[physical])
        column.report, column.run_id = fitted.get("report", {}), job.run_id
        session.add(column)


def _same_but_scope(session: Session, column: ColumnRecord, step: Step) -> bool:
    """Whether a column differs from the step's in the row set, or in the evals, alone."""
    recipe = session.get(Recipe, column.fingerprint)
    known = column.scope == "population" or step.plugin.fit_on == "evals"
    return known and recipe is not None and recipe.base == step.base


def _told_apart(older: ColumnRecord) -> str:
    return f"v{older.population.rsplit('@v')[-1]}" if older.population else older.fingerprint[:6]


def _report(cat: Catalog, planned: Plan, run_id: str | None) -> Report:
    from catalog.meta.models import Run

    wanted = {physical for step in planned.steps for physical in step.outputs.values()}
    report = Report(ref=planned.ref, run_id=run_id)
    for column in cat.columns(planned.ref):
        if column.physical in wanted:
            report.columns[column.alias] = {"covered": column.covered, "rows": planned.rows, "states": column.states}
            if column.report:
                report.reports[column.alias] = column.report
    report.counts = {"skipped_steps": len(planned.steps) - len(planned.todo), "computed": 0, "reused": 0}
    if run_id:
        with cat.session() as session:
            held = session.get(Run, run_id)
            report.counts |= held.counts if held else {}
    return report
