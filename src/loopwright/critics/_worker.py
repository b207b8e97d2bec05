"""The other side of ``worker.py``: calls one function of a user's file, once a line.

Standard library only, and to be started with ``python -P``: Python would otherwise put this script's folder first on
the path, where the user's own belongs. Arguments: folder, file, function, and with how many values it will be called ("" where
that is not known). Lines in: {"args": [...], "kwargs": {...},
"take": n or null}. Lines out: {"value": ...} or {"error": "...", "line": n}. The first line out tells whether the
function could be loaded; an error that is not of the import has "imported".
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


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


def main(folder: str, file: str, function: str, count: str) -> None:
    sys.path.insert(0, folder)
    # What the user's code prints must not get between the lines of the protocol.
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()

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
    main(*sys.argv[1:5])
