"""Many sources from one file: `strata ingest --sources sources.yaml`. One bad source never stops the others.

    sources:
      - name: web                                  # the dataset
        paths: data/web/*.jsonl.gz                 # a path, glob, URI, or a list of them; relative to this file
        licence: CC-BY-4.0
        licence_evidence: https://example.org/terms
        owner: data-team
        mapping: {text: body, url: link}           # the rest is inferred
        expectations: {min_rows: 1000, language_share: {en: 0.9}, null_share: {url: 0.1}}

Other keys: tier, role, kind, key, source, note, use_class, reading, keep_going.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.errors import BadInput, Refused, StrataError
from catalog.ingest.run import ingest
from catalog.refs import check_name

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class SourceEntry(BaseModel):
    """One entry of a sources file."""

    model_config = ConfigDict(extra="forbid")

    name: str
    paths: str | list[str]
    licence: str | None = None
    licence_evidence: str | None = None
    owner: str | None = None
    note: str | None = None
    source: str | None = None
    use_class: str | None = None
    tier: str | None = None
    role: str | None = None
    kind: str | None = None
    key: str | None = None
    mapping: dict[str, str] = {}
    reading: dict[str, Any] = {}
    expectations: dict[str, Any] = {}
    keep_going: bool = False


class SourcesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sources: list[SourceEntry] = Field(min_length=1)


@dataclass
class SourceResult:
    """One line of the table at the end.

    status: new, appended, unchanged, refused (an expectation failed; nothing was published) or failed. Counts are of
    records; `unchanged` are those the dataset held already. overlap: share of rows another dataset holds too.
    """

    name: str
    status: str
    new: int = 0
    unchanged: int = 0
    appended: int = 0
    quarantined: int = 0
    overlap: float | None = None
    failed: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def load_sources(path: str | Path) -> list[SourceEntry]:
    """Read and check a sources file before anything runs."""
    path = Path(path)
    try:
        body = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(f"no file {path}; see examples/sources.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise BadInput(f"{path} cannot be read as YAML: {reason}; see examples/sources.yaml") from None
    try:
        entries = SourcesFile(**(body if isinstance(body, dict) else {"sources": body})).sources
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path}: {where}: {first['msg']}; see examples/sources.yaml") from None
    for entry in entries:
        check_name(entry.name)
    return entries


def ingest_sources(cat: Catalog, path: str | Path, *, progress: Any = None) -> list[SourceResult]:
    """Ingest every source of a file; returns a result for each, in its order."""
    base = Path(path).parent
    return [_one(cat, entry, base, progress) for entry in load_sources(path)]


def _one(cat: Catalog, entry: SourceEntry, base: Path, progress: Any) -> SourceResult:
    given = entry.model_dump(exclude={"name", "paths"}, exclude_none=True)
    paths = [entry.paths] if isinstance(entry.paths, str) else entry.paths
    try:
        report = ingest(
            cat, [_resolved(one, base) for one in paths], entry.name, overlap=True, progress=progress, **given
        )
    except Refused as error:
        items = error.facts.get("missing") or [str(error)]
        return SourceResult(entry.name, "refused", failed="; ".join(map(str, items)))  # type: ignore[call-overload]
    except (StrataError, OSError) as error:
        return SourceResult(entry.name, "failed", error=str(error))
    counts = report.counts
    fresh = {report.status: counts.get("kept", 0)} if report.status in ("new", "appended") else {}
    return SourceResult(
        entry.name,
        report.status,
        unchanged=counts.get("skipped", 0),
        quarantined=counts.get("quarantined", 0),
        overlap=report.overlap,
        **fresh,
    )


def _resolved(path: str, base: Path) -> str:
    """Paths are relative to the sources file; URIs and absolute paths stay."""
    return path if "://" in path or Path(path).is_absolute() else str(base / path)
