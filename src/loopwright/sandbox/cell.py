"""One sandbox process, used once: started ahead, given one job, watched, and killed with everything it started.

All methods run on the one background loop of ``host``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import marshal
import math
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopwright.core.errors import SandboxError
from loopwright.sandbox import layout, seccomp
from loopwright.sandbox.types import Limits, Outcome, Status

_START_SECONDS = 60.0
_WATCH_SECONDS = 0.1
_DESCRIPTORS = 64  # of each process: each may be an end of a pipe (64 KB in the kernel) or of a socket
_SOCKET_BYTES = 213 << 10  # what the kernel may keep for one socket, net.core.wmem_default
_INODE_BYTES = 1 << 10  # what an empty file takes of the kernel's memory
_NO_MORE_PROCESSES = ("BlockingIOError: [Errno 11]", "can't start new thread")


class NeverStarted(SandboxError):
    """A sandbox that died while it waited, of memory pressure for one; its job was not begun."""


@dataclass(frozen=True, slots=True)
class Job:
    code: str | None
    files: Mapping[str, bytes]
    argv: Sequence[str] | None
    stdin: bytes
    limits: Limits


def _rlimits(limits: Limits, *, count_processes: bool) -> list[tuple[str, int, int]]:
    cpu = math.ceil(limits.cpu_seconds)
    memory, file = limits.memory_mb << 20, limits.file_mb << 20
    found = [("RLIMIT_AS", memory, memory), ("RLIMIT_CPU", cpu, cpu + 1), ("RLIMIT_FSIZE", file, file)]
    found += [("RLIMIT_CORE", 0, 0), ("RLIMIT_NOFILE", _DESCRIPTORS, _DESCRIPTORS), ("RLIMIT_MEMLOCK", 0, 0)]
    found += [("RLIMIT_SIGPENDING", 64, 64), ("RLIMIT_MSGQUEUE", 0, 0)]
    if count_processes:
        found.append(("RLIMIT_NPROC", limits.pids + 1, limits.pids + 1))  # bwrap's own pid 1 counts
    return found


def _filled_pipe(data: bytes) -> int:
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        file.write(data)
    return reader


class Cell:
    """``file_mb`` is fixed at the start (the size of a mount); every other limit comes with the job."""

    def __init__(self, bwrap: str | None, file_mb: int, readable: Sequence[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._bwrap, self.file_mb, self._readable = bwrap, file_mb, readable
        self._folder = tempfile.mkdtemp(prefix="loopwright-") if bwrap is None else None
        self._process: subprocess.Popen[bytes] | None = None
        self._init: int | None = None  # pid 1 of the sandbox, as numbered outside
        self._init_fd: int | None = None
        self._exit_fd: int | None = None
        self._control: socket.socket | None = None
        self._verdict: Status | None = None
        self._output: dict[int, bytearray] = {}
        self._room = 0
        self._truncated = False
        self._peak = 0

    async def start(self) -> None:
        """Returns when the interpreter inside waits for its job. Raises SandboxMissing or SandboxError."""
        self._control, theirs = socket.socketpair()
        with contextlib.ExitStack() as opened:
            opened.callback(theirs.close)
            handed, info, uid = [theirs.fileno()], -1, None

            def hand(fd: int) -> int:
                opened.callback(os.close, fd)
                handed.append(fd)
                return fd

            if self._bwrap is None:
                line = layout.python(theirs.fileno(), inside=False)
                environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
            else:
                uid, environment, refusals = layout.spare_uid(), {}, seccomp.program()
                # Not a pipe: bwrap dies of one that nobody reads, should this process end now, and before it has tied
                # its child to itself; that child then waits for ever.
                info = hand(os.memfd_create("bwrap-info"))
                line = layout.command(
                    self._bwrap,
                    file_mb=self.file_mb,
                    info_fd=info,
                    seccomp_fd=None if refusals is None else hand(_filled_pipe(refusals)),
                    readable=self._readable,
                )
                line += ["--", *layout.python(theirs.fileno(), inside=True)]
            pipe = subprocess.PIPE
            try:
                self._process = subprocess.Popen(  # noqa: ASYNC220 - asyncio would start it from a thread of its own
                    line, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=handed, cwd=self._folder or "/",
                    env=environment, start_new_session=True,
                    user=uid, group=uid, extra_groups=None if uid is None else [],
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as error:
                raise SandboxError(f"the sandbox could not be started: {error}") from error
            if hasattr(os, "pidfd_open"):
                self._exit_fd = os.pidfd_open(self._process.pid)  # now: later it may have been reaped
            theirs.close()
            await self._ready(self._control, self._process)
            if self._bwrap is not None:
                self._init = int(json.loads(os.pread(info, 4096, 0))["child-pid"])
                self._init_fd = os.pidfd_open(self._init)

    async def _ready(self, control: socket.socket, process: subprocess.Popen[bytes]) -> None:
        control.setblocking(False)
        try:
            if await asyncio.wait_for(self._loop.sock_recv(control, 1), _START_SECONDS):
                return
        except TimeoutError:
            raise SandboxError(f"the sandbox was not ready after {_START_SECONDS:g} s") from None
        except ConnectionError:
            pass
        process.kill()
        assert process.stderr is not None
        reason = process.stderr.read(4000).decode(errors="replace").strip()
        if self._bwrap is None:
            raise SandboxError(f"the interpreter ended at its start: {reason}")
        raise layout.missing(reason or "bwrap ended at its start")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def run(self, job: Job) -> Outcome:
        """Hands over the job and waits for the end of everything it started. Never raises for what the code does.

        Raises NeverStarted where the cell died before it took the job, so that another may run it.
        """
        process, control, limits = self._process, self._control, job.limits
        assert process is not None and control is not None
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        outputs = [process.stdout.fileno(), process.stderr.fileno()]
        self._room = limits.output_kb << 10
        began = self._loop.time()
        timer = self._loop.call_later(limits.seconds, self._end, "timeout")
        watcher = self._loop.create_task(self._watch(limits))
        feeder = self._loop.create_task(self._feed(process.stdin.fileno(), job.stdin))
        for fd in outputs:
            os.set_blocking(fd, False)
            self._output[fd] = bytearray()
            self._loop.add_reader(fd, self._read, fd)
        count = self._bwrap is not None and (layout.own_process_count() or os.geteuid() == 0)
        message = marshal.dumps({
            "code": job.code, "files": dict(job.files), "argv": None if job.argv is None else list(job.argv),
            "rlimits": _rlimits(limits, count_processes=count),
        })  # fmt: skip
        try:
            with contextlib.suppress(ConnectionError):
                await self._loop.sock_sendall(control, len(message).to_bytes(8, "big") + message)
            await self._exit(self._exit_fd)
            self.kill()
            if self._init_fd is not None:
                await self._exit(self._init_fd)
            for fd in outputs:
                while fd in self._output and self._room >= 0 and self._read(fd):
                    pass
            if self._verdict is None and not self._taken(control):
                raise NeverStarted("the sandbox ended before it took the job")
        finally:
            timer.cancel()
            watcher.cancel()
            feeder.cancel()
            await asyncio.gather(feeder, watcher, return_exceptions=True)  # before the descriptors are closed
            for fd in outputs:
                self._loop.remove_reader(fd)
            self.close()
        stdout, stderr = (self._output[fd].decode(errors="replace") for fd in outputs)
        code = process.returncode if self._verdict is None else None
        status = self._verdict or self._classify(process.returncode, stderr)
        if status == "timeout" and self._peak >= limits.pids:
            status = "pids"
        if code is not None and code < 0:
            code = 128 - code
        return Outcome(status, code, stdout, stderr, self._loop.time() - began, self._truncated)

    def _taken(self, control: socket.socket) -> bool:
        try:
            return control.recv(1) == b"G"
        except OSError:
            return False

    def kill(self) -> None:
        """Kills all of it at once: with pid 1 gone the kernel kills the rest of the namespace."""
        if self._init_fd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)
        if self._process is not None:
            if self._bwrap is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            if self._process.poll() is None:
                self._process.kill()

    def close(self) -> None:
        """Kills, reaps and closes. May be called twice."""
        self.kill()
        if self._process is not None:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        for fd in (self._init_fd, self._exit_fd):
            if fd is not None:
                os.close(fd)
        self._init_fd = self._exit_fd = None
        if self._control is not None:
            self._control.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, why: Status) -> None:
        self._verdict = self._verdict or why
        self.kill()

    def _read(self, fd: int) -> bool:
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(fd)
            return False
        self._output[fd] += data[: max(self._room, 0)]
        self._room -= len(data)
        if self._room < 0:
            self._truncated = True
            self._end("output")
        return True

    async def _feed(self, fd: int, data: bytes) -> None:
        os.set_blocking(fd, False)
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                writable = asyncio.Event()
                self._loop.add_writer(fd, writable.set)
                try:
                    await writable.wait()
                finally:
                    self._loop.remove_writer(fd)
            except OSError:
                break
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()

    async def _exit(self, pidfd: int | None) -> None:
        if pidfd is None:
            while self.alive:  # noqa: ASYNC110 - nothing tells, where there is no pidfd
                await asyncio.sleep(0.005)
            return
        gone = asyncio.Event()
        self._loop.add_reader(pidfd, gone.set)
        try:
            await gone.wait()
        finally:
            self._loop.remove_reader(pidfd)
        if self._process is not None:
            self._process.poll()

    async def _watch(self, limits: Limits) -> None:
        while self._init is not None:
            await asyncio.sleep(_WATCH_SECONDS)
            processes, resident = usage(self._init)
            self._peak = max(self._peak, processes)
            if resident + kernel_usage(self._init) > limits.memory_mb << 20:
                self._end("memory")
            elif processes > limits.pids:
                self._end("pids")

    def _classify(self, code: int, stderr: str) -> Status:
        if code == 0:
            return "ok"
        if code in (128 + signal.SIGXCPU, -signal.SIGXCPU):
            return "timeout"
        last = stderr.rstrip().rsplit("\n", 1)[-1]
        if last.startswith("MemoryError") or "Cannot allocate memory" in last:
            return "memory"
        if any(words in last for words in _NO_MORE_PROCESSES):
            return "pids"
        return "killed" if code < 0 or 128 < code <= 128 + signal.SIGRTMAX else "error"


def usage(init: int) -> tuple[int, int]:
    """Threads below pid 1 of a sandbox, and their memory in bytes: resident, swapped out, and in page tables (shared pages
    counted for each)."""
    threads, resident, waiting = 0, 0, [init]
    while waiting:
        pid = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    waiting += map(int, file.read().split())
            if pid == init:
                continue
            with open(f"/proc/{pid}/status") as file:
                for row in file:
                    name, _, value = row.partition(":")
                    if name in ("RssAnon", "RssShmem", "VmSwap", "VmPTE"):
                        resident += int(value.split()[0]) << 10
                    elif name == "Threads":
                        threads += int(value)
        except (OSError, ValueError):
            continue
    return threads, resident


def kernel_usage(init: int) -> int:
    """Bytes that the kernel may keep for the sockets and files of a sandbox, which are in no process's memory.

    init: its pid 1, as numbered outside. 0 where this may not be seen.
    """
    sockets = inodes = 0
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{init}/net/sockstat") as file:
        sockets = int(file.readline().split()[2])  # sockets: used N
    with contextlib.suppress(OSError):
        files = os.statvfs(f"/proc/{init}/root/tmp")
        inodes = files.f_files - files.f_ffree
    return sockets * _SOCKET_BYTES + inodes * _INODE_BYTES
