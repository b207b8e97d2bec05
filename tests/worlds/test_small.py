"""The small worlds: disjoint splits, exact checkers, a calculator that only objects to what is wrong."""

from __future__ import annotations

import asyncio
from itertools import combinations

import pytest

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.types import Example, Rollout, Turn
from loopwright.worlds.small import SMALL, small, sums


def answered(example: Example, output: str) -> Rollout:
    return Rollout(id="r", example=example, turns=(Turn(role="user", text="?"), Turn(role="assistant", text=output)))


def marked(world: str, question: str, output: str) -> float | None:
    made = small(world)
    example = next(e for e in made.items if e.question == question)
    rollout = answered(example, output)
    return rollout.told(asyncio.run(made.checker(rollout, None))).score  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SMALL)
def test_splits_share_no_question_and_leave_none_out(name: str) -> None:
    world = small(name)
    splits = [{e.question for e in world.examples(s)} for s in ("train", "gate", "test")]
    assert all(len(part) >= 20 for part in splits)
    assert not any(a & b for a, b in combinations(splits, 2))
    assert sum(map(len, splits)) == len(world.items) == len({e.id for e in world.items})
    assert small(name).fingerprint == world.fingerprint


def test_checkers() -> None:
    assert marked("sums", "What is 3 - 5?", "-2") == 1.0
    assert marked("sums", "What is 3 - 5?", "The answer is -2") == 0.0
    assert marked("products", "What is 12 * 7?", "12 * 7 = 84") == 1.0
    question = "Compute 12 * 7. Write it as an equation, like 3 * 5 = 15."
    assert marked("equations", question, "12 * 7 = 84") == 1.0
    assert marked("equations", question, "12 * 7 = 85") == 0.0
    assert marked("equations", question, "3 * 28 = 84") == 0.0
    assert marked("equations", question, "no idea") == 0.0
    assert marked("words", "Write exactly 4 words about bread.", "one two three four") == 1.0
    assert marked("words", "Write exactly 4 words about bread.", "one two three") == 0.75
    assert marked("words", "Write exactly 4 words about bread.", "") == 0.0


def test_the_calculator_objects_only_to_what_is_wrong() -> None:
    calculator = small("equations").tools["calculator"]
    assert asyncio.run(calculator("12 * 7 = 84 and 2 * 2 = 5", None)) == "2 * 2 is 4, not 5."  # type: ignore[arg-type]
    assert asyncio.run(calculator("nothing to check", None)) == ""  # type: ignore[arg-type]


def test_an_unknown_world_suggests_the_near_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean sums"):
        small("sum")


def test_worked_examples_of_sums_are_train_examples_and_others_are_an_error() -> None:
    world = sums(shots=3)
    train = {e.id: e for e in world.examples("train")}
    assert len(world.prompt.shots) == 3
    for shot in world.prompt.shots:
        assert (train[shot.example].question, train[shot.example].target) == (shot.input, shot.output)
    with pytest.raises(InputError, match="from 0 to"):
        sums(shots=-1)
