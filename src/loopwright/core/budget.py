"""Spending: reserved before a call is made, settled after it, so that a cap is never passed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction

from loopwright.core.errors import BudgetExhausted, OutOfTime
from loopwright.core.feedback import FREE, Cost
from loopwright.core.types import Budget

_RESOURCES = ("calls", "tokens", "money")
_GRACE = 10.0  # seconds that a call in flight may take beyond the cap; at most a tenth of the cap


class Ledger:
    """What a run has spent and what is promised to calls in flight.

    ``spent`` and ``seconds`` start from what earlier processes of the same run used. ``clock`` gives seconds.
    """

    def __init__(
        self, budget: Budget, *, spent: Cost = FREE, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.budget = budget
        self.spent = spent
        self.aside = FREE  # kept for work that must still be possible at the end, such as the final test
        self.exceeded = 0  # calls that cost more than their estimate
        self._held: dict[int, Cost] = {}
        self._promised: dict[str, float] = dict.fromkeys(_RESOURCES, 0)  # sums over _held, kept as they change
        self._next = 0
        self._before = seconds
        self._clock = clock
        self._start = clock()
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def seconds(self) -> float:
        """Wall time driven, over all resumes."""
        return self._before + self._clock() - self._start

    def left(self, resource: str) -> float:
        """What is neither spent nor reserved; infinite without a cap."""
        cap = getattr(self.budget, resource)
        if cap is None:
            return float("inf")
        if resource == "seconds":
            return float(cap) - self.aside.seconds - self.seconds
        return float(cap) - float(getattr(self.aside, resource) + getattr(self.spent, resource) + self._promised[resource])

    def check(self, estimate: Cost, *, promised: bool = True) -> None:
        """Raises BudgetExhausted if the estimate does not fit. Without ``promised``, reservations are ignored."""
        for resource in _RESOURCES:
            cap = getattr(self.budget, resource)
            if cap is None:
                continue
            used = getattr(self.spent, resource) + getattr(self.aside, resource)
            if promised:
                used += self._promised[resource]
            asked = getattr(estimate, resource)
            if asked and used + asked > cap:
                raise BudgetExhausted(resource, cap, used, asked)
        if self.budget.seconds is not None and self.seconds + self.aside.seconds >= self.budget.seconds:
            raise BudgetExhausted("seconds", self.budget.seconds, self.seconds + self.aside.seconds, 0.0)

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Bound what is done inside by the seconds that are left, and a small grace.

        Raises:
            BudgetExhausted: at once where no seconds are left.
            OutOfTime: when they have run out.
        """
        cap = self.budget.seconds
        if cap is None:
            yield
            return
        self.check(FREE)
        began = self.seconds
        bound = asyncio.timeout(self.left("seconds") + min(_GRACE, cap / 10))
        try:
            async with bound:
                yield
        except TimeoutError:
            if not bound.expired():
                raise
            raise OutOfTime(cap, self.seconds + self.aside.seconds, self.seconds - began) from None

    def hold(self, estimate: Cost) -> int:
        """Reserve now or raise BudgetExhausted. Returns the reservation's number for ``settle``."""
        self.check(estimate)
        self._next += 1
        self._held[self._next] = estimate
        for resource in _RESOURCES:
            self._promised[resource] += getattr(estimate, resource)
        return self._next

    async def reserve(self, estimate: Cost) -> int:
        """Reserve, waiting for calls in flight to settle while only their promises stand in the way."""
        while True:
            try:
                return self.hold(estimate)
            except BudgetExhausted:
                self.check(estimate, promised=False)
                if not self._held:
                    raise
            # No await stands between the check and this wait, so no settling can slip through in between.
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(settled)
            await settled

    def fits_alone(self, estimate: Cost) -> bool:
        """Whether the estimate would fit if nothing were reserved."""
        try:
            self.check(estimate, promised=False)
        except BudgetExhausted:
            return False
        return True

    async def settle(self, number: int, actual: Cost) -> None:
        """Replace a reservation by what it took."""
        held = self._held.pop(number)
        for resource in _RESOURCES:
            # Sums of money are floats; with nothing held there is nothing promised, to the last bit.
            self._promised[resource] = self._promised[resource] - getattr(held, resource) if self._held else 0
        if any(getattr(actual, r) > getattr(held, r) * (1 + 1e-9) for r in _RESOURCES):
            self.exceeded += 1
        self.spent = self.spent + actual
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def spend(self, cost: Cost) -> None:
        """Account for something already paid."""
        self.spent = self.spent + cost


class Reserve:
    """What a ledger keeps aside for the gate and the final test, so that no method can spend it or see what the gate took.

    A look is always paid as if all gate examples had been measured: how much was left of the reserve would tell what the gate
    saw. More looks than were reserved are paid from what is left of the budget.

    Args:
        ledger: whose ``aside`` this is from now on.
        test: what the final test takes.
        look: what one look takes, an estimate.
        screen: what comparing one candidate on the screen examples takes, an estimate.
        looks: how many of each are reserved.
    """

    def __init__(self, ledger: Ledger, *, test: Cost, look: Cost = FREE, screen: Cost = FREE, looks: int = 0) -> None:
        self._ledger = ledger
        self._test, self._look, self._screen = test, look, screen
        self._looks = self._screens = looks
        self._unused = FREE
        self._put()

    def _put(self) -> None:
        self._ledger.aside = self._test + self._unused + self._look.times(self._looks) + self._screen.times(self._screens)

    def screening(self) -> None:
        """Make room for comparing one candidate on the screen examples."""
        self._screens = max(0, self._screens - 1)
        self._put()

    def looking(self) -> None:
        """Make room for one look."""
        self._looks = max(0, self._looks - 1)
        self._put()

    def saved(self, cost: Cost, *, measured: int, of: int) -> None:
        """Keep what a look that was ended early did not take: it is charged in full.

        Args:
            cost: what it took. Calls that are made at once overlap, so the wall time of a whole look is that of its estimate.
            measured: on how many examples.
            of: how many there are.
        """
        rest = cost.times(Fraction(of - measured, measured))
        seconds = self._look.seconds * (of - measured) / of
        self._unused = self._unused + rest.model_copy(update={"seconds": seconds})
        self._put()

    def release(self) -> None:
        """Nothing is kept any more: the final test begins."""
        self._ledger.aside = FREE
