"""One run of a recipe on the toy, whatever its shape: what the checks are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from loopwright.blocks.convert import convert
from loopwright.checks import bench_critic, bench_measure
from loopwright.checks.bench_critic import ListeningEngine, Told
from loopwright.checks.toy import ToyModel, ToySandbox, ToyWorld, is_right, looking, share
from loopwright.checks.toy_judge import ToyJudge
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import BudgetExhausted, InputError
from loopwright.core.feedback import Feedback, Gradient, Measures, Missing, Preference
from loopwright.core.learner import encode_state
from loopwright.core.policy import prompt_of
from loopwright.core.registry import Recipe
from loopwright.core.seen import Judgement
from loopwright.core.store import EffectRow, Row, RunRow
from loopwright.core.types import Budget, Candidate, Example, Rollout, Trial, digest
from loopwright.core.world import Split, Stream
from loopwright.store.memory import MemoryStore
from loopwright.worlds.bandit import LinearBandit
from loopwright.worlds.baskets import Baskets
from loopwright.worlds.clicks import Clicks
from loopwright.worlds.crafting import Crafting
from loopwright.worlds.deployed import Deployed
from loopwright.worlds.duels import Duels
from loopwright.worlds.incremental import blobs
from loopwright.worlds.landscapes import planar_arm, rotated
from loopwright.worlds.portfolio import Portfolio
from loopwright.worlds.relaxation import Relaxation
from loopwright.worlds.switching import Switching
from loopwright.worlds.trainer import trained_grid
from loopwright.worlds.workers import Workers

EXAMPLES = 6  # that a Solver answers where only its behaviour matters
STEPS = 240  # of a Learner, where its stream does not say otherwise
# Of an option, in a check; the toy has 24 questions to learn from.
AT_MOST: dict[str, int] = {
    "rounds": 20, "prompts": 24, "samples": 8, "evaluations": 200, "cells": 12, "emitters": 3, "judgements": 60,
    "explore": 2, "verify": 1, "probes": 1, "horizon": 240,
}  # fmt: skip
MAX_WRITES = 20_000  # a recipe that goes on for ever after an error is stopped here


class Known(Stream, Protocol):
    """A stream whose truth is known."""

    def regret(self, seed: int, t: int, trial: Trial) -> float: ...

    def blind(self, seed: int, t: int) -> float: ...


# Streams for Learners by what they improve, with the steps they are given; a Learner of another kind needs a row here.
STREAMS: dict[str, tuple[Callable[[], Known], int]] = {
    "choice": (lambda: LinearBandit(arms=4, dimensions=4, noise=0.1), STEPS),
    "arm": (lambda: Switching(arms=3, low=0.1, high=0.9, price=0.0), STEPS),
    "pair": (lambda: Duels(arms=6, dimensions=3, scale=4.0), 160),
    "solver": (Portfolio, 560),  # every formula twice: who leaves out what was cut off learns slowly
    "parameter": (lambda: Relaxation(arms=6, side=4), STEPS),
    "ranking": (Baskets, STEPS),
    "query": (lambda: Clicks(queries=8, documents=40, wanted=5, shown=8, eta=0.5, blur=1.2), STEPS),
    "prediction": (lambda: Deployed("drawn", steps=STEPS, dimensions=3, turn=4000), STEPS),
    # Small, with short episodes: in a larger one a learner of mixed-up words stays in a good or a bad corner, by luck.
    "action": (lambda: trained_grid(width=3, height=2, limit=8), 400),
    "label": (lambda: blobs(examples=100, held_out=0.2), 80),  # all batches whole, as labels are mixed up
    "point": (lambda: Workers(workers=4, rows=10, dimensions=5), 400),
    "vector": (lambda: rotated("sphere", dimensions=4), STEPS),
    "archive": (lambda: planar_arm(joints=6, cells=12), 360),
    "task": (lambda: Crafting(things=4, repeats=2, impossible=60, limit=6), 360),
    "likeness": (lambda: planar_arm(joints=8, cells=12, hidden=True, doubt=0.05), 900),
}


class Watched:
    """A stream that keeps what every step fell short by, which no Learner may see."""

    def __init__(self, stream: Known) -> None:
        self.stream = stream
        self.name = stream.name
        self.spec = stream.spec
        self.remembers = getattr(stream, "remembers", False)
        self.regrets: dict[int, float] = {}

    def context(self, seed: int, t: int) -> Any:
        return self.stream.context(seed, t)

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        self.regrets[t] = self.stream.regret(seed, t, trial)
        return self.stream.respond(seed, t, trial)

    def gain(self, seed: int, steps: int, trials: Sequence[Trial]) -> float:
        """By how much the second half fell less short than blind choices, or what all of it together is worth more than they."""
        late = range(steps // 2, steps)
        if hasattr(self.stream, "gain"):
            return float(self.stream.gain(seed, trials[steps // 2 :]))
        return float(np.mean([self.stream.blind(seed, t) - self.regrets.get(t, 0.0) for t in late]))


class Killed(BaseException):
    """The process died here. Not an Exception, as a recipe that catches everything cannot catch a kill either."""


class KillableStore(MemoryStore):
    """A store whose process is killed at its ``at``-th write, before or after it; nothing is written from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.after = False
        self.writes = 0

    async def write(self, rows: Sequence[Row]) -> None:
        self.writes += 1
        if self.writes > MAX_WRITES:
            raise Killed(f"more than {MAX_WRITES} writes: the recipe does not end")
        if self.at and self.writes == self.at and self.after:
            await super().write(rows)
        if self.at and self.writes >= self.at:
            raise Killed(f"killed at write {self.at}")
        await super().write(rows)

    def in_flight(self, run: str) -> int:
        """Paid calls that were begun and have no answer recorded."""
        return sum(1 for row in self.effects(run) if isinstance(row, EffectRow) and row.status == "open")


@dataclass
class Run:
    """What came of one run. ``result`` is plain data that a repeated run must give again, to the last bit."""

    result: Any = None
    gain: float = 0.0  # true gain over doing without the recipe, in units of the score
    calls: int = 0  # of the model, through the engine or around it
    stopped: str = ""  # why the budget ended it
    heard: list[Any] = field(default_factory=list)  # what was said, in order
    used: set[str] = field(default_factory=set)  # capabilities that the recipe touched
    judged: list[tuple[Rollout, Judgement]] = field(default_factory=list)  # by a critic


@dataclass
class Bench:
    """Everything one run needs; ``run`` may be called again on the same bench, which resumes."""

    recipe: Recipe
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    scramble: Callable[[str, Any], Any] | None = None  # (id of what was judged, what was said) -> what is heard
    judgements: str = "true"
    batch_rows: int = 0
    silent: float = 0.0  # share of the model's answers in whose place it says
    silence: str | None = "?"  # this, or with None nothing at all
    examples: int = EXAMPLES
    store: KillableStore = field(default_factory=KillableStore)
    world: Callable[..., ToyWorld] = ToyWorld
    row: RunRow | None = None
    calls: int = 0  # of the model in the latest run, however it ended

    def run(self) -> Run:
        """To the end. Raises what the recipe raises, except that an exhausted budget is an end like another."""
        if self.row is None:
            spec = {"recipe": self.recipe.slug}
            self.row = self.store.create_run(spec, seed=self.seed, budget={}, code_version="check")
        return asyncio.run(self._run(self.row))

    async def _run(self, row: RunRow) -> Run:
        run = Run()
        shape = self.recipe.card.shape
        how: dict[str, Any] = {"batch_rows": self.batch_rows, "silent": self.silent, "silence": self.silence}
        judge = ToyJudge(self.seed, self.store.blobs, **how)
        model = judge if shape == "critic" else ToyModel(self.seed, self.store.blobs, **how)
        models = {"policy": model, "judge": judge} if shape == "solver" else {"policy": model}

        def hear(place: str, kind: str, said: Any) -> Any:
            # To a Solver only a judge's words and what its programs gave are feedback; its own answers are what is judged.
            if shape != "critic" and not (shape == "solver" and (kind == "run" or kind.startswith("judge/"))):
                return said
            run.heard.append(Told(kind, said))
            return said if self.scramble is None else self.scramble(place, run.heard[-1]).said

        engine = ListeningEngine(
            hear, store=self.store, run=row, ledger=Ledger(self.budget), models=models, sandbox=ToySandbox(),
            convert=convert, cache=False,
        )  # fmt: skip
        try:
            await self._shape(run, engine, model)
            engine.past.finish()
        except BudgetExhausted as error:
            run.stopped = str(error)
        finally:
            run.calls = self.calls = sum(m.calls for m in models.values())
        run.used |= _capabilities(self.store.effects(row.id))
        return run

    async def _shape(self, run: Run, engine: ListeningEngine, model: ToyModel) -> None:
        shape = self.recipe.card.shape
        if shape == "learner":
            await self._learner(run, engine)
        elif shape == "solver":
            await self._solver(run, self._context(run, engine), model)
        elif shape == "improver":
            await self._improver(run, self._context(run, engine), model)
        elif shape == "critic":
            await self._critic(run, self._context(run, engine))
        else:
            run.result = bench_measure.table(self.recipe, bench_measure.records(self.seed, self.recipe)).model_dump(mode="json")

    def _context(self, run: Run, engine: ListeningEngine) -> Context:
        def listen(id: str, judgement: Judgement) -> Judgement:
            run.heard.append(judgement)
            return judgement if self.scramble is None else self.scramble(id, judgement)

        world = self.world(judgements=self.judgements, watching=run.used.add, hear=engine.hear)
        policy = Candidate(parts={"prompt": world.prompt.model_dump(mode="json", exclude_defaults=True)})
        return Context(engine, "check", world=world, policy=policy, recipe=self.recipe, scramble=listen)

    def _held_out(self, ctx: Context, split: Split) -> Sequence[Example]:
        """Examples that the bench itself reads."""
        with looking():
            return ctx.at("bench", recipe=None).world.examples(split)

    async def _solver(self, run: Run, ctx: Context, model: ToyModel) -> None:
        examples = self._held_out(ctx, "test")[: self.examples]

        async def answer(example: Any, ctx: Context) -> Any:
            return await self.recipe(example.hidden(), ctx)

        rollouts = await ctx.map(answer, examples)
        run.result = [r.model_dump(mode="json") for r in rollouts]
        base = [model.chance(prompt_of(ctx.policy).render(e)) for e in examples]
        run.gain = float(np.mean([is_right(r.output) for r in rollouts]) - np.mean(base))

    async def _critic(self, run: Run, ctx: Context) -> None:
        rollouts = bench_critic.answers(ctx, self._held_out(ctx, "test")[: self.examples], self.seed)
        judgements = await bench_critic.judge(self.recipe, ctx, rollouts)
        run.result = [j.model_dump(mode="json") for j in judgements]
        run.judged = list(zip(rollouts, judgements, strict=True))
        run.gain = bench_critic.gain(run.judged)

    async def _improver(self, run: Run, ctx: Context, model: ToyModel) -> None:
        base = ctx.policy
        offered: list[Candidate] = []
        best, best_score = base, await self._gate(run, ctx, base)

        async def offer(candidate: Candidate) -> bool:
            nonlocal best, best_score
            offered.append(candidate)
            score = await self._gate(run, ctx, candidate)
            accepted = score > best_score
            if accepted:
                best, best_score = candidate, score
            return accepted

        await loop.improve(self.recipe, base, ctx.at("recipe"), offer, short(self.recipe))
        run.result = {"offered": [c.model_dump(mode="json") for c in offered], "best": best.hash}
        examples = self._held_out(ctx, "test")

        async def true_score(candidate: Candidate) -> float:
            if candidate.parts.get("solver"):  # what comes of a prompt through a Solver is known by asking alone
                before, branch = set(run.used), ctx.at(f"gate.true.{candidate.hash[:12]}", recipe=None, split="test")
                made = await branch.evaluate(candidate, examples)
                run.used.intersection_update(before)
                return float(np.mean([is_right(r.output) for r in made]))
            adapter = candidate.parts.get("adapter")
            turns = [prompt_of(candidate).render(e) for e in examples]
            return float(np.mean([model.chance(t, str(adapter) if adapter else None) for t in turns]))

        run.gain = await true_score(best) - await true_score(base)

    async def _gate(self, run: Run, ctx: Context, candidate: Candidate) -> float:
        """Mean score on the gate split, as it is heard; what it uses is not the recipe's doing."""
        before = set(run.used)
        branch = ctx.at(f"gate.{candidate.hash[:12]}", recipe=None, split="gate")
        scores = [r.score for r in await branch.evaluate(candidate, self._held_out(branch, "gate"))]
        run.used.intersection_update(before)
        known = [s for s in scores if s is not None]
        return float(np.mean(known)) if known else 0.0

    async def _learner(self, run: Run, engine: Engine) -> None:
        stream, steps = Watched(stream_for(self.recipe)), STREAMS[self.recipe.card.improves][1]

        def listen(feedback: Feedback) -> Feedback:
            run.heard.append(feedback)
            if self.judgements == "gradient":
                return Gradient(vector=(1.0,), about=feedback.about)
            if self.scramble is None:
                return feedback
            heard: Feedback = self.scramble(feedback.about, feedback)
            return heard

        world = ToyWorld()
        ctx = Context(engine, "check", world=world, policy=Candidate(), recipe=self.recipe)
        session, log = await loop.learn(
            self.recipe, stream, ctx, steps=steps, options=short(self.recipe), block=60, scramble=listen
        )
        run.result = {"told": [one.model_dump(mode="json") for one in log], "state": encode_state(session.state)}
        run.gain = stream.gain(session.seed, steps, [one.trial for one in log])


def short(recipe: Recipe) -> dict[str, int]:
    """Options in place of defaults that are meant for a task of another size: a check needs a run, not a long one."""
    defaults = {name: option.default for name, option in recipe.options.items()}
    return {k: most for k, most in AT_MOST.items() if isinstance(v := defaults.get(k), int) and v > most}


def stream_for(recipe: Recipe) -> Known:
    """The stream that a Learner is checked on. Raises InputError where there is none for what it improves."""
    improves = recipe.card.improves
    if improves not in STREAMS:
        raise InputError(f"no stream to check a learner of {improves!r} on; there are {', '.join(sorted(STREAMS))}")
    return STREAMS[improves][0]()


def mixed_up(pool: Sequence[Any], seed: int) -> Callable[[str, Any], Any]:
    """A scramble: everything hears what was said of something else, drawn from ``pool``; its shares stay as they were.

    Of two compared things a coin says which is better: what was said of two others has nothing to say of these. A gradient of
    somewhere else still points downhill more often than not, so a coin says which side is down; what several arms gave in one
    step is given to one another's.
    """
    judged = [said for said in pool if _comparison(said) is None and not isinstance(said, Told)]

    def scramble(id: str, said: Any) -> Any:
        if isinstance(said, Told):
            alike = [told for told in pool if isinstance(told, Told) and told.kind == said.kind]
            return alike[int(share("scramble", seed, id) * len(alike))] if alike else said
        two = _comparison(said)
        if two is not None or not judged:
            if isinstance(two, Preference) and share("scramble", seed, id) < 0.5:
                two = two.model_copy(update={"chosen": two.rejected, "rejected": two.chosen})
                return Judgement(feedback=(two,)) if isinstance(said, Judgement) else two
            return said
        other = judged[int(share("scramble", seed, id) * len(judged))]
        if isinstance(other, Judgement):
            return Judgement(feedback=tuple(f.model_copy(update={"about": id}) for f in other.feedback))
        if isinstance(other, Gradient) and share("side", seed, id) < 0.5:
            other = other.model_copy(update={"vector": tuple(-x for x in other.vector)})
        if isinstance(other, Measures) and all(name.isdigit() for name in other.values):  # what several arms gave in one step
            names = sorted(other.values, key=lambda name: share("arm", seed, id, name))
            other = other.model_copy(update={"values": dict(zip(names, other.values.values(), strict=True))})
        return other.model_copy(update={"about": id})

    return scramble


def _comparison(said: Any) -> Preference | Missing | None:
    """The comparison that was heard or did not come, alone or as the one piece of a judgement."""
    one = said.feedback[0] if isinstance(said, Judgement) and len(said.feedback) == 1 else said
    if isinstance(one, Preference) or (isinstance(one, Missing) and one.expected == "preference"):
        return one
    return None


def _capabilities(effects: Iterable[EffectRow]) -> set[str]:
    """What the record of the recipe's own scopes shows; the gate's are not the recipe's."""
    kinds = {row.kind for row in effects if "/gate." not in row.scope}
    return {word for kind, word in (("generate", "model"), ("fit", "fit"), ("run", "sandbox")) if kind in kinds}


def fingerprint(run: Run) -> str:
    """Digest of a result."""
    return digest(run.result)
