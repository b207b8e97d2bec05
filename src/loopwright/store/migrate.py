"""Brings a database to the current version, or says why not. Alembic is loaded only for a database of an older one.

A new database gets its tables from ``tables.sql``, which is what the migrations make of an empty one: that takes them half a
second. ``python -m loopwright.store.migrate`` writes it anew after a migration was added.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

from loopwright.core.errors import StoreError, StoreVersion
from loopwright.store.commits import acknowledged, commits_in, refuse_lost
from loopwright.store.faults import corrupt
from loopwright.store.modes import FILE
from loopwright.store.presence import only_here
from loopwright.store.soundness import (
    APPLICATION,
    FIRST,
    TABLES,
    refuse_damaged_pages,
    refuse_header,
    refuse_schema,
    refuse_unsound,
)
from loopwright.store.writer import connect

HEAD = "0005"  # the newest revision in migrations/versions
MIGRATIONS = Path(__file__).parent / "migrations"
_OURS = {"effect", "rollout"}  # either of them: the name of the other may be damaged


def current(connection: sqlite3.Connection) -> str:
    """The database's revision; empty for a new database. Raises StoreError for a database that is not a store."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if "alembic_version" in tables and (application >> 16 == APPLICATION >> 16 or tables & _OURS):  # others use Alembic too
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if row is not None:
            return str(row[0])
    if tables:
        raise StoreError(f"a database, but not a Loopwright store: it has the tables {', '.join(sorted(tables))}")
    return ""


def check_length(path: Path) -> None:
    """Raises StoreCorrupt for a damaged header, or a file shorter than it says; SQLite would tell only on reading lost pages."""
    wal = Path(f"{path}-wal")
    with only_here(path) as free:
        if not path.exists() or not free:
            return
        with path.open("rb") as file:
            header = file.read(100)
            size = os.fstat(file.fileno()).st_size
    if not header:
        return
    refuse_header(path, header)
    if wal.exists() and wal.stat().st_size:
        return  # with pages in the log the header may run ahead of the file
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    if header[24:28] == header[92:96] and size < page * pages:
        raise corrupt(path, f"it is cut off: {size} bytes instead of {page * pages}")


def prepare(path: Path, wait: float, *, head: str = HEAD, scripts: Path = MIGRATIONS) -> Path | None:
    """Creates the store at ``path`` or migrates it to ``head``; returns the backup made before a migration.

    A failed or interrupted migration leaves the database as it was. Raises StoreVersion for a newer database,
    sqlite3.Error for what SQLite says, and StoreError. ``wait`` is in seconds.
    """
    check_length(path)
    known = acknowledged(path)
    found, commits = _found(path, wait, head)
    refuse_lost(path, known, commits)
    if found == head:
        return None
    if found > head:
        raise StoreVersion(
            f"{path} was written by a newer Loopwright: it has schema {found}, this version knows up to {head}. "
            "Upgrade with: pip install --upgrade loopwright; or use another store. Nothing was changed"
        )
    connection = connect(path, wait)
    try:
        if not found and head == HEAD and _created(connection):
            return None
        if found:
            refuse_damaged_pages(path, connection, indexes=True)  # what is read past here would be lost for good
        backup = _backup(connection, path, found) if found else None
        _upgrade(connection, path, found, head, scripts, backup)
        if found:
            with contextlib.suppress(sqlite3.Error):  # what the old tables took; without room for it the file stays larger
                connection.execute("VACUUM")
        return backup
    finally:
        connection.close()


def refuse_older(path: Path, connection: sqlite3.Connection) -> None:
    """Raises StoreVersion for a database that would have to be migrated, or is newer, and may only be read."""
    found = current(connection)
    if found != HEAD:
        raise StoreVersion(
            f"{path} has schema {found or 'none'}, this version reads {HEAD}, and the store may not be changed here. "
            "Copy its folder to where you may write, and name that with --store"
        )
    refuse_unsound(path, connection, found)


def _found(path: Path, wait: float, head: str) -> tuple[str, int]:
    """The revision and the number of commits, read without changing anything in a file that may not be ours, or is damaged."""
    if not path.exists():
        return "", 0
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=wait)
    try:
        try:
            found = current(connection)
        except StoreError as error:
            refuse_schema(path, connection, "")
            raise StoreError(f"{path} is {error}") from None
        refuse_schema(path, connection, found)
        if found == head == HEAD:
            refuse_unsound(path, connection, found)
        return found, commits_in(connection)
    finally:
        connection.close()


def _created(connection: sqlite3.Connection) -> bool:
    """Makes all tables at once; False where another process was quicker."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        empty = current(connection) == ""
        if empty:
            for statement in TABLES.read_text(encoding="utf-8").split(";\n"):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return empty


def tables(path: Path) -> str:
    """What ``tables.sql`` should say: the statements that made the database at ``path``, which only migrations have touched."""
    connection = sqlite3.connect(path)
    try:
        version = current(connection)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        last = [f"INSERT INTO alembic_version VALUES ('{version}')", f"PRAGMA application_id = {application}\n"]
        return ";\n".join([*_made(connection), *last])
    finally:
        connection.close()


def _made(connection: sqlite3.Connection) -> list[str]:
    """The statements that made what is in a database, without what SQLite makes for itself."""
    query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
    return [sql for (sql,) in connection.execute(query)]


def _backup(connection: sqlite3.Connection, path: Path, version: str) -> Path:
    """A whole copy beside the database, complete before it gets its name."""
    target = path.with_name(f"{path.name}.{version}.backup")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.fchmod(handle, FILE)
    os.close(handle)
    try:
        copy = sqlite3.connect(name)
        try:
            connection.backup(copy)
        finally:
            copy.close()
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def _upgrade(
    connection: sqlite3.Connection, path: Path, found: str, head: str, scripts: Path, backup: Path | None
) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    engine = sqlalchemy.create_engine("sqlite://", creator=lambda: connection, poolclass=sqlalchemy.pool.StaticPool)
    # the writers' lock comes before Alembic looks: of two processes that open a new store, the second finds it made;
    # and sent from here, because SQLAlchemy rolls back once by itself while it connects
    sqlalchemy.event.listen(engine, "begin", lambda bound: bound.exec_driver_sql("BEGIN IMMEDIATE"))
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.connect() as bound:
            config.attributes["connection"] = bound
            with bound.begin():
                command.upgrade(config, head)
                if int(head) >= FIRST:
                    bound.exec_driver_sql(f"PRAGMA application_id = {APPLICATION + int(head)}")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
        if isinstance(cause, sqlite3.OperationalError) and not found:
            raise cause from None
        if not isinstance(error, Exception):
            raise
        kept = f" A backup from before is {backup}." if backup else ""
        raise StoreError(
            f"{path} could not be brought from schema {found or 'none'} to {head}: {cause}. "
            f"It was left as it was.{kept}"
        ) from error


def migrated(path: Path, wait: float = 30.0) -> None:
    """Makes a new store by the migrations alone."""
    connection = connect(path, wait)
    try:
        _upgrade(connection, path, "", HEAD, MIGRATIONS, None)
    finally:
        connection.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        migrated(Path(folder) / "new.db")
        TABLES.write_text(tables(Path(folder) / "new.db"), encoding="utf-8")
