"""Online DPO: in each round the policy answers twice, somebody says which answer is better, and DPO learns from that.

Guo et al., "Direct Language Model Alignment from Online AI Feedback", arXiv:2402.04792; the loss is Rafailov et al.,
arXiv:2305.18290, equation 7. ``loss`` may be any row of ``losses`` over pairs that is anchored to ``reference``.

``anchor``: "start" keeps the reference where the training began; "previous" moves it to each round's policy, as iterative
DPO does.

How this differs: adapters (LoRA) by default instead of full weights; a tie trains nothing.
"""

from collections.abc import AsyncGenerator
from typing import Literal

from loopwright.blocks.select import better_first
from loopwright.core.context import Context
from loopwright.core.registry import improver
from loopwright.core.types import Candidate


@improver(
    paper="arXiv:2402.04792", improves="weights", needs=("model", "critic", "fit"), learns_from=("preference",),
    baseline=True,
)  # fmt: skip
async def online_dpo(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 20,
    prompts: int = 64,
    loss: str = "dpo",
    beta: float = 0.1,
    anchor: Literal["start", "previous"] = "start",
    epochs: int = 1,
    batch: int = 32,
    temperature: float = 1.0,
    learning_rate: float = 5e-4,
    rank: int = 16,
    tuning: Literal["lora", "full"] = "lora",
) -> AsyncGenerator[Candidate, bool]:
    policy = base  # what a fit calls "start" is the policy it begins with, this round's
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
            loss=loss,
            loss_options={"beta": beta},
            references={"reference": began if anchor == "start" else "start"},
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
    if policy is not base:
        yield policy
