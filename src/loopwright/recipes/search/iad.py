"""Iterative agent decoding: show the model its best and worst attempts with the verifier's marks, ask for better.

Chakraborty et al., "Review, Refine, Repeat", arXiv:2504.01931. Every new attempt is made knowing the best and the worst
so far; the verifier's best attempt is returned. At ``calls`` model calls it is compared with best-of-n at n = calls.

How this differs: the verifier's words (a failed test, a broken rule) are shown beside its mark where it has any; the loop ends
early when the verifier has nothing left to ask for, so ``calls`` is a cap. Of equal marks the earliest attempt is the best
one, and the worst one is the latest of the others, so that the two are never the same attempt; while there is only one
attempt, it is shown alone. ``first`` attempts are sampled before any is refined. The best one stands as the model's own turn
before the request, only the worst one is quoted in it. An attempt that could not be judged counts below all others and is
shown as marked 0; where the best one is no usable answer, the next is sampled anew. No authors' code was at hand.
"""

from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.seen import Judgement
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

REFINE = (
    "That answer was marked {best_score} of 1. {best_feedback}\n"
    "{contrast}Write a better answer to the question, in the same form, and nothing else."
)
CONTRAST = "Another answer, marked {worst_score} of 1, was:\n{worst}\n{worst_feedback}\n"

Tried = tuple[float, Judgement, Rollout]


@solver(paper="arXiv:2504.01931", needs=("model", "critic"), learns_from=("score", "verdict"))
async def iad(
    example: Example,
    ctx: Context,
    *,
    calls: int = 8,
    first: int = 2,
    temperature: float = 1.0,
    refine: str = REFINE,
    contrast: str = CONTRAST,
) -> Rollout:
    """calls: answers that are sampled, at most. first: of them before any is refined. contrast: how the worst one is shown."""
    tried: list[Tried] = []

    async def take(rollout: Rollout) -> None:
        judgement = await ctx.judge(rollout)
        tried.append((-1.0 if judgement.score is None else judgement.score, judgement, rollout))

    for rollout in await ctx.samples(example, min(first, calls), temperature=temperature):
        await take(rollout)
    for _ in range(calls - len(tried)):
        best = max(tried, key=lambda t: t[0])
        others = [t for t in reversed(tried) if t is not best]
        if best[1].satisfied:
            break
        if best[2].status != "ok":
            await take(await ctx.answer(example, temperature=temperature))
            continue
        shown = _fields("best", best)
        if others:
            worst = _fields("worst", min(others, key=lambda t: t[0]))
            shown |= worst | {"contrast": filled(contrast, worst | shown)}
        message = filled(refine, {"contrast": ""} | shown)
        await take(await ctx.answer(example, message, after=best[2], temperature=temperature))
    return max(tried, key=lambda t: t[0])[2]


def _fields(name: str, tried: Tried) -> dict[str, str]:
    """What a prompt may say of an attempt, by the names of its fields."""
    score, judgement, rollout = tried
    return {f"{name}_score": f"{max(score, 0.0):.2g}", f"{name}_feedback": judgement.text, name: rollout.output}
