"""The attempts of one model call: each is reserved in the ledger before it is made, and settled after it.

A call that is tried again may have been billed each time: a connection that was cut after the request was sent, an error 500
after the answer was made, a server that gives one sample where several were asked for. So not the call is what a cap
counts, but every request that is sent. A model that sends more than one begins each by ``attempt``; one that does not is
paid as its reply says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar, Token

from loopwright.core.budget import Ledger
from loopwright.core.errors import LoopwrightError
from loopwright.core.feedback import FREE, Cost
from loopwright.core.identity import billed
from loopwright.core.model import Reply

_current: ContextVar[Attempts | None] = ContextVar("attempts", default=None)


class Attempt:
    """One request that is sent to a server.

    sent: whether it may have been billed. took: what it took, where the server said; None counts the most it can have been.
    answered: it gave what the call asked for, so that the reply's cost has it in it. capped: tokens or money are. held: what is
    reserved for it, None where nothing is.
    """

    __slots__ = ("answered", "capped", "held", "sent", "took")

    def __init__(self, held: Cost | None = None, *, capped: bool = False) -> None:
        self.sent = self.answered = False
        self.took: Cost | None = None
        self.held = held
        self.capped = capped

    def covers(self, most: Cost) -> bool:
        """Whether what is reserved for it is enough for what it can take by what is known now."""
        held = self.held
        return held is None or (most.tokens <= held.tokens and most.money <= held.money)


class Attempts:
    """What one call has spent so far, and holds of the budget.

    Args:
        ledger: what is paid from.
        estimate: the most that the first attempt can take.

    spent: by attempts that have ended. held: the most that those under way can take. paid: money or quota leaves the machine.
    guessed: of one of them the most was counted, as nobody said what it took. promise: makes it durable, before a further
    attempt, how much all of them may have taken.
    """

    def __init__(self, ledger: Ledger, estimate: Cost) -> None:
        self.estimate = estimate
        self.spent = FREE
        self.paid = False
        self.guessed = False
        self.promise: Callable[[Cost], Awaitable[None]] | None = None
        self._ledger = ledger
        self._held: dict[int, Cost] = {}
        self._first: int | None = None  # the reservation that waits for the first attempt
        self._answered = FREE  # of ``spent``, what attempts took that were answered
        self._used = False
        self._total: Cost | None = None
        self._token: Token[Attempts | None] | None = None

    async def reserve(self) -> None:
        """Reserve the first attempt, waiting as ``Ledger.reserve`` does. Raises BudgetExhausted."""
        self._first = await self._ledger.reserve(self.estimate)

    def hold(self) -> None:
        """Reserve the first attempt now. Raises BudgetExhausted."""
        self._first = self._ledger.hold(self.estimate)

    def __enter__(self) -> Attempts:
        self._token = _current.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None

    async def begin(self, most: Callable[[], Cost]) -> int:
        """Reserve one attempt. Returns its number for ``end``. Raises BudgetExhausted."""
        self._used = True
        if self._first is not None:
            number, self._first = self._first, None
            self._held[number] = self.estimate
            return number
        estimate = most()
        number = await self._ledger.reserve(estimate)
        self._held[number] = estimate
        try:
            if self.promise is not None:
                await self.promise(sum(self._held.values(), self.spent))
        except BaseException:
            del self._held[number]
            await self._ledger.settle(number, FREE)
            raise
        return number

    def of(self, number: int) -> Cost:
        """What is held for an attempt under way."""
        return self._held[number]

    @property
    def capped(self) -> bool:
        """Whether tokens or money are."""
        return self._ledger.budget.tokens is not None or self._ledger.budget.money is not None

    async def end(self, number: int, took: Cost, *, answered: bool) -> None:
        """Settle one attempt."""
        del self._held[number]
        self.spent = self.spent + took
        if answered:
            self._answered = self._answered + took
        await self._ledger.settle(number, took)

    def succeeded(self, cost: Cost) -> Cost:
        """What the call took, where its reply says ``cost``: that, and what attempts took that were not answered."""
        lost = _less(self.spent, self._answered)
        self._total = lost + cost
        return self._total

    def failed(self, error: LoopwrightError) -> Cost:
        """What a call took that ended by an error."""
        if self._total is None:
            self._total = self.spent if self._used else billed(error, self.estimate) if self.paid else FREE
        return self._total

    async def close(self) -> None:
        """Settle what is left. A call that neither succeeded nor failed was given up: it is presumed to have been paid."""
        if self._first is not None:
            given_up = self.estimate if self.paid else FREE
            await self._ledger.settle(self._first, given_up if self._total is None else self._total)
            self._first = None
        elif self._total is not None:
            self._ledger.spend(_less(self._total, self.spent))


@asynccontextmanager
async def attempt(most: Callable[[], Cost]) -> AsyncIterator[Attempt]:
    """One request that is sent in the course of a model call.

    Args:
        most: gives the most that it can take.

    Yields:
        The attempt, to be told whether it was sent and what it took.

    Raises:
        BudgetExhausted: the caps have no room for it, so that it may not be sent.
    """
    attempts = _current.get()
    if attempts is None:  # of a model that is used without an engine
        yield Attempt()
        return
    number = await attempts.begin(most)
    made = Attempt(attempts.of(number), capped=attempts.capped)
    try:
        yield made
    finally:
        attempts.guessed |= made.sent and made.took is None
        took = made.took if made.took is not None else most() if made.sent else FREE
        await attempts.end(number, took, answered=made.answered)


def bounded(reply: Reply) -> Reply:
    """The reply of the call under way, marked where what the call took is only an upper bound."""
    attempts = _current.get()
    return reply.model_copy(update={"bound": True}) if attempts is not None and attempts.guessed and not reply.bound else reply


def _less(first: Cost, second: Cost) -> Cost:
    """What of the first is beyond the second, never less than nothing."""
    return Cost(
        calls=max(0, first.calls - second.calls), prompt_tokens=max(0, first.prompt_tokens - second.prompt_tokens),
        completion_tokens=max(0, first.completion_tokens - second.completion_tokens),
        seconds=max(0.0, first.seconds - second.seconds), money=max(0.0, first.money - second.money),
    )  # fmt: skip
