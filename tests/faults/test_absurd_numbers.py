"""Answers that are numbers no computer should be kept busy by, given to the checker of numbers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.feedback import Verdict
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics.match import exact, number

N = 40_000
WORDS = (
    "1e1000000", "1e-1000000", "1e4000", "1e-4000", "9" * 4000 + "e4000", "9" * 4000 + " 1/3", "9" * 3999 + "/" + "7" * 3999,
    "9/" + "7" * 5000, "2^4000", "99^1900", "10**4000", "7" * 1_000_000, "0." + "7" * 1_000_000, "-" + "7" * 1_000_000,
    "\\boxed{" * (N // 7), "\\boxed{" + "7" * N + "}", "\\sqrt " * (N // 6), "\\sqrt{" * (N // 6), "100 200a " * (N // 9),
    "1," * (N // 2), "1,111" * (N // 5), "\\frac{1}{2" * (N // 10), "\\frac{" + "1" * 5000 + "}{" + "2" * 5000 + "}",
    "\\frac{" + "1" * 5000 + "}{2}", "1/" * (N // 2), "minus " * (N // 6), "1" + " " * N, "-" * N, "$" * N, "1e" + "9" * N,
    "1x10^" + "9" * N, "10" + "\u2079" * N, "\u0663" * N, "\u00bd" * N, "5 +/- " * (N // 6), "0x" + "f" * N, "1%" * (N // 2),
    "1_" * (N // 2), "1'" * (N // 2), "1 1/" + "2" * 5000, "1 " + "1" * 5000 + "/" + "2" * 5000, "(" * N, "{" * N, "}" * N,
    "<think>" * (N // 7), "inf", "nan", "-inf", "1e400", "\0" * 1000, "\ud800",
)  # fmt: skip


def judged(critic: Any, text: str, target: Any) -> Verdict:
    rollout = Rollout(
        id="r", example=Example(id="e", input="q", target=target), turns=(Turn(role="assistant", text=text),)
    )
    said = asyncio.run(critic(rollout, cast(Any, None)))
    assert isinstance(said, Verdict), said
    return said


@pytest.mark.fault(76)
def test_absurd_numbers_are_judged(seen: Callable[[str], None]) -> None:
    critics = [number(), number(which="only"), number(strict=True), number(decimal=","), number(tolerance=0.5), exact()]
    judgements = 0
    for critic, text, target in itertools.product(critics, WORDS, ("7", "1e3000")):
        said = judged(critic, text, target)
        assert not said.passed and len(said.message) < 500
        judgements += 1
    assert judged(number(), "1e4000", "1e4000").passed and judged(number(), f"\\boxed{{1}} \\boxed{{7}} {'{' * N}", 7).passed
    seen(f"{len(WORDS)} texts such as 1e1000000 and a million digits, {judgements} judgements: all wrong, none raised")


@pytest.mark.fault(76)
@settings(max_examples=300)
@given(st.lists(st.sampled_from(["9" * 4001, "1", "/", "^", "e", ".", ",", " ", "%", "-", "{", "}", "\\frac", "\\boxed{", "x10^", "1e4000", "$", "million", "½", "⁹", "4000"]), max_size=12).map("".join))  # fmt: skip # noqa: E501
def test_no_text_made_of_numbers_makes_the_checker_raise(text: str) -> None:
    for critic in (number(), number(strict=True), number(decimal=",")):
        judged(critic, text, "12345")
