"""Prompts that give away the answers of the examples they were written from."""

from __future__ import annotations

import pytest

from loopwright.blocks.copies import Answers, strings
from loopwright.core.types import Example

SUMS = [Example(id=f"{a}+{b}", input=f"What is {a} + {b}?", target=str(a + b)) for a in (12, 17, 23) for b in (30, 41, 58, 60)]
QUOTES = [
    Example(id="hamlet", input="Who said that all is rotten?", target="Marcellus said it to Horatio"),
    Example(id="lear", input="Who said that nothing comes of nothing?", target="Lear"),
]
LABELS = [Example(id=str(i), input=f"{word} film", target="somewhat positive view" if i % 2 else "negative")
          for i, word in enumerate("dull long bright odd warm cold fine grim".split())]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Add the two numbers and reply with the sum only.", []),
        ("For example, 12 + 30 = 42.", ["12+30"]),
        ("Q: What is 12 + 30?\nA: 42", ["12+30"]),
        ("Answers lie between 42 and 83.", []),
        ("12 + 30 has two digits.", []),
        ("Beware of 17 and 58: together they make 75. Beware of 23 and 60, 83.", ["17+58", "23+60"]),
        ("The sum of 120 and 300 is 420.", []),
    ],
)
def test_numbers_count_beside_their_question(text: str, found: list[str]) -> None:
    assert Answers(SUMS).copied(text) == found


def test_an_answer_of_several_words_counts_alone_a_short_one_beside_its_question() -> None:
    assert Answers(QUOTES).copied("Say it like this: MARCELLUS said it,  to Horatio!") == ["hamlet"]
    assert Answers(QUOTES).copied("Names such as Lear or Hamlet are welcome.") == []
    assert Answers(QUOTES).copied("That nothing comes of nothing is by Lear.") == ["lear"]


def test_labels_may_be_named() -> None:
    assert Answers(LABELS).copied("Reply with 'somewhat positive view' or 'negative'.") == []
    assert Answers(LABELS).copied("The dull film is negative.") == ["0"]


def test_what_was_said_before_is_no_copy() -> None:
    said = "For example, 12 + 30 = 42."
    assert Answers(SUMS).copied(said + " And 17 + 41 = 58.", said) == ["17+41"]


def test_targets_of_any_form() -> None:
    assert strings(["a", {"b": 1, "c": [None, True, 2.5]}]) == ["a", "1", "2.5"]
    tests = [Example(id="t", input="Write add.", target=["assert add(2, 2) == 4"])]
    assert Answers(tests).copied("It must pass: assert add(2, 2) == 4") == ["t"]
    assert Answers([Example(id="n", input="x")]).copied("anything") == [] and Answers(SUMS).copied("") == []
