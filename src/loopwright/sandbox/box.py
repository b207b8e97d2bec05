"""The sandbox: a pool of waiting, single-use cells."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import warnings
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, Self

from loopwright.core.errors import InputError, SandboxError, UnknownName
from loopwright.core.stopping import current
from loopwright.sandbox import host, layout
from loopwright.sandbox.cell import Cell, Job, NeverStarted
from loopwright.sandbox.types import Limits, Outcome

_AT_ONCE = 64  # sandboxes at work in one process; more callers wait
_STARTING = 4  # starts at once: a start is processor time, so more would only make each slower
_warned: set[int] = set()


class _Pool:
    """Lives on the background loop. Every cell is used once, so nothing can pass from one run to the next."""

    def __init__(self, bwrap: str | None, file_mb: int, size: int, readable: Sequence[str]) -> None:
        self._bwrap, self._file_mb, self._size, self._readable = bwrap, file_mb, size, readable
        self._idle: list[Cell] = []
        self._starting = asyncio.Semaphore(_STARTING)
        self._working = asyncio.Semaphore(_AT_ONCE)
        self._refilling: asyncio.Task[None] | None = None
        self._runs: set[asyncio.Task[object]] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self.pid = os.getpid()
        self._closed = False

    async def _fresh(self, file_mb: int) -> Cell:
        async with self._starting:
            cell = Cell(self._bwrap, file_mb, self._readable)
            start = asyncio.get_running_loop().create_task(cell.start())
            self._starts.add(start)
            start.add_done_callback(self._starts.discard)
            try:
                # A start is never cut short: bwrap killed before it has tied its child to itself leaves that child
                # waiting for ever.
                await asyncio.shield(start)
            except asyncio.CancelledError:
                start.add_done_callback(lambda done: _discard(done, cell))
                raise
            except BaseException:
                cell.close()
                raise
            return cell

    async def _refill(self) -> None:
        # A broken start is reported by the run that needs the cell, not by this background task.
        with contextlib.suppress(SandboxError):
            while len(self._idle) < self._size and not self._closed:
                self._idle.append(await self._fresh(self._file_mb))

    def refill(self) -> None:
        if not self._closed and (self._refilling is None or self._refilling.done()):
            self._refilling = asyncio.get_running_loop().create_task(self._refill())

    async def warm(self) -> None:
        self.refill()
        if self._refilling is not None:
            await self._refilling

    async def run(self, job: Job) -> Outcome:
        task = asyncio.current_task()
        assert task is not None
        self._runs.add(task)
        try:
            async with self._working:
                current().check()  # of whoever asked, who may have been told to stop while this waited for its turn
                while self._idle and job.limits.file_mb == self._file_mb:
                    with contextlib.suppress(NeverStarted):
                        return await self._use(self._idle.pop(0), job)
                return await self._use(await self._fresh(job.limits.file_mb), job)
        finally:
            self._runs.discard(task)

    async def _use(self, cell: Cell, job: Job) -> Outcome:
        try:
            return await cell.run(job)
        finally:
            cell.close()
            self.refill()

    async def close(self) -> None:
        self._closed = True
        ending = [*self._runs, *([self._refilling] if self._refilling else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, *self._starts, return_exceptions=True)
        for cell in self._idle:
            cell.close()
        self._idle.clear()


def _discard(start: asyncio.Task[None], cell: Cell) -> None:
    if not start.cancelled():
        start.exception()  # else asyncio reports it as one that nobody looked at
    cell.close()


_pools: weakref.WeakSet[_Pool] = weakref.WeakSet()


def _drop(pool: _Pool) -> None:
    if os.getpid() == pool.pid:
        asyncio.run_coroutine_threadsafe(pool.close(), host.loop())


@atexit.register
def _drop_all() -> None:
    closing = [pool.close() for pool in _pools if pool.pid == os.getpid()]
    if closing:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_all(closing), host.loop()).result(timeout=10)


async def _all(closing: list[Coroutine[None, None, None]]) -> None:
    await asyncio.gather(*closing)


class Sandbox:
    """Runs model-written code away from everything: no network, no host files, no host processes, bounded use.

    limits: for every run that brings none of its own. pool: sandboxes kept waiting, started; about 12 MB each.
    readable: more host paths to show read-only inside, such as a compiler. unsafe: run without isolation, with
    resource limits only; warns.

    Usable from any number of event loops and threads. Raises SandboxMissing, which says what to type, when there is
    no bubblewrap (here) or it may not create namespaces (at the first run).
    """

    def __init__(
        self, *, limits: Limits | None = None, pool: int = 2, unsafe: bool = False, readable: Sequence[str] = ()
    ) -> None:
        self.limits = limits or Limits()
        self.unsafe = unsafe
        self._size, self._readable = pool, tuple(readable)
        self._bwrap = None if unsafe else layout.find_bubblewrap()
        self._closed = False
        self._pools: dict[int, _Pool] = {}
        if unsafe and os.getpid() not in _warned:
            _warned.add(os.getpid())
            warnings.warn(
                "Sandbox(unsafe=True): model-written code runs WITHOUT isolation; it can read your files, use the "
                "network and harm this machine",
                RuntimeWarning,
                stacklevel=2,
            )

    async def run(
        self,
        code: str | None = None,
        *,
        files: Mapping[str, str | bytes] | None = None,
        argv: Sequence[str] | None = None,
        stdin: str = "",
        limits: Limits | Mapping[str, float] | None = None,
    ) -> Outcome:
        """Runs Python ``code``, or the program ``argv``, in a fresh working folder that holds ``files``.

        limits: instead of the sandbox's own; a mapping changes some of them, by name.

        What the code does never raises here: it is in the Outcome. Raises InputError for a wrong call, SandboxMissing
        or SandboxError where nothing could be run. Cancelling the awaiting task kills the run.
        """
        if self._closed:
            raise SandboxError("this sandbox is closed")
        job = _job(code, files or {}, argv, stdin, _limits(self.limits, limits))
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._run(job), host.loop()))

    async def warm(self) -> None:
        """Returns when the pool is full. Raises nothing: a sandbox that cannot start says so at the run."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._warm(), host.loop()))

    async def _warm(self) -> None:
        await self._pool().warm()

    async def _run(self, job: Job) -> Outcome:
        return await self._pool().run(job)

    def _pool(self) -> _Pool:
        pid = os.getpid()  # a forked child must not use its parent's cells
        if pid not in self._pools:
            pool = self._pools[pid] = _Pool(self._bwrap, self.limits.file_mb, self._size, self._readable)
            weakref.finalize(self, _drop, pool).atexit = False
            _pools.add(pool)
        return self._pools[pid]

    def close(self) -> None:
        """Kills what waits and what runs. May be called twice, from any thread."""
        self._closed = True
        pool = self._pools.get(os.getpid())
        if pool is not None:
            asyncio.run_coroutine_threadsafe(pool.close(), host.loop()).result(timeout=30)

    async def __aenter__(self) -> Self:
        await self.warm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _limits(own: Limits, given: Limits | Mapping[str, float] | None) -> Limits:
    if given is None or isinstance(given, Limits):
        return given or own
    known = [field.name for field in fields(Limits)]
    for name in given:
        if name not in known:
            raise UnknownName("limit of a sandbox", name, known)
    changes: dict[str, Any] = dict(given)
    return replace(own, **changes)


def _job(
    code: str | None, files: Mapping[str, str | bytes], argv: Sequence[str] | None, stdin: str, limits: Limits
) -> Job:
    if (code is None) == (argv is None):
        raise InputError("Sandbox.run takes code or argv, one of them")
    if argv is not None and (isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv)):
        raise InputError(f"argv must be a non-empty list of strings, got {argv!r}")
    held: dict[str, bytes] = {}
    for name, data in files.items():
        path = PurePosixPath(name)
        if not name or "\0" in name or path.is_absolute() or ".." in path.parts:
            raise InputError(f"files: {name!r} must be a relative path that stays inside the working folder")
        held[name] = _bytes(data) if isinstance(data, str) else bytes(data)
    given = _bytes(stdin)
    size = len(given) + len(_bytes(code or "")) + sum(map(len, held.values()))
    if size > limits.file_mb << 20:
        raise InputError(f"code, files and stdin are {size} bytes; the limit is file_mb={limits.file_mb} MiB")
    return Job(None if code is None else _bytes(code).decode(), held, argv, given, limits)


def _bytes(text: str) -> bytes:
    # Models write lone surrogates, which no encoding takes and Python does not compile: each becomes a question mark.
    return text.encode("utf-8", errors="replace")
