"""Cached replies, looked up many at a time."""

from __future__ import annotations

import asyncio

from loopwright.core.store import CacheRow, Store


class Lookups:
    """One query answers all look-ups of a loop turn: a query each would be a third of a call's overhead."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[str, asyncio.Future[CacheRow | None]]] = []

    async def get(self, key: str) -> CacheRow | None:
        """The cached reply of a key, or None. Raises what the store raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[CacheRow | None] = loop.create_future()
        self._waiting.append((key, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._look_up)
        return await future

    def _look_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            found = self._store.cached([key for key, _ in waiting])
        except Exception as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for key, future in waiting:
            if not future.done():
                future.set_result(found.get(key))
