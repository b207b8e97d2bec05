"""The durable memory of runs: SQLite in one file, or plain memory for tests.

Nothing is loaded until it is asked for, so that commands which need no store do not pay for one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopwright.store.blobs import FileBlobs, MemoryBlobs
    from loopwright.store.memory import MemoryStore
    from loopwright.store.opening import open_store
    from loopwright.store.redaction import redact
    from loopwright.store.sqlite import SqliteStore

__all__ = ["FileBlobs", "MemoryBlobs", "MemoryStore", "SqliteStore", "open_store", "redact"]

_HOME = {
    "FileBlobs": "blobs",
    "MemoryBlobs": "blobs",
    "MemoryStore": "memory",
    "SqliteStore": "sqlite",
    "open_store": "opening",
    "redact": "redaction",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
