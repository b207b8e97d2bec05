"""SQL in an answer: run where it can only read, and compared by what it returns with what the right query returns."""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import CheckerError
from loopwright.core.feedback import Feedback, Rater, Verdict
from loopwright.core.fences import code_in
from loopwright.core.types import Example, Rollout
from loopwright.core.world import Critic, Tool
from loopwright.critics.limited import Limited
from loopwright.critics.limited.query import QueryFailed, late
from loopwright.critics.parts import Parts
from loopwright.critics.section import Section
from loopwright.critics.worker import CallFailed, TookTooLong

if TYPE_CHECKING:
    from loopwright.core.context import Context

_WORD = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[()]|\border\s+by\b", re.IGNORECASE)  # quoted text, a bracket, or what orders
_SHOWN = 50  # rows that a tool shows
_EXPECTED = "expected a SQLite database"
_MEMORY_MB = 768  # of the process that runs queries: SQLite's own share, the rows, and the interpreter
_TARGETS = 4096  # results that are known by their hashes
_queries = Limited("query", "run", memory_mb=_MEMORY_MB)


@dataclass(frozen=True, slots=True)
class Found:
    """What a query returned. more: whether there were more rows than were wanted."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Result:
    """What tells one result from another. ordered, any: hashes of its rows as they came, and of them sorted."""

    columns: int
    rows: int
    more: bool
    ordered: str
    any: str

    def same(self, other: _Result, *, ordered: bool) -> bool:
        """Whether two results hold the same rows, as often each, and in the same order where that counts. Names do not."""
        return self.more is other.more and (self.ordered == other.ordered if ordered else self.any == other.any)


def query_of(output: str) -> str:
    """The query in an answer: its last fenced block in SQL, else its last block, else all of it, without thinking."""
    return code_in(output, ("sql", "sqlite", "sqlite3")).strip().rstrip(";").strip()


async def _ask(path: Path, query: str, give: str, *, seconds: float, rows: int) -> dict[str, Any]:
    """Raises QueryFailed, CheckerError for a file that is no database."""
    if not query:
        raise QueryFailed("there is no query in the answer")
    try:
        said = await _queries.call(str(path.absolute()), query, rows, seconds, give, seconds=seconds)
    except TookTooLong:
        raise QueryFailed(late(seconds)) from None
    except CallFailed as error:  # the process died, most likely of its memory limit
        raise QueryFailed(f"the query ended the process that ran it ({error}); its limit is {_MEMORY_MB} MB") from None
    return _checked(path, said)


def _checked(path: Path, said: dict[str, Any]) -> dict[str, Any]:
    if "broken" in said:
        raise CheckerError(f"{path}: {said['broken']}; {_EXPECTED}")
    if "failed" in said:
        raise QueryFailed(said["failed"])
    return said


async def run_query(path: Path, query: str, *, seconds: float = 5.0, rows: int = 10_000) -> Found:
    """Run one SELECT in a process with limits of time and memory, where it can only read.

    Args:
        path: A SQLite database.
        query: The SELECT.
        seconds: Wall clock; beyond it the query is stopped, whatever it is doing.
        rows: How many rows are read.

    Returns:
        Columns and rows.

    Raises:
        QueryFailed: SQL that is wrong, does more than read, or takes too long or too much.
        CheckerError: The file is no database.
    """
    said = await _ask(path, query, "rows", seconds=seconds, rows=rows)
    values = (tuple(bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for v in row) for row in said["rows"])
    return Found(tuple(said["columns"]), tuple(values), said["more"])


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

    known: OrderedDict[tuple[str, int, str], _Result] = OrderedDict()

    async def result(path: Path, query: str) -> _Result:
        return _Result(**await _ask(path, query, "hash", seconds=seconds, rows=rows))

    async def wanted_of(path: Path, query: str) -> _Result:
        try:
            key = (str(path), path.stat().st_mtime_ns, query)
        except OSError as error:
            raise CheckerError(f"{path}: {error.strerror}; {_EXPECTED}") from None
        if key not in known:
            known[key] = await result(path, query)
            while len(known) > _TARGETS:
                known.popitem(last=False)
        return known[key]

    async def judge(path: Path, query: str, wanted: str) -> dict[str, Any]:
        expected = None
        if target:
            try:
                expected = await wanted_of(path, wanted)
            except QueryFailed as error:
                return {"broken": f"the target does not run: {error}"}
        try:
            found = await result(path, query)
        except QueryFailed as error:
            return {"passed": False, "message": str(error)}
        if expected is None or found.same(expected, ordered=orders(wanted)):
            return {"passed": True, "message": ""}
        return {"passed": False, "message": f"the query returned {_size(found)}, expected {_size(expected)}"
                + (" with other values" if _size(found) == _size(expected) else "")}  # fmt: skip

    async def ask(rollout: Rollout, ctx: Context) -> Feedback:
        path, query = files(rollout.example), query_of(rollout.output)
        wanted = query_of(str(rollout.example.target)) if target else ""

        async def call() -> bytes:
            return json.dumps(await judge(path, query, wanted)).encode()

        said = json.loads(await ctx.external("sql", [path.name, query, wanted], call, summary=query[:80]))
        if "broken" in said:
            raise CheckerError(f"example {rollout.example.id}: {said['broken']}")
        return Verdict(passed=said["passed"], message=said["message"], by=by)

    return ask


def _size(found: _Result) -> str:
    count = f"more than {found.rows}" if found.more else str(found.rows)
    return f"{count} row{'s' * (count != '1')} of {found.columns}"


def sql_tool(path: Path, *, seconds: float = 5.0) -> Tool:
    """A tool that shows what a query returns, tab by tab, or what is wrong with it."""

    async def tool(text: str, ctx: Context) -> str:
        query = query_of(text)

        async def call() -> bytes:
            try:
                said = await _ask(path, query, "lines", seconds=seconds, rows=_SHOWN)
            except QueryFailed as error:
                return f"error: {error}".encode()
            return str(said["text"]).encode("utf-8", "replace")

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
