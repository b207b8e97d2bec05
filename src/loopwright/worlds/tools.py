"""What a Solver may call by name: python, search, calculator, sql. Each takes text and gives text; mistakes are text too."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from loopwright.core.errors import InputError, TaskError
from loopwright.core.fences import code_in
from loopwright.core.types import digest
from loopwright.core.world import Tool
from loopwright.critics.section import Section
from loopwright.critics.sql import no_database, sql_tool
from loopwright.worlds.calculator import calculate

if TYPE_CHECKING:
    from loopwright.core.context import Context

_PASSAGE_WORDS = 120
_OUTPUT_CHARS = 4000
TEXT_FILES = (".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".html", ".toml", ".yaml", ".yml", ".py")


def read_tools(section: Section, folder: Path) -> tuple[dict[str, Tool], dict[str, JsonValue]]:
    """The tools of a ``[tools]`` table, and what a run records of them."""
    tools: dict[str, Tool] = {}
    specs: dict[str, JsonValue] = {}
    if section.flag("python", False):
        tools["python"], specs["python"] = python, True
    if section.flag("calculator", False):
        tools["calculator"], specs["calculator"] = calculator, True
    top = section.whole("top", 3, low=1)
    if section.has("search"):
        path = folder / section.text("search", hint='search = "docs"')
        if not path.is_dir():
            raise section.fail("search", f"{path}: no such folder; expected one with text files")
        try:
            passages = read_passages(path)
        except TaskError as error:
            raise section.fail("search", str(error)) from None
        if not passages:
            raise section.fail("search", f"{path}: no text in it; expected files ending in {', '.join(TEXT_FILES)}")
        tools["search"] = searcher(passages, top=top)
        specs["search"] = {"top": top, "passages": len(passages), "hash": digest([list(p) for p in passages])}
    if section.has("sql"):
        path = folder / section.text("sql", hint='sql = "shop.db"')
        if problem := no_database(path):
            raise section.fail("sql", problem)
        tools["sql"] = sql_tool(path)
        specs["sql"] = {"hash": hashlib.sha256(path.read_bytes()).hexdigest()}
    section.close()
    return tools, specs


async def python(text: str, ctx: Context) -> str:
    """What Python code prints, run in the sandbox; a fenced block is taken out of its fence."""
    outcome = await ctx.run(code_in(text, ("python", "py", "python3")))
    said = str(outcome["stdout"])[:_OUTPUT_CHARS]
    if outcome["status"] == "ok":
        return said or "(no output; use print)"
    last = (str(outcome["stderr"]).strip().splitlines() or [""])[-1]
    return f"{said}\n{outcome['status']}: {last}"[:_OUTPUT_CHARS].strip()


async def calculator(text: str, ctx: Context) -> str:
    """The value of an arithmetic expression, or what is wrong with it."""
    try:
        return calculate(text)
    except ValueError as error:
        return f"error: {error}"


def read_passages(folder: Path) -> list[tuple[str, str]]:
    """(file name, passage) of all text files below a folder, in the order of their names. Raises TaskError."""
    passages: list[tuple[str, str]] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in TEXT_FILES and p.is_file()):
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise TaskError(str(path), f"not UTF-8 at byte {error.start}; save the file with UTF-8 encoding") from None
        name = path.relative_to(folder).as_posix()
        words: list[str] = []
        for paragraph in re.split(r"\n\s*\n", text):
            new = paragraph.split()
            if words and len(words) + len(new) > _PASSAGE_WORDS:
                passages.append((name, " ".join(words)))
                words = []
            words += new
            while len(words) > _PASSAGE_WORDS:
                passages.append((name, " ".join(words[:_PASSAGE_WORDS])))
                words = words[_PASSAGE_WORDS:]
        if words:
            passages.append((name, " ".join(words)))
    return passages


def searcher(passages: Sequence[tuple[str, str]], *, top: int = 3) -> Tool:
    """The ``top`` passages with the best BM25 score for the words of a query; any of the words may match.

    Raises InputError for no passages at all: a search that can find nothing would look like documents that say nothing.
    """
    if not passages:
        raise InputError("search: expected passages to look in, got none; give it a folder with text files in it")
    lock = threading.Lock()
    database: list[sqlite3.Connection] = []

    def index() -> sqlite3.Connection:
        if not database:
            made = sqlite3.connect(":memory:", check_same_thread=False)
            made.execute("CREATE VIRTUAL TABLE passage USING fts5(name, body, tokenize = 'porter unicode61')")
            made.executemany("INSERT INTO passage (name, body) VALUES (?, ?)", passages)
            database.append(made)
        return database[0]

    async def search(text: str, ctx: Context) -> str:
        words = sorted(set(re.findall(r"\w+", text.casefold())))
        if not words:
            return "error: the query holds no word"
        # Quoted, or a word such as NEAR would be read as part of SQLite's query language.
        query = " OR ".join(f'"{word}"' for word in words[:64])
        with lock:
            rows = index().execute(
                "SELECT name, body FROM passage WHERE passage MATCH ? ORDER BY bm25(passage), rowid LIMIT ?", (query, top)
            )
            found = [f"[{name}] {body}" for name, body in rows]
        return "\n\n".join(found) or "nothing found"

    return search
