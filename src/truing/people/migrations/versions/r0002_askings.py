"""What users of the pilot asked, and how often."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One table more. There is no way back: it would lose who asked what."""
    op.create_table(
        "askings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.Integer(), nullable=False),
        sa.Column("folded_hash", sa.String(length=64), nullable=False),
        sa.Column("user_key", sa.String(length=200), nullable=False),
        sa.Column("candidate", sa.String(length=500), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(), nullable=False),
        sa.Column("last_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name="fk_askings_prompt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_askings"),
        sa.UniqueConstraint(
            "folded_hash", "user_key", "candidate", name="uq_askings_folded_hash_user_key_candidate"
        ),
    )
    op.create_index("ix_askings_prompt_id", "askings", ["prompt_id"], unique=False)
    op.create_index("ix_askings_user_key", "askings", ["user_key"], unique=False)
