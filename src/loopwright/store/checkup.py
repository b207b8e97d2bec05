"""Looks at a whole store without changing it: whether all that was written is there, who uses it, and what it takes."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any, Literal

from loopwright.core.errors import StoreCorrupt, StoreError
from loopwright.core.store import RunRow, shown_status
from loopwright.store import statements as sql
from loopwright.store.blobs import blob_files
from loopwright.store.commits import acknowledged, commits_in, refuse_lost
from loopwright.store.drivers import COLUMNS, Driver
from loopwright.store.faults import translate
from loopwright.store.learners import LEARNER, TRIAL
from loopwright.store.migrate import refuse_older
from loopwright.store.modes import readable_by_others
from loopwright.store.pieces import join
from loopwright.store.presence import only_here
from loopwright.store.reading import connect_to_read
from loopwright.store.rows import CANDIDATES, EFFECTS, EVENTS, FEEDBACKS, PAGE, ROLLOUTS, Reader

_BLOB = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_TOLD = 5  # of each kind of damage, or of runs


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part. next: what to type, or ""."""

    name: str
    state: Literal["ok", "limited", "damaged"]
    told: str
    next: str = ""


@dataclass
class Seen:
    """Of all rows: how many they are, what is damaged, and the blobs that they name."""

    rows: int = 0
    damage: list[str] = field(default_factory=list)
    blobs: set[bytes] = field(default_factory=set)  # their names

    def note(self, *data: bytes | str) -> None:
        for one in data:
            self.blobs.update(_BLOB.findall(one if isinstance(one, bytes) else one.encode("utf-8", "surrogatepass")))


def check_up(path: Path) -> Iterator[Finding]:
    """What is to be said of the store whose database is at ``path``; every row and blob of it is read.

    Args:
        path: the database file, which is there.

    Returns:
        Findings, each as soon as it is known. Damage is a finding, not an error.
    """
    path = path.resolve()
    yield _sizes(path)
    others = readable_by_others(path)
    yield Finding("modes", "limited" if others else "ok", others or "others on this machine cannot read it", _typed(others))
    rescue = f"loopwright doctor --store {shlex.quote(str(path))} --salvage FOLDER"
    known = acknowledged(path)
    try:
        connection, copy = connect_to_read(path, 5.0)
    except (sqlite3.Error, OSError) as error:
        yield Finding("database", "damaged", str(translate(error, path, 5.0)), rescue)
        yield _blobs(path, [])
        return
    try:
        seen: list[Seen] = []
        reader = Reader(connection, path, 5.0)
        looks: dict[str, Callable[[], Finding]] = {
            "log": lambda: _log(path, known, connection), "pages": lambda: _pages(path, connection, rescue),
            "rows": lambda: _read(path, connection, reader, seen, rescue), "runs": lambda: _drivers(reader),
            "blobs": lambda: _blobs(path, seen), "free pages": lambda: _free(connection),
        }  # fmt: skip
        for name, look in looks.items():
            try:
                yield look()
            except StoreError as error:
                yield Finding(name, "damaged" if isinstance(error, StoreCorrupt) else "limited", _short(error), rescue)
            except sqlite3.Error as error:
                yield Finding(name, "damaged", _short(translate(error, path, 5.0)), rescue)
    finally:
        connection.close()
        if copy is not None:
            copy.cleanup()


def _sizes(path: Path) -> Finding:
    parts = [(file.name, file.stat().st_size) for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]
    backups = list(path.parent.glob(f"{escape(path.name)}.*.backup"))
    if backups:
        parts.append((f"{len(backups)} backups", sum(file.stat().st_size for file in backups)))
    blobs = list(blob_files(path.parent / "blobs"))
    if blobs:
        parts.append((f"{len(blobs)} blobs", sum(file.stat().st_size for file in blobs)))
    free = shutil.disk_usage(path.parent).free
    return Finding("size", "ok", f"{', '.join(f'{name} {told_bytes(size)}' for name, size in parts)}; {told_bytes(free)} free")


def _log(path: Path, known: int, connection: sqlite3.Connection) -> Finding:
    found = commits_in(connection)
    try:
        refuse_lost(path, known, found)
    except StoreCorrupt as error:
        return Finding("log", "damaged", str(error))
    if not known:
        return Finding("log", "limited", "nobody, or an earlier version, has written here: lost writes could not be told")
    return Finding("log", "ok", f"all {known:,} commits that were acknowledged are there")


def _pages(path: Path, connection: sqlite3.Connection, rescue: str) -> Finding:
    try:
        wrong = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_TOLD})")]
    except sqlite3.Error as error:
        wrong = [str(error)]
    if wrong == ["ok"]:
        return Finding("pages", "ok", "the database file is sound")
    return Finding("pages", "damaged", f"{path.name}: {'; '.join(wrong)}", rescue)


def _read(path: Path, connection: sqlite3.Connection, reader: Reader, seen: list[Seen], rescue: str) -> Finding:
    refuse_older(path, connection)
    seen.append(check_rows(reader))
    return _rows(seen[0], rescue)


def check_rows(reader: Reader) -> Seen:
    """Read every row that a store keeps.

    Args:
        reader: of the store.

    Returns:
        How many there are, what is damaged, and the blobs that they name. Raises StoreError where no more can be read.
    """
    seen = Seen()
    for number, id, spec in reader.read("SELECT n, id, spec FROM run ORDER BY n"):
        seen.note(str(spec))
        for kind in (EFFECTS, CANDIDATES, ROLLOUTS, FEEDBACKS, EVENTS):
            try:
                for row in reader.rows(kind, id, number):
                    seen.rows += 1
                    seen.note(*(_plain(getattr(row, name)) for name in ("result", "data", "payload") if hasattr(row, name)))
            except StoreError as error:
                seen.damage.append(_short(error))
    for table, columns, data in (
        ("run", sql.RUN, None), ("cache", sql.CACHE, 1), ("learner", LEARNER, 2), ("trial", TRIAL, 3),
    ):  # fmt: skip
        last = 0
        while page := reader.read(f"SELECT {columns}, sum, n FROM {table} WHERE n > ? ORDER BY n LIMIT {PAGE}", [last]):
            for row in page:
                try:
                    reader.check(table, row[:-1], row[-1])
                    if data is not None:
                        seen.note(join(row[data], reader.strings([row[data]])))
                    seen.rows += table != "run"
                except StoreError as error:
                    seen.damage.append(_short(error))
            if page[-1][-1] <= last:  # of a damaged page: it would go round and round
                seen.damage.append(f"the table {table} is out of order")
                break
            last = page[-1][-1]
    return seen


def _rows(seen: Seen, rescue: str) -> Finding:
    if seen.damage:
        more = f", and {len(seen.damage) - _TOLD} more" if len(seen.damage) > _TOLD else ""
        return Finding("rows", "damaged", f"{'; '.join(seen.damage[:_TOLD])}{more}", rescue)
    return Finding("rows", "ok", f"all {seen.rows:,} rows are those that were written")


def _plain(value: Any) -> bytes | str:
    return value if isinstance(value, bytes | str) else repr(value)


def _short(error: StoreError) -> str:
    """Of the message of a damaged file, what is damaged."""
    found = re.search(r"is damaged \((.*?)\)\. Work on a copy", str(error), re.DOTALL)
    return found[1] if found else str(error)


def _drivers(reader: Reader) -> Finding:
    columns = ", ".join(f"driver.{name}" for name in COLUMNS.split(", "))
    rows = reader.read(f"SELECT {columns}, run.updated FROM driver JOIN run ON run.id = driver.run")
    live = {driver.run: driver.pid for *values, heard in rows if (driver := Driver(*values)).alive(heard)}
    told = [f"{run[:13]} is driven by process {pid}" for run, pid in live.items()]
    runs = reader.read("SELECT id, status FROM run ORDER BY n")
    killed = [id for id, status in runs if shown_status(RunRow(id, {}, "", "", 0, status, {}), live)[0] == "killed"]
    if killed:
        names = ", ".join(id[:13] for id in killed[-_TOLD:])
        told.append(f"{len(killed)} were killed and can be gone on with: {names}")
    next = f"loopwright resume {killed[-1][:13]}" if killed else ""
    return Finding("runs", "limited" if killed else "ok", f"{len(runs)} runs; {'; '.join(told) or 'nobody drives one now'}", next)


def others_here(path: Path) -> list[str]:
    """Names of the databases, its own backups aside, in the folder of the store at ``path``: they have their blobs in one folder.

    Args:
        path: the database file.

    Returns:
        The names, sorted.
    """
    backups = re.compile(rf"{re.escape(path.name)}\..*\.backup")
    found = []
    for file in sorted(path.parent.iterdir()):
        if file.is_file() and not backups.fullmatch(file.name) and not (path.exists() and file.samefile(path)):
            with suppress(OSError), only_here(file) as free:
                if not free or _begins(file) == b"SQLite format 3\0":
                    found.append(file.name)
    return found


def _begins(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(16)


def _blobs(path: Path, seen: list[Seen]) -> Finding:
    wrong, orphaned, free, names = [], 0, 0, set()
    for file in blob_files(path.parent / "blobs"):
        names.add(file.name.encode())
        with file.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != file.name:
                wrong.append(file.name[:13])
        if seen and file.name.encode() not in seen[0].blobs:
            orphaned, free = orphaned + 1, free + file.stat().st_size
    if wrong:
        next = "restore them from a copy; or delete them, and resume the run that made them"
        return Finding("blobs", "damaged", f"{len(wrong)} of {len(names)} are damaged: {', '.join(wrong[:_TOLD])}", next)
    if not seen or seen[0].damage:
        return Finding("blobs", "ok", f"{len(names)} are whole; which of them are in use cannot be told of damaged rows")
    if orphaned and (others := others_here(path)):
        return Finding("blobs", "ok", f"{len(names)} are whole, some perhaps in use by {', '.join(others[:_TOLD])} beside it")
    if orphaned:
        told = f"{len(names)} are whole; nothing that is stored names {orphaned} of them ({told_bytes(free)})"
        return Finding("blobs", "limited", told, "loopwright vacuum")
    return Finding("blobs", "ok", f"{len(names)} are whole and in use")


def _free(connection: sqlite3.Connection) -> Finding:
    pages, size, free = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size", "freelist_count")
    )
    told = f"{told_bytes(free * size)} of {told_bytes(pages * size)} are empty"
    much = free * 4 >= pages and free * size >= 1 << 20
    return Finding("free pages", "limited" if much else "ok", told, "loopwright vacuum" if much else "")


def _typed(message: str) -> str:
    return message.partition("To keep it to yourself: ")[2]


def told_bytes(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
