"""FITO: errors are pinpointed by place, kind and severity, and the text is rewritten by simulated annealing on their weight.

Xu et al., "Pinpoint, Not Criticize", arXiv:2311.09336 (later called LLMRefine). A rewriting is a proposal: it is taken where
its errors weigh less, and with a probability that falls with the temperature where they weigh more, so that a bad local text
is left early on and kept to later. It ends when no error is found.

It wants critics that mark places (``spans`` with severity, or ``steps``); a score or verdict counts as one error of the whole
text, and then little is left of the idea. Where the critics and the objective differ, it is the critics that are optimised.

How this differs: the authors train a model to pinpoint errors of translations, answers and summaries and publish no code;
here the critics of the task do. An error weighs its severity, 1 for one that ruins the text; theirs are 5 for major and 1 for
minor ones. The first temperature and its cooling are ours, for weights of that size.

``start``: the temperature of the first round; ``cooling``: the share of it that each round takes away. 0 for ``start`` takes
no rewriting that is worse. ``error``: how one error is told, with {quote}, {label}, {severity} (major from 1/2 on) and {text}.
"""

import math

from loopwright.blocks.errors import Error, errors_of
from loopwright.blocks.orders import accepts
from loopwright.blocks.rewriting import latest
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

ERROR = '- {severity} error at "{quote}": {label} {text}'
REVISE = "Your answer has these errors:\n{errors}\nWrite it again with them put right and everything else as it was."


@solver(paper="arXiv:2311.09336", needs=("model", "critic"), learns_from=("spans", "steps", "score", "verdict"))
async def fito(
    example: Example,
    ctx: Context,
    *,
    rounds: int = 5,
    start: float = 0.5,
    cooling: float = 0.4,
    error: str = ERROR,
    revise: str = REVISE,
    temperature: float = 1.0,
) -> Rollout:
    async def pinpoint(rollout: Rollout) -> list[Error] | None:
        return errors_of(await ctx.judge(rollout), rollout.output) if rollout.status == "ok" else None

    def weight(errors: list[Error]) -> float:
        return math.fsum(e.severity for e in errors)

    def told(found: Error) -> str:
        severity = "major" if found.severity >= 0.5 else "minor"
        places = {"severity": severity, "label": found.label, "quote": found.quote or "the whole", "text": found.text}
        return filled(error, places).strip()

    rollout = await ctx.answer(example, temperature=temperature)
    errors = await pinpoint(rollout)
    heat = start
    for _ in range(rounds):
        if not errors:  # none is left, or nobody could say
            break
        message = filled(revise, {"errors": "\n".join(map(told, errors))})
        proposed = await ctx.answer(example, message, after=latest(rollout, 1), temperature=temperature)
        found = await pinpoint(proposed)
        if found is not None and accepts(-weight(found), -weight(errors), heat, ctx.rng.random()):
            rollout, errors = proposed, found
        heat *= 1 - cooling
    return rollout
