"""So much work at a time, where the next begins in the very turn of the event loop in which another ends.

A semaphore wakes whoever waits, who then runs a turn or two later. Under load a turn takes milliseconds, in which the
connection that has become free does nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

R = TypeVar("R")


class _Job:
    __slots__ = ("future", "stopped", "work", "worker")

    def __init__(self, work: Callable[[], Awaitable[Any]], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.worker: asyncio.Task[None] | None = None  # while it is at this job
        self.stopped = False


class Lanes:
    """``count`` pieces of work at a time, in the order in which they were asked for. Belongs to one event loop."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._waiting: deque[_Job] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def run(self, work: Callable[[], Awaitable[R]]) -> R:
        """What ``work()`` comes to, begun when its turn has come. Whoever is cancelled while waiting stops it."""
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if len(self._workers) < self._count:
            self._hire()
        try:
            result: R = await job.future
            return result
        except asyncio.CancelledError:
            if job.worker is not None:
                job.stopped = True
                job.worker.cancel()
            raise

    def _hire(self) -> None:
        worker = asyncio.get_running_loop().create_task(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._gone)

    def _gone(self, worker: asyncio.Task[None]) -> None:
        """A worker that has ended must not leave those without one who came since: they took it for one that still works."""
        self._workers.discard(worker)
        if any(not job.future.done() for job in self._waiting):
            self._hire()

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while self._waiting:
            job = self._waiting.popleft()
            if job.future.done():  # nobody waits for it any more
                continue
            job.worker = me
            try:
                result = await job.work()
            except asyncio.CancelledError:
                if not job.stopped:
                    job.future.cancel()
                    raise
                me.uncancel()
            except Exception as error:
                if not job.future.done():
                    job.future.set_exception(error)
            else:
                if not job.future.done():
                    job.future.set_result(result)
            finally:
                job.worker = None
