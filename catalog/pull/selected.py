"""Read a saved selection as a mix is read: its rows in table order or by a selector's rank, in batches, by rank, or as files.

A selection has no lock. What it serves is fixed when it is opened and may be something else tomorrow, so it is for
looking, labelling and exporting; to train on it, publish a mix of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.access import check
from catalog.errors import BadInput
from catalog.pull.layout import Located, digest_of
from catalog.pull.reader import MixReader
from catalog.pull.sources import open_sources
from catalog.ranks import SCORER
from catalog.refs import parse_ref
from catalog.selections import find_selection

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.meta.models import Selection
    from catalog.settings import Settings


class TableOrder:
    """The layout of a selection: one part, one epoch, row ids as the table has them."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def locate(self, indices: Sequence[int] | np.ndarray) -> Located:
        at = np.asarray(indices, np.int64)
        return Located(np.zeros(len(at), np.int64), np.zeros(len(at), np.int64), self.rows[at])


class SelectionReader(MixReader):
    """A selection opened at one state of its table: `batches`, `take`, `export` and `to_hf`, as of a mix."""

    def __repr__(self) -> str:
        return f"<selection {self.ref}: {len(self):,} samples>"

    def __reduce__(self) -> Any:
        return _reopen, (self.settings, self.ref, self.digest, self.lock.get("by_rank", False))

    def verify(self, *, full: bool = False) -> str:
        raise BadInput(f"selection {self.ref} has no lock to verify; publish a mix of it")

    def torch(self, batch_size: int, **options: Any) -> Any:  # type: ignore[override]
        raise BadInput(
            f"selection {self.ref} has no lock to train on: publish a mix with the part `selection: {self.ref}`"
        )


def open_selection(cat: Catalog, ref: str, *, by_rank: bool = False) -> SelectionReader:
    """Open a saved selection, `name` or `name@v2`; its rows are found now. by_rank: as its selector chose them."""
    held = find_selection(cat, ref)
    name = f"{held.name}@v{held.version}"
    found = cat.resolve(held.dataset)
    check(cat, "read", found.dataset.name)
    if found.version is None:
        raise BadInput(f"selection {name}: {found.dataset.name} has no published version; ingest rows first")
    rank = _rank(cat, held, name) if by_rank else None
    scanner = cat.lance(found.ref).scanner(
        columns=[rank] if rank else [],
        filter=cat.predicate(found.ref, held.where, held.missing),
        with_row_id=True,
        scan_in_order=True,
    )
    batches = list(scanner.to_batches())
    rows = np.concatenate([*(batch.column("_rowid").to_numpy() for batch in batches), np.empty(0, np.uint64)])
    rows = rows.astype(np.int64)
    if rank and batches:
        rows = rows[np.argsort(np.concatenate([batch.column(rank).to_numpy() for batch in batches]), kind="stable")]
    part = {"dataset": found.dataset.name, "dataset_id": found.dataset.id, "version": found.number,
            "version_digest": found.version.digest}  # fmt: skip
    facts = {"selection": name, "where": held.where, "missing": held.missing, "part": part}
    facts |= {"by_rank": True} if by_rank else {}
    digest = digest_of({**facts, "rows": digest_of([len(rows), rows.tobytes().hex()])})
    lock = {**facts, "digest": digest, "parts": [part]}
    return SelectionReader(cat.settings, name, lock, TableOrder(rows), open_sources(cat, lock, name))  # type: ignore[arg-type]


def _rank(cat: Catalog, held: Selection, name: str) -> str:
    """The stored column of ranks behind a selection that a selector made."""
    columns = cat.columns(parse_ref(held.dataset).name)
    found = [c for c in columns if c.scorer == SCORER and c.output == "rank" and held.where == f'"{c.alias}" >= 0']
    if not found:
        raise BadInput(f"selection {name} was not made by a selector, so its rows have no rank; pull it in table order")
    return found[0].physical


def _reopen(settings: Settings, ref: str, digest: str, by_rank: bool = False) -> SelectionReader:
    """The same rows in another process, or an error."""
    from catalog.catalog import Catalog

    reader = open_selection(Catalog(settings), ref, by_rank=by_rank)
    if reader.digest != digest:
        raise BadInput(
            f"selection {ref} holds other rows than when it was opened; open it again, or publish a mix of it"
        )
    return reader
