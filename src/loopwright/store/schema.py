"""The tables. Alembic compares the migrations with these; the statements in ``statements.py`` write and read them.

``n`` keeps the order of arrival, and ``run.n`` is what other tables name a run by. JSON and text columns can hold a BLOB: see
``codec.text`` and ``codec.name``. Every row has the checksum of its other columns in ``sum``. Long strings of values stand in
``value``, by their digests (see ``pieces``). ``tally`` counts the rows of each run and adds up their checksums, by triggers, so
that a row that damage has hidden is missed.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint, text

metadata = MetaData()


def _n() -> Column[int]:
    return Column("n", Integer, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _integer(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _real(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Float, nullable=nullable)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _sum() -> Column[int]:
    return _integer("sum")


run = Table(
    "run", metadata, _n(), _text("id"), _text("spec"), _text("spec_hash"), _text("code_version"), _integer("seed"),
    _text("status"), _text("budget"), _text("reason"), _real("created"), _real("updated"), _real("seconds"), _sum(),
    UniqueConstraint("id", name="run_identity"), sqlite_autoincrement=True,
)  # fmt: skip

effect = Table(
    "effect", metadata, _n(), _integer("run"), _text("key"), _text("scope"), _text("kind"), _text("content"),
    _integer("ordinal"), _text("status"), _text("summary"), _bytes("result"), _integer("calls"),
    _integer("prompt_tokens"), _integer("completion_tokens"), _real("seconds"), _real("money"), _text("error"),
    _integer("attempt"), _sum(), UniqueConstraint("run", "key", name="effect_identity"),
)  # fmt: skip

cache = Table(
    "cache", metadata, _n(), _text("key"), _bytes("value"), _text("run"), _text("model"),
    _text("system_fingerprint"), _real("time"), _sum(), UniqueConstraint("key", name="cache_identity"),
)  # fmt: skip

candidate = Table(
    "candidate", metadata, _n(), _integer("run"), _text("hash"), _bytes("data"), _text("by"), _integer("round"), _sum(),
    UniqueConstraint("run", "hash", name="candidate_identity"),
)  # fmt: skip

rollout = Table(
    "rollout", metadata, _n(), _integer("run"), _text("id"), _text("candidate"), _text("example"), _text("split"),
    _integer("round"), _integer("replicate"), _real("score", nullable=True), _bytes("data"), _sum(),
    UniqueConstraint("run", "id", name="rollout_identity"),
)  # fmt: skip

feedback = Table(
    "feedback", metadata, _n(), _integer("run"), _text("idempotency"), _text("target"), _text("kind"), _text("rater"),
    _text("rater_kind"), _bytes("data"), _sum(), UniqueConstraint("run", "idempotency", name="feedback_identity"),
)  # fmt: skip

learner = Table(
    "learner", metadata, _n(), _text("name"), _integer("version"), _bytes("data"), _sum(),
    UniqueConstraint("name", name="learner_identity"),
)  # fmt: skip

trial = Table(
    "trial", metadata, _n(), _text("learner"), _text("id"), _real("time"), _bytes("data"), _sum(),
    UniqueConstraint("learner", "id", name="trial_identity"), Index("trial_age", "learner", "time"),
)  # fmt: skip

event = Table(
    "event", metadata, _n(), _integer("run"), _integer("seq"), _text("type"), _text("payload"), _text("key"),
    _real("time"), _sum(),
    UniqueConstraint("run", "seq", name="event_order"),
    Index("event_identity", "run", "key", unique=True, sqlite_where=text("key <> ''")),
)  # fmt: skip

driver = Table(
    "driver", metadata, _n(), _text("run"), _text("token"), _text("boot"), _text("space"), _integer("pid"), _text("began"),
    UniqueConstraint("run", name="driver_identity"),
)  # fmt: skip

value = Table("value", metadata, _n(), _bytes("digest"), _bytes("data"), UniqueConstraint("digest", name="value_identity"))

# part: the table, for attempts with their split (rollout/train). first: the least n of
# these rows; total: their checksums added up, in 48 bits. Kept by the triggers of the migration.
tally = Table(
    "tally", metadata, Column("run", Integer, primary_key=True, autoincrement=False),
    Column("part", Text, primary_key=True), _integer("rows"), _integer("total"), _integer("first"),
    sqlite_with_rowid=False,
)  # fmt: skip
