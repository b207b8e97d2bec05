"""Whether a model that did not reply to one request is down, or answers others."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Literal
from uuid import uuid4

from loopwright.core.attempts import Attempts
from loopwright.core.budget import Ledger
from loopwright.core.errors import BadOutput, BudgetExhausted, LoopwrightError, ModelUnavailable, StoreError
from loopwright.core.feedback import Cost
from loopwright.core.identity import PROBE, tuple_hash
from loopwright.core.model import Model, Request, Sampling
from loopwright.core.store import EffectRow, RunRow, Store
from loopwright.core.types import Turn

# Kinds of failure that one request may have alone; a server that cannot be reached, or wants no more calls, is so for all.
_ALONE = ("timeout", "server", "cut")
_PROBE = Request(turns=(Turn(role="user", text="Say yes."),), sampling=Sampling(max_tokens=1, temperature=0.0))


class Alive:
    """What is known of the models of a run, by their latest replies.

    Args:
        ledger: what a probe is paid from.
        run: whose models they are.
        store: where it is recorded what a probe may have taken, before it is made.
    """

    def __init__(self, ledger: Ledger, run: RunRow, store: Store) -> None:
        self._ledger = ledger
        self._run = run.id
        self._store = store
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
        attempts, key = Attempts(self._ledger, model.estimate(_PROBE)), tuple_hash(PROBE, uuid4().hex)
        try:
            attempts.hold()
        except BudgetExhausted:
            return

        async def write(status: Literal["open", "done"], cost: Cost) -> None:
            made = EffectRow(self._run, key, PROBE, PROBE, "", 0, status, f"is {model.name} there?", cost=cost)
            await self._store.write([made])

        async def promise(cost: Cost) -> None:
            await write("open", cost)

        try:
            await write("open", attempts.estimate)
            attempts.paid, attempts.promise = True, promise
            with attempts:
                cost = (await model.generate([_PROBE]))[0].cost
            self.replied(model)
            await write("done", attempts.succeeded(cost))
        except LoopwrightError as error:
            if isinstance(error, BadOutput) or (isinstance(error, ModelUnavailable) and error.kind == "bad-request"):
                self.replied(model)
            else:
                self._silent[id(model)] = time.monotonic()
            if isinstance(error, StoreError):
                raise
            await write("done", attempts.failed(error))
        finally:
            await attempts.close()
