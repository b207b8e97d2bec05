"""Monitors by hand and by what must hold of them; stop rules."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.blocks import monitors
from loopwright.blocks.monitors import first_broken, parse_rule, watch
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Missing, Verdict
from loopwright.core.types import Example, Rollout, Turn

words = st.lists(st.sampled_from("abc"), min_size=1, max_size=12)


def test_distinct() -> None:
    assert monitors.distinct(["a b a b", "a b"]) == 2 / 4
    assert monitors.distinct(["a b a b"], n=1) == 2 / 4
    assert math.isnan(monitors.distinct(["a", ""]))


@given(words, st.integers(0, 99))
def test_entropy_is_between_none_and_uniform_and_order_does_not_matter(answers: list[str], seed: int) -> None:
    groups = ["g"] * len(answers)
    entropy = monitors.answer_entropy(answers, groups)
    assert -1e-12 <= entropy <= math.log(len(set(answers))) + 1e-12
    shuffled = random.Random(seed).sample(answers, len(answers))
    assert monitors.answer_entropy(shuffled, groups) == pytest.approx(entropy)
    # A second prompt that was answered alike changes no mean over prompts.
    assert monitors.answer_entropy(answers * 2, groups + ["h"] * len(answers)) == pytest.approx(entropy)


def test_entropy_of_known_shares() -> None:
    assert monitors.answer_entropy("abab", "ggg" + "g") == pytest.approx(math.log(2))
    assert monitors.answer_entropy("abcc", "gghh") == pytest.approx(math.log(2) / 2)
    assert monitors.unique_share("abcc", "gghh") == 0.75


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20), st.floats(0.1, 10))
def test_effective_sample_size(weights: list[float], scale: float) -> None:
    size = monitors.effective_sample_size(weights)
    assert 1 - 1e-9 <= size <= len(weights) + 1e-9
    assert monitors.effective_sample_size([scale * w for w in weights]) == pytest.approx(size)
    assert monitors.effective_sample_size([scale] * len(weights)) == pytest.approx(len(weights))
    assert math.isnan(monitors.effective_sample_size([0.0]))


def test_silent_prompts_whatever_the_floats() -> None:
    assert monitors.silent_groups([0.1, 0.1, 0.1, 0.0, 1.0], "aaabb") == 0.5
    assert math.isnan(monitors.silent_groups([], []))
    with pytest.raises(InputError, match="one group each"):
        monitors.silent_groups([1.0], "ab")


def test_exploration_counts_different_right_answers() -> None:
    rewards, groups = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0], "aaabbb"
    assert monitors.pass_at(rewards, groups) == 1.0
    assert monitors.pass_at(rewards, groups, at_least=2) == 0.5
    assert monitors.pass_at(rewards, groups, ["x", "x", "y", "x", "y", "z"], at_least=2) == 0.0


def test_exploitation_looks_at_what_the_reward_puts_first() -> None:
    rewards, truth, groups = [0.9, 0.8, 0.1, 0.3, 0.7, 0.5], [1.0, 0.0, 1.0, 0.0, 1.0, 1.0], "aaabbb"
    assert monitors.best_at(rewards, truth, groups) == 1.0
    assert monitors.best_at(rewards, truth, groups, top=2) == 0.5
    assert monitors.best_at(rewards, truth, groups, top=4) == 0.0  # there are not so many


def test_balance_wants_enough_right_ones_and_few_wrong_ones() -> None:
    assert monitors.balance([8], [8]) == 1.0
    assert monitors.balance([4], [4]) == 0.5  # too few
    assert monitors.balance([8], [16]) == 0.5  # too many wrong ones
    assert monitors.balance([16], [16]) == 1.0
    assert monitors.balance([8, 0], [8, 0]) == 0.5  # a prompt with nothing counts
    assert math.isnan(monitors.balance([], []))


def test_gap_and_sampler() -> None:
    assert monitors.reward_gap([1.0, 1.0], [1.0, 0.0]) == 0.5
    assert monitors.sampler_entropy([[-1.0, -2.0], [-3.0]]) == 2.0
    assert math.isnan(monitors.sampler_entropy([[]]))


def attempt(example: str, text: str, passed: bool | None, **turn: object) -> Rollout:
    said = Missing(expected="verdict", message="the checker hung") if passed is None else Verdict(passed=passed)
    answer = Turn(role="assistant", text=text, **turn)  # type: ignore[arg-type]
    asked = Example(id=example, input="q")
    return Rollout(id=text, example=asked, turns=(Turn(role="user", text="q"), answer), feedback=(said,))


def test_watch() -> None:
    failed = Rollout(id="f", example=Example(id="b", input="q"), turns=(), status="failed")
    rollouts = [
        attempt("a", "x y", True, token_ids=(1, 2), logprobs=(-0.5, -1.5), finish="stop"),
        attempt("a", "x y", False, token_ids=(1, 2, 3, 4), logprobs=(-1.0,) * 4, finish="length"),
        attempt("b", "x z", None, token_ids=(1, 2, 3), logprobs=(), finish="stop"),
        failed,
    ]
    assert watch(rollouts) == {
        "score": 0.5, "pass": 1.0, "silent": 0.0, "entropy": 1.0, "answers": 0.75, "distinct": pytest.approx(2 / 3),
        "tokens": 3.0, "cut": pytest.approx(1 / 3), "failed": 0.25,
    }  # fmt: skip
    assert watch([failed]) == {"failed": 1.0} and watch([]) == {}
    of_fits = {"approx_kl", "kl", "ess", "clipped", "zero_advantage", "loss"}
    assert set(watch(rollouts)) == set(monitors.MONITORS) - of_fits
    single = watch(rollouts[:1])  # one answer a prompt says nothing of how they differ
    assert "silent" not in single and "answers" not in single


def test_rules() -> None:
    rule = parse_rule(" entropy < 0.10 ")
    assert str(rule) == "entropy<0.1" and parse_rule(str(rule)) == rule
    assert rule.broken({"entropy": 0.0712345}) == "entropy 0.07123 < 0.1"
    assert not rule.broken({"entropy": 0.1}) and not rule.broken({})
    assert parse_rule("silent>=1").broken({"silent": 1.0})
    assert first_broken([rule, parse_rule("cut>0.5")], {"entropy": 1.0, "cut": 0.6}) == "cut 0.6 > 0.5"
    assert first_broken([], {"entropy": 0.0}) == ""


BAD = ["entropy", "entropy<", "entropy=0.1", "entropy<low", "entropy<nan", "<0.1", "entropy<0.1,cut>1"]


@pytest.mark.parametrize("text", BAD)
def test_rules_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="stop rule"):
        parse_rule(text)


def test_rules_of_unknown_monitors_are_refused() -> None:
    with pytest.raises(UnknownName, match="entropy"):
        parse_rule("entropi<0.1")
