"""Two datasets side by side, in steps of growing cost, each kept by the versions that it compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from catalog import Catalog
from catalog.diff import diff_versions
from catalog.errors import BadInput
from catalog.index.overlap import overlap

ROWS, PROTOTYPES = 2_000, 32
"""Vectors a side, and prototypes of both sides, on the page; `strata compare` takes more."""


MANY = 2_000_000
"""Rows of a side up to which the page reads vectors."""


class Side(NamedTuple):
    """A version at the published head: what an answer about it depends on."""

    ref: str
    lance_version: int


class Step(NamedTuple):
    """A part of the comparison. run(cat, a, b)."""

    title: str
    doing: str
    run: Callable[[Catalog, str, str], Any]


def side(cat: Catalog, ref: str) -> Side:
    found = cat.resolve(ref)
    return Side(found.ref if found.version else found.dataset.name, found.dataset.lance_version)


def _changes(cat: Catalog, a: str, b: str) -> Any:
    return diff_versions(cat, a, b, histograms=True)


def _words(cat: Catalog, a: str, b: str) -> Any:
    from flows.word_shift import word_shift

    return word_shift(cat, a, b)


def _rows(cat: Catalog, ref: str) -> int:
    version = cat.resolve(ref).version
    return version.rows if version else 0


def _prototypes(cat: Catalog, a: str, b: str) -> Any:
    from flows.compare import compare

    if large := [ref for ref in (a, b) if _rows(cat, ref) > MANY]:
        raise BadInput(
            f"prototypes of {large[0]} are not made on the page, as every vector of its {_rows(cat, large[0]):,} rows is read; "
            f"at the command line: strata compare {a} {b}"
        )
    return compare(cat, a, b, ["mmd", "vendi", "clusters", "prototypes"], rows=ROWS, clusters=PROTOTYPES)


STEPS = {
    "shared": Step("Overlap", "counting content that both have …", overlap),
    "changes": Step("Facts and scores", "comparing rows, licences and scores …", _changes),
    "words": Step("Words", "reading texts of both sides …", _words),
    "prototypes": Step("Prototypes", "clustering vectors of both sides …", _prototypes),
}
