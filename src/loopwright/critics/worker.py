"""A user's function in a process of its own, with a time limit: it may raise, hang or die without harm to the run."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwright.core.errors import LoopwrightError
from loopwright.core.extras import hint
from loopwright.critics.section import Section, near

_SCRIPT = Path(__file__).with_name("_worker.py")
_START_SECONDS = 60.0  # for the user's imports, which may be heavy
_REPLY_BYTES = 64 << 20


class CallFailed(LoopwrightError):
    """The function raised, hung, died or returned something that is not plain data; the message says which."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a user's file. ``name`` is what the task file calls it, such as ``check.py:check``."""

    name: str
    file: Path
    function: str

    @classmethod
    def of(cls, section: Section, field: str, folder: Path, *, example: str) -> Function:
        """The function that a field names, found without running any of its code. Raises TaskError."""
        name = section.text(field, hint=f'{field} = "{example}"')
        path, colon, function = name.rpartition(":")
        if colon and not path.endswith(".py") and (folder / f"{path}.py").is_file():
            path, name = f"{path}.py", f"{path}.py:{function}"
        if not colon or not path.endswith(".py") or not function.isidentifier():
            raise section.fail(field, f'expected "file.py:function" such as "{example}", got {name!r}')
        file = (folder / path).resolve()
        try:
            tree = ast.parse(file.read_bytes(), filename=path)
        except OSError as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
            raise section.fail(field, f"{file}: {reason}; write that file, with a function {function} in it") from None
        except (SyntaxError, ValueError) as error:
            line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise section.fail(field, f"{file}{line}: not Python: {getattr(error, 'msg', error)}") from None
        known: dict[str, ast.stmt] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                known[node.name] = node
            elif isinstance(node, ast.Import | ast.ImportFrom):
                known |= {(alias.asname or alias.name): node for alias in node.names}
            elif isinstance(node, ast.Assign):
                known |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        if function not in known:
            raise section.fail(field, f"{file} has no function {function!r}; {near(function, known)}")
        if isinstance(known[function], ast.AsyncFunctionDef):
            raise section.fail(field, f"{file}: {function} is async; expected a plain function, write def {function}(...)")
        return cls(name, file, function)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The whole group: a checker may have started programs of its own.
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _end(held: list[subprocess.Popen[bytes]]) -> None:
    while held:
        _kill(held.pop())


class Worker:
    """One process, started at the first call, killed and started anew when it hangs or dies. Calls go one by one.

    seconds: wall-clock limit of each call.
    values: with how many it will be called, so that a function that takes fewer or more is refused when it is loaded.
    """

    def __init__(self, function: Function, *, seconds: float = 10.0, values: int | None = None) -> None:
        self.function = function
        self.seconds = seconds
        self._values = "" if values is None else str(values)
        self.starts = 0
        self._held: list[subprocess.Popen[bytes]] = []
        # A thread of its own: callers that wait for each other must not fill the event loop's shared pool.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loopwright-worker")
        self._finalizer = weakref.finalize(self, _end, self._held)

    async def call(self, *args: Any) -> Any:
        """What the function returns for ``args``, as plain data. Raises CallFailed."""
        return await asyncio.wrap_future(self._thread.submit(self.call_now, args))

    async def start(self) -> None:
        """Load the function now, without calling it. Raises CallFailed where it cannot be loaded or called."""

        def load() -> None:
            if not self._held:
                self._start()

        await asyncio.wrap_future(self._thread.submit(load))

    def call_now(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, take: int | None = None) -> Any:
        """The same from a thread. ``take`` reads at most so many items from what the function returns."""
        if not self._held:
            self._start()
        return self._exchange({"args": list(args), "kwargs": dict(kwargs or {}), "take": take}, self.seconds)

    def _start(self) -> None:
        command = [sys.executable, "-P", str(_SCRIPT), str(self.function.file.parent), str(self.function.file)]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        self.starts += 1
        self._held.append(
            subprocess.Popen(
                [*command, self.function.function, self._values], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, cwd=self.function.file.parent, env=environment, start_new_session=True,
            )  # fmt: skip
        )
        self._exchange(None, _START_SECONDS)

    def _exchange(self, request: dict[str, Any] | None, seconds: float) -> Any:
        process = self._held[0]
        assert process.stdin is not None and process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(seconds, give_up)
        timer.start()
        raw = b""
        try:
            if request is not None:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            raw = process.stdout.readline(_REPLY_BYTES)
        except OSError:  # it died while it was written to
            pass
        finally:
            timer.cancel()
        if late.is_set() or not raw.endswith(b"\n"):
            _end(self._held)
            doing = "" if request is not None else "while it was imported, "
            if late.is_set():
                raise CallFailed(f"{doing}took longer than {seconds:g} seconds and was stopped")
            if raw:
                raise CallFailed(f"{doing}returned more than {_REPLY_BYTES >> 20} MiB")
            raise CallFailed(f"{doing}its process ended, exit code {process.returncode}")
        reply = json.loads(raw)
        if "error" in reply:
            at = f" ({self.function.file.name} line {reply['line']})" if reply["line"] else ""
            if request is None:
                _end(self._held)
                doing = "" if "imported" in reply else "could not be imported: "
                raise CallFailed(f"{doing}{reply['error']}{at}{hint(reply['error'])}")
            raise CallFailed(f"{reply['error']}{at}{hint(reply['error'])}")
        return reply["value"]

    def close(self) -> None:
        """End the process and the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        _end(self._held)
