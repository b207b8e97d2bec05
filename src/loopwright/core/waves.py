"""Waves: what many coroutines ask of a local model, put into one call.

A wave is composed when every coroutine of the run waits, sorted by scope, so that the same sequences share a batch
whatever the timing, and a resumed run computes the same floats.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopwright.core.errors import BudgetExhausted, LoopwrightError, ModelError
from loopwright.core.feedback import FREE
from loopwright.core.identity import Asked, describe
from loopwright.core.model import Limited, Model, Reply, Request
from loopwright.core.store import Row

if TYPE_CHECKING:
    from loopwright.core.engine import Engine

# Event-loop turns without a new effect after which every coroutine is taken to wait. Gathers and tasks add a few turns each.
QUIET_TURNS = 24


@dataclass(slots=True)
class _Waiting:
    asked: Asked
    request: Request
    future: asyncio.Future[Reply]
    compared: bool


class Waves:
    """Collects the requests of a run by model role and runs them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[str, list[_Waiting]] = defaultdict(list)
        self._flushing: dict[str, asyncio.Task[None]] = {}

    async def ask(self, role: str, asked: Asked, request: Request, *, compared: bool) -> Reply:
        """The reply, once a wave with this request in it was run. compared: see ``Engine.generate``."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[role].append(_Waiting(asked, request, future, compared))
        if role not in self._flushing:
            self._flushing[role] = asyncio.create_task(self._flush(role))
        return await future

    async def _flush(self, role: str) -> None:
        wave: list[_Waiting] = []
        model = self._engine.model(role)
        try:
            while self._waiting[role]:
                await self._engine.quiet(QUIET_TURNS)
                wave = sorted(self._waiting.pop(role), key=lambda w: (w.asked.scope, w.asked.ordinal))
                for chunk in _chunks(wave, model.batch_rows):
                    await self._run_chunk(model, [w for w in chunk if not w.future.done()])
        except BaseException as error:  # the coroutines that wait must not hang, whatever happened here
            _refuse(wave + self._waiting.pop(role, []), error)
            if not isinstance(error, Exception):
                raise
        finally:
            del self._flushing[role]

    async def _run_chunk(self, model: Model, chunk: list[_Waiting]) -> None:
        """A chunk is recorded in one transaction, so a killed run repeats it whole and in the same composition."""
        self._engine.enter()
        try:
            todo = [waiting for waiting in chunk if not self._answered(waiting)]
            while todo:
                # Where the estimates of all do not fit the budget at once, those that wait may fit when these are settled.
                todo = await self._run_part(model, todo)
        except LoopwrightError as error:
            self._engine.stop_after(error)
            if isinstance(error, ModelError):
                rows = [self._engine.past.row(w.asked, "failed", error=describe(error)) for w in chunk if not w.future.done()]
                await self._engine.store.write(rows)
            _refuse(chunk, error)
        finally:
            self._engine.leave()

    def _answered(self, waiting: _Waiting) -> bool:
        """Whether the record has the answer."""
        try:
            known = self._engine.past.replay(waiting.asked)
        except LoopwrightError as error:
            _refuse([waiting], error)
            return True
        if known is not None and not waiting.future.done():
            waiting.future.set_result(Reply.model_validate_json(known))
        return known is not None

    async def _run_part(self, model: Model, todo: list[_Waiting]) -> list[_Waiting]:
        """Answers those that the budget has room for now; returns the others."""
        self._engine.alive()
        keys = {waiting.asked.key: self._engine.cache_key(model, waiting.request, waiting.asked) for waiting in todo}
        hits = self._engine.store.cached(list(keys.values())) if self._engine.cache else {}
        rows: list[Row] = []
        done: list[tuple[_Waiting, Reply]] = []
        calls: list[_Waiting] = []
        later: list[_Waiting] = []
        held: list[int] = []
        refused: list[tuple[_Waiting, LoopwrightError]] = []
        try:
            for waiting in todo:
                row = hits.get(keys[waiting.asked.key])
                hit = self._engine.inherited.take(waiting.asked)
                if hit is None and row is not None:
                    hit = self._engine.recalled(model, row, waiting.compared)
                if hit is not None:
                    rows.append(self._engine.past.row(waiting.asked, "done", result=hit))
                    done.append((waiting, Reply.model_validate_json(hit)))
                    continue
                if isinstance(model, Limited) and (long := model.too_long(waiting.request)) is not None:
                    rows.append(self._engine.past.row(waiting.asked, "failed", error=describe(long)))
                    refused.append((waiting, long))
                    continue
                estimate = model.estimate(waiting.request)
                try:
                    if held:
                        held.append(self._engine.ledger.hold(estimate))
                    else:
                        held.append(await self._engine.ledger.reserve(estimate))
                    calls.append(waiting)
                except BudgetExhausted as error:
                    if held and self._engine.ledger.fits_alone(estimate):
                        later.append(waiting)
                        continue
                    rows.append(self._engine.past.row(waiting.asked, "failed", error=describe(error)))
                    refused.append((waiting, error))
            started = time.monotonic()
            replies = await model.generate([waiting.request for waiting in calls]) if calls else []
            seconds = (time.monotonic() - started) / max(len(calls), 1)
            for waiting, reply in zip(calls, replies, strict=True):
                cost = reply.cost.model_copy(update={"seconds": seconds})
                result = reply.model_dump_json(exclude_defaults=True).encode()
                rows.append(self._engine.past.row(waiting.asked, "done", result=result, cost=cost))
                rows.append(self._engine.kept(keys[waiting.asked.key], result, reply))
                done.append((waiting, reply))
                await self._engine.ledger.settle(held.pop(0), cost)
                self._engine.executed += 1
            await self._engine.store.write(rows)
        finally:
            for number in held:
                await self._engine.ledger.settle(number, FREE)
        for waiting, reply in done:
            if not waiting.future.done():
                waiting.future.set_result(reply)
        for waiting, why in refused:
            _refuse([waiting], why)
        return later


def _refuse(waiting: Sequence[_Waiting], error: BaseException) -> None:
    for one in waiting:
        if not one.future.done():
            one.future.set_exception(error)


def _chunks(wave: list[_Waiting], rows: int) -> list[list[_Waiting]]:
    chunks: list[list[_Waiting]] = []
    size = rows + 1
    for waiting in wave:
        if size + waiting.request.n > rows:
            chunks.append([])
            size = 0
        chunks[-1].append(waiting)
        size += waiting.request.n
    return chunks
