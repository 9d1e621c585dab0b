"""Where things are. Parameters of methods are not settings; they are arguments, stored with the run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Places of one catalog.

    home: folder of the embedded default. database: SQLAlchemy URL of the metadata. tables: URI prefix of the Lance
    tables (a folder or s3://...). storage: options for that store (endpoint, keys). actor: who runs the command.
    """

    home: Path
    database: str
    tables: str
    storage: dict[str, str] = field(default_factory=dict)
    actor: str = "local"

    def table_uri(self, uri: str) -> str:
        """The address of a table that metadata name relative to the tables' prefix, so that a home can be moved."""
        return uri if uri.startswith("/") or "://" in uri else f"{self.tables}/{uri}"

    @property
    def locks(self) -> Path:
        return self.home / "locks"

    @property
    def states(self) -> Path:
        return self.home / "states"

    @property
    def journal(self) -> Path:
        return self.home / "journal"


S3_OPTIONS = {
    "STRATA_S3_ENDPOINT": "aws_endpoint",
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_REGION": "aws_region",
}


def load_settings(
    home: str | Path | None = None, *, database: str | None = None, tables: str | None = None
) -> Settings:
    """Read STRATA_HOME, STRATA_DATABASE_URL, STRATA_TABLES_URI, STRATA_ACTOR; arguments win over the environment."""
    root = Path(home or os.environ.get("STRATA_HOME") or "strata-home").expanduser().resolve()
    database = database or os.environ.get("STRATA_DATABASE_URL") or f"sqlite:///{root / 'meta.db'}"
    if database.startswith(("postgres://", "postgresql://")):
        database = "postgresql+psycopg://" + database.split("://", 1)[1]
    tables = tables or os.environ.get("STRATA_TABLES_URI") or str(root / "tables")
    storage = {}
    if "://" in tables:
        storage = {option: os.environ[name] for name, option in S3_OPTIONS.items() if name in os.environ}
        if storage.get("aws_endpoint", "").startswith("http://"):
            storage |= {"allow_http": "true", "aws_virtual_hosted_style_request": "false"}
    return Settings(
        root, database, tables.rstrip("/"), storage, os.environ.get("STRATA_ACTOR") or os.environ.get("USER") or "local"
    )
