"""Published edits: a dataset whose rows are new samples, each naming the sample that a grader wrote better as its parent.

A child is a new sample: its id follows from the campaign, the parent, the grader and the words, so that publishing again
adds and removes what changed and nothing else. It has the licence, source and address of its parent, and its meta says who
made it, under which rubric. The dataset is of tier L0: that people wrote it says nothing of its secrets or its leaks, and
L3 asks for those checks. Traces and retractions find children by the column `parents`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
from sqlmodel import Session, col, select
from xxhash import xxh3_128_hexdigest

from catalog.access import check
from catalog.errors import BadInput, NameTaken
from catalog.grades.campaigns import dataset_of, find
from catalog.grades.edits import EDIT, child_content
from catalog.grades.queue import row_ids_at
from catalog.grades.results import complete_items
from catalog.meta.models import Campaign, Dataset, Edge, Grade, Run, Version
from catalog.runs import add_counts, run
from catalog.schema import OWN, PARENTS, sample_schema
from catalog.store import open_table, write_fragment
from catalog.store.publish import publish
from catalog.store.rows import append_fragments, mark_removed
from catalog.versions import measure_columns, record_columns, version_facts

if TYPE_CHECKING:
    from catalog.catalog import Catalog

KEPT = ("source", "licence", "url", "author")
"""What a child has of its parent."""


def publish_edits(cat: Catalog, name: str, to: str, *, note: str = "") -> dict[str, Any]:
    """Publish the campaign's edits as rows of dataset `to`, one for each grader's edit of a sample.

    {"dataset": "to@vN", "published", "rows", "added", "removed", "waiting": edits of items whose other grades are not in,
    "changed": of samples that are others since, "retracted"}. The same edits again change nothing.
    """
    campaign = find(cat, name)
    source = dataset_of(cat, campaign)
    check(cat, "write", to)
    if to == source.name:
        raise BadInput(f"{to} holds the samples that were edited; name another dataset for what was made of them")
    counts: Counter[str] = Counter()
    wanted = _children(cat, campaign, source, counts)
    held = cat.find(to)
    if held is None and not wanted:
        more = ", ".join(f"{count} {what}" for what, count in counts.items())
        raise BadInput(f"campaign {name} has no edit to publish{f' ({more})' if more else ''}")
    dataset = _checked(cat, held, campaign, source) if held else _made(cat, to, campaign, source)
    with run(cat, "edits", f"edits:{campaign.id}:{dataset.id}", dataset=to, campaign=name) as record:
        done = _publish(cat, campaign, dataset, wanted, counts, record.id, note)
    return {"campaign": name, **done, **{what: counts[what] for what in ("waiting", "changed", "retracted")}}


def edits_so_far(cat: Catalog, name: str) -> dict[str, int]:
    """How many edits a campaign holds, and how many of them wait for the other grades of their items."""
    campaign = find(cat, name)
    with cat.session() as session:
        items = session.exec(select(Grade.item).where(*_standing(campaign))).all()
        done = complete_items(session, campaign) if items else set()
    return {"edits": len(items), "waiting": 0 if campaign.closed else sum(item not in done for item in items)}


def datasets_of_edits(cat: Catalog) -> set[str]:
    """Ids of the datasets that edits were published as."""
    with cat.session() as session:
        return {key.rpartition(":")[2] for key in session.exec(select(Run.key).where(Run.verb == "edits"))}


def _standing(campaign: Campaign) -> tuple[Any, ...]:
    """Edits that stand, of the queue: those of planted items answer what is known."""
    return Grade.campaign_id == campaign.id, Grade.act == EDIT, col(Grade.item) >= 0, col(Grade.superseded).is_(None)


def _ref(campaign: Campaign, source: Dataset) -> str:
    """The version that was graded, under the dataset's name of today."""
    return f"{source.name}@{campaign.ref.partition('@')[2]}"


def _children(cat: Catalog, campaign: Campaign, source: Dataset, counts: Counter[str]) -> dict[str, dict[str, Any]]:
    """Rows by sample id, of the edits whose items nobody grades blindly any more."""
    with cat.session() as session:
        query = select(Grade).where(Grade.campaign_id == campaign.id, Grade.act == EDIT, col(Grade.item) >= 0)
        edits = session.exec(
            query.where(col(Grade.superseded).is_(None)).order_by(col(Grade.item), col(Grade.grader))
        ).all()
        done = complete_items(session, campaign)
        ready = [edit for edit in edits if campaign.closed or edit.item in done]
        rows = {e.item: row_ids_at(session, campaign.id, campaign.kind, e.item or 0)[0] for e in ready}
    counts["waiting"] = len(edits) - len(ready)
    table = open_table(cat.table_uri(source), source.lance_version, cat.settings.storage)
    names = ["sample_id", "content_id", "text", *KEPT, "removed", *(field.name for field in OWN[source.kind])]
    made: dict[str, dict[str, Any]] = {}
    for edit in ready:
        held = table._take_rows([rows[edit.item]], columns=names).to_pylist()
        if not held or held[0]["removed"] == 0:
            counts["retracted"] += 1
        elif held[0]["content_id"] != edit.content_id:
            counts["changed"] += 1
        else:
            child = _child(campaign, source, edit, held[0])
            made[child["sample_id"]] = child
    return made


def _child(campaign: Campaign, source: Dataset, edit: Grade, parent: dict[str, Any]) -> dict[str, Any]:
    said = [campaign.id, parent["sample_id"], edit.grader, edit.target, edit.value]
    facts = {
        "generator": f"person:{edit.grader}", "parents": [parent["sample_id"]], "edited": edit.target or "text",
        "campaign": campaign.name, "rubric": campaign.rubric["name"], "rubric_digest": campaign.rubric_digest,
        "graded": _ref(campaign, source),
    }  # fmt: skip
    return {
        **{name: parent[name] for name in KEPT},
        **child_content(source.kind, parent, edit.target, edit.value),
        "sample_id": xxh3_128_hexdigest(orjson.dumps(said)), "created": edit.created, "file": _file(campaign),
        "line": (edit.item or 0) + 1, "meta": orjson.dumps(facts).decode(), PARENTS.name: [parent["sample_id"]],
    }  # fmt: skip


def _file(campaign: Campaign) -> str:
    return f"campaign:{campaign.name}"


def _checked(cat: Catalog, held: Dataset, campaign: Campaign, source: Dataset) -> Dataset:
    """A dataset that is there already, if it is one of edits of the same samples."""
    mine = (held.parent or "").partition("@")[0] == source.name and held.tier == "L0" and held.kind == source.kind
    if not mine:
        raise NameTaken(f"{held.name!r} exists and holds no edits of {source.name}; choose another name with --as")
    return held


def _made(cat: Catalog, to: str, campaign: Campaign, source: Dataset) -> Dataset:
    return cat.create_dataset(
        to, kind=source.kind, tier="L0", owner=cat.settings.actor, licence=source.licence, licence_evidence=source.licence_evidence,
        licence_verified=source.licence_verified, licence_verified_by=source.licence_verified_by, use_class=source.use_class,
        parent=_ref(campaign, source), note=f"edits of campaign {campaign.name}",
    )  # fmt: skip


def _publish(cat: Catalog, campaign: Campaign, dataset: Dataset, wanted: dict[str, dict[str, Any]], counts: Counter[str],
             run_id: str, note: str) -> dict[str, Any]:  # fmt: skip
    """One version with what came and without what was taken back; nothing where that is nothing."""
    made: dict[str, Any] = {}

    def change(table: Any, current: Dataset) -> Any:
        if PARENTS.name not in table.schema.names:
            table.add_columns(pa.schema([PARENTS]))
        number = current.head + 1
        live, gone = _held(table, campaign)
        counts["retracted"] += len(gone & set(wanted))
        fresh = [row for name, row in wanted.items() if name not in live and name not in gone]
        surplus = np.array([row for name, row in live.items() if name not in wanted], np.uint64)
        made.update(number=current.head, added=len(fresh), removed=len(surplus))
        if not fresh and not len(surplus):
            return table
        done = append_fragments(cat, table, _written(cat, dataset, fresh, number))
        if len(surplus):
            done, _ = mark_removed(cat, done, surplus, number)
        made.update(number=number, facts=version_facts(done), columns=measure_columns(cat, current, done))
        return done

    def record(session: Session, current: Dataset) -> None:
        if "facts" in made:
            _record(session, cat, campaign, current, made, run_id, note)

    publish(cat, dataset.id, change, record)
    rows = made["facts"]["rows"] if "facts" in made else dataset.rows
    return {"dataset": f"{dataset.name}@v{made['number']}", "published": "facts" in made, "rows": rows,
            "added": made["added"], "removed": made["removed"]}  # fmt: skip


def _held(table: Any, campaign: Campaign) -> tuple[dict[str, int], set[str]]:
    """Live rows of this campaign, sample id -> row id, and the sample ids that were retracted."""
    own = f"file = '{_file(campaign)}'"
    live = table.to_table(columns=["sample_id"], filter=f"{own} AND removed IS NULL", with_row_id=True)
    gone = table.to_table(columns=["sample_id"], filter=f"{own} AND removed = 0")
    ids = live.column("_rowid").to_pylist()
    return dict(zip(live.column("sample_id").to_pylist(), ids, strict=True)), set(gone.column("sample_id").to_pylist())


def _written(cat: Catalog, dataset: Dataset, rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    if not rows:
        return []
    schema = sample_schema(dataset.kind, "L3")  # with parents
    batch = pa.RecordBatch.from_pylist([{**row, "added": number} for row in rows], schema=schema)
    return [write_fragment(cat.table_uri(dataset), cat.settings.storage, schema, [batch])]


def _record(session: Session, cat: Catalog, campaign: Campaign, current: Dataset, made: dict[str, Any], run_id: str,
            note: str) -> None:  # fmt: skip
    facts, number = made["facts"], made["number"]
    session.add(Version(
        dataset_id=current.id, number=number, digest=facts["digest"], rows=facts["rows"], added=made["added"],
        removed=made["removed"], note=note or f"edits of campaign {campaign.name}", actor=cat.settings.actor, run_id=run_id,
        statistics=facts["statistics"],
    ))  # fmt: skip
    current.head, current.rows, current.removed = number, facts["rows"], current.removed + made["removed"]
    session.add(current)
    record_columns(session, current, made["columns"])
    counts = {"in": made["added"], "kept": made["added"], "removed": made["removed"]}
    add_counts(session, run_id, **counts)
    details = {"campaign": campaign.name, "rubric": campaign.rubric["name"], "rubric_digest": campaign.rubric_digest}
    session.add(Edge(run_id=run_id, verb="edits", source=current.parent or campaign.ref, target=f"{current.name}@v{number}",
                     counts=counts, details=details))  # fmt: skip
