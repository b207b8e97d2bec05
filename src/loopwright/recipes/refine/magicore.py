"""MAgICoRe: easy questions are answered by a weighted vote, hard ones refined with feedback on their steps until they are easy.

Chen et al., "MAgICoRe: Multi-Agent, Iterative, Coarse-to-Fine Refinement for Reasoning", arXiv:2409.12147. Several solutions
are sampled and judged as a whole and step by step. A question is hard when the solutions behind the first round's most
frequent answer are judged poor and the judged votes are far apart. Then a reviewer reads each solution with its steps' scores
and says what is wrong, a refiner rewrites it, and the new solutions are judged and asked about in the same way, for so many
rounds. The answer is the one with most reward behind it among the best solutions of all rounds.

It wants critics that mark steps (``steps``, or ``spans`` of no exact place); with scores or verdicts alone every solution has
one score and the reviewer sees that. A round costs two calls a solution, so what it saves is spent on hard questions only.

How this differs: poor is a mean reward below ``quality`` on the critics' own scale, where the authors take the mean, over the
whole data set, of the rewards of each question's first solution. The answer is voted for by the best of all rounds, where
their code takes those of the last two, and of a question that has become easy the last round's alone; it then begins again
with the first round's solutions, and here the question is done. As in their code the most frequent answer is that of the first
round in every round, and a round in which nobody gives it any more ends the refining; it is the same text, where theirs may be
the same number written otherwise. A solution in which no answer was found has no vote, where theirs counts as one more answer
in the spread, its steps being worth 0. Where all solutions are worth nothing the question is hard, in their code easy (the
entropy is no number). Eight solutions for their forty. The prompts bring no worked example. Solutions that could not be judged
have no weight.

``confidence``: a question is easy from here on by either reward; 1/2 is three answers of equal weight. ``extract`` is as in
self-consistency.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from loopwright.blocks.agreement import confidence as agreement
from loopwright.blocks.agreement import shares
from loopwright.blocks.rewriting import latest
from loopwright.blocks.select import final_answer, majority
from loopwright.blocks.steps import marked_steps
from loopwright.core.context import Context
from loopwright.core.feedback import Steps
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

REVIEW = (
    "Here is your solution again, with a score for what a checker thinks of it:\n{steps}\n"
    "Look at what has a low score. Explain each error there and how it can be put right. Do not solve the question anew."
)
REFINE = (
    "Here is your solution again, with a score for what a checker thinks of it:\n{steps}\nA reviewer explains:\n{feedback}\n"
    "Solve the question again without these errors, in the same form."
)


class Solution(NamedTuple):
    """``whole`` and ``steps`` are the two rewards in [0, 1]: of the solution, and the product over its steps."""

    rollout: Rollout
    answer: str | None
    whole: float
    steps: float
    shown: str  # the solution with its scores

    @property
    def reward(self) -> float:
        return (self.whole + self.steps) / 2


@solver(paper="arXiv:2409.12147", needs=("model", "critic"), learns_from=("steps", "score", "verdict"))
async def magicore(
    example: Example,
    ctx: Context,
    *,
    samples: int = 8,
    rounds: int = 3,
    quality: float = 0.5,
    confidence: float = 0.5,
    review: str = REVIEW,
    refine: str = REFINE,
    extract: str = "",
    temperature: float = 0.8,
    top_p: float = 0.95,
) -> Rollout:
    async def rated(rollout: Rollout, ctx: Context) -> Solution | None:
        judgement = await ctx.judge(rollout)
        marks = [f for f in judgement.feedback if isinstance(f, Steps)]
        steps = math.prod(v for f in marks for v in f.values) if marks else None
        known = [r for r in (judgement.score, steps) if r is not None]
        if judgement.missing or not known:
            return None
        shown = "\n".join(marked_steps(rollout.output, f.values) for f in marks)
        shown = shown or f"{rollout.output}\n(score {10 * known[0]:.0f} of 10)"
        return Solution(rollout, final_answer(rollout, extract), known[0], known[-1], shown)

    async def refined(solution: Solution, ctx: Context) -> Solution | None:
        shown, asked = latest(solution.rollout, 1), filled(review, {"steps": solution.shown})
        feedback = await ctx.ask(asked, after=shown, temperature=temperature, top_p=top_p)
        if not feedback:
            return None
        message = filled(refine, {"steps": solution.shown, "feedback": feedback})
        return await rated(await ctx.answer(example, message, after=shown, temperature=temperature, top_p=top_p), ctx)

    def hard(solutions: Sequence[Solution]) -> bool:
        answers = [s.answer for s in solutions]
        behind = [s.reward for s in solutions if s.answer == most]
        poor = bool(behind) and sum(behind) / len(behind) < quality
        rewards = ([s.whole for s in solutions], [s.steps for s in solutions])
        return poor and min(agreement(answers, r) for r in rewards) < confidence

    rollouts = await ctx.samples(example, samples, temperature=temperature, top_p=top_p)
    newest = [s for s in await ctx.map(rated, rollouts) if s is not None]
    if not newest:
        return rollouts[majority([final_answer(r, extract) for r in rollouts])]
    best = newest
    most = newest[majority([s.answer for s in newest])].answer
    for _ in range(rounds):
        if not newest or not hard(newest):
            break
        newest = [s for s in await ctx.map(refined, newest) if s is not None]
        best = sorted([*best, *newest], key=lambda s: -s.reward)[:samples]
    answers = [s.answer for s in best]
    votes = shares(answers, [s.reward for s in best])
    chosen = max(votes, key=votes.__getitem__) if votes else best[majority(answers)].answer  # where all are worth nothing
    return max((s for s in best if s.answer == chosen), key=lambda s: s.reward).rollout
