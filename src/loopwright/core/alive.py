"""Whether a model that did not reply to one request is down, or answers others."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from loopwright.core.budget import Ledger
from loopwright.core.errors import BadOutput, BudgetExhausted, LoopwrightError, ModelUnavailable
from loopwright.core.feedback import FREE, Cost
from loopwright.core.model import Model, Request, Sampling
from loopwright.core.types import Turn

# Kinds of failure that one request may have alone; a server that cannot be reached, or wants no more calls, is so for all.
_ALONE = ("timeout", "server")
_PROBE = Request(turns=(Turn(role="user", text="Say yes."),), sampling=Sampling(max_tokens=1, temperature=0.0))


class Alive:
    """What is known of the models of a run, by their latest replies.

    Args:
        ledger: what a probe is paid from.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._replied: dict[int, float] = {}
        self._silent: dict[int, float] = {}  # when a probe was last not answered
        self._probing: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def replied(self, model: Model) -> None:
        """Note that the model answered something just now, whatever it was."""
        self._replied[id(model)] = time.monotonic()

    async def alone(self, model: Model, error: ModelUnavailable, began: float) -> bool:
        """Whether a request failed by itself: the server would not have it, or answers others meanwhile.

        Args:
            model: that was asked.
            error: what it ended with, after its own retries.
            began: when it was asked, by ``time.monotonic``.

        Returns:
            True where another request was answered in the later half of the time that this one took, or where a one-word
            request is answered now.
        """
        if error.kind == "bad-request":
            return True
        if error.kind not in _ALONE:
            return False
        middle = (began + time.monotonic()) / 2
        async with self._probing[id(model)]:  # one probe for all that fail together
            if max(self._replied.get(id(model), 0.0), self._silent.get(id(model), 0.0)) < middle:
                await self._probe(model)
            return self._replied.get(id(model), 0.0) >= middle

    async def _probe(self, model: Model) -> None:
        cost: Cost = FREE
        try:
            number = self._ledger.hold(model.estimate(_PROBE))
        except BudgetExhausted:
            return
        try:
            cost = (await model.generate([_PROBE]))[0].cost
            self.replied(model)
        except BadOutput:
            self.replied(model)
        except ModelUnavailable as error:
            if error.kind == "bad-request":
                self.replied(model)
            else:
                self._silent[id(model)] = time.monotonic()
        except LoopwrightError:
            self._silent[id(model)] = time.monotonic()
        finally:
            await self._ledger.settle(number, cost)
