"""The check that a recipe keeps its hands off held-out examples: in what it says, in what it can reach, and in what it does.

A recipe runs in the process that judges it, so no attribute that is missing keeps it from what it is set on seeing. What keeps
it is that it is found out: here, on a toy whose held-out examples note whoever looks at them.
"""

from __future__ import annotations

import ast
import inspect
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from loopwright.checks.bench import Bench, KillableStore, Killed
from loopwright.checks.suite import Failed, check
from loopwright.checks.toy import GuardedWorld, ToyWorld, Trapped, looking
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import LoopwrightError
from loopwright.core.facade import REFUSALS
from loopwright.core.registry import Recipe
from loopwright.core.scope import Scope
from loopwright.core.types import Budget, Candidate, Example
from loopwright.store.memory import MemoryStore

# Attributes of frames, functions and objects that lead to what a recipe was not given.
_REACHING = frozenset({
    "cr_frame", "cr_await", "gi_frame", "ag_frame", "ag_await", "tb_frame", "f_back", "f_locals", "f_globals", "f_builtins",
    "__globals__", "__closure__", "__self__", "__func__", "__dict__", "__subclasses__", "__mro__", "__bases__", "__wrapped__",
    "__getattribute__", "__builtins__", "__loader__", "__spec__", "cell_contents", "get_objects", "get_referrers",
    "get_referents", "currentframe", "_getframe", "_current_frames", "all_tasks", "current_task", "get_coro", "get_stack",
})  # fmt: skip
_MODULES = frozenset({
    "gc", "inspect", "sys", "ctypes", "traceback", "linecache", "tracemalloc", "weakref", "builtins", "importlib", "pkgutil",
    "runpy",
    "pathlib", "io", "glob", "shutil", "tempfile", "fileinput", "mmap", "sqlite3", "sqlalchemy", "pickle", "shelve", "marshal",
})  # fmt: skip
# Parts of Loopwright that hold the run or read its store; a recipe needs none of them.
_OURS = ("core.engine", "core.facade", "core.loop", "core.past", "core.scope", "store", "improve", "worlds.files", "checks")
_BUILTINS = frozenset({"vars", "locals", "breakpoint", "memoryview"})
_MOST = 20_000  # objects that a walk looks at


@check("solver", "critic", "improver")
def held_out_stays_hidden(recipe: Recipe) -> str:
    """It looks at no gate or test example, and reaches neither engine nor store: not by attributes, frames, modules or files."""
    if found := sorted(set(_said(recipe))):
        raise Failed("; ".join(f"line {line}: {what}" for line, what in found[:5]))
    noted: list[str] = []
    looked = _reached(recipe, noted)
    bench = Bench(recipe, seed=2, world=partial(GuardedWorld, noted=noted), store=_Guarded(noted), examples=4)
    token = REFUSALS.set(noted)
    ended = ""
    try:
        bench.run()
    except (Killed, Exception) as error:  # what it does else is for other checks
        ended = f"; it ended early, by {type(error).__name__}: {error}"
    finally:
        REFUSALS.reset(token)
    if noted:
        raise Failed(f"it tried to see what no recipe is shown: {'; '.join(dict.fromkeys(noted))}")
    return f"{looked} objects within its reach, none of them held out{ended}"


class _Guarded(KillableStore):
    """A store that notes who reads what a run recorded while it goes on. The engine itself reads it before."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__()
        self.noted: list[str] | None = noted

    def __getattribute__(self, name: str) -> Any:
        if name in ("rollouts", "candidates", "feedback", "events", "runs", "told_rollouts"):
            noted = object.__getattribute__(self, "__dict__").get("noted")
            if noted is not None and not _ours():
                noted.append(f"what the store holds ({name})")
        return super().__getattribute__(name)


def _ours() -> bool:
    """Whether the core or the bench reads, and not code that a recipe brought."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
    name = str(caller.f_globals.get("__name__", "")) if caller is not None else ""
    return name.startswith(("loopwright.core.", "loopwright.checks.", "loopwright.store."))


# ---- what it says -----------------------------------------------------------------------------------------------------


def _said(recipe: Recipe) -> Iterator[tuple[int, str]]:
    """Lines of the recipe's file that lead around what it is given."""
    path = inspect.getsourcefile(recipe.function)
    if path is None:
        raise Failed("the source of this recipe cannot be read")
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            if isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{a.name}" for a in node.names]
            for name in names:
                if name.partition(".")[0] in _MODULES or any(_within(name, f"loopwright.{part}") for part in _OURS):
                    yield node.lineno, f"imports {name}, by which held-out examples can be reached"
                    break
        elif isinstance(node, ast.Attribute) and node.attr in _REACHING:
            yield node.lineno, f"{ast.unparse(node)} leads behind what it is given"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _REACHING:
            yield node.lineno, f"names {node.value!r}, which leads behind what it is given"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BUILTINS:
            yield node.lineno, f"calls {node.func.id}(), by which held-out examples can be reached"


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


# ---- what it can reach ------------------------------------------------------------------------------------------------


def _reached(recipe: Recipe, noted: list[str]) -> int:
    """How many objects can be reached by public attributes of what the recipe is given. Raises Failed for what must not be."""
    run = MemoryStore()
    row = run.create_run({}, seed=0, budget={}, code_version="check")
    world = GuardedWorld(noted=noted)
    engine = Engine(store=run, run=row, ledger=Ledger(Budget()), models={})
    ctx = Context(engine, "check", world=world, policy=Candidate(), recipe=recipe)
    with looking():
        hidden = {e.id for split in ("gate", "test") for e in world.examples(split)}
    count = 0
    for place, found in walk(ctx.for_recipe(recipe), "ctx"):
        count += 1
        what = _forbidden(found, hidden)
        if what:
            raise Failed(f"{place} is {what}: what a recipe is given must not lead there")
    return count


def _forbidden(found: Any, hidden: set[str]) -> str:
    if isinstance(found, Engine | MemoryStore | Scope | ToyWorld | Trapped):
        return f"the {type(found).__name__}"
    return f"the held-out example {found.id}" if isinstance(found, Example) and found.id in hidden else ""


def walk(start: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Everything that public attributes and items lead to, with the way to it, nearest first.

    Methods are not called, except that a method is followed to whose it is; what only examples of a split give, ``examples``, is
    asked for every split.
    """
    seen: set[int] = set()
    kept: list[Any] = []  # so that no address is used again
    todo: deque[tuple[str, Any]] = deque([(name, start)])
    while todo and len(seen) < _MOST:
        place, found = todo.popleft()
        if id(found) in seen or isinstance(found, str | bytes | int | float | complex | None | ModuleType | type):
            continue
        seen.add(id(found))
        kept.append(found)
        yield place, found
        todo.extend(_next(place, found))


def _next(place: str, found: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(found, Mapping):
        yield from ((f"{place}[{key!r}]", value) for key, value in list(found.items()))
        return
    if isinstance(found, Sequence | set | frozenset):
        try:
            yield from ((f"{place}[{i}]", value) for i, value in enumerate(found))
        except LoopwrightError:
            return
        return
    if isinstance(found, partial):
        yield f"{place}.func", found.func
    owner = getattr(found, "__self__", None)
    if owner is not None and not isinstance(found, FunctionType):
        yield f"{place}.__self__", owner
    for name in dir(found):
        if name.startswith(("_", "model_")):  # what begins so is of every data class
            continue
        try:
            value = getattr(found, name)
        except Exception:
            continue
        yield f"{place}.{name}", value
        if name == "examples" and callable(value):
            for split in ("train", "screen", "gate", "test"):
                try:
                    yield f"{place}.examples({split!r})", value(split)
                except Exception:
                    continue
