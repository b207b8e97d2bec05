"""The other side of ``worker.py``: calls one function of a user's file, once a line.

Standard library only, and to be started with ``python -P``: Python would otherwise put this script's folder first on
the path, where the user's own belongs.

Arguments: folder, file, function, with how many values it will be called ("" where that is not known), the process that is
served, and how many MiB of memory it may use ("" for no limit). Lines in: {"args": [...], "kwargs": {...}, "take": n or
null}. Lines out: {"value": ...} or {"error": "...", "line": n}. The first line out tells whether the function could be loaded; an
error that is not of the import has "imported".
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import itertools
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_FILE_BYTES = 8 << 20  # of a process with limits: it writes nothing but an index that SQLite shares between readers


def _serve_below(parent: int) -> None:
    """Returns in a child. This process only watches: when its parent ends, or the child does, it ends all of its group.

    A thread could not: it never runs while the function is in a loop of C that keeps the interpreter's lock.
    """
    child = os.fork()
    if not child:
        _end_with_watcher()
        return
    with contextlib.suppress(OSError):
        os.close(0)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)
        _wait(child)


def _wait(child: int) -> None:
    """Until the child ends, half a second at most."""
    if not hasattr(os, "pidfd_open"):
        time.sleep(0.05)
        return
    try:
        ended = os.pidfd_open(child)
    except OSError:
        time.sleep(0.05)
        return
    select.select([ended], [], [], 0.5)
    os.close(ended)


def _end_with_watcher() -> None:
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit(memory_mb: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load(file: str, function: str) -> Any:
    stem = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    spec.loader.exec_module(module)
    return getattr(module, function)


def _mismatch(call: Callable[..., Any], count: int, function: str) -> str:
    """Why the function cannot be called with so many values, as far as Python can tell beforehand, or ""."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # of some that are written in C
        return ""
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        return f"{function}{signature} cannot be called with {count} values: {error}"
    return ""


def _said(error: BaseException, file: str) -> dict[str, Any]:
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    if isinstance(error, SyntaxError) and error.filename == file:
        return {"error": text, "line": error.lineno}
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return {"error": text[:2000], "line": lines[-1] if lines else None}


def _plain(value: Any) -> Any:
    """numpy's numbers are not JSON, and checkers return them all the time."""
    if isinstance(value, float | int | str | list | dict | tuple) or not hasattr(value, "item"):
        raise TypeError(f"returned a {type(value).__name__}, which is not plain data: {value!r}"[:300])
    return value.item()


def main(folder: str, file: str, function: str, count: str, parent: str, memory_mb: str) -> None:
    _serve_below(int(parent))
    sys.path.insert(0, folder)
    # What the user's code prints must not get between the lines of the protocol.
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)

    def answer(data: dict[str, Any]) -> None:
        out.write(json.dumps(data, default=_plain) + "\n")
        out.flush()

    try:
        call = _load(file, function)
    except BaseException as error:
        answer(_said(error, file))
        return
    if not callable(call):
        answer({"error": f"{function} is not a function but {type(call).__name__}", "line": None, "imported": True})
        return
    if count and (problem := _mismatch(call, int(count), function)):
        answer({"error": problem, "line": None, "imported": True})
        return
    if memory_mb:
        _limit(int(memory_mb))
    answer({"value": True})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            value = call(*request["args"], **request["kwargs"])
            if request["take"] is not None:
                value = list(itertools.islice(iter(value), request["take"]))
            answer({"value": value})
        except BaseException as error:
            answer(_said(error, file))


if __name__ == "__main__":
    main(*sys.argv[1:7])
