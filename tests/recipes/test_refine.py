"""The control flow of methods that rewrite one answer, with a model whose lines are written down."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from refine_kit import solve

from loopwright.core.feedback import Feedback, Missing, Score, Span, Spans, Steps, Verdict
from loopwright.core.model import Request
from loopwright.core.types import Rollout


def lines(conversation: list[str]) -> str:
    """The first answer is a, the next b, and so on; asked about an answer, it objects to all before c."""
    if conversation[-1] == "judge it":
        return "'Fine.'" if conversation[-2] == "c" else f"{conversation[-2]} is bad"
    return "abcdef"[sum(len(text) == 1 and text != "q" for text in conversation)]


def test_self_refine_goes_on_until_its_own_critic_is_content() -> None:
    own = {"critique": "judge it", "revise": "<{feedback}>", "satisfied": "fine"}
    rollout, asked = solve("self-refine", lines, rounds=5, **own)
    assert rollout.output == "c"
    assert asked == [
        ["q"], ["q", "a", "judge it"],
        ["q", "a", "<a is bad>"], ["q", "a", "<a is bad>", "b", "judge it"],
        ["q", "a", "<a is bad>", "b", "<b is bad>"], ["q", "a", "<a is bad>", "b", "<b is bad>", "c", "judge it"],
    ]  # fmt: skip
    assert solve("self-refine", lines, rounds=1, **own)[0].output == "b"


def test_self_refine_keeps_its_answer_where_the_critic_says_nothing() -> None:
    assert solve("self-refine", lambda said: "" if said[-1] == "judge it" else "a", critique="judge it")[0].output == "a"
    assert solve("self-refine", lines, critique="judge it", silent=2)[0].output == "a"


def test_a_rewriting_that_fails_does_not_take_the_place_of_an_answer() -> None:
    assert solve("self-refine", lines, critique="judge it", satisfied="fine", silent=3)[0].output == "a"


def test_try_again_asks_nobody_and_votes() -> None:
    rollout, asked = solve("try-again", lambda said: "abc"[len(said) // 2], rounds=3, revise="again", window=2)
    assert rollout.output == "c"  # given twice, for the fourth attempt is shown what the third was, less the oldest
    assert asked == [["q"], ["q", "a", "again"], ["q", "a", "again", "b", "again"], ["q", "b", "again", "c", "again"]]
    assert solve("try-again", lambda said: "abcd"[len(said) // 2], rounds=3, keep="last")[0].output == "d"


def accepts(*good: str) -> Callable[[Rollout], Feedback]:
    def judge(rollout: Rollout) -> Feedback:
        return Verdict(passed=rollout.output in good, message="" if rollout.output in good else f"not {rollout.output}")

    return judge


def reflecting(conversation: list[str]) -> str:
    if conversation[-1].startswith("why"):
        return f"I said {conversation[-2]}, {conversation[-1].removeprefix('why ')}"
    notes = conversation[-1].count("I said")
    return "abcdef"[notes]


def test_reflexion_starts_afresh_with_its_latest_notes() -> None:
    own = {"reflect": "why {feedback}", "remember": "notes:\n{memory}"}
    rollout, asked = solve("reflexion", reflecting, critics=[accepts("c")], **own)
    assert rollout.output == "c"
    assert asked[2] == ["q", "notes:\nI said a, not a"]
    assert asked[4] == ["q", "notes:\nI said a, not a\nI said b, not b"]
    rollout, asked = solve("reflexion", reflecting, critics=[accepts("c")], trials=4, memory=1, **own)
    assert rollout.output == "b" and len(asked) == 7 and asked[-1] == ["q", "notes:\nI said b, not b"]


def test_reflexion_may_go_on_from_the_last_attempt() -> None:
    own = {"reflect": "why {feedback}", "remember": "{memory}", "last_attempt": True, "memory": 1}
    _, asked = solve("reflexion", reflecting, critics=[accepts("x")], trials=3, **own)
    assert asked[-1] == ["q", "b", "I said b, not b"]


def test_reflexion_ends_where_nobody_could_judge() -> None:
    missing = [lambda rollout: Missing(expected="verdict", message="down")]
    rollout, asked = solve("reflexion", reflecting, critics=missing)
    assert rollout.output == "a" and len(asked) == 1


def steps_of(values: dict[str, tuple[float, ...]]) -> Callable[[Rollout], Feedback]:
    return lambda rollout: Steps(values=values[rollout.output], unit="line")


def sampled(*first: str) -> Callable[[Request, int], str]:
    """Samples of the question; a reviewer who repeats the scores he was shown; a refiner who does what he is told."""

    def say(request: Request, i: int) -> str:
        last = request.turns[-1].text
        if last == "q":
            return first[i]
        return f"of {last.removeprefix('review ')}" if last.startswith("review") else last.split("->")[1].strip()

    return say


ROLES = {"review": "review {steps} -> z", "refine": "{feedback}", "rounds": 2}


def test_magicore_votes_by_reward_where_the_question_is_easy() -> None:
    judge = steps_of({"a": (0.1,), "b": (0.9,), "c": (0.2,)})
    rollout, asked = solve(
        "magicore", str, sampled=sampled("a", "a", "a", "b", "b", "c"), critics=[judge], samples=6, confidence=0.4, **ROLES
    )
    assert rollout.output == "b" and len(asked) == 1  # the frequent answer is poor, and the judged votes agree


def test_magicore_refines_every_solution_of_a_hard_question_until_it_is_easy() -> None:
    judge = steps_of({"a": (0.1,), "b": (0.2,), "c": (0.1,), "d": (0.1,), "z": (0.9, 0.9)})
    rollout, asked = solve("magicore", str, sampled=sampled("a", "b", "c", "d"), critics=[judge], samples=4, **ROLES)
    assert rollout.output == "z"
    assert ["q", "a", "review a (score 1 of 10) -> z"] in asked and ["q", "a", "of a (score 1 of 10) -> z"] in asked
    assert len(asked) == 1 + 2 * 4  # z is good enough for no second round


def test_magicore_asks_of_every_round_about_the_answer_that_was_most_frequent_in_the_first() -> None:
    # Two rounds: what is frequent in the second ("b", worthless) is not what is asked about ("a", which is good by then).
    judge = steps_of({"a": (0.1,), "b": (0.1,), "c": (0.1,), "d": (0.1,), "a!": (0.9,)})

    def say(texts: list[str]) -> str:
        last = texts[-1]
        if last.startswith("review"):
            return "x"
        return "a!" if texts[1] == "a" else "b"

    def speak(request: Request, i: int) -> str:
        return "aabcd"[i] if len(request.turns) == 1 else say([turn.text for turn in request.turns])

    def run(extract: str) -> list[list[str]]:
        return solve("magicore", say, sampled=speak, critics=[judge], samples=5, confidence=1.1, extract=extract, **ROLES)[1]

    rounds = (len(run(r"\w")) - 1) / 10  # "a!" votes for "a"
    assert rounds == 1  # the first round's answer is good enough in the second
    assert (len(run("")) - 1) / 10 == 1  # nobody gives it any more, so nothing of it is poor


def rewards(of: dict[str, tuple[float, tuple[float, ...]]]) -> list[Callable[[Rollout], Feedback]]:
    """A critic of the whole and one of the steps."""
    return [lambda r: Score(value=of[r.output][0]), lambda r: Steps(values=of[r.output][1], unit="line")]


def test_magicore_votes_by_the_mean_of_the_reward_of_the_whole_and_the_product_of_the_steps() -> None:
    of = {"a": (0.9, (0.1,)), "b": (0.6, (0.6,)), "c": (0.1, (0.9,))}  # 0.5, 0.6, 0.5
    assert (
        solve("magicore", str, sampled=sampled("a", "b", "c"), critics=rewards(of), samples=3, **ROLES)[0].output == "b"
    )
    of = {"a": (0.5, (0.9, 0.9)), "b": (0.5, (0.85,))}  # the product is 0.81, the sum 1.8, the least 0.9
    assert solve("magicore", str, sampled=sampled("a", "b"), critics=rewards(of), samples=2, **ROLES)[0].output == "b"


@pytest.mark.parametrize(
    ("whole", "steps", "quality", "hard"),
    [
        (0.9, 0.05, 0.5, True),  # 0.475 stands behind "a"; by the steps three answers are worth the same
        (0.9, 0.05, 0.45, False),  # good enough
        (0.05, 0.9, 0.5, True),  # here the whole is worth the same
        (0.9, 0.9, 1.0, False),  # by both, "a" is as good as certain
    ],
)
def test_magicore_calls_a_question_hard_where_one_of_the_two_votes_is_far_apart(
    whole: float, steps: float, quality: float, hard: bool
) -> None:
    other = (0.05 if whole == 0.05 else 0.01, (0.05 if steps == 0.05 else 0.01,))
    of = {"a": (whole, (steps,)), "b": other, "c": other, "z": (1.0, (1.0,))}
    options = {**ROLES, "samples": 3, "confidence": 0.6, "quality": quality}
    _, asked = solve("magicore", str, sampled=sampled("a", "b", "c"), critics=rewards(of), **options)
    assert (len(asked) > 1) is hard


def test_magicore_lets_the_best_of_all_rounds_vote_and_no_more_than_were_sampled() -> None:
    of = {
        "a": (0.3, (0.3,)),
        "b": (0.05, (0.05,)),
        "z": (0.25, (0.25,)),
    }  # both are rewritten to "z", worth 0.5 together
    options = {**ROLES, "samples": 2, "confidence": 1.1, "rounds": 1}
    rollout, asked = solve("magicore", str, sampled=sampled("a", "b"), critics=rewards(of), **options)
    assert len(asked) == 5 and rollout.output == "a"


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_magicore_refines_for_no_more_rounds_than_it_may(rounds: int) -> None:
    of = {"a": (0.1, (0.1,)), "b": (0.1, (0.1,))}
    options = {**ROLES, "review": "review {steps} -> a", "samples": 2, "confidence": 1.1, "rounds": rounds}
    _, asked = solve("magicore", str, sampled=sampled("a", "b"), critics=rewards(of), **options)
    assert len(asked) == 1 + 4 * rounds


def test_magicore_takes_the_majority_where_nobody_can_judge() -> None:
    worthless = [lambda rollout: Steps(values=(0.0,))]
    rollout, _ = solve("magicore", str, sampled=sampled("a", "b", "b"), critics=worthless, samples=3, rounds=0)
    assert rollout.output == "b"
    missing = [lambda rollout: Missing(expected="steps", message="down")]
    rollout, _ = solve("magicore", str, sampled=sampled("a", "b", "b"), critics=missing, samples=3)
    assert rollout.output == "b"


def spans(severities: dict[str, float]) -> Callable[[Rollout], Feedback]:
    def judge(rollout: Rollout) -> Feedback:
        weight = severities[rollout.output]
        found = (Span(start=0, end=1, label="slip", severity=weight, text="look"),) if weight else ()
        return Spans(spans=found, length=len(rollout.output))

    return judge


def test_fito_tells_each_error_and_ends_without_any() -> None:
    judge = spans({"a": 1.0, "b": 0.2, "c": 0.0})
    rollout, asked = solve(
        "fito", lambda said: "a" if len(said) == 1 else {"a": "b", "b": "c"}[said[1]], critics=[judge], revise="{errors}"
    )
    assert rollout.output == "c"
    assert asked == [["q"], ["q", "a", '- major error at "a": slip look'], ["q", "b", '- minor error at "b": slip look']]


def test_fito_takes_what_is_worse_only_while_it_is_hot() -> None:
    judge = spans({"a": 0.5, "b": 0.6})
    worse = {"critics": [judge], "rounds": 3}

    def ab(said: list[str]) -> str:
        return "a" if len(said) == 1 else "b"

    assert solve("fito", ab, start=0.0, **worse)[0].output == "a"
    assert solve("fito", ab, start=1e6, cooling=0.0, **worse)[0].output == "b"
