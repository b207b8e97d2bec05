"""What changed in task and code since a run began, and what is said of it, also by a fork that goes on knowingly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loopwright.core.errors import Diverged
from loopwright.core.registry import Recipe, get_recipe
from loopwright.core.store import RunRow
from loopwright.critics import BuiltCritic
from loopwright.critics.python import PythonCritic
from loopwright.improve.fingerprints import fingerprint
from loopwright.worlds.files import Task
from loopwright.worlds.named import NamedWorld

_WITHOUT_EFFECT = ("description", "budget")  # parts of a task that a run under way does not read
_NAMED = 6  # changes that a message names


@dataclass
class Changes:
    """What is another now, in words. matters: what results may depend on. notes: what can make no difference.

    code: whether something of ``matters`` is code, data or a version, rather than the task's own description. same: files of
    which only comments or layout changed.
    """

    matters: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    code: bool = False
    same: set[str] = field(default_factory=set)

    def parent(self, run: str) -> dict[str, Any]:
        """What the spec of a fork says of the run that it goes on from."""
        return {"run": run, "changed": self.matters, "notes": self.notes, "code": self.code}

    def told(self) -> str:
        """What matters, in one clause."""
        more = len(self.matters) - _NAMED
        return "; ".join(self.matters[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def code_of(version: str, task: Task | NamedWorld, recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    """What a run records of its code: of its recipes, the task's program, checkers and critics, and what these import.

    Args:
        version: of Loopwright.
        task: with its checkers.
        recipes: that the run may call, by name.
    """
    called = dict(recipes)
    files: list[Path] = []
    if solver := task.solver:
        called[str(solver["recipe"])] = get_recipe(str(solver["recipe"]))
    for critic in (task.checker, *task.critics):
        kind, judge = str(getattr(critic, "kind", "")), getattr(critic, "judge", None)
        if isinstance(judge, PythonCritic):
            files.append(judge.function.file)
        elif ":" in kind:
            called[kind] = get_recipe(kind)
    return fingerprint(version, task.folder if isinstance(task, Task) else None, called, files).spec()


def since(row: RunRow, task: Task | NamedWorld, code: Mapping[str, Any]) -> Changes:
    """What is another than it was when a run began.

    Args:
        row: the run. One of an earlier version recorded less of its task and nothing of its code, which is not compared then.
        task: as it is now, divided as the run's.
        code: as ``code_of`` gives it now.
    """
    found = Changes()
    if "code" in row.spec:
        _code(found, row.spec["code"], code)
    found.code = bool(found.matters)
    now, then = kept_versions(row, task, found).spec(), row.spec["task"]
    for name in then:
        said = list(_task(name, then[name], now.get(name)))
        if name in _WITHOUT_EFFECT:
            found.notes += said
        elif name == "program":
            found.matters += [] if found.same >= _differing(then[name], now.get(name) or {}) else said
        elif name != "fingerprint":
            # A checker's version is the hash of its file, which is named already.
            found.matters += [s for s in said if not (found.code and s.startswith(("checker.version", "critics")))]
    if not found.matters and not found.same and now["fingerprint"] != then.get("fingerprint", now["fingerprint"]):
        found.matters.append("the task")
    return found


def of_a_stream(row: RunRow, code: Mapping[str, Any]) -> Changes:
    """What is another than it was when a Learner's run began; as ``since``."""
    found = Changes()
    if "code" in row.spec:
        _code(found, row.spec["code"], code)
    return found


def kept_versions(row: RunRow, task: Task | NamedWorld, changes: Changes) -> Task | NamedWorld:
    """The task with checkers of which only comments changed under the versions that the run knows them by.

    So what they said before is found in its record.
    """
    if not isinstance(task, Task) or not changes.same:
        return task
    files, then = row.spec["code"]["files"], row.spec["task"]

    def kept(critic: BuiltCritic, before: Mapping[str, Any]) -> BuiltCritic:
        judge = critic.judge
        if not isinstance(judge, PythonCritic) or not judge.function.file.is_relative_to(task.folder.resolve()):
            return critic
        name = judge.function.file.relative_to(task.folder.resolve()).as_posix()
        if name not in changes.same or before.get("options") != critic.options:
            return critic
        judge.keep_version(str(files[name]["bytes"]))
        return replace(critic, version=str(before["version"]))

    before = then.get("critics", [])
    critics = task.critics
    if len(before) == len(critics):
        critics = tuple(kept(c, b) for c, b in zip(critics, before, strict=True))
    return replace(task, checker=kept(task.checker, then["checker"]), critics=critics)


def _differing(then: Any, now: Any) -> set[str]:
    return {name for name in {*then, *now} if then.get(name) != now.get(name)}


def _task(name: str, then: Any, now: Any) -> Iterator[str]:
    """Where a part of a task's description differs, by the names of its fields."""
    if then == now:
        return
    if isinstance(then, dict) and isinstance(now, dict):
        if "hash" in then and "hash" in now:
            counts = f" ({then.get('count')} examples, now {now.get('count')})" if then.get("count") != now.get("count") else ""
            yield f"{name}{counts}"
            return
        for key in dict.fromkeys([*then, *now]):
            yield from _task(f"{name}.{key}", then.get(key), now.get(key))
        return
    if name == "questions":
        return  # told with the examples
    yield f"{name} of the task"


def _code(found: Changes, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    same_python = before.get("python") == now.get("python")
    files, others = before.get("files", {}), now.get("files", {})
    for name in sorted({*files, *others}):
        if name not in others or name not in files:
            found.matters.append(f"{name} {'is imported no more' if name not in others else 'is imported now'}")
        elif files[name]["bytes"] != others[name]["bytes"]:
            then, here = files[name].get("parts"), others[name].get("parts")
            if then and then == here and same_python:
                found.notes.append(f"{name} (comments or layout)")
                found.same.add(name)
            else:
                found.matters.append(name + _functions(then or {}, here or {}, same_python))
    for what in ("functions", "data"):
        found.matters += sorted(_differing(before.get(what, {}), now.get(what, {})))
    packages = before.get("packages", {}), now.get("packages", {})
    for name in sorted(_differing(*packages)):
        if all(name in p for p in packages):
            found.matters.append(f"package {name} ({packages[0][name]}, now {packages[1][name]})")
    if before.get("version") != now.get("version"):
        found.matters.append(f"Loopwright ({before.get('version')}, now {now.get('version')})")
    if not same_python:
        found.notes.append(f"Python ({before.get('python')}, now {now.get('python')})")


def _functions(then: Mapping[str, str], now: Mapping[str, str], comparable: bool) -> str:
    """The functions of a file that changed, to stand behind its name."""
    if not (then and now and comparable):
        return ""
    names = sorted(_differing(then, now), key=lambda name: (not name, name))
    named = [f"{name}()" if name and name[0].islower() else name or "outside of functions" for name in names]
    return f": {', '.join(named[:4])}{', ...' if len(named) > 4 else ''}" if named else ""


def refused(row: RunRow, changes: Changes) -> Diverged:
    """The error of a run that is not gone on with, as something that matters changed."""
    return Diverged(
        f"run {row.id} is not gone on with, as this changed since it began: {changes.told()}. Nothing was paid. Put it back, "
        f"or go on in a new run that takes over what is still valid: loopwright resume {row.id} --fork"
    )


def about(parent: Mapping[str, Any]) -> str:
    """What is said of a fork at its start."""
    changed = "; ".join(parent["changed"])
    why = f"since that began, this changed: {changed}" if changed else "nothing changed since that began"
    kept = (
        "answers of models, training and sandboxed programs whose requests are the same" if parent["code"] else
        "everything that is asked for in the same way"
    )  # fmt: skip
    return f"this run is a fork of run {parent['run']}; {why}. It takes over {kept}, and does the rest anew."
