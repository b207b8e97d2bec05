"""Checklists that a model writes and a model ticks: questions of yes and no, where yes is good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopwright.blocks.replies import read_answers, read_list, read_yes
from loopwright.core.errors import BadOutput, NoReply
from loopwright.core.feedback import Checklist, Item, Missing, Rater
from loopwright.core.fences import without_thinking
from loopwright.core.templates import filled
from loopwright.core.types import Example, digest

if TYPE_CHECKING:
    from loopwright.core.context import Context

MOST = 8  # questions

WRITE = (
    "{question}\n\n---\nAbove is a request. Somebody else will answer it. Write a list of two to eight questions with which that "
    "answer can be checked. Each asks about one requirement, stated in the request or plainly implied by it, can be answered "
    "with yes or no, and yes means that the requirement is met. Leave out what does not matter here.\n"
    "Write the numbered questions and nothing else."
)
TICK = (
    "Request:\n{question}\n\nAnswer:\n{answer}\n\nAnswer each question about this answer with yes or no, and say no where you "
    "are not sure.\n{checklist}\n\nWrite one line for each question, the number and yes or no, like: 1. yes"
)
TICK_ONE = "Request:\n{question}\n\nAnswer:\n{answer}\n\n{item}\nSay yes or no."


async def write_checklist(
    ctx: Context, example: Example, *, prompt: str = WRITE, role: str = "judge", max_tokens: int = 512
) -> tuple[str, ...]:
    """Questions that an answer to this example can be checked with: those of its meta.checklist, else a model's.

    At most eight; none where the model gave no list.
    """
    given = example.meta.get("checklist")
    if isinstance(given, list) and given:
        return tuple(str(item) for item in given)
    try:
        (reply,) = await ctx.generate(
            filled(prompt, {"question": example.question}), role=role, temperature=0.0, max_tokens=max_tokens
        )
    except (BadOutput, NoReply):
        return ()
    return tuple(read_list(reply.text)[:MOST])


async def tick(
    ctx: Context,
    example: Example,
    answer: str,
    questions: Sequence[str],
    *,
    by: str,
    prompt: str = TICK,
    each: str = "",
    weights: Sequence[float] = (),
    yes: str = "yes",
    no: str = "no",
    role: str = "judge",
    max_tokens: int = 256,
) -> Checklist | Missing:
    """The questions answered of an answer; a question without a clear answer carries no weight.

    each: asks one question a call instead, as {item}. weights: one a question, 1 where there are none. yes, no: the words.
    Missing where there are no questions, or none was answered.
    """
    version = digest([prompt, each, *([list(questions)] if weights else [])])[:12]
    rater = Rater(kind="model", name=by, version=version)
    if not questions:
        return Missing(expected="checklist", message="there is no checklist: the model wrote no question", by=rater)
    values = {"question": example.question, "answer": without_thinking(answer)}
    numbered = "\n".join(f"{i}. {question}" for i, question in enumerate(questions, 1))
    whole = filled(prompt, {**values, "checklist": numbered})
    asks = [filled(each, {**values, "item": q}) for q in questions] if each else [whole]

    async def ask(text: str, ctx: Context) -> tuple[str, bool]:
        """What is said, and whether it was cut off."""
        try:
            (reply,) = await ctx.generate(text, role=role, temperature=0.0, max_tokens=max_tokens)
        except (BadOutput, NoReply):
            return "", False
        return reply.text, reply.finish == "length"

    said = await ctx.map(ask, asks)
    if each:
        answers = [read_yes(text, yes, no, cut=cut) for text, cut in said]
    else:
        answers = read_answers(said[0][0], len(questions), yes, no)
    if not any(answer is not None for answer in answers):
        return Missing(expected="checklist", message=f"no question was answered: {said[0][0][:200]!r}", by=rater)
    worth = weights or [1.0] * len(questions)
    items = [Item(question=q, answer=a, weight=w) for q, a, w in zip(questions, answers, worth, strict=True)]
    return Checklist(items=tuple(items), by=rater)
