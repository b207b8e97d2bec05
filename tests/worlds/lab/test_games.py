"""Games against their closed forms, and against what any solution must satisfy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.worlds.lab.games import (
    Game,
    best_response,
    bradley_terry,
    checked,
    duality_gap,
    exploitability,
    hidden_cycle,
    kl,
    nash,
    preference,
    random_game,
    regularised_nash,
    sigmoid,
    softmax,
    three_cycle,
)

margins = st.floats(0.01, 0.5)
seeds = st.integers(-5, 10**6)


# ---- Nash -------------------------------------------------------------------------------------------------------------


def test_rock_paper_scissors_is_played_evenly() -> None:
    game = three_cycle(0.5, 0.5, 0.5)
    assert np.allclose(nash(game.matrix), 1 / 3, atol=1e-12)
    assert exploitability(game.matrix, [1, 0, 0]) == 0.5
    assert duality_gap(game.matrix, [1, 0, 0], [0, 1, 0]) == 1.0


@settings(max_examples=30, deadline=None)
@given(margins, margins, margins)
def test_a_biased_three_cycle_is_played_as_its_margins_say(a: float, b: float, c: float) -> None:
    game = three_cycle(a, b, c)
    assert np.allclose(game.nash, np.array([b, c, a]) / (a + b + c), atol=1e-15)
    assert np.allclose(nash(game.matrix), game.nash, atol=1e-9)
    assert preference(game.matrix, [1, 0, 0], [0, 1, 0]) == pytest.approx(0.5 + a)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=2, max_size=9, unique_by=lambda r: round(r, 2)), st.floats(0.2, 3))
def test_of_arms_with_rewards_the_best_is_played(rewards: list[float], temperature: float) -> None:
    game = bradley_terry(rewards, temperature)
    assert np.argmax(game.nash) == np.argmax(rewards)
    assert nash(game.matrix)[np.argmax(rewards)] == pytest.approx(1.0, abs=1e-9)
    assert game.matrix[0, 1] == pytest.approx(1 / (1 + math.exp((rewards[1] - rewards[0]) / temperature)))


def test_equally_good_arms_share() -> None:
    assert bradley_terry([1.0, 2.0, 2.0]).nash.tolist() == [0, 0.5, 0.5]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), seeds, st.floats(0.1, 5))
def test_nobody_beats_the_nash_policy_of_a_random_game(n: int, seed: int, spread: float) -> None:
    game = random_game(n, seed, spread=spread)
    assert game.nash.sum() == pytest.approx(1.0) and game.nash.min() >= 0
    assert exploitability(game.matrix, game.nash) < 1e-9
    assert np.count_nonzero(game.nash > 1e-9) % 2 == 1, "a generic skew-symmetric game has a solution of odd support"
    other = np.random.default_rng(abs(seed)).dirichlet(np.ones(n))
    if n > 1:
        assert exploitability(game.matrix, other) > 1e-6


def test_a_game_full_of_ties_still_ends() -> None:
    p = np.full((6, 6), 0.5)
    assert exploitability(p, nash(p)) == 0
    p[0, 1], p[1, 0] = 1.0, 0.0
    assert exploitability(p, nash(p)) == pytest.approx(0.0, abs=1e-12)
    assert nash(p)[1] == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 12), seeds, st.floats(0.01, 0.5))
def test_a_hidden_cycle_alone_is_played(n: int, seed: int, ahead: float) -> None:
    game = hidden_cycle(n, seed, ahead=ahead)
    assert sorted(game.nash[game.nash > 0]) == pytest.approx([1 / 6, 1 / 3, 1 / 2])
    assert np.allclose(nash(game.matrix), game.nash, atol=1e-9)
    a, b, c = np.flatnonzero(game.nash)
    beats = [game.matrix[i, j] > 0.5 for i, j in ((a, b), (b, c), (c, a))]
    assert all(beats) or not any(beats), "they go in a circle"


def test_games_are_functions_of_their_seed() -> None:
    assert np.array_equal(random_game(5, 1).matrix, random_game(5, 1).matrix)
    assert not np.allclose(random_game(5, 1).matrix, random_game(5, 2).matrix)
    assert {tuple(np.flatnonzero(hidden_cycle(9, s).nash)) for s in range(6)} != {(0, 1, 2)}


# ---- regularised ------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.05, 0.95), st.floats(0.02, 20))
def test_two_regularised_arms_are_a_logistic_shift_of_the_reference(p: float, mu: float, beta: float) -> None:
    found = regularised_nash([[0.5, p], [1 - p, 0.5]], beta=beta, reference=[mu, 1 - mu])
    assert found[0] == pytest.approx(float(sigmoid(math.log(mu / (1 - mu)) + (p - 0.5) / beta)), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), seeds, st.floats(-4, 1))
def test_the_regularised_nash_policy_answers_itself_best(n: int, seed: int, exponent: float) -> None:
    game, beta = random_game(n, seed, spread=2.0), 10**exponent
    mu = np.random.default_rng(abs(seed)).dirichlet(np.full(n, 5.0)) * 0.9 + 0.1 / n
    found = regularised_nash(game.matrix, beta=beta, reference=mu)
    # A rounding of P pi is stretched by 1 / beta.
    assert np.abs(best_response(game.matrix, found, reference=mu, beta=beta) - found).max() < 1e-12 + 1e-15 * n / beta
    assert exploitability(game.matrix, found, reference=mu, beta=beta) < 1e-12
    assert exploitability(game.matrix, mu, reference=mu, beta=beta) > 0


def test_a_symmetric_cycle_stays_at_a_uniform_reference_and_not_at_another() -> None:
    cycle = three_cycle(0.4, 0.4, 0.4).matrix
    assert np.allclose(regularised_nash(cycle, beta=0.01), 1 / 3, atol=1e-12)
    assert not np.allclose(regularised_nash(cycle, beta=1.0, reference=[0.6, 0.2, 0.2]), 1 / 3, atol=0.05)


def test_beta_leads_from_nash_to_the_reference() -> None:
    game, mu = hidden_cycle(7, 3), np.arange(1, 8) / 28
    assert np.allclose(regularised_nash(game.matrix, beta=1e-5, reference=mu), game.nash, atol=1e-3)
    assert np.allclose(regularised_nash(game.matrix, beta=1e5, reference=mu), mu, atol=1e-5)


def test_regularised_exploitability_is_what_the_best_response_gains() -> None:
    game, beta, mu = random_game(5, 8), 0.3, np.full(5, 0.2)
    policy = softmax(np.arange(5.0))
    rng = np.random.default_rng(0)

    def gain(q: np.ndarray) -> float:
        return float(q @ game.matrix @ policy - beta * kl(q, mu) + beta * kl(policy, mu) - 0.5)

    best = best_response(game.matrix, policy, reference=mu, beta=beta)
    assert exploitability(game.matrix, policy, beta=beta) == pytest.approx(gain(best), abs=1e-12)
    assert all(gain(q) < gain(best) for q in rng.dirichlet(np.ones(5), size=200))
    assert duality_gap(game.matrix, policy, policy, beta=beta) == pytest.approx(2 * gain(best))


def test_kl() -> None:
    assert float(kl([0.5, 0.5], [0.25, 0.75])) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert float(kl([1.0, 0.0], [0.5, 0.5])) == pytest.approx(math.log(2))
    assert float(kl([0.5, 0.5], [1.0, 0.0])) == math.inf


# ---- what is refused --------------------------------------------------------------------------------------------------


def test_what_is_not_a_preference_matrix_is_refused() -> None:
    with pytest.raises(InputError, match=r"must be 1, got 1.2 for i=0, j=1"):
        checked([[0.5, 0.7], [0.5, 0.5]])
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        checked([[0.5, 1.2], [-0.2, 0.5]])
    with pytest.raises(InputError, match="outside"):
        checked([[0.5, math.nan], [0.5, 0.5]])
    with pytest.raises(InputError, match="square"):
        checked([[0.5, 0.5]])
    with pytest.raises(InputError, match="distribution over 2 arms"):
        exploitability([[0.5, 0.5], [0.5, 0.5]], [0.5, 0.6])
    with pytest.raises(InputError, match="every arm"):
        regularised_nash([[0.5, 0.5], [0.5, 0.5]], beta=1.0, reference=[1.0, 0.0])
    with pytest.raises(InputError, match="beta must be positive"):
        regularised_nash([[0.5]], beta=-1.0)
    with pytest.raises(InputError, match="distribution"):
        Game(np.full((2, 2), 0.5), np.array([0.5, 0.2]))
    with pytest.raises(InputError, match="margins"):
        three_cycle(0.0, 0.1, 0.1)


def test_a_duel_falls_as_the_matrix_says() -> None:
    game = three_cycle(0.3, 0.2, 0.1)
    assert [game.prefers(0, 1, u) for u in (0.0, 0.79, 0.81)] == [True, True, False]
