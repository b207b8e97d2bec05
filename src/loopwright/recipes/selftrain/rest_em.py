"""ReST-EM: sample, keep what the checker accepts, fine-tune the base model on it, repeat.

Singh et al., "Beyond Human Data", arXiv:2312.06585, Algorithm 1: the E-step samples from the current policy, the
M-step fine-tunes the *base* model on the samples that pass, with a cap on solutions per problem.

``shots`` gives the first E-step a few-shot prompt: a model that hardly ever passes has little to learn from. The
answers are then trained on without it. ``accumulate`` trains on the answers of all rounds so far.

How this differs: adapters (LoRA) instead of full weights; 16 samples a problem by default, where the paper takes 32;
answers to one example that are the same text count once; the last round's policy is offered to the gate rather than the
one with the best validation score (``every`` offers each round's: the report shows more, and every look makes the next
acceptance harder).
"""

from collections.abc import AsyncGenerator

from loopwright.blocks.select import top_per_example
from loopwright.blocks.shots import Targets
from loopwright.core.context import Context
from loopwright.core.model import FitOptions
from loopwright.core.policy import prompt_of
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Rollout


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
    shots: int = 0,
    from_base: bool = True,
    accumulate: bool = False,
    every: bool = False,
    fit: FitOptions = FitOptions(epochs=6, batch=16),
) -> AsyncGenerator[Candidate, bool]:
    policy, sampler = base, base
    shown: set[str] = set()
    kept: list[Rollout] = []
    if shots:
        targets = Targets(ctx, ctx.world.examples("train"))
        drawn = await targets.draw(min(shots, len(targets)))
        shown = {s.example for s in drawn}
        prompt = prompt_of(base).model_copy(update={"shots": drawn})
        sampler = base.child(prompt=prompt.model_dump(mode="json"))
    async for examples in ctx.batches(prompts, rounds=rounds):
        rollouts = await ctx.rollout(sampler, examples, n=samples, temperature=temperature)
        passed = [r for r in rollouts if r.score is not None and r.score >= threshold and r.example.id not in shown]
        kept = top_per_example([*kept, *passed] if accumulate else passed, keep)
        if not kept:
            continue
        policy = await ctx.fit(
            base if from_base else policy,
            kept,
            fit,
            loss="sft",
            own_prompt=bool(shots),
        )
        sampler, shown = policy, set()
        if every:
            yield policy
    if policy is not base and not every:
        yield policy
