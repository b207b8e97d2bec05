"""Exact updates: what the papers prove of them, and what happens without what they add."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.worlds.lab.dynamics import dpo_step, inpo_step, nash_mp_step, proximal_step
from loopwright.worlds.lab.games import (
    bradley_terry,
    exploitability,
    hidden_cycle,
    kl,
    nash,
    random_game,
    regularised_nash,
    softmax,
    three_cycle,
)

seeds = st.integers(0, 10**6)


def start(n: int, seed: int, spread: float = 1.0) -> np.ndarray:
    return softmax(spread * np.random.default_rng([seed, 9]).standard_normal(n))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), seeds, st.floats(0.0, 2.0), st.floats(0.05, 2.0))
def test_a_proximal_step_is_the_best_there_is(n: int, seed: int, beta: float, inertia: float) -> None:
    game, anchor, opponent, reference = random_game(n, seed), start(n, seed), start(n, seed + 1), start(n, seed + 2)

    def value(p: np.ndarray) -> float:
        return float(p @ game.matrix @ opponent - beta * kl(p, reference) - inertia * kl(p, anchor))

    best = proximal_step(game.matrix, anchor, opponent, reference, beta=beta, inertia=inertia)
    assert all(value(p) <= value(best) + 1e-12 for p in np.random.default_rng(seed).dirichlet(np.ones(n), 50))


def test_what_has_no_answer_is_refused() -> None:
    rps, third = three_cycle(0.5, 0.5, 0.5).matrix, np.full(3, 1 / 3)
    with pytest.raises(InputError, match="beta and inertia"):
        inpo_step(rps, third, third, tau=0.2, eta=0.1)
    with pytest.raises(InputError, match="every arm is played"):
        dpo_step(rps, [1, 0, 0], third, beta=0.1)


# ---- Nash mirror prox -------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 10), seeds, st.floats(0.01, 1.0), st.floats(0.1, 10.0))
def test_nash_mp_comes_closer_by_the_stated_factor_at_every_step(n: int, seed: int, beta: float, spread: float) -> None:
    game, reference = random_game(n, seed, spread=spread), start(n, seed)
    target = regularised_nash(game.matrix, beta=beta, reference=reference)
    policy = start(n, seed + 1, 2.0)
    for _ in range(30):
        before = float(kl(target, policy))
        policy = nash_mp_step(game.matrix, policy, reference, beta=beta)
        assert float(kl(target, policy)) <= before / (1 + 2 * beta) + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 8), seeds)
def test_the_gap_falls_too(n: int, seed: int) -> None:
    game, reference, beta = hidden_cycle(n, seed), np.full(n, 1 / n), 0.05
    policy = reference
    gaps = [exploitability(game.matrix, policy, reference=reference, beta=beta)]
    for _ in range(200):
        policy = nash_mp_step(game.matrix, policy, reference, beta=beta)
        gaps.append(exploitability(game.matrix, policy, reference=reference, beta=beta))
    assert gaps[-1] < 1e-6 < 0.01 < gaps[0]


def test_one_step_instead_of_two_goes_in_circles() -> None:
    game, reference = three_cycle(0.5, 0.4, 0.3), np.array([0.6, 0.3, 0.1])
    target = regularised_nash(game.matrix, beta=0.01, reference=reference)
    one = two = reference
    for _ in range(400):
        one = proximal_step(game.matrix, one, one, reference, beta=0.01, inertia=0.5)
        two = nash_mp_step(game.matrix, two, reference, beta=0.01)
    assert float(kl(target, one)) > 0.2 and float(kl(target, two)) < 1e-3


# ---- INPO -------------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 8), seeds)
def test_inpo_with_enough_inertia_ends_at_the_regularised_nash_policy(n: int, seed: int) -> None:
    game, reference, tau = random_game(n, seed), start(n, seed), 0.2
    target = regularised_nash(game.matrix, beta=tau, reference=reference)
    policy = reference
    for _ in range(400):
        policy = inpo_step(game.matrix, policy, reference, tau=tau, eta=2.0)
    assert float(kl(target, policy)) < 1e-9


def test_the_average_of_inpo_without_a_reference_has_no_regret() -> None:
    game = three_cycle(0.5, 0.3, 0.2)
    policy = np.array([0.8, 0.1, 0.1])
    total, gaps = np.zeros(3), {}
    for t in range(1, 4001):
        policy = inpo_step(game.matrix, policy, policy, tau=0.0, eta=5.0)
        total += policy
        gaps[t] = exploitability(game.matrix, total / t)
    assert gaps[4000] < 0.01 < gaps[100], "the average approaches Nash"
    assert kl(game.nash, policy) > 2 * kl(game.nash, [0.8, 0.1, 0.1]), "while the last one goes away from it"


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), seeds, st.floats(0.3, 3.0))
def test_inpo_minimises_its_loss(n: int, seed: int, eta: float) -> None:
    game, reference, policy, tau = random_game(n, seed), start(n, seed), start(n, seed + 1), eta / 3
    mix = tau / eta * np.log(reference) + (1 - tau / eta) * np.log(policy)

    def loss(p: np.ndarray) -> float:
        h = np.log(p) - mix
        h = h[:, None] - h
        return float((np.outer(policy, policy) * game.matrix * (h - 1 / (2 * eta)) ** 2).sum())

    best = inpo_step(game.matrix, policy, reference, tau=tau, eta=eta)
    rng = np.random.default_rng(seed)
    assert all(loss(softmax(np.log(best) + 0.1 * rng.standard_normal(n))) >= loss(best) - 1e-12 for _ in range(30))


# ---- DPO, round after round -------------------------------------------------------------------------------------------


def test_where_preferences_are_transitive_dpo_finds_the_rewards() -> None:
    rewards, reference = np.array([1.0, -0.5, 0.2]), start(3, 1)
    found = dpo_step(bradley_terry(rewards).matrix, start(3, 2), reference, beta=0.5)
    assert np.allclose(found, softmax(np.log(reference) + rewards / 0.5), atol=1e-10)


@pytest.mark.parametrize("keep_start", [True, False])
def test_iterated_dpo_goes_in_circles_or_collapses_where_preferences_do(keep_start: bool) -> None:
    game, reference = three_cycle(0.4, 0.3, 0.2), np.array([0.5, 0.3, 0.2])
    policy, gaps = reference, []
    for _ in range(60):
        policy = dpo_step(game.matrix, np.maximum(policy, 1e-9), reference if keep_start else policy, beta=0.2)
        gaps.append(exploitability(game.matrix, policy))
    assert min(gaps[-20:]) > 0.1
    calm = reference
    for _ in range(400):
        calm = nash_mp_step(game.matrix, calm, reference, beta=0.02)
    assert exploitability(game.matrix, calm) < 0.05 and exploitability(game.matrix, nash(game.matrix)) < 1e-9
