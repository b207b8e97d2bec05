"""What self-training keeps, and with which weights it is trained on: numbers written down."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from loopwright.core.feedback import Feedback, Missing, Score
from loopwright.core.registry import get_recipe
from loopwright.core.seen import Judgement
from loopwright.core.types import Candidate, Example, Rollout, Turn

QUESTION = Example(id="q", input="q")


def attempt(text: str, score: float, before: Rollout | None = None) -> Rollout:
    said = (*(before.turns if before else (Turn(role="user", text="q"),)), Turn(role="assistant", text=text))
    return Rollout(id=f"{len(said)}{text}", example=QUESTION, turns=said, feedback=(Score(value=score),))


class Trainer:
    """A context whose attempts are written down.

    ``fitted`` holds what was trained on, and how; ``started`` the weights that it began with; ``asked`` the questions that were
    answered together, how often and at which temperature; ``told`` what was said to attempts that were to be followed.
    """

    def __init__(
        self,
        first: Callable[[float], Sequence[Rollout]],
        then: Callable[[Rollout], Sequence[Rollout]] = lambda rollout: (),
        critic: Callable[[Rollout], float | None] = lambda rollout: 0.0,
        questions: Sequence[Example] = (QUESTION,),
    ) -> None:
        self.first, self.then, self.critic, self.questions = first, then, critic, questions
        self.fitted: list[tuple[list[Rollout], dict[str, Any]]] = []
        self.started: list[str | None] = []
        self.asked: list[tuple[str, int, float]] = []
        self.told: list[tuple[list[str], int]] = []

    async def batches(self, size: int, *, rounds: int) -> AsyncIterator[list[Example]]:
        for _ in range(rounds):
            yield list(self.questions)

    async def rollout(
        self, policy: Candidate, examples: Sequence[Example], *, n: int = 1, temperature: float = 1.0
    ) -> list[Rollout]:
        if examples:
            self.asked.append(("".join(e.id for e in examples), n, temperature))
        return list(self.first(temperature)) if examples else []

    async def follow(
        self, policy: Candidate, rollouts: Sequence[Rollout], messages: Sequence[str], *, n: int, temperature: float
    ) -> list[Rollout]:
        self.told.append((list(messages), n))
        return [r for before in rollouts for r in self.then(before)]

    async def map(self, function: Any, items: Sequence[Any]) -> list[Any]:
        return [await function(item, self) for item in items]

    async def judge(self, rollout: Rollout) -> Judgement:
        score = self.critic(rollout)
        said: Feedback = Missing(expected="score", message="down") if score is None else Score(value=score)
        return Judgement(feedback=(said,))

    async def fit(self, policy: Candidate, rollouts: Sequence[Rollout], fit: Any, **how: Any) -> Candidate:
        self.fitted.append((list(rollouts), how))
        self.started.append(policy.parts.get("adapter"))  # type: ignore[arg-type]
        return policy.child(adapter=f"{len(self.fitted)}")

    def train(self, slug: str, **options: Any) -> list[Candidate]:
        async def run() -> list[Candidate]:
            return [c async for c in get_recipe(slug)(Candidate(), self, **options)]

        return asyncio.run(run())


# ---- B-STaR -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "best"), [(0.0, "a"), (0.2, "b"), (1.0, "c")])
def test_b_star_keeps_by_score_and_the_weight_of_what_critics_say(weight: float, best: str) -> None:
    """Reward is score + weight * what the critic says; at 0.2 it is 1.02 for "a", 1.04 for "b", 0.9 for "c"."""
    scores, likes = {"a": 1.0, "b": 0.9, "c": 0.7}, {"a": 0.1, "b": 0.7, "c": 1.0}
    answers = [attempt(text, score) for text, score in scores.items()]
    trainer = Trainer(lambda temperature: answers, critic=lambda r: likes[r.output])
    trainer.train("b-star", rounds=1, weight=weight, keep=1, temperatures=(1.0,), thresholds=(0.0,))
    ((kept, _),) = trainer.fitted
    assert [r.output for r in kept] == [best]


def test_b_star_leaves_out_what_nobody_could_judge_and_keeps_what_is_at_the_threshold() -> None:
    answers = [attempt(text, score) for text, score in {"a": 0.6, "b": 0.6, "c": 0.5}.items()]
    trainer = Trainer(lambda temperature: answers, critic=lambda r: None if r.output == "a" else 0.0)
    trainer.train("b-star", rounds=1, weight=0.5, temperatures=(1.0,), thresholds=(0.6,))
    ((kept, _),) = trainer.fitted
    assert [r.output for r in kept] == ["b"]


@pytest.mark.parametrize(("wanted", "best"), [(1, ["a"]), (2, ["a", "b", "c"])])
def test_b_star_asks_for_so_many_right_answers_as_are_wanted(wanted: int, best: list[str]) -> None:
    """Where one is wanted: 1 for the cold one, 2/3 for the warm ones; where two are wanted: 1/2 and 2/3."""
    cold, warm = [attempt("a", 1.0)], [attempt("a", 1.0), attempt("b", 1.0), attempt("c", 0.9)]
    trainer = Trainer(lambda temperature: warm if temperature == 1.0 else cold)
    trainer.train("b-star", rounds=1, temperatures=(0.5, 1.0), thresholds=(0.0,), wanted=wanted)
    ((kept, _),) = trainer.fitted
    assert [r.output for r in kept] == best


def test_b_star_probes_the_first_questions_and_samples_the_rest_at_the_chosen_temperature() -> None:
    warm = [attempt("a", 1.0), attempt("b", 1.0)]
    trainer = Trainer(
        lambda temperature: warm if temperature == 0.7 else [attempt("a", 1.0), attempt("c", 0.0)],
        questions=[Example(id=name, input=name) for name in "pqrst"],
    )
    trainer.train("b-star", rounds=2, temperatures=(0.5, 0.7, 0.9), thresholds=(0.0,), probe=2, samples=3, keep=9)
    assert trainer.asked[:4] == [("pq", 3, 0.5), ("pq", 3, 0.7), ("pq", 3, 0.9), ("rst", 3, 0.7)]
    assert trainer.started == [None, "1"]  # training goes on from the round before


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


@pytest.mark.parametrize(("train_on", "expected"), [("all", ["bad", "alike"]), ("better", ["bad"])])
def test_rise_in_better_leaves_out_a_try_that_is_only_as_good(train_on: str, expected: list[str]) -> None:
    trainer = Trainer(lambda temperature: [attempt("bad", 0.5)], lambda before: [attempt("alike", 0.5, before)])
    trainer.train("rise", rounds=1, train_on=train_on, turns=1)
    assert [r.output for r in trainer.fitted[0][0]] == expected


def test_rise_attempts_so_many_turns_and_tries_so_often_in_each() -> None:
    trainer = Trainer(lambda temperature: [attempt("1", 0.0)], lambda r: [attempt(str(len(r.turns)), 0.0, r)])
    trainer.train("rise", rounds=1, attempts=3, samples=7, wrong="no", turns=1, temperature=0.6)
    assert [r.output for r in trainer.fitted[0][0]] == ["1", "2", "3"]
    assert trainer.told == [(["no"], 7)] * 2 and trainer.asked == [("q", 1, 0.6)]


@pytest.mark.parametrize(
    ("from_base", "started", "learned"), [(False, [None, "1"], [1, 1]), (True, [None, None], [1, 2])]
)
def test_rise_trains_each_round_alone_or_from_the_start_on_all(
    from_base: bool, started: list[str | None], learned: list[int]
) -> None:
    trainer = Trainer(lambda temperature: [attempt("right", 1.0)])
    trainer.train("rise", rounds=2, from_base=from_base)
    assert trainer.started == started and [len(kept) for kept, _ in trainer.fitted] == learned


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_rise_offers_as_many_turns_of_answering(turns: int) -> None:
    (offered,) = Trainer(lambda temperature: [attempt("right", 1.0)]).train(
        "rise", rounds=1, turns=turns, temperature=0.6
    )
    solver: Any = offered.parts.get("solver")
    if turns == 1:
        assert solver is None
    else:  # the first answer and the revisions
        assert solver["recipe"] == "try-again"
        assert solver["options"]["rounds"] == turns - 1 and solver["options"]["temperature"] == 0.6
