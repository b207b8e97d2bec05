"""What Ctrl-C, SIGTERM and SIGHUP do to a command. They are handled here alone: a library leaves them to its host program.

Ctrl-C once: nothing new begins, waits end, what is in flight is finished and recorded. Twice: what is in flight is given up.
Both leave a run that can be resumed. SIGTERM and SIGHUP are as one Ctrl-C, however often they come. Where nothing is in flight,
such as while a model is loaded, the first ends the command at once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from loopwright.core.stopping import StopRequest

T = TypeVar("T")

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))  # Windows has no SIGHUP
_GRACE = 5.0  # seconds after the second Ctrl-C in which what runs may end in order
INTERRUPTED = 130


class _Process:
    """What signals did to this process, where it is the command line's own."""

    def __init__(self) -> None:
        self.ours = False
        self.last = 0  # the signal that came last
        self.hurried = False  # Ctrl-C came twice


_process = _Process()


def run_job(job: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` for a command. Raises Paused or KeyboardInterrupt where signals ended it."""
    import asyncio

    from loopwright.core.stopping import stoppable

    with stoppable() as request:
        presses = _Presses(request)
        with _handled(presses.on, signal.SIGINT, *_ENDING), presses.attended():
            return asyncio.run(presses.held(job))


@contextlib.contextmanager
def own_process() -> Iterator[Callable[[int], None]]:
    """For a process that is the command line's own: Ctrl-C, SIGTERM and SIGHUP end a command, also one that waits for input.

    asyncio's own way with Ctrl-C would wait until whatever blocks its loop comes back.

    Returns:
        What ends the process, with an exit code. Told 130, it ends with the code of the signal: 143 after SIGTERM.
    """

    def stop(number: int, frame: object) -> None:
        if not _process.last:
            _process.last = number
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            _end_now(INTERRUPTED)

    def ending(code: int) -> None:
        if code == INTERRUPTED and _process.last:
            code = 128 + _process.last  # 130 after SIGINT
        if _process.last and code == 128 + _process.last:  # Python waits for threads that still compute; nobody wants to
            if _process.hurried:
                _end_now(code)
            signal.signal(signal.SIGINT, lambda number, frame: _end_now(code))
            threading.Thread(target=_end_late, args=(code,), daemon=True).start()
        sys.exit(code)

    _process.ours = True
    with _handled(stop, signal.SIGINT, *_ENDING):
        yield ending


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None], *signals: int) -> Iterator[None]:
    """Takes the signals, and gives them back to whom they belonged. One that is ignored, as under nohup, stays so."""
    before: dict[int, Any] = {}
    try:
        for number in signals:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    except ValueError:  # not in the main thread: they are not ours to take
        pass
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class _Presses:
    """Counts the signals of one job. ``on`` runs between any two steps of the main thread, so it only leaves word elsewhere."""

    def __init__(self, request: StopRequest) -> None:
        self._request = request
        self._times = 0
        self._cancel: Callable[[], object] | None = None
        self._words: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    async def held(self, job: Coroutine[Any, Any, T]) -> T:
        """The job, in a task that the second Ctrl-C cancels."""
        import asyncio

        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        return await job

    def on(self, number: int, frame: object) -> None:
        if number != signal.SIGINT and self._times:
            return
        _process.last = number
        self._times += 1
        if self._times == 1:
            idle = not self._request.heard
            self._request.ask("interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}")
            if idle:
                raise KeyboardInterrupt
            self._words.put(_told("stopping: finishing what is in flight; press Ctrl-C again to stop at once"))
        elif self._times == 2 and self._cancel is not None:
            _process.hurried = True
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                self._cancel()
            self._words.put(_told("stopping at once"))
            if _process.ours:
                self._words.put(lambda: _end_late(INTERRUPTED))
        elif _process.ours:
            _end_now(INTERRUPTED)
        else:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def attended(self) -> Iterator[None]:
        """A thread does what a signal handler may not: print, and wait."""
        threading.Thread(target=self._attend, name="loopwright-signals", daemon=True).start()
        try:
            yield
        finally:
            self._words.put(None)

    def _attend(self) -> None:
        while (word := self._words.get()) is not None:
            word()


def _told(message: str) -> Callable[[], None]:
    return lambda: print(message, file=sys.stderr, flush=True)


def _end_late(code: int) -> None:
    """End the process in a while, whatever it waits for: the store holds all that was acknowledged, however a process ends."""
    time.sleep(_GRACE)
    _end_now(code)


def _end_now(code: int) -> None:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(code)


__all__ = ["own_process", "run_job"]
