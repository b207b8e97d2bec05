"""Answering with a library of experience: the insights whose condition the question meets stand before it.

The way of answering of AlphaOPT (Kong et al., arXiv:2510.18428): headings of the library's taxonomy are chosen first, then the
conditions of what is filed under them are checked, and the model answers with the insights that are left. The library is the
part ``library`` of a candidate, as ``alpha-opt`` learns it; without one the model answers by itself.

Two short calls beside the answer. How this differs: insights are told in the system message, once, where the authors retrieve for
the formulation and for the code apart.

``retrieve``: without it every insight is told. ``most``: how many are told at most, the first ones.
"""

from loopwright.blocks.library import CHECK, MATCH, applicable, library_of, shown
from loopwright.core.context import Context
from loopwright.core.policy import prompt_of
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

USE = "What was learned from earlier problems, where it applies:\n{insights}"


@solver(paper="arXiv:2510.18428", needs=("model",), baseline=True)
async def with_library(
    example: Example,
    ctx: Context,
    *,
    retrieve: bool = True,
    most: int = 8,
    match: str = MATCH,
    check: str = CHECK,
    use: str = USE,
) -> Rollout:
    async def ask(asked: str) -> str:
        return await ctx.ask(asked, role="policy", temperature=0.0)

    library = library_of(ctx.policy)
    found = await applicable(example.question, library, ask, match=match, check=check) if retrieve else list(library)
    if not found:
        return await ctx.answer(example)
    prompt = prompt_of(ctx.policy)
    system = f"{prompt.system}\n\n{filled(use, {'insights': shown(found[:most])})}".strip()
    told = prompt.model_copy(update={"system": system}).model_dump(mode="json", exclude_defaults=True)
    rollout = await ctx.at("told", policy=ctx.policy.child(prompt=told)).answer(example)
    return rollout.model_copy(update={"candidate": ctx.policy.hash})
