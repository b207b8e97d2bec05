"""Numbers as people and models write them, and the one of a judge's reply that is the score."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.blocks.replies import read_number
from loopwright.blocks.text.numbers import last_boxed, number_of, read_numbers
from loopwright.blocks.text.scores import score_in

ONE = {
    "7": "7", "-7": "-7", "+7": "7", "\u22127": "-7", "\u20137": "-7", "minus 7": "-7", "negative 7": "-7", "7.": "7",
    "3x": "3", ".5": "1/2",
    "-.5": "-1/2", "0.50": "1/2", "007": "7", "(-3)": "-3", "=-3": "-3", "- 5": "5", "$5": "5", "-$5": "-5",
    "$-5": "-5", "\u2212\u20ac5": "-5",
    "US$5": "5", "EUR 5": "5", "5\u20ac": "5", "5 km": "5", "5km": "5", "5 cm^2": "5", "5 m\u00b2": "5", "$x = 5$": "5",
    "\\boxed{5}": "5",
    "1/2": "1/2", "-1/2": "-1/2", "1 / 2": "1/2", "1\u20442": "1/2", "\u00bd": "1/2", "2\u00bd": "5/2",
    "2 \u00be": "11/4", "1 1/2": "3/2",
    "-1 1/2": "-3/2", "\\frac{1}{2}": "1/2", "-\\frac{1}{2}": "-1/2", "\\dfrac{3}{4}": "3/4", "\\frac12": "1/2",
    "2\\frac{1}{2}": "5/2",
    "1e5": "100000", "1E-5": "1/100000", "1\u00d710^3": "1000", "1 x 10^{-3}": "1/1000",
    "1.5\u00d710\u207b\u00b3": "3/2000", "2 \\times 10^3": "2000",
    "2 \\cdot 10^{3}": "2000", "2*10**3": "2000", "10^3": "1000", "10\u00b3": "1000", "2^10": "1024", "2^{-1}": "1/2",
    "1,234": "1234", "1,234,567.5": "2469135/2", "1 234": "1234", "1\u00a0234": "1234",
    "1\u202f234\u202f567": "1234567", "1\u2009234.5": "2469/2",
    "1'234": "1234", "1\u2019234": "1234", "1_000": "1000", "1,23,456": "123456", "1{,}234": "1234", "1\\,234": "1234",
    "5 million": "5000000", "$1.5 million": "1500000", "2 thousand": "2000", "$5k": "5000", "3bn": "3000000000",
    "\u5171 5 \u4e2a": "5",
    "\u51715\u4e2a": "5",
}  # fmt: skip
NO_VALUE = (
    "1,5", "3,14159", "1.234,56", "1.234.567", "1.2.3", "1,2,3", "5/6/2024", "1/2/3", "1/0", "\\frac{1}{0}",
    "5 \u00b1 1", "5 +/- 1", "0x1F",
    "2\\sqrt{3}", "\\frac{\\sqrt{3}}{2}", "\\frac{x}{2}", "2\u03c0", "1e999999999", "10^99999", "9" * 5000,
)  # fmt: skip


@pytest.mark.parametrize(("text", "value"), ONE.items())
def test_one_number(text: str, value: str) -> None:
    assert [n.value for n in read_numbers(text)] == [Fraction(value)]
    assert [n.value for n in read_numbers(f"It is {text} .") if n.value is not None][-1] == Fraction(value)


@pytest.mark.parametrize("text", NO_VALUE)
def test_what_can_be_read_in_two_ways_has_no_value(text: str) -> None:
    (found,) = read_numbers(text)
    assert found.value is None and found.problem and (found.start, found.end) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5-9", ["5", "9"]), ("10 minus 5", ["10", "5"]), ("5 - 9 = -4.", ["5", "9", "-4"]),
        ("[1, 2, 3]", ["1", "2", "3"]), ("7, 8", ["7", "8"]),
        ("x_1 + y^2 + A1", []), ("x_{2}", []), ("in 2023 500 people", ["2023", "500"]), ("10:30", ["10", "30"]), ("none", []),
    ],
)  # fmt: skip
def test_several(text: str, values: list[str]) -> None:
    assert [n.value for n in read_numbers(text)] == [Fraction(v) for v in values]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.234,56", "30864/25"), ("1.234", "1234"), ("1,5", "3/2"), ("1 234,5", "2469/2"), ("-1.234.567,8", "-6172839/5"),
    ("7", "7"),
     ("1.5", None), ("1,234.5", None)],
)  # fmt: skip
def test_a_decimal_comma(text: str, value: str | None) -> None:
    (found,) = read_numbers(text, ",")
    assert found.value == (None if value is None else Fraction(value))


def test_percent() -> None:
    for text in ("5%", "5 %", "5\\%", "5 percent", "5 per cent", "5\uff05"):
        (found,) = read_numbers(text)
        assert found.percent and found.values == (5, Fraction(1, 20))
    five, share, many = (read_numbers(t)[0] for t in ("5%", "0.05", "500%"))
    assert five.equals(share) and share.equals(five) and not five.equals(many) and five.equals(read_numbers("5")[0])


def test_a_text_that_is_a_number() -> None:
    for text in (" 5 ", "$5$", "\\(5\\)", "**5**", "`5`"):
        found = number_of(text)
        assert found is not None and found.value == 5
    assert number_of("5 or 6") is None and number_of("it is 5") is None
    assert last_boxed("\\boxed{1} then \\boxed{\\frac{1}{2}}") == "\\frac{1}{2}" and last_boxed("\\boxed{1") is None


FORMS = st.sampled_from(("{:d}", "{:,d}", "{:_d}"))


@given(st.integers(-(10**12), 10**12), FORMS, st.sampled_from(("", "about ", "x = ", "**", "$")))
def test_whole_numbers_come_back(value: int, form: str, before: str) -> None:
    assert read_numbers(before + form.format(value))[-1].value == value


@given(st.decimals(-(10**6), 10**6, places=3), st.sampled_from(".,"))
def test_decimals_come_back_with_either_mark(value: object, mark: str) -> None:
    text = f"{value:,.3f}".replace(",", "\0").replace(".", mark).replace("\0", "." if mark == "," else ",")
    assert read_numbers(text, mark)[-1].value == Fraction(str(value))  # type: ignore[arg-type]


# ---- scores -----------------------------------------------------------------------------------------------------------

SCORES: dict[str, float | None] = {
    "Score (0-10): 7": 7, "Score: .5": 0.5, '{"max_score":10,"score":4}': 4, '{"clarity_score":3,"score":9}': 9,
    '{"score_reason":"ok","score":9}': 9, "Score: 7 (a score 9 would need citations)": 7, "Final score is 9": 9,
    "Rating: 8": 8, "\\boxed{8}": 8,
    "It is kind. Score: 7": 7, "**Score:** 7.5/10": 7.5, "8": 8, "8/10.": 8, "Score: 3\nScore: 4": 4,
    '{"reason": "10 faults", "score": "6 / 10"}': 6,
    "score: -2": -2, "Score [1-5]: 4": 4, "Score (from 0 to 10): 7": 7, "Score out of 10: 7": 7,
    "Score on a scale of 1 to 10: 7": 7, "Score/10: 7": 7,
    "Score - 8/10": 8, "Score: **7**": 7, "Score: [[7]]": 7, "Score: <7>": 7, "| Score | 7 |": 7, "## Score\n7": 7,
    "**Score:**\n\n8/10": 8,
    "Score = 7": 7, "Rating: [[8]]": 8, "I would give this a 7 out of 10.": 7, "7/10 because it is short": 7,
    "It is good.\n\n8": 8,
    "I give it a score of 7.": 7, "A score of 9 would need citations. Score: 7": 7,
    "Clarity score: 3\nOverall score: 8": 8, "Clarity score: 3": 3,
    "Max score: 10\nScore: 4": 4, "Overall: 8/10": 8, "Score for clarity: 3\nScore for style: 4\nScore: 9": 9,
    "<score>7</score>": 7,
    "Score: \u00bd": 0.5, '```json\n{"score": 7}\n```': 7, "~~~\nScore: 7\n~~~": 7, "<think>Score: 2</think>Score: 7": 7,
    "hm, Score: 2\n</think>\nScore: 7": 7, "The score is 9.": 9, "Therefore, the final score is 8.": 8, "SCORE: 7": 7,
    "- Score: 7": 7,
    "Score: 7 points": 7, "Score \u2192 7": 7, "Score: 7/10\n\nThe answer is fine but 3 errors remain.": 7, "Grade: 6": 6,
    '{"evaluation": {"score": 4}}': 4, '{"overallScore": 6}': 6, '{"rating": 8}': 8, '{"score": "7 (good)"}': 7,
    '{"score": 7, // of ten\n"why": "x"}': 7, "{'score': 7, 'max': 10}": 7, "Score: \u22122": -2, "Score: 1e1": 10,
    "Score: 7. Score 9 is for citations.": 7,
    "Score 7": 7, "Score 7/10": 7, "my score: 6": 6, "Score: 5\n\nScale: 0-10": 5, "Scale (0-10)\nScore: 5": 5,
    "\\text{Score: } 8": None,
    "Score: $7$": 7, "Score: $\\boxed{7}$": 7, "**Final Score: 8/10**": 8, "> Score: 7": 7, "1. Score: 7": 7,
    "Score (0 = bad, 10 = good): 7": 7,
    "Score: 7 (scale 0-10)": 7, "Score: 7 [0-10]": 7, "Answer: 42. Score: 7": 7, "Helpfulness: 8\nAccuracy: 6\nScore: 7": 7,
    'Here it is: {"score": 7} as asked. For 10 it needs more.': 7,
    "| Criterion | Score |\n|---|---|\n| Clarity | 8 |\n| Overall | 9 |": 9,
    "Score: 7 of 10": 7, "Score: 0": 0, "Score: +3": 3, "The previous score: 3\nScore: 5": 5, 'Score: 7\n\n{"note": 1}': 7,
    "Here is the score:\n\n7": 7,
    # nothing, or nothing certain
    '{"score": true}': None, "fine": None, "": None, "Between 3 and 5": None, '{"overall_score": 4': None,
    "Score: 7-8": None, "Score: 7 to 8": None,
    "Score: 0-10": None, "Score: 7,5": None, "Score: 7 or 8": None,
    "A score of 10 would be perfect, but this is wrong.": None, "<think>Score: 2": None,
    "Clarity score: 3\nStyle score: 5": None, "Maximum score: 10": None, "Score: 3+4=7": None, "Score: 8 9": None,
    "Score: 10 - 3 = 7": None, "Score: ~7": None,
    "8 points": 8, "It has 3 faults. [RESULT] 7": 7, "Score is 8 because 10 is perfect.": 8, "Score: 4/5": None,
    "Score: 80%": None,
    "Score: N/A": None,
    '[{"c":"x","score":3},{"c":"y","score":4}]': None, "The answer has 3 faults": None, "Not a score: 3": None,
    "The score cannot be 10.": None,
    "If the score is 9, stop.": None, "Score: eight": None, "Helpfulness: 8\nAccuracy: 6": None, '{"max_score": 10}': None,
    "I'd rate this 8/10, since 9/10 would need sources.": None, '{"clarity_score":3,"style_score":4}': None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCORES.items())
def test_the_score(text: str, value: float | None) -> None:
    found = score_in(text, high=10.0)
    assert found.value == value
    assert bool(found.problem) is (value is None)


@pytest.mark.parametrize("text", ["Score: 7", "8", "7/10", "It is fine\n8", '{"why": "x", "score": 1'])
def test_a_number_at_a_cut_end_may_lack_digits(text: str) -> None:
    assert score_in(text, high=10.0, cut=True).value is None


def test_a_number_before_a_cut_end_is_whole() -> None:
    assert score_in("Score: 7\nIt is", high=10.0, cut=True).value == 7 and score_in("7/10, as it", high=10.0,
    cut=True).value == 7


@pytest.mark.parametrize(
    ("text", "high", "value"), [("80%", 100, 80), ("Score: 80%", 1, 0.8), ("Score: 4/5", 5, 4), ("4 out of 5", 10, None)]
)
def test_the_scale(text: str, high: float, value: float | None) -> None:
    assert score_in(text, high=high).value == value


def test_numbers_of_other_names() -> None:
    assert read_number("value: -20\nBecause it fails", "value") == -20
    assert read_number("Solution 1 is weak.\nID: 2", "id") == 2 and read_number("The best is id: 2", "id") == 2
    assert read_number("Rating: 7", "value") is None
