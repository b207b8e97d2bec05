"""A user's function in a process of its own, with a time limit: it may raise, hang or die without harm to the run."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwright.core.environment import without_keys
from loopwright.core.errors import LoopwrightError
from loopwright.core.extras import hint
from loopwright.core.stopping import current
from loopwright.critics.section import Section, near
from loopwright.store.redaction import redact

_SCRIPT = Path(__file__).with_name("_worker.py")
_START_SECONDS = 60.0  # for the user's imports, which may be heavy
_REPLY_BYTES = 64 << 20


class CallFailed(LoopwrightError):
    """The function raised, hung, died or returned something that is not plain data; the message says which."""


class TookTooLong(CallFailed):
    """The function did not return within its limit of seconds, and was stopped."""


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

    The process is not given the variables of the environment that hold keys. It ends with this one, whatever it is doing.

    seconds: wall-clock limit of each call.
    values: with how many it will be called, so that a function that takes fewer or more is refused when it is loaded.
    memory_mb: limit of its address space once it is loaded, in MiB; None for none.
    environment: names of variables that it is given although they hold keys.
    """

    def __init__(
        self,
        function: Function,
        *,
        seconds: float = 10.0,
        values: int | None = None,
        memory_mb: int | None = None,
        environment: Collection[str] = (),
    ) -> None:
        self.function = function
        self.seconds = seconds
        self._values, self._memory = ("" if number is None else str(number) for number in (values, memory_mb))
        self._environment = tuple(environment)
        self.starts = 0
        self._held: list[subprocess.Popen[bytes]] = []
        self._finalizer = weakref.finalize(self, _end, self._held)
        self._begin()

    def _begin(self) -> None:
        # A thread of its own: callers that wait for each other must not fill the event loop's shared pool.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loopwright-worker")
        self._pid = os.getpid()

    def _mine(self) -> None:
        """In a forked child the process and the thread are the parent's, so it takes others."""
        if self._pid != os.getpid():
            self._held.clear()
            self._begin()

    async def call(self, *args: Any, seconds: float | None = None) -> Any:
        """What the function returns for ``args``, as plain data. ``seconds`` instead of its own limit. Raises CallFailed."""
        return await asyncio.wrap_future(self.submit(*args, seconds=seconds))

    def submit(self, *args: Any, seconds: float | None = None) -> Future[Any]:
        """The same, as a future of threads. Paused where what asked was to stop before its turn came."""
        self._mine()
        stop = current()

        def call() -> Any:
            stop.check()
            return self.call_now(args, seconds=seconds)

        return self._thread.submit(call)

    async def start(self) -> None:
        """Load the function now, without calling it. Raises CallFailed where it cannot be loaded or called."""

        def load() -> None:
            if not self._held:
                self._start()

        self._mine()
        await asyncio.wrap_future(self._thread.submit(load))

    def call_now(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        take: int | None = None,
        seconds: float | None = None,
    ) -> Any:
        """The same from a thread. ``take`` reads at most so many items from what the function returns."""
        self._mine()
        if not self._held:
            self._start()
        request = {"args": list(args), "kwargs": dict(kwargs or {}), "take": take}
        return self._exchange(request, self.seconds if seconds is None else seconds)

    def _start(self) -> None:
        command = [sys.executable, "-P", str(_SCRIPT), str(self.function.file.parent), str(self.function.file)]
        command += [self.function.function, self._values, str(os.getpid()), self._memory]
        environment = {**_given(self._environment), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        self.starts += 1
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            cwd=self.function.file.parent, env=environment, start_new_session=True,
        )  # fmt: skip
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._held.append(process)
        self._exchange(None, _START_SECONDS)

    def _exchange(self, request: dict[str, Any] | None, seconds: float) -> Any:
        process = self._held[0]
        raw, late = _talk(process, b"" if request is None else json.dumps(request).encode() + b"\n", seconds)
        if late or not raw.endswith(b"\n"):
            if not late and len(raw) < _REPLY_BYTES:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1.0)  # for its exit code
            _end(self._held)
            doing = "" if request is not None else "while it was imported, "
            if late:
                raise TookTooLong(f"{doing}took longer than {seconds:g} seconds and was stopped")
            if len(raw) >= _REPLY_BYTES:
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


def _given(keep: Collection[str]) -> dict[str, str]:
    """The environment of a process that is to know no keys: neither those called so nor what looks like one."""
    plain = without_keys(os.environ, keep)
    return {name: value for name, value in plain.items() if name in keep or redact(value) == value}


def _talk(process: subprocess.Popen[bytes], data: bytes, seconds: float) -> tuple[bytes, bool]:
    """Writes ``data`` and reads one line; (the line as far as it came, whether the time was up)."""
    assert process.stdin is not None and process.stdout is not None
    reader, writer = process.stdout.fileno(), process.stdin.fileno()
    until, size = time.monotonic() + seconds, 0
    parts: list[bytes] = []
    waiting = select.poll()
    waiting.register(reader, select.POLLIN)
    view = memoryview(data)
    if view:
        waiting.register(writer, select.POLLOUT)
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return b"".join(parts), True
        for fd, _ in waiting.poll(left * 1000):
            try:
                if fd == writer:
                    view = view[os.write(writer, view) :]
                    if not view:
                        waiting.unregister(writer)
                    continue
                part = os.read(reader, 1 << 20)
            except BlockingIOError:
                continue
            except OSError:  # it died while it was written to
                return b"", False
            parts.append(part)
            size += len(part)
            if not part or part.endswith(b"\n") or size >= _REPLY_BYTES:
                return b"".join(parts), False
