"""Opening a database that may not be changed: on a read-only file system, of another user, or to look at it without a trace."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from loopwright.store.faults import primary

_CANNOT = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


def may_write(path: Path) -> bool:
    """Whether this process may change the database at ``path``, or make it: SQLite also makes files beside it."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))


def connect_to_read(
    path: Path, wait: float, *, cut: bool = False
) -> tuple[sqlite3.Connection, tempfile.TemporaryDirectory[str] | None]:
    """A connection that changes nothing, what is still in the log included.

    Args:
        path: the database file.
        wait: seconds to wait for locks.
        cut: also a file that is shorter than it should be, whose missing pages then fail only when they are read.

    Returns:
        The connection; and the folder of the copy that it reads, where the log could be read in no other way. The folder is to
        be cleaned up after the connection is closed.

    Raises:
        sqlite3.Error: the file cannot be read.
        OSError: neither can it be copied.
    """
    path = path.absolute()  # only such a path can be written as an address
    try:
        return _opened(f"{path.as_uri()}?mode=ro", wait, cut), None
    except sqlite3.OperationalError as error:
        if primary(error) not in _CANNOT:
            raise
    # SQLite wants to make the files of the log, and may not. Nobody writes where nothing can be written
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        return _opened(f"{path.as_uri()}?mode=ro&immutable=1", wait, cut), None
    copy = tempfile.TemporaryDirectory(prefix="loopwright-")
    try:
        target = Path(copy.name) / path.name
        shutil.copyfile(path, target)
        shutil.copyfile(log, target.with_name(log.name))
        return _opened(f"{target.as_uri()}?mode=ro", wait, cut), copy
    except BaseException:
        copy.cleanup()
        raise


def _opened(uri: str, wait: float, cut: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        if cut:
            connection.execute("PRAGMA writable_schema = ON")  # what makes SQLite go by the file's own length
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
