"""Iterative agent decoding: show the model its best and worst attempts with the verifier's marks, ask for better.

Chakraborty et al., "Review, Refine, Repeat", arXiv:2504.01931. Every new attempt is made knowing the best and the worst
so far; the verifier's best attempt is returned. At ``calls`` model calls it is compared with best-of-n at n = calls.

How this differs: the verifier's words (a failed test, a broken rule) are shown beside its mark where it has any; and
the loop ends early when the verifier has nothing left to ask for, so ``calls`` is a cap.
"""

from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.seen import Judgement
from loopwright.core.types import Example, Rollout

REFINE = (
    "That answer was marked {best_score} of 1. {best_feedback}\n"
    "A worse answer, marked {worst_score} of 1, was:\n{worst}\n{worst_feedback}\n"
    "Write a better answer to the question, in the same form, and nothing else."
)


@solver(paper="arXiv:2504.01931", needs=("model", "critic"), learns_from=("score", "verdict"))
async def iad(
    example: Example,
    ctx: Context,
    *,
    calls: int = 8,
    first: int = 2,
    temperature: float = 1.0,
    refine: str = REFINE,
) -> Rollout:
    tried: list[tuple[float, Judgement, Rollout]] = []

    async def take(rollout: Rollout) -> None:
        judgement = await ctx.judge(rollout)
        tried.append((-1.0 if judgement.score is None else judgement.score, judgement, rollout))

    for rollout in await ctx.samples(example, min(first, calls), temperature=temperature):
        await take(rollout)
    for _ in range(calls - len(tried)):
        best = max(tried, key=lambda t: t[0])
        worst = min(tried, key=lambda t: t[0])
        if best[1].satisfied:
            break
        if best[2].status != "ok":
            await take(await ctx.answer(example, temperature=temperature))
            continue
        message = refine
        for name, (score, judgement, rollout) in (("best", best), ("worst", worst)):
            message = message.replace("{" + name + "_score}", f"{max(score, 0.0):.2g}")
            message = message.replace("{" + name + "_feedback}", judgement.text)
            message = message.replace("{" + name + "}", rollout.output)
        await take(await ctx.answer(example, message, after=best[2], temperature=temperature))
    return max(tried, key=lambda t: t[0])[2]
