"""Copies what can still be read of a damaged store into a new one. The damaged one is not changed."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopwright.core.errors import InputError, StoreCorrupt, StoreVersion
from loopwright.store import statements as sql
from loopwright.store.blobs import FileBlobs, blob_files
from loopwright.store.codec import checksum, unpack
from loopwright.store.commits import Acknowledged, counted
from loopwright.store.faults import faults
from loopwright.store.learners import LEARNER, TRIAL
from loopwright.store.migrate import prepare, refuse_older
from loopwright.store.modes import private_file, private_folder
from loopwright.store.pieces import digest_of, references
from loopwright.store.reading import connect_to_read
from loopwright.store.writer import connect

_CHUNK = 200  # rows asked for at once
_FURTHEST = 1 << 62  # number of a row
_MOST_FAILURES = 20_000  # of reading, in one table, before the rest is given up
# Tables with the columns of their checksum, and the one whose long strings stand apart. Strings come first, then runs.
_TABLES: dict[str, tuple[str, str]] = {
    "run": (sql.RUN, ""), "effect": (sql.EFFECT, "result"), "candidate": (sql.CANDIDATE, "data"),
    "rollout": (sql.ROLLOUT, "data"), "feedback": (sql.FEEDBACK, "data"), "event": (sql.EVENT, ""),
    "cache": (sql.CACHE, "value"), "learner": (LEARNER, ""), "trial": (TRIAL, ""),
}  # fmt: skip
_OF_RUNS = ("effect", "candidate", "rollout", "feedback", "event")


def salvage(path: Path, folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Make a store of every row and blob that is whole.

    Args:
        path: the damaged database.
        folder: where the new store is made; it must not hold one.

    A program that is killed leaves no store in ``folder``: it can be called again.

    Returns:
        How many rows of each table, and ``blob``, were copied, and how many were found damaged or are of a run that is. Rows on
        pages that cannot be read at all are in neither.

    Raises:
        InputError: there is a store in ``folder`` already.
        StoreError: not even the list of tables can be read, or nothing can be written.
    """
    path, folder = path.resolve(), folder.absolute()
    target = folder / path.name
    path = path.resolve()  # the log and the blobs lie beside the file itself
    if target.exists():
        raise InputError(f"--salvage: {target} is there already; name another folder")
    copied: Counter[str] = Counter()
    left: Counter[str] = Counter()
    with faults(path, 5.0):
        source, copy = connect_to_read(path, 5.0, cut=True)
    try:
        _refuse_other(path, source)
        private_folder(folder)
        part = folder / f"{path.name}.part"  # it gets its name when all is there
        for end in ("", "-wal", "-shm"):
            Path(f"{part}{end}").unlink(missing_ok=True)
        private_file(part)
        with faults(part, 30.0):
            prepare(part, 30.0)
            made = connect(part, 30.0)
            try:
                made.execute("BEGIN IMMEDIATE")
                whole = _values(source, made, copied, left)
                for table, (columns, data) in _TABLES.items():
                    _rows(source, made, table, columns, data, whole, copied, left)
                for table in _OF_RUNS:  # of a run that is lost: nothing could read them, and what they cost is in the cache
                    gone = made.execute(f"DELETE FROM {table} WHERE run NOT IN (SELECT n FROM run)").rowcount
                    copied[table], left[table] = copied[table] - gone, left[table] + gone
                made.execute("DELETE FROM tally WHERE run NOT IN (SELECT n FROM run)")
                for table in _OF_RUNS:  # they came in no order
                    first = f"SELECT min(n) FROM {table} WHERE {table}.run = tally.run"
                    made.execute(f"UPDATE tally SET first = ({first}) WHERE part = '{table}' OR part LIKE '{table}/%'")
                number = counted(made)
                made.execute("COMMIT")
            finally:
                made.close()
        _blobs(path.parent / "blobs", FileBlobs(folder / "blobs"), copied, left)
        part.rename(target)
        acknowledged = Acknowledged(target)
        acknowledged.note(number)
        acknowledged.close()
    finally:
        source.close()
        if copy is not None:
            copy.cleanup()
    return +copied, +left


def _refuse_other(path: Path, source: sqlite3.Connection) -> None:
    try:
        refuse_older(path, source)
    except StoreVersion:
        raise
    except sqlite3.Error:
        pass  # the table of the version is damaged: the rows will tell


def _values(source: sqlite3.Connection, made: sqlite3.Connection, copied: Counter[str], left: Counter[str]) -> set[bytes]:
    whole: set[bytes] = set()
    for _, digest, data in _readable(source, "value", "digest, data"):
        try:
            good = digest_of(unpack(data)) == digest
        except (StoreCorrupt, TypeError):
            good = False
        if good:
            made.execute("INSERT OR IGNORE INTO value (digest, data) VALUES (?, ?)", [digest, data])
            whole.add(digest)
        (copied if good else left)["value"] += 1
    return whole


def _rows(
    source: sqlite3.Connection, made: sqlite3.Connection, table: str, columns: str, data: str, whole: set[bytes],
    copied: Counter[str], left: Counter[str],
) -> None:  # fmt: skip
    place = columns.split(", ").index(data) if data else -1
    marks = ", ".join("?" for _ in range(columns.count(",") + 3))
    insert = f"INSERT OR IGNORE INTO {table} (n, {columns}, sum) VALUES ({marks})"
    for n, *values, total in _readable(source, table, f"{columns}, sum"):
        good = checksum(tuple(values)) == total
        if good and data:
            try:
                good = all(name in whole for name in references(values[place]))
            except (StoreCorrupt, AttributeError):
                good = False
        if good:
            made.execute(insert, [n, *values, total])
        (copied if good else left)[table] += 1


def _readable(source: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows that SQLite can still reach, around those that it cannot: from both ends of a span of numbers up to where reading
    fails, then in the two halves of what is between.
    """
    spans = deque([(-_FURTHEST, _FURTHEST)])
    failures = 0
    while spans and failures < _MOST_FAILURES:
        low, high = spans.popleft()
        for down in (False, True):
            for limit in (_CHUNK, 1):  # where a chunk fails, row by row up to the one that does
                while low <= high:
                    query = (
                        f"SELECT n, {columns} FROM {table} WHERE n BETWEEN ? AND ? ORDER BY n {'DESC' if down else ''} LIMIT ?"
                    )
                    try:
                        rows = source.execute(query, [low, high, limit]).fetchall()
                    except (sqlite3.Error, OverflowError):
                        failures += 1
                        break
                    yield from rows
                    last = rows[-1][0] if rows else None
                    if last is None or len(rows) < limit:
                        low = high + 1  # nothing more is there
                    elif not low <= last <= high:  # of a damaged page
                        failures += 1
                        break
                    elif down:
                        high = last - 1
                    else:
                        low = last + 1
        if low < high:
            middle = (low + high) // 2
            spans.extend([(low, middle), (middle + 1, high)])


def _blobs(folder: Path, target: FileBlobs, copied: Counter[str], left: Counter[str]) -> None:
    for file in blob_files(folder):
        with file.open("rb") as opened:
            good = hashlib.file_digest(opened, "sha256").hexdigest() == file.name
        if good:
            there = target.path(file.name)
            private_folder(there.parent)
            private_file(there)
            shutil.copyfile(file, there)
        (copied if good else left)["blob"] += 1
