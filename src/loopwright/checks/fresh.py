"""Functions run in fresh processes, without starting an interpreter for each.

One process per seed of string hashes imports what all need and forks itself for every call, so that what runs is as new as in
an interpreter of its own: nothing that was imported or changed in this process, or by an earlier call, is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from typing import Any

SECONDS = 120.0  # that one call may take

_SERVER = """
import contextlib, importlib, json, os, signal, sys, traceback
signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who asked has ended, and nothing is to be said of it
answers = os.fdopen(os.dup(1), "wb", 0)
os.dup2(2, 1)  # what is printed is no answer
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in iter(sys.stdin.buffer.readline, b""):
    asked = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python has it
        try:
            sys.path[:] = asked["path"]
            module, _, function = asked["function"].partition(":")
            said = {"value": getattr(importlib.import_module(module), function)(*asked["arguments"])}
        except BaseException as error:
            said = {"error": traceback.format_exception_only(error)[-1].strip()}
        with contextlib.suppress(BrokenPipeError):
            answers.write(json.dumps(said).encode() + b"\\n")
        os._exit(0)
    answers.write(json.dumps({"pid": child}).encode() + b"\\n")
    _, status = os.waitpid(child, 0)
    answers.write(json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode() + b"\\n")
"""


class CallFailed(RuntimeError):
    """The call raised, ended its process or took too long; the message says which."""


class _Server:
    """A process that forks itself for each call."""

    def __init__(self, hash_seed: str, imports: tuple[str, ...]) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, *imports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            start_new_session=True, bufsize=0,
        )  # fmt: skip
        self._rest = b""
        self._lock = threading.Lock()

    def call(self, function: str, arguments: tuple[str, ...]) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            asked = {"function": function, "arguments": arguments, "path": sys.path}
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            said: dict[str, Any] = {}
            while "ended" not in said:
                said |= self._answer(said.get("pid"))
        if "value" in said:
            return said["value"]
        raise CallFailed(said.get("error") or f"the process ended itself with {said['ended']}")

    def _answer(self, child: int | None) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            if not select.select([self._process.stdout], [], [], SECONDS)[0]:
                if child is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child, signal.SIGKILL)
                self.close()
                raise CallFailed(f"it did not end within {SECONDS:g} s")
            part = self._process.stdout.read(1 << 16)
            if not part:
                self.close()
                raise CallFailed("the process for fresh calls is gone")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


_servers: dict[tuple[str, tuple[str, ...]], _Server] = {}  # they end when this process does: their input then ends


def call(function: str, *arguments: str, hash_seed: str = "0", imports: tuple[str, ...] = ()) -> Any:
    """Call a function in a process that has seen nothing of this one.

    Args:
        function: ``module:name``; returns plain data.
        arguments: texts.
        hash_seed: of the process's string hashes, as PYTHONHASHSEED takes it.
        imports: modules that are imported once, before the process is copied for the call.

    Returns:
        What the function returned.

    Raises:
        CallFailed: with the error that the call ended with.
    """
    if not hasattr(os, "fork"):
        return _in_an_interpreter(function, arguments, hash_seed)
    key = (hash_seed, imports)
    if key not in _servers or not _servers[key].alive:
        _servers[key] = _Server(hash_seed, imports)
    return _servers[key].call(function, arguments)


def _in_an_interpreter(function: str, arguments: tuple[str, ...], hash_seed: str) -> Any:
    program = (
        "import importlib, json, sys\nmodule, _, name = sys.argv[1].partition(':')\n"
        "print(json.dumps(getattr(importlib.import_module(module), name)(*sys.argv[2:])))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", program, function, *arguments], capture_output=True, text=True, env=environment,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CallFailed(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


# ---- what is called ---------------------------------------------------------------------------------------------------


def fingerprint_of(address: str) -> str:
    """The digest of a run of the recipe at ``module:name`` on its bench."""
    from loopwright.checks.bench import Bench, fingerprint
    from loopwright.core.registry import get_recipe

    return fingerprint(Bench(get_recipe(address), seed=3).run())


class _Refuse:
    """Refuses the import of heavy packages."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.split(".")[0] in ("torch", "transformers", "peft"):
            raise ImportError(f"{name} was imported")


def import_without_torch(module: str) -> None:
    """Import a module as where torch, transformers and peft are not installed."""
    import importlib

    sys.meta_path.insert(0, _Refuse())
    importlib.import_module(module)
