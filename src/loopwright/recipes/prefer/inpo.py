"""INPO: the policy plays against itself; each round regresses on who won, anchored to the round before and to the start.

Zhang et al., "Iterative Nash Policy Optimization", arXiv:2407.00617, algorithm 1. Where preferences go in circles no
reward explains them, and what fits one best is exploited. INPO makes a step of mirror descent in the game instead: with
exact fits its rounds lead to the Nash policy of the game regularised towards the start, which nobody beats more often
than not. It needs no win rates, only who was preferred in each pair.

``eta``: how heavily the last round's policy weighs; larger is slower and steadier. ``tau``: how heavily the start weighs,
at most ``eta``; the smaller, the nearer to Nash of the game itself, and the more rounds it takes. Each round costs two
answers and one comparison a prompt. Use it where comparisons contradict each other; where one score explains them, online
DPO comes to the same for less.

How this differs: a pair is two answers, where the paper takes the best and the worst of eight by a tournament; 10 rounds
by default, not 3; adapters (LoRA) instead of full weights, so a higher learning rate; a tie trains nothing.
"""

from collections.abc import AsyncGenerator
from typing import Literal

from loopwright.blocks.select import better_first
from loopwright.core.context import Context
from loopwright.core.registry import improver
from loopwright.core.types import Candidate


@improver(
    paper="arXiv:2407.00617", improves="weights", needs=("model", "critic", "fit"), learns_from=("preference",)
)  # fmt: skip
async def inpo(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 10,
    prompts: int = 128,
    tau: float = 0.0025,
    eta: float = 0.0075,
    epochs: int = 1,
    batch: int = 32,
    temperature: float = 1.0,
    learning_rate: float = 5e-4,
    rank: int = 16,
    tuning: Literal["lora", "full"] = "lora",
    every: bool = False,
) -> AsyncGenerator[Candidate, bool]:
    """``every``: offer each round's policy, not the last alone."""
    policy = base
    began = str(base.parts.get("adapter") or "base")
    async for examples in ctx.batches(prompts, rounds=rounds):
        answers = await ctx.rollout(policy, examples, n=2, judge=False, temperature=temperature)
        both = list(zip(answers[::2], answers[1::2], strict=True))
        pairs = better_first(both, await ctx.wins(both))
        if not pairs:
            continue
        policy = await ctx.fit(
            policy,
            pairs,
            loss="inpo",
            loss_options={"tau": tau, "eta": eta},
            references={"reference": began, "previous": "start"},  # a fit's start is this round's policy
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            schedule="constant",
            warmup=0.0,
            keep_state=True,
            tuning=tuning,
            rank=rank,
            alpha=2.0 * rank,
        )
        if every:
            yield policy
    if policy is not base and not every:
        yield policy
