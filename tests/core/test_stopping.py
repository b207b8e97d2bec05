"""Asking what runs to stop: waits end, those that listen hear it, and nobody else does."""

from __future__ import annotations

import asyncio
import threading

import pytest

from loopwright.core.errors import Paused
from loopwright.core.stopping import current, sleep, stoppable


def test_a_wait_ends_when_somebody_asks_from_another_thread() -> None:
    async def wait() -> None:
        waiting = asyncio.create_task(sleep(600))
        await asyncio.sleep(0)
        threading.Thread(target=current().ask, args=("enough",)).start()
        with pytest.raises(Paused, match="enough"):
            await asyncio.wait_for(waiting, 30)

    with stoppable():
        asyncio.run(wait())


def test_a_wait_that_begins_too_late_does_not_begin() -> None:
    with stoppable() as stop:
        stop.ask("first")
        stop.ask("second")
        with pytest.raises(Paused, match="first"):
            asyncio.run(sleep(600))
        with pytest.raises(Paused):
            current().check()


def test_a_wait_that_nobody_ends_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await sleep(0.05)
        return loop.time() - began

    assert asyncio.run(both()) >= 0.04
    with stoppable() as stop:
        assert asyncio.run(both()) >= 0.04
        assert not stop.heard  # whoever waited listens no more


def test_only_what_was_begun_inside_is_stopped() -> None:
    async def begin(seconds: float) -> str:
        try:
            await sleep(seconds)
        except Paused as error:
            return str(error)
        return "ended"

    async def two() -> list[str]:
        with stoppable() as one:
            first = asyncio.create_task(begin(600))
        with stoppable():
            second = asyncio.create_task(begin(0.05))
        third = asyncio.create_task(begin(0.05))
        await asyncio.sleep(0)
        one.ask("only one")
        return await asyncio.gather(first, second, third)

    assert asyncio.run(two()) == ["only one", "ended", "ended"]


def test_listeners_hear_it_once_they_listen_and_no_longer_than_that() -> None:
    heard: list[str] = []
    with stoppable() as stop:
        with stop.listening(lambda reason: heard.append(f"early {reason}")):
            assert stop.heard
            stop.ask("now")
        with stop.listening(lambda reason: heard.append(f"late {reason}")):
            pass
        stop.ask("again")
    assert heard == ["early now", "late now"] and not stop.heard
