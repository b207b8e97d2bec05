"""What users and models write and this program must run (queries, patterns, schemas), in processes with limits.

Each module here is loaded by a process of ``critics.worker`` by its file alone. What need not import
anything of ours does not, so that a process that had to be stopped is soon there again.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from loopwright.critics.worker import Function, Worker

_GRACE = 0.25  # seconds: what notices its limit by itself says so, and its process need not be started anew
_PROCESSES = max(1, min(4, (os.cpu_count() or 1)))


class Limited:
    """One function of a module here, called in up to four processes, which start when they are needed and are kept.

    module: its name. memory_mb: of each process's address space, in MiB. Usable from any thread and event loop.
    """

    def __init__(self, module: str, function: str, *, memory_mb: int) -> None:
        file = Path(__file__).with_name(f"{module}.py")
        called = Function(f"{file.name}:{function}", file, function)
        self._workers = [Worker(called, memory_mb=memory_mb) for _ in range(_PROCESSES)]
        self._lock = threading.Lock()
        self._busy = [0] * _PROCESSES

    def _take(self) -> int:
        with self._lock:
            at = self._busy.index(min(self._busy))
            self._busy[at] += 1
            return at

    def _give(self, at: int) -> None:
        with self._lock:
            self._busy[at] -= 1

    async def call(self, *args: Any, seconds: float) -> Any:
        """What the function returns. Raises TookTooLong, or CallFailed for what it raised or where its process died."""
        at = self._take()
        try:
            return await self._workers[at].call(*args, seconds=seconds + _GRACE)
        finally:
            self._give(at)

    def call_now(self, *args: Any, seconds: float) -> Any:
        """The same from where nothing can be awaited. Blocks."""
        at = self._take()
        try:
            return self._workers[at].submit(*args, seconds=seconds + _GRACE).result()
        finally:
            self._give(at)
