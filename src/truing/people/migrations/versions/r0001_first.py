"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# A copy, not an import: a migration does forever what it did when it was written.
APPEND_ONLY = (
    "judgements", "demonstrations", "ratings", "comparisons", "rankings", "flags", "annotations",
)  # fmt: skip


def _refuse_update(dialect: str, table: str) -> str:
    """A trigger under which rows of a table can't be changed."""
    if dialect == "sqlite":
        return (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} BEGIN "
            "SELECT RAISE(ABORT, 'judgements are append-only'); END"
        )
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION truing_append_only()"
    )


def upgrade() -> None:
    """All tables. There is no way back: it would lose judgements."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION truing_append_only() RETURNS trigger AS $$ BEGIN "
            "RAISE EXCEPTION 'judgements are append-only'; END $$ LANGUAGE plpgsql"
        )
    op.create_table(
        "annotators",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("role in ('lead', 'annotator', 'source')", name="ck_annotators_role"),
        sa.PrimaryKeyConstraint("id", name="pk_annotators"),
        sa.UniqueConstraint("name", name="uq_annotators_name"),
        sa.UniqueConstraint("token_hash", name="uq_annotators_token_hash"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=False),
        sa.Column("erased_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_table(
        "prompts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("consent", sa.String(length=20), nullable=False),
        sa.Column("user_key", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prompts"),
        sa.UniqueConstraint("text_hash", name="uq_prompts_text_hash"),
    )
    op.create_index("ix_prompts_user_key", "prompts", ["user_key"], unique=False)
    op.create_table(
        "annotator_groups",
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("dimension", sa.String(length=100), nullable=False),
        sa.Column("value", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_annotator_groups_annotator_id"
        ),
        sa.PrimaryKeyConstraint("annotator_id", "dimension", name="pk_annotator_groups"),
    )
    op.create_table(
        "completions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.Integer(), nullable=False),
        sa.Column("candidate", sa.String(length=500), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name="fk_completions_prompt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_completions"),
        sa.UniqueConstraint(
            "prompt_id",
            "candidate",
            "text_hash",
            name="uq_completions_prompt_id_candidate_text_hash",
        ),
    )
    op.create_table(
        "guidelines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["annotators.id"], name="fk_guidelines_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_guidelines"),
    )
    op.create_index("ix_guidelines_kind", "guidelines", ["kind"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("prompt_id", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("sort_key", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name="fk_tasks_prompt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.UniqueConstraint("key", name="uq_tasks_key"),
    )
    op.create_index("ix_tasks_prompt_id", "tasks", ["prompt_id"], unique=False)
    op.create_index("ix_tasks_sort_key", "tasks", ["sort_key"], unique=False)
    op.create_table(
        "assignments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("display_order", sa.JSON(), nullable=False),
        sa.Column("given_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_assignments_annotator_id"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_assignments_task_id"),
        sa.PrimaryKeyConstraint("id", name="pk_assignments"),
        sa.UniqueConstraint("task_id", "annotator_id", name="uq_assignments_task_id_annotator_id"),
        sa.UniqueConstraint("task_id", "slot", name="uq_assignments_task_id_slot"),
    )
    op.create_index("ix_assignments_annotator_id", "assignments", ["annotator_id"], unique=False)
    op.create_table(
        "task_completions",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("completion_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["completion_id"], ["completions.id"], name="fk_task_completions_completion_id"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_completions_task_id"),
        sa.PrimaryKeyConstraint("task_id", "position", name="pk_task_completions"),
    )
    op.create_index(
        "ix_task_completions_completion_id", "task_completions", ["completion_id"], unique=False
    )
    op.create_table(
        "drafts",
        sa.Column("assignment_id", sa.Integer(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignments.id"], name="fk_drafts_assignment_id"
        ),
        sa.PrimaryKeyConstraint("assignment_id", name="pk_drafts"),
    )
    op.create_table(
        "judgements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("submission", sa.String(length=64), nullable=False),
        sa.Column("assignment_id", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("supersedes_id", sa.Integer(), nullable=True),
        sa.Column("prompt_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_judgements_annotator_id"
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignments.id"], name="fk_judgements_assignment_id"
        ),
        sa.ForeignKeyConstraint(
            ["supersedes_id"], ["judgements.id"], name="fk_judgements_supersedes_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_judgements"),
        sa.UniqueConstraint(
            "assignment_id", "revision", name="uq_judgements_assignment_id_revision"
        ),
        sa.UniqueConstraint("submission", name="uq_judgements_submission"),
        sa.UniqueConstraint("supersedes_id", name="uq_judgements_supersedes_id"),
    )
    op.create_index("ix_judgements_annotator_id", "judgements", ["annotator_id"], unique=False)
    op.create_index("ix_judgements_kind", "judgements", ["kind"], unique=False)
    op.create_table(
        "annotations",
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("use_case", sa.String(length=30), nullable=False),
        sa.Column("suggested", sa.String(length=30), nullable=False),
        sa.ForeignKeyConstraint(
            ["judgement_id"], ["judgements.id"], name="fk_annotations_judgement_id"
        ),
        sa.PrimaryKeyConstraint("judgement_id", name="pk_annotations"),
    )
    op.create_table(
        "comparisons",
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("first_hash", sa.String(length=64), nullable=False),
        sa.Column("second_id", sa.Integer(), nullable=False),
        sa.Column("second_hash", sa.String(length=64), nullable=False),
        sa.Column("preferred", sa.String(length=10), nullable=False),
        sa.CheckConstraint(
            "preferred in ('first', 'second', 'tie')", name="ck_comparisons_preferred"
        ),
        sa.ForeignKeyConstraint(["first_id"], ["completions.id"], name="fk_comparisons_first_id"),
        sa.ForeignKeyConstraint(
            ["judgement_id"], ["judgements.id"], name="fk_comparisons_judgement_id"
        ),
        sa.ForeignKeyConstraint(["second_id"], ["completions.id"], name="fk_comparisons_second_id"),
        sa.PrimaryKeyConstraint("judgement_id", name="pk_comparisons"),
    )
    op.create_index("ix_comparisons_first_id", "comparisons", ["first_id"], unique=False)
    op.create_index("ix_comparisons_second_id", "comparisons", ["second_id"], unique=False)
    op.create_table(
        "demonstrations",
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["judgement_id"], ["judgements.id"], name="fk_demonstrations_judgement_id"
        ),
        sa.PrimaryKeyConstraint("judgement_id", name="pk_demonstrations"),
    )
    op.create_table(
        "flags",
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("value", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], name="fk_flags_judgement_id"),
        sa.PrimaryKeyConstraint("judgement_id", "name", name="pk_flags"),
    )
    op.create_table(
        "gold",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], name="fk_gold_judgement_id"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_gold_task_id"),
        sa.PrimaryKeyConstraint("task_id", name="pk_gold"),
        sa.UniqueConstraint("judgement_id", name="uq_gold_judgement_id"),
    )
    op.create_table(
        "rankings",
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("completion_id", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["completion_id"], ["completions.id"], name="fk_rankings_completion_id"
        ),
        sa.ForeignKeyConstraint(
            ["judgement_id"], ["judgements.id"], name="fk_rankings_judgement_id"
        ),
        sa.PrimaryKeyConstraint("judgement_id", "completion_id", name="pk_rankings"),
    )
    op.create_index("ix_rankings_completion_id", "rankings", ["completion_id"], unique=False)
    op.create_table(
        "ratings",
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("completion_id", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.CheckConstraint("value between 1 and 7", name="ck_ratings_value"),
        sa.ForeignKeyConstraint(
            ["completion_id"], ["completions.id"], name="fk_ratings_completion_id"
        ),
        sa.ForeignKeyConstraint(
            ["judgement_id"], ["judgements.id"], name="fk_ratings_judgement_id"
        ),
        sa.PrimaryKeyConstraint("judgement_id", name="pk_ratings"),
    )
    op.create_index("ix_ratings_completion_id", "ratings", ["completion_id"], unique=False)
    for table in APPEND_ONLY:
        op.execute(_refuse_update(op.get_bind().dialect.name, table))
