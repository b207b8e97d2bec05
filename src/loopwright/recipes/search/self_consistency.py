"""Self-consistency: sample n answers and keep the one given most often.

Wang et al., arXiv:2203.11171: marginalise over reasoning paths by a majority vote on the final answer.

How this differs: answers are compared as text after ``extract``, a regular expression whose first group (or whole
match) is the final answer; without it the whole answer is, white space folded. Ties go to the answer given first.
"""

from loopwright.blocks.select import final_answer, majority
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.types import Example, Rollout


@solver(paper="arXiv:2203.11171", needs=("model",), baseline=True)
async def self_consistency(
    example: Example, ctx: Context, *, n: int = 8, temperature: float = 0.7, extract: str = ""
) -> Rollout:
    rollouts = await ctx.samples(example, n, temperature=temperature)
    return rollouts[majority([final_answer(r, extract) for r in rollouts])]
