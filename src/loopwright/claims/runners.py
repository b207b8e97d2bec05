"""One run of a recipe or its baseline on a claim's world, by shape; all of them return a number and what it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopwright import __version__
from loopwright.blocks.convert import convert
from loopwright.claims.judged import critic_value, drawn, measure_value
from loopwright.claims.playing import STEPS, value
from loopwright.claims.table import Claim
from loopwright.claims.watched import FIGURES, learner_named, measured, seen
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import InputError
from loopwright.core.feedback import Cost
from loopwright.core.gate import counted
from loopwright.core.model import FitJob, Fitted, Model, Reading, Reply, Request, Sample, Trainable
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate, Turn
from loopwright.core.world import Figure, start
from loopwright.models import load as load_model
from loopwright.store.memory import MemoryStore
from loopwright.worlds.registry import known_world

ANSWER = "answer"  # the baseline that is no recipe


@dataclass(frozen=True, slots=True)
class Arm:
    """One run. ``sequences`` were sampled, ``trained`` were fitted on; ``steps`` are a Learner's; ``scores`` by question, where
    the value is their mean."""

    value: float
    sequences: int = 0
    tokens: int = 0
    trained: int = 0
    steps: int = 0
    seconds: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)


class PerSequence:
    """A model that counts every sampled sequence as one call, so that a cap on calls is a cap on sequences.

    Eight answers from one request would otherwise cost an eighth of eight requests.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.name = model.name
        self.fingerprint = model.fingerprint
        self.batch_rows = model.batch_rows

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        replies = await self.model.generate(requests)
        return [
            reply.model_copy(update={"cost": reply.cost.model_copy(update={"calls": request.n})})
            for request, reply in zip(requests, replies, strict=True)
        ]

    def estimate(self, request: Request) -> Cost:
        return self.model.estimate(request).model_copy(update={"calls": request.n})

    async def close(self) -> None:
        await self.model.close()


class PerSequenceTrainable(PerSequence):
    """The same for a model whose weights can be fitted; ``trained`` counts the sequences fitted on."""

    trained = 0

    async def fit(self, job: FitJob) -> Fitted:
        assert isinstance(self.model, Trainable)
        self.trained += len(job.data) * job.epochs
        return await self.model.fit(job)

    async def forward(self, samples: Sequence[Sample], what: Reading, adapter: str | None) -> Sequence[Sequence[float]]:
        assert isinstance(self.model, Trainable)
        return await self.model.forward(samples, what, adapter)

    def prompt_ids(self, turns: Sequence[Turn]) -> Sequence[int]:
        assert isinstance(self.model, Trainable)
        return self.model.prompt_ids(turns)

    def answer_ids(self, text: str) -> Sequence[int]:
        assert isinstance(self.model, Trainable)
        return self.model.answer_ids(text)

    def text_ends(self, token_ids: Sequence[int]) -> Sequence[int]:
        assert isinstance(self.model, Trainable)
        return self.model.text_ends(token_ids)


class Runner:
    """Runs both arms of one claim, seed by seed, with one model."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        known = known_world(claim.world)
        options = claim.setting.get("world", {})
        self.world: Any = known.make(**options) if isinstance(options, Mapping) else known.make()
        self.store = MemoryStore()
        model: Any = claim.setting.get("model") or known.model
        self.model: Model | None = None
        if model:
            self.model = model(self.store.blobs) if callable(model) else load_model(model, blobs=self.store.blobs)

    def run(self, slug: str, options: Mapping[str, Any], seed: int, *, arm: str = "recipe") -> Arm:
        """Raises BudgetExhausted where the options ask for more than the claim's budget."""
        return asyncio.run(self._run(slug, options, seed, arm))

    async def _run(self, slug: str, options: Mapping[str, Any], seed: int, side: str) -> Arm:
        started = time.monotonic()
        shape = get_recipe(self.claim.recipe).card.shape
        if slug != ANSWER and get_recipe(slug).card.shape != shape:
            raise InputError(f"{slug} is no {shape}, so it cannot be the baseline of {self.claim.recipe}")
        if shape == "learner":
            arm = self._learner(slug, options, seed)
            return Arm(**{**_plain(arm), "seconds": time.monotonic() - started})
        looked_at: Any = self.claim.setting.get(f"{side}_run")
        if shape == "measure" and learner_named(looked_at):
            found = measured(self.world, slug, options, looked_at, self.claim.metric, seed)
            return Arm(found, seconds=time.monotonic() - started)
        if self.model is None:
            raise InputError(f"nothing answers in {self.claim.world}; give the claim a model in its setting")
        model = (PerSequenceTrainable if isinstance(self.model, Trainable) else PerSequence)(self.model)
        row = self.store.create_run({"claim": slug}, seed=seed, budget={}, code_version=__version__)
        caps = self.claim.budget
        scores: dict[str, float] = {}
        ledger = Ledger(Budget(calls=caps.get("sequences"), tokens=caps.get("tokens")))
        engine = Engine(
            store=self.store, run=row, ledger=ledger, models={"policy": model}, convert=convert, cache=False,
            sandbox=_sandbox(self.world, slug, self.claim.recipe),
        )  # fmt: skip
        ctx = Context(engine, "claim", world=self.world, policy=start(self.world))
        if shape == "critic":
            ledger.budget = Budget()  # the answers to be judged are the harness's, the same for both arms
            caps_ = Budget(calls=caps.get("sequences"), tokens=caps.get("tokens"))
            value = await critic_value(ctx, slug, options, self.claim.setting, caps_)
            spent = ledger.spent
        elif shape == "measure":
            value = await measure_value(ctx, slug, options, self.claim.setting, f"{side}_run", self.claim.metric)
            spent = ledger.spent
        elif shape == "solver":
            final = ctx.policy
            if slug != ANSWER:
                final = final.child(solver={"recipe": get_recipe(slug).address, "options": dict(options)})
            value, scores = await self._value(ctx, final, side)
            spent = ledger.spent
        else:
            final = await self._improved(ctx, slug, options)
            spent = ledger.spent  # the test below is the harness's, the same for both arms
            ledger.budget = Budget()
            value, scores = await self._value(ctx, final, side)
        trained = getattr(model, "trained", 0)
        return Arm(value, spent.calls, spent.tokens, trained, seconds=time.monotonic() - started, scores=scores)

    async def _improved(self, ctx: Context, slug: str, options: Mapping[str, Any]) -> Candidate:
        """The last candidate that the Improver offers; where it offers none, the start."""
        last = ctx.policy
        if slug == ANSWER:
            return last

        async def offer(candidate: Candidate) -> bool:
            nonlocal last
            last = candidate
            return True

        recipe = get_recipe(slug)
        await loop.improve(recipe, ctx.policy, ctx.at("improve", recipe=recipe), offer, options)
        answering = self.claim.setting.get("answering")
        return last if answering is None or "solver" in last.parts else last.child(solver=answering)

    async def _value(self, ctx: Context, candidate: Candidate, side: str) -> tuple[float, dict[str, float]]:
        if self.claim.metric == "score":
            return await self._score(ctx, candidate, side)
        figure: Figure | None = getattr(self.world, "figure", None)
        if figure is None:
            raise InputError(f"{self.claim.world} measures candidates by score, it has no figure of its own")
        return await figure(candidate, ctx.at("figure", split="test")), {}

    async def _score(self, ctx: Context, candidate: Candidate, side: str) -> tuple[float, dict[str, float]]:
        """Mean score on the test split and the scores by example, a missing one counted as in every comparison."""
        # Every seed draws its own, the same for both arms: greedy answers differ between seeds by this alone.
        examples = drawn(ctx, self.claim.setting)
        branch = ctx.at("test", split="test")
        rollouts = await branch.evaluate(candidate, examples)
        better = (side == "recipe") == (self.claim.direction == "higher")  # is a high score in favour of the claim
        worth = counted([r.score for r in rollouts], "candidate" if better else "incumbent")
        return sum(worth) / len(worth), {r.example.id: w for r, w in zip(rollouts, worth, strict=True)}

    def _learner(self, slug: str, options: Mapping[str, Any], seed: int) -> Arm:
        if self.claim.metric in FIGURES:
            watched = seen(self.world, slug, options, self.claim.setting, seed)
            return Arm(watched.figures()[self.claim.metric], steps=watched.steps[-1])
        steps = self.claim.setting.get("steps", STEPS)
        assert isinstance(steps, int)
        found = value(self.world, slug, options, metric=self.claim.metric, seed=seed, steps=steps)
        return Arm(found, steps=steps)

    def close(self) -> None:
        if self.model is not None:
            asyncio.run(self.model.close())


def _plain(arm: Arm) -> dict[str, Any]:
    return {name: getattr(arm, name) for name in Arm.__slots__}


def _sandbox(world: Any, *slugs: str) -> Any:
    """Only where one of the recipes runs code, or the program it starts from; for both arms, as the world may need it too."""
    solver = getattr(world, "solver", None)
    recipes = [*(slug for slug in slugs if slug != ANSWER), *([solver["recipe"]] if solver else [])]
    if all("sandbox" not in get_recipe(recipe).card.needs for recipe in recipes):
        return None
    from loopwright.sandbox import Limits, Sandbox

    return Sandbox(limits=Limits(seconds=60.0))  # processor time is what counts: a busy machine must not decide a claim
