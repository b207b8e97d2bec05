"""How checkers read answers, and judges' replies become feedback: what is unclear is wrong in an answer, Missing from a judge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import TaskError
from loopwright.core.feedback import Feedback, Missing, Preference, Score, Verdict
from loopwright.core.seen import worst
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics import build_critic, pairwise


def answered(text: str, target: Any = None, id: str = "r") -> Rollout:
    return Rollout(id=id, example=Example(id="e1", input="q", target=target), turns=(Turn(role="assistant", text=text),))


def say(kind: str, output: str, target: Any = None, *, ctx: Any = None, **options: Any) -> Any:
    return asyncio.run(build_critic(kind, options, ".", "task.toml", role="checker")(answered(output, target), ctx))


class Judge:
    """A context whose model replies so; ``finish`` is why it stopped."""

    def __init__(self, *replies: str, finish: str = "stop") -> None:
        self.replies = replies
        self.finish = finish
        self.asked = ""

    async def generate(self, prompt: str, **options: Any) -> list[Turn]:
        self.asked = prompt
        return [Turn(role="assistant", text=text, finish=self.finish) for text in self.replies]  # type: ignore[arg-type]

    def at(self, name: str) -> Judge:
        return self


# ---- numbers in answers -----------------------------------------------------------------------------------------------

RIGHT = [
    ("-$5", -5), ("It costs -$5.", "-5"), ("1/2", 0.5), ("\\frac{1}{2}", 0.5), ("0.5", "1/2"), ("1\u00d710^3", 1000),
    ("1 234", 1234),
    ("1\u00a0234", 1234), ("1\u202f234", "1,234"), ("5%", 5), ("5%", 0.05), ("5%", "5%"), ("0.05", "5%"),
    ("5 percent", "5%"), ("$1,234.50", 1234.5),
    ("1 1/2", 1.5), ("1/3", "1/3"), ("2/6", "1/3"), ("5 million", 5_000_000), ("\\boxed{7}, see step 3", 7),
    ("\\boxed{x = \\frac{1}{2}}", 0.5),
    ("<think>It is 8.</think>7", 7), ("So 8?\n</think>\n7", 7), ("5 m^2", 5), ("the answer is \u22127.", -7),
    ("**7**", 7), ("1e3", 1000), ("7.0", 7),
    ("100! = 9.33\u00d710^157", 9.33e157),
]  # fmt: skip
WRONG = [
    ("1,5", 5, "decimal mark"), ("1.234,56", 1234.56, "decimal = ','"), ("5/6/2024", 2024, "date"),
    ("5 \u00b1 1", 1, "uncertainty"),
    ("\\frac{x}{2}", 2, "not a plain number"), ("2\\sqrt{3}", 3, "not a plain number"),
    ("<think>7", 7, "thinking was never ended"),
    ("500%", 5.5, "expected 5.5, got 500%"), ("500%", "5%", "expected 5%, got 500%"),
    ("1/3", 0.3333, "expected 0.3333, got 1/3"),
    ("10^99999", 1, "out of range"), ("1.2.3", 3, "not written as one number"), ("none", 3, "no number in 'none'"),
    ("1 234", 234, "got 1234"),
    ("5 million", 5, "got 5000000"), ("\\boxed{8} not 7", 7, "expected 7, got 8"), ("minus 7", 7, "got -7"),
    ("1/2", 2, "got 0.5"),
]  # fmt: skip


@pytest.mark.parametrize(("output", "target"), RIGHT)
def test_numbers_that_are_right(output: str, target: Any) -> None:
    assert say("number", output, target) == Verdict(passed=True, by=say("number", output, target).by)


@pytest.mark.parametrize(("output", "target", "why"), WRONG)
def test_numbers_that_are_wrong_say_why(output: str, target: Any, why: str) -> None:
    said = say("number", output, target)
    assert isinstance(said, Verdict) and not said.passed and why in said.message


def test_a_decimal_comma_is_an_option() -> None:
    for output, target in (("1.234,56", 1234.56), ("1,5", "1,5"), ("1.234", 1234), ("2,5 %", 2.5)):
        assert say("number", output, target, decimal=",").passed
    said = say("number", "1.5", 1.5, decimal=",")
    assert not said.passed and "decimal = '.'" in said.message
    problem = build_critic("number", {"decimal": ","}, ".", "task.toml").problem
    assert problem is not None and problem(Example(id="e", input="q", target=1.5)) == ""
    assert "comma" in problem(Example(id="e", input="q", target="1.5"))
    with pytest.raises(TaskError, match="decimal"):
        build_critic("number", {"decimal": ";"}, ".", "task.toml")
    with pytest.raises(TaskError, match="decimal"):
        build_critic("number", {"decimals": ","}, ".", "task.toml")


@pytest.mark.parametrize("target", ["1,5", "five", "1.2.3", "", True, None, [1], float("inf"), float("nan"), "5 or 6"])
def test_targets_that_are_no_number(target: Any) -> None:
    problem = build_critic("number", {}, ".", "task.toml").problem
    assert problem is not None and "expects a number" in problem(Example.model_construct(id="e", input="q",
    target=target, meta={}))


def test_strict_is_a_number_and_nothing_else() -> None:
    for output in ("7", " 7.0\n", "<think>x</think>7", "14/2"):
        assert say("number", output, 7, strict=True).passed
    for output in ("7 apples", "$7", "7%", "7 or 7", "**7**"):
        assert "nothing else" in say("number", output, 7, strict=True).message
    assert say("number", "5%", "5%", strict=True).passed


# ---- thinking before answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "answer", "target"),
    [
        ("exact", {}, "yes", "yes"), ("regex", {"pattern": "[a-z]+"}, "yes", None),
        ("schema", {"schema": {"type": "object"}}, '{"a": 1}', None),
        ("number", {}, "7", 7),
    ],
)  # fmt: skip
def test_thinking_is_no_part_of_an_answer(kind: str, options: dict[str, Any], answer: str, target: Any) -> None:
    for output in (answer, f"<think>no 8 {{}}</think>\n{answer}", f"no 8 {{}}\n</think>\n\n{answer}"):
        assert say(kind, output, target, **options).passed
    assert not say(kind, f"<think>no\n{answer}", target, **options).passed


def test_an_exact_answer_that_never_came() -> None:
    assert "never ended" in say("exact", "<think>yes", "yes").message


# ---- judges -----------------------------------------------------------------------------------------------------------


def score(*replies: str, finish: str = "stop", **options: Any) -> Feedback:
    said: Feedback = say("judge", "x", ctx=Judge(*replies, finish=finish), rubric="r", **options)
    return said


@pytest.mark.parametrize(
    ("reply", "value"),
    [("Score (0-10): 7", 7), ("Score: .5", 0.5), ('{"max_score":10,"score":4}', 4),
    ("Score: 7 (a score 9 would need citations)", 7),
     ("Rating: 8", 8), ("\\boxed{8}", 8), ("<think>Score: 2</think>\nScore: 7", 7)],
)  # fmt: skip
def test_a_score_is_read(reply: str, value: float) -> None:
    said = score(reply)
    assert isinstance(said, Score) and said.value == value


@pytest.mark.parametrize(
    ("reply", "finish", "why"),
    [
        ("Score: 7-8", "stop", "a range"), ("Score: 4/5", "stop", "the best score is 10"),
        ("Score: 80%", "stop", "percentage"),
        ("Score: 7,5", "stop", "decimal mark"), ("Clarity score: 3\nStyle score: 5", "stop", "several numbers"),
        ("fine", "stop", "no score"),
        ("It is kind. Score: 1", "length", "cut off"), ("<think>Score: 7", "stop", "thinking was never ended"),
        ("Score: 11", "stop", "not from 0 to 10"),
    ],
)  # fmt: skip
def test_an_unclear_score_is_missing_and_says_why(reply: str, finish: str, why: str) -> None:
    said = score(reply, finish=finish)
    assert isinstance(said, Missing) and why in said.message


def preferred(*replies: str, finish: str = "stop", **options: Any) -> Preference | Missing:
    return asyncio.run(pairwise("r", **options)(answered("x", id="r1"), answered("y", id="r2"),
    Judge(*replies, finish=finish)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "reply",
    ["Better: A\n\nAnswer B misses the point.", "Answer A is better than answer B.",
    "Winner: A\nReason: Answer B ignores it", "Better: a"]
)
def test_a_verdict_is_for_the_one_it_names(reply: str) -> None:
    said = preferred(reply, swap=False)
    assert isinstance(said, Preference) and said.chosen == "r1" and not said.tie
    both = preferred(reply)  # in both orders the first: a judge that goes by the place
    assert isinstance(both, Preference) and both.tie and both.contradicts


@pytest.mark.parametrize(
    ("reply", "finish", "why"),
    [
        ("Answer B misses the point.", "stop", "none of A, B"), ("Answer A is better. I prefer B.", "stop", "several"),
        ("Answer A is better than answer B.", "length", "cut off"), ("<think>Better: A", "stop", "never ended"),
    ],
)  # fmt: skip
def test_an_unclear_verdict_is_missing_and_says_why(reply: str, finish: str, why: str) -> None:
    said = preferred(reply, finish=finish)
    assert isinstance(said, Missing) and why in said.message


def test_a_cut_reply_with_its_verdict_line_counts() -> None:
    said = preferred("Better: A\nBecause answer B mis", finish="length", swap=False)
    assert isinstance(said, Preference) and said.chosen == "r1"


def test_a_function_of_ones_own_is_given_the_answer_alone(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text("def same(output, example):\n    return output == 'said'\n")
    critic = build_critic("python", {"function": "check.py:same"}, tmp_path, "task.toml", role="checker")

    class Ctx:
        async def external(self, kind: str, content: Any, call: Any, *, summary: str = "") -> Any:
            return await call()

    said = asyncio.run(critic(answered("<think>secret</think>\nsaid"), Ctx()))  # type: ignore[arg-type]
    assert isinstance(said, Verdict) and said.passed


def test_thinking_that_never_ended_is_no_answer() -> None:
    assert answered("<think>so").unanswered and answered("<think>so</think> ").unanswered and answered("").unanswered
    assert not answered("<think>so</think>it is 7").unanswered and not answered("Write <think> first.").unanswered
    assert "never ended" in worst(answered("<think>so")).message


def test_a_judge_is_shown_the_answer_alone() -> None:
    judge = Judge("Score: 7")
    asyncio.run(build_critic("judge", {"rubric": "r"}, ".", "task.toml")(answered("<think>secret</think>said"),
    judge))  # type: ignore[arg-type]
    assert "said" in judge.asked and "secret" not in judge.asked
