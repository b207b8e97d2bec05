"""Long strings stored once, a checksum for every row, tallies of each run's rows, runs by number.

All tables are made anew and filled from those of before. What a run that is not there had left (no command reaches it) is left
out; the backup has it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from loopwright.store.codec import checksum, name, pack, unpack, untext
from loopwright.store.pieces import split

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_AT_ONCE = 1000  # rows
_MASK = (1 << 48) - 1
_OLD = ("run", "effect", "cache", "candidate", "rollout", "feedback", "event", "learner", "trial")
_COUNTED = ("effect", "candidate", "rollout", "feedback", "event")

Values = tuple[Any, ...]
_Strings = dict[bytes, bytes]


def upgrade() -> None:
    for index in ("event_identity", "trial_age"):
        op.drop_index(index)
    for table in _OLD:
        op.rename_table(table, f"old_{table}")
    _create()
    connection: Any = op.get_bind().connection.dbapi_connection
    runs = dict(connection.execute("SELECT id, n FROM old_run").fetchall())
    for table, (columns, convert) in _tables(runs).items():
        _copy(connection, table, columns, convert)
    for table in _OLD:
        op.drop_table(f"old_{table}")


def _create() -> None:
    whole, texts = sa.Integer, sa.Text
    _table(
        "run", ("id",), id=texts, spec=texts, spec_hash=texts, code_version=texts, seed=whole, status=texts, budget=texts,
        reason=texts, created=sa.Float, updated=sa.Float, seconds=sa.Float,
    )  # fmt: skip
    _table(
        "effect", ("run", "key"), run=whole, key=texts, scope=texts, kind=texts, content=texts, ordinal=whole, status=texts,
        summary=texts, result=sa.LargeBinary, calls=whole, prompt_tokens=whole, completion_tokens=whole, seconds=sa.Float,
        money=sa.Float, error=texts, attempt=whole,
    )  # fmt: skip
    _table(
        "cache", ("key",), key=texts, value=sa.LargeBinary, run=texts, model=texts, system_fingerprint=texts, time=sa.Float
    )
    _table("candidate", ("run", "hash"), run=whole, hash=texts, data=sa.LargeBinary, by=texts, round=whole)
    _table(
        "rollout", ("run", "id"), run=whole, id=texts, candidate=texts, example=texts, split=texts, round=whole,
        replicate=whole, score=sa.Float, data=sa.LargeBinary,
    )  # fmt: skip
    _table(
        "feedback", ("run", "idempotency"), run=whole, idempotency=texts, target=texts, kind=texts, rater=texts,
        rater_kind=texts, data=sa.LargeBinary,
    )  # fmt: skip
    _table("event", ("run", "seq"), "event_order", run=whole, seq=whole, type=texts, payload=texts, key=texts, time=sa.Float)
    op.create_index("event_identity", "event", ["run", "key"], unique=True, sqlite_where=sa.text("key <> ''"))
    _table("learner", ("name",), name=texts, version=whole, data=sa.LargeBinary)
    _table("trial", ("learner", "id"), learner=texts, id=texts, time=sa.Float, data=sa.LargeBinary)
    op.create_index("trial_age", "trial", ["learner", "time"])
    op.create_table(
        "value",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("digest", name="value_identity"),
    )
    op.create_table(
        "tally",
        sa.Column("run", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Text, primary_key=True),
        *(sa.Column(column, sa.Integer, nullable=False) for column in ("rows", "total", "first")),
        sqlite_with_rowid=False,
    )
    for table in _COUNTED:
        _count(table)


def _table(table: str, identity: tuple[str, ...], constraint: str = "", **columns: Any) -> None:
    op.create_table(
        table,
        sa.Column("n", sa.Integer, primary_key=True),
        *(sa.Column(column, type, nullable=column == "score") for column, type in columns.items()),
        sa.Column("sum", sa.Integer, nullable=False),
        sa.UniqueConstraint(*identity, name=constraint or f"{table}_identity"),
        sqlite_autoincrement=table == "run",  # the number of a run that was removed is never that of another
    )


def _count(table: str) -> None:
    """The triggers that keep the tally of a table; one statement a line, as ``tables.sql`` is cut at the ends of lines."""
    part = "'rollout/' || {}.split" if table == "rollout" else f"'{table}'"
    where = f"WHERE run = old.run AND part = {part.format('old')}"
    for when, change in {
        "INSERT": f"INSERT INTO tally VALUES (new.run, {part.format('new')}, 1, new.sum, new.n) ON CONFLICT (run, part) "
        f"DO UPDATE SET rows = rows + 1, total = (total + excluded.total) & {_MASK}",
        "UPDATE": f"UPDATE tally SET total = (total - old.sum + new.sum) & {_MASK} {where}",
        "DELETE": f"UPDATE tally SET rows = rows - 1, total = (total - old.sum) & {_MASK} {where}",
    }.items():
        op.execute(f"CREATE TRIGGER {table}_{when.lower()} AFTER {when} ON {table} BEGIN {change}; END")


def _tables(runs: dict[str, int]) -> dict[str, tuple[str, Callable[[Values], tuple[Values, _Strings] | None]]]:
    """By table, the columns in their old order and what becomes of a row of them; None where its run is not there."""
    named: dict[str, set[int]] = {  # places of columns that hold digests, ids or the like
        "effect": {1, 4}, "cache": {0, 2}, "candidate": {1}, "rollout": {1, 2}, "feedback": {1, 2},
    }  # fmt: skip
    data = {"effect": 8, "cache": 1, "candidate": 2, "rollout": 8, "feedback": 6, "learner": 2, "trial": 3}

    def converter(table: str) -> Callable[[Values], tuple[Values, _Strings] | None]:
        def convert(row: Values) -> tuple[Values, _Strings] | None:
            values: list[Any] = list(row)
            strings: _Strings = {}
            if table in _COUNTED:
                number = runs.get(untext(row[0]))
                if number is None:
                    return None
                values[0] = number
            for at in named.get(table, ()):
                values[at] = name(untext(row[at]))
            if table in data:
                at = data[table]
                raw = unpack(row[at])
                values[at], strings = (pack(raw), {}) if table in ("learner", "trial") else split(raw)
            return tuple(values), strings

        return convert

    columns = {
        "run": "id, spec, spec_hash, code_version, seed, status, budget, reason, created, updated, seconds",
        "effect": "run, key, scope, kind, content, ordinal, status, summary, result, "
        "calls, prompt_tokens, completion_tokens, seconds, money, error, attempt",
        "cache": "key, value, run, model, system_fingerprint, time",
        "candidate": 'run, hash, data, "by", round',
        "rollout": "run, id, candidate, example, split, round, replicate, score, data",
        "feedback": "run, idempotency, target, kind, rater, rater_kind, data",
        "event": "run, type, payload, key, seq, time",
        "learner": "name, version, data",
        "trial": "learner, id, time, data",
    }
    return {table: (columns[table], converter(table)) for table in _OLD}


def _copy(
    connection: Any, table: str, columns: str, convert: Callable[[Values], tuple[Values, _Strings] | None]
) -> None:
    marks = ", ".join("?" for _ in range(columns.count(",") + 3))
    insert = f"INSERT INTO {table} (n, {columns}, sum) VALUES ({marks})"
    for rows in _pages(connection.execute(f"SELECT n, {columns} FROM old_{table} ORDER BY n")):
        made: list[Values] = []
        strings: _Strings = {}
        for n, *row in rows:
            converted = convert(tuple(row))
            if converted is None:
                continue
            values, cut = converted
            made.append((n, *values, checksum(values)))
            strings |= cut
        keep = "INSERT INTO value (digest, data) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
        connection.executemany(keep, [(digest, pack(string)) for digest, string in strings.items()])
        connection.executemany(insert, made)


def _pages(cursor: Any) -> Iterator[list[Values]]:
    while rows := cursor.fetchmany(_AT_ONCE):
        yield rows
