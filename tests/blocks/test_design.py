"""Designs against the determinants they are defined by, and against chance in a world where all is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.blocks.design import greedy_log_det, information, slope
from loopwright.core.errors import InputError


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


@given(st.floats(-700, 700))
def test_slope_is_the_derivative(z: float) -> None:
    (found,) = slope([z])
    assert 0 <= found <= 0.25
    assert found == slope([-z])[0]
    if abs(z) < 30:
        assert found == pytest.approx(sigmoid(z) * (1 - sigmoid(z)), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 4), st.integers(1, 8))
def test_each_choice_raises_the_determinant_most(seed: int, n: int, d: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    x, w, known = (
        rng.normal(size=(n, d)),
        rng.uniform(size=n),
        information(rng.normal(size=(3, d)), np.ones(3), ridge=0.3),
    )
    chosen = greedy_log_det(x, w, count, known=known)
    assert len(chosen) == len(set(chosen)) == min(n, count)
    h = known
    for step, at in enumerate(chosen):
        gains = {i: np.linalg.slogdet(h + w[i] * np.outer(x[i], x[i]))[1] for i in range(n) if i not in chosen[:step]}
        assert gains[at] == pytest.approx(max(gains.values()), abs=1e-9)
        h = h + w[at] * np.outer(x[at], x[at])


def test_what_is_known_is_not_asked_again() -> None:
    x = np.eye(3)
    known = information(x[[0, 0, 1]], np.ones(3), ridge=1.0)
    assert known.tolist() == np.diag([3.0, 2.0, 1.0]).tolist()
    assert greedy_log_det(x, np.ones(3), 3, known=known) == [2, 1, 0]
    assert greedy_log_det(x, [1.0, 1.0, 0.1], 1, known=np.eye(3)) == [0]  # of equal ones the first
    assert greedy_log_det(x, np.zeros(3), 2, known=np.eye(3)) == [0, 1]


def test_errors() -> None:
    with pytest.raises(InputError, match="shapes"):
        greedy_log_det([[1.0]], [1.0, 2.0], 1, known=np.eye(1))
    with pytest.raises(InputError, match="known must be"):
        greedy_log_det([[1.0]], [1.0], 1, known=np.eye(2))
    with pytest.raises(InputError, match="at least 0"):
        information([[1.0]], [-1.0], ridge=1.0)
    with pytest.raises(InputError, match="ridge"):
        information([[1.0]], [1.0], ridge=0.0)


# ---- a log-linear world ---------------------------------------------------------------------------------------------

D, POOL, BATCH, ROUNDS, SEEDS = 10, 400, 20, 5, 100
Weigh = Callable[[Any], Any]


def flat(logits: Any) -> Any:
    return np.full(len(logits), 0.25)


def fitted(x: Any, y: Any, ridge: float) -> Any:
    """Ridge-penalised maximum likelihood of a logistic model, by Newton's method."""
    theta = np.zeros(x.shape[1])
    for _ in range(10):
        p = sigmoid(x @ theta)
        gradient = x.T @ (p - y) + ridge * theta
        theta = theta - np.linalg.solve(information(x, p * (1 - p), ridge=ridge), gradient)
    return theta


def worst_errors(weigh: Weigh | None, *, size: float, ridge: float) -> Any:
    """[seeds, rounds] the largest error of a logit over the pool of pairs; chosen by chance where nothing weighs.

    size: standard deviation of the true parameters, so that 1 / size^2 is the ridge that is right for them.
    """

    def run(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        x, truth = rng.normal(size=(POOL, D)), size * rng.normal(size=D)
        said = rng.uniform(size=POOL) < sigmoid(x @ truth)  # one answer a pair, the same whoever asks
        order, chosen, theta, errors = list(rng.permutation(POOL)), list[int](), np.zeros(D), []
        for _ in range(ROUNDS):
            left = [i for i in order if i not in set(chosen)]
            if weigh is not None:
                known = information(x[chosen], weigh(x[chosen] @ theta), ridge=ridge)
                left = [left[i] for i in greedy_log_det(x[left], weigh(x[left] @ theta), BATCH, known=known)]
            chosen += left[:BATCH]
            theta = fitted(x[chosen], said[chosen], ridge)
            errors.append(float(np.abs(x @ (theta - truth)).max()))
        return errors

    return np.array([run(seed) for seed in range(SEEDS)])


def ahead(chance: Any, design: Any) -> float:
    """By how many standard errors of its mean over seeds the design's error, averaged over rounds, is the smaller one."""
    gain = (chance - design).mean(axis=1)
    return float(gain.mean() / (gain.std(ddof=1) / SEEDS**0.5))


@pytest.mark.parametrize("weigh", [slope, flat])
def test_logit_error_falls_faster_than_by_chance(weigh: Weigh) -> None:
    chance = worst_errors(None, size=1.0, ridge=1.0)
    assert ahead(chance, worst_errors(weigh, size=1.0, ridge=1.0)) > 3


def test_slopes_of_an_overfit_estimate_lead_astray_and_flat_weights_do_not() -> None:
    chance = worst_errors(None, size=0.3, ridge=0.1)
    assert ahead(chance, worst_errors(flat, size=0.3, ridge=0.1)) > 3
    assert ahead(chance, worst_errors(slope, size=0.3, ridge=0.1)) < -3
