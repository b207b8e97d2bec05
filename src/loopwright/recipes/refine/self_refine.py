"""Self-Refine: the model says what is wrong with its own answer, then writes it anew, until it finds nothing to improve.

Madaan et al., arXiv:2303.17651. One model answers, gives feedback and rewrites, with no training and no outside evidence, so
it gains where the model judges better than it answers (style, constraints, readability) and often loses where it does not
(sums): the authors found next to nothing on mathematics unless somebody told the model that it was wrong. A round costs two
calls. Where tools or tests can check an answer, ``critic-tools`` and ``reflexion`` hear those instead.

How this differs: one prompt for all tasks, without the worked examples of the authors, whose prompts are each of a task; so
their scores by aspect, with which they stop on some tasks, are left out, and a reply of ``satisfied`` alone ends the loop.
The critique is asked of the run's judge, which is the model itself unless another was named.

``critique``: what the judge is asked; "" asks nothing, and ``revise`` is said whatever the answer was. ``keep`` "vote" returns
the answer given most often, compared as in self-consistency by ``extract``, instead of the last. ``window``: how many of the
latest attempts the model is shown; 0 shows all, as the authors do.
"""

from typing import Literal

from loopwright.blocks.rewriting import latest, rewritten, says_only
from loopwright.blocks.select import final_answer, majority
from loopwright.core.context import Context
from loopwright.core.feedback import Critique, Rater
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

CRITIQUE = (
    "Go through your answer once more, part by part. Say exactly what is wrong with it or could be better, and how to put "
    'that right, but do not answer anew. If nothing could be better, reply "OK" and nothing else.'
)
REVISE = "What a reader found in your answer:\n{feedback}\nAnswer the question anew with that put right, in the same form."


@solver(paper="arXiv:2303.17651", needs=("model",), learns_from=("critique",), baseline=True)
async def self_refine(
    example: Example,
    ctx: Context,
    *,
    rounds: int = 4,
    critique: str = CRITIQUE,
    revise: str = REVISE,
    satisfied: str = "OK",
    keep: Literal["vote", "last"] = "last",
    window: int = 0,
    temperature: float = 0.7,
    extract: str = "",
) -> Rollout:
    by = Rater(kind="model", name="self-refine")

    async def judge(attempt: Rollout) -> Critique:
        if not critique:
            return Critique(comment=revise, by=by)
        said = await ctx.ask(critique, after=latest(attempt, window), temperature=temperature)
        return Critique(comment="" if says_only(said, satisfied) else said, by=by)

    async def rewrite(attempt: Rollout, said: Critique) -> Rollout:
        message = filled(revise, {"feedback": said.comment})
        return await ctx.answer(example, message, after=latest(attempt, window), temperature=temperature)

    attempts = await rewritten(await ctx.answer(example, temperature=temperature), rounds, judge, rewrite)
    return attempts[-1] if keep == "last" else attempts[majority([final_answer(a, extract) for a in attempts])]
