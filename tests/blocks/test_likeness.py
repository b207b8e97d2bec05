"""Projections learned from triplets: gradients, what is learned, and what noise or a missing dimension does to it."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.blocks import likeness

HOW = {"margin": 0.05, "rate": 0.001, "batch": 32, "epochs": 300}


def triplets(number: int, seed: int = 0, wrong: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Of eight features two matter, on scales far apart; an answer is wrong with this probability."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((number, 3, 8)) * np.array([1.0, 1e3, 1, 1, 1, 1, 1, 1]) + 5.0
    seen = x[:, :, :2] / np.array([1.0, 1e3])
    first, second = (((seen[:, 0] - seen[:, k]) ** 2).sum(axis=1) for k in (1, 2))
    return x, (first > second) ^ (rng.random(number) < wrong)


@pytest.mark.parametrize("hidden", [0, 5])
def test_slopes_are_those_of_differences(hidden: int) -> None:
    rng = np.random.default_rng(3)
    layers = likeness.shapes(4, hidden, 2)
    weights = likeness.random(rng.standard_normal((9, 4)), hidden, 2, rng).weights
    x, sign = rng.standard_normal((7, 3, 4)), np.array([1.0, -1, 1, 1, -1, -1, 1])

    def loss(w: np.ndarray) -> float:
        return float(np.maximum(0.0, 0.5 - sign * likeness._excess(w, x, layers, bool(hidden))).mean())

    told = likeness._slope(weights, x, sign, layers, 0.5, bool(hidden))
    step = 1e-6 * np.eye(len(weights))
    assert told == pytest.approx([(loss(weights + e) - loss(weights - e)) / 2e-6 for e in step], abs=1e-6)
    assert np.abs(told).max() > 0.01


def test_what_people_go_by_is_found() -> None:
    x, second = triplets(1000)
    lens, agreed = likeness.fit(x, second, 0, 2, np.random.default_rng(0), **HOW)  # type: ignore[arg-type]
    unseen, truth = triplets(2000, seed=1)
    at = likeness.project(lens, unseen.reshape(-1, 8), 0, 2).reshape(-1, 3, 2)
    said = ((at[:, 0] - at[:, 1]) ** 2 - (at[:, 0] - at[:, 2]) ** 2).sum(axis=1) > 0
    assert (said == truth).mean() > 0.93 and agreed > 0.9
    noisy, agreed = likeness.fit(x, triplets(1000, wrong=0.15)[1], 0, 2, np.random.default_rng(0), **HOW)  # type: ignore[arg-type]
    at = likeness.project(noisy, unseen.reshape(-1, 8), 0, 2).reshape(-1, 3, 2)
    said = ((at[:, 0] - at[:, 1]) ** 2 - (at[:, 0] - at[:, 2]) ** 2).sum(axis=1) > 0
    assert (said == truth).mean() > 0.85 and agreed < 0.92


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_few_triplets_and_features_that_never_change(number: int) -> None:
    x, second = triplets(number)
    x[:, :, 3] = 7.0
    lens, _ = likeness.fit(x, second, 0, 2, np.random.default_rng(0), **HOW)  # type: ignore[arg-type]
    assert np.isfinite(likeness.project(lens, x.reshape(-1, 8), 0, 2)).all()


def test_principal_components() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 1)) * 5 * np.array([[3.0, 4.0, 0.0]]) / 5 + rng.standard_normal((500, 3)) * 0.1 + 10
    lens = likeness.principal(x, 2)
    assert np.abs(lens.weights.reshape(3, 2)[:, 0]) == pytest.approx([0.6, 0.8, 0.0], abs=0.02)
    few = likeness.principal(x[:1], 2)
    assert likeness.project(few, x, 0, 2).shape == (500, 2)
