"""One name for every store."""

from __future__ import annotations

from pathlib import Path

from loopwright.core.errors import InputError
from loopwright.core.store import Store

FILE = "loopwright.db"


def open_store(url_or_path: str | Path, *, wait: float = 30.0, read_only: bool = False) -> Store:
    """The store that a name means.

    ``memory:`` is a MemoryStore. ``sqlite:///relative`` and ``sqlite:////absolute`` are files, as is any plain path; a
    folder that exists, or a path that ends in a slash, means the file loopwright.db inside it. ``wait`` is how many
    seconds to wait for another process's lock. ``read_only`` changes nothing, and is for a store that may not be changed.
    Raises InputError for another scheme, and a StoreError.
    """
    from loopwright.store.memory import MemoryStore
    from loopwright.store.sqlite import SqliteStore

    name = str(url_or_path)
    if name in ("memory:", ":memory:", "memory://"):
        return MemoryStore()
    if name.startswith("sqlite:///"):
        name = name.removeprefix("sqlite:///")
    elif "://" in name:
        scheme = name.split("://", 1)[0]
        raise InputError(f"a store is a file path, sqlite:///PATH or memory:, got a name that starts with {scheme}://")
    if not name:
        raise InputError("a store needs a file path, got an empty name")
    path = Path(name).expanduser()
    if name.endswith("/") or path.is_dir():
        path = path / FILE
    return SqliteStore(path, wait=wait, read_only=read_only)
