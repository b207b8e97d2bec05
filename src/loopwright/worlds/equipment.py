"""What a Solver may use of its task when it answers, and nothing else of the task: critics, tools, and the program's files.

``pack`` copies it out of a task folder into an artifact, ``load_equipment`` reads it again. The checker, the examples, their
targets and everything else in the task folder stay where they are.
"""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from loopwright.core.errors import TaskError
from loopwright.core.outputs import make_folder
from loopwright.core.registry import get_recipe
from loopwright.core.world import Critic, Tool
from loopwright.worlds.files import read_critics
from loopwright.worlds.task import TEXT_TOKENS
from loopwright.worlds.toml_file import TomlFile
from loopwright.worlds.tools import TEXT_FILES, read_tools

# The field of a critic's table, by its kind, that names a file or folder; and such fields of [tools].
CRITIC_PATHS = {
    "python": "function", "schema": "file", "sql": "database", "judge": "calibration", "reward-model": "folder",
}  # fmt: skip
TOOL_PATHS = ("search", "sql")
_SKIPPED = ("__pycache__", "node_modules")


@dataclass(frozen=True, slots=True)
class Equipment:
    """The critics and tools of a task, and how many tokens a text of a method's own may take."""

    critics: tuple[Critic, ...]
    tools: Mapping[str, Tool]
    text_tokens: int


@dataclass(slots=True)
class Packed:
    """What was copied out of a task folder: each file by its path there, with what needs it; and what was not, and why."""

    files: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def load_equipment(folder: Path) -> Equipment:
    """The critics and tools of the task in a folder. Nothing else of its task.toml is read, and no examples are.

    Raises TaskError for a mistake in them, and for a path that leads out of the folder.
    """
    file = TomlFile(folder / "task.toml")
    tables = _tables(file)
    for place, path in _paths(tables, file.data.get("tools")):
        if _outside(path):
            raise TaskError(
                str(file.path), f"{place} = {path!r} leads out of the folder; what an artifact uses must lie in it, so this was "
                "made by hand, or changed"
            )  # fmt: skip
    tools, _ = read_tools(file.section("tools"), folder)
    texts = file.section("texts")
    return Equipment(read_critics(file, folder), tools, texts.whole("max_tokens", TEXT_TOKENS, low=1))


def code_of(folder: Path) -> list[str]:
    """What of the critics of the task in a folder is Python code, or a model's weights, as it is named there. Runs none of it."""
    found = []
    for table in _tables(TomlFile(folder / "task.toml")):
        kind = str(table.get("kind", ""))
        if kind in ("python", "reward-model"):
            found.append(f"critic {kind}: {table.get(CRITIC_PATHS[kind])}")
        elif ":" in kind:
            found.append(f"critic {kind}")
    return found


def pack(task: Path, solver: Mapping[str, Any], into: Path, *, text_tokens: int, carries: tuple[str, ...] = ()) -> Packed:
    """Copy what a Solver needs of a task.

    Args:
        task: the task's folder, or the path of its task file.
        solver: {recipe, options}; critics and tools are taken where its card says that it needs them.
        into: a folder that is made.
        text_tokens: for the ``[texts]`` of what is written.
        carries: files and folders that the task says its program reads (``[artifact] files``).

    Returns:
        What was taken, and what was not: links, what lies outside the folder, and the file of the examples.
    """
    file = TomlFile(task / "task.toml" if task.is_dir() else task)
    folder = file.path.parent.resolve()
    about = file.data.get("examples")
    examples = about.get("file") if isinstance(about, dict) else None
    take = _Taker(folder, into, (folder / str(examples)).resolve() if examples else None)
    recipe = get_recipe(str(solver["recipe"]))
    module = str(solver["recipe"]).rpartition(":")[0]
    if module:
        take.code(f"{module.removesuffix('.py').replace('.', '/')}", "the program")
    tables = _tables(file) if "critic" in recipe.card.needs else []
    critics = [table for i, table in enumerate(tables, 1) if take.named(_critic_path(table), f"critic {i} ({table.get('kind')})")]
    for table in critics:
        if ":" in str(table.get("kind")):
            take.code(str(table["kind"]).rpartition(":")[0].removesuffix(".py").replace(".", "/"), "a critic")
    tools = dict(file.data.get("tools") or {}) if {"tools", "search"} & set(recipe.card.needs) else {}
    for name in TOOL_PATHS:
        if name in tools and not take.named(str(tools[name]), f"the tool {name}", texts=name == "search"):
            del tools[name]
    for name in carries:
        take.named(name, "[artifact] files")
    written = {"name": str(file.data.get("name", "")), "texts": {"max_tokens": text_tokens}}
    make_folder(into)
    text = tomli_w.dumps({**written, **({"critics": critics} if critics else {}), **({"tools": tools} if tools else {})})
    (into / "task.toml").write_text(text, encoding="utf-8")
    take.done.files["task.toml"] = "[texts]" + (", [[critics]]" if critics else "") + (", [tools]" if tools else "") + " alone"
    return take.done


# ---- what there is --------------------------------------------------------------------------------------------------


def _tables(file: TomlFile) -> list[dict[str, Any]]:
    tables = file.data.get("critics", [])
    return [t for t in tables if isinstance(t, dict)] if isinstance(tables, list) else []


def _critic_path(table: Mapping[str, Any]) -> str:
    """The file or folder that a critic's table names; "" for none."""
    value = table.get(CRITIC_PATHS.get(str(table.get("kind")), ""), "")
    if table.get("kind") != "python" or not isinstance(value, str):
        return value if isinstance(value, str) else ""
    path = value.rpartition(":")[0]
    return path if path.endswith(".py") else f"{path}.py"


def _paths(tables: list[dict[str, Any]], tools: object) -> Iterator[tuple[str, str]]:
    for table in tables:
        if path := _critic_path(table):
            yield f"[[critics]] {CRITIC_PATHS[str(table['kind'])]}", path
    for name in TOOL_PATHS:
        if isinstance(tools, dict) and isinstance(tools.get(name), str):
            yield f"[tools] {name}", tools[name]


def _outside(path: str) -> bool:
    return path.startswith(("/", "~")) or ".." in Path(path).parts or "\0" in path


# ---- taking ---------------------------------------------------------------------------------------------------------


class _Taker:
    """Copies files of a folder to the same place in another; never through a link, from outside, or the examples."""

    def __init__(self, folder: Path, into: Path, examples: Path | None) -> None:
        self.folder = folder
        self.into = into
        self.examples = examples
        self.done = Packed()

    def named(self, path: str, why: str, *, texts: bool = False) -> bool:
        """A file or folder that the task names. False where it could not be taken. texts: of a folder only the text files."""
        if not path:
            return True
        place = self.folder / path
        if _outside(path) or not place.resolve().is_relative_to(self.folder):
            self.done.left.append(f"{path}, which {why} names: it lies outside the task's folder")
            return False
        if path.endswith(".py"):
            return self.code(path.removesuffix(".py"), why)
        if not place.is_dir() or place.is_symlink():
            return self._file(place, why)
        for inside in _walk(place):
            if not texts or inside.suffix.lower() in TEXT_FILES or inside.is_symlink():
                self._file(inside, why)
        return True

    def code(self, name: str, why: str) -> bool:
        """A module by its path without .py, and all that it imports of the folder."""
        top = self.folder / name.split("/")[0]
        if not name or _outside(name):
            return False
        if top.is_dir() and not top.is_symlink():
            files = [path for path in _walk(top) if path.suffix == ".py"]
        else:
            file = self.folder / f"{name}.py"
            files = [file] if os.path.lexists(file) else []
        taken = False
        for file in files:
            known = file.relative_to(self.folder).as_posix() in self.done.files
            taken = (known or self._file(file, why)) or taken
            if not known and file.is_file() and not file.is_symlink():
                for imported in _imports(file):
                    self.code(imported.replace(".", "/"), f"{file.relative_to(self.folder).as_posix()}, which imports it")
        return taken

    def _file(self, path: Path, why: str) -> bool:
        name = path.relative_to(self.folder).as_posix()
        if name in self.done.files:
            return True
        if any(part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(self.folder) and part != self.folder):
            self.done.left.append(f"{name}, for {why}: it is a link, or lies behind one")
            return False
        if path.resolve() == self.examples:
            self.done.left.append(f"{name}, for {why}: it holds the examples with their targets")
            return False
        if not path.is_file():
            self.done.left.append(f"{name}, for {why}: it is no file")
            return False
        target = self.into / name
        make_folder(target.parent)
        with path.open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        self.done.files[name] = why
        return True


def _walk(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder, but for hidden ones and what Python keeps for itself; no link is followed."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _SKIPPED:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _imports(file: Path) -> set[str]:
    """Modules that a file imports, anywhere in it, by their names with dots; of a package, what is relative is in it already."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found

