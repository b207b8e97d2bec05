"""Where a cached reply comes from: the run that asked, when, and what the server said of itself.

Replies of before have none of it: they count as those of an earlier run.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("run", "model", "system_fingerprint"):
        op.add_column("cache", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("cache", sa.Column("time", sa.Float, nullable=False, server_default="0"))
