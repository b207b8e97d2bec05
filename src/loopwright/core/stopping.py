"""Asking a run to stop early, from outside: the command line at Ctrl-C, a host program that shuts down.

A library must not take over the signals of the program it is used in. So the host says when to stop, and in which way it comes to
know: whatever runs inside ``stoppable()`` finishes what it has begun and raises Paused.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator

from loopwright.core.errors import Paused


class StopRequest:
    """Whether somebody wants what runs here to stop. ``ask`` may be called from any thread and from a signal handler.

    reason: why it is to stop; "" while nobody asked.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._listeners: dict[object, Callable[[str], object]] = {}

    @property
    def heard(self) -> bool:
        """Whether anything runs that would stop by itself when asked."""
        return bool(self._listeners)

    def check(self) -> None:
        """Raises Paused where somebody asked: to be called before something new is begun."""
        if self.reason:
            raise Paused(self.reason)

    def ask(self, reason: str) -> None:
        """Ask everything that listens to stop; the first reason stays.

        Args:
            reason: in a few words, such as "interrupted"; the run's status tells it.
        """
        self.reason = self.reason or reason
        for listener in list(self._listeners.values()):
            listener(self.reason)

    @contextlib.contextmanager
    def listening(self, listener: Callable[[str], object]) -> Iterator[None]:
        """Call ``listener`` with the reason once somebody asks, at once where it was asked before. It must not block."""
        key = object()
        self._listeners[key] = listener
        if self.reason:
            listener(self.reason)
        try:
            yield
        finally:
            del self._listeners[key]


_NEVER = StopRequest()
_CURRENT: contextvars.ContextVar[StopRequest] = contextvars.ContextVar("loopwright-stop-request", default=_NEVER)


def current() -> StopRequest:
    """What stops that which runs here. Outside ``stoppable`` it is one that nobody asks."""
    return _CURRENT.get()


@contextlib.contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Make runs inside this block stop when they are asked: those of this thread, and of tasks that are begun in it.

    Returns:
        Whose ``ask`` stops them: nothing new begins, what is in flight is finished and recorded, Paused is raised.
    """
    request = StopRequest()
    token = _CURRENT.set(request)
    try:
        yield request
    finally:
        _CURRENT.reset(token)


async def sleep(seconds: float) -> None:
    """Wait, and no longer than until what runs here is asked to stop.

    Args:
        seconds: how long.

    Raises:
        Paused: it was asked to stop before or meanwhile.
    """
    request = current()
    request.check()
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def wake(reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(asked.set)

    with request.listening(wake), contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asked.wait(), seconds)
    request.check()


__all__ = ["StopRequest", "current", "sleep", "stoppable"]
