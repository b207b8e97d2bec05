"""Rounds of a method: batches of train examples one after the other, or several rounds under way at once."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self, TypeVar

from loopwright.core.errors import BudgetExhausted, InputError
from loopwright.core.feedback import Cost
from loopwright.core.scope import Scope, all_or_raise
from loopwright.core.types import Example

R = TypeVar("R")


class Rounds(Scope):
    """The part of a context that counts rounds."""

    async def batches(self, size: int, *, rounds: int) -> AsyncIterator[list[Example]]:
        """Up to ``rounds`` random batches of train examples, fewer when the time is up. Each opens a round's scope.

        Whether there is time for another round is a decision of the clock, so it is an effect.
        """
        pool = list(self.world.examples("train"))
        base = self.scope
        try:
            for number in range(1, rounds + 1):
                self.scope = base
                if not await self.more(number):
                    break
                self.scope, self.round = f"{base}/round{number}", number
                yield self.rng.sample(pool, min(size, len(pool)))
        finally:
            self.scope = base

    async def overlapping(
        self, work: Callable[[Self, list[Example]], Coroutine[Any, Any, R]], size: int, *, rounds: int, ahead: int = 1
    ) -> AsyncIterator[R]:
        """What ``work(ctx, examples)`` comes to in each round, in their order, with up to ``ahead`` rounds under way at once.

        As ``batches``, so that whatever answers never waits for one round to end. A round begins when the outcome of the
        one ``ahead`` before it was taken, whichever is done first: what ``work`` reads before it first awaits
        depends on the order of the rounds alone, and a resumed run does the same again. Later it must only read what is
        its own. Where the budget cuts one off, the others' outcomes are handed out before BudgetExhausted is raised.
        """
        if ahead < 1:
            raise InputError(f"ahead: expected at least 1 round at a time, got {ahead}")
        pool = list(self.world.examples("train"))
        under_way: deque[asyncio.Task[R]] = deque()
        begun, last = 0, rounds
        cut: BudgetExhausted | None = None
        while True:
            wanted = range(begun + 1, min(last, begun + ahead - len(under_way)) + 1)
            for allowed in await asyncio.gather(*(self.more(n, behind=ahead) for n in wanted)):
                if not allowed:
                    last = begun
                    break
                begun += 1
                ctx = self.at(f"round{begun}")
                ctx.round = begun
                examples = self.rng.sample(pool, min(size, len(pool)))
                under_way.append(self.engine.spawn(work(ctx, examples)))
            if not under_way:
                break
            await asyncio.sleep(0)  # each new one runs up to its first await before an outcome changes what it reads
            try:
                outcome = await under_way.popleft()
            except BudgetExhausted as error:
                cut, last = error, begun
                continue
            except Exception as error:
                all_or_raise([error, *await asyncio.gather(*under_way, return_exceptions=True)])
                raise
            yield outcome
        if cut is not None:
            raise cut

    async def more(self, number: int, *, behind: int = 1) -> bool:
        """Whether another round is begun: the budget allows one, by what the longest so far took, and no stop rule is broken.

        behind: the round that a stop rule looks at is this many before.
        """

        async def decide() -> tuple[bytes, Cost]:
            why = self.engine.halt(self._figures(number - behind))
            return (f"no: {why}".encode() if why else b"yes" if self.engine.room(apart=behind == 1) else b"no"), Cost()

        raw = await self.engine.effect(self.scope, "round", number, decide, summary=f"round {number}")
        if raw.startswith(b"no: "):
            await self.engine.event("stop", self.scope, by=self._by, round=number - behind, reason=raw[4:].decode())
        return raw == b"yes"

    def _figures(self, number: int) -> dict[str, float]:
        """What was watched in a round, the mean over its rollouts."""
        inside = f"{self.scope}/round{number}/"
        seen = [figures for scope, figures in sorted(self.engine.watched.items()) if scope.startswith(inside)]
        names = dict.fromkeys(name for figures in seen for name in figures)
        values = {name: [figures[name] for figures in seen if name in figures] for name in names}
        return {name: math.fsum(found) / len(found) for name, found in values.items()}
