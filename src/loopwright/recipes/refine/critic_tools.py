"""CRITIC: let tools check the answer, say what is wrong with it, and answer again, until the tools have no objection.

Gou et al., arXiv:2305.11738. What corrects the model is the outside evidence (an interpreter's result, a passage found,
a classifier's mark), not its own opinion of itself; the authors' code runs up to four rounds, greedily.

How this differs: a tool that returns nothing has no objection, and when none objects the loop ends (the authors' code
always runs to the last round). The written critique between evidence and revision is
an option: give ``critique`` a prompt where the model is able to write one.
"""

from loopwright.blocks.rewriting import rewritten
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.seen import Judgement
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

REVISE = "A check of your answer says: {evidence}\n{critique}\nAnswer again, corrected, in the same form."
CRITIQUE = ""


@solver(paper="arXiv:2305.11738", needs=("model", "tools"), learns_from=("critique",))
async def critic_tools(
    example: Example,
    ctx: Context,
    *,
    rounds: int = 4,
    tools: tuple[str, ...] = (),
    revise: str = REVISE,
    critique: str = CRITIQUE,
    temperature: float = 0.0,
) -> Rollout:

    async def check(attempt: Rollout) -> Judgement:
        return await ctx.verify(attempt, tools)

    async def correct(attempt: Rollout, evidence: Judgement) -> Rollout | None:
        opinion = ""
        if critique:
            asked = filled(critique, {"answer": attempt.output, "evidence": evidence.text})
            opinion = (await ctx.answer(example, asked, after=attempt, temperature=temperature)).output
        message = filled(revise, {"evidence": evidence.text, "critique": opinion})
        revised = await ctx.answer(example, message, after=attempt, temperature=temperature)
        return revised if revised.output != attempt.output else None  # saying it again, it would hear the same again

    first = await ctx.answer(example, temperature=temperature)
    return (await rewritten(first, rounds, check, correct))[-1]
