"""P(True): ask the model whether its answer is right, and take the share of yes.

Kadavath et al., "Language models (mostly) know what they know", arXiv:2207.05221, section 4: the probability of "True"
after a proposed answer is a calibrated judgement in large models.

How this differs: the share of sampled yes among the clear replies instead of a token's probability, so that any server
will do. No clear reply is a missing judgement, not a zero.
"""

from loopwright.blocks.replies import read_yes
from loopwright.core.context import Context
from loopwright.core.feedback import Feedback, Missing, Rater, Score
from loopwright.core.registry import critic
from loopwright.core.types import Rollout, Turn

ASK = "Is that answer correct? Reply with yes or no."


@critic(paper="arXiv:2207.05221", needs=("model",), baseline=True)
async def p_true(
    rollout: Rollout,
    ctx: Context,
    *,
    samples: int = 8,
    temperature: float = 1.0,
    ask: str = ASK,
    yes: str = "yes",
    no: str = "no",
) -> Feedback:
    """``yes``, ``no``: the words that ``ask`` asks for."""
    by = Rater(kind="model", name="p-true")
    turns = [t.said() for t in rollout.turns]
    replies = await ctx.generate(
        [*turns, Turn(role="user", text=ask)], role="judge", n=samples, max_tokens=4, temperature=temperature
    )
    said = [answer for reply in replies if (answer := read_yes(reply.text, yes, no, cut=reply.finish == "length")) is not None]
    if not said:
        return Missing(expected="score", message=f"no clear {yes} or {no} in {samples} replies", by=by)
    return Score(value=sum(said) / len(said), aspect="correct", by=by, confidence=len(said) / samples)
