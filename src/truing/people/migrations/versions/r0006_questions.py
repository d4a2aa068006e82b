"""Question sets of a team's own; who doesn't get which work, and until when it is to be done."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Four tables more. There is no way back: it would lose what was asked."""
    op.create_table(
        "question_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("questions", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_question_sets"),
        sa.UniqueConstraint("name", name="uq_question_sets_name"),
    )
    op.create_table(
        "question_tasks",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["set_id"], ["question_sets.id"], name="fk_question_tasks_set_id"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_question_tasks_task_id"),
        sa.PrimaryKeyConstraint("task_id", name="pk_question_tasks"),
    )
    op.create_index("ix_question_tasks_set_id", "question_tasks", ["set_id"])
    op.create_table(
        "withheld_work",
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("work", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_withheld_work_annotator_id"
        ),
        sa.PrimaryKeyConstraint("annotator_id", "work", name="pk_withheld_work"),
    )
    op.create_table(
        "deadlines",
        sa.Column("work", sa.String(length=40), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("work", name="pk_deadlines"),
    )
