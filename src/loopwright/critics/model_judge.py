"""A model as judge: it reads a rubric and an answer, or two of them, and says how good or which is better.

What can go wrong with it is guarded against where that is possible (both orders of two answers, several readings, numbers
mapped to what they meant on labelled answers) and counted where it is not: see ``loopwright judge-report``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loopwright.blocks.text.choices import choice_in
from loopwright.blocks.text.scores import score_in
from loopwright.blocks.trust import Knots, calibrated
from loopwright.core.errors import BadOutput
from loopwright.core.feedback import Feedback, Missing, Preference, Rater, Score
from loopwright.core.fences import without_thinking
from loopwright.core.templates import filled
from loopwright.core.types import Rollout, Turn, digest
from loopwright.core.world import Comparator, Critic

if TYPE_CHECKING:
    from loopwright.core.context import Context

PROMPT = """{rubric}

Question:
{question}

Answer:
{answer}

How good is the answer, from {low} (useless) to {high} (perfect)? End with one line: Score: <number>"""
FIELDS = ("rubric", "question", "answer", "target", "low", "high")
COMPARE = """{rubric}

Question:
{question}

Answer A:
{first}

Answer B:
{second}

Which answer is better? Do not let the order or the length decide. End with one line: Better: A or B or tie"""
COMPARE_FIELDS = ("rubric", "question", "first", "second")
WARM = 0.7  # at which a judge is asked several times unless told otherwise: at 0 it would say the same again


async def asked(
    ctx: Context, text: str, *, repeats: int, temperature: float | None, max_tokens: int
) -> Sequence[Turn] | Missing:
    """What the judge says, ``repeats`` times in one call; Missing (of a score) where it refuses or answers nothing."""
    warmth = temperature if temperature is not None else WARM if repeats > 1 else 0.0
    try:
        return await ctx.generate(text, role="judge", temperature=warmth, top_p=1.0, max_tokens=max_tokens, n=repeats)
    except BadOutput as error:
        return Missing(expected="score", message=str(error), status="refused" if error.kind == "refused" else "failed")


def judge(
    rubric: str,
    *,
    low: float = 0.0,
    high: float = 10.0,
    prompt: str = PROMPT,
    max_tokens: int = 256,
    repeats: int = 1,
    temperature: float | None = None,
    aspect: str = "",
    calibration: Knots | None = None,
) -> Critic:
    """A Score from ``low`` to ``high`` by the run's judge model.

    prompt: may name {rubric}, {question}, {answer}, {low}, {high}, and {target} where the judge is the checker. The number
    may be given as a line "Score: 7", in JSON, or alone.
    repeats: how often it is asked, in one call; the score is the mean of what can be read, ``readings`` is each.
    temperature: 0 for one reading and 0.7 for several where it is None.
    calibration: knots from the score's share of its range to the probability that the answer is right, which is then given.
    A reply without a number, with several that could be it, or with one out of range, is no reading; without any the judgement is
    Missing, and says why. The judge is shown the answer without the thinking before it.
    """
    of = [rubric, prompt, low, high, *([repeats, temperature] if repeats > 1 or temperature else [])]
    by = Rater(kind="model", name="judge", version=digest([*of, *([calibration] if calibration else [])])[:12])

    async def ask(rollout: Rollout, ctx: Context) -> Feedback:
        example = rollout.example
        target = example.target if isinstance(example.target, str) else str(example.target)
        values = {
            "rubric": rubric, "question": example.question, "answer": without_thinking(rollout.output), "target": target,
            "low": f"{low:g}", "high": f"{high:g}",
        }  # fmt: skip
        replies = await asked(
            ctx, filled(prompt, values), repeats=repeats, temperature=temperature, max_tokens=max_tokens
        )
        if isinstance(replies, Missing):
            return replies.model_copy(update={"by": by})
        read = [score_in(reply.text, high=high, cut=reply.finish == "length") for reply in replies]
        numbers = [reading.value for reading in read]
        inside = [n for n in numbers if n is not None and low <= n <= high]
        if not inside:
            out = next((n for n in numbers if n is not None), None)
            message = f"the judge gave no score ({read[0].problem}): {replies[0].text[:200]!r}"
            if out is not None:
                message = f"the judge said {out:g}, not from {low:g} to {high:g}"
            return Missing(expected="score", message=message, by=by)
        mean = math.fsum(inside) / len(inside)
        readings = tuple((n - low) / (high - low) for n in inside) if repeats > 1 else ()
        if calibration:
            worth = calibrated(calibration, (mean - low) / (high - low))
            return Score(value=worth, by=by, aspect=aspect, readings=readings)
        return Score(value=min(max(mean, low), high), low=low, high=high, by=by, aspect=aspect, readings=readings)

    return ask


def aspects(judges: Mapping[str, Critic]) -> Critic:
    """Several judges, each of its own aspect: first a Score that is the mean of all, then the Score of each.

    Where one aspect is missing the mean is, too: the rest would be another measure.
    """
    by = Rater(kind="model", name="judge", version=digest(list(judges))[:12])

    async def ask(rollout: Rollout, ctx: Context) -> tuple[Feedback, ...]:
        said: list[Feedback] = []
        for name, critic in judges.items():
            feedback = await critic(rollout, ctx.at(f"aspect.{name}"))
            said.extend(feedback if isinstance(feedback, tuple) else (feedback,))
        scores = [f for f in said if isinstance(f, Score)]
        if len(scores) < len(said):
            silent = [name for name, f in zip(judges, said, strict=True) if not isinstance(f, Score)]
            return (Missing(expected="score", message=f"nothing was said of {', '.join(silent)}", by=by), *scores)
        mean = math.fsum(s.unit for s in scores) / len(scores)
        return (Score(value=min(mean, 1.0), by=by, message="; ".join(s.text for s in scores)), *scores)

    return ask


def pairwise(
    rubric: str,
    *,
    prompt: str = COMPARE,
    swap: bool = True,
    repeats: int = 1,
    temperature: float | None = None,
    max_tokens: int = 256,
) -> Comparator:
    """Which of two answers the run's judge model prefers.

    swap: ask in both orders, so that an order that is preferred cancels out: where the two orders name different answers it
    is a tie, and ``readings`` (the share for the first answer in each order) shows the contradiction. One order that cannot
    be read leaves nothing to cancel, so the comparison is Missing. Without ``swap``, ``shown`` says in which order they were.
    repeats, temperature: as in ``judge``, in each order.
    Only a verdict counts ("Better: A", "Answer A is better"), as ``blocks.text.choices`` reads it; a reply that only mentions an
    answer, contradicts itself, or was cut off before its verdict line is Missing, and says why.
    """
    by = Rater(kind="model", name="judge", version=digest([rubric, prompt, swap, repeats, temperature])[:12])

    async def look(first: Rollout, second: Rollout, ctx: Context) -> float | Missing:
        """The share of replies for the one shown first."""
        values = {
            "rubric": rubric, "question": first.example.question,
            "first": without_thinking(first.output), "second": without_thinking(second.output),
        }  # fmt: skip
        replies = await asked(
            ctx, filled(prompt, values), repeats=repeats, temperature=temperature, max_tokens=max_tokens
        )
        if isinstance(replies, Missing):
            return replies.model_copy(update={"by": by, "expected": "preference"})
        worth = {"A": 1.0, "B": 0.0, "tie": 0.5}
        read = [choice_in(reply.text, cut=reply.finish == "length") for reply in replies]
        said = [worth[reading.value] for reading in read if reading.value is not None]
        if not said:
            message = f"the judge named neither answer ({read[0].problem}): {replies[0].text[:200]!r}"
            return Missing(expected="preference", message=message, by=by)
        return math.fsum(said) / len(said)

    async def compare(first: Rollout, second: Rollout, ctx: Context) -> Preference | Missing:
        found = await look(first, second, ctx)
        if isinstance(found, Missing):
            return found
        readings = [found]
        if swap:
            back = await look(second, first, ctx.at("swapped"))
            if isinstance(back, Missing):
                return back
            readings.append(1.0 - back)
        mean = math.fsum(readings) / len(readings)
        chosen, rejected = (first, second) if mean >= 0.5 else (second, first)
        return Preference(
            chosen=chosen.id, rejected=rejected.id, tie=mean == 0.5, strength=max(abs(2 * mean - 1), 1e-9), by=by,
            shown=None if swap else (first.id, second.id), readings=tuple(readings) if swap else (),
        )  # fmt: skip

    return compare
