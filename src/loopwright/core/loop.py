"""Driving the shapes: an Improver against a gate, a Learner through a stream, all under the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from loopwright.core.arrays import PACKED
from loopwright.core.context import Context
from loopwright.core.feedback import FREE, Cost, Feedback
from loopwright.core.gate import Decision, Gate
from loopwright.core.learner import STEPS, Block, Logged, Session
from loopwright.core.looks import Looks
from loopwright.core.registry import Recipe
from loopwright.core.store import CandidateRow
from loopwright.core.types import Candidate
from loopwright.core.world import Stream

Offer = Callable[[Candidate], Awaitable[bool]]


async def improve(recipe: Recipe, base: Candidate, ctx: Context, offer: Offer, options: Mapping[str, Any]) -> None:
    """Run an Improver to its end; each candidate it yields is offered, and it is told whether it was accepted."""
    generator = recipe(base, ctx, **options)
    try:
        candidate = await anext(generator)
        while True:
            candidate = await generator.asend(await offer(candidate))
    except StopAsyncIteration:
        return
    finally:
        await generator.aclose()
        await ctx.engine.settled()


class Incumbent:
    """The best version so far and the gate before it.

    Scores of a candidate on the gate split are measured once and kept: a look costs one evaluation.
    """

    def __init__(self, ctx: Context, base: Candidate, gate: Gate) -> None:
        self.ctx = ctx
        self.candidate = base
        self.gate = gate
        self.decisions: list[tuple[Candidate, Decision]] = []
        self._scores: dict[str, list[float | None]] = {}

    async def scores(self, candidate: Candidate) -> list[float | None]:
        """Of every gate example, in order."""
        known = self._scores.get(candidate.hash)
        if known is None:
            examples = self.ctx.world.examples("gate")
            branch = self.ctx.at(f"gate.{candidate.hash[:16]}", split="gate", recipe=None)
            known = [r.score for r in await branch.evaluate(candidate, examples)]
            self._scores[candidate.hash] = known
        return known

    async def offer(self, candidate: Candidate) -> bool:
        """One look of the gate. An unchanged candidate costs no look and is not accepted."""
        if candidate.hash == self.candidate.hash:
            return False
        number = self.gate.looks + 1
        incumbent = await self.scores(self.candidate)
        decision = self.gate.look(incumbent, await self.scores(candidate))
        self.decisions.append((candidate, decision))
        await self.ctx.engine.record(
            CandidateRow(
                run=self.ctx.engine.run.id, hash=candidate.hash, data=candidate.model_dump(mode="json"),
                by=candidate.by, round=number,
            )  # fmt: skip
        )
        await self.ctx.engine.event(
            "look", f"{number}", candidate=candidate.hash, incumbent=self.candidate.hash, by=candidate.by,
            note=candidate.note, **decision.model_dump(),
        )  # fmt: skip
        if decision.accepted:
            self.candidate = candidate
        return decision.accepted


async def learn(
    recipe: Recipe,
    stream: Stream,
    ctx: Context,
    *,
    steps: int,
    options: Mapping[str, Any],
    block: int = 1000,
    scramble: Callable[[Feedback], Feedback] | None = None,
    looks: Looks | None = None,
) -> tuple[Session, list[Logged]]:
    """Run a Learner through a stream; returns the session, and what was asked and answered. looks: what to see meanwhile.

    Every ``block`` steps its snapshot and log become one effect, which is durable before the next block begins. So steps cost
    no write of their own, and a killed run redoes at most the block it was in; for steps that cost money, take ``block=1``.
    """

    def convert(feedback: Feedback) -> Feedback:
        return ctx.engine.convert(feedback, recipe.card.learns_from) if recipe.card.learns_from else feedback

    seeing = looks or Looks((), lambda session: None, {})
    session = Session(recipe(**options), stream.spec, seed=ctx.engine.seed, convert=convert)
    log: list[Logged] = []
    while session.asked < steps:
        begin, size = session.asked, min(block, steps - session.asked)
        current = session
        fresh = False

        async def perform(size: int = size, current: Session = current) -> tuple[bytes, Cost]:
            nonlocal fresh
            fresh = True
            heard, seen = seeing.drive(current, stream, current.asked + size, scramble=scramble)
            made = Block.model_construct(snapshot=current.snapshot(), log=tuple(heard), seen=tuple(seen))
            return made.model_dump_json(context=PACKED).encode(), FREE

        raw = await ctx.engine.effect(ctx.scope, STEPS, [begin, size], perform, summary=f"steps from {begin}")
        done = Block.model_validate_json(raw)
        if not fresh and getattr(stream, "remembers", False):
            for t, one in enumerate(done.log, begin):
                stream.respond(session.seed, t, one.trial)
        session = Session.restore(session.learner, cast(Mapping[str, Any], done.snapshot), convert=convert)
        log += done.log
        seeing.found.update(done.seen)
    return session, log
