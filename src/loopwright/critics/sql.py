"""SQL in an answer: run where it can only read, and compared by what it returns with what the right query returns."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import CheckerError
from loopwright.core.feedback import Feedback, Rater, Verdict
from loopwright.core.fences import code_in
from loopwright.core.types import Example, Rollout
from loopwright.core.world import Critic, Tool
from loopwright.critics.parts import Parts
from loopwright.critics.section import Section

if TYPE_CHECKING:
    from loopwright.core.context import Context

_WORD = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[()]|\border\s+by\b", re.IGNORECASE)  # quoted text, a bracket, or what orders
_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_LONGEST = 1_000_000  # bytes of a value: one call of zeroblob may ask for all of the memory otherwise
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_SHOWN = 50  # rows that a tool shows
_EXPECTED = "expected a SQLite database"


class QueryFailed(Exception):
    """What is wrong with a query, in words for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a query returned. more: whether there were more rows than were wanted."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool = False


def query_of(output: str) -> str:
    """The query in an answer: its last fenced block in SQL, else its last block, else all of it, without thinking."""
    return code_in(output, ("sql", "sqlite", "sqlite3")).strip().rstrip(";").strip()


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that can do nothing but read this file: no writing, no other file, no setting, no extension."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)

    def allowed(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        return sqlite3.SQLITE_OK if action in _READS and second != "load_extension" else sqlite3.SQLITE_DENY

    connection.set_authorizer(allowed)
    return connection


def run_query(path: Path, query: str, *, seconds: float = 5.0, rows: int = 10_000) -> Found:
    """Run one SELECT. Raises QueryFailed for SQL that is wrong, writes, or takes more than ``seconds``."""
    if not query:
        raise QueryFailed("there is no query in the answer")
    until = time.monotonic() + seconds
    try:
        connection = read_only(path)
    except sqlite3.Error as error:
        raise CheckerError(f"{path}: {error}; {_EXPECTED}") from None
    try:
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        cursor = connection.execute(query)
        found = cursor.fetchmany(rows + 1)
        columns = tuple(str(column[0]) for column in cursor.description or ())
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise QueryFailed(_told(str(error), seconds)) from None
    finally:
        connection.close()
    return Found(columns, tuple(found[:rows]), len(found) > rows)


def _told(error: str, seconds: float) -> str:
    if error == "interrupted":
        return f"the query took more than {seconds:g} s and was stopped"
    if "not authorized" in error or "prohibited" in error:
        return f"{error}: a query may only read; write one SELECT"
    return error


def same_rows(found: Found, wanted: Found, *, ordered: bool) -> bool:
    """Whether two results hold the same rows, as often each, and in the same order where that counts. Names do not."""
    left, right = ([tuple(map(_plain, row)) for row in r.rows] for r in (found, wanted))
    return left == right if ordered else Counter(left) == Counter(right)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isfinite(value):  # sums differ in their last digits with the order of rows
        return float(f"{value:.9g}")
    return value


def orders(query: str) -> bool:
    """Whether the rows of a query are ordered: not those of a query in brackets within it."""
    depth = 0
    for word in _WORD.findall(query):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if not depth and word[0] in "oO":
            return True
    return False


def sql(files: Callable[[Example], Path], *, seconds: float = 5.0, rows: int = 10_000, target: bool = True) -> Critic:
    """The answer's query returns what the target's does (execution accuracy; Yu et al., arXiv:1809.08887).

    files: the database of an example. The order of rows counts where the target orders them; names of columns do not.
    target: without it the query is asked to run, and nothing more. Raises CheckerError where the target itself does not run.
    """
    by = Rater(kind="code", name="sql", version="target" if target else "runs")

    def judge(path: Path, query: str, wanted: str) -> dict[str, Any]:
        expected = None
        if target:
            try:
                expected = run_query(path, wanted, seconds=seconds, rows=rows)
            except QueryFailed as error:
                return {"broken": f"the target does not run: {error}"}
        try:
            found = run_query(path, query, seconds=seconds, rows=rows)
        except QueryFailed as error:
            return {"passed": False, "message": str(error)}
        if expected is None or same_rows(found, expected, ordered=orders(wanted)):
            return {"passed": True, "message": ""}
        return {"passed": False, "message": f"the query returned {_size(found)}, expected {_size(expected)}"
                + (" with other values" if _size(found) == _size(expected) else "")}  # fmt: skip

    async def ask(rollout: Rollout, ctx: Context) -> Feedback:
        path, query = files(rollout.example), query_of(rollout.output)
        wanted = query_of(str(rollout.example.target)) if target else ""

        async def call() -> bytes:
            return json.dumps(await asyncio.to_thread(judge, path, query, wanted)).encode()

        said = json.loads(await ctx.external("sql", [path.name, query, wanted], call, summary=query[:80]))
        if "broken" in said:
            raise CheckerError(f"example {rollout.example.id}: {said['broken']}")
        return Verdict(passed=said["passed"], message=said["message"], by=by)

    return ask


def _size(found: Found) -> str:
    count = f"more than {len(found.rows)}" if found.more else str(len(found.rows))
    return f"{count} row{'s' * (count != '1')} of {len(found.columns)}"


def sql_tool(path: Path, *, seconds: float = 5.0) -> Tool:
    """A tool that shows what a query returns, tab by tab, or what is wrong with it."""

    async def tool(text: str, ctx: Context) -> str:
        query = query_of(text)

        async def call() -> bytes:
            try:
                found = await asyncio.to_thread(run_query, path, query, seconds=seconds, rows=_SHOWN)
            except QueryFailed as error:
                return f"error: {error}".encode()
            lines = ["\t".join(found.columns), *("\t".join("" if v is None else str(v) for v in row) for row in found.rows)]
            return "\n".join([*lines, *(["..."] if found.more else [])]).encode("utf-8", "replace")

        return (await ctx.external("sql", [path.name, query], call, summary=query[:80])).decode()

    return tool


def sql_parts(section: Section, folder: Path, role: str) -> Parts:
    """kind = "sql" of a task file."""
    path = folder / section.text("database", hint='database = "shop.db"')
    seconds = float(section.number("seconds", 5.0, low=0.0, above=True))
    rows = section.whole("rows", 10_000, low=1)
    if path.is_dir():
        known = databases(sorted(p for p in path.iterdir() if p.is_file()))
        if not known:
            raise section.fail("database", f"{path}: no SQLite database in this folder")
    else:
        known = {"": path}
        if reason := no_database(path):
            raise section.fail("database", reason)

    def file(example: Example) -> Path:
        name = "" if "" in known else str(example.meta.get("database", ""))
        if name not in known:
            raise CheckerError(f"example {example.id}: {_unknown(name, known)}")
        return known[name]

    def problem(example: Example) -> str:
        name = "" if "" in known else str(example.meta.get("database", ""))
        if name not in known:
            return _unknown(name, known)
        if role == "checker" and not isinstance(example.target, str):
            return f'target: kind "sql" expects the right query as text, got {example.target!r:.60}'
        return ""

    return Parts(
        sql(file, seconds=seconds, rows=rows, target=role == "checker"),
        {"database": str(section.data["database"]), "seconds": seconds, "rows": rows},
        problem=problem, files={p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in known.values()}, graded=False,
    )  # fmt: skip


def _unknown(name: str, known: dict[str, Path]) -> str:
    return f"meta.database: expected one of {', '.join(sorted(known))}, got {name!r}"


def databases(paths: Sequence[Path]) -> dict[str, Path]:
    """Those that are SQLite databases, by file name and by its stem."""
    return {name: path for path in paths if not no_database(path) for name in (path.name, path.stem)}


def no_database(path: Path) -> str:
    """Why a file is no SQLite database, or ""."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        return f"{path}: {reason}; {_EXPECTED}"
    return "" if start == b"SQLite format 3\x00" else f"{path}: not a SQLite database; make one with: sqlite3 FILE < tables.sql"
