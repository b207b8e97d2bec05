"""Whether the file that is open is still the one that its name means.

A file that was moved or deleted takes writes as before: they go where nobody finds them.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loopwright.core.errors import StoreMoved


class Presence:
    """A database file and its log as they were when they were opened.

    Args:
        path: the database file, which is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = f"{path}-wal"
        self._file = _identity(path)
        self._log_file: tuple[int, int] | None = None

    def check(self) -> None:
        """Raises StoreMoved where the name means another file now, or none; or the log does, once it was there."""
        if _identity(self._path) != self._file:
            raise StoreMoved(
                f"{self._path} was moved, deleted or replaced while it was in use. Nothing more is written. Put it back with all "
                "that lies beside it, or name its new place with --store, and resume the run"
            )
        log = _identity(self._log)
        if self._log_file is None:
            self._log_file = log
        elif log != self._log_file:
            raise StoreMoved(
                f"{self._log}, the newest part of the store, was deleted or replaced while it was in use. Nothing more is "
                "written. Resume the run: what is missing is asked again"
            )


_open: Counter[tuple[int, int]] = Counter()
_guard = threading.RLock()


class Held:
    """Marks a database file as open in this process until ``release``; to be made before it is opened.

    Whoever opens such a file by himself and closes it again takes SQLite's locks on it away, those of all its connections here:
    the system forgets a process's locks on a file when any handle of it is closed.

    Args:
        path: the database file, which is there.
        look: reads it without SQLite, where nobody here has it open; nobody here opens it meanwhile.
    """

    def __init__(self, path: Path, look: Callable[[Path], None]) -> None:
        with _guard:
            look(path)
            self._file = _identity(path)
            if self._file is not None:
                _open[self._file] += 1

    def release(self) -> None:
        if self._file is not None:
            with _guard:
                _open[self._file] -= 1
            self._file = None


@contextmanager
def only_here(path: Path) -> Iterator[bool]:
    """Whether no thread of this process has the database file open, or opens it in the block. Else only SQLite may open it."""
    with _guard:
        yield (file := _identity(path)) is None or not _open[file]


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
