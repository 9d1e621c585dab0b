"""Trials: training runs on a mix and what they measured."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "trial",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("mix", sa.String(), nullable=False),
        sa.Column("lock", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("created", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("lock", "model", "step", "seed", "digest"),
    )
    op.create_index("ix_trial_mix", "trial", ["mix"])
    op.create_index("ix_trial_model", "trial", ["model"])


def downgrade() -> None:
    op.drop_table("trial")
