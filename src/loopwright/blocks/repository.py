"""A small repository as data, path to text: edits that models write, and a program that runs its tests."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from loopwright.core.fences import without_thinking
from loopwright.core.templates import filled

_EDIT = re.compile(
    r"^[ \t*#`]*(?:EDIT|FILE|###)?[ \t:*`]*([\w./-]+\.\w+)[ \t:*`]*\n(?:[ \t]*(?:`{3,}|~{3,})[^\n]*\n)?"
    r"<{5,9}[ \t]*SEARCH[ \t]*\n(.*?)\n?={5,9}[ \t]*\n(.*?)\n?>{5,9}[ \t]*REPLACE",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """In the file ``path``, ``old`` becomes ``new``; where ``old`` is empty, ``path`` is a new file."""

    path: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """The edit as models write it; ``read_edits`` reads it again."""
        middle = "".join(f"{part}\n" if part else "" for part in (self.old, "=======", self.new))
        return f"{self.path}\n<<<<<<< SEARCH\n{middle}>>>>>>> REPLACE"


def read_edits(text: str) -> list[Edit]:
    """All search-and-replace blocks of a text, each after a line with its path, fenced or not; those in thinking are drafts."""
    return [Edit(*found) for found in _EDIT.findall(without_thinking(text).replace("\r\n", "\n"))]


def edited(files: Mapping[str, str], edit: Edit) -> tuple[dict[str, str], str]:
    """(the files with the edit made, "") or (the files as they were, why it could not be made).

    What is to be replaced must be there once; where it is not there to the letter, white space at the ends of lines does not
    count.
    """
    same = dict(files)
    if edit.path not in files:
        if edit.old:
            return same, f"{edit.path}: no such file; there are {', '.join(files)}"
        return {**same, edit.path: edit.new + "\n"}, ""
    if not edit.old:
        return same, f"{edit.path} is there already; say what is to be replaced"
    text, old = files[edit.path], edit.old
    if old not in text:
        text, old = ("\n".join(line.rstrip() for line in t.split("\n")) for t in (text, old))
    if (count := text.count(old)) != 1:
        return same, f"{edit.path}: what is to be replaced is there {count} times, and must be there once"
    return {**same, edit.path: text.replace(old, edit.new)}, ""


def patched(files: Mapping[str, str], text: str) -> tuple[dict[str, str], list[str]]:
    """The files with all edits of a text made in order, and what was wrong with those that could not be made."""
    now, wrong = dict(files), []
    for edit in read_edits(text):
        now, problem = edited(now, edit)
        wrong += [problem] if problem else []
    return now, wrong


@dataclass(frozen=True, slots=True)
class Action:
    """What one message of an agent does to a repository.

    files: afterwards. edits: those that were made. seen: what there is to see at once: a file, what could not be done.
    """

    kind: Literal["view", "edit", "finish", "none"]
    files: Mapping[str, str]
    edits: tuple[str, ...] = ()
    seen: str = ""


def read_action(files: Mapping[str, str], text: str) -> Action:
    """Edits where a text has any, else the last line that is "FINISH" or "VIEW path", else nothing.

    A finish beside edits is not heard: what they did has not been seen yet.
    """
    now = dict(files)
    made: list[str] = []
    wrong: list[str] = []
    for edit in read_edits(text):
        now, problem = edited(now, edit)
        (wrong if problem else made).append(problem or edit.text)
    if made or wrong:
        return Action("edit", now, tuple(made), "\n".join(f"Not done: {problem}" for problem in wrong))
    for line in reversed(without_thinking(text).splitlines()):
        verb, _, rest = line.strip(" \t`*#-").partition(" ")
        if verb.upper().strip(".:") == "FINISH" and not rest:
            return Action("finish", now)
        if verb.upper().strip(":") == "VIEW" and rest.strip():
            path = rest.strip(" `*\"'.")
            return Action("view", now, seen=now.get(path, f"{path}: no such file; there are {', '.join(now)}"))
    return Action("none", now, seen="That was no action.")


# Tests in the form of pytest's, run by the standard library alone: nothing else is there in a sandbox.
RUN_TESTS = '''\
import glob, importlib.util, os, sys, traceback
sys.path.insert(0, os.getcwd())
passed, failed = 0, []
for path in sorted(glob.glob("**/test_*.py", recursive=True)):
    try:
        spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except BaseException as error:
        failed.append((path, f"{type(error).__name__}: {error}"))
        continue
    for name, test in sorted(vars(module).items()):
        if name.startswith("test_") and callable(test):
            try:
                test()
                passed += 1
            except BaseException as error:
                at = traceback.extract_tb(error.__traceback__)[-1]
                place = os.path.relpath(at.filename) + ":" + str(at.lineno)
                failed.append((path + "::" + name, f"{place}: {at.line}\\n  {type(error).__name__}: {error}"))
for name, why in failed:
    print(f"FAILED {name}\\n  {why}")
print(f"{passed} passed, {len(failed)} failed")
sys.exit(bool(failed))
'''


def bundled(files: Mapping[str, str], names: Sequence[str]) -> str:
    """One program that holds all modules of the files and has ``names``, each ``module:name``, as its own.

    So that what judges a program judges a repository. A module that fails to load fails the program.
    """
    modules = {path[:-3].removesuffix("/__init__"): text for path, text in files.items() if path.endswith(".py")}
    sources = {name.replace("/", "."): text for name, text in modules.items()}
    packages = sorted({name.rpartition(".")[0] for name in sources} - {""})
    held = base64.b64encode(json.dumps(sources).encode()).decode()
    lines = [f"from {module} import {name}" for module, _, name in (n.partition(":") for n in names)]
    return filled(_BUNDLE, {"held": repr(held), "packages": repr(packages)}) + "\n".join(lines) + "\n"


_BUNDLE = """\
import base64 as _base64, importlib.abc as _abc, importlib.machinery as _machinery, json as _json, sys as _sys


class _Held(_abc.MetaPathFinder, _abc.Loader):
    sources = _json.loads(_base64.b64decode({held}))

    def find_spec(self, name, path=None, target=None):
        if name in self.sources or name in {packages}:
            return _machinery.ModuleSpec(name, self, is_package=name in {packages})
        return None

    def exec_module(self, module):
        exec(compile(self.sources.get(module.__name__, ""), module.__name__, "exec"), module.__dict__)


_sys.meta_path.insert(0, _Held())
"""
