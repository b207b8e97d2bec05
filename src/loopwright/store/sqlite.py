"""The store in one SQLite file: write-ahead log, full synchronisation, one writer thread with group commit."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from loopwright.core.errors import InputError, StoreError, UnknownName
from loopwright.core.model import Blobs
from loopwright.core.store import (
    CacheRow,
    CandidateRow,
    EffectRow,
    EventRow,
    FeedbackRow,
    Lease,
    Recorded,
    RolloutRow,
    Row,
    RunRow,
    RunStatus,
    refuse_pruned,
)
from loopwright.core.types import digest
from loopwright.store import statements as sql
from loopwright.store.blobs import FileBlobs
from loopwright.store.codec import dump, finite, name, text, unname
from loopwright.store.commits import acknowledged, commits_in, refuse_lost
from loopwright.store.drivers import COLUMNS, LEAVE, SELECT, TAKE, Driver, this_process
from loopwright.store.faults import faults, read_only
from loopwright.store.ids import uuid7
from loopwright.store.learners import SqliteLearners
from loopwright.store.locks import FileLease, busy, real, refuse_network, refuse_other_names
from loopwright.store.migrate import check_length, prepare, refuse_older
from loopwright.store.modes import private_file, private_folder, tell_if_readable
from loopwright.store.presence import Held
from loopwright.store.reading import connect_to_read, may_write
from loopwright.store.redaction import redact, refuse_key
from loopwright.store.rows import CANDIDATES, EFFECTS, EVENTS, FEEDBACKS, OUTLINES, PAGE, ROLLOUTS, Kind, Reader
from loopwright.store.writer import NoWriter, Writer, connect

_LISTED = 10  # runs, where a name means none of them
_SEEDS = range(-(1 << 63), 1 << 63)


def new_run(spec: dict[str, Any], *, seed: int, budget: dict[str, Any], code_version: str) -> RunRow:
    """A running run with a fresh id. Raises InputError for a spec that is not plain JSON or a seed beyond 64 bits."""
    if seed not in _SEEDS:
        raise InputError(f"a seed must fit in 64 bits, got {seed}")
    refuse_key(dump(spec, "a run's spec"), "what the run is to do")
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

    _held: Held | None = None  # from before it is opened

    def __init__(self, path: str | Path, *, wait: float = 30.0, read_only: bool = False) -> None:
        """Opens, creates or migrates; only opens where ``read_only``, and then every write raises StoreReadOnly.

        Raises StoreBusy, StoreFull, StoreCorrupt, StoreVersion, StoreReadOnly or StoreError.
        """
        self.path = real(Path(path))  # a symbolic link is another name of the same store, its locks and blobs
        self.wait = wait
        self.read_only = read_only
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        refuse_network(self.path)
        with faults(self.path, wait):
            if self.path.is_dir():
                raise StoreError(
                    f"{self.path} is a folder; name the database file, such as {self.path / 'loopwright.db'}"
                )
            if self.path.exists() and not self.path.is_file():
                raise StoreError(f"{self.path} is neither a file nor a folder; name the database file")
            try:
                if read_only:
                    self._open_to_read()
                else:
                    self._open()
            except BaseException:
                if self._held is not None:
                    self._held.release()
                raise
        self._numbers: dict[str, int] = {}  # of runs, by id
        self._looked = ""  # how closely its pages were looked at
        self.blobs: Blobs = FileBlobs(self.path.parent / "blobs")
        self._learners: SqliteLearners | None = None
        self._opening = threading.Lock()

    def _open(self) -> None:
        if not may_write(self.path):
            raise read_only(self.path)
        refuse_other_names(self.path)
        private_folder(self.path.parent)
        private_file(self.path)
        self._held = Held(self.path, check_length)
        prepare(self.path, self.wait)
        tell_if_readable(self.path)
        self.reader = Reader(connect(self.path, self.wait), self.path, self.wait)
        try:
            self.writer: Writer | NoWriter = Writer(self.path, self.wait)
        except BaseException:
            self.reader.close()
            raise

    def _open_to_read(self) -> None:
        if not self.path.exists():
            raise StoreError(f"there is no store at {self.path}")
        self._held = Held(self.path, check_length)
        known = acknowledged(self.path)
        connection, self._copy = connect_to_read(self.path, self.wait)
        self.reader = Reader(connection, self.path, self.wait)
        try:
            refuse_lost(self.path, known, commits_in(connection))
            refuse_older(self.path, connection)
        except BaseException:
            self._close_reader()
            raise
        self.writer = NoWriter(self.path)

    @property
    def learners(self) -> SqliteLearners:
        """Learners that several processes share. Raises StoreReadOnly for a store that may only be read."""
        if self.read_only:
            raise read_only(self.path)
        with self._opening:
            if self._learners is None:
                self._learners = SqliteLearners(self.path, self.wait)
            return self._learners

    async def write(self, rows: Sequence[Row]) -> None:
        """Durable once it returns, in one transaction. After an InputError or a StoreError nothing was stored."""
        if rows:
            await self.writer.write(sql.encode(rows, self._number))

    def _number(self, run: str) -> int:
        """Of a run that rows are written for. Raises InputError."""
        number = self._numbered(run)
        if number is None:
            raise InputError(f"expected rows of a run of this store, got one of {run!r}: create_run makes a run")
        return number

    def _numbered(self, run: str) -> int | None:
        if run not in self._numbers:
            for source in ("run", "run NOT INDEXED"):  # where damage has hidden it from the index
                found = self.reader.read(f"SELECT n FROM {source} WHERE id = ?", [text(run)])
                if found:
                    break
            else:
                return None
            self._numbers[run] = found[0][0]
        return self._numbers[run]

    def _look(self, how: Literal["quick", "whole"]) -> None:
        """Before this process writes: at all pages; ``whole`` looks at the indexes too. Raises StoreCorrupt."""
        if self._looked not in (how, "whole"):
            self.reader.refuse_damaged_pages(indexes=how == "whole")
            self._looked = how

    def cached(self, keys: Sequence[str]) -> dict[str, CacheRow]:
        """The replies that are known among ``keys``, with where they come from."""
        found: dict[str, CacheRow] = {}
        for start in range(0, len(keys), PAGE):
            asked = [name(key) for key in keys[start : start + PAGE]]
            marks = ",".join("?" * len(asked))
            rows = self.reader.read(f"SELECT {sql.CACHE}, sum, n FROM cache WHERE key IN ({marks})", asked)
            for row in rows:
                self.reader.check("cache", row[:-1], row[-1])
            strings = self.reader.strings([row[1] for row in rows])
            for row in rows:
                reply = self.reader.decode(f"row {row[-1]} of the table cache", sql.cache_row, row, strings)
                found[reply.key] = reply
        return found

    def create_run(self, spec: dict[str, Any], *, seed: int, budget: dict[str, Any], code_version: str) -> RunRow:
        """Durable once it returns. Raises InputError or a StoreError."""
        row = new_run(spec, seed=seed, budget=budget, code_version=code_version)
        self._look("quick")
        self.writer.write_now({sql.INSERT_RUN: [sql.encode_run(row)]})
        return self.run(row.id)

    def run(self, id: str) -> RunRow:
        """By id or by an unambiguous beginning of it; ``last`` is the newest. Raises UnknownName."""
        rows = self._runs("WHERE id = ?", [text(id)])
        if not rows:
            known = {str(found): n for found, n in self.reader.read("SELECT id, n FROM run ORDER BY n")}
            rows = self._runs("WHERE n = ?", [known[find_run(id, list(known))]])
        return rows[0]

    def runs(self, limit: int | None = None, offset: int = 0) -> list[RunRow]:
        """Runs, oldest first.

        Args:
            limit: only so many of the newest; None for all.
            offset: of the newest, so many are left out.
        """
        rows = self._runs("ORDER BY n DESC LIMIT ? OFFSET ?", [-1 if limit is None else limit, offset])
        return rows[::-1]

    def _runs(self, which: str, values: Sequence[Any]) -> list[RunRow]:
        rows = self.reader.read(f"SELECT {sql.RUN}, sum, n FROM run {which}", values)
        for row in rows:
            self.reader.check("run", row[:-1], row[-1])
        return [self.reader.decode(f"row {row[-1]} of the table run", sql.run_row, row) for row in rows]

    def set_run(self, id: str, *, status: RunStatus, reason: str = "", seconds: float | None = None) -> None:
        """Durable once it returns. Raises UnknownName, InputError or a StoreError."""
        row = self.run(id)
        values = (status, text(redact(reason)), time.time(), finite(seconds, "a run's seconds"), row.id)
        self.writer.write_now({sql.UPDATE_RUN: [values], sql.SUM_RUN: [(row.id,)]})

    def acquire(self, id: str) -> Lease:
        """The right to drive this run. Raises RunBusy, naming the process that has it, UnknownName or a StoreError.

        Two things say so: a lock on a file beside the database, which ends with the process, and the driver's row in the
        database, which is still there where the lock file was deleted or lies elsewhere.
        """
        row = self.run(id)
        run = row.id
        if self.read_only:
            raise read_only(self.path)
        refuse_pruned(row)
        recorded = self.reader.read("SELECT 1 FROM tally WHERE run = ? LIMIT 1", [self._numbered(run)])
        self._look("whole" if recorded else "quick")
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
        lease = _Driving(self, lock, mine)
        try:
            refuse_pruned(self.run(run))  # as it is now that nobody may prune it
        except BaseException:
            lease.release()
            raise
        return lease

    def _driver(self, run: str) -> Driver | None:
        rows = self.reader.read(f"{SELECT} WHERE run = ?", [run])
        return Driver(*rows[0]) if rows else None

    def driven(self) -> set[str]:
        """Ids of the runs that a live process drives. One that says "running" and is not among them was killed."""
        columns = ", ".join(f"driver.{name}" for name in COLUMNS.split(", "))
        rows = self.reader.read(f"SELECT {columns}, run.updated FROM driver JOIN run ON run.id = driver.run")
        return {row[0] for row in rows if Driver(*row[:-1]).alive(row[-1])}

    def effects(self, run: str, *, results: bool = True) -> Iterator[EffectRow]:
        """In the order in which they were first written; without results these are empty and cost no reading."""
        return self._rows(EFFECTS, run, data=results)

    def outline(self, run: str) -> Iterator[Recorded]:
        """In the order in which they were first written, in short."""
        return self._rows(OUTLINES, run)

    def effect(self, run: str, key: str) -> EffectRow | None:
        """The one of this key; None where there is none."""
        return next(iter(self.effects_from(run, key)), None)

    def effects_from(self, run: str, key: str, count: int = 1) -> list[EffectRow]:
        """Up to ``count`` effects in that order, from the one of this key on; none where it is not there."""
        number = self._numbered(run)
        query = (
            f"SELECT {sql.EFFECT}, sum, n FROM effect NOT INDEXED WHERE run = ? AND n >= "
            "(SELECT n FROM effect WHERE run = ? AND key = ?) ORDER BY n LIMIT ?"
        )
        rows = [] if number is None else self.reader.read(query, [number, number, name(key), count])
        found: list[EffectRow] = self.reader.decoded(EFFECTS, run, rows)
        return found

    def candidates(self, run: str) -> list[CandidateRow]:
        """In the order in which they were written."""
        return list(self._rows(CANDIDATES, run))

    def rollouts(self, run: str, split: str | None = None) -> Iterator[RolloutRow]:
        """In the order in which they were written; only those of ``split`` where it is given."""
        return self._rows(ROLLOUTS, run, split=split)

    def recorded_rollouts(self, run: str, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that were written."""
        number, found = self._numbered(run), set[str]()
        for start in range(0, len(ids) if number is not None else 0, PAGE):
            asked = [name(id) for id in ids[start : start + PAGE]]
            marks = ",".join("?" * len(asked))
            rows = self.reader.read(f"SELECT id FROM rollout WHERE run = ? AND id IN ({marks})", [number, *asked])
            found.update(unname(id) for (id,) in rows)
        return found

    def feedback(self, run: str) -> Iterator[FeedbackRow]:
        """In the order in which it was written."""
        return self._rows(FEEDBACKS, run)

    def events(self, run: str) -> list[EventRow]:
        """By ``seq``."""
        return list(self._rows(EVENTS, run))

    def _rows(self, kind: Kind, run: str, **more: Any) -> Iterator[Any]:
        number = self._numbered(run)
        return iter(()) if number is None else self.reader.rows(kind, run, number, **more)

    def close(self) -> None:
        """Commits what waits and closes the file. A second call does nothing."""
        self.writer.close()
        self._close_reader()
        with self._opening:
            if self._learners is not None:
                self._learners.close()
            if self._held is not None:
                self._held.release()

    def _close_reader(self) -> None:
        self.reader.close()
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Driving:
    """The right to drive a run, until ``release`` or until the process ends."""

    def __init__(self, store: SqliteStore, lock: FileLease, driver: Driver) -> None:
        self._store, self._lock, self._driver = store, lock, driver

    def release(self) -> None:
        """Gives the run free. Where the store takes no writes now, the row stays, and is that of a process that has ended."""
        with contextlib.suppress(StoreError):
            self._store.writer.write_now({LEAVE: [(self._driver.run, self._driver.token)]})
        self._lock.release()
