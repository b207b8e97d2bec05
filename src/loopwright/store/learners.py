"""Learners that several processes share: compare and swap in one SQLite file, or in memory for tests."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from loopwright.core.errors import StoreError
from loopwright.core.store import LearnerRow, TrialRow
from loopwright.store.codec import checksum, pack, text, unpack, untext
from loopwright.store.commits import Acknowledged, counted
from loopwright.store.faults import corrupt, faults
from loopwright.store.presence import Presence
from loopwright.store.writer import connect

LEARNER = "name, version, data"
TRIAL = "learner, id, time, data"
_AT_ONCE = 500  # ids asked for in one query


class SqliteLearners:
    """Implements core.store.Learners on a store that is there. Safe to use from several threads; not across a fork.

    wait: seconds to wait for the write lock of another process before StoreBusy.
    """

    def __init__(self, path: Path, wait: float) -> None:
        self._path, self._wait = path, wait
        self._lock = threading.Lock()
        self._closed = False
        with faults(path, wait):
            self._connection = connect(path, wait)
        self._presence = Presence(path)
        self._acknowledged = Acknowledged(path)

    def version(self, name: str) -> int:
        with self._lock, faults(self._path, self._wait):
            return self._version(name)

    def get(self, name: str) -> LearnerRow | None:
        with self._lock, faults(self._path, self._wait):
            query = f"SELECT {LEARNER}, sum FROM learner WHERE name = ?"
            row = self._open().execute(query, [text(name)]).fetchone()
        if row is None:
            return None
        self._check("learner", name, row)
        return LearnerRow(name, row[1], unpack(row[2]))

    def trials(self, name: str, ids: Sequence[str] | None = None, before: float | None = None) -> list[TrialRow]:
        query = f"SELECT {TRIAL}, sum FROM trial WHERE learner = ?"
        values: list[str | bytes | float] = [text(name)]
        if before is not None:
            query, values = f"{query} AND time < ?", [text(name), before]
        found = []
        with self._lock, faults(self._path, self._wait):
            if ids is None:
                found = self._open().execute(f"{query} ORDER BY n", values).fetchall()
            for start in range(0, len(ids or ()), _AT_ONCE):
                some = [text(id) for id in (ids or ())[start : start + _AT_ONCE]]
                marks = ",".join("?" * len(some))
                found += self._open().execute(f"{query} AND id IN ({marks}) ORDER BY n", [*values, *some]).fetchall()
        for row in found:
            self._check("trial", name, row)
        return [TrialRow(name, untext(id), time, unpack(data)) for _, id, time, data, _ in found]

    def swap(
        self, name: str, *, expected: int | None = None, data: bytes | None = None, opened: Sequence[TrialRow] = (),
        closed: Sequence[str] = (),
    ) -> bool:  # fmt: skip
        with self._lock, faults(self._path, self._wait):
            connection = self._open()
            self._presence.check()
            connection.execute("BEGIN IMMEDIATE")  # the lock: of the processes that change the file one is here at a time
            try:
                done = self._swap(name, expected, data, opened, closed)
                number = counted(connection) if done else 0
                connection.execute("COMMIT" if done else "ROLLBACK")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if done:
                self._presence.check()
                self._acknowledged.note(number)
        return done

    def _swap(
        self, name: str, expected: int | None, data: bytes | None, opened: Sequence[TrialRow], closed: Sequence[str]
    ) -> bool:
        connection, version = self._connection, self._version(name)
        if expected is not None and version != expected:
            return False
        if data is not None:
            changed = (text(name), version + 1, pack(data))
            connection.execute(
                f"INSERT INTO learner ({LEARNER}, sum) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET version = excluded.version, data = excluded.data, sum = excluded.sum",
                [*changed, checksum(changed)],
            )
        for id in closed:
            if connection.execute("DELETE FROM trial WHERE learner = ? AND id = ?", [text(name), text(id)]).rowcount != 1:
                return False
        for row in opened:
            values = (text(name), text(row.id), float(row.time) + 0.0, pack(row.data))
            asked = f"INSERT INTO trial ({TRIAL}, sum) VALUES (?, ?, ?, ?, ?) ON CONFLICT (learner, id) DO NOTHING"
            if connection.execute(asked, [*values, checksum(values)]).rowcount != 1:
                return False
        return True

    def _check(self, table: str, name: str, row: Sequence[object]) -> None:
        if checksum(row[:-1]) != row[-1]:
            raise corrupt(self._path, f"a row of {name!r} in the table {table} does not match its checksum")

    def _version(self, name: str) -> int:
        row = self._open().execute("SELECT version FROM learner WHERE name = ?", [text(name)]).fetchone()
        return 0 if row is None else int(row[0])

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"the store {self._path} is closed")
        return self._connection

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._connection.close()
            self._acknowledged.close()


class MemoryLearners:
    """The same in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, LearnerRow] = {}
        self._trials: dict[str, dict[str, TrialRow]] = {}

    def version(self, name: str) -> int:
        row = self._rows.get(name)
        return 0 if row is None else row.version

    def get(self, name: str) -> LearnerRow | None:
        return self._rows.get(name)

    def trials(self, name: str, ids: Sequence[str] | None = None, before: float | None = None) -> list[TrialRow]:
        with self._lock:
            rows = list(self._trials.get(name, {}).values())
        return [r for r in rows if (ids is None or r.id in ids) and (before is None or r.time < before)]

    def swap(
        self, name: str, *, expected: int | None = None, data: bytes | None = None, opened: Sequence[TrialRow] = (),
        closed: Sequence[str] = (),
    ) -> bool:  # fmt: skip
        with self._lock:
            version, trials = self.version(name), dict(self._trials.get(name, {}))
            if expected is not None and version != expected:
                return False
            for id in closed:
                if trials.pop(id, None) is None:
                    return False
            for row in opened:
                if row.id in trials:
                    return False
                trials[row.id] = row
            if data is not None:
                self._rows[name] = LearnerRow(name, version + 1, data)
            self._trials[name] = trials
            return True
