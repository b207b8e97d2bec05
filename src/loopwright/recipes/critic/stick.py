"""STICK: the model writes a checklist for the request, ticks off its own answer, and answers again what was not met.

Cook et al., arXiv:2410.03608: Self-TICK. The checklist is written once, before there is an answer, so it asks what
the request asks and not what the answer happens to have. ``rounds`` of refinement follow while any question is answered with
no; one round is what their main results have. With ``n`` answers the one with the largest share of yes is taken (the first of
equals) before it is refined; ``stick-best-of-n`` is that alone, for n of 8.

When to use it: requests with several requirements and no critic. It needs a model that can tell whether a requirement is met;
one that cannot will spoil good answers, as in any refinement by its own opinion. It costs 1 + n calls to begin with, then one
to answer again and one to tick in each round.

How this differs: of two answers of one request the one with the larger share of yes is kept, so a refinement that meets fewer
requirements is dropped (``keep`` "last" takes the last one, as the paper does); an answer whose checklist cannot be read is
returned as it is.
"""

from typing import Literal

from loopwright.blocks import checklists
from loopwright.core.context import Context
from loopwright.core.feedback import Checklist
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

REFINE = (
    "Your answer was checked against the request:\n{checklist}\n"
    "Write the answer again so that every question can be answered with yes. Give only the answer."
)


@solver(paper="arXiv:2410.03608", needs=("model",))
async def stick(
    example: Example,
    ctx: Context,
    *,
    rounds: int = 1,
    n: int = 1,
    temperature: float = 1.0,
    keep: Literal["best", "last"] = "best",
    write: str = checklists.WRITE,
    ask: str = checklists.TICK,
    ask_one: str = checklists.TICK_ONE,
    one_by_one: bool = False,
    refine: str = REFINE,
    yes: str = "yes",
    no: str = "no",
    max_tokens: int = 512,
) -> Rollout:
    """``temperature`` is that of several answers; a single one and refinements are greedy. Prompts as in ``tick``."""
    questions = await checklists.write_checklist(ctx, example, prompt=write, role="policy", max_tokens=max_tokens)
    answers = await ctx.samples(example, n, temperature=temperature if n > 1 else 0.0)
    if not questions:
        return answers[0]

    async def ticked(answer: Rollout) -> tuple[float, Checklist | None]:
        if answer.status != "ok":
            return -1.0, None
        said = await checklists.tick(
            ctx, example, answer.output, questions, by="stick", prompt=ask, each=ask_one if one_by_one else "",
            yes=yes, no=no, role="policy", max_tokens=max_tokens,
        )  # fmt: skip
        if not isinstance(said, Checklist):
            return -1.0, None
        known = [item.answer for item in said.items if item.answer is not None]
        return sum(known) / len(known), said

    tried = [(*(await ticked(answer)), answer) for answer in answers]
    best = max(tried, key=lambda t: t[0])
    for _ in range(rounds):
        _, checked, answer = best
        if checked is None or checked.satisfied:
            break
        message = filled(refine, {"checklist": checked.text})
        revised = await ctx.answer(example, message, after=answer, temperature=0.0)
        if revised.status != "ok" or revised.output == answer.output:
            break
        share, checked = await ticked(revised)
        if keep == "best" and share < best[0]:
            break
        best = (share, checked, revised)
    return best[2]
