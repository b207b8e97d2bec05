"""Who drives a run, and whether the disk can be trusted with locks at all."""

from __future__ import annotations

import fcntl
import os
import re
import weakref
from pathlib import Path

from loopwright.core.errors import RunBusy, StoreError
from loopwright.store.modes import FILE, private_file, private_folder

# SQLite's write-ahead log needs memory shared between processes and locks that work: these have neither, or not always.
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p"})
NETWORK_FUSE = frozenset({"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "fuse.smbnetfs"})

_held: weakref.WeakSet[FileLease] = weakref.WeakSet()


def busy(run: str, pid: str | int) -> RunBusy:
    mine = " (this one)" if str(pid) == str(os.getpid()) else ""
    return RunBusy(f"run {run} is being driven by process {pid or 'unknown'}{mine}. Wait for it, or stop it and resume")


class FileLease:
    """An exclusive lock on one file, held until ``release`` or until the process ends, however it ends."""

    def __init__(self, path: Path, run: str) -> None:
        """Raises RunBusy, naming the process, where somebody (this process too) holds it already."""
        private_folder(path.parent)
        private_file(path)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            self._close()
            raise busy(run, pid) from None
        except OSError as error:
            self._close()
            raise StoreError(f"{path} cannot be locked: {error}. Keep the store on a local disk") from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        _held.add(self)

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def release(self) -> None:
        """Gives the run free. The file stays: removing it would let two processes lock two files of one name."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            _held.discard(self)
            self._close()


def _forget_in_child() -> None:
    # a forked worker shares the lock; were it to keep it, a killed driver's run would stay busy until the worker ends
    for lease in list(_held):
        lease._close()
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def file_system(path: Path, mounts: str) -> tuple[str, str]:
    """(type, mount point) of the file system under ``path``, by the text of /proc/mounts; empty where unknown."""
    best = ("", "")
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[1])
        # a later mount on the same point covers the earlier one
        if path.is_relative_to(point) and len(point) >= len(best[1]):
            best = (fields[2], point)
    return best


def refuse_other_names(path: Path, mounts: str | None = None) -> None:
    """Raises StoreError for a database file that has further names, or is mounted by itself.

    SQLite names the log after the file, so that two names mean two logs, and damage. ``mounts`` defaults to this system's
    /proc/mounts.
    """
    try:
        names = path.stat().st_nlink
    except FileNotFoundError:
        return
    if names > 1:
        raise StoreError(
            f"{path} has {names} names (hard links). Each would have a log of its own, which damages the database. Keep one: "
            f"copy it (cp {path} NEW) and remove the others, or use symbolic links"
        )
    if mounts is None:
        mounts = _mounts()
    if file_system(path, mounts)[1] == str(path):
        raise StoreError(
            f"{path} is a mount point of its own. Its log would lie apart from it, which damages the database. "
            "Mount its folder instead"
        )


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text()
    except OSError:
        return ""


def real(path: Path) -> Path:
    """The path without symbolic links. Raises StoreError for one that leads nowhere, as round in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(f"{str(path)!r} leads to no file: {error}") from None


def refuse_network(path: Path, mounts: str | None = None) -> None:
    """Raises StoreError for a path on a network file system. ``mounts`` defaults to this system's /proc/mounts."""
    if mounts is None:
        mounts = _mounts()
    kind, point = file_system(real(path), mounts)
    if kind in NETWORK or kind in NETWORK_FUSE:
        raise StoreError(
            f"{path} lies on a network file system ({kind}, mounted at {point}), where SQLite can lose or damage data. "
            "Keep the store on a local disk and copy it when the run has ended"
        )
