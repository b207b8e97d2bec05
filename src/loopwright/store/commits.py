"""How many commits a store has acknowledged, kept in the database and in a small file beside it.

SQLite takes a write-ahead log that was cut off, or is gone, for one that ends there: the commits behind that place are lost
without a word. So each commit raises a number in the database (``PRAGMA user_version``), and once it is durable the same number
goes into ``NAME-commits``. A database whose number is below that of the file has lost writes.

The file is flushed to the disk at most once a second, so after a power failure (never after a killed process) it may be a second
behind: a log that is damaged by the same failure may then have lost that second unnoticed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
import zlib
from pathlib import Path

from loopwright.core.errors import StoreCorrupt
from loopwright.store.modes import private_file

_MOST = (1 << 31) - 1  # what user_version holds; a store that came so far is no longer watched
_WIDTH = 20
_CHECKED = _WIDTH + 9  # the number and, since a flipped bit in it would pass for lost writes, its checksum
_FLUSHED_EVERY = 1.0  # seconds
_TRIES = 3  # of reading: another process may be writing


def counted(connection: sqlite3.Connection) -> int:
    """Raise the number of the transaction that is under way.

    Args:
        connection: with a transaction begun.

    Returns:
        The number that the database has once it is committed.
    """
    number = min(commits_in(connection) + 1, _MOST)
    connection.execute(f"PRAGMA user_version = {number}")
    return number


def commits_in(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def commits_file(path: Path) -> Path:
    return path.with_name(f"{path.name}-commits")


def acknowledged(path: Path) -> int:
    """The number in the file beside the database at ``path``; 0 where there is none, or it is damaged or cannot be read."""
    for _ in range(_TRIES):
        try:
            if (number := _number(commits_file(path).read_bytes())) is not None:
                return number
        except OSError:
            break
    return 0


def _told(number: int) -> bytes:
    words = f"{number:0{_WIDTH - 1}}\n".encode()
    return words + f"{zlib.crc32(words):08x}\n".encode()


def _number(words: bytes) -> int | None:
    """The number that a file says; None for a damaged one. Without a checksum it is of an earlier version."""
    try:
        number = int(words[:_WIDTH])
    except ValueError:
        return None
    return number if words in (_told(number), _told(number)[:_WIDTH]) else None


def refuse_lost(path: Path, known: int, found: int) -> None:
    """Raises StoreCorrupt where the database at ``path`` has fewer commits, ``found``, than were ``known`` beforehand."""
    if found < known:
        raise StoreCorrupt(
            f"{path} has lost writes: {known} commits were acknowledged, {found} are there. Its log {path.name}-wal was cut off, "
            "removed or damaged, or this is an older copy, or one made by copying files in use. Put back the whole file and its "
            f"log, if you have them. To go on with what is there, remove {commits_file(path)}: a run that is resumed then asks "
            "and pays again for what is missing"
        )


class Acknowledged:
    """Writes the number of the newest durable commit. Of several processes, each only raises it.

    Args:
        path: the database file.
    """

    def __init__(self, path: Path) -> None:
        self._file = commits_file(path)
        self._handle = -1
        self._flushed = 0.0

    def note(self, number: int) -> None:
        """Record that commit ``number`` is durable. A failure is none of the commit's: the file is then a little behind."""
        with contextlib.suppress(OSError):
            if self._handle < 0:
                private_file(self._file)
                self._handle = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            try:
                if number > self._written():
                    os.pwrite(self._handle, _told(number), 0)
            finally:
                fcntl.flock(self._handle, fcntl.LOCK_UN)
            now = time.monotonic()
            if now - self._flushed >= _FLUSHED_EVERY:
                os.fdatasync(self._handle)
                self._flushed = now

    def _written(self) -> int:
        return _number(os.pread(self._handle, _CHECKED + 1, 0)) or 0

    def close(self) -> None:
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.fdatasync(self._handle)
            os.close(self._handle)
            self._handle = -1
