"""Best-of-n: sample n answers and keep the one the critics score highest.

The reference every search is measured against. Ties go to the earliest; an answer whose judgement is missing is last.
"""

from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.types import Example, Rollout


@solver(needs=("model", "critic"), learns_from=("score", "verdict"), baseline=True)
async def best_of_n(example: Example, ctx: Context, *, n: int = 8, temperature: float = 1.0) -> Rollout:
    rollouts = await ctx.samples(example, n, temperature=temperature)
    judged = [(await ctx.judge(r)).score for r in rollouts]
    best = max(range(n), key=lambda i: (-1.0 if judged[i] is None else judged[i], -i))
    return rollouts[best]
