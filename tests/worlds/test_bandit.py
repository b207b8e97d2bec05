"""The bandit world, and the two learners on it."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.worlds.bandit import LinearBandit


def test_a_step_depends_on_the_seed_and_its_number_alone() -> None:
    a, b = LinearBandit(), LinearBandit()
    trial = Trial(id="x", proposal=2)
    a.respond(1, 3, trial)
    assert a.respond(1, 7, trial) == b.respond(1, 7, trial)
    assert np.array_equal(a.context(1, 7), b.context(1, 7))
    assert a.respond(1, 7, trial) != a.respond(2, 7, trial)


def test_regret_is_exact_and_zero_for_the_best_arm() -> None:
    world = LinearBandit(arms=4, dimensions=3)
    for t in range(20):
        means = world.theta(5) @ world.context(5, t)
        regrets = [world.regret(5, t, Trial(id="x", proposal=k)) for k in range(4)]
        assert np.allclose(regrets, means.max() - means)
        assert min(regrets) == 0.0


def test_rewards_scatter_around_their_means() -> None:
    world = LinearBandit(noise=0.5)
    trial = Trial(id="x", proposal=1)
    off = [world.respond(0, t, trial).value - world.means(0, t)[1] for t in range(2000)]  # type: ignore[union-attr]
    assert abs(np.mean(off)) < 0.05 and abs(np.std(off) - 0.5) < 0.05


def test_epsilon_greedy_logs_true_propensities() -> None:
    learner = get_recipe("epsilon-greedy")(epsilon=0.3)
    session = Session(learner, {"arms": 3, "dimensions": 2}, seed=0)
    world = LinearBandit(arms=3, dimensions=2)
    for t in range(50):
        trial = session.ask(world.context(0, t))
        session.tell(world.respond(0, t, trial).model_copy(update={"about": trial.id}))
    x = world.context(0, 50)
    drawn = [learner.ask(session.state, x, np.random.default_rng(i)) for i in range(4000)]
    for arm in range(3):
        chosen = [d for d in drawn if d.proposal == arm]
        assert len(chosen) / len(drawn) == pytest.approx(chosen[0].propensity, abs=0.03)
    assert sorted({d.propensity for d in drawn}) == pytest.approx([0.1, 0.8])
