"""Advantages against the sums they are defined by."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.blocks import advantage
from loopwright.core.errors import InputError

numbers = st.floats(-5, 5, allow_nan=False)
share = st.floats(0, 1)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8), share, share, numbers)
def test_gae_is_the_discounted_sum_of_the_errors(steps, gamma, lam, last):
    rewards, values = (list(x) for x in zip(*steps, strict=True))
    after = [*values[1:], last]
    errors = [r + gamma * n - v for r, v, n in zip(rewards, values, after, strict=True)]
    found, returns = advantage.gae(rewards, values, gamma=gamma, lam=lam, last=last)
    for t, a in enumerate(found):
        assert a == pytest.approx(sum((gamma * lam) ** k * e for k, e in enumerate(errors[t:])), abs=1e-9)
        assert returns[t] == pytest.approx(a + values[t])


def test_gae_at_its_ends():
    rewards, values = [0.0, 0.0, 1.0], [0.5, 0.25, 0.75]
    assert advantage.gae(rewards, values, lam=1.0)[1] == [1.0, 1.0, 1.0]  # what was really earned from there on
    assert advantage.gae(rewards, values, lam=0.0)[0] == [-0.25, 0.5, 0.25]  # the one-step error
    assert advantage.gae([], []) == ([], [])
    with pytest.raises(InputError, match="2 values and 1 rewards"):
        advantage.gae([1.0], [0.0, 0.0])


REWARDS, GROUPS = [1.0, 5.0, 0.0, 7.0, 1.0], ["a", "b", "a", "b", "a"]


def test_group_relative_by_hand():
    found = advantage.group_relative(REWARDS, GROUPS, epsilon=0.0)
    a, b = statistics.stdev([1, 0, 1]), statistics.stdev([5, 7])
    assert found == pytest.approx([1 / 3 / a, -1 / b, -2 / 3 / a, 1 / b, 1 / 3 / a])
    assert advantage.advantages(REWARDS, GROUPS, "dr-grpo") == pytest.approx([1 / 3, -1, -2 / 3, 1, 1 / 3])
    whole = statistics.stdev(REWARDS)
    scaled = advantage.advantages(REWARDS, GROUPS, "batch-std")
    assert scaled == pytest.approx([x / (whole + 1e-4) for x in [1 / 3, -1, -2 / 3, 1, 1 / 3]])


@given(st.lists(st.tuples(numbers, st.sampled_from("abc")), min_size=1, max_size=12))
def test_leave_one_out_leaves_one_out(drawn):
    rewards, groups = (list(x) for x in zip(*drawn, strict=True))
    for i, a in enumerate(advantage.leave_one_out(rewards, groups)):
        others = [r for j, r in enumerate(rewards) if groups[j] == groups[i] and j != i]
        assert a == pytest.approx(rewards[i] - statistics.mean(others) if others else 0.0, abs=1e-9)


@given(st.lists(st.tuples(numbers, st.sampled_from("abc")), min_size=1, max_size=12))
def test_every_baseline_leaves_groups_of_mean_zero(drawn):
    rewards, groups = (list(x) for x in zip(*drawn, strict=True))
    for name in set(advantage.ESTIMATORS) - {"none"}:
        found = advantage.advantages(rewards, groups, name)
        for group in set(groups):
            assert sum(a for a, g in zip(found, groups, strict=True) if g == group) == pytest.approx(0.0, abs=1e-5)


def test_a_batch_is_brought_to_one_scale():
    found = advantage.advantages(REWARDS, GROUPS, "reinforce++")
    assert statistics.mean(found) == pytest.approx(0.0, abs=1e-9)
    assert statistics.stdev(found) == pytest.approx(1.0)
    assert advantage.advantages(REWARDS, GROUPS, "none") == REWARDS


def test_a_missing_reward_is_no_zero():
    rewards, groups = [1.0, math.nan, 0.0, math.nan], ["a", "a", "a", "b"]
    for name in advantage.ESTIMATORS:
        found = advantage.advantages(rewards, groups, name)
        assert math.isnan(found[1]) and math.isnan(found[3])
        assert found[0] == advantage.advantages([1.0, 0.0], ["a", "a"], name)[0]


def test_groups_that_teach_nothing():
    groups = ["a", "a", "b", "b", "c", "c"]
    assert advantage.silent_share([0.0, 0.0, 0.5, -0.5, math.nan, math.nan], groups) == pytest.approx(2 / 3)
    assert math.isnan(advantage.silent_share([], []))
    assert advantage.group_relative([1.0, 1.0], ["a", "a"]) == [0.0, 0.0]
    assert advantage.normalised([math.nan]) != advantage.normalised([0.0])


def test_what_does_not_fit_is_named():
    with pytest.raises(InputError, match="estimator must be one of grpo"):
        advantage.advantages([1.0], ["a"], "gpro")
    with pytest.raises(InputError, match="scale must be group"):
        advantage.group_relative([1.0], ["a"], scale="std")
    with pytest.raises(InputError, match="2 groups and 1 rewards"):
        advantage.leave_one_out([1.0], ["a", "b"])


def test_running_statistics_are_those_of_a_group_once_it_has_enough():
    first, known = advantage.running([1.0, 3.0, 10.0], ["a", "a", "b"], {}, least=3)
    batch = np.array([1.0, 3.0, 10.0])
    assert first == pytest.approx((batch - batch.mean()) / batch.std(), rel=1e-4)
    second, known = advantage.running([5.0, math.nan], ["a", "b"], known, least=3)
    past = np.array([1.0, 3.0, 5.0])
    assert second[0] == pytest.approx((5 - past.mean()) / past.std(), rel=1e-4) and math.isnan(second[1])
    assert known == {"a": (1.0, 3.0, 5.0), "b": (10.0,)}
    _, known = advantage.running([7.0], ["a"], known, keep=2)
    assert known["a"] == (5.0, 7.0)


def test_running_statistics_of_one_value_are_no_reason():
    assert advantage.running([2.0, 2.0], ["a", "a"], {}, least=1)[0] == [0.0, 0.0]
