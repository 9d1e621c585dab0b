"""The nutrition label of a dataset: what somebody must know at a glance before they train on it. From stored facts alone.

In the spirit of the dataset nutrition label (Holland et al. 2018, arXiv:1805.03677) and of data cards: amounts, licences,
languages, which checks were run over how many rows and what they found, medians of the quality columns, and the share of
rows for which a fact is missing. What nobody measured is said to be unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.meta.models import ColumnRecord, Dataset, Version


class Looked(NamedTuple):
    """A check as the output of a scorer. found: which rows it found something in, by stored values of that output."""

    name: str
    output: str
    scorer: str
    found: str


CHECKS = (
    Looked("exact duplicates", "exact_dup_keep", "exact_dup", "false"),
    Looked("near duplicates", "minhash_keep", "minhash", "false"),
    Looked("personal data", "pii_count", "pii", "above"),
    Looked("secrets", "secrets_count", "secrets", "above"),
    Looked("eval leaks", "eval_leak_action", "eval_overlap", "any"),
)
QUALITIES = 4
"""Columns with a direction whose medians a label shows."""


def nutrition(cat: Catalog, ref: str) -> dict[str, Any]:
    """The label of a dataset version; no table is opened.

    {"ref", "rows", "chars", "tokens", "tokens_rows", "licences", "languages", "checks": [{"check", "scorer", "coverage",
    "found", "share"}], "qualities": [{"column", "better", "median", "low", "high", "coverage"}], "missing": {fact: share}}.
    Shares are of the rows; None where nobody measured. Columns are described for the newest version.
    """
    found = cat.resolve(ref)
    return label(found.dataset, found.version, cat.columns(found.dataset.name)) | {"ref": found.ref}


def label(dataset: Dataset, version: Version | None, columns: Sequence[ColumnRecord]) -> dict[str, Any]:
    """The label from records that were read already."""
    rows = version.rows if version else 0
    facts = version.statistics if version else {}
    newest = version is not None and version.number == dataset.head
    held = {column.output: column for column in columns} if newest else {}
    licences = facts.get("facets", {}).get("licence") or ({dataset.licence or "unknown": rows} if rows else {})
    language, tokens = held.get("language"), held.get("tokens")
    return {
        "ref": f"{dataset.name}@v{version.number}" if version else dataset.name,
        "rows": rows,
        "chars": facts.get("chars", 0),
        "tokens": _total(tokens),
        "tokens_rows": tokens.covered if tokens is not None else 0,
        "licences": licences,
        "languages": dict(language.statistics.get("facets") or {}) if language is not None else {},
        "checks": [_checked(check, held.get(check.output), rows) for check in CHECKS],
        "qualities": _qualities(list(held.values()), rows),
        "missing": {
            "licence": _share(licences.get("unknown", 0), rows),
            "verified licence": (0.0 if dataset.licence_verified else 1.0) if rows else None,
            "language": _absent(language, rows),
            "token count": _absent(tokens, rows),
        },
    }


def _total(column: ColumnRecord | None) -> int | None:
    """Sum of a counted column over the rows that have it."""
    statistics = column.statistics if column is not None else {}
    return round(statistics["mean"] * statistics["count"]) if statistics.get("count") and "mean" in statistics else None


def _checked(check: Looked, column: ColumnRecord | None, rows: int) -> dict[str, Any]:
    """What a check found in the rows it looked at. found is None where stored values do not say."""
    looked = column.statistics if column is not None else {}
    states = column.states if column is not None else {}
    covered = states.get("value", column.covered) if column is not None else 0
    found = _hits(check.found, looked, covered) if covered else None
    return {
        "check": check.name,
        "scorer": check.scorer,
        "coverage": _share(covered, rows),
        "found": found,
        "share": _share(found, covered) if found is not None and covered else None,
    }


def _hits(rule: str, looked: dict[str, Any], covered: int) -> int | None:
    facets, count = looked.get("facets"), looked.get("count", 0)
    if rule == "any":
        return count
    if rule == "false":
        return facets.get("False", facets.get("false", 0)) if facets is not None else None
    if facets:
        return count - facets.get("0", 0)
    return 0 if looked.get("max") == 0 and count else None


def _qualities(columns: Sequence[ColumnRecord], rows: int) -> list[dict[str, Any]]:
    """Scores with a direction that tell rows apart, the better the higher first; what the checks tell is left out."""
    told = {check.output for check in CHECKS} | {"eval_leak", "eval_overlap", "language_confidence"}
    graded = [c for c in columns if c.better in ("higher", "lower") and c.output not in told]
    graded = [c for c in graded if c.statistics.get("quantiles") and not c.output.startswith(("pii_", "rank"))]
    graded = [c for c in graded if c.statistics["quantiles"].get("5") != c.statistics["quantiles"].get("95")]
    graded.sort(key=lambda c: (c.better != "higher", -c.covered, c.alias))
    return [
        {
            "column": c.alias,
            "better": c.better,
            "coverage": _share(c.statistics.get("count", 0), rows),
            "median": c.statistics["quantiles"].get("50"),
            "low": c.statistics["quantiles"].get("5"),
            "high": c.statistics["quantiles"].get("95"),
        }
        for c in graded[:QUALITIES]
    ]


def _absent(column: ColumnRecord | None, rows: int) -> float | None:
    """Share of the rows without a value; a value called unknown is none."""
    if column is None:
        return 1.0 if rows else None
    unknown = (column.statistics.get("facets") or {}).get("unknown", 0)
    return _share(max(rows - column.statistics.get("count", 0) + unknown, 0), rows)


def _share(part: float, rows: int) -> float | None:
    return round(min(part / rows, 1.0), 6) if rows else None
