"""CRITIC: let tools check the answer, say what is wrong with it, and answer again, until the tools have no objection.

Gou et al., arXiv:2305.11738. What corrects the model is the outside evidence (an interpreter's result, a passage found,
a classifier's mark), not its own opinion of itself; the authors' code runs up to four rounds, greedily.

How this differs: a tool that returns nothing has no objection, and when none objects the loop ends (the authors' code
always runs to the last round). The written critique between evidence and revision is
an option: give ``critique`` a prompt where the model is able to write one.
"""

from loopwright.core.context import Context
from loopwright.core.registry import solver
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
    rollout = await ctx.answer(example, temperature=temperature)
    for _ in range(rounds):
        if rollout.status != "ok":
            break
        evidence = await ctx.verify(rollout, tools)
        if evidence.satisfied:
            break
        opinion = ""
        if critique:
            asked = critique.replace("{answer}", rollout.output).replace("{evidence}", evidence.text)
            opinion = (await ctx.answer(example, asked, after=rollout, temperature=temperature)).output
        message = revise.replace("{evidence}", evidence.text).replace("{critique}", opinion)
        revised = await ctx.answer(example, message, after=rollout, temperature=temperature)
        if revised.output == rollout.output:
            break
        rollout = revised
    return rollout
