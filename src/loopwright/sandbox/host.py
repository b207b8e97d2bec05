"""The one background thread, with its own event loop, that starts and watches every sandbox of this process.

One thread, because the kernel kills a ``--die-with-parent`` child when the *thread* that started it ends: a sandbox
started by a short-lived loop's thread would die with it. It also lets any loop, or none, use one pool without locks.
"""

from __future__ import annotations

import asyncio
import os
import threading

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The background loop; started at first use, and anew in a forked child, where the thread does not exist."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="loopwright-sandbox", daemon=True).start()
        return _loop


def _forget() -> None:
    global _loop, _lock
    _lock = threading.Lock()
    _loop = None


os.register_at_fork(after_in_child=_forget)
