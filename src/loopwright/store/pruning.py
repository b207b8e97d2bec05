"""Takes runs out of a store, and gives the room that they took back to the disk."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from loopwright.core.errors import RunBusy, StoreCorrupt, StoreFull
from loopwright.store import statements as sql
from loopwright.store.blobs import blob_files
from loopwright.store.checkup import check_rows, others_here, told_bytes
from loopwright.store.codec import name
from loopwright.store.commits import Acknowledged, counted
from loopwright.store.faults import faults
from loopwright.store.pieces import references
from loopwright.store.sqlite import SqliteStore
from loopwright.store.writer import connect

_HEAVY = ("effect", "rollout", "feedback")  # what a run can only be resumed, exported and reported from
_RECORD = ("candidate", "event")  # what the gate's statistics count of earlier runs
_DATA = (("effect", "result"), ("cache", "value"), ("candidate", "data"), ("rollout", "data"), ("feedback", "data"))
_PAGE = 500
_YOUNG = 3600.0  # seconds: a blob so new may be of a run that is about to name it


@dataclass(frozen=True, slots=True)
class Freed:
    """What a pruning removes. size: bytes of the database that become free; rows: of all tables; swept: long strings that nothing
    names any more were removed too, which is left for later while a run is being driven.
    """

    size: int
    rows: int
    swept: bool


def prune(store: SqliteStore, runs: Sequence[str], *, forget: bool = False, dry: bool = False) -> Freed:
    """Remove what runs recorded: effects, attempts, feedback, and the replies in the cache that they asked for.

    Their names, their looks at the gate and their candidates stay, with the status "pruned", since later runs on the same
    examples count them.

    Args:
        store: that holds them, and may be written to.
        runs: ids.
        forget: the rest is removed too, as if the runs had never been.
        dry: nothing is removed: only what would be is told, exactly.

    Returns:
        What became, or would become, free.

    Raises:
        RunBusy: a live process drives one of them.
        StoreError: it cannot be written.
    """
    with _alone(store) as connection:
        live = store.driven()
        if busy := sorted(live.intersection(runs)):
            raise RunBusy(f"run {busy[0]} is being driven; a live run is not removed")
        free, rows = _free(connection), 0
        for run in runs:
            rows += _remove(connection, run, forget)
        if not live:
            rows += _sweep(connection)
        freed = Freed(_free(connection) - free, rows, not live)
        if dry:
            connection.execute("ROLLBACK")
    if forget and not dry:
        for run in runs:
            (store.path.parent / "locks" / f"{run}.lock").unlink(missing_ok=True)
    return freed


def vacuum(store: SqliteStore) -> tuple[int, int]:
    """Remove long strings and blobs that nothing names, and give free pages back to the disk. Blobs stay where another database
    lies beside this one: it may name them.

    Args:
        store: that may be written to.

    Returns:
        Bytes of the database and its blobs, before and after.

    Raises:
        RunBusy: a run is being driven.
        StoreFull: the disk has no room for the copy that is made on the way.
        StoreCorrupt: some rows are damaged, so that what they name cannot be told.
    """
    if live := sorted(store.driven()):
        raise RunBusy(f"run {live[0]} is being driven; wait for it, or stop it: vacuum needs the store alone")
    before = _taken(store.path)
    size = store.path.stat().st_size
    if (free := shutil.disk_usage(store.path.parent).free) < 2 * size:
        raise StoreFull(f"vacuum needs {told_bytes(2 * size)} free in {store.path.parent} for a while, {told_bytes(free)} are")
    seen = check_rows(store.reader)
    if seen.damage:
        raise StoreCorrupt(f"{store.path}: {seen.damage[0]}; see: loopwright doctor --store {store.path}. Nothing was removed")
    with _alone(store) as connection:
        _sweep(connection)
    for blob in () if others_here(store.path) else blob_files(store.path.parent / "blobs"):
        if blob.name.encode() not in seen.blobs and time.time() - blob.stat().st_mtime > _YOUNG:
            blob.unlink()
    with faults(store.path, store.wait):
        connection = connect(store.path, store.wait)
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    return before, _taken(store.path)


@contextmanager
def _alone(store: SqliteStore) -> Iterator[sqlite3.Connection]:
    """A transaction that is counted, unless the block rolls it back."""
    acknowledged = Acknowledged(store.path)
    with faults(store.path, store.wait):
        connection = connect(store.path, store.wait)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            if connection.in_transaction:
                number = counted(connection)
                connection.execute("COMMIT")
                acknowledged.note(number)
        finally:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            connection.close()
            acknowledged.close()


def _remove(connection: sqlite3.Connection, run: str, forget: bool) -> int:
    found = connection.execute("SELECT n FROM run WHERE id = ?", [run]).fetchone()
    if found is None:
        return 0  # another process was quicker
    number, gone = found[0], 0
    for table in (*_HEAVY, *(_RECORD if forget else ())):
        gone += connection.execute(f"DELETE FROM {table} WHERE run = ?", [number]).rowcount
        connection.execute("DELETE FROM tally WHERE run = ? AND (part = ? OR part LIKE ? || '/%')", [number, table, table])
    gone += connection.execute("DELETE FROM cache WHERE run = ?", [name(run)]).rowcount
    connection.execute("DELETE FROM driver WHERE run = ?", [run])
    if forget:
        return gone + connection.execute("DELETE FROM run WHERE n = ?", [number]).rowcount
    connection.execute(sql.UPDATE_RUN, ["pruned", "what it recorded was removed", time.time(), None, run])
    connection.execute(sql.SUM_RUN, [run])
    return gone


def _sweep(connection: sqlite3.Connection) -> int:
    """Remove the long strings that no row names. Only while nobody writes: a row may be about to name one that is there."""
    connection.execute("CREATE TEMP TABLE named (digest BLOB PRIMARY KEY) WITHOUT ROWID")
    for table, column in _DATA:
        last = 0
        while page := connection.execute(
            f"SELECT n, {column} FROM {table} WHERE n > ? ORDER BY n LIMIT {_PAGE}", [last]
        ).fetchall():
            names = {(digest,) for _, value in page for digest in references(value)}
            connection.executemany("INSERT OR IGNORE INTO named VALUES (?)", names)
            last = page[-1][0]
    gone = connection.execute("DELETE FROM value WHERE digest NOT IN (SELECT digest FROM named)").rowcount
    connection.execute("DROP TABLE named")
    return gone


def _free(connection: sqlite3.Connection) -> int:
    pages, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("freelist_count", "page_size"))
    return pages * size


def _taken(path: Path) -> int:
    files = (path, path.with_name(f"{path.name}-wal"), *blob_files(path.parent / "blobs"))
    return sum(file.stat().st_size for file in files if file.exists())
