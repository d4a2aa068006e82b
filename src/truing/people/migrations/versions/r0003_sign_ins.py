"""Sign-ins of the labelling page: what its cookie names, in place of the token itself."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """One table more."""
    op.create_table(
        "sign_ins",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_sign_ins_annotator_id"
        ),
        sa.PrimaryKeyConstraint("id_hash", name="pk_sign_ins"),
    )
    op.create_index("ix_sign_ins_annotator_id", "sign_ins", ["annotator_id"], unique=False)
