"""Driving the shapes: an Improver against a gate, a Learner through a stream, all under the engine."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from loopwright.core.arrays import PACKED
from loopwright.core.budget import Reserve
from loopwright.core.context import Context
from loopwright.core.errors import BudgetExhausted
from loopwright.core.feedback import FREE, Cost, Feedback, Frozen, Score, Verdict
from loopwright.core.gate import Decision, Gate, as_verdicts, paired_differences
from loopwright.core.groups import Unit, unit_scores, units
from loopwright.core.learner import STEPS, Block, Logged, Session
from loopwright.core.looks import Looks
from loopwright.core.origins import from_one_server
from loopwright.core.paired_tests import sign_p
from loopwright.core.registry import Recipe
from loopwright.core.scope import Meter
from loopwright.core.store import CandidateRow
from loopwright.core.types import Candidate, Example
from loopwright.core.world import Split, Stream

Offer = Callable[[Candidate], Awaitable[bool]]
Measured = tuple[dict[str, float | None], Cost]  # scores by example, with what it took to have them


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


# A candidate is offered to the gate if a gain on the screen examples as large as its own would come by luck this seldom.
SCREEN_P = 0.25
# A look at fewer examples is not cut short: its first third is too small to say anything.
FUTILE_FROM = 20


class Screening(Frozen):
    """What comparing a candidate with the incumbent on the ``n`` screen examples showed, and whether the gate was then asked.

    missing: of the losses, those without a score of one or the other side, which are counted against the candidate.
    """

    promising: bool
    n: int
    wins: int
    losses: int
    effect: float
    p_value: float
    missing: int = 0


class Incumbent:
    """The best version so far and the gate before it.

    What a look costs is one evaluation: scores of a candidate are measured once and kept. A candidate is compared on the
    ``screen`` examples first, which no method is shown either; one that is not promising there asks nothing of the gate. Then the
    first third of the gate examples is measured, and the rest only where that shows a gain.

    Args:
        ctx: of the run; its world has the gate and screen examples.
        base: the version to begin with.
        gate: who decides. One that was told of verdicts alone is given no grades: a grade of a candidate counts 0 and of the
            incumbent 1 unless it is one of them, which can only refuse.
        reserve: what looks are paid from.
    """

    def __init__(self, ctx: Context, base: Candidate, gate: Gate, reserve: Reserve | None = None) -> None:
        self.ctx = ctx
        self.base = base
        self.candidate = base
        self.gate = gate
        self.reserve = reserve
        self.decisions: list[tuple[Candidate, Decision]] = []
        self.undecided: Candidate | None = None  # what is being compared; at the end, what the end cut short
        self.screened: list[tuple[Candidate, Screening]] = []  # what was turned down before the gate was asked
        self._decided: set[tuple[str, str]] = set()
        self._known: dict[tuple[Split, str], dict[str, float | None]] = {}  # scores by example, of what was measured
        self._times: dict[tuple[Split, str], int] = {}  # how often something was measured, where a server changed meanwhile
        self.took: dict[tuple[Split, str], tuple[Cost, int]] = {}  # what was spent on measuring it, on so many examples
        self._again = 0
        self.grades: bool | None = None  # whether the checker gave a grade of a screen example; None before it gave anything
        self.rounded = False  # whether a gate of verdicts was given a grade

    @property
    def reference(self) -> Candidate:
        """What a candidate has to beat: the incumbent; where it must only be not worse, what the run began with."""
        return self.candidate if self.gate.margin is None else self.base

    @property
    def compared(self) -> int:
        """How many candidates were compared with an incumbent, on the screen alone or by the gate."""
        return len(self.decisions) + len(self.screened)

    async def scores(self, candidate: Candidate, split: Split = "gate") -> list[float | None]:
        """Of every gate (or screen) example, in order."""
        examples = self.ctx.world.examples(split)
        known, _ = await self._measured(candidate, split, examples)
        return [known[example.id] for example in examples]

    async def _measured(self, candidate: Candidate, split: Split, examples: Sequence[Example]) -> Measured:
        known = self._known.setdefault((split, candidate.hash), {})
        place = self._place(candidate, split)
        missing = [example for example in examples if example.id not in known]
        meter = Meter()
        branch = self.ctx.at(place, split=split, recipe=None, meter=meter)
        if known:  # the rest of what was begun in the same scope
            branch = branch.at("rest")
        if missing:
            rollouts = await branch.evaluate(candidate, missing)
            before, asked = self.took.get((split, candidate.hash), (FREE, 0))
            self.took[split, candidate.hash] = before + meter.spent, asked + len(missing)
            known.update((e.id, r.score) for e, r in zip(missing, rollouts, strict=True))
            said = [isinstance(f, Score) for r in rollouts for f in r.feedback if isinstance(f, Score | Verdict)]
            if split == "screen" and said:
                self.grades = bool(self.grades) or any(said)
        return known, meter.spent

    def _place(self, candidate: Candidate, split: Split) -> str:
        times = self._times.get((split, candidate.hash), 1)
        return f"{split}.{candidate.hash[:16]}" + (f"~{times}" if times > 1 else "")

    async def _both(
        self, candidate: Candidate, split: Split, examples: Sequence[Example], part: Sequence[Example]
    ) -> tuple[dict[str, float | None], dict[str, float | None], Cost]:
        """Scores of the reference on ``examples`` and of the candidate on ``part`` of them, with what the candidate's took.

        Where a server changed between the two, what is older is measured again, so that both are of one server.
        """

        async def measured(side: Candidate, what: Sequence[Example], anew: bool) -> tuple[str, Measured]:
            if anew:
                self._known.pop((split, side.hash), None)
                self._times[split, side.hash] = self._times.get((split, side.hash), 1) + 1
            found = await self._measured(side, split, what)
            return f"{self.ctx.scope}/{self._place(side, split)}", found

        before, after = await from_one_server(
            self.ctx.engine,
            self.ctx.scope,
            lambda anew: measured(self.reference, examples, anew),
            lambda anew: measured(candidate, part, anew),
        )
        return before[0], after[0], after[1]

    async def offer(self, candidate: Candidate) -> bool:
        """Compare a candidate with the incumbent, and replace it where the gate accepts.

        An unchanged candidate, a pair that was compared before, and one that is not promising on the screen examples cost no
        look. Whoever offers is told whether it was accepted, and nothing else.

        Args:
            candidate: what a method made.

        Returns:
            Whether it is the incumbent now.

        Raises:
            BudgetExhausted: what the budget has left does not pay for the comparison.
        """
        if candidate.hash == self.candidate.hash:
            return False
        pair = candidate.hash, self.reference.hash
        if pair in self._decided:
            self._again += 1
            await self.ctx.engine.event("again", f"{self._again}", candidate=candidate.hash, by=candidate.by, note=candidate.note)
            return False  # refused; or, with a margin, accepted and replaced since
        self.undecided = candidate
        try:
            decision = await self._compare(candidate)
        except BudgetExhausted:
            raise
        except Exception:  # of the candidate's program: its method ends by it, the run does not
            self.undecided = None
            raise
        self.undecided = None
        self._decided.add(pair)
        if isinstance(decision, Screening):
            self.screened.append((candidate, decision))
            return False
        self.decisions.append((candidate, decision))
        await self.ctx.engine.record(
            CandidateRow(
                run=self.ctx.engine.run.id, hash=candidate.hash, data=candidate.model_dump(mode="json"),
                by=candidate.by, round=decision.look,
            )  # fmt: skip
        )
        told = {"look", "accepted"}
        offered = {"candidate": candidate.hash, "incumbent": self.reference.hash, "by": candidate.by, "note": candidate.note}
        await self.ctx.engine.tell(
            "look", f"{decision.look}", {**offered, **decision.model_dump(include=told)}, after=decision.model_dump(exclude=told)
        )
        if decision.accepted:
            self.candidate = candidate
        return decision.accepted

    async def _compare(self, candidate: Candidate) -> Decision | Screening:
        """What the gate decides; what the screen showed, where that is not promising."""
        screening = await self._screening(candidate)
        return await self._look(candidate) if screening is None or screening.promising else screening

    async def _screening(self, candidate: Candidate) -> Screening | None:
        """Whether its gain over the incumbent on the screen examples is worth a look; None where there are none."""
        examples = self.ctx.world.examples("screen")
        if not examples:
            return None
        if self.reserve is not None:
            self.reserve.screening()
        before, after, _ = await self._both(candidate, "screen", examples, examples)
        made_of = units(examples)
        first = unit_scores(made_of, [before[e.id] for e in examples], "incumbent")
        second = unit_scores(made_of, [after[e.id] for e in examples], "candidate")
        differences = paired_differences(first, second)
        wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
        p_value, effect = sign_p(wins, losses), math.fsum(differences) / len(differences)
        margin = self.gate.margin
        screening = Screening(
            promising=(p_value <= SCREEN_P and effect > 0) if margin is None else effect > -margin,
            n=len(made_of), wins=wins, losses=losses, effect=effect, p_value=p_value,
            missing=sum(d < 0 and None in pair for d, *pair in zip(differences, first, second, strict=True)),
        )  # fmt: skip
        await self.ctx.engine.event(
            "screen", f"{candidate.hash}/{self.reference.hash}", candidate=candidate.hash, incumbent=self.reference.hash,
            by=candidate.by, note=candidate.note, **screening.model_dump(),
        )  # fmt: skip
        return screening

    async def _look(self, candidate: Candidate) -> Decision:
        """Ask the gate: on the first third of its examples, and where that shows a gain on all of them."""
        if self.reserve is not None:
            self.reserve.looking()
        examples = self.ctx.world.examples("gate")
        made_of = units(examples)
        keys = [unit.key for unit in made_of]
        if len(made_of) >= FUTILE_FROM:
            first = [made_of[at] for at in sorted(self.gate.first_third(keys))]
            part = [examples[at] for unit in first for at in unit.members]
            incumbent, known, cost = await self._both(candidate, "gate", examples, part)
            sides = self._sides(incumbent, known, examples, first)
            if self.gate.futile(*sides):
                if self.reserve is not None:
                    self.reserve.saved(cost, measured=len(part), of=len(examples))
                return self.gate.refuse_early(*sides, of=len(made_of), keys=[unit.key for unit in first])
        incumbent, known, _ = await self._both(candidate, "gate", examples, examples)
        return self.gate.look(*self._sides(incumbent, known, examples, made_of), keys=keys)

    def _sides(
        self,
        incumbent: Mapping[str, float | None],
        candidate: Mapping[str, float | None],
        examples: Sequence[Example],
        made_of: Sequence[Unit],
    ) -> tuple[list[float | None], list[float | None]]:
        """Both sides' scores by unit, as the gate takes them."""
        before = unit_scores(made_of, [incumbent.get(example.id) for example in examples], "incumbent")
        after = unit_scores(made_of, [candidate.get(example.id) for example in examples], "candidate")
        if self.gate.graded:
            return before, after
        self.rounded |= any(s not in (None, 0, 1) for s in [*before, *after])
        return as_verdicts(before, "incumbent"), as_verdicts(after, "candidate")


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
