"""The tables. Alembic compares the migrations with these; the statements in ``statements.py`` write and read them.

``n`` keeps the order of arrival. JSON and text columns can hold a BLOB: see ``codec.text``.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint, text

metadata = MetaData()


def _n() -> Column[int]:
    return Column("n", Integer, primary_key=True)


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _integer(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _real(name: str, *, nullable: bool = False, default: str | None = None) -> Column[float]:
    return Column(name, Float, nullable=nullable, server_default=default)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


run = Table(
    "run", metadata, _n(), _text("id"), _text("spec"), _text("spec_hash"), _text("code_version"), _integer("seed"),
    _text("status"), _text("budget"), _text("reason"), _real("created"), _real("updated"), _real("seconds"),
    UniqueConstraint("id", name="run_identity"),
)  # fmt: skip

effect = Table(
    "effect", metadata, _n(), _text("run"), _text("key"), _text("scope"), _text("kind"), _text("content"),
    _integer("ordinal"), _text("status"), _text("summary"), _bytes("result"), _integer("calls"),
    _integer("prompt_tokens"), _integer("completion_tokens"), _real("seconds"), _real("money"), _text("error"),
    _integer("attempt"), UniqueConstraint("run", "key", name="effect_identity"),
)  # fmt: skip

cache = Table(
    "cache", metadata, _n(), _text("key"), _bytes("value"), _text("run", ""), _text("model", ""),
    _text("system_fingerprint", ""), _real("time", default="0"), UniqueConstraint("key", name="cache_identity"),
)  # fmt: skip

candidate = Table(
    "candidate", metadata, _n(), _text("run"), _text("hash"), _bytes("data"), _text("by"), _integer("round"),
    UniqueConstraint("run", "hash", name="candidate_identity"),
)  # fmt: skip

rollout = Table(
    "rollout", metadata, _n(), _text("run"), _text("id"), _text("candidate"), _text("example"), _text("split"),
    _integer("round"), _integer("replicate"), _real("score", nullable=True), _bytes("data"),
    UniqueConstraint("run", "id", name="rollout_identity"),
)  # fmt: skip

feedback = Table(
    "feedback", metadata, _n(), _text("run"), _text("idempotency"), _text("target"), _text("kind"), _text("rater"),
    _text("rater_kind"), _bytes("data"), UniqueConstraint("run", "idempotency", name="feedback_identity"),
)  # fmt: skip

learner = Table(
    "learner", metadata, _n(), _text("name"), _integer("version"), _bytes("data"),
    UniqueConstraint("name", name="learner_identity"),
)  # fmt: skip

trial = Table(
    "trial", metadata, _n(), _text("learner"), _text("id"), _real("time"), _bytes("data"),
    UniqueConstraint("learner", "id", name="trial_identity"), Index("trial_age", "learner", "time"),
)  # fmt: skip

event = Table(
    "event", metadata, _n(), _text("run"), _integer("seq"), _text("type"), _text("payload"), _text("key"),
    _real("time"),
    UniqueConstraint("run", "seq", name="event_order"),
    Index("event_identity", "run", "key", unique=True, sqlite_where=text("key <> ''")),
)  # fmt: skip

driver = Table(
    "driver", metadata, _n(), _text("run"), _text("token"), _text("boot"), _text("space"), _integer("pid"), _text("began"),
    UniqueConstraint("run", name="driver_identity"),
)  # fmt: skip
