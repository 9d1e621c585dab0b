"""Live pulls: which lock was streamed, by whom, from where on."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "stream",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("mix", sa.String(), nullable=False),
        sa.Column("lock", sa.String(), nullable=False),
        sa.Column("face", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("world", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("stop", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_stream_mix", "stream", ["mix"])


def downgrade() -> None:
    op.drop_table("stream")
