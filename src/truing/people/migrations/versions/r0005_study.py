"""Studies of oversight: who takes which place of a plan, and each step of their trials."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _refuse_update(dialect: str, table: str) -> str:
    """A trigger under which rows of a table can't be changed; PostgreSQL's function is of 0001."""
    if dialect == "sqlite":
        return (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} BEGIN "
            "SELECT RAISE(ABORT, 'steps of a study are append-only'); END"
        )
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION truing_append_only()"
    )


def upgrade() -> None:
    """Two tables more. There is no way back: it would lose answers."""
    op.create_table(
        "study_people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("slot", sa.String(length=20), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_study_people_annotator_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_study_people"),
        sa.UniqueConstraint("study", "annotator_id", name="uq_study_people_study_annotator_id"),
        sa.UniqueConstraint("study", "slot", name="uq_study_people_study_slot"),
    )
    op.create_index("ix_study_people_annotator_id", "study_people", ["annotator_id"])
    op.create_table(
        "study_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("trial", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=10), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("letter", sa.String(length=1), nullable=True),
        sa.Column("confidence", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reply", sa.JSON(), nullable=True),
        sa.Column("waited", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "step in ('shown', 'before', 'question', 'after', 'late')", name="ck_study_steps_step"
        ),
        sa.CheckConstraint("confidence between 50 and 99", name="ck_study_steps_confidence"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["study_people.id"], name="fk_study_steps_person_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_study_steps"),
        sa.UniqueConstraint(
            "person_id",
            "trial",
            "step",
            "number",
            name="uq_study_steps_person_id_trial_step_number",
        ),
    )
    for table in ("study_people", "study_steps"):
        op.execute(_refuse_update(op.get_bind().dialect.name, table))
