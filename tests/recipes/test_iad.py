"""Iterative agent decoding: which attempts are shown, and with which marks."""

from __future__ import annotations

from typing import Any

from refine_kit import solve

from loopwright.core.feedback import Missing, Score
from loopwright.core.model import Request
from loopwright.core.types import Rollout

SHOWN: dict[str, Any] = {"refine": "best {best} {best_score}|{contrast}", "contrast": "worst {worst} {worst_score}"}


def asked(marks: dict[str, float], answers: list[str], **options: Any) -> tuple[str, list[str]]:
    """The answer, and the requests to refine in their order; ``answers`` are what the model says, one after another."""
    left = iter(answers)

    def critic(rollout: Rollout) -> Score:
        return Score(value=marks[rollout.output])

    made, conversations = solve(
        "iad", lambda texts: next(left), sampled=lambda request, i: next(left), critics=[critic], **SHOWN, **options
    )
    return made.output, [texts[-1] for texts in conversations if texts[-1].startswith("best")]


def test_best_and_worst_are_shown_with_their_marks_and_the_best_of_all_is_returned() -> None:
    marks = {"a": 0.4, "b": 0.2, "c": 0.6, "d": 0.1}
    made, refining = asked(marks, ["a", "b", "c", "d", "d"], calls=5)
    assert refining == ["best a 0.4|worst b 0.2", "best c 0.6|worst b 0.2", "best c 0.6|worst d 0.1"]
    assert made == "c"


def test_where_marks_are_equal_the_best_is_not_shown_as_the_worst() -> None:
    made, refining = asked({"a": 0.5, "b": 0.5, "c": 0.5}, ["a", "b", "c", "c"], calls=4)
    assert refining == ["best a 0.5|worst b 0.5", "best a 0.5|worst c 0.5"]
    assert made == "a"


def test_a_single_attempt_is_shown_alone() -> None:
    _, refining = asked({"a": 0.5, "b": 0.7}, ["a", "b"], calls=2, first=1)
    assert refining == ["best a 0.5|"]


def test_what_an_answer_says_fills_in_nothing() -> None:
    _, refining = asked({"{worst}": 0.5, "{best_score}": 0.1, "c": 1.0}, ["{worst}", "{best_score}", "c"], calls=3)
    assert refining == ["best {worst} 0.5|worst {best_score} 0.1"]


def test_it_ends_where_nothing_is_left_to_ask_for() -> None:
    made, refining = asked({"a": 0.5, "b": 1.0}, ["a", "b", "c"], calls=8)
    assert made == "b" and refining == []


def test_a_better_answer_is_asked_for_after_the_best_one_at_the_temperature_of_the_first() -> None:
    marks, left, heat = {"a": 0.4, "b": 0.9, "c": 0.1, "d": 0.2}, iter("abcd"), set()

    def sampled(request: Request, i: int) -> str:
        heat.add(request.sampling.temperature)
        return next(left)

    critics = [lambda rollout: Score(value=marks[rollout.output])]
    made, conversations = solve("iad", str, sampled=sampled, critics=critics, calls=4, temperature=0.3, **SHOWN)
    assert [texts[:-1] for texts in conversations if len(texts) > 1] == [["q", "b"], ["q", "b"]]
    assert made.output == "b" and heat == {0.3}


def test_no_more_is_sampled_than_there_are_calls() -> None:
    made, refining = asked({"a": 0.5, "b": 0.7}, ["a"], calls=1, first=2)
    assert made == "a" and refining == []


def test_what_nobody_could_judge_is_shown_as_the_worst_and_never_returned() -> None:
    def critic(rollout: Rollout) -> Score | Missing:
        return Missing(expected="score", message="down") if rollout.output == "a" else Score(value=0.0)

    left = iter("abb")
    made, conversations = solve("iad", str, sampled=lambda r, i: next(left), critics=[critic], calls=3, **SHOWN)
    assert made.output == "b" and conversations[-1][-1] == "best b 0|worst a 0"


def test_where_the_best_is_no_answer_another_is_sampled() -> None:
    left = iter("ab")
    critics = [lambda rollout: Score(value=0.5 if rollout.output else 0.0)]
    made, conversations = solve(
        "iad", str, sampled=lambda r, i: next(left), critics=critics, silent=1, calls=3, first=1, **SHOWN
    )
    assert [texts[-1] for texts in conversations][-2:] == ["q", "best a 0.5|worst  0"]
    assert made.output == "a"
