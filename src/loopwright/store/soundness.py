"""Damage that no row's checksum tells: in the file's header, in the list of tables, in what says which rows there are.

The first looks take a moment and are made at every opening. To look at all pages takes a second for some hundred megabytes: it is
done once before a store is written to by a run, as a damaged list of free pages would have new rows written over old ones.
"""

from __future__ import annotations

import functools
import sqlite3
from pathlib import Path

from loopwright.store.faults import corrupt

TABLES = Path(__file__).parent / "tables.sql"
APPLICATION = 0x4C57 << 16  # "LW"; the schema's number is added. It is told twice, as the version in its table has no checksum
FIRST = 5  # the first schema that has it
_TOLD = 3  # of what SQLite finds wrong
# Of the header of a database as we make it: from which byte on, what stands there.
_FIXED = {
    20: b"\x00\x40\x20\x20", 44: b"\x00\x00\x00\x04", 52: bytes(4), 56: b"\x00\x00\x00\x01", 64: bytes(4), 72: bytes(20),
}  # fmt: skip


def refuse_header(path: Path, header: bytes) -> None:
    """Raises StoreCorrupt where the first 100 bytes of the database at ``path`` are not as SQLite writes them for a store."""
    if len(header) < 100 or header[:16] != b"SQLite format 3\0":
        raise corrupt(path, "it does not start as a SQLite database does")
    page = int.from_bytes(header[16:18], "big")
    if page != 1 and (page < 512 or page & (page - 1)):
        raise corrupt(path, f"its header says that pages have {page} bytes")
    vacuumed = any(header[52:56])  # by PRAGMA auto_vacuum, which some set; whether that is so tell the pages, in refuse_unsound
    for at, expected in _FIXED.items():
        if vacuumed and at in (52, 64):
            continue
        # A database without tables has neither a format nor an encoding yet.
        if (found := header[at : at + len(expected)]) != expected and (at not in (44, 56) or any(header[44:48] + header[56:60])):
            raise corrupt(path, f"its header has {found.hex()} at byte {at}, where {expected.hex()} was expected")
    if not {*header[18:20]} <= {1, 2}:
        raise corrupt(path, f"its header has the versions {header[18]} and {header[19]}")


def refuse_unsound(path: Path, connection: sqlite3.Connection, schema: str) -> None:
    """Raises StoreCorrupt where the tables of a store are not those of its schema, or runs are not to be found.

    Args:
        path: the database file.
        connection: to it.
        schema: the newest, which it says it has.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    missing = _missing(connection)
    if application != APPLICATION + int(schema) and (application or missing):
        raise corrupt(path, f"it says that it has schema {schema}, and {application} in its header")
    if missing:
        raise corrupt(path, f"in its list of tables this is missing: {' '.join(missing.split())[:80]}")
    (vacuumed,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if vacuumed:
        refuse_damaged_pages(path, connection, indexes=False)
    _refuse(path, connection, "integrity_check(run)")
    lost = connection.execute("SELECT run FROM tally WHERE run NOT IN (SELECT n FROM run) LIMIT 1").fetchone()
    if lost is not None:
        raise corrupt(path, f"run number {lost[0]} has rows, and is not there itself")


def refuse_schema(path: Path, connection: sqlite3.Connection, schema: str) -> None:
    """Raises StoreCorrupt where a database says in two places that it has different schemas; "" is none."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    number = int(schema) if schema.isdecimal() else -1
    if number >= FIRST and not application and not _missing(connection):
        return  # a copy that was made of statements, as by .dump, which keep nothing of the header
    if schema and application != (APPLICATION + number if number >= FIRST else 0):
        raise corrupt(path, f"it says that it has schema {schema}, and {application} in its header")
    if not schema and application >> 16 == APPLICATION >> 16:
        raise corrupt(path, "its header says that it is a store, and its list of tables has no version")


def _missing(connection: sqlite3.Connection) -> str:
    """A statement of the newest schema that is not in a database's list of tables; "" where all are."""
    found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master")}
    return next((statement for statement in _statements() if statement not in found), "")


def refuse_damaged_pages(path: Path, connection: sqlite3.Connection, *, indexes: bool) -> None:
    """Raises StoreCorrupt for pages that do not fit together.

    Args:
        path: the database file.
        connection: to it.
        indexes: whether to look too if every row is in its indexes, and nothing else is; that takes three times as long.
    """
    _refuse(path, connection, f"{'integrity' if indexes else 'quick'}_check({_TOLD})")


def _refuse(path: Path, connection: sqlite3.Connection, check: str) -> None:
    wrong = [str(row[0]) for row in connection.execute(f"PRAGMA {check}")]
    if wrong != ["ok"]:
        raise corrupt(path, "; ".join(wrong))


@functools.cache
def _statements() -> tuple[str, ...]:
    return tuple(part for part in TABLES.read_text(encoding="utf-8").split(";\n") if part.startswith("CREATE "))
