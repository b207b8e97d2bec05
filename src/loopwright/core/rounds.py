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

    _earlier: asyncio.Event | None = None  # of a round that overlaps with others

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
        self,
        work: Callable[[Self, list[Example]], Coroutine[Any, Any, R]],
        size: int,
        *,
        rounds: int,
        ahead: int = 1,
        first: Callable[[], Coroutine[Any, Any, R]] | None = None,
    ) -> AsyncIterator[R]:
        """What ``work(ctx, examples)`` comes to in each round, in their order, with up to ``ahead`` rounds under way at once.

        As ``batches``, so that whatever answers never waits for one round to end. A round begins when the outcome of the
        one ``ahead`` before it was taken, whichever is done first: what ``work`` reads before it first awaits
        depends on the order of the rounds alone, and a resumed run does the same again. Later it must only read what is
        its own, or come after ``ctx.earlier()``. Where the budget cuts one off, the others' outcomes are handed out before
        BudgetExhausted is raised.

        first: work that is under way as if it were round 0, and whose outcome is handed out before all others.
        """
        if ahead < 1:
            raise InputError(f"ahead: expected at least 1 round at a time, got {ahead}")
        pool = list(self.world.examples("train"))
        under_way: deque[tuple[asyncio.Task[R], asyncio.Event]] = deque()
        begun, last = 0, rounds
        cut: BudgetExhausted | None = None

        def begin(work: Coroutine[Any, Any, R], earlier: asyncio.Event) -> None:
            under_way.append((self.engine.spawn(work, earlier), earlier))

        if first is not None:
            begin(first(), asyncio.Event())
        while True:
            wanted = range(begun + 1, min(last, begun + ahead - len(under_way)) + 1)
            for allowed in await asyncio.gather(*(self.more(n, behind=ahead) for n in wanted)):
                if not allowed:
                    last = begun
                    break
                begun += 1
                ctx = self.at(f"round{begun}")
                ctx.round, ctx._earlier = begun, asyncio.Event()
                examples = self.rng.sample(pool, min(size, len(pool)))
                begin(work(ctx, examples), ctx._earlier)
            if not under_way:
                break
            await asyncio.sleep(0)  # each new one runs up to its first await before an outcome changes what it reads
            task, earlier = under_way.popleft()
            earlier.set()
            try:
                outcome = await task
            except BudgetExhausted as error:
                cut, last = error, begun
                continue
            except Exception as error:
                for _, earlier in under_way:
                    earlier.set()
                all_or_raise([error, *await asyncio.gather(*(other for other, _ in under_way), return_exceptions=True)])
                raise
            yield outcome
        if cut is not None:
            raise cut

    async def earlier(self) -> None:
        """In a round of ``overlapping``: wait until the outcomes before its own were taken. What the rounds share is then as
        they left it, and stays so until this round ends."""
        if self._earlier is not None:
            await self._earlier.wait()

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
