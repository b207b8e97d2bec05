"""Tables and log-linear worlds against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.worlds.lab.games import kl, random_game, softmax, three_cycle
from loopwright.worlds.lab.tabular import (
    ContextualGame,
    LogLinear,
    Table,
    log_linear,
    regularised_optimum,
    regularised_value,
    uniform_table,
)


def test_a_table_draws_what_its_probabilities_say() -> None:
    table = Table(np.log([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]))
    drawn = table.draw(np.random.default_rng(0), [0] * 20000 + [1] * 20000).reshape(2, -1)
    shares = np.stack([np.bincount(row, minlength=3) / 20000 for row in drawn])
    assert np.abs(shares - table.probabilities).max() < 0.015, "over four standard errors"
    assert np.allclose(np.exp(table.log_probabilities), table.probabilities)
    assert np.isfinite(Table([[1000.0, 0.0]]).log_probabilities).all()


def test_a_table_is_not_changed_in_place() -> None:
    logits = np.zeros((1, 2))
    table = Table(logits)
    logits[0, 0] = 5.0
    assert table.probabilities.tolist() == [[0.5, 0.5]]
    assert table.moved([[math.log(3), 0.0]]).probabilities[0] == pytest.approx([0.75, 0.25])
    assert uniform_table(2, 4).probabilities.tolist() == [[0.25] * 4] * 2
    with pytest.raises(InputError, match="finite logits"):
        Table([[math.nan, 0.0]])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 5))
def test_every_policy_falls_short_of_the_regularised_optimum_by_beta_kl(seed: int, beta: float) -> None:
    rng = np.random.default_rng(seed)
    rewards, reference = rng.standard_normal((2, 4)), rng.dirichlet(np.ones(4), size=2)
    best = regularised_optimum(rewards, reference, beta)
    value = regularised_value(best, rewards, reference, beta)
    assert value == pytest.approx(beta * np.log((reference * np.exp(rewards / beta)).sum(axis=1)))
    near = softmax(np.log(best) + 0.1 * rng.standard_normal((2, 4)))
    short = value - regularised_value(near, rewards, reference, beta)
    assert short == pytest.approx(beta * kl(near, best), abs=1e-9)


def test_an_arm_that_the_reference_never_plays_stays_out() -> None:
    assert regularised_optimum([[9.0, 0.0]], [[0.0, 1.0]], 0.1).tolist() == [[0.0, 1.0]]


def test_a_contextual_game_is_a_game_in_each_context() -> None:
    games = [three_cycle(0.3, 0.2, 0.1), random_game(3, 1)]
    world = ContextualGame(np.stack([g.matrix for g in games]), np.array([0.75, 0.25]))
    assert np.allclose(world.nash(), [g.nash for g in games], atol=1e-9)
    assert world.exploitability(world.nash()) < 1e-9
    first_arm = np.array([[1.0, 0, 0], games[1].nash])
    assert world.exploitability(first_arm) == pytest.approx(0.75 * 0.1), "scissors beat rock by 0.1 in the first context"
    reference = np.full((2, 3), 1 / 3)
    found = world.regularised_nash(reference, 0.2)
    assert world.exploitability(found, reference=reference, beta=0.2) < 1e-12
    assert world.exploitability(world.nash(), reference=reference, beta=0.2) > 1e-3
    with pytest.raises(InputError, match="weights"):
        ContextualGame(world.matrices, np.array([0.5, 0.2]))


# ---- log-linear -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5), st.floats(0.2, 3))
def test_exact_shares_give_the_true_parameter_back(seed: int, d: int, beta: float) -> None:
    drawn = log_linear(30, d, seed)
    reference = np.random.default_rng(seed).standard_normal(d)
    world = LogLinear(drawn.differences, drawn.theta, beta, reference)
    found = world.estimate(np.arange(30), world.probabilities(), ridge=1e-12)
    assert np.allclose(found, world.theta, atol=1e-6)
    assert world.logit_error(found) < 1e-6
    assert world.logit_error(reference) == pytest.approx(np.abs(world.differences @ (reference - world.theta)).max())


def test_the_probability_is_that_of_the_policies_against_their_reference() -> None:
    world = LogLinear([[1.0, 0.0]], [2.0, 7.0], beta=0.5, reference=[1.0, 0.0])
    assert world.probabilities()[0] == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert world.probabilities([1.0, 3.0])[0] == 0.5


def test_answers_are_a_function_of_what_is_asked_and_come_as_often_as_they_should() -> None:
    world = log_linear(3, 2, 4)
    asked = [(pair, ask) for pair in range(3) for ask in range(3000)]
    said = {key: world.answer(7, *key) for key in asked}
    assert all(world.answer(7, *key) == said[key] for key in reversed(asked[::100]))
    shares = [np.mean([said[pair, ask] for ask in range(3000)]) for pair in range(3)]
    assert np.abs(shares - world.probabilities()).max() < 0.04, "over four standard errors"
    assert any(world.answer(8, *key) != said[key] for key in asked[:100])


def test_more_answers_leave_less_error() -> None:
    world = log_linear(40, 4, 2)

    def error(n: int, seed: int) -> float:
        pairs = np.random.default_rng(seed).integers(0, 40, n)
        labels = [world.answer(seed, int(pair), ask) for ask, pair in enumerate(pairs)]
        return world.logit_error(world.estimate(pairs, labels, ridge=0.1))

    few, many = ([error(n, seed) for seed in range(6)] for n in (50, 800))
    assert np.mean(many) < np.mean(few) / 2


def test_the_information_is_the_hessian_of_the_loss() -> None:
    world = log_linear(6, 2, 5, beta=0.7)
    pairs, t, h = np.array([0, 3, 3]), np.array([0.3, -0.2]), 1e-4

    def loss(t: np.ndarray) -> float:
        return float(-np.log(world.probabilities(t)[pairs]).sum())

    e = np.eye(2) * h
    hessian = [[(loss(t + a + b) - loss(t + a - b) - loss(t - a + b) + loss(t - a - b)) / (4 * h * h) for a in e] for b in e]
    assert np.allclose(world.information(pairs, t), hessian, atol=1e-5)


def test_answers_that_can_be_separated_still_have_an_estimate() -> None:
    world = LogLinear([[1.0]], [1.0])
    found = world.estimate([0, 0, 0], [1, 1, 1], ridge=0.01)
    assert 1.0 < found[0] < 20 and np.isfinite(found).all()
    with pytest.raises(InputError, match="ridge"):
        world.estimate([0], [1], ridge=0.0)
    with pytest.raises(InputError, match="differences are"):
        LogLinear([[1.0, 2.0]], [1.0])
