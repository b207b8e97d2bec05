"""Python files that lie beside a task file, found by name: ``prog:route`` or ``prog.py:route`` in the folder of ``task.toml``.

They need not be installed, and need not be on Python's path. Two tasks may each have a ``prog.py``; a run has that of its own, as
it was when the run began.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from loopwright.core.errors import NotAllowed


@dataclass(frozen=True, slots=True)
class _Loaded:
    module: ModuleType
    files: dict[Path, str]  # what it is made of, with their hashes


@dataclass(frozen=True, slots=True)
class _Beside:
    """What one run has found in its folder."""

    folder: Path
    found: dict[Path, _Loaded] = field(default_factory=dict)


_CURRENT: ContextVar[_Beside | None] = ContextVar("beside", default=None)
_CLOSED: ContextVar[bool] = ContextVar("closed", default=False)
_NEWEST: dict[Path, _Loaded] = {}  # by file, of this process


def use_folder(folder: Path | None) -> None:
    """From here on, in this thread or asyncio task and those it starts, names are looked up in this folder first."""
    _CURRENT.set(_Beside(folder.resolve()) if folder is not None else None)


@contextmanager
def without_modules() -> Iterator[None]:
    """Inside, in this thread or asyncio task and those it starts, no module but our own is loaded because data names it."""
    token = _CLOSED.set(True)
    try:
        yield
    finally:
        _CLOSED.reset(token)


def module_named(name: str) -> ModuleType:
    """The module ``name``: the file ``name.py`` beside the task (``name`` may end in .py), else as Python imports it.

    Raises what importing raises, and NotAllowed inside ``without_modules``.
    """
    if _CLOSED.get() and not name.startswith("loopwright."):
        raise NotAllowed(f"the Python module {name!r} would run with your rights, and nobody said that it may; see --trust")
    found = _found(name)
    if found is not None:
        return found.module
    beside = _CURRENT.get()
    if beside is not None and (beside.folder / name.partition(".")[0]).is_dir() and str(beside.folder) not in sys.path:
        sys.path.append(str(beside.folder))  # a package beside the task; last, so that nothing installed is hidden by it
    return importlib.import_module(name)


def files_of(name: str) -> dict[str, str]:
    """SHA-256 (hex) of the files beside the task that ``module_named(name)`` is made of, by name; none of an installed module."""
    found, beside = _found(name), _CURRENT.get()
    if found is None or beside is None:
        return {}
    return {path.relative_to(beside.folder).as_posix(): hashed for path, hashed in found.files.items()}


def names_beside() -> list[str]:
    """What there is to name: the Python files of the folder."""
    beside = _CURRENT.get()
    return sorted(path.stem for path in beside.folder.glob("*.py")) if beside is not None else []


def _found(name: str) -> _Loaded | None:
    beside = _CURRENT.get()
    if beside is None or not (name.endswith(".py") or name.isidentifier()):
        return None
    path = (beside.folder / (name if name.endswith(".py") else f"{name}.py")).resolve()
    if not path.is_relative_to(beside.folder) or not path.is_file():
        return None
    if path not in beside.found:
        known = _NEWEST.get(path)
        same = known is not None and all(p.is_file() and _hash(p) == h for p, h in known.files.items())
        if known is None or not same:
            known = _NEWEST[path] = _load(path, beside.folder)
        beside.found[path] = known
    return beside.found[path]


def _load(path: Path, folder: Path) -> _Loaded:
    # What has its name, or the name of a file beside it, was left by another task or by an older version of this one.
    ours = {found for known in _NEWEST.values() for found in known.files}
    for name in [n for n, m in list(sys.modules.items()) if _source(m) in ours and (path.parent / f"{n}.py").is_file()]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module, before = importlib.util.module_from_spec(spec), set(sys.modules)
    installed = sys.modules.get(path.stem)
    sys.modules[path.stem] = module  # dataclasses and pickles look for it there
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    finally:
        sys.path.remove(str(path.parent))
        if installed is not None:  # others go on importing that one
            sys.modules[path.stem] = installed
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for what its functions import when they are called
    made = {source for n in {*sys.modules} - before if (source := _source(sys.modules[n])) is not None}
    files = {path, *(source for source in made if source.is_relative_to(folder))}
    return _Loaded(module, {file: _hash(file) for file in sorted(files)})


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source(module: object) -> Path | None:
    # Not by getattr: a module that loads on first use would be loaded by it.
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:
        return None
    return Path(file).resolve() if isinstance(file, str) else None
