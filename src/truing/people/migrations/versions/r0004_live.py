"""Training that people judge while it runs: its steps, its answers, its tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Four tables more."""
    op.create_table(
        "live_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("ask", sa.String(length=20), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("least", sa.Integer(), nullable=False),
        sa.Column("staleness", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_live_runs"),
        sa.UniqueConstraint("key", name="uq_live_runs_key"),
    )
    op.create_table(
        "live_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("batch_hash", sa.String(length=64), nullable=False),
        sa.Column("posted_at", sa.DateTime(), nullable=False),
        sa.Column("learned", sa.JSON(), nullable=True),
        sa.Column("marks", sa.JSON(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["live_runs.id"], name="fk_live_steps_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_live_steps"),
        sa.UniqueConstraint("run_id", "step", name="uq_live_steps_run_id_step"),
    )
    op.create_table(
        "live_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("completion_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("tokens", sa.JSON(), nullable=False),
        sa.Column("log_probs", sa.JSON(), nullable=False),
        sa.Column("reference_log_probs", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["completion_id"], ["completions.id"], name="fk_live_answers_completion_id"
        ),
        sa.ForeignKeyConstraint(["step_id"], ["live_steps.id"], name="fk_live_answers_step_id"),
        sa.PrimaryKeyConstraint("id", name="pk_live_answers"),
        sa.UniqueConstraint("step_id", "place", name="uq_live_answers_step_id_place"),
    )
    op.create_index("ix_live_answers_completion_id", "live_answers", ["completion_id"])
    op.create_table(
        "live_tasks",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("deadline", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["step_id"], ["live_steps.id"], name="fk_live_tasks_step_id"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_live_tasks_task_id"),
        sa.PrimaryKeyConstraint("task_id", name="pk_live_tasks"),
    )
    op.create_index("ix_live_tasks_step_id", "live_tasks", ["step_id"])
