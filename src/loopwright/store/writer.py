"""One thread writes; whatever waits shares its next commit.

A commit costs one fsync however many rows it holds, so while one fsync is under way the next group gathers by itself. What
is written in one turn of an event loop is handed over together at its end, which wakes the thread once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from loopwright.core.errors import StoreError, StoreMoved
from loopwright.store.codec import checksum, pack
from loopwright.store.commits import Acknowledged, counted
from loopwright.store.faults import primary, read_only, translate
from loopwright.store.presence import Presence
from loopwright.store.statements import GONE, Work

_GROUP = 1000  # writes after which a transaction takes no more, so that the first of a flood does not wait for the last
_SHARED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class _Job:
    """One write and who waits for it: an asyncio future with its loop, or a concurrent one."""

    __slots__ = ("future", "loop", "work")

    def __init__(
        self,
        work: Work,
        future: asyncio.Future[None] | concurrent.futures.Future[None],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.work = work
        self.future = future
        self.loop = loop


def connect(path: Path, wait: float) -> sqlite3.Connection:
    """A connection without implicit transactions. ``wait`` is in seconds. The caller translates errors."""
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        _use_log(connection, wait)
        connection.execute("PRAGMA synchronous = FULL")
        connection.create_function("checksum", -1, lambda *values: checksum(values), deterministic=True)
        connection.create_function("pack", 1, pack, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_log(connection: sqlite3.Connection, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself here when two processes switch a new file at once
            if primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)


class Writer:
    """Takes writes from any thread or loop and answers each once it is durable, or with why it is not.

    commits: transactions committed so far; less than the number of writes where they were grouped.
    """

    def __init__(self, path: Path, wait: float) -> None:
        self.commits = 0
        self._path = path
        self._wait = wait
        self._connection: sqlite3.Connection | None = connect(path, wait)
        self._presence = Presence(path)
        self._acknowledged = Acknowledged(path)
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._turn: dict[asyncio.AbstractEventLoop, list[_Job]] = {}  # written in this turn of a loop, not yet handed over
        self._lock = threading.Lock()
        self._closed = False
        self._left = False  # the file has gone from its place
        self._thread = threading.Thread(target=self._run, name="loopwright-store", daemon=True)
        self._thread.start()

    async def write(self, work: Work) -> None:
        """Returns once ``work`` is committed. A cancelled wait does not take the write back. Raises StoreError."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._refuse_closed()
            turn = self._turn.get(loop)
            if turn is None:
                turn = self._turn[loop] = []
                loop.call_soon(self._hand_over, loop)
            turn.append(_Job(work, future, loop))
        await future

    def write_now(self, work: Work) -> None:
        """The same for a caller without an event loop; it blocks."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            self._refuse_closed()
            self._queue.put([_Job(work, future, None)])
        future.result()

    def close(self) -> None:
        """Commits what waits, then ends the thread. Later writes raise StoreError."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for turn in self._turn.values():
                    self._queue.put(turn)
                self._turn.clear()
                self._queue.put(None)
        self._thread.join()

    def _refuse_closed(self) -> None:
        """With the lock held: a job put after the closing mark would never be answered."""
        if self._closed:
            raise StoreError(f"the store {self._path} is closed")

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            turn = self._turn.pop(loop, None)
            if turn:
                self._queue.put(turn)

    def _run(self) -> None:
        last = False
        while not last:
            jobs: list[_Job] = []
            turn = self._queue.get()
            while turn is not None:
                jobs.extend(turn)
                if len(jobs) >= _GROUP:
                    break
                try:
                    turn = self._queue.get_nowait()
                except queue.Empty:
                    break
            last = turn is None
            if jobs:
                self._commit(jobs)
        if self._connection is not None:
            self._connection.close()
        self._acknowledged.close()

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            self._transaction(jobs)
        except Exception as error:
            if len(jobs) > 1 and primary(error) not in _SHARED and not isinstance(error, StoreMoved):
                # one bad or too large write must not fail its neighbours
                for job in jobs:
                    self._commit([job])
                return
            for job in jobs:
                _settle([job], self._told(error))
        else:
            self.commits += 1
            _settle(jobs, None)

    def _transaction(self, jobs: list[_Job]) -> None:
        self._check()
        connection = self._connection
        if connection is None:
            connection = self._connection = self._again()
        merged = jobs[0].work
        if len(jobs) > 1:
            merged = {}
            for job in jobs:
                for statement, values in job.work.items():
                    merged.setdefault(statement, []).extend(values)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement, values in merged.items():
                connection.executemany(statement, values)
            number = counted(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            self._undo(connection, error)
            raise
        self._check()  # what went into a file that had just been moved away is not acknowledged
        self._acknowledged.note(number)

    def _check(self) -> None:
        """Raises StoreMoved. The file that went, which is still open, is given what only its log holds: else it would lack
        that, and another file put in its place would be taken for the log's.
        """
        try:
            self._presence.check()
        except StoreMoved:
            if self._connection is not None and not self._left:
                self._left = True
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raise

    def _again(self) -> sqlite3.Connection:
        """A new connection after an I/O error. The log's pages are moved into the database first, where they may find the room
        that the log has not: it is the log that grows to a limit on the size of files.
        """
        connection = connect(self._path, self._wait)
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return connection

    def _undo(self, connection: sqlite3.Connection, error: BaseException) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            usable = primary(error) != sqlite3.SQLITE_IOERR
        except sqlite3.Error:
            usable = False
        if not usable:
            # what SQLite still holds in memory after an I/O error is not to be trusted: the next write starts anew
            self._connection = None
            connection.close()

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.IntegrityError) and str(error) == GONE:
            return StoreError(f"{self._path}: a run was removed from it (prune --forget); nothing of this write was stored")
        if isinstance(error, (sqlite3.Error, OSError, OverflowError)):
            told = translate(error, self._path, self._wait)
            told.__cause__ = error
            return told
        return error


class NoWriter:
    """The writer of a store that may only be read."""

    commits = 0

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(self, work: Work) -> None:
        """Raises StoreReadOnly."""
        raise read_only(self._path)

    def write_now(self, work: Work) -> None:
        """Raises StoreReadOnly."""
        raise read_only(self._path)

    def close(self) -> None:
        """Nothing waits."""


def _settle(jobs: Iterable[_Job], error: Exception | None) -> None:
    """Answers all the jobs, waking every loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for job in jobs:
        if isinstance(job.future, asyncio.Future):
            assert job.loop is not None
            loops.setdefault(job.loop, []).append(job.future)
        elif error is None:
            job.future.set_result(None)
        else:
            job.future.set_exception(error)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_answer, futures, error)
        except RuntimeError:
            continue  # the loop was closed: nobody waits any more


def _answer(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue  # cancelled meanwhile
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
