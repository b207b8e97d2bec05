"""Who may read a store: its folders and files are made for their owner alone, whatever the umask says."""

from __future__ import annotations

import logging
import os
import shlex
import stat
from collections.abc import Iterator
from glob import escape
from pathlib import Path

FOLDER = 0o700
FILE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_BESIDE = ("-wal", "-shm", "-commits")


def private_folder(path: Path) -> None:
    """Make a folder, with those above it that are missing, for its owner alone. One that is there is left as it is."""
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=FOLDER)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            folder.chmod(FOLDER)  # a strange umask may have taken the owner's own rights


def private_file(path: Path) -> None:
    """Make an empty file for its owner alone, unless it is there. SQLite gives its log the same mode."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE)
    except FileExistsError:
        return
    try:
        os.fchmod(handle, FILE)
    finally:
        os.close(handle)


def parts(path: Path) -> Iterator[Path]:
    """The files and folders of the store at ``path`` that are there: database, log, backups, locks, blobs."""
    yield from (file for file in (path, *(path.with_name(path.name + end) for end in _BESIDE)) if file.exists())
    yield from path.parent.glob(f"{escape(path.name)}.*.backup")
    for name in ("locks", "blobs"):
        folder = path.parent / name
        if folder.is_dir():
            yield folder
            yield from folder.rglob("*")


def readable_by_others(path: Path) -> str:
    """What to tell the owner of a store that other users of the machine can read; "" where they cannot.

    Args:
        path: the database file.

    Returns:
        One sentence with what to type.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        around = stat.S_IMODE(path.parent.stat().st_mode)
    except OSError:
        return ""
    if not mode & _OTHERS or not around & _OTHERS:
        return ""
    where = path.parent if path.parent.name == ".loopwright" else path
    return (
        f"{path} can be read by other users of this machine (mode {mode:03o}); it was made by an earlier version. "
        f"To keep it to yourself: chmod -R go= {shlex.quote(str(where))}"
    )


_told: set[Path] = set()


def tell_if_readable(path: Path) -> None:
    """Warn, once a process, of a store that other users can read. It is not changed: somebody may have wanted it so."""
    if path not in _told and (message := readable_by_others(path)):
        _told.add(path)
        logging.getLogger("loopwright.store").warning("%s", message)
