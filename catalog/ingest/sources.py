"""Many sources at once: a YAML file that names each with its path, mapping, licence, owner and expectations.

    sources:
      - name: web
        uri: data/web-*.jsonl.gz          # (or paths) path, glob, folder, URI, hub id or a list; relative to this file
        licence: CC-BY-4.0
        licence_evidence: https://example.org/licence
        owner: ana
        mapping: {text: body, url: link}  # what inference would get wrong
        expectations: {min_rows: 1000, language_share: {en: 0.9}, null_share: {url: 0.1}}

A source that fails is reported and the next one is run; a failed expectation leaves its dataset as it was.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from catalog.access import check
from catalog.errors import BadInput, NotFound, Refused, StrataError
from catalog.index.held import held_dataset
from catalog.ingest import register
from catalog.ingest.expectations import Expectations, parse_expectations
from catalog.ingest.overlap import overlap_with_others
from catalog.ingest.run import ingest
from catalog.plugins import plugins
from catalog.refs import check_name
from catalog.runs import Cancelled

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class SourceSpec(BaseModel):
    """One entry of a sources file."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="dataset to make or append to")
    uri: list[str] = Field(
        min_length=1,
        validation_alias=AliasChoices("uri", "paths"),
        description="paths, globs, URIs or hub ids; relative to the file",
    )
    kind: str | None = Field(None, description="text, chat, preference, task or knowledge; detected if not given")
    mapping: dict[str, str] = Field({}, description="role or column -> field of the records")
    key: str | None = Field(None, description="field that names a record")
    reading: dict[str, Any] = Field({}, description="format, header, columns, delimiter, max_record_bytes")
    tier: str | None = Field(None, description="tier of a new dataset, L0 if not given")
    role: str | None = Field(None, description="target, eval or calibration")
    source: str | None = Field(None, description="name of the source, the dataset's if not given")
    licence: str | None = Field(None, description="declared licence (SPDX id)")
    licence_evidence: str | None = Field(None, description="where the licence is stated")
    use_class: str | None = Field(None, description="commercial, research or unspecified")
    owner: str | None = Field(None, description="who answers for it")
    note: str | None = Field(None, description="why it is here")
    keep_going: bool = Field(False, description="keep the rows before the place where a file is broken")
    expectations: Expectations = Field(
        default_factory=lambda: parse_expectations(None), description="bounds that must hold, else nothing is published"
    )

    @field_validator("uri", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


@dataclass
class SourceResult:
    """One line of the final table. new, appended: rows added to a new or an existing dataset; unchanged: rows that were
    there before; overlap: share of the dataset's rows whose content another dataset holds too; near: the same with near
    duplicates; mixes: share that published mixes hold; shared: rows that each other dataset holds, nearly too."""

    name: str
    status: str
    new: int = 0
    unchanged: int = 0
    appended: int = 0
    quarantined: int = 0
    overlap: float | None = None
    near: float | None = None
    mixes: float | None = None
    shared: dict[str, int] = field(default_factory=dict)
    ref: str | None = None
    failed: str | None = None
    error: str | None = None
    licence: str | None = None


def load_sources(path: str | Path) -> list[SourceSpec]:
    """The entries of a sources file; one wrong word is one line that names the entry."""
    path = Path(path)
    try:
        body = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise NotFound("sources file", str(path), remedy=str(error.strerror)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not YAML: {' '.join(str(error).split())[:200]}") from None
    entries = body.get("sources") if isinstance(body, dict) else body
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{path} names no sources; it needs a list under the key 'sources'")
    specs = [_spec(entry, at, path) for at, entry in enumerate(entries, 1)]
    for spec in specs:
        check_name(spec.name)
    names = [spec.name for spec in specs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{path}: {twice[0]!r} is named twice; give both paths as the uri of one entry")
    return specs


def _spec(entry: Any, at: int, path: Path) -> SourceSpec:
    if not isinstance(entry, dict):
        raise BadInput(f"{path}: entry {at} is not a mapping with name and uri")
    try:
        spec = SourceSpec(**entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(SourceSpec.model_fields)
        raise BadInput(
            f"{path}: source {entry.get('name', at)!r}: {where}: {first['msg']}; there are {known}"
        ) from None
    return spec.model_copy(update={"uri": [_beside(uri, path) for uri in spec.uri]})


def _beside(uri: str, path: Path) -> str:
    return uri if "://" in uri or os.path.isabs(uri) else os.path.normpath(os.path.join(path.parent, uri))


def ingest_sources(
    cat: Catalog, path: str | Path | Sequence[SourceSpec], *, file: str = "", progress: Any = None
) -> list[SourceResult]:
    """Ingest every source of a file, one after the other, past those that fail; the register keeps what each came to."""
    check(cat, "write", "intake")
    specs = load_sources(path) if isinstance(path, str | Path) else path
    register.expect(cat, specs, file or (os.path.abspath(path) if isinstance(path, str | Path) else ""))
    results = [_one(cat, spec, progress) for spec in specs]
    if plugins("sketch"):  # they come with the compute room
        for result in results:  # when all are in, so that the first is compared with the last too
            found = cat.find(result.name) if result.ref else None
            if found is not None and (held := held_dataset(cat, found)).rows:
                result.near, result.mixes = held.share(held.near), held.share(held.mixes)
                result.shared = dict(held.datasets.most_common())
                register.keep_held(cat, result.name, held)
    return results


def _one(cat: Catalog, spec: SourceSpec, progress: Any) -> SourceResult:
    result = _delivered(cat, spec, progress)
    register.note(cat, result)
    return result


def _delivered(cat: Catalog, spec: SourceSpec, progress: Any) -> SourceResult:
    held = cat.find(spec.name)
    before = held.rows if held else 0
    options = spec.model_dump(exclude={"name", "uri", "expectations"}, exclude_none=True)
    try:
        report = ingest(cat, spec.uri, spec.name, expectations=spec.expectations, progress=progress, **options)
        found = cat.find(spec.name)
        overlap = overlap_with_others(cat, found, report.ref) if found else None
    except Cancelled:
        raise
    except Refused as error:
        items = error.facts.get("missing")
        failed = "; ".join(str(item) for item in items) if isinstance(items, list) and items else error.message
        return SourceResult(spec.name, "failed expectation", unchanged=before, failed=failed, licence=spec.licence)
    except (StrataError, OSError) as error:
        return SourceResult(spec.name, "error", unchanged=before, error=str(error), licence=spec.licence)
    kept = report.counts["kept"]
    return SourceResult(
        spec.name, report.status, new=kept if report.status == "new" else 0, unchanged=before,
        appended=kept if report.status == "appended" else 0, quarantined=report.counts["quarantined"], overlap=overlap,
        ref=report.ref, licence=report.licence,
    )  # fmt: skip
