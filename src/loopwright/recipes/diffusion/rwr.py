"""Reward-weighted regression: the model imitates its own samples, the better the more.

Peters and Schaal, 2007, and Lee et al., arXiv:2302.12192, as Black et al., arXiv:2305.13301, put them to
diffusion models: a sample weighs exp(reward / temperature), so that all weigh 1 in the mean; the model is fitted to the
finished samples by its usual loss and sampled again. ``top`` above 0 keeps that share of the samples, the best, all
weighing the same (see the row ``rwr-sparse``). Denoising is not looked at as a chain of decisions: the loss only bounds
the likelihood, which is why the paper finds it slower than DDPO.

It asks for no log-probabilities, so it works with any model that can be fitted.

How this differs: the paper samples 10,000 and fits for five epochs each time; here a round is smaller. Rewards are in
units of their range. ``by_prompt`` makes weights within a prompt, which the authors do where prompts differ in how well
they can do.
"""

import math
from collections.abc import AsyncGenerator
from typing import Annotated

from pydantic import Field

from loopwright.core.context import Context
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.types import Candidate


@improver(
    paper="arXiv:2305.13301", improves="weights", needs=("model", "critic", "fit"), learns_from=("score", "verdict"),
    baseline=True,
)  # fmt: skip
async def rwr(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 6,
    prompts: int = 80,
    samples: int = 4,
    temperature: Annotated[float, Field(gt=0)] = 0.2,
    top: Annotated[float, Field(ge=0, le=1)] = 0.0,
    by_prompt: bool = False,
    every: bool = False,
    fit: FitOptions = FitOptions.online(epochs=5, learning_rate=3e-4, batch=64, weight_decay=1e-4),
) -> AsyncGenerator[Candidate, bool]:
    policy = base
    async for examples in ctx.batches(prompts, rounds=rounds):
        drawn = [r for r in await ctx.rollout(policy, examples, n=samples) if r.score is not None]
        groups = [r.example.question if by_prompt else "" for r in drawn]
        weights = [0.0] * len(drawn)
        for group in dict.fromkeys(groups):
            mine = [i for i, g in enumerate(groups) if g == group]
            rewards = [drawn[i].score or 0.0 for i in mine]
            for i, weight in zip(mine, weighted(rewards, temperature, top), strict=True):
                weights[i] = weight
        kept = [(r, w) for r, w in zip(drawn, weights, strict=True) if w > 0]
        if not kept:
            continue
        policy = await ctx.fit(policy, [r for r, _ in kept], fit, weights=[w for _, w in kept])
        if every:
            yield policy
    if policy is not base and not every:
        yield policy


def weighted(rewards: list[float], temperature: float, top: float) -> list[float]:
    """A weight for each: exp(reward / temperature), 1 in the mean; with ``top``, 1 for the best and 0 for the others."""
    if top:
        best = sorted(range(len(rewards)), key=lambda i: -rewards[i])[: max(1, round(top * len(rewards)))]
        return [float(i in best) for i in range(len(rewards))]
    highest = max(rewards)
    raised = [math.exp((r - highest) / temperature) for r in rewards]
    return [len(rewards) * w / math.fsum(raised) for w in raised]
