"""Which of two a judge decided for, and yes or no: verdicts count, mentions never do."""

from __future__ import annotations

import re

import pytest

from loopwright.blocks.replies import read_letter, read_yes
from loopwright.blocks.text.choices import choice_in
from loopwright.blocks.text.yes_no import yes_in

FOR_A = [
    "Better: A\n\nAnswer B misses the point.", "Answer A is better than answer B.", "Winner: A\nReason: Answer B ignores it",
    "Better: a", "A", "A.", "(A)", "'A'", "**A**", "[[A]]", "a", "Answer A", "Answer A.", "Assistant A", "Better: Answer A",
    "Better: **A**", "**Better: A**", "**Better:** A", "## Verdict\nA", "## Verdict: A", "Better:\nA", "Better = A",
    "better - A",
    "| Better | A |", "- Better: A", "> Better: A", "1. Better: A", "Better: \u201cA\u201d", "Better: answer a",
    "Better: A\r\nB is bad.\r\n",
    "Better: A (B misses the point)", "Better: A because B is wrong", "Better: A, as B is wrong", "Better: A. B is wrong.",
    "Better: A - B is wrong", "Better: A is better", "Better answer: A", "The better answer is A, since B is wrong",
    "The better answer: A", "The better one is (A)", "The winner is A.", "My choice is A.",
    "My final verdict is: [[A]].", "\\boxed{A}",
    "$\\boxed{\\text{A}}$", "[[B]] would be right if A were wrong, but [[A]]", "Final verdict: [[A]]", "<winner>A</winner>",
    "<think>Better: B</think>\nBetter: A", "Both have merit.\n</think>\nBetter: A", '```json\n{"better": "A"}\n```',
    '{"better": "Answer A", "reason": "B is off"}', '{"preferred_answer": "A"}', '{"winner": "A", "why": "B is worse"}',
    "A is better because B is long", "Answer B is worse than answer A.", "A beats B", "A wins.", "I prefer answer A.",
    "I prefer A",
    "I'd go with A.", "Response A is the better answer.", "Answer A is the best.", "Answer A is much better.", "It's A.",
    "A is clearly superior to B.", "Answer A is more helpful.", "I think answer A is better.", "A.\n\nB is poor.",
    "A\n\nBecause B is wrong.", "Because B is wrong.\n\nA", "Better: B\nBetter: A",
    "B is better in tone, but A is better overall.",
    "A: too long\nB: short\nVerdict: A", "A) is short\nB) is long\nBetter: A", "It is not a tie.\nBetter: A",
    "Better: A\nThe correct answer is B.", "The answer is B.\nBetter: A", '{"answer": "B", "better": "A"}', "Final answer: A",
    "The final answer is A.", "Answer: A, as B is wrong", "Choice A", "B loses.", "A is preferable", "Result: A wins",
    "Better: A, not B",
    "A is whole, B is not. [RESULT] A", "<verdict>A</verdict>\n<why>B is off</why>",
    "Answer A has the right sum; answer B does not.\nBetter: A.", "Better: A\n\nThough [[B]] might be liked.",
]  # fmt: skip
TIES = [
    "tie", "Tie", "It is a tie.", "[[C]]", "Verdict: [[C]]", "Better: tie", "Better: Tie", "Better: neither",
    "Winner: Neither", "Result: draw",
    "Better: equal", "Better: both", "Better: No difference", "A and B are equal", "Both answers are equally good.",
    "They are tied.",
    "Neither is better.", "Neither answer is better than the other.", "Both answers are right, so it is a tie.",
    '{"choice": "tie"}',
]  # fmt: skip
NEITHER = [
    "", "Answer A misses the point.", "Answer A is short. Answer B is long.", "Both A and B fail", "A good answer was given",
    "A) good\nB) bad", "A: good\nB: bad", "Answer A:\nfine\nAnswer B:\npoor", "Better: A or B", "Better: A or B or tie",
    "Is A better?",
    "If A is better, say A.", "A is not better than B.", "I don't think answer A is better.", "Some would say A is better.",
    "You asked for [[A]] or [[B]].", '{"A": "good", "B": "bad"}', "<think>Better: A",
    "A slightly better answer would cite.", "neither",
    "A is wrong. B is right.", "A sum is given in B.", "Answer: A is wrong", "The answer A gave is wrong.",
    "Both are bad.", "A > B",
    "Better: none", "Better: Both A and B", "Better: not A", "Neither answer is correct.",
    "Answer A is better written but B is correct.",
    "The answer to the question is B.", "A is longer. B is best read aloud.", "I would choose A",
    "A is better. B is better.", "Which is better? A.",
    "The best of answer A is its tone.",
]  # fmt: skip


def swapped(text: str) -> str:
    """The same with the letters exchanged: no reader may favour one of them. "A" before a noun is an article."""
    text = re.sub(r"\ba$", "b", text)
    return re.sub(r"\b[AB]\b(?! (?:good|sum|slightly)\b)", lambda m: "B" if m[0] == "A" else "A", text)


@pytest.mark.parametrize("text", FOR_A)
def test_a_verdict_decides(text: str) -> None:
    assert choice_in(text) == ("A", "")
    assert choice_in(swapped(text)) == ("B", "")


@pytest.mark.parametrize("text", TIES)
def test_a_tie(text: str) -> None:
    assert choice_in(text).value == "tie"


@pytest.mark.parametrize("text", NEITHER)
def test_a_mention_decides_nothing(text: str) -> None:
    for said in (text, swapped(text)):
        value, problem = choice_in(said)
        assert value is None and problem


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Better: A", "A"), ("Better: A\nBecause answer B", "A"), ("[[A]]", "A"), ('{"better": "A", "why": "B is', "A"),
        ("Answer A is better than answer B.", None), ("A", None), ("Answer B is b", None), ("I prefer A", None),
    ],
)  # fmt: skip
def test_a_cut_reply_counts_by_its_verdict_line_alone(text: str, letter: str | None) -> None:
    assert read_letter(text, cut=True) == letter


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("It is unlikely. impossible", ("sure", "likely", "impossible"), "impossible"), ("Sure", ("sure", "likely"), "sure"),
        ("I am not sure.", ("sure", "likely"), None), ("Value: likely", ("sure", "likely"), "likely"),
        ("The numbers do not add up, so it is impossible.", ("sure", "impossible"), "impossible"),
        ("Try 2", ("1", "2", "3"), "2"),
        ("The best is 2. It has 3 steps", ("1", "2", "3"), "2"), ("Compare... The most promising is 3", ("1", "2", "3"), "3"),
        ("Reason 1: x\nReason 2: y\n\n1", ("1", "2", "3"), "1"), ("Choice: 12", ("1", "2", "12"), "12"),
        ("Answer: C", ("A", "B", "C"), "C"),
        ("Wrong: 3 + 4 is 7", ("Right", "Wrong"), "Wrong"), ("It is 7, not 8. Wrong.", ("Right", "Wrong"), "Wrong"),
        ("Right.", ("Right", "Wrong"), "Right"), ("It is not wrong", ("Right", "Wrong"), None),
        ("A: short\nB: long", ("A", "B"), None),
        ("[[C]]", ("A", "B", "C"), "C"), ("A and B are wrong. C is the best.", ("A", "B", "C"), "C"),
    ],
)  # fmt: skip
def test_other_options(text: str, options: tuple[str, ...], value: str | None) -> None:
    assert choice_in(text, options, ties=False).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Yes.", True), ("Yes it is", True), ("Yes, the answer", True), ("- yes", True), ("# Yes", True),
        ("I think so: yes", True),
        ("The final answer is yes.", True), ("No problem: yes", True), ("[[Yes]]", True),
        ("<verdict>yes</verdict>\n<why>it has no fault</why>", True), ("Right. [RESULT] no", False),
        ("<think>no</think>yes", True),
        ('{"correct": true, "errors": "no"}', True), ('{"why": "there is no sum", "answer": "yes"}', True),
        ("No mistakes here, so yes", True),
        ("NO", False), ("no", False), ("No, it has none", False), ("No it is not", False), ("No - the sum", False),
        ("1: no", False),
        ("no (see step 2)", False), ("No because", False), ("Verdict: **No**", False), ('{"met": false}', False),
        ("It fails the test.\nAnswer: No", False), ("**no**, it is not", False),
        ("No errors were found.", None), ("The answer has no mistakes", None), ("yes/no", None), ("Yes or no?", None),
        ("Answer: yes or no", None), ("It is not a yes.", None), ("I see no reason to say yes", None), ("maybe", None),
        ("<think>yes", None),
        ('{"met": true, "correct": false}', None),
    ],
)  # fmt: skip
def test_yes_and_no(text: str, value: bool | None) -> None:
    assert yes_in(text).value is value
    assert bool(yes_in(text).problem) is (value is None)


@pytest.mark.parametrize(
    ("text", "yes", "no", "value"),
    [
        ("Right.", "right", "wrong", True), ("Step 2 is wrong.", "right", "wrong", False),
        ("incorrect", "correct", "incorrect", False),
        ("It is not correct.", "correct", "incorrect", None), ("CORRECT", "correct", "incorrect", True),
        ("Verdict: not met", "met", "not met", False), ("met", "met", "not met", True),
        ("It isn't right", "right", "wrong", None),
    ],
)  # fmt: skip
def test_yes_and_no_in_other_words(text: str, yes: str, no: str, value: bool | None) -> None:
    assert read_yes(text, yes, no) is value


def test_a_cut_no_may_go_on() -> None:
    assert read_yes("There is no") is False and read_yes("There is no", cut=True) is None
    assert read_yes("No", cut=True) is False and read_yes("Answer: yes", cut=True) is True
