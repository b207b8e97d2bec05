"""Choosing among answers and making worked examples."""

from __future__ import annotations

import pytest

from loopwright.blocks import select
from loopwright.blocks.select import better_first, majority, mixed_groups, top_per_example
from loopwright.blocks.shots import from_rollouts, from_targets
from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.types import Example, Rollout, Turn


def rollout(example: str, output: str, score: float | None = None) -> Rollout:
    return Rollout(
        id=f"{example}{output}{score}",
        example=Example(id=example, input=f"question {example}"),
        turns=(Turn(role="user", text="?"), Turn(role="assistant", text=output)),
        feedback=() if score is None else (Score(value=score),),
    )


def test_majority_takes_the_first_of_the_most_frequent_and_ignores_those_without_a_vote() -> None:
    assert majority(["a", "b", "b", None, None, None]) == 1
    assert majority(["a", "b"]) == 0
    assert majority([None, "b"]) == 1
    assert majority([None, None]) == 0


def test_top_per_example_keeps_the_best_different_outputs_of_each_example() -> None:
    given = [rollout("x", "bad", 0.1), rollout("x", "good", 1.0), rollout("x", "good", 1.0), rollout("y", "only", 0.0)]
    kept = top_per_example(given, 2)
    assert [(r.example.id, r.output) for r in kept] == [("x", "good"), ("x", "bad"), ("y", "only")]
    assert [r.output for r in top_per_example(given, 1)] == ["good", "only"]


def test_an_unscored_rollout_comes_last() -> None:
    assert [r.output for r in top_per_example([rollout("x", "unknown"), rollout("x", "zero", 0.0)], 1)] == ["zero"]


def test_shots_come_from_text_targets_or_accepted_answers() -> None:
    examples = [Example(id="a", input="1+1", target="2"), Example(id="b", input="?", target={"not": "text"})]
    assert [(s.input, s.output, s.example) for s in from_targets(examples)] == [("1+1", "2", "a")]
    shots = from_rollouts([rollout("x", "yes", 1.0), rollout("y", "almost", 0.9), rollout("z", "unjudged")])
    assert [(s.example, s.output) for s in shots] == [("x", "yes")]


def test_better_first_leaves_out_what_could_not_be_told_apart() -> None:
    a, b = rollout("x", "a"), rollout("x", "b")
    assert better_first([(a, b)] * 5, [1.0, 0.0, 0.5, None, 0.3]) == [(a, b), (b, a), (b, a)]


def test_mixed_groups_leave_out_what_is_all_right_or_all_wrong() -> None:
    mixed = [rollout("x", "a", 1.0), rollout("x", "b", 0.5), rollout("x", "c"), rollout("x", "d", 0.0)]
    alike = [rollout("y", "a", 1.0), rollout("y", "b", 1.0), rollout("z", "a", 0.0), rollout("w", "a")]
    ((group, rate),) = mixed_groups([*alike[:2], *mixed, *alike[2:]])
    assert ([r.output for r in group], rate) == (["a", "b", "d"], 1 / 3)
    assert mixed_groups(mixed, threshold=0.5)[0][1] == 2 / 3


@pytest.mark.parametrize("pattern", ["(", "(?P<a>x", "(a|aa)+$"])
def test_a_pattern_that_is_none_or_takes_for_ever_is_named(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "SECONDS", 0.2)
    turn = Turn(role="assistant", text="a" * 60 + "!")
    attempt = Rollout(id="r", example=Example(id="e", input="q"), turns=(turn,))
    with pytest.raises(InputError, match="extract = "):
        select.final_answer(attempt, pattern)
