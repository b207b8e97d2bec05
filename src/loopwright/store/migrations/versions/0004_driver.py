"""Which process drives a run, so that a killed one is told from a live one, and a deleted lock file opens no second way in."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "driver",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("boot", sa.Text, nullable=False),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("began", sa.Text, nullable=False),
        sa.UniqueConstraint("run", name="driver_identity"),
    )
