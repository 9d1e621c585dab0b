"""Alembic environment: one transaction, the same metadata for SQLite and PostgreSQL."""

from alembic import context
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

import catalog.meta.calls
import catalog.meta.grading
import catalog.meta.intake
import catalog.meta.models
import catalog.meta.proposals  # noqa: F401  (all fill SQLModel.metadata)

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), connect_args={})
with engine.connect() as connection:
    if connection.dialect.name == "postgresql":
        # Two processes that open a fresh database at once must not both create the tables.
        connection.execute(text("select pg_advisory_lock(727272)"))
        connection.commit()
    if connection.dialect.name == "sqlite":
        # Begun before Alembic looks, so that it adds no commit of its own between two steps: a process that is
        # killed in the middle leaves the schema as it was.
        connection.execute(text("begin immediate"))
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_unlock(727272)"))
        connection.commit()
engine.dispose()
