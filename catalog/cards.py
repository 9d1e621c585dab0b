"""The card of a dataset version: facts, licences as declared and as verified, counts, columns, provenance. From metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmodel import func, select

from catalog.lineage import lineage
from catalog.meta.models import Quarantine, SourceFile, Tag

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved
    from catalog.meta.models import ColumnRecord

TOP = 20


def card(cat: Catalog, ref: str) -> dict[str, Any]:
    """Everything a reader must know before use, as JSON values; no table is opened."""
    found = cat.resolve(ref)
    dataset, version = found.dataset, found.version
    columns = cat.columns(dataset.name)
    facts = version.statistics if version else {}
    return {
        "ref": found.ref,
        "name": dataset.name,
        "version": found.number,
        "tier": dataset.tier,
        "kind": dataset.kind,
        "role": dataset.role,
        "owner": dataset.owner,
        "note": dataset.note,
        "created": dataset.created,
        "published": version.created if version else None,
        "digest": version.digest if version else None,
        "licence": _licence(found, facts),
        "counts": _counts(found, facts),
        "sources": _top(facts.get("facets", {}).get("source", {})),
        "languages": _languages(columns, found),
        "columns": [_column(column, dataset.rows) for column in columns],
        "quarantine": _quarantine(cat, dataset.id),
        "files": _files(cat, dataset.id),
        "tags": _tags(cat, dataset.id),
        "provenance": _provenance(cat, found),
    }


def _licence(found: Resolved, facts: dict[str, Any]) -> dict[str, Any]:
    """Declared, verified and the class of use are three facts; none stands for another."""
    dataset, rows = found.dataset, facts.get("facets", {}).get("licence", {})
    return {
        "declared": dataset.licence,
        "evidence": dataset.licence_evidence,
        "verified": dataset.licence_verified,
        "verified_by": dataset.licence_verified_by,
        "use_class": dataset.use_class or "unspecified",
        "rows": _top(rows),
        "rows_without": rows.get("unknown", 0),
        "consent_to_send_text": dataset.consent_llm,
    }


def _counts(found: Resolved, facts: dict[str, Any]) -> dict[str, Any]:
    version = found.version
    return {
        "rows": version.rows if version else 0,
        "added": version.added if version else 0,
        "removed": version.removed if version else 0,
        "retracted": version.retracted if version else 0,
        "chars": facts.get("chars", 0),
        "bytes": facts.get("bytes", 0),
        "chars_quantiles": facts.get("chars_quantiles", {}),
    }


def _top(values: dict[str, int]) -> dict[str, int]:
    """The most frequent values; the rest in one number, so that the sum is right."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(n for _, n in ordered[TOP:])
    return dict(ordered[:TOP]) | ({f"{len(ordered) - TOP} more": rest} if rest else {})


def _languages(columns: list[ColumnRecord], found: Resolved) -> dict[str, int]:
    held = next((c for c in columns if c.output == "language"), None)
    return _top(held.statistics.get("facets", {})) if held and found.number == found.dataset.head else {}


def _column(column: ColumnRecord, rows: int) -> dict[str, Any]:
    held = column.statistics
    return {
        "column": column.alias,
        "scorer": column.scorer,
        "type": column.type,
        "better": column.better,
        "scope": column.scope,
        "population": column.population,
        "coverage": round(column.covered / rows, 6) if rows else None,
        "states": column.states,
        **{name: held.get(name) for name in ("mean", "std", "min", "max")},
        "median": (held.get("quantiles") or {}).get("50"),
        "length_correlation": (held.get("length_correlation") or {}).get("spearman"),
        "report": column.report,
        "fingerprint": column.fingerprint,
    }


def _quarantine(cat: Catalog, dataset_id: str) -> dict[str, int]:
    query = select(Quarantine.reason, func.count()).where(Quarantine.dataset_id == dataset_id)
    with cat.session() as session:
        return _top(dict(session.exec(query.group_by(Quarantine.reason)).all()))  # type: ignore[arg-type]


def _files(cat: Catalog, dataset_id: str) -> dict[str, int]:
    query = select(func.count(), func.sum(SourceFile.size), func.sum(SourceFile.rows))
    with cat.session() as session:
        count, size, rows = session.exec(query.where(SourceFile.dataset_id == dataset_id)).one()
    return {"files": count, "bytes": int(size or 0), "rows": int(rows or 0)}


def _tags(cat: Catalog, dataset_id: str) -> dict[str, int]:
    with cat.session() as session:
        return {tag.name: tag.version for tag in session.exec(select(Tag).where(Tag.dataset_id == dataset_id))}


def _provenance(cat: Catalog, found: Resolved) -> list[dict[str, Any]]:
    """What led to this version, nearest first: verb, source, counts, who, when."""
    if found.version is None:
        return []
    steps = lineage(cat, found.ref)["edges"]
    above, wave, out = {found.ref}, [found.ref], []
    while wave:
        reached = []
        for edge in steps:
            if edge["target"] in wave and edge["verb"] not in ("score", "version", "reads", "target", "eval"):
                out.append({n: edge.get(n) for n in ("verb", "source", "target", "counts", "actor", "created", "cost")})
            if edge["target"] in wave and edge["source"] not in above and not edge["source"].startswith("column:"):
                reached.append(edge["source"])
        above |= set(reached)
        wave = list(dict.fromkeys(reached))
    return out


def markdown(held: dict[str, Any]) -> str:
    """A card as Markdown."""
    licence, counts = held["licence"], held["counts"]
    lines = [f"# {held['ref']}", ""]
    if held["note"]:
        lines += [held["note"], ""]
    lines += _table(
        ["fact", "value"],
        [
            ["tier, kind", f"{held['tier']}, {held['kind']}" + (f", role {held['role']}" if held["role"] else "")],
            ["rows", f"{counts['rows']:,}"],
            ["characters", f"{counts['chars']:,}"],
            ["owner", held["owner"] or "not stated"],
            ["published", held["published"] or "not yet"],
            ["digest", f"`{held['digest']}`"],
            ["licence declared", licence["declared"] or "**none stated**"],
            ["licence verified", f"{licence['verified']} by {licence['verified_by']}" if licence["verified"] else "no"],
            ["evidence", licence["evidence"] or "none"],
            ["use", licence["use_class"]],
        ],
    )
    for title, values in (
        ("Rows by licence", licence["rows"]),
        ("Rows by source", held["sources"]),
        ("Rows by language", held["languages"]),
        ("Quarantined records by reason", held["quarantine"]),
    ):
        if values:
            lines += ["", f"## {title}", "", *_table(["value", "rows"], [[k, f"{n:,}"] for k, n in values.items()])]
    if held["columns"]:
        rows = [
            [c["column"], c["scorer"], "" if c["coverage"] is None else f"{c['coverage']:.1%}", _number(c["mean"]),
             _number(c["min"]), _number(c["max"]), _number(c["length_correlation"])]
            for c in held["columns"]
        ]  # fmt: skip
        head = ["column", "scorer", "coverage", "mean", "min", "max", "correlation with length"]
        lines += ["", "## Columns", "", *_table(head, rows)]
    if held["provenance"]:
        rows = [
            [step["verb"], step["source"], step["target"], ", ".join(f"{k} {v:,}" for k, v in step["counts"].items()),
             step["actor"] or "", (step["created"] or "")[:19]]
            for step in held["provenance"]
        ]  # fmt: skip
        lines += ["", "## Provenance", "", *_table(["verb", "from", "to", "counts", "actor", "when"], rows)]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *cells]]
