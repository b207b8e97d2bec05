"""Reflexion: after a failed attempt the model notes what to do otherwise, and tries afresh with its notes before it.

Shinn et al., arXiv:2303.11366. The critics judge an attempt (tests, a heuristic, a judge); from the attempt and what they
said the model writes a short reflection, which is kept as memory in words; the next attempt starts from the question and the
latest reflections. No weights change, and nothing is remembered from one question to the next. It needs critics that can
tell a failure: where they accept at once nothing happens, where they are wrong it chases ghosts.

How this differs: one prompt for all tasks. Without critics of its own the authors' code has the model write unit tests;
here ``agent-coder`` does that. The answer is the last attempt, as in the authors' code, accepted or not.

``trials``: attempts in all; a failed one costs two calls. ``memory``: how many reflections are shown, 1 to 3 in the paper.
``last_attempt``: whether the next attempt goes on from the latest one instead of starting afresh, as the authors do for
programs. A critic that could not judge ends the loop.
"""

from loopwright.blocks.rewriting import latest, rewritten
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.seen import Judgement
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

REFLECT = (
    "This answer was not accepted. What was said of it: {feedback}\nIn two or three sentences, note for your next attempt "
    "where it most likely went wrong and what you will do otherwise. Do not answer the question yet."
)
REMEMBER = "Your earlier attempts at this failed. Your notes from them, the oldest first:\n{memory}\nUse them and answer now."


@solver(paper="arXiv:2303.11366", needs=("model", "critic"), learns_from=("verdict", "score", "critique"), baseline=True)
async def reflexion(
    example: Example,
    ctx: Context,
    *,
    trials: int = 10,
    memory: int = 3,
    last_attempt: bool = False,
    reflect: str = REFLECT,
    remember: str = REMEMBER,
    temperature: float = 0.7,
) -> Rollout:
    notes: list[str] = []

    async def rewrite(attempt: Rollout, said: Judgement) -> Rollout:
        note = await ctx.ask(filled(reflect, {"feedback": said.text}), after=latest(attempt, 1), temperature=temperature)
        if note:
            notes.append(note)
        message = filled(remember, {"memory": "\n".join(notes[-memory:])}) if notes and memory else None
        after = latest(attempt, 1) if last_attempt and message else None
        return await ctx.answer(example, message, after=after, temperature=temperature)

    first = await ctx.answer(example, temperature=temperature)
    return (await rewritten(first, trials - 1, ctx.judge, rewrite))[-1]
