"""What self-training keeps, and with which weights it is trained on: numbers written down."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from loopwright.core.feedback import Score
from loopwright.core.registry import get_recipe
from loopwright.core.seen import Judgement
from loopwright.core.types import Candidate, Example, Rollout, Turn

QUESTION = Example(id="q", input="q")


def attempt(text: str, score: float, before: Rollout | None = None) -> Rollout:
    said = (*(before.turns if before else (Turn(role="user", text="q"),)), Turn(role="assistant", text=text))
    return Rollout(id=f"{len(said)}{text}", example=QUESTION, turns=said, feedback=(Score(value=score),))


class Trainer:
    """A context whose attempts are written down; ``fitted`` holds what was trained on, and how."""

    def __init__(
        self,
        first: Callable[[float], Sequence[Rollout]],
        then: Callable[[Rollout], Sequence[Rollout]] = lambda rollout: (),
        critic: Callable[[Rollout], float] = lambda rollout: 0.0,
    ) -> None:
        self.first, self.then, self.critic = first, then, critic
        self.fitted: list[tuple[list[Rollout], dict[str, Any]]] = []

    async def batches(self, size: int, *, rounds: int) -> AsyncIterator[list[Example]]:
        for _ in range(rounds):
            yield [QUESTION]

    async def rollout(
        self, policy: Candidate, examples: Sequence[Example], *, n: int = 1, temperature: float = 1.0
    ) -> list[Rollout]:
        return list(self.first(temperature)) if examples else []

    async def follow(
        self, policy: Candidate, rollouts: Sequence[Rollout], messages: Sequence[str], *, n: int, temperature: float
    ) -> list[Rollout]:
        return [r for before in rollouts for r in self.then(before)]

    async def map(self, function: Any, items: Sequence[Any]) -> list[Any]:
        return [await function(item, self) for item in items]

    async def judge(self, rollout: Rollout) -> Judgement:
        return Judgement(feedback=(Score(value=self.critic(rollout)),))

    async def fit(self, policy: Candidate, rollouts: Sequence[Rollout], fit: Any, **how: Any) -> Candidate:
        self.fitted.append((list(rollouts), how))
        return policy.child(adapter=f"{len(self.fitted)}")

    def train(self, slug: str, **options: Any) -> list[Candidate]:
        async def run() -> list[Candidate]:
            return [c async for c in get_recipe(slug)(Candidate(), self, **options)]

        return asyncio.run(run())


# ---- B-STaR -----------------------------------------------------------------------------------------------------------------


def test_b_star_keeps_by_reward_and_not_by_score_alone() -> None:
    """Reward is score + 0.2 * what the critic says: .78 for "b", .72 for "a" whose score is larger, .2 for "wrong"."""
    scores, likes = {"wrong": 0.0, "a": 0.7, "b": 0.6}, {"wrong": 1.0, "a": 0.1, "b": 0.9}
    answers = [attempt(text, score) for text, score in scores.items()]
    trainer = Trainer(lambda temperature: answers, critic=lambda r: likes[r.output])
    trainer.train("b-star", rounds=1, weight=0.2, keep=1, temperatures=(1.0,), thresholds=(0.0,))
    ((kept, _),) = trainer.fitted
    assert [r.output for r in kept] == ["b"]


def test_b_star_takes_the_temperature_and_the_threshold_of_the_best_balance() -> None:
    """At 1.0 two of four are right: min(2/2, 1) * 2/4; the threshold leaves the wrong ones out: 1. At 0.5 one of one: 1/2."""
    cold = [attempt("a", 1.0)]
    warm = [attempt("a", 1.0), attempt("b", 1.0), attempt("c", 0.4), attempt("d", 0.4)]
    trainer = Trainer(lambda temperature: warm if temperature == 1.0 else cold)
    trainer.train("b-star", rounds=1, temperatures=(0.5, 1.0), thresholds=(0.3, 0.5), wanted=2)
    ((kept, _),) = trainer.fitted
    assert [r.output for r in kept] == ["a", "b"]


# ---- RISE -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train_on", "expected"),
    [
        ("all", {"bad": 0.0, "better": 0.5}),
        ("better", {"bad": 0.0, "better": 0.5}),
        ("right", {}),
    ],
)
def test_rise_goes_on_from_the_best_try_and_weighs_by_the_exponential_of_the_reward(
    train_on: str, expected: dict[str, float]
) -> None:
    trainer = Trainer(
        lambda temperature: [attempt("bad", 0.0)],
        lambda before: [attempt("bad", 0.0, before), attempt("better", 0.5, before), attempt("poor", 0.2, before)],
    )
    trainer.train("rise", rounds=1, tau=0.4, train_on=train_on, turns=1)
    if not expected:
        assert trainer.fitted == []
        return
    ((kept, how),) = trainer.fitted
    assert {r.output: r.score for r in kept} == expected
    assert how["loss"] == "sft" and how["last_turn"] is True
    assert how["weights"] == pytest.approx([math.exp((score - 1.0) / 0.4) for score in expected.values()])


def test_rise_trains_once_on_what_is_said_again_and_not_after_a_right_answer() -> None:
    trainer = Trainer(lambda temperature: [attempt("same", 0.0)], lambda before: [attempt("same", 0.0, before)])
    trainer.train("rise", rounds=1, attempts=3, turns=1)
    assert [r.output for r in trainer.fitted[0][0]] == ["same"]
    trainer = Trainer(lambda temperature: [attempt("right", 1.0)], lambda before: [attempt("never", 0.0, before)])
    trainer.train("rise", rounds=1, attempts=3, turns=1)
    assert [(r.output, r.score) for r in trainer.fitted[0][0]] == [("right", 1.0)]
