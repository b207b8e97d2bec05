"""Trying again: the model is told, whatever it answered, to try again, for so many turns; the answer given most often is kept.

The sequential counterpart of self-consistency, and how RISE (Qu et al., arXiv:2407.18219, section 4.3) has its models answer:
nobody says whether an attempt was right, so it asks for no critic. Untrained models seldom gain by it and often lose; ``rise``
trains one that does.

``keep`` "last" takes the last turn instead of the vote. ``window``: how many of the latest attempts are shown, as in the
authors' code, which shows two of five so that conversations stay as long as those that were trained on; 0 shows all.
``extract`` and ties are as in self-consistency.
"""

from typing import Literal

from loopwright.blocks.select import final_answer, majority
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.types import Example, Rollout

AGAIN = "That may be wrong. Think about what could be the matter with it and answer again, in the same form."


@solver(needs=("model",), baseline=True)
async def try_again(
    example: Example,
    ctx: Context,
    *,
    turns: int = 5,
    again: str = AGAIN,
    keep: Literal["vote", "last"] = "vote",
    window: int = 0,
    temperature: float = 1.0,
    extract: str = "",
) -> Rollout:
    attempts = [await ctx.answer(example, temperature=temperature)]
    while len(attempts) < turns and attempts[-1].status == "ok":
        before, said = attempts[-1], len(attempts[0].prompt)
        if window and len(attempts) >= window:  # the question, then the latest attempts with what was said of them
            shown = before.turns[said:][-(2 * window - 1) :]
            before = before.model_copy(update={"turns": (*before.turns[:said], *shown)})
        attempts.append(await ctx.answer(example, again, after=before, temperature=temperature))
    ok = [attempt for attempt in attempts if attempt.status == "ok"] or attempts
    return ok[-1] if keep == "last" else ok[majority([final_answer(attempt, extract) for attempt in ok])]
