"""SQLite and operating system errors as ours: what happened, to which file, and what to do."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopwright.core.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreDisk,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnwritable,
)

_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DISK = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE}
_NO_WRITING = {errno.EROFS, errno.EACCES, errno.EPERM}
_LOW_SPACE = 256 * 1024  # bytes free; an I/O error with less left is told as a full disk
_WAL_WRITE_LOCK = 120  # byte of the -shm file that SQLite locks for writing


def primary(error: BaseException) -> int:
    """SQLite's primary result code, or 0 for an error that did not come from SQLite itself."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def holder(path: Path) -> int | None:
    """Pid of another process that holds the database's write lock; None where the system does not tell."""
    try:
        inode = os.stat(f"{path}-shm").st_ino
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in locks:
        # 1: POSIX  ADVISORY  WRITE 4242 fe:00:1234567 120 120
        fields = line.split()
        if len(fields) < 8 or "->" in fields or fields[3] != "WRITE" or fields[5].rsplit(":", 1)[-1] != str(inode):
            continue
        first, last = int(fields[6]), 1 << 62 if fields[7] == "EOF" else int(fields[7])
        if first <= _WAL_WRITE_LOCK <= last and int(fields[4]) not in (0, os.getpid()):
            return int(fields[4])
    return None


def _little_space(path: Path) -> bool:
    try:
        stat = os.statvfs(path.parent)
    except OSError:
        return False
    return stat.f_bavail * stat.f_frsize < _LOW_SPACE


def _at_size_limit(path: Path) -> bool:
    """Whether a file of the store is as large as this process may make one: SQLite says only that a write failed."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return False
    sizes = [file.stat().st_size for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if file.exists()]
    return max(sizes, default=0) + _LOW_SPACE > limit


def full(path: Path) -> StoreFull:
    return StoreFull(f"no space left to write {path}; what was acknowledged is intact. Free some space and try again")


def disk_fault(error: OSError, what: str | Path) -> StoreUnwritable | None:
    """The disk's own failures, by which a run pauses: no space, a quota, a limit on the size of files, an I/O error.

    Args:
        error: of the operating system.
        what: was being written.

    Returns:
        The error to raise for it; None for one of another kind.
    """
    if error.errno == errno.EFBIG:
        why = "a limit on the size of files is reached (see: ulimit -f)"
        return StoreFull(f"{what} may not grow: {why}. What was acknowledged is intact; raise it and resume the run")
    if error.errno in _SPACE:
        why = "no space left (a quota)" if error.errno == errno.EDQUOT else "no space left"
        return StoreFull(f"{why} to write {what}; what was acknowledged is intact. Free some space and try again")
    if error.errno in _DISK:
        again = "What was acknowledged is intact; resume the run when it works"
        return StoreDisk(f"the disk refused to write {what}: {error.strerror}. {again}")
    if error.errno == errno.EROFS:
        return StoreReadOnly(f"{what} lies on a file system that may only be read. Make it writable and resume the run")
    return None


def translate(error: BaseException, path: Path, wait: float) -> StoreError:
    """The StoreError that tells ``error``, met at ``path`` after waiting up to ``wait`` seconds for locks."""
    code = primary(error)
    if isinstance(error, StoreError):
        return error
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        pid = holder(path)
        who = f"process {pid}" if pid else "another process"
        return StoreBusy(
            f"{path} has been locked by {who} for {wait:g} s, longer than we wait. "
            "Let it finish or stop it, then try again; nothing of this write was stored"
        )
    if isinstance(error, OSError) and (fault := disk_fault(error, path)) is not None:
        return fault
    if code == sqlite3.SQLITE_IOERR and _at_size_limit(path):
        told = disk_fault(OSError(errno.EFBIG, ""), path)
        assert told is not None
        return told
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _little_space(path)):
        return full(path)
    if code == sqlite3.SQLITE_IOERR:
        name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")
        return StoreDisk(
            f"the disk refused to write or read {path} ({error}, {name}): a fault of the disk, or a quota. "
            "What was acknowledged is intact; resume the run when it works"
        )
    if code == sqlite3.SQLITE_READONLY or (isinstance(error, OSError) and error.errno in _NO_WRITING):
        return read_only(path)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return corrupt(path, str(error))
    if isinstance(error, UnicodeDecodeError):  # in what SQLite says of it
        return corrupt(path, "a text is no UTF-8")
    if undecodable := re.match(r"Could not decode to UTF-8 (column '\w+')", str(error)):  # the rest is the text itself
        return corrupt(path, f"a text is no UTF-8, {undecodable[1]}")
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return StoreError(f"{path}: {error} ({name})")


def read_only(path: Path) -> StoreReadOnly:
    return StoreReadOnly(
        f"{path} may only be read by you, here: its mode or its file system forbids writing. 'runs', 'report', 'export' and "
        "'doctor --store' work; to run or resume, copy its folder to where you may write and name that with --store"
    )


def corrupt(path: Path, why: str) -> StoreCorrupt:
    typed = shlex.quote(str(path))
    return StoreCorrupt(
        f"{path} is damaged ({why}). Work on a copy of it, and of {path.name}-wal if there is one. To see what is damaged: "
        f"loopwright doctor --store {typed}. To save what is whole in a new store: the same with --salvage FOLDER; where that "
        f"reads nothing: sqlite3 {typed} .recover | sqlite3 recovered.db. "
        f"A {path.name}.*.backup beside it, if any, is older and whole"
    )


@contextmanager
def faults(path: Path, wait: float) -> Iterator[None]:
    """Turns SQLite and operating system errors inside the block into StoreErrors."""
    try:
        yield
    except (sqlite3.Error, OSError, OverflowError, UnicodeDecodeError) as error:
        raise translate(error, path, wait) from error
