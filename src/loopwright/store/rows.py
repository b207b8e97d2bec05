"""Reads rows of a store and checks each: by its checksum, and all rows of a run by their tally.

So a flipped bit is named as damage, and a row that damage has hidden is missed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from loopwright.core.errors import StoreCorrupt
from loopwright.store.codec import checksum, text, unpack
from loopwright.store.faults import corrupt, faults
from loopwright.store.pieces import digest_of, references
from loopwright.store.soundness import refuse_damaged_pages
from loopwright.store.statements import (
    CANDIDATE,
    EFFECT,
    EVENT,
    FEEDBACK,
    ROLLOUT,
    Strings,
    Values,
    candidate_row,
    effect_row,
    event_row,
    feedback_row,
    recorded,
    rollout_row,
)

T = TypeVar("T")
PAGE = 500  # rows read at once, and keys asked for at once
_STRINGS = 100  # rows whose long strings are held at once
_MASK = (1 << 48) - 1


class Kind(NamedTuple):
    """A table of rows of runs. data: the place of the column whose long strings stand apart, or None."""

    table: str
    columns: str
    decode: Callable[[Values, str, Any], Any]
    data: int | None = None


EFFECTS = Kind("effect", EFFECT, effect_row, 8)
OUTLINES = Kind("effect", EFFECT, recorded)
CANDIDATES = Kind("candidate", CANDIDATE, candidate_row, 2)
ROLLOUTS = Kind("rollout", ROLLOUT, rollout_row, 8)
FEEDBACKS = Kind("feedback", FEEDBACK, feedback_row, 6)
EVENTS = Kind("event", EVENT, event_row)


class _Tally(NamedTuple):
    rows: int
    total: int
    first: int


class Reader:
    """A connection that only reads. Safe to use from several threads; not across a fork.

    path: of the database, for messages. wait: seconds that were waited for locks, for messages.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, wait: float) -> None:
        self._connection, self._path, self._wait = connection, path, wait
        self._connection.execute("PRAGMA query_only = ON")
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query. Raises StoreError."""
        with faults(self._path, self._wait), self._lock:
            rows: list[Any] = self._connection.execute(query, values).fetchall()
        return rows

    def refuse_damaged_pages(self, *, indexes: bool) -> None:
        """As ``soundness.refuse_damaged_pages``."""
        with faults(self._path, self._wait), self._lock:
            refuse_damaged_pages(self._path, self._connection, indexes=indexes)

    def rows(self, kind: Kind, run: str, number: int, *, split: str | None = None, data: bool = True) -> Iterator[Any]:
        """The rows of a run that are there now, in the order of their arrival.

        Args:
            kind: what rows.
            run: the id that they get.
            number: of the run.
            split: only attempts of this split.
            data: whether long values are read, too; without them they are empty.

        Raises:
            StoreCorrupt: a row is damaged, or not all that were written are there.
        """
        begun = self._tally(kind, number, split)
        seen = total = 0
        last = begun.first - 1
        condition, values = _split(split)
        # Page by page: a cursor held open would keep the write-ahead log from being emptied. By the index SQLite would sort for
        # each page all that is left.
        source = f"{kind.table} NOT INDEXED WHERE run = ? AND n > ?{condition}"
        query = f"SELECT {kind.columns}, sum, n FROM {source} ORDER BY n LIMIT ?"
        while seen < begun.rows:
            page = self.read(query, [number, last, *values, min(PAGE, begun.rows - seen)])
            if not page:
                break
            for at in range(0, len(page), _STRINGS):
                yield from self.decoded(kind, run, page[at : at + _STRINGS], data=data)
            seen += len(page)
            total += sum(row[-2] for row in page)
            last = page[-1][-1]
        found = _Tally(seen, total & _MASK, begun.first)
        if found != begun:
            self._explain(kind, run, number, split, begun)

    def decoded(self, kind: Kind, run: str, rows: Sequence[Values], *, data: bool = True) -> list[Any]:
        """Rows of ``columns, sum, n`` as those of core.store, each checked. Raises StoreCorrupt."""
        for row in rows:
            if checksum(row[:-2]) != row[-2]:
                self.check(kind.table, row[:-1], row[-1])
        blobs = [row[kind.data] for row in rows] if data and kind.data is not None else []
        strings = self.strings(blobs) if data else None
        try:
            return [kind.decode(row, run, strings) for row in rows]
        except Exception:  # told of the row that it was
            return [self.decode(f"row {row[-1]} of the table {kind.table}", kind.decode, row, run, strings) for row in rows]

    def check(self, table: str, row: Values, n: object) -> None:
        """Raises StoreCorrupt where the last value is not the checksum of those before."""
        if checksum(row[:-1]) != row[-1]:
            raise corrupt(self._path, f"row {n} of the table {table} does not match its checksum")

    def decode(self, what: str, decoder: Callable[..., T], *values: Any) -> T:
        """Raises StoreCorrupt where the decoder cannot read its values."""
        try:
            return decoder(*values)
        except (ValueError, TypeError, AttributeError, UnicodeError, StoreCorrupt) as error:
            raise corrupt(self._path, f"{what} cannot be read back: {error}") from error

    def strings(self, blobs: Sequence[bytes]) -> Strings:
        """The long strings that were cut out of these values, by digest. Raises StoreCorrupt where one is damaged or gone."""
        try:
            names = list(dict.fromkeys(name for blob in blobs for name in references(blob)))
        except StoreCorrupt as error:
            raise corrupt(self._path, str(error)) from error
        found: dict[bytes, bytes] = {}
        for at in range(0, len(names), PAGE):
            asked = names[at : at + PAGE]
            marks = ",".join("?" * len(asked))
            for digest, data in self.read(f"SELECT digest, data FROM value WHERE digest IN ({marks})", asked):
                found[digest] = self.decode(f"the value {digest.hex()}", unpack, data)
                if digest_of(found[digest]) != digest:
                    raise corrupt(self._path, f"the value {digest.hex()} does not match its digest")
        for name in names:
            if name not in found:
                raise corrupt(self._path, f"the value {name.hex()} is missing")
        return found

    # ---- whether all rows are there -----------------------------------------------------------------------------------

    def _tally(self, kind: Kind, number: int, split: str | None) -> _Tally:
        with faults(self._path, self._wait), self._lock:
            tally = self._told(kind, number, split)
            if not tally.rows:
                condition, values = _split(split)
                query = f"SELECT 1 FROM {kind.table} WHERE run = ?{condition} LIMIT 1"
                if self._connection.execute(query, [number, *values]).fetchone() and tally == self._told(kind, number, split):
                    raise corrupt(self._path, f"rows of the table {kind.table} are not in its tally")
        return tally

    def _told(self, kind: Kind, number: int, split: str | None) -> _Tally:
        values: list[str | bytes] = [kind.table]
        condition = "part = ?"
        if kind is ROLLOUTS:
            condition, values = ("part = 'rollout/' || ?", [text(split)]) if split is not None else ("part LIKE 'rollout/%'", [])
        query = f"SELECT rows, total, first FROM tally WHERE run = ? AND {condition}"
        told = self._connection.execute(query, [number, *values]).fetchall()
        if not told:
            return _Tally(0, 0, 1)
        rows, totals, firsts = zip(*told, strict=True)
        return _Tally(sum(rows), sum(totals) & _MASK, min(firsts))

    def _explain(self, kind: Kind, run: str, number: int, split: str | None, begun: _Tally) -> None:
        """Raises StoreCorrupt unless the rows changed while they were read."""
        condition, values = _split(split)
        query = f"SELECT count(*), sum(sum & 16777215), sum(sum >> 24) FROM {kind.table} NOT INDEXED WHERE run = ?{condition}"
        with faults(self._path, self._wait), self._lock:
            self._connection.execute("BEGIN")
            try:
                rows, low, high = self._connection.execute(query, [number, *values]).fetchone()
                told = self._told(kind, number, split)
            finally:
                self._connection.execute("COMMIT")
        if told != begun and (rows, ((low or 0) + ((high or 0) << 24)) & _MASK) == told[:2]:
            return
        raise corrupt(
            self._path,
            f"of the run {run} the table {kind.table} has {rows} rows where {told.rows} were written"
            if rows != told.rows
            else f"the rows of the run {run} in the table {kind.table} are not those that were written",
        )


def _split(split: str | None) -> tuple[str, list[str | bytes]]:
    return ("", []) if split is None else (" AND split = ?", [text(split)])
