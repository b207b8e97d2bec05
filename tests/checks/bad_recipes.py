"""Recipes that each break one promise. The comment names the check that must say so."""

from contextlib import suppress
from typing import Any, NamedTuple

import by_frames
import numpy as np

from loopwright.blocks.arms import rearranged
from loopwright.blocks.select import majority
from loopwright.core.errors import BudgetExhausted, NoConversion
from loopwright.core.feedback import Feedback, Score
from loopwright.core.learner import Learner
from loopwright.core.model import Request
from loopwright.core.registry import improver, learner, solver
from loopwright.core.types import Candidate, Example, Rollout, Trial

N = 4


async def best(example: Example, ctx: Any, **sampling: Any) -> Rollout:
    """What the recipes below do when they behave."""
    rollouts = await ctx.samples(example, N, **sampling)
    scores = [(await ctx.judge(r)).score for r in rollouts]
    return rollouts[max(range(N), key=lambda i: (-1.0 if scores[i] is None else scores[i], -i))]


def good(**more: Any) -> Any:
    return solver(**{"needs": ("model", "critic"), "learns_from": ("verdict",), "baseline": True, **more})


@good()
async def well_behaved(example, ctx, *, n: int = N):
    return await best(example, ctx)


@good(baseline=False, paper="somebody, 2023")  # card
async def without_a_paper(example, ctx):
    return await best(example, ctx)


@good(needs=("model", "critic", "luck"))  # card
async def unknown_need(example, ctx):
    return await best(example, ctx)


@good()  # options
async def untyped_option(example, ctx, *, rounds=4):
    return await best(example, ctx)


@good()  # options
async def option_of_another_type(example, ctx, *, rounds: int = "four"):  # type: ignore[assignment]
    return await best(example, ctx)


@good()  # options
async def positional_option(example, ctx, rounds: int = 4):
    return await best(example, ctx)


@good()  # same-seed-same-result: it counts its calls on a function
async def counts_on_a_function(example, ctx):
    best.calls = getattr(best, "calls", 0) + 1  # type: ignore[attr-defined]
    rollout = await best(example, ctx)
    return rollout.model_copy(update={"error": f"call {best.calls}"})  # type: ignore[attr-defined]


@good()  # same-result-in-a-new-process: the order of a set of strings
async def order_of_a_set(example, ctx):
    words = {"quick", "careful", "brave", "calm", "clever", "bright"}
    rollout = await best(example, ctx)
    return rollout.model_copy(update={"error": " ".join(words)})


@good()  # resumes-after-a-kill: it looks whether it is being replayed
async def knows_the_replay(example, ctx):
    rollout = await best(example, ctx)
    return rollout.model_copy(update={"error": f"replayed {by_frames.engine().past.replayed > 0}"})


@good()  # resumes-after-a-kill and budget-holds: calls that nobody recorded
async def around_the_engine(example, ctx):
    model = by_frames.engine().model("policy")
    for _ in range(5):
        await model.generate([Request(turns=ctx.world.prompt.render(example))])
    return await best(example, ctx)


@good()  # budget-holds: it does not take no for an answer
async def tries_for_ever(example, ctx):
    while True:
        with suppress(BudgetExhausted):
            return await best(example, ctx)


@good()  # budget-holds: the reason of the end is lost
async def hides_the_reason(example, ctx):
    try:
        return await best(example, ctx)
    except BudgetExhausted as error:
        raise RuntimeError("something went wrong") from error


@improver(improves="prompt", needs=("model",), learns_from=("verdict",), baseline=True)  # touches-what-it-declares
async def judges_in_secret(base, ctx, *, wordings: tuple[str, ...] = ("Be quick.", "Be careful.", "Be calm.", "Be bold.")):
    versions = [base.child(prompt={"instruction": text}) for text in wordings]
    scores = []
    for version in versions:
        rollouts = await ctx.rollout(version, ctx.world.examples("train"))
        scores.append(sum(r.score for r in rollouts if r.score is not None))
    yield versions[scores.index(max(scores))]


@good()  # survives-missing-judgements: no score is not a number
async def compares_with_nothing(example, ctx):
    rollouts = await ctx.samples(example, N)
    scores = [(await ctx.judge(r)).score for r in rollouts]
    return rollouts[scores.index(max(scores))]


@good()  # refuses-feedback-it-cannot-use
async def swallows_the_refusal(example, ctx):
    try:
        return await best(example, ctx)
    except NoConversion:
        return await ctx.answer(example)


@good()  # loop-is-closed: it asks, and then takes a vote
async def does_not_listen(example, ctx):
    rollouts = await ctx.samples(example, 8)
    for rollout in rollouts:
        await ctx.judge(rollout)
    return rollouts[majority([r.output for r in rollouts])]


@good(learns_from=("verdict",), needs=("model",))  # loop-is-closed, refuses...: it never asks
async def never_asks(example, ctx):
    return await ctx.answer(example)


class Means(NamedTuple):
    total: np.ndarray
    count: np.ndarray


def _arms(tell: Any, *, explore: float = 0.2) -> Learner:
    """A linear learner for the bench, with the given way to be told."""

    def init(spec: Any) -> Means:
        arms, d = int(spec["arms"]), int(spec["dimensions"])
        return Means(np.zeros((arms, d)), np.ones(arms))

    def ask(state: Means, context: Any, rng: np.random.Generator) -> Trial:
        predicted = state.total @ np.asarray(context) / state.count
        arm = int(rng.integers(len(predicted))) if rng.random() < explore else int(predicted.argmax())
        return Trial(id="", proposal=arm)

    return Learner(init, ask, tell)


def _added(state: Means, trial: Trial, feedback: Score) -> Means:
    total, count = state.total.copy(), state.count.copy()
    total[trial.proposal] += feedback.value * np.asarray(trial.context)
    count[trial.proposal] += 1
    return Means(total, count)


@learner(improves="choice", learns_from=("score",), baseline=True)
def good_learner(*, explore: float = 0.2):
    return _arms(_added, explore=explore)


@learner(improves="choice", learns_from=("score",), baseline=True)  # tell-changes-no-argument
def writes_in_place():
    def tell(state: Means, trial: Trial, feedback: Feedback) -> Means:
        state.total[trial.proposal] += feedback.value * np.asarray(trial.context)
        state.count[trial.proposal] += 1
        return state

    return _arms(tell)


@learner(improves="choice", learns_from=("score",), baseline=True)  # feedback-in-any-order
def minds_the_censor():
    def tell(state: Means, trial: Trial, feedback: Feedback) -> Means:
        if feedback.status != "ok":
            raise ValueError("only whole feedback, please")
        return _added(state, trial, feedback)

    return _arms(tell)


def _of_arms(state: Means, places: Any) -> Means:
    return Means(rearranged(state.total, places), rearranged(state.count, places))


def _sum(state: Means, other: Means, base: Means) -> Means:
    return Means(state.total + other.total - base.total, state.count + other.count - base.count)


@learner(improves="choice", learns_from=("score",), baseline=True)
def good_with_arms():
    return _arms(_added)._replace(arms=_of_arms, merge=_sum)


@learner(improves="choice", learns_from=("score",), baseline=True)  # arms-and-sums-keep-what-is-known
def forgets_the_order():
    return _arms(_added)._replace(arms=lambda state, places: _of_arms(state, sorted(places)))


@learner(improves="choice", learns_from=("score",), baseline=True)  # arms-and-sums-keep-what-is-known
def keeps_its_own():
    return _arms(_added)._replace(merge=lambda state, other, base: state)


@learner(improves="choice", learns_from=("score",), baseline=True)  # arms-and-sums-keep-what-is-known
def merges_in_place():
    def merge(state: Means, other: Means, base: Means) -> Means:
        state.total += other.total - base.total
        state.count += other.count - base.count + 1.0
        return state

    return _arms(_added)._replace(merge=merge)


@learner(improves="choice", learns_from=("score",), baseline=True)  # loop-is-closed
def learns_nothing():
    return _arms(lambda state, trial, feedback: state)


@improver(improves="prompt", needs=("model", "critic"), learns_from=("verdict",), baseline=True)
async def good_improver(base: Candidate, ctx, *, wordings: tuple[str, ...] = ("Be quick.", "Be careful.", "Be calm.")):
    versions = [base.child(prompt={"instruction": text}) for text in wordings]
    scores = []
    for version in versions:
        rollouts = await ctx.rollout(version, ctx.world.examples("train"))
        scores.append(sum(r.score for r in rollouts if r.score is not None))
    yield versions[scores.index(max(scores))]
