"""The store in one SQLite file: write-ahead log, full synchronisation, one writer thread with group commit."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loopwright.core.errors import InputError, StoreError, UnknownName
from loopwright.core.model import Blobs
from loopwright.core.store import (
    CacheRow,
    CandidateRow,
    EffectRow,
    EventRow,
    FeedbackRow,
    Lease,
    RolloutRow,
    Row,
    RunRow,
    RunStatus,
)
from loopwright.core.types import digest
from loopwright.store import statements as sql
from loopwright.store.blobs import FileBlobs
from loopwright.store.codec import dump, finite, text
from loopwright.store.faults import corrupt, faults
from loopwright.store.ids import uuid7
from loopwright.store.learners import SqliteLearners
from loopwright.store.locks import FileLease, refuse_network
from loopwright.store.migrate import prepare
from loopwright.store.redaction import redact
from loopwright.store.writer import Writer, connect

T = TypeVar("T")
_PAGE = 500  # rows read at once, and keys asked for at once
_LISTED = 10  # runs, where a name means none of them
_SEEDS = range(-(1 << 63), 1 << 63)


def new_run(spec: dict[str, Any], *, seed: int, budget: dict[str, Any], code_version: str) -> RunRow:
    """A running run with a fresh id. Raises InputError for a spec that is not plain JSON or a seed beyond 64 bits."""
    if seed not in _SEEDS:
        raise InputError(f"a seed must fit in 64 bits, got {seed}")
    dump(spec, "a run's spec")
    now = time.time()
    return RunRow(uuid7(), spec, digest(spec), code_version, seed, "running", budget, created=now, updated=now)


def find_run(name: str, ids: Sequence[str]) -> str:
    """The id that ``name`` means among ``ids``, oldest first. Raises UnknownName."""
    if name == "last" and ids:
        return ids[-1]
    if name in ids:
        return name
    found = [id for id in ids if name and id.startswith(name)]
    if len(found) == 1:
        return found[0]
    raise UnknownName("run", name, found or ids, latest=_LISTED)


class SqliteStore:
    """Implements core.store.Store. Safe to use from several threads and event loops; not across a fork.

    path: the database file; ``blobs/`` and ``locks/`` lie beside it. Missing folders are made.
    wait: seconds to wait for another process's write lock before StoreBusy.
    """

    def __init__(self, path: str | Path, *, wait: float = 30.0) -> None:
        """Opens, creates or migrates. Raises StoreBusy, StoreFull, StoreCorrupt, StoreVersion or StoreError."""
        self.path = Path(path).absolute()
        self.wait = wait
        refuse_network(self.path)
        with faults(self.path, wait):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise StoreError(
                    f"{self.path} is a folder; name the database file, such as {self.path / 'loopwright.db'}"
                )
            prepare(self.path, wait)
            self._reader = connect(self.path, wait)
            self._reader.execute("PRAGMA query_only = ON")
            self._reading = threading.Lock()
            self.writer = Writer(self.path, wait)
        self.blobs: Blobs = FileBlobs(self.path.parent / "blobs")
        self._learners: SqliteLearners | None = None

    @property
    def learners(self) -> SqliteLearners:
        """Learners that several processes share."""
        with self._reading:
            if self._learners is None:
                self._learners = SqliteLearners(self.path, self.wait)
            return self._learners

    async def write(self, rows: Sequence[Row]) -> None:
        """Durable once it returns, in one transaction. After an InputError or a StoreError nothing was stored."""
        if rows:
            await self.writer.write(sql.encode(rows))

    def cached(self, keys: Sequence[str]) -> dict[str, CacheRow]:
        """The replies that are known among ``keys``, with where they come from."""
        found: dict[str, CacheRow] = {}
        for start in range(0, len(keys), _PAGE):
            asked = [text(key) for key in keys[start : start + _PAGE]]
            marks = ",".join("?" * len(asked))
            for values in self._read(f"SELECT {sql.CACHE} FROM cache WHERE key IN ({marks})", asked):
                row = self._decode(sql.cache_row, values)
                found[row.key] = row
        return found

    def create_run(self, spec: dict[str, Any], *, seed: int, budget: dict[str, Any], code_version: str) -> RunRow:
        """Durable once it returns. Raises InputError or a StoreError."""
        row = new_run(spec, seed=seed, budget=budget, code_version=code_version)
        self.writer.write_now({sql.INSERT_RUN: [sql.encode_run(row)]})
        return self.run(row.id)

    def run(self, id: str) -> RunRow:
        """By id or by an unambiguous beginning of it; ``last`` is the newest. Raises UnknownName."""
        query = f"SELECT {sql.RUN} FROM run WHERE id = ?"
        rows = self._read(query, [text(id)])
        if not rows:
            ids = [str(row[0]) for row in self._read("SELECT id FROM run ORDER BY n", [])]
            rows = self._read(query, [find_run(id, ids)])
        return self._decode(sql.run_row, rows[0])

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        return [self._decode(sql.run_row, row) for row in self._read(f"SELECT {sql.RUN} FROM run ORDER BY n", [])]

    def set_run(self, id: str, *, status: RunStatus, reason: str = "", seconds: float | None = None) -> None:
        """Durable once it returns. Raises UnknownName, InputError or a StoreError."""
        row = self.run(id)
        values = (status, text(redact(reason)), time.time(), finite(seconds, "a run's seconds"), row.id)
        self.writer.write_now({sql.UPDATE_RUN: [values]})

    def acquire(self, id: str) -> Lease:
        """The right to drive this run. Raises RunBusy, naming the process that has it, or UnknownName."""
        run = self.run(id).id
        with faults(self.path, self.wait):
            return FileLease(self.path.parent / "locks" / f"{run}.lock", run)

    def effects(self, run: str) -> Iterator[EffectRow]:
        """In the order in which they were first written."""
        return self._rows("effect", sql.EFFECT, sql.effect_row, run)

    def candidates(self, run: str) -> list[CandidateRow]:
        """In the order in which they were written."""
        return list(self._rows("candidate", sql.CANDIDATE, sql.candidate_row, run))

    def rollouts(self, run: str, split: str | None = None) -> Iterator[RolloutRow]:
        """In the order in which they were written; only those of ``split`` where it is given."""
        if split is None:
            return self._rows("rollout", sql.ROLLOUT, sql.rollout_row, run)
        return self._rows("rollout", sql.ROLLOUT, sql.rollout_row, run, " AND split = ?", [text(split)])

    def feedback(self, run: str) -> Iterator[FeedbackRow]:
        """In the order in which it was written."""
        return self._rows("feedback", sql.FEEDBACK, sql.feedback_row, run)

    def events(self, run: str) -> list[EventRow]:
        """By ``seq``."""
        return list(self._rows("event", sql.EVENT, sql.event_row, run))

    def close(self) -> None:
        """Commits what waits and closes the file. A second call does nothing."""
        self.writer.close()
        with self._reading:
            self._reader.close()
            if self._learners is not None:
                self._learners.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, query: str, values: Sequence[Any]) -> list[Any]:
        with faults(self.path, self.wait), self._reading:
            rows: list[Any] = self._reader.execute(query, values).fetchall()
        return rows

    def _decode(self, decoder: Callable[[Any], T], values: Any) -> T:
        with _damage(self.path):
            return decoder(values)

    def _rows(
        self,
        table: str,
        columns: str,
        decoder: Callable[[Any], T],
        run: str,
        condition: str = "",
        values: Sequence[Any] = (),
    ) -> Iterator[T]:
        # page by page: a cursor held open would keep the write-ahead log from being emptied
        query = f"SELECT {columns}, n FROM {table} WHERE run = ? AND n > ?{condition} ORDER BY n LIMIT {_PAGE}"
        last = 0
        while page := self._read(query, [text(run), last, *values]):
            for row in page:
                yield self._decode(decoder, row)
            last = page[-1][-1]


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, UnicodeError) as error:
        raise corrupt(path, f"a row cannot be read back: {error}") from error
