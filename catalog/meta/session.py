"""Engines, sessions and schema upgrades of the metadata store (SQLite or PostgreSQL)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError

from catalog.errors import BadInput, Missing, StrataError

MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def newest_revision() -> str:
    """The revision this code expects: the migration file with the highest number."""
    return max(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


@cache
def engine_of(url: str) -> Engine:
    """One engine a URL and process, its schema brought up to date."""
    engine = _create(url)
    try:
        held = _revision(engine)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        if url.startswith("sqlite") and ("disk I/O error" in reason or "disk is full" in reason):
            # SQLite says "disk I/O error" when there is no room for the few kilobytes it works with.
            raise StrataError(
                f"cannot open the metadata database {_masked(url)}: {reason}; the disk is full or broken: free some "
                "space and run the command again"
            ) from None
        raise Missing(
            f"cannot reach the metadata database {_masked(url)}: {reason}; start it or set STRATA_DATABASE_URL"
        ) from None
    if held != newest_revision():
        upgrade(url, held)
    return engine


def _create(url: str) -> Engine:
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot create {path.parent}: {error.strerror}; choose another STRATA_HOME") from None
        engine = create_engine(url, connect_args={"timeout": 60})

        @event.listens_for(engine, "connect")
        def _pragmas(connection, _record):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")

        return engine
    try:
        return create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise Missing(f"database {_masked(url)} needs {error.name}: pip install 'strata-catalog[postgres]'") from None


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("select version_num from alembic_version")).scalar()


def upgrade(url: str, held: str | None = None) -> None:
    """Run the migrations up to the newest; a store written by newer code is refused."""
    from alembic import command
    from alembic.config import Config

    known = {path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    if held is not None and held not in known:
        raise BadInput(f"the catalog at {_masked(url)} was written by a newer Strata (schema {held}); upgrade Strata")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["quiet"] = True
    command.upgrade(config, "head")


def _masked(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)
