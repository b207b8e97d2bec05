"""DDPO: denoising is a decision in every step, so a diffusion model learns what is rewarded by policy gradients.

Black et al., "Training diffusion models with reinforcement learning", arXiv:2305.13301. Each sample is drawn with its
chain of states and the log-probability of every step; the reward of the finished picture is what all steps of its chain
are reinforced by, normalised by mean and deviation of the last rewards to the same prompt. ``loss="ppo"`` is DDPO-IS:
the densities' ratio, clipped, lets a round's samples be used for several optimiser steps (``batch`` of the fit) and
epochs. ``loss="reinforce"`` is DDPO-SF, which takes one step a round (see the row ``ddpo-sf``).

Use it where a generator's rewards are numbers of the finished thing, be it from a program, a classifier or people. What
is not rewarded is given up: watch ``kl_start`` in the record of each fit, nats that a chain is away from the start, and
look at the samples. ``every`` offers each round's model instead of the last. It works with any model whose answers have
log-probabilities; a language model's steps are its tokens.

How this differs: the authors' programs average log-densities over coordinates, as is done here, and clip at 1e-4, for
steps as small as theirs; ``advantage_bound`` is theirs, not in the paper. All weights are trained, not LoRA; rates are
higher, for a model of 10^5 weights instead of 10^9. No classifier-free guidance.
"""

from collections.abc import AsyncGenerator, Hashable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from loopwright.blocks.advantage import running
from loopwright.core.context import Context
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.types import Candidate


@improver(
    paper="arXiv:2305.13301", improves="weights", needs=("model", "critic", "fit"), learns_from=("score", "verdict")
)  # fmt: skip
async def ddpo(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 50,
    prompts: int = 64,
    samples: int = 1,
    loss: Literal["ppo", "reinforce"] = "ppo",
    clip: Annotated[float, Field(gt=0)] = 1e-4,
    keep: Annotated[int, Field(gt=1)] = 32,
    least: Annotated[int, Field(gt=1)] = 16,
    advantage_bound: Annotated[float, Field(gt=0)] = 10.0,
    every: bool = False,
    fit: FitOptions = FitOptions.online(learning_rate=3e-4, batch=64, weight_decay=1e-4),
) -> AsyncGenerator[Candidate, bool]:
    """keep: rewards to a prompt that its mean and deviation are taken of; least: below so many, those of the round are."""
    policy = base
    known: Mapping[Hashable, tuple[float, ...]] = {}
    async for examples in ctx.batches(prompts, rounds=rounds):
        drawn = [r for r in await ctx.rollout(policy, examples, n=samples) if r.score is not None]
        rewards = [r.score or 0.0 for r in drawn]
        advantage, known = running(rewards, [r.example.question for r in drawn], known, keep=keep, least=least)
        if not any(advantage):
            continue
        bounded = [min(max(a, -advantage_bound), advantage_bound) for a in advantage]
        options = {"clip_low": clip, "clip_high": clip} if loss == "ppo" else {}
        policy = await ctx.fit(policy, drawn, fit, loss=loss, loss_options=options, values={"advantage": bounded})
        if every:
            yield policy
    if policy is not base and not every:
        yield policy
