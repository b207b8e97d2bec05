"""A model as judge: it reads a rubric and the answer, and gives a number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopwright.core.errors import BadOutput
from loopwright.core.feedback import Feedback, Missing, Rater, Score
from loopwright.core.types import Rollout, digest
from loopwright.core.world import Critic

if TYPE_CHECKING:
    from loopwright.core.context import Context

PROMPT = """{rubric}

Question:
{question}

Answer:
{answer}

How good is the answer, from {low} (useless) to {high} (perfect)? End with one line: Score: <number>"""
FIELDS = ("rubric", "question", "answer", "target", "low", "high")
_SCORE = re.compile(r"score\W{0,4}\s*([-+]?\d+(?:\.\d+)?)", re.IGNORECASE)
_ALONE = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)(?:\s*/\s*\d+)?\s*\.?\s*")
_FIELD = re.compile(r"\{(\w+)\}")


def read_score(text: str) -> float | None:
    """The number after the last "Score:", or the reply itself where it is a number alone."""
    found = _SCORE.findall(text)
    if found:
        return float(found[-1])
    alone = _ALONE.fullmatch(text)
    return float(alone[1]) if alone else None


def judge(
    rubric: str, *, low: float = 0.0, high: float = 10.0, prompt: str = PROMPT, max_tokens: int = 256
) -> Critic:
    """A Score from ``low`` to ``high`` by the run's judge model, greedily sampled.

    prompt: may name {rubric}, {question}, {answer}, {low}, {high}, and {target} where the judge is the checker.
    A reply without a number, or with one out of range, is Missing.
    """
    by = Rater(kind="model", name="judge", version=digest([rubric, prompt, low, high])[:12])

    async def ask(rollout: Rollout, ctx: Context) -> Feedback:
        example = rollout.example
        target = example.target if isinstance(example.target, str) else str(example.target)
        values = {
            "rubric": rubric, "question": example.question, "answer": rollout.output, "target": target,
            "low": f"{low:g}", "high": f"{high:g}",
        }  # fmt: skip
        # One pass: an answer that holds "{target}" must not have it filled in.
        text = _FIELD.sub(lambda m: values.get(m[1], m[0]), prompt)
        try:
            (reply,) = await ctx.generate(
                text, role="judge", temperature=0.0, top_p=1.0, max_tokens=max_tokens, stop=(), schema=None
            )
        except BadOutput as error:
            refused = error.kind == "refused"
            return Missing(expected="score", message=str(error), by=by, status="refused" if refused else "failed")
        value = read_score(reply.text)
        if value is None:
            return Missing(expected="score", message=f"the judge gave no score: {reply.text[:200]!r}", by=by)
        if not low <= value <= high:
            return Missing(expected="score", message=f"the judge said {value:g}, not from {low:g} to {high:g}", by=by)
        return Score(value=value, low=low, high=high, by=by)

    return ask
