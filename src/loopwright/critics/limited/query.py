"""SQL of models, in a process with limits, on a database that can only be read. Standard library only."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

HEAP_MB = 256  # of SQLite, for what it sorts, groups and joins
RESULT_MB = 32  # of rows, as bytes of their values
_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_LONGEST = 1_000_000  # bytes of a value
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_HELD = 8
_open: dict[tuple[str, int, int, int], sqlite3.Connection] = {}


class QueryFailed(Exception):
    """What is wrong with a query, in words for whoever wrote it."""


def read_only(path: str) -> sqlite3.Connection:
    """A connection that can do nothing but read this file: no writing, no other file, no setting, no extension."""
    connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.execute(f"PRAGMA hard_heap_limit = {HEAP_MB << 20}")
    connection.execute("PRAGMA temp_store = MEMORY")  # else what it sorts fills the disk

    def allowed(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        return sqlite3.SQLITE_OK if action in _READS and second != "load_extension" else sqlite3.SQLITE_DENY

    connection.set_authorizer(allowed)
    return connection


def _connection(path: str) -> sqlite3.Connection:
    """Kept open for the next query, while the file is the same."""
    about = os.stat(path)
    key = (path, about.st_ino, about.st_mtime_ns, about.st_size)
    if key not in _open:
        for old in [known for known in _open if known[0] == path] or list(_open)[: len(_open) >= _HELD]:
            _open.pop(old).close()
        _open[key] = read_only(path)
    return _open[key]


def _forget(connection: sqlite3.Connection) -> None:
    for key in [key for key, held in _open.items() if held is connection]:
        del _open[key]
    with contextlib.suppress(sqlite3.Error):
        connection.close()


def _bytes(value: Any) -> int:
    return len(value) + 8 if isinstance(value, str | bytes) else 8


def _read(path: str, query: str, rows: int, seconds: float) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Columns, rows, and whether there were more. Raises QueryFailed; sqlite3.Error where the file is no database."""
    connection = _connection(path)
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    found: list[tuple[Any, ...]] = []
    size = 0
    try:
        cursor = connection.execute(query)
        columns = [str(column[0]) for column in cursor.description or ()]
        for row in cursor:
            size += sum(map(_bytes, row))
            if size > RESULT_MB << 20:
                raise QueryFailed(f"the query returned more than {RESULT_MB} MB")
            found.append(row)
            if len(found) > rows:
                break
        cursor.close()
    except MemoryError:
        _forget(connection)
        raise QueryFailed(f"the query took more memory than it may, {HEAP_MB} MB, and was stopped") from None
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        _forget(connection)
        raise QueryFailed(_told(str(error), seconds)) from None
    except QueryFailed:
        _forget(connection)
        raise
    return columns, found[:rows], len(found) > rows


def _told(error: str, seconds: float) -> str:
    if error == "interrupted":
        return late(seconds)
    if "not authorized" in error or "prohibited" in error:
        return f"{error}: a query may only read; write one SELECT"
    return error


def late(seconds: float) -> str:
    """What is said of a query that did not end in time."""
    return f"the query took more than {seconds:g} s and was stopped"


def _plain(value: Any) -> Any:
    """Numbers that count as equal are written alike."""
    if isinstance(value, float) and math.isfinite(value):  # sums differ in their last digits with the order of rows
        value = float(f"{value:.9g}")
        return int(value) if value.is_integer() else value
    return value


def run(path: str, query: str, rows: int, seconds: float, give: str) -> dict[str, Any]:
    """Runs one SELECT.

    Args:
        path: A SQLite database.
        query: The SELECT.
        rows: How many rows are read; of more it is only told that there are some.
        seconds: Wall clock.
        give: "rows", "lines" (as text, tab by tab), or "hash" (what tells equal results from others).

    Returns:
        What was asked for; or {"failed": what is wrong with the query}, {"broken": what is wrong with the file}.
    """
    try:
        columns, found, more = _read(path, query, rows, seconds)
    except QueryFailed as error:
        return {"failed": str(error)}
    except (OSError, sqlite3.Error) as error:
        return {"broken": str(error)}
    if give == "rows":
        plain = [[{"hex": v.hex()} if isinstance(v, bytes) else v for v in row] for row in found]
        return {"columns": columns, "rows": plain, "more": more}
    if give == "lines":
        lines = ["\t".join(columns), *("\t".join("" if v is None else str(v) for v in row) for row in found)]
        return {"text": "\n".join([*lines, *(["..."] if more else [])])}
    texts = [repr(tuple(map(_plain, row))).encode("utf-8", "backslashreplace") for row in found]
    hashes = [hashlib.sha256(b"\0".join(part)).hexdigest() for part in (texts, sorted(texts))]
    return {"columns": len(columns), "rows": len(found), "more": more, "ordered": hashes[0], "any": hashes[1]}
