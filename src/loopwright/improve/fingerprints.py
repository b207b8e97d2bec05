"""Fingerprints of the code that a run depends on and that is not Loopwright's: recipes, programs, checkers and what they import.

Files of the user's own (beside the task, or on Python's path) are followed through their imports and known by their bytes, and
by the syntax of every function, so that a change of comments or layout is told from one that matters and the function that
changed is named. Installed packages are known by their name and version, Loopwright and Python by their versions.

What has no file (a recipe written in a notebook) is known by its source where Python still has it, else by its bytecode. What
cannot be seen is named as such: values of a closure that are no plain data, and whatever code loads by itself at run time.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from loopwright.core.beside import module_named
from loopwright.core.registry import Recipe

_MOST = 500  # files that imports are followed to
_LARGEST = 64 << 20  # bytes of a data file; a larger one is known by its size
_OWN = "loopwright"
_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_FOLDERS = frozenset({"out", "__pycache__", "node_modules", "site-packages"})


@dataclass
class Code:
    """What a run's code is made of, as plain data.

    files: of the user's own, by name (in the task's folder, else absolute): hash of the bytes under ``bytes``, and hashes of the
    syntax by function under ``parts``. functions: recipes without a file, by address. data: hashes of the other files in the
    task's folder that the code or ``task.toml`` names. packages: versions by name. unseen: what no fingerprint covers, in words.
    """

    files: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    version: str = ""
    python: str = ""

    def spec(self) -> dict[str, Any]:
        """Plain JSON: what a run records."""
        return {name: value for name, value in vars(self).items() if value}


def fingerprint(
    version: str, folder: Path | None, recipes: Mapping[str, Recipe], files: Iterable[Path] = ()
) -> Code:
    """The fingerprint of what a run depends on.

    Args:
        version: of Loopwright.
        folder: of the task, or None for a world by name.
        recipes: and programs, by what they are called in messages.
        files: Python files that are run in a process of their own, such as a checker's.

    Returns:
        The fingerprints; ``spec`` is what a run records of them.
    """
    code = Code(version=version, python=f"{sys.version_info[0]}.{sys.version_info[1]}")
    folder = folder.resolve() if folder is not None else None
    todo = [path.resolve() for path in files]
    for name, recipe in recipes.items():
        path = _file_of(recipe)
        if path is None:
            code.functions[name], unseen = by_itself(recipe.function)
            code.unseen += [f"{name}: {what}" for what in unseen]
        elif (package := _package_of(path)) is not None:
            code.packages.update(package)
        else:
            todo.append(path)
            if not path.is_relative_to(_own_folder()) and Path(recipe.function.__code__.co_filename).resolve() == path:
                values, unseen = _bound(recipe.function)
                if values:
                    code.functions[name] = _short(values)
                code.unseen += [f"{name}: {what}" for what in unseen]
    texts = _follow(code, folder, todo)
    if folder is not None:
        _data(code, folder, texts)
    code.packages = dict(sorted(code.packages.items()))
    return code


def _follow(code: Code, folder: Path | None, todo: list[Path]) -> list[str]:
    """Fill in the files and packages that these files are made of; returns the files' texts."""
    seen: set[Path] = set()
    texts = []
    while todo and len(seen) < _MOST:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        name = _name(path, folder)
        try:
            raw = path.read_bytes()
        except OSError as error:
            code.unseen.append(f"{name} ({error.strerror})")
            continue
        try:
            tree = ast.parse(raw)
        except (SyntaxError, ValueError):
            code.files[name] = {"bytes": _short(raw)}
            continue
        code.files[name] = {"bytes": _short(raw), "parts": dict(sorted(parts(tree).items()))}
        texts.append(raw.decode("utf-8", "replace"))
        if path.is_relative_to(_own_folder()):
            continue  # of our recipes the file alone
        for found in imported(tree, path, folder):
            if isinstance(found, Path):
                todo.append(found)
            else:
                code.packages.update(_version_of(found))
    if todo:
        code.unseen.append(f"imports beyond the first {_MOST} files")
    return texts


def _name(path: Path, folder: Path | None) -> str:
    """A file's name that stays when the whole project is moved: below the task's folder, else below its place on the path."""
    places = ([folder] if folder is not None else []) + [_own_folder().parent, *_own_places()]
    return next((path.relative_to(p).as_posix() for p in places if path.is_relative_to(p)), str(path))


def parts(tree: ast.Module) -> dict[str, str]:
    """Hashes of a file's syntax, without comments and layout: of each function and method by name, of the rest under ""."""
    found: dict[str, str] = {}
    rest: list[str] = []

    def add(name: str, dump: str) -> None:
        found[name] = _short(found[name] + dump if name in found else dump)  # a function that is defined twice

    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            add(node.name, ast.dump(node))
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    add(f"{node.name}.{inner.name}", ast.dump(inner))
            methods = (ast.FunctionDef, ast.AsyncFunctionDef)
            head = [ast.dump(n) for n in (*node.bases, *node.keywords, *node.decorator_list)]
            add(node.name, "\n".join([*head, *(ast.dump(n) for n in node.body if not isinstance(n, methods))]))
        else:
            rest.append(ast.dump(node))
    return {**found, "": _short("\n".join(rest))}


def imported(tree: ast.Module, path: Path, folder: Path | None) -> Iterator[Path | str]:
    """What a file imports, anywhere in it: the user's own files, and the first name of everything else."""
    top = path.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    places = list(dict.fromkeys([path.parent, top, *([folder] if folder is not None else []), *_own_places()]))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parent
            for _ in range(node.level - 1):
                base = base.parent
            yield from _modules([base], [node.module] if node.module else [], [a.name for a in node.names])
            continue
        if isinstance(node, ast.ImportFrom):
            names = [(node.module or "", [a.name for a in node.names])]
        elif isinstance(node, ast.Import):
            names = [(a.name, []) for a in node.names]
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            first = node.args[0]
            names = [(first.value, [])] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        else:
            continue
        for name, inside in names:
            if name.partition(".")[0] == _OWN:
                continue  # known by its version
            own = list(_modules(places, [name], inside))
            yield from own
            if name and not own:
                yield name.partition(".")[0]


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""


def _modules(places: Iterable[Path], names: list[str], inside: list[str]) -> Iterator[Path]:
    """The files of ``a.b`` in the first place that has it: every package on the way, and those named inside the last."""
    steps = names[0].split(".") if names else []
    for place in places:
        at, found = place, []
        for step in steps:
            at = at / step
            own = next((f for f in (at / "__init__.py", at.with_suffix(".py")) if f.is_file()), None)
            if own is None and not at.is_dir():
                break
            found += [own] if own is not None else []
        else:
            last = [f for name in inside for f in (at / f"{name}.py", at / name / "__init__.py") if f.is_file()]
            if found or last:
                yield from (f.resolve() for f in [*found, *last] if not _installed(f))
                return


def _data(code: Code, folder: Path, texts: list[str]) -> None:
    """Fill in the files of the folder, no code, that the code or ``task.toml`` names."""
    toml = folder / "task.toml"
    written = toml.read_text("utf-8", "replace") if toml.is_file() else ""
    words = set(re.findall(r"[\w.-]+", " ".join([*texts, written])))
    try:
        examples = tomllib.loads(written).get("examples", {}).get("file", "")  # these are compared one by one
    except (tomllib.TOMLDecodeError, AttributeError):
        examples = ""
    spaced = "\n".join([*texts, written])

    def named(name: str) -> bool:
        return name in words or (not re.fullmatch(r"[\w.-]+", name) and name in spaced)

    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _FOLDERS)
        for link in (Path(place, f) for f in folders if named(f)):
            if link.is_symlink():  # it may lead anywhere, so what is in it is not read
                code.unseen.append(f"files in {link.relative_to(folder).as_posix()}, a link to a folder")
        for path in (Path(place, name) for name in sorted(names) if named(name)):
            inside = path.relative_to(folder).as_posix()
            if path.suffix == ".py" or inside in ("task.toml", examples) or not path.is_file():
                continue
            if path.name.startswith("."):  # such as .env: a hash of what is secret is not kept
                code.unseen.append(f"{inside}, a hidden file")
                continue
            try:
                size = path.stat().st_size
                code.data[inside] = _short(path.read_bytes()) if size <= _LARGEST else f"{size} bytes"
            except OSError as error:
                code.unseen.append(f"{inside} ({error.strerror})")


# ---- what has no file -------------------------------------------------------------------------------------------------


def by_itself(function: Callable[..., Any]) -> tuple[str, list[str]]:
    """The fingerprint of a function that is in no file, such as a notebook's, and what of it cannot be seen."""
    unseen: list[str] = []
    return _short(repr(_known(function, unseen, {}))), unseen


def _known(function: Any, unseen: list[str], seen: dict[int, int]) -> Any:
    """Plain data that is the same for a function that does the same."""
    function = inspect.unwrap(function)
    if id(function) in seen:
        return seen[id(function)]
    seen[id(function)] = len(seen)
    try:
        body: Any = ast.dump(ast.parse(inspect.cleandoc("\n" + inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError):
        body = _bytecode(function.__code__)
    values, hidden = _bound(function)
    unseen += hidden
    used = []
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            used.append((name, _known(value, unseen, seen)))
        elif isinstance(value, _PLAIN) and value is not None:
            used.append((name, repr(value)))
    return body, values, used


def _bytecode(code: types.CodeType) -> Any:
    constants = [_bytecode(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return code.co_code.hex(), code.co_names, code.co_varnames, constants


def _names(code: types.CodeType) -> set[str]:
    """Every name that a function, and those inside it, look up."""
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _bound(function: Any) -> tuple[str, list[str]]:
    """The plain values that a function was made with (its closure), as text, and the names of those that are not plain."""
    plain, hidden = [], []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        if _is_plain(value):
            plain.append(f"{name}={value!r}")
        elif not inspect.isfunction(value) and not inspect.isclass(value):
            hidden.append(f"{name} in its closure, of type {type(value).__name__}")
    return ";".join(plain), hidden


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list | frozenset):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    return isinstance(value, _PLAIN)


# ---- where things are -------------------------------------------------------------------------------------------------


def _file_of(recipe: Recipe) -> Path | None:
    """The file that a recipe is written in; None where there is none, as in a notebook or a shell."""
    path = Path(inspect.unwrap(recipe.function).__code__.co_filename)
    if path.is_file() and path.resolve().is_relative_to(_own_folder()):  # a program's function is called by one of ours
        path = Path(getattr(module_named(recipe.module), "__file__", None) or path)
    return path.resolve() if path.is_file() and path.suffix == ".py" else None


@cache
def _own_folder() -> Path:
    return Path(__file__).resolve().parents[1]


@cache
def _library() -> tuple[Path, ...]:
    named = sysconfig.get_paths()
    return tuple({Path(named[k]).resolve() for k in ("stdlib", "platstdlib", "purelib", "platlib")})


def _installed(path: Path) -> bool:
    path = path.resolve()
    return "site-packages" in path.parts or "dist-packages" in path.parts or any(path.is_relative_to(p) for p in _library())


def _own_places() -> list[Path]:
    """Folders on Python's path that hold nothing installed, such as the one that a program was started in."""
    found = [Path(place or ".").resolve() for place in sys.path]
    return [p for p in found if p.is_dir() and not _installed(p) and p != _own_folder().parent]


def _package_of(path: Path) -> dict[str, str] | None:
    """The installed package that a file belongs to; None for a file of the user's own, and for a recipe of Loopwright's."""
    if not _installed(path):
        return None
    at = next((i for i, part in enumerate(path.parts) if part in ("site-packages", "dist-packages")), None)
    return _version_of(Path(path.parts[at + 1]).stem) if at is not None else {}


@cache
def _version_of(top: str) -> dict[str, str]:
    """Name and version of the installed package that a module belongs to; {} for Python's own modules, and for Loopwright."""
    if top in sys.stdlib_module_names or top == _OWN:
        return {}
    try:
        return {top: metadata.version(top)}
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(top, [])
    if names:
        return {name: metadata.version(name) for name in sorted(set(names))}
    return {} if top in sys.builtin_module_names or _is_there(top) else {top: "not installed"}


def _is_there(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _short(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:20]
