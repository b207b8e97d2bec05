"""A person who judges sentences: what training hears is noisy, what the objective says is the hidden reward."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from loopwright.core.errors import UnknownName
from loopwright.core.feedback import Preference, Score
from loopwright.core.types import Example, Rollout, Turn
from loopwright.worlds.lab.opinions import FEATURES, SENTENCES, lab_people
from loopwright.worlds.registry import known_world

CTX = cast(Any, None)


def rollout(text: str, question: str = "q") -> Rollout:
    turns = (Turn(role="user", text=question), Turn(role="assistant", text=text))
    return Rollout(id=f"{question} {text}", example=Example(id=question, input=question), turns=turns)


def worth(world: Any, text: str) -> float:
    said = asyncio.run(world.checker(rollout(text), CTX))
    assert isinstance(said, Score)
    return said.value


def prefers(world: Any, first: str, second: str, question: str = "q") -> bool:
    said = asyncio.run(world.compare(rollout(first, question), rollout(second, question), CTX))
    assert isinstance(said, Preference)
    return said.chosen == rollout(first, question).id


@pytest.mark.parametrize(
    ("feature", "text", "value"),
    [
        ("living", "Answer: cat wolf stone", 2 / 3),
        ("living", "Answer: cat cat cat", 1 / 3),
        ("living", "Answer: cat dog wolf lion frog", 1.0),
        ("length", "Answer: one two three four", 0.5),
        ("length", "Answer: " + "cat " * 8, 1.0),
        ("length", "Answer: " + "cat " * 20, 0.0),
        ("plain", "Answer: cat leaf-3", 0.5),
        ("fresh", "Answer: cat Cat", 0.5),
        ("alliteration", "some working\nAnswer: cat cold dog", 0.5),
    ],
)
def test_features(feature: str, text: str, value: float) -> None:
    read = SENTENCES[feature].read
    assert read is not None and read(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "Answer:", "Answer: cat", "\n\n"])
def test_every_text_has_a_worth(text: str) -> None:
    assert 0.0 <= worth(lab_people(train=1, gate=1, test=1), text) <= 1.0


def test_the_objective_is_the_reward_and_answers_are_noisy() -> None:
    world = lab_people(train=4, gate=2, test=2)
    good, bad = "Answer: cat cold dog dark wolf wind", "Answer: cat cat"
    assert worth(world, good) > worth(world, bad)
    said = [prefers(world, good, bad, f"q{i}") for i in range(200)]
    assert 0.75 < sum(said) / len(said) < 1.0
    assert all(prefers(lab_people(train=1, gate=1, test=1, noise=0.0), good, bad, f"q{i}") for i in range(20))


def test_a_bias_moves_answers_and_not_the_objective() -> None:
    plain, biased = (lab_people(train=1, gate=1, test=1, length_bias=b) for b in (0.0, 8.0))
    good, long = "Answer: cat cold dog dark wolf wind", "Answer: " + "yard " * 30
    assert worth(plain, long) == worth(biased, long) < worth(plain, good)
    shares = [sum(prefers(w, long, good, f"q{i}") for i in range(100)) for w in (plain, biased)]
    assert shares[0] < 30 < 70 < shares[1]


def test_people_only_compare_unless_asked_for_more() -> None:
    assert lab_people(train=1, gate=1, test=1).critics == ()
    (critic,) = lab_people(train=1, gate=1, test=1, asks=("score", "critique")).critics
    kinds = [f.kind for f in cast(Any, asyncio.run(cast(Any, critic(rollout("Answer: cat"), CTX))))]
    assert kinds == ["score", "critique"]


def test_known_by_name_with_its_person_in_the_fingerprint() -> None:
    make = known_world("lab-people").make
    a, b = make(train=4, gate=2, test=2), make(train=4, gate=2, test=2, noise=0.5)
    assert a.name == b.name == "lab-people" and a.fingerprint != b.fingerprint  # type: ignore[union-attr]
    assert a.fingerprint == make(train=4, gate=2, test=2).fingerprint  # type: ignore[union-attr]
    with pytest.raises(UnknownName, match="livng"):
        make(likes={"livng": 1.0})
    assert set(SENTENCES) <= set(FEATURES)
