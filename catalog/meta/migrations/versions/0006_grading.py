"""Campaigns of grading by people: their queues, who holds what, planted items, and what a grade of theirs says."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ADDED = [
    sa.Column("campaign_id", sa.String(), nullable=True),
    sa.Column("slot_id", sa.String(), nullable=True),
    sa.Column("item", sa.BigInteger(), nullable=True),
    sa.Column("act", sa.String(), nullable=False, server_default="grade"),
    sa.Column("name", sa.String(), nullable=False, server_default=""),
    sa.Column("target", sa.String(), nullable=False, server_default=""),
    sa.Column("other", sa.String(), nullable=True),
    sa.Column("number", sa.Float(), nullable=True),
    sa.Column("seconds", sa.Float(), nullable=True),
    sa.Column("revision", sa.Integer(), nullable=False, server_default="1"),
    sa.Column("superseded", sa.String(), nullable=True),
]


def upgrade() -> None:
    for column in ADDED:
        op.add_column("grade", column)
    op.create_index("ix_grade_once", "grade", ["slot_id", "grader", "act", "name", "target", "revision"], unique=True)
    op.create_index("ix_grade_item", "grade", ["campaign_id", "item", "grader"])
    op.create_index("ix_grade_grader", "grade", ["campaign_id", "grader", "created"])
    op.create_table(
        "campaign",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("rubric", sa.JSON(), nullable=False),
        sa.Column("rubric_digest", sa.String(), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("graders", sa.Integer(), nullable=False),
        sa.Column("gold_every", sa.Integer(), nullable=False),
        sa.Column("hold", sa.Float(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("closed", sa.String(), nullable=True),
        sa.Column("created", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index("ix_campaign_dataset_id", "campaign", ["dataset_id"])
    op.create_table(
        "gradequeue",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("piece", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "piece"),
    )
    op.create_table(
        "gradeslot",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("item", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("grader", sa.String(), nullable=True),
        sa.Column("taken", sa.String(), nullable=True),
        sa.Column("expires", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("campaign_id", "item", "place"),
    )
    op.create_index("ix_gradeslot_open", "gradeslot", ["campaign_id", "status", "item"])
    op.create_index("ix_gradeslot_grader", "gradeslot", ["campaign_id", "grader", "status", "item"])
    op.create_table(
        "gradegold",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("sample_id", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "item"),
        sa.UniqueConstraint("campaign_id", "row_id"),
    )
    op.create_table(
        "gradecursor",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("grader", sa.String(), nullable=False),
        sa.Column("item", sa.BigInteger(), nullable=False),
        sa.Column("served", sa.Integer(), nullable=False),
        sa.Column("golds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "grader"),
    )


def downgrade() -> None:
    for table in ("gradecursor", "gradegold", "gradeslot", "gradequeue", "campaign"):
        op.drop_table(table)
    for name in ("ix_grade_once", "ix_grade_item", "ix_grade_grader"):
        op.drop_index(name, "grade")
    with op.batch_alter_table("grade") as batch:
        for column in ADDED:
            batch.drop_column(column.name)
