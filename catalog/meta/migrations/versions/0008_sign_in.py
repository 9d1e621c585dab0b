"""Tokens may expire; sign-ins of browsers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with op.batch_alter_table("token") as batch:
        batch.add_column(sa.Column("expires", sa.String(), nullable=True))
    op.create_table(
        "signin",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_signin_token", "signin", ["token"])


def downgrade() -> None:
    op.drop_table("signin")
    with op.batch_alter_table("token") as batch:
        batch.drop_column("expires")
