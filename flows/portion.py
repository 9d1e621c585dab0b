"""Which rows a plan is about: a uniform sample, a selection, all; and how many of them lack a value."""

from __future__ import annotations

import heapq
import os
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.catalog import Catalog, Resolved
from catalog.errors import BadInput, Refused
from catalog.meta.models import ColumnRecord
from catalog.plugins import Scorer
from catalog.selections import find_selection, selection_predicate
from catalog.states import DONE
from catalog.where import version_filter

if TYPE_CHECKING:
    from flows.planner import Plan, Step

USUAL = 16 << 30
"""Memory of the machine that `Scorer.most_rows` is said for."""


def fits_on_rows(scorer: Scorer) -> bool:
    """Whether its fit reads the dataset's own rows."""
    return scorer.pattern == "fit" and (scorer.fit_on == "self" or scorer.fit_uses_rows)


def selected(cat: Catalog, found: Resolved, selection: str) -> tuple[str, str]:
    """Reference with its version, and filter, of a selection of this dataset."""
    held = find_selection(cat, selection)
    ref = f"{held.name}@v{held.version}"
    if held.dataset.partition("@")[0] != found.dataset.name:
        raise BadInput(f"selection {ref} holds rows of {held.dataset}, not of {found.dataset.name}; choose one of it")
    where = selection_predicate(cat, ref)[1]
    assert where is not None
    if not cat.lance(found.dataset.name).count_rows(where):
        raise BadInput(f"selection {ref} holds no rows today, so there is nothing to score; look at its filter")
    return ref, where


def sample_bound(cat: Catalog, found: Resolved, sample: int, where: str | None) -> str | None:
    """The sample is the rows with the smallest ids: ids are hashes, so it is uniform, and a larger one contains it.

    None where the sample is every row, of the selection if there is one.
    """
    parts = [f"({part})" for part in (version_filter(found.dataset, found.number), where) if part]
    scanner = cat.lance(found.dataset.name).scanner(
        columns=["sample_id"], filter=" AND ".join(parts) or None, batch_size=65536
    )
    smallest: list[str] = []
    rows = 0
    for batch in scanner.to_batches():
        rows += batch.num_rows
        smallest = heapq.nsmallest(sample, [*smallest, *batch.column("sample_id").to_pylist()])
    return smallest[-1] if sample < rows else None


def count_missing(cat: Catalog, planned: Plan, step: Step) -> int:
    """Rows that a run of this plan would compute for a step, as the dataset is now."""
    found = cat.resolve(planned.ref)
    table = cat.lance(found.dataset.name)
    # A global method computes the rows of the version it is asked for, the others all rows that live.
    live = version_filter(found.dataset, found.number if step.plugin.pattern == "global" else found.dataset.head)
    parts = [f"({part})" for part in (live, planned.where) if part]
    if planned.sample_below:
        parts.append(f"sample_id <= '{planned.sample_below}'")
    if step.state in table.schema.names:
        done = ", ".join(str(code) for code in DONE)
        parts.append(f"({step.state} IS NULL OR {step.state} NOT IN ({done}))")
    return table.count_rows(" AND ".join(parts) if parts else None)


def refuse_parts(
    cat: Catalog,
    found: Resolved,
    steps: dict[str, Step],
    known: dict[str, ColumnRecord],
    sample: int | None,
    selection: str | None,
) -> None:
    """Refuse what a part of the rows cannot give: a global method, and a fit on columns that only this part has."""
    from flows.job import load_state

    if not (sample or selection):
        return
    option = "--select" if selection else "--sample"
    for step in steps.values():
        if step.plugin.pattern == "global":
            raise BadInput(
                f"scorer {step.scorer} compares every row with every other, so a part of the rows has no value: "
                f"leave {option} away"
            )
        if not selection or not step.waits or not fits_on_rows(step.plugin) or load_state(cat, step) is not None:
            continue
        short = [name for name, physical in step.inputs.items() if not _covers(known, physical, found)]
        if short:
            raise BadInput(
                f"scorer {step.scorer} fits on {short[0]} of every row, which {found.ref} does not have: "
                f"score it without --select first"
            )


def refuse_too_many(found: Resolved, steps: dict[str, Step]) -> None:
    """Refuse a global method on more rows than this machine's memory is good for, before anything is computed."""
    have = memory()
    for step in steps.values():
        most = step.plugin.most_rows
        if most is None or found.dataset.rows <= (able := int(most * have / USUAL)):
            continue
        raise Refused(
            f"scorer {step.scorer} holds something of every row and takes {able:,} rows on a machine of "
            f"{have / 2**30:.0f} GB; {found.ref} has {found.dataset.rows:,}: promote a part of it into a dataset of its own "
            f"and score that, or use a machine of {USUAL / 2**30 * found.dataset.rows / most:.0f} GB",
            missing=["memory"],
        )


def memory() -> int:
    """Bytes of memory of this machine, or of the container it is."""
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(have, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or one without a bound
        return have


def _covers(known: dict[str, ColumnRecord], physical: str, found: Resolved) -> bool:
    if "__" not in physical:
        return True
    return physical in known and known[physical].covered >= found.dataset.rows
