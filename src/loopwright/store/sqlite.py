"""The store in one SQLite file: write-ahead log, full synchronisation, one writer thread with group commit."""

from __future__ import annotations

import contextlib
import tempfile
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
from loopwright.store.commits import acknowledged, commits_in, refuse_lost
from loopwright.store.drivers import COLUMNS, LEAVE, SELECT, TAKE, Driver, this_process
from loopwright.store.faults import corrupt, faults, read_only
from loopwright.store.ids import uuid7
from loopwright.store.learners import SqliteLearners
from loopwright.store.locks import FileLease, busy, refuse_network, refuse_other_names
from loopwright.store.migrate import check_length, prepare, refuse_older
from loopwright.store.modes import private_file, private_folder, tell_if_readable
from loopwright.store.presence import Held
from loopwright.store.reading import connect_to_read, may_write
from loopwright.store.redaction import redact
from loopwright.store.writer import NoWriter, Writer, connect

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

    def __init__(self, path: str | Path, *, wait: float = 30.0, read_only: bool = False) -> None:
        """Opens, creates or migrates; only opens where ``read_only``, and then every write raises StoreReadOnly.

        Raises StoreBusy, StoreFull, StoreCorrupt, StoreVersion, StoreReadOnly or StoreError.
        """
        self.path = Path(path).resolve()  # a symbolic link is another name of the same store, its locks and blobs
        self.wait = wait
        self.read_only = read_only
        self._reading = threading.Lock()
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        refuse_network(self.path)
        with faults(self.path, wait):
            if self.path.is_dir():
                raise StoreError(
                    f"{self.path} is a folder; name the database file, such as {self.path / 'loopwright.db'}"
                )
            if read_only:
                self._open_to_read()
            else:
                self._open()
            self._held = Held(self.path)
        self.blobs: Blobs = FileBlobs(self.path.parent / "blobs")
        self._learners: SqliteLearners | None = None

    def _open(self) -> None:
        if not may_write(self.path):
            raise read_only(self.path)
        refuse_other_names(self.path)
        private_folder(self.path.parent)
        private_file(self.path)
        prepare(self.path, self.wait)
        tell_if_readable(self.path)
        self._reader = connect(self.path, self.wait)
        try:
            self._reader.execute("PRAGMA query_only = ON")
            self.writer: Writer | NoWriter = Writer(self.path, self.wait)
        except BaseException:
            self._reader.close()
            raise

    def _open_to_read(self) -> None:
        if not self.path.exists():
            raise StoreError(f"there is no store at {self.path}")
        check_length(self.path)
        known = acknowledged(self.path)
        self._reader, self._copy = connect_to_read(self.path, self.wait)
        try:
            refuse_lost(self.path, known, commits_in(self._reader))
            refuse_older(self.path, self._reader)
        except BaseException:
            self._close_reader()
            raise
        self.writer = NoWriter(self.path)

    @property
    def learners(self) -> SqliteLearners:
        """Learners that several processes share. Raises StoreReadOnly for a store that may only be read."""
        if self.read_only:
            raise read_only(self.path)
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
        """The right to drive this run. Raises RunBusy, naming the process that has it, UnknownName or a StoreError.

        Two things say so: a lock on a file beside the database, which ends with the process, and the driver's row in the
        database, which is still there where the lock file was deleted or lies elsewhere.
        """
        run = self.run(id).id
        if self.read_only:
            raise read_only(self.path)
        with faults(self.path, self.wait):
            lock = FileLease(self.path.parent / "locks" / f"{run}.lock", run)
        try:
            mine = this_process(run)
            seen = self._driver(run)
            if seen is not None and seen.alive(self.run(run).updated):
                raise busy(run, seen.pid)
            self.writer.write_now({TAKE: [(*mine.values(), seen.token if seen else "")]})
            now = self._driver(run)
            if now is None or now.token != mine.token:
                raise busy(run, now.pid if now else "")
        except BaseException:
            lock.release()
            raise
        return _Driving(self, lock, mine)

    def _driver(self, run: str) -> Driver | None:
        rows = self._read(f"{SELECT} WHERE run = ?", [run])
        return Driver(*rows[0]) if rows else None

    def driven(self) -> set[str]:
        """Ids of the runs that a live process drives. One that says "running" and is not among them was killed."""
        columns = ", ".join(f"driver.{name}" for name in COLUMNS.split(", "))
        rows = self._read(f"SELECT {columns}, run.updated FROM driver JOIN run ON run.id = driver.run", [])
        return {row[0] for row in rows if Driver(*row[:-1]).alive(row[-1])}

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
            self._close_reader()
            if self._learners is not None:
                self._learners.close()
            self._held.release()

    def _close_reader(self) -> None:
        self._reader.close()
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

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


class _Driving:
    """The right to drive a run, until ``release`` or until the process ends."""

    def __init__(self, store: SqliteStore, lock: FileLease, driver: Driver) -> None:
        self._store, self._lock, self._driver = store, lock, driver

    def release(self) -> None:
        """Gives the run free. Where the store takes no writes now, the row stays, and is that of a process that has ended."""
        with contextlib.suppress(StoreError):
            self._store.writer.write_now({LEAVE: [(self._driver.run, self._driver.token)]})
        self._lock.release()


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, UnicodeError) as error:
        raise corrupt(path, f"a row cannot be read back: {error}") from error
