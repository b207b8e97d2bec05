"""Feedback loop: answer, hear what is wrong, answer again, until nothing is wrong or the rounds are up.

The loop in which Jiang et al., "Feedback Friction", arXiv:2506.11930 (repository JHU-CLSP/Feedback-Friction), put near-perfect
feedback to a model that still does not solve everything; the measure ``feedback-friction`` tells how much is left. Two remedies
of theirs are options: ``warm`` raises the temperature by so much each round (0.15 in their code, at most 1.5), and ``reject``
samples so many answers a round and takes one at random that was not given before (25 in their code).

When to use it: there is a critic that says what is wrong: tests, a checker, a person. It asks one answer a round and stops as
soon as the critics are content. With ``reject`` it asks that many, which a temperature of 0 would waste; give it ``warm``.

How this differs: feedback goes on as a conversation, where the authors put the whole history into one new question; the
critics' own words are the feedback, which hold no target unless the critic's author puts it there (the authors have a model
write them from the key, and mask the answer).
"""

from loopwright.blocks.select import final_answer
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

AGAIN = "Your answer is wrong. This is what was found:\n{feedback}\nAnswer the question again, in the same form."


@solver(paper="arXiv:2506.11930", needs=("model", "critic"), learns_from=("critique", "verdict", "score"))
async def feedback_loop(
    example: Example,
    ctx: Context,
    *,
    rounds: int = 9,
    warm: float = 0.0,
    most: float = 1.5,
    reject: int = 0,
    again: str = AGAIN,
    extract: str = "",
) -> Rollout:
    """``rounds`` after the first answer. ``extract``: of answers that are the same, as in self-consistency."""
    rollout = await ctx.answer(example, temperature=0.0)
    tried: list[str | None] = []
    for k in range(1, rounds + 1):
        if rollout.status != "ok":
            break
        said = await ctx.judge(rollout)
        if said.satisfied or said.missing:
            break
        tried.append(final_answer(rollout, extract))
        message, temperature = filled(again, {"feedback": said.text}), min(k * warm, most)
        found = await ctx.samples(example, max(reject, 1), message, after=rollout, temperature=temperature)
        fresh = [r for r in found if r.status == "ok" and final_answer(r, extract) not in tried]
        rollout = ctx.rng.choice(fresh or found) if reject > 1 else found[0]
    return rollout
