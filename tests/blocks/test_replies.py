"""What small models reply, read as far as it goes and never guessed at."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.blocks.json_text import read_json
from loopwright.blocks.programs import program_of
from loopwright.blocks.replies import read_answers, read_letter, read_list, read_number, read_yes
from loopwright.blocks.text.choices import choice_in
from loopwright.blocks.text.numbers import read_numbers
from loopwright.blocks.text.rewrites import text_in
from loopwright.blocks.text.scores import score_in
from loopwright.blocks.text.yes_no import yes_in
from loopwright.core.fences import split_thinking


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"score": 7}', {"score": 7}),
        ('Here you are:\n```json\n{"score": 7, "why": "it\'s fine"}\n```\nAnything else?', {"score": 7, "why": "it's fine"}),
        ("{'score': 7, 'ok': True, 'why': None,}", {"score": 7, "ok": True, "why": None}),
        ("{'why': 'it isn't, no', 'score': 2}", {"why": "it isn't, no", "score": 2}),
        ("{score: 7, why: too short}", {"score": 7, "why": "too short"}),
        ('{"score": 7 // of ten\n "why": "x"}', {"score": "7 // of ten", "why": "x"}),
        ('{"why": "it ends', {"why": "it ends"}),
        ('{"why": "x", "score": 1', {"why": "x"}),  # of 10, perhaps
        ('{"why": "x", "score"', {"why": "x"}),
        ('["Is it true?", "Is it short?"', ["Is it true?", "Is it short?"]),
        ("\u201cNo\u201d is [not] an {object}", None),
        ("[A] is better than [B]", None),
        ("NaN: {}", None),
        ('I think {"a": 1} at first, but {"a": 2}', {"a": 2}),
        ("{" * 500, None),
        ("", None),
    ],
)
def test_json(text, value):
    assert read_json(text) == value


_TEXT = st.text(alphabet="ab:,'\"\\[]{}\n 1", max_size=8)


@settings(max_examples=50)
@given(st.recursive(_TEXT | st.booleans() | st.integers(), lambda c: st.lists(c) | st.dictionaries(_TEXT, c), max_leaves=6))
def test_json_that_is_json_is_left_as_it_is(value):
    if isinstance(value, dict | list) and value:
        assert read_json(json.dumps(value)) == value


@settings(max_examples=50)
@given(st.text(alphabet='{}[]",:\'0a \n\\#/', max_size=60))
def test_no_text_is_too_odd(text):
    for read in (read_json, read_number, read_yes, read_letter, read_list):
        read(text)
    assert len(read_answers(text, 3)) == 3


PIECES = (
    "<think>", "</think>", "```", "~~~", "\n", " ", "a", "Better: ", "A", "B", "or", "is better", "Score: ", "7", "/",
    "10", ".5", ",", "{", "}",
    '"score": ', "[[", "]]", "\\boxed{", "\\frac", "%", "-", "$", "^", "\u00bd", "\u00d710^", "not ", "yes", "no", "|",
    "def f():\n", "    ", "\r\n", "\ue000",
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.booleans())
def test_no_mixture_of_what_models_write_is_too_odd(text, cut):
    """Every reader gives a value or a reason, never both."""
    for found in (score_in(text, cut=cut), score_in(text, high=10.0, cut=cut), choice_in(text, cut=cut),
    yes_in(text, cut=cut), text_in(text, cut=cut)):
        assert (found.value is None) is bool(found.problem)
    for number in read_numbers(text):
        assert (number.value is None) is bool(number.problem) and text[number.start : number.end] == number.text
    assert isinstance(program_of(text), str) and isinstance(split_thinking(text).answer, str)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It is kind. Score: 7", 7.0), ("**Score:** 7.5/10", 7.5), ("8", 8.0), ("8/10.", 8.0), ("Score: 3\nScore: 4", 4.0),
        ('{"reason": "10 faults", "score": "6 / 10"}', 6.0), ('{"score": true}', None), ("fine", None), ("", None),
        ("Between 3 and 5", None), ('{"overall_score": 4', None), ("score: -2", -2.0),
    ],
)  # fmt: skip
def test_number(text, value):
    assert read_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Yes.", True), ("**no**, it is not", False), ("It fails the test.\nAnswer: No", False), ("[[Yes]]", True),
        ("I see no reason to say yes", None), ("maybe", None), ("Nothing", None), ('{"met": false}', False),
        ('{"why": "there is no sum", "answer": "yes"}', True), ("", None),
    ],
)  # fmt: skip
def test_yes(text, value):
    assert read_yes(text) is value


def test_yes_in_other_words():
    assert read_yes("Right.", "right", "wrong") is True and read_yes("Step 2 is wrong.", "right", "wrong") is False
    assert read_yes("incorrect", "correct", "incorrect") is False


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A", "A"), ("B.", "B"), ("[[A]]", "A"), ("[[C]]", "tie"), ("Answer: B", "B"), ("A is better because B is long", "A"),
        ("tie", "tie"), ("It is a tie.", "tie"), ("A good answer was given", None), ("The better one is (B)", "B"),
        ("A: too long\nB: short\nVerdict: B", "B"), ("Both A and B fail", None),
        ('{"winner": "B", "why": "A is worse"}', "B"),
        ("", None),
    ],
)  # fmt: skip
def test_letter(text, letter):
    assert read_letter(text) == letter


def test_lists():
    assert read_list('Sure:\n["Is it a poem?", "Is it short?"]') == ["Is it a poem?", "Is it short?"]
    assert read_list('{"questions": [{"question": "Is it a poem?"}]}') == ["Is it a poem?"]
    assert read_list("Analysis: a poem is asked for.\n1. Is it a poem?\n2) **Is it short?**\n- Is it short?") == [
        "Is it a poem?", "Is it short?",
    ]  # fmt: skip
    assert read_list("The poem.\nIs it a poem?\nIs it short?") == ["Is it a poem?", "Is it short?"]
    assert read_list("I cannot.") == []


def test_answers():
    assert read_answers("1. yes\n2. No, it has none.\n3. unclear", 3) == [True, False, None]
    assert read_answers("2: yes", 3) == [None, True, None]
    assert read_answers("Yes\nNo", 2) == [True, False] and read_answers("Yes\nNo", 3) == [None] * 3
    assert read_answers('[true, "no"]', 2) == [True, False]
    assert read_answers('{"answers": [{"reason": "no sum", "met": "yes"}, {"met": false}]}', 2) == [True, False]
    assert read_answers("Yes.", 1) == [True]
