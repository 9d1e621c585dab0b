"""Where eval items leaked: which datasets, mixes and pulls hold each, as a report that a reviewer can read.

The facts are columns of the check (`strata score NAME eval_overlap`): one list of items a row, with the share of each
item that the row holds. Datasets without a whole run of it against the eval as it is now are listed as unchecked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput
from catalog.evals import CHECK, evals, policy, stale, stamp
from catalog.meta.models import ColumnRecord, Dataset, Edge, Mix, Recipe, Stream

if TYPE_CHECKING:
    from catalog.catalog import Catalog

EXCERPT = 160


def trace_eval(cat: Catalog, name: str, *, faint: bool = False) -> dict[str, Any]:
    """Every item of an eval that some row leaks: the rows, and the mixes and pulls that serve them.

    {"eval", "items", "untested", "policy", "leaked": [{"item", "field", "text", "rows", "mixes", "pulls"}], "datasets",
    "unchecked"}. "pulls" are folders of exports and live streams (`catalog/pull/live.py`). faint: also rows that hold a part of an item below the declared share.
    """
    check(cat, "read", name)
    found = cat.resolve(name)
    if found.dataset.role != "eval":
        raise BadInput(
            f"{name} has role {found.dataset.role or 'none'}, not eval: `strata trace --eval` follows an eval"
        )
    entry = next(e for e in evals(cat) if e["ref"].split("@")[0] == found.dataset.name)
    leaked: dict[tuple[str, str], dict[str, Any]] = {}
    datasets, unchecked = [], []
    report: dict[str, Any] = {}
    for dataset in cat.datasets():
        if dataset.role == "eval":
            continue
        column = _column(cat, dataset, entry)
        if column is None:
            unchecked.append(
                {"dataset": dataset.name, "tier": dataset.tier, "remedy": f"strata score {dataset.name} {CHECK}"}
            )
            continue
        report = report or next((e for e in column.report.get("evals") or [] if e["ref"] == entry["ref"]), {})
        rows = _collect(cat, dataset, column, entry["ref"], leaked, faint)
        datasets.append({"dataset": dataset.name, "tier": dataset.tier, "rows": rows, "covered": column.covered})
    _served(cat, leaked)
    texts = _texts(cat, found.ref, {item for item, _ in leaked})
    listed = sorted(leaked.values(), key=lambda item: (-len(item["rows"]), item["item"]))
    for item in listed:
        item["text"] = texts.get(item["item"], "")
    return {
        "eval": found.ref,
        "items": found.version.rows if found.version else 0,
        "policy": policy(cat, found.dataset.id) or {"fields": ["text"], "action": "flag", "share": 0.5, "numbers": 0.8},
        "untested": {key: report.get(key, 0) for key in ("too_short", "only_phrases")}
        | {"items": report.get("untested", [])},
        "leaked": listed,
        "datasets": datasets,
        "unchecked": unchecked,
        "stale": stale(cat, found.dataset.name),
    }


def _column(cat: Catalog, dataset: Dataset, entry: dict[str, Any]) -> ColumnRecord | None:
    """The column of items of a whole run against this version and declaration of the eval."""
    for column in cat.columns(dataset.name):
        if column.output == "eval_leak_items" and column.covered >= dataset.rows:
            with cat.session() as session:
                recipe = session.get(Recipe, column.fingerprint)
            if recipe and stamp(entry) in {stamp(held) for held in recipe.body.get("evals") or []}:
                return column
    return None


def _collect(
    cat: Catalog, dataset: Dataset, column: ColumnRecord, ref: str, leaked: dict[tuple[str, str], dict[str, Any]], faint: bool
) -> int:  # fmt: skip
    """Add the rows of a dataset to the items they hold; the rows that leak."""
    count = 0
    scanner = cat.lance(dataset.name).scanner(
        columns=["sample_id", column.physical], filter=f"removed IS NULL AND {column.physical} IS NOT NULL", with_row_id=True
    )  # fmt: skip
    for batch in scanner.to_batches():
        for row in batch.to_pylist():
            mine = [i for i in json.loads(row[column.physical]) if i["eval"] == ref and (faint or i["leak"])]
            count += any(item["leak"] for item in mine)
            for item in mine:
                held = leaked.setdefault(
                    (item["item"], item["field"]),
                    {"item": item["item"], "field": item["field"], "rows": [], "mixes": [], "pulls": []},
                )
                held["rows"].append(
                    {
                        "dataset": dataset.name, "dataset_id": dataset.id, "sample_id": row["sample_id"],
                        "row_id": row["_rowid"],
                        **{key: item[key] for key in ("share", "numbers", "longest", "spans", "leak")},
                    }
                )  # fmt: skip
    return count


def _served(cat: Catalog, leaked: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Which mixes lock a row of each item, and what was pulled of those: folders of exports, then live streams."""
    from catalog.pull import rowset

    with cat.session() as session:
        mixes = session.exec(select(Mix).order_by(Mix.name, Mix.version)).all()  # type: ignore[arg-type]
        pulls = session.exec(select(Edge).where(Edge.verb == "pull").order_by(Edge.created)).all()  # type: ignore[arg-type]
        streams = session.exec(select(Stream).order_by(Stream.created)).all()  # type: ignore[arg-type]
    for mix in mixes:
        ref = f"{mix.name}@v{mix.version}"
        taken = [edge.target for edge in pulls if edge.source == f"mix:{ref}"]
        taken += _streamed([stream for stream in streams if stream.mix == ref])
        for part in mix.lock.get("parts", []):
            rows = None
            for item in leaked.values():
                ids = [row["row_id"] for row in item["rows"] if row["dataset_id"] == part["dataset_id"]]
                if not ids or ref in item["mixes"]:
                    continue
                rows = rows or rowset.load(part["rows"], cat.settings.locks, verify=False)
                if rows.contains(np.array(ids, np.int64)).any():
                    item["mixes"].append(ref)
                    item["pulls"] += taken


def _streamed(streams: list[Stream]) -> list[str]:
    """One line for the ranks of one live pull; how far it came is not known here, so nothing is ruled out."""
    lines: dict[str, str] = {}
    for one in streams:
        ranks = f" by {one.world} ranks" if one.world > 1 else ""
        lines.setdefault(
            f"{one.face} {one.lock} {one.actor} {one.start} {one.stop} {one.world}",
            f"{one.face} stream of {one.actor} on {one.host}{ranks}, from index {one.start:,} on ({one.created[:16]})",
        )
    return list(lines.values())


def _texts(cat: Catalog, ref: str, wanted: set[str]) -> dict[str, str]:
    """The beginning of the items' text."""
    texts: dict[str, str] = {}
    if not wanted:
        return texts
    for batch in cat.scan(ref, ["sample_id", "text"]):
        for row in batch.to_pylist():
            if row["sample_id"] in wanted:
                texts[row["sample_id"]] = " ".join((row["text"] or "").split())[:EXCERPT]
    return texts


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    said = report["policy"]
    lines = [f"# Leaks of {report['eval']}", ""]
    lines.append(
        f"{len({i['item'] for i in report['leaked']})} of {report['items']} items leak. Protected: "
        f"{', '.join(said['fields'])}; a leak from {said['share']:.0%} of an item's words on, {said['numbers']:.0%} with "
        f"numbers masked; action: {said['action']}."
    )
    short = report["untested"]
    if short["items"]:
        lines.append(
            f"Not testable: {short['too_short']} items are too short, {short['only_phrases']} are common phrases only:"
        )
        lines += [f"- `{sample}` {field}, {words} words" for sample, field, words in short["items"]]
    lines += ["", "| dataset | tier | rows that leak |", "|---|---|---|"]
    lines += [f"| {row['dataset']} | {row['tier']} | {row['rows']} |" for row in report["datasets"]]
    lines += [f"| {row['dataset']} | {row['tier']} | unchecked: `{row['remedy']}` |" for row in report["unchecked"]]
    for item in report["leaked"]:
        lines += ["", f"## `{item['item']}` ({item['field']})", "", f"> {item['text']}", ""]
        for row in item["rows"]:
            how = f"{row['share']:.0%} of its words, {row['longest']} in a row"
            how = how if row["share"] >= said["share"] else f"{row['numbers']:.0%} with numbers masked"
            lines.append(f"- {row['dataset']} `{row['sample_id']}`: {how}")
        if item["mixes"]:
            lines.append(
                f"- in {', '.join(item['mixes'])}; pulled to {'; '.join(item['pulls']) or 'nothing on record'}"
            )
    return "\n".join(lines) + "\n"
