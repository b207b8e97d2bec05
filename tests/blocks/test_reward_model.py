"""Pairs chosen by what a reward model says. Fitting and reading one is tested with the trainer and by the recipes' checks."""

from __future__ import annotations

import random

import pytest

from loopwright.blocks.reward_model import Against, answered, by_reward
from loopwright.core.types import Example, Rollout, Turn


def rollout(example: str, output: str, tokens: tuple[int, ...] = (1,)) -> Rollout:
    turns = (Turn(role="user", text="?"), Turn(role="assistant", text=output, token_ids=tokens))
    return Rollout(id=f"{example}{output}", example=Example(id=example, input="?"), turns=turns)


GIVEN = [rollout("x", o) for o in "abcd"] + [rollout("y", o) for o in "ab"] + [rollout("z", "a")]
WORTH = [1.0, 3.0, 2.0, -1.0, 0.5, 0.5, 9.0]


@pytest.mark.parametrize(("against", "others"), [("worst", "d"), ("second", "c"), ("random", "acd")])
def test_the_best_is_put_beside_another(against: Against, others: str) -> None:
    seen = set()
    for seed in range(40):
        ((best, other),) = by_reward(GIVEN, WORTH, against=against, rng=random.Random(seed))
        assert (best.example.id, best.output) == ("x", "b")
        seen.add(other.output)
    assert seen == set(others)


def test_equal_answers_make_no_pair() -> None:
    assert by_reward(GIVEN[4:], [0.5, 0.5, 9.0], rng=random.Random(0)) == []
    assert by_reward([], [], rng=random.Random(0)) == []


def test_what_was_not_written_is_left_out() -> None:
    assert [r.output for r in answered([rollout("x", "a"), rollout("x", "", ())])] == ["a"]
