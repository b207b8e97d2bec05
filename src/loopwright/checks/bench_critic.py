"""A critic on the toy: answers to judge, of which is known whether they are right, and what its feedback is worth."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from loopwright.blocks.convert import convert
from loopwright.checks.toy import EQUATION, is_right, miss, share, written
from loopwright.core.arrays import Numbers
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import (
    Cost,
    Critique,
    Demonstration,
    Edit,
    Feedback,
    Measures,
    Missing,
    Preference,
    Ranking,
)
from loopwright.core.model import Reply, Request
from loopwright.core.policy import prompt_of
from loopwright.core.registry import Recipe
from loopwright.core.seen import Judgement
from loopwright.core.types import Example, Rollout, digest
from loopwright.core.world import Critic

OTHER_WORDS = 0.5  # what a critique is worth that neither objects nor is satisfied
_SCORE = ("score",)
_OBJECTION = re.compile(r"\d+ \+ \d+ is (?:more|less) than|no equation")


class Told(NamedTuple):
    """One thing that a critic was told; ``kind`` says by whom, and only what is of one kind can stand in for another."""

    kind: str
    said: Any


class ListeningEngine(Engine):
    """An engine that hands everything effects give through ``hear(scope, kind, what was given)``."""

    def __init__(self, hear: Callable[[str, str, Any], Any], **more: Any) -> None:
        super().__init__(**more)
        self.hear = hear

    async def generate(self, scope: str, role: str, request: Request, *, summary: str, compared: bool = False) -> Reply:
        place = f"{scope}:{self.past.asked(scope)}"  # before the wait, in which others of this scope may ask
        reply = await super().generate(scope, role, request, summary=summary, compared=compared)
        heard: Reply = self.hear(place, f"{role}/{request.n}", reply)
        return heard

    async def effect(
        self, scope: str, kind: str, content: Any, perform: Callable[[], Awaitable[tuple[bytes, Cost]]], **more: Any
    ) -> bytes:
        place = f"{scope}:{self.past.asked(scope)}"
        raw = await super().effect(scope, kind, content, perform, **more)
        heard: bytes = self.hear(place, kind, raw)
        return heard


def answers(ctx: Context, examples: Sequence[Example], seed: int) -> list[Rollout]:
    """A right and a wrong answer to each example, every other pair with a line of working; one empty, one that failed.

    Nothing is called for them, so that every call of the run is the critic's own.
    """
    made = []
    for i, example in enumerate(examples):
        right = sum(map(int, EQUATION.findall(f"{_terms(example)} = 0")[0][:2]))
        for off in (0, miss(share("wrong", seed, example.id))):
            p = 0.4 if off == 0 else 0.1
            working = f"{right - 5} + 3 = {right - 2}\n" if i % 2 else ""
            text = f"{working}{_terms(example)} = {right + off}"
            made.append(_answer(ctx, example, text, p, seed))
    made.append(_answer(ctx, examples[0], "", 0.1, seed))
    failed = _answer(ctx, examples[-1], "?", 0.1, seed)
    made.append(failed.model_copy(update={"turns": failed.prompt, "status": "failed", "error": "toy answered nothing"}))
    return made


def _terms(example: Example) -> str:
    return example.question.removeprefix("What is ").split("?")[0]


def _answer(ctx: Context, example: Example, text: str, p: float, seed: int) -> Rollout:
    turns = prompt_of(ctx.policy).render(example)
    said = written(text, written("\n".join(t.text for t in turns), (), 0.5).token_ids, p)
    return Rollout(
        id=digest(["answer", seed, example.id, text])[:16], example=example.hidden(), turns=(*turns, said),
        candidate=ctx.policy.hash, cost=Cost(calls=1),
    )  # fmt: skip


async def judge(recipe: Recipe, ctx: Context, rollouts: Sequence[Rollout]) -> list[Judgement]:
    """What the recipe says of each, asked as a run asks its critics: without the target, and no model of a failed answer."""

    async def critic(rollout: Rollout, inner: Context) -> Feedback | tuple[Feedback, ...]:
        own = ctx.at(f"of.{rollout.id}")
        own.only_code = inner.only_code
        said: Feedback | tuple[Feedback, ...] = await recipe(rollout, own)
        wrong = [f for f in (said if isinstance(said, tuple) else (said,)) if not hasattr(f, "kind") or not hasattr(f, "about")]
        if wrong or said == ():
            raise InputError(f"{recipe.slug} gave {said!r}; a critic gives Feedback, or a tuple of it, and Missing for nothing")
        return said

    critics: Sequence[Critic] = (critic,)

    async def one(rollout: Rollout, branch: Context) -> Judgement:
        return await branch.judge(rollout)

    return await ctx.at("judged", recipe=None, critics=critics, scramble=None).map(one, rollouts)


# ---- what it is worth -------------------------------------------------------------------------------------------------


def gain(judged: Sequence[tuple[Rollout, Judgement]]) -> float:
    """AUC - 1/2: how much oftener than by chance a right answer is put above a wrong one, ties counting half; [-0.5, 0.5].

    Several pieces of feedback on an answer, and several measures, are each taken by themselves and the mean is given. 0 where
    nothing can be compared.
    """
    sides: dict[str, tuple[list[float], list[float]]] = {}
    for rollout, judgement in judged:
        for aspect, value in worth(rollout, judgement).items():
            sides.setdefault(aspect, ([], []))[0 if is_right(rollout.output) else 1].append(value)
    found = [_auc(right, wrong) - 0.5 for right, wrong in sides.values() if right and wrong]
    return math.fsum(found) / len(found) if found else 0.0


def _auc(right: Sequence[float], wrong: Sequence[float]) -> float:
    return math.fsum((a > b) + (a == b) / 2 for a in right for b in wrong) / (len(right) * len(wrong))


def worth(rollout: Rollout, judgement: Judgement) -> dict[str, float]:
    """How good the feedback says the answer is, by piece; what is missing or has no number is not there."""
    out: dict[str, float] = {}
    for i, feedback in enumerate(judgement.feedback):
        if isinstance(feedback, Measures):
            out |= {f"{i}.{name}": value for name, value in feedback.values.items() if not isinstance(value, Numbers)}
            continue
        value = _number(rollout, feedback)
        if value is not None:
            out[str(i)] = value
    return out


def _number(rollout: Rollout, feedback: Feedback) -> float | None:
    if isinstance(feedback, Critique) and not feedback.satisfied:
        return 0.0 if _objects(feedback.text) else OTHER_WORDS  # words are read, for some are always there
    if isinstance(feedback, Preference):
        return 0.5 if feedback.tie else float(feedback.chosen == rollout.id)
    if isinstance(feedback, Ranking):
        places = [i for i, group in enumerate(feedback.groups) if rollout.id in group]
        return -float(places[0]) if places else None
    if isinstance(feedback, Demonstration):
        return float(feedback.output.strip() == rollout.output.strip())
    if isinstance(feedback, Edit):
        return float(feedback.satisfied)
    try:
        score = convert(feedback, _SCORE)
    except NoConversion:
        return None
    return None if isinstance(score, Missing) else getattr(score, "unit", None)


def _objects(text: str) -> bool:
    """Whether it says what a calculator or the toy judge says of a wrong equation."""
    return _OBJECTION.search(text) is not None


def words_only(judgement: Judgement) -> bool:
    """Whether all of it is words, which say what they say and are no number."""
    return all(isinstance(f, Critique) and not f.satisfied for f in judgement.feedback)
