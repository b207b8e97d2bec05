"""ReST-EM: sample, keep what the checker accepts, fine-tune the base model on it, repeat.

Singh et al., "Beyond Human Data", arXiv:2312.06585, Algorithm 1: the E-step samples from the current policy, the
M-step fine-tunes the *base* model on the samples that pass, with a cap on solutions per problem.

How this differs: adapters (LoRA) instead of full weights; answers to one example that are the same text count once;
the last round's policy is offered to the gate rather than the one with the best validation score (``every`` offers each
round's: the report shows more, and every look makes the next acceptance harder).
"""

from collections.abc import AsyncGenerator

from loopwright.blocks.select import top_per_example
from loopwright.core.context import Context
from loopwright.core.registry import improver
from loopwright.core.types import Candidate


@improver(
    paper="arXiv:2312.06585", improves="weights", needs=("model", "critic", "fit"), learns_from=("verdict", "score")
)
async def rest_em(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 3,
    prompts: int = 128,
    samples: int = 16,
    keep: int = 10,
    threshold: float = 1.0,
    temperature: float = 1.0,
    epochs: int = 6,
    learning_rate: float = 5e-4,
    batch: int = 16,
    rank: int = 16,
    from_base: bool = True,
    every: bool = False,
) -> AsyncGenerator[Candidate, bool]:
    policy = base
    async for examples in ctx.batches(prompts, rounds=rounds):
        rollouts = await ctx.rollout(policy, examples, n=samples, temperature=temperature)
        kept = top_per_example([r for r in rollouts if r.score is not None and r.score >= threshold], keep)
        if not kept:
            continue
        policy = await ctx.fit(
            base if from_base else policy,
            kept,
            loss="sft",
            epochs=epochs,
            learning_rate=learning_rate,
            batch=batch,
            rank=rank,
            alpha=2.0 * rank,
        )
        if every:
            yield policy
    if policy is not base and not every:
        yield policy
