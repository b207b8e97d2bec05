"""A score for every item of a pool, fitted to who beat whom: linear in the items' features, or a small neural network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopwright.blocks import mlp
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


def sizes(dimensions: int, hidden: int) -> list[tuple[int, int]]:
    """Shapes of the layers: two hidden ones of ``hidden`` units, or with 0 none, which is linear and without a bias."""
    return [(dimensions, hidden), (hidden, hidden), (hidden, 1)] if hidden else [(dimensions, 1)]


def fresh(dimensions: int, hidden: int, seed: int) -> np.ndarray:
    """Weights [p] at the start: normal, of variance 1 / inputs of the layer; biases 0."""
    return mlp.fresh(sizes(dimensions, hidden), np.random.default_rng([seed]), bias=bool(hidden))


def _forward(weights: np.ndarray, x: np.ndarray, hidden: int) -> list[np.ndarray]:
    """Inputs of every layer, then the scores [n, 1]."""
    return mlp.forward(weights, x, sizes(x.shape[1], hidden), bias=bool(hidden))


def scores(weights: np.ndarray, x: np.ndarray, hidden: int) -> np.ndarray:
    """[n] of items with features x [n, d]."""
    return np.asarray(_forward(weights, x, hidden)[-1][:, 0])


def gradients(weights: np.ndarray, x: np.ndarray, hidden: int) -> np.ndarray:
    """[n, p] of every item's score with respect to the weights."""
    values = _forward(weights, x, hidden)
    back = np.ones((len(x), 1))
    parts: list[np.ndarray] = []
    layers = mlp.layers(weights, sizes(x.shape[1], hidden), bias=bool(hidden))
    for number in range(len(layers) - 1, -1, -1):
        if hidden:
            parts.append(back)
        parts.append((values[number][:, :, None] * back[:, None, :]).reshape(len(x), -1))
        if number:
            back = (back @ layers[number][0].T) * (values[number] > 0)
    return np.concatenate(parts[::-1], axis=1)


def fit(
    weights: np.ndarray, x: np.ndarray, wins: np.ndarray, hidden: int, *, steps: int, rate: float, decay: float
) -> np.ndarray:
    """Weights after ``steps`` of Adam on the mean logistic loss of all comparisons, plus decay / 2 times their square.

    wins: [n, n], how often the first beat the second. The loss needs the scores of the pool alone, so a step costs the same
    however many comparisons there are.
    """
    weights = weights.copy()
    total = wins.sum()
    if total == 0:
        return weights
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        gradient = decay * weights + _slope(weights, x, wins / total, hidden)
        first += 0.1 * (gradient - first)
        second += 0.001 * (gradient * gradient - second)
        weights -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights


def _slope(weights: np.ndarray, x: np.ndarray, wins: np.ndarray, hidden: int) -> np.ndarray:
    """Gradient [p] of sum_ij wins_ij log(1 + exp(s_j - s_i))."""
    values = _forward(weights, x, hidden)
    s = values[-1][:, 0]
    lost = wins / (1.0 + np.exp(np.clip(s[:, None] - s, -500, 500)))
    back = (lost.sum(axis=0) - lost.sum(axis=1))[:, None]
    return mlp.backward(weights, values, back, sizes(x.shape[1], hidden), bias=bool(hidden))
