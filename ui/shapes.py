"""What the verbs return, as plain JSON values: one shape for the command line, HTTP and MCP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.plain import plain as plain

if TYPE_CHECKING:
    from catalog import Catalog
    from catalog.meta.models import ColumnRecord, Dataset, Mix, Run, Trial, Version


def dataset_row(dataset: Dataset) -> dict[str, Any]:
    """One line of the catalog."""
    return {
        "name": dataset.name,
        "version": dataset.head,
        "tier": dataset.tier,
        "kind": dataset.kind,
        "rows": dataset.rows,
        "licence": dataset.licence,
        "role": dataset.role,
        "owner": dataset.owner,
        "parent": dataset.parent,
        "created": dataset.created,
        "note": dataset.note,
    }


def version_row(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "rows": version.rows,
        "added": version.added,
        "removed": version.removed,
        "retracted": version.retracted,
        "digest": version.digest,
        "actor": version.actor,
        "created": version.created,
        "note": version.note,
    }


def column_row(column: ColumnRecord, rows: int) -> dict[str, Any]:
    """One computed column; `rows` is the size of what it should cover."""
    held = column.statistics
    return {
        "column": column.alias,
        "scorer": column.scorer,
        "type": column.type,
        "scope": column.scope,
        "population": column.population,
        "better": column.better,
        "covered": column.covered,
        "coverage": round(column.covered / rows, 6) if rows else None,
        "states": column.states,
        "mean": held.get("mean"),
        "min": held.get("min"),
        "max": held.get("max"),
        "length_correlation": (held.get("length_correlation") or {}).get("spearman"),
        "report": column.report,
        "fingerprint": column.fingerprint,
    }


def run_row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "verb": run.verb,
        "dataset": run.dataset,
        "status": run.status,
        "place": run.place,
        "actor": run.actor,
        "progress": run.progress,
        "counts": run.counts,
        "cost": run.cost,
        "started": run.started,
        "finished": run.finished,
        "error": run.error,
        "request": run.request,
        "flow_run": run.prefect_id,
    }


def show(cat: Catalog, ref: str, sample: int = 0) -> dict[str, Any]:
    """Everything `strata show` tells about a dataset version, from stored facts; `sample` rows are read on request."""
    found = cat.resolve(ref)
    number = found.number
    facts: dict[str, Any] = {
        **dataset_row(found.dataset),
        "ref": found.ref,
        "version": number,
        "head": found.dataset.head,
        "digest": found.version.digest if found.version else None,
        "rows": found.version.rows if found.version else 0,
        "licence_evidence": found.dataset.licence_evidence,
        "licence_verified": found.dataset.licence_verified,
        "use_class": found.dataset.use_class,
        "statistics": _statistics(found.version),
        "tags": tags(cat, found.dataset.id),
        "versions": [version_row(version) for version in cat.versions(found.dataset.name)],
        "columns": [column_row(column, found.dataset.rows) for column in cat.columns(found.dataset.name)],
    }
    if sample:
        facts["sample"] = [row for batch in cat.scan(found.ref, limit=sample) for row in plain(batch)]
    return facts


def _statistics(version: Version | None) -> dict[str, Any]:
    held = dict(version.statistics) if version else {}
    held.pop("length_bins", None)
    return held


def tags(cat: Catalog, dataset_id: str) -> dict[str, int]:
    from sqlmodel import select

    from catalog.meta.models import Tag

    with cat.session() as session:
        return {tag.name: tag.version for tag in session.exec(select(Tag).where(Tag.dataset_id == dataset_id))}


def scorer_row(scorer: Any) -> dict[str, Any]:
    """A scorer as its declaration says it."""
    return {
        "name": scorer.name,
        "cost": scorer.cost,
        "pattern": scorer.pattern,
        "summary": scorer.summary,
        "reads": list(scorer.reads),
        "writes": [
            {"name": out.name, "type": str(out.type), "doc": out.doc, "better": out.better} for out in scorer.writes
        ],
        "params": _params(scorer.params),
        "kinds": list(scorer.kinds),
        "languages": list(scorer.languages),
        "version": scorer.version,
        "citation": scorer.citation,
        "experimental": scorer.experimental,
        "most_rows": scorer.most_rows,
    }


def _params(model: Any) -> dict[str, Any]:
    held = model.model_json_schema().get("properties", {})
    return {
        name: {key: body[key] for key in ("type", "default", "description") if key in body}
        for name, body in held.items()
    }


def mixer_row(mixer: Any) -> dict[str, Any]:
    """A mixer as its declaration says it."""
    return {
        "name": mixer.name,
        "summary": mixer.summary,
        "trials": mixer.trials,
        "params": _params(mixer.params),
        "version": mixer.version,
        "citation": mixer.citation,
        "experimental": mixer.experimental,
    }


def mix_row(mix: Mix) -> dict[str, Any]:
    """One line of the published mixes."""
    revises = mix.lock.get("revises")
    return {
        "ref": f"{mix.name}@v{mix.version}",
        "digest": mix.digest,
        "samples": mix.lock["totals"]["samples"],
        "parts": len(mix.lock["parts"]),
        "revises": revises[0]["ref"] if revises else None,
        "actor": mix.actor,
        "created": mix.created,
    }


TRIAL = ("id", "mix", "model", "step", "seed", "tokens", "size", "status", "weights", "results", "source", "note", "actor", "created")  # fmt: skip


def trial_row(trial: Trial) -> dict[str, Any]:
    """A recorded run: what it was served and what it measured."""
    return {name: getattr(trial, name) for name in TRIAL}


def plan_rows(planned: Any) -> list[dict[str, Any]]:
    """Steps of a plan in order of execution."""
    return [
        {
            "step": number,
            "scorer": step.scorer,
            "cost": step.plugin.cost,
            "pattern": step.plugin.pattern,
            "missing": step.missing,
            "asked": step.asked,
            "columns": list(step.aliases.values()),
            "params": step.params,
            "target": step.target,
            "fingerprint": step.fingerprint,
        }
        for number, step in enumerate(planned.steps, 1)
    ]
