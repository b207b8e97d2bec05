"""Off-policy estimates against closed forms, and the measure on logs of learners."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from core_kit import context

from loopwright.blocks.off_policy import doubly_robust, inverse_propensity, self_normalised
from loopwright.core.errors import InputError
from loopwright.core.loop import learn
from loopwright.core.measure import Table, measure, records
from loopwright.core.registry import get_recipe
from loopwright.worlds.arms import Arms


def logged(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A policy that takes arm 1 with probability 0.2; rewards are 0.3 and 0.7 on average. (arms, rewards, weights for arm 1)"""
    arms = (rng.random(n) < 0.2).astype(int)
    rewards = (rng.random(n) < np.where(arms == 1, 0.7, 0.3)).astype(float)
    return arms, rewards, (arms == 1) / 0.2


def test_values_and_intervals_have_closed_forms() -> None:
    _, rewards, weights = logged(20_000, np.random.default_rng(0))
    found = inverse_propensity(rewards, weights)
    assert found.value == pytest.approx((weights * rewards).mean())
    # Var(w r) = E[w^2 r^2] - 0.7^2 = 0.7 / 0.2 - 0.49
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt((3.5 - 0.49) / 20_000), rel=0.02)
    normal = self_normalised(rewards, weights)
    assert normal.value == pytest.approx(rewards[weights > 0].mean())
    # Var of the linearised estimate = E[w^2 (r - 0.7)^2] = 0.21 / 0.2
    assert normal.high - normal.low == pytest.approx(2 * 1.96 * math.sqrt(0.21 / 0.2 / 20_000), rel=0.03)
    assert normal.effective == pytest.approx((weights > 0).sum())


def test_intervals_cover_as_often_as_they_say_and_estimates_are_right_on_average() -> None:
    covered, values = np.zeros(3), []
    for seed in range(300):
        _, rewards, weights = logged(400, np.random.default_rng([1, seed]))
        wrong = np.full(len(rewards), 0.5)  # a model that knows nothing: doubly robust must not mind
        robust = doubly_robust(rewards, weights, wrong, wrong)
        found = inverse_propensity(rewards, weights), self_normalised(rewards, weights), robust
        covered += [f.low <= 0.7 <= f.high for f in found]
        values.append([f.value for f in found])
    assert (np.abs(covered / 300 - 0.95) < 0.04).all()
    assert np.mean(values, axis=0) == pytest.approx([0.7] * 3, abs=0.02)


def test_a_perfect_model_leaves_nothing_to_the_weights() -> None:
    rewards, weights = [1.0, 3.0, 2.0], [5.0, 0.0, 0.0]
    found = doubly_robust(rewards, weights, predicted=rewards, expected=[2.0, 2.0, 2.0])
    assert found.value == pytest.approx(2.0)
    assert (found.low, found.high) == (-math.inf, math.inf), "three terms that agree say nothing of their spread"
    found = doubly_robust(rewards, weights, predicted=rewards, expected=[1.9, 2.0, 2.1])
    assert (found.low + found.high) / 2 == pytest.approx(2.0) and found.high - found.low < 0.6


def test_the_policy_that_acted_is_the_mean_whatever_the_estimate() -> None:
    rewards = [0.0, 1.0, 1.0, 0.5]
    ones = [1.0] * 4
    for found in (inverse_propensity(rewards, ones), self_normalised(rewards, ones), doubly_robust(rewards, ones, ones, ones)):
        assert found.value == pytest.approx(0.625)
        assert found.effective == 4.0


def test_adding_to_all_rewards_adds_to_the_normalised_estimate_alone() -> None:
    _, rewards, weights = logged(200, np.random.default_rng(5))
    assert self_normalised(rewards + 10, weights).value == pytest.approx(self_normalised(rewards, weights).value + 10)
    assert inverse_propensity(rewards + 10, weights).value != pytest.approx(inverse_propensity(rewards, weights).value + 10)


def test_what_cannot_be_estimated_is_an_error() -> None:
    with pytest.raises(InputError, match="nothing can be said"):
        self_normalised([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(InputError, match="every decision"):
        inverse_propensity([], [])
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="not negative"):
            inverse_propensity([1.0], [bad])


@pytest.mark.parametrize(("slug", "options"), [("exp3", {"gamma": 0.3}), ("random-choice", {}), ("thompson", {})])
def test_the_log_of_a_learner_tells_what_each_arm_pays(slug: str, options: dict[str, float]) -> None:
    world = Arms(arms=3, low=0.2, high=0.8)
    ctx = context()
    asyncio.run(learn(get_recipe(slug), world, ctx, steps=1500, options=options, block=400))
    made: Table = measure(get_recipe("off-policy"), ctx.engine.store, ctx.engine.run.id, {})
    assert len(records(ctx.engine.store, ctx.engine.run.id)) == 1500
    means = world.means(ctx.engine.seed, 0)
    rows = {(row[2], row[3]): row for row in made.rows}
    assert len(rows) == 9
    for (arm, estimate), row in rows.items():
        _, _, _, _, value, low, high, effective, weight, _ = row
        if effective > 30:  # type: ignore[operator]
            assert low - 0.1 <= means[int(str(arm))] <= high + 0.1, (estimate, row)  # type: ignore[operator]
            assert abs(weight - 1.0) < 0.3  # type: ignore[operator]
        assert low <= value <= high  # type: ignore[operator]
