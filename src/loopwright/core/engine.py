"""The engine: runs an effect once, under the budget, writes its result, and answers it from the store ever after.

On resume the recipe's own code runs again and its effects are answered from the record (``core.past``), before anything is
paid again.

Local models want waves: many sequences in one call. The engine composes them when every coroutine of the run waits,
sorted by scope, so that the same sequences share a batch whatever the timing, and a resumed run computes the same floats.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import JsonValue

from loopwright.core import errors
from loopwright.core.alive import Alive
from loopwright.core.attempts import Attempts, bounded
from loopwright.core.budget import Ledger
from loopwright.core.errors import (
    LoopwrightError,
    ModelUnavailable,
    NoReply,
    Paused,
    QuotaExhausted,
)
from loopwright.core.failing import Failures
from loopwright.core.feedback import FREE, Cost, Feedback
from loopwright.core.heard import Heard
from loopwright.core.identity import Asked, describe, tuple_hash
from loopwright.core.inherited import Inherited
from loopwright.core.lookups import Lookups
from loopwright.core.model import Model, Reply, Request
from loopwright.core.origins import Origins
from loopwright.core.past import Past
from loopwright.core.store import CacheRow, EventRow, Row, RunRow, Store
from loopwright.core.types import Rollout
from loopwright.core.waves import QUIET_TURNS, Waves

# Paid calls begun at once, for each that a model answers at a time: so many that its connections never wait for the store,
# and no more, as what is begun when the process dies is presumed spent.
_LANES = 2

R = TypeVar("R")


def _accept_all(feedback: Feedback, kinds: Sequence[str]) -> Feedback:
    return feedback


def _see_nothing(rollouts: Sequence[Rollout]) -> dict[str, float]:
    return {}


def _trust(heard: Heard) -> Mapping[str, str]:
    return {}


def _never(figures: Mapping[str, float]) -> str:
    return ""


class Engine:
    """Drives one run.

    models: by role; ``policy`` answers, others (``judge``, ``proposer``) fall back to it.
    convert: turns feedback into one of the kinds a recipe learns from, or raises NoConversion.
    cache: whether replies of earlier runs may be used again.
    again: whether a resumed run asks again what failed and nothing was built on.
    watch: figures of a round's rollouts, by name, told with the round.
    halt: why a recipe should start no further round, from the figures of its last one, or "".
    doubts: why a judge should not be trusted, by what was heard of it: short names of reasons, with words for a person.
    """

    def __init__(
        self,
        *,
        store: Store,
        run: RunRow,
        ledger: Ledger,
        models: Mapping[str, Model],
        sandbox: Any = None,
        convert: Callable[[Feedback, Sequence[str]], Feedback] = _accept_all,
        cache: bool = True,
        again: bool = False,
        notify: Callable[[str, dict[str, Any]], None] | None = None,
        watch: Callable[[Sequence[Rollout]], dict[str, float]] = _see_nothing,
        halt: Callable[[Mapping[str, float]], str] = _never,
        doubts: Callable[[Heard], Mapping[str, str]] = _trust,
    ) -> None:
        self.store = store
        self.run = run
        self.ledger = ledger
        self.models = dict(models)
        self.sandbox = sandbox
        self.convert = convert
        self.watch = watch
        self.halt = halt
        self.doubts = doubts
        self.heard: dict[str, Heard] = {}  # by the judge's name and version
        self.unused: Counter[tuple[str, str]] = Counter()  # proposals, by scope and reason
        self.doubted: set[tuple[str, str]] = set()
        self.raised: set[str] = set()  # exceptions of programs and checks that were told of
        self.watched: dict[str, dict[str, float]] = {}  # by the scope of the rollouts
        self.cache = cache
        self.notify = notify or (lambda type, payload: None)
        self.optimisers: dict[str, str] = {}  # by hash of the weights: the state of the optimiser that made them
        self.past = Past(store, run, again=again)
        self.failures = Failures()  # examples that have an error
        self.inherited = Inherited(store, run)
        self.ledger.spend(self.past.spent)
        self.executed = 0  # effects done now
        self._stopping = ""
        self._round_began: float | None = None
        self._longest_round = 0.0
        self._lanes: dict[int, asyncio.Semaphore] = {}
        self._alive = Alive(ledger, run, store)
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._cached = Lookups(store)
        self._spawned: dict[asyncio.Task[Any], asyncio.Event | None] = {}
        self._waves = Waves(self)
        self.origins = Origins(run.id, self.inherited.parents)
        self._notices: list[str] = []  # what models learn of their servers, to be told
        for model in self.models.values():
            if hasattr(model, "notices"):
                model.notices = self._notices

    @property
    def seed(self) -> int:
        return self.run.seed

    def model(self, role: str) -> Model:
        return self.models.get(role) or self.models["policy"]

    def _lanes_of(self, model: Model) -> asyncio.Semaphore:
        if id(model) not in self._lanes:
            self._lanes[id(model)] = asyncio.Semaphore(_LANES * getattr(model, "concurrency", 64))
        return self._lanes[id(model)]

    def room(self, *, apart: bool = True) -> bool:
        """Whether another round fits: time left for a fifth more than the longest so far, and something left to spend.

        apart: one round ends before the next begins, so that the time between two calls is what one took.
        """
        now = self.ledger.seconds
        if self._round_began is not None and apart:
            self._longest_round = max(self._longest_round, now - self._round_began)
        self._round_began = now
        spendable = all(self.ledger.left(resource) > 0 for resource in ("calls", "tokens", "money"))
        return spendable and self.ledger.left("seconds") > 1.2 * self._longest_round and not self._stopping

    def spawn(self, round: Coroutine[Any, Any, R], earlier: asyncio.Event | None = None) -> asyncio.Task[R]:
        """Begin a round that goes on beside others; ``settled`` waits for it, and sets ``earlier`` where that was not done."""
        began = self.ledger.seconds

        async def timed() -> R:
            try:
                return await round
            finally:
                self._longest_round = max(self._longest_round, self.ledger.seconds - began)

        def done(task: asyncio.Task[R]) -> None:
            self._spawned.pop(task, None)
            if not task.cancelled():
                task.exception()  # one that nobody waits for any more must not be complained of

        task = asyncio.create_task(timed())
        self._spawned[task] = earlier
        task.add_done_callback(done)
        return task

    async def settled(self) -> None:
        """Wait for what goes on though its method has ended: it must not spend what was set aside for what comes next."""
        for earlier in filter(None, self._spawned.values()):
            earlier.set()
        await asyncio.gather(*self._spawned, return_exceptions=True)

    def stop(self, reason: str) -> None:
        """Start nothing new; what is in flight finishes and is recorded."""
        self._stopping = self._stopping or reason

    # ---- who waits ------------------------------------------------------------------------------------------------

    async def quiet(self, turns: int) -> None:
        idle, seen = 0, self.past.asks
        while idle < turns:
            await asyncio.sleep(0)
            if self._busy:
                await self._idle.wait()
                idle = 0
            elif self.past.asks != seen:
                idle, seen = 0, self.past.asks
            else:
                idle += 1

    async def _not_diverged(self, asked: Asked) -> None:
        """A new effect beside unclaimed records is lawful only if these are asked for too before anything else happens."""
        while before := self.past.unclaimed(asked.scope):
            await self.quiet(3 * QUIET_TURNS)
            if self.past.unclaimed(asked.scope) == before:
                raise self.past.divergence(asked.scope, asked.summary)

    # ---- one effect -----------------------------------------------------------------------------------------------

    def _presumed_spent(self, asked: Asked) -> list[Row]:
        event = self.past.presumed_spent(asked)
        if event is None:
            return []
        self.notify(event.type, event.payload)
        return [event]

    def enter(self) -> None:
        self._busy += 1
        self._idle.clear()

    def leave(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    async def effect(
        self,
        scope: str,
        kind: str,
        content: JsonValue,
        perform: Callable[[], Awaitable[tuple[bytes, Cost]]],
        *,
        summary: str,
        estimate: Cost = FREE,
        paid: bool = False,
    ) -> bytes:
        """Do something costly once. ``perform`` returns the result and what it took.

        paid: money or quota leaves the machine, so the reservation is made durable before the call.
        """
        asked = self.past.ask(scope, kind, content, summary)
        lanes = self._lanes_of(self.model("policy")) if paid else None
        return await self._perform(asked, perform, estimate=estimate, lanes=lanes)

    async def _perform(
        self,
        asked: Asked,
        perform: Callable[[], Awaitable[tuple[bytes, Cost]]],
        *,
        estimate: Cost = FREE,
        lanes: asyncio.Semaphore | None = None,
        recall: Callable[[], Awaitable[bytes | None]] | None = None,
        keep: Callable[[bytes], CacheRow] | None = None,
    ) -> bytes:
        paid = lanes is not None
        known = self.past.replay(asked)
        if known is not None:
            return known
        if self.past.unclaimed(asked.scope):
            await self._not_diverged(asked)
        self.alive()
        self.enter()
        try:
            if (taken := self.inherited.take(asked)) is not None:
                await self.store.write([self.past.row(asked, "done", result=taken)])
                return taken
            if recall is not None:
                hit = await recall()
                if hit is not None:
                    await self.store.write([self.past.row(asked, "done", result=hit), *self._presumed_spent(asked)])
                    return hit
            attempts = Attempts(self.ledger, estimate)
            try:
                async with lanes or nullcontext():
                    self.alive()
                    # Only in its lane: what a call under way waits for must not be held by one that waits for its end.
                    await attempts.reserve()
                    if paid:
                        await self._promise(asked, attempts)
                    started = time.monotonic()
                    async with self.ledger.in_time() if paid else nullcontext():
                        with attempts:
                            result, cost = await perform()
                cost = attempts.succeeded(cost).model_copy(update={"seconds": time.monotonic() - started})
                rows: list[Row] = [self.past.row(asked, "done", result=result, cost=cost)]
                if keep is not None:
                    rows.append(keep(result))
                await self.store.write(rows)
                self.executed += 1
                return result
            except LoopwrightError as error:
                self.origins.bound += attempts.guessed
                await self._failed(asked, error, attempts.failed(error), paid)
                raise
            finally:
                await attempts.close()
        finally:
            self.leave()

    async def _promise(self, asked: Asked, attempts: Attempts) -> None:
        """Make durable what a paid call may take, before each of its attempts."""

        async def promise(cost: Cost) -> None:
            await self.store.write([self.past.row(asked, "open", cost=cost)])

        await self.store.write([self.past.row(asked, "open", cost=attempts.estimate), *self._presumed_spent(asked)])
        self.alive()
        attempts.paid, attempts.promise = True, promise

    async def _failed(self, asked: Asked, error: LoopwrightError, cost: Cost, paid: bool) -> None:
        self.stop_after(error)
        if not isinstance(error, errors.StoreError) and (paid or not isinstance(error, Paused)):
            await self.store.write([self.past.row(asked, "failed", error=describe(error), cost=cost)])

    def stop_after(self, error: LoopwrightError) -> None:
        """A model that is down, or out of quota, after its own bounded tries: the calls that wait are not made."""
        if isinstance(error, QuotaExhausted | ModelUnavailable) and not isinstance(error, NoReply):
            self.stop(str(error))

    def alive(self) -> None:
        if self._stopping:
            raise Paused(self._stopping)

    async def run_code(
        self, scope: str, code: str, *, stdin: str, files: Mapping[str, str], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Code in the sandbox, as an effect."""
        sandbox = self.sandbox
        if sandbox is None:
            raise errors.SandboxMissing("this run was started without a sandbox, so no code is run")

        async def perform() -> tuple[bytes, Cost]:
            outcome = await sandbox.run(code, stdin=stdin, files=files, **options)
            return json.dumps(asdict(outcome)).encode(), FREE

        content: JsonValue = [code, stdin, dict(files), {k: repr(v) for k, v in options.items()}]
        raw = await self.effect(scope, "run", content, perform, summary=code.strip().split("\n", 1)[0][:80])
        outcome: dict[str, Any] = json.loads(raw)
        return outcome

    # ---- models ---------------------------------------------------------------------------------------------------

    async def generate(self, scope: str, role: str, request: Request, *, summary: str, compared: bool = False) -> Reply:
        """One model call. The seed is made here, from the run's seed, the scope and the request.

        compared: the reply will be measured or compared, so a server's reply of an earlier run will not do.
        """
        model = self.model(role)
        reply = await self._generate(scope, role, model, request, summary, compared)
        while self._notices:
            message = self._notices.pop(0)
            await self.event("server-notice", message, message=message)
        change = self.origins.note(model, scope, reply)
        if change is not None:
            before, after = change
            message = f"{model.name}: the server is not what it was: it said {before}, now {after}"
            await self.event(
                "server-changed", f"{role}/{before}/{after}", model=model.name, before=before._asdict(), after=after._asdict(),
                message=message,
            )  # fmt: skip
        return reply

    async def _generate(
        self, scope: str, role: str, model: Model, request: Request, summary: str, compared: bool
    ) -> Reply:
        content = request.model_dump_json(exclude_defaults=True, exclude={"seed"})
        asked = self.past.ask(scope, "generate", f"{role} {content}", summary)
        seed = 0
        if request.sampling.temperature > 0:
            seed = int(tuple_hash(self.seed, scope, asked.content, asked.occurrence)[:13], 16)
        request = request.model_copy(update={"seed": seed})
        if model.batch_rows:
            if asked.record is None and self.past.unclaimed(scope):
                await self._not_diverged(asked)
            return await self._waves.ask(role, asked, request, compared=compared)

        key = self.cache_key(model, request, asked)
        fresh: list[Reply] = []

        async def recall() -> bytes | None:
            row = await self._cached.get(key)
            return self.recalled(model, row, compared) if row is not None else None

        async def perform() -> tuple[bytes, Cost]:
            began = time.monotonic()
            try:
                fresh.append(bounded((await model.generate([request]))[0]))
            except ModelUnavailable as error:
                if await self._alive.alone(model, error, began):
                    raise NoReply(str(error), kind=error.kind, attempts=error.attempts) from error
                raise
            self._alive.replied(model)
            return fresh[0].model_dump_json(exclude_defaults=True).encode(), fresh[0].cost

        raw = await self._perform(
            asked, perform, estimate=model.estimate(request), lanes=self._lanes_of(model),
            recall=recall if self.cache else None, keep=lambda result: self.kept(key, result, fresh[0]),
        )  # fmt: skip
        return fresh[0] if fresh else Reply.model_validate_json(raw)

    def recalled(self, model: Model, row: CacheRow, compared: bool) -> bytes | None:
        """A cached reply as this run records it; None where it may not stand for a fresh one."""
        if not self.origins.usable(model, row, compared=compared):
            return None
        if row.run == self.run.id:
            return row.value
        reply = self.origins.taken(row, Reply.model_validate_json(row.value))
        return reply.model_dump_json(exclude_defaults=True).encode()

    def kept(self, key: str, result: bytes, reply: Reply) -> CacheRow:
        """What later runs may use of a reply."""
        return CacheRow(key, result, self.run.id, reply.model, reply.system_fingerprint, time.time())

    @staticmethod
    def cache_key(model: Model, request: Request, asked: Asked) -> str:
        return tuple_hash(model.fingerprint, asked.content, request.seed)

    # ---- what the report tells ------------------------------------------------------------------------------------

    async def record(self, *rows: Row) -> None:
        """Write rows that are not effects (rollouts, candidates, feedback); writing them again changes nothing."""
        self.enter()
        try:
            await self.store.write(rows)
        finally:
            self.leave()

    def unrecorded(self, ids: Sequence[str]) -> Collection[str]:
        """Which of these attempts the store has not got: a resumed run comes to all of them again."""
        known = self.store.recorded_rollouts(self.run.id, ids) if self.past.resumed and not self.past.anew else ()
        return set(ids).difference(known)

    async def event(self, type: str, key: str, **payload: Any) -> None:
        """Tell the report and whoever watches. ``key`` makes it the same event when a resumed run tells it again."""
        await self.tell(type, key, payload)

    async def tell(self, type: str, key: str, payload: Mapping[str, Any], *, after: Mapping[str, Any] | None = None) -> None:
        """As ``event``.

        Args:
            type: what happened.
            key: of this event among those of its type.
            payload: plain data, for whoever watches and for the report.
            after: what is recorded with it and told only once the run has ended.
        """
        self.notify(type, dict(payload))
        told = {**payload, **(after or {})}
        await self.record(EventRow(run=self.run.id, type=type, key=f"{type}/{key}", payload=told, time=time.time()))
