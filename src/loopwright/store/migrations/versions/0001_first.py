"""The first tables: run, effect, cache, candidate, rollout, feedback, event."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _columns(**types: type) -> list[sa.Column[Any]]:
    return [sa.Column("n", sa.Integer, primary_key=True)] + [sa.Column(k, t, nullable=False) for k, t in types.items()]


def upgrade() -> None:
    op.create_table(
        "run",
        *_columns(
            id=sa.Text, spec=sa.Text, spec_hash=sa.Text, code_version=sa.Text, seed=sa.Integer, status=sa.Text,
            budget=sa.Text, reason=sa.Text, created=sa.Float, updated=sa.Float, seconds=sa.Float,
        ),
        sa.UniqueConstraint("id", name="run_identity"),
    )  # fmt: skip
    op.create_table(
        "effect",
        *_columns(
            run=sa.Text, key=sa.Text, scope=sa.Text, kind=sa.Text, content=sa.Text, ordinal=sa.Integer, status=sa.Text,
            summary=sa.Text, result=sa.LargeBinary, calls=sa.Integer, prompt_tokens=sa.Integer,
            completion_tokens=sa.Integer, seconds=sa.Float, money=sa.Float, error=sa.Text, attempt=sa.Integer,
        ),
        sa.UniqueConstraint("run", "key", name="effect_identity"),
    )  # fmt: skip
    op.create_table(
        "cache", *_columns(key=sa.Text, value=sa.LargeBinary), sa.UniqueConstraint("key", name="cache_identity")
    )
    op.create_table(
        "candidate",
        *_columns(run=sa.Text, hash=sa.Text, data=sa.LargeBinary, by=sa.Text, round=sa.Integer),
        sa.UniqueConstraint("run", "hash", name="candidate_identity"),
    )
    op.create_table(
        "rollout",
        *_columns(
            run=sa.Text, id=sa.Text, candidate=sa.Text, example=sa.Text, split=sa.Text, round=sa.Integer,
            replicate=sa.Integer,
        ),
        sa.Column("score", sa.Float, nullable=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("run", "id", name="rollout_identity"),
    )  # fmt: skip
    op.create_table(
        "feedback",
        *_columns(
            run=sa.Text, idempotency=sa.Text, target=sa.Text, kind=sa.Text, rater=sa.Text, rater_kind=sa.Text,
            data=sa.LargeBinary,
        ),
        sa.UniqueConstraint("run", "idempotency", name="feedback_identity"),
    )  # fmt: skip
    op.create_table(
        "event",
        *_columns(run=sa.Text, seq=sa.Integer, type=sa.Text, payload=sa.Text, key=sa.Text, time=sa.Float),
        sa.UniqueConstraint("run", "seq", name="event_order"),
    )
    op.create_index("event_identity", "event", ["run", "key"], unique=True, sqlite_where=sa.text("key <> ''"))
