"""A measure of likeness that is learned from triplets: of two things, which is more like a third?

Features are projected to a few measures, such that of two things the one judged more alike lies nearer. The projection is
linear, or with ``hidden`` units goes through one layer of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopwright.blocks import mlp
from loopwright.core.errors import InputError
from loopwright.core.feedback import Preference
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

HELD_OUT = 0.25  # share of the triplets by which it is told when to stop
PATIENCE = 20  # epochs in which the loss on the held-out triplets reaches no new low


class Lens(NamedTuple):
    centre: np.ndarray  # [f] of the features
    scale: np.ndarray  # [f]
    weights: np.ndarray  # [p]


def second_alike(feedback: Preference) -> bool:
    """Whether the second of a triplet's two is more like its first; ids are the places in it. Raises InputError for others."""
    if {feedback.chosen, feedback.rejected} != {"1", "2"}:
        raise InputError(
            "a triplet is answered by the place of what is more like the first, '1' or '2'; got "
            f"{feedback.chosen!r} over {feedback.rejected!r}"
        )
    return feedback.chosen == "2"


def shapes(features: int, hidden: int, measures: int) -> list[tuple[int, int]]:
    return [(features, hidden), (hidden, measures)] if hidden else [(features, measures)]


def random(features: np.ndarray, hidden: int, measures: int, rng: np.random.Generator) -> Lens:
    """A projection drawn at random, of features that are standardised by those seen, [n, f]."""
    spread = features.std(axis=0)
    scale = np.where(spread > 1e-12 * np.maximum(np.abs(features).max(axis=0), 1e-300), spread, 1.0)
    return Lens(features.mean(axis=0), scale, mlp.fresh(shapes(features.shape[1], hidden, measures), rng, bias=bool(hidden)))


def principal(features: np.ndarray, measures: int) -> Lens:
    """The first principal components of the features seen, [n, f]."""
    centre = features.mean(axis=0)
    directions = np.linalg.svd(features - centre, full_matrices=False)[2][:measures]
    full = np.zeros((measures, features.shape[1]))
    full[: len(directions)] = directions
    return Lens(centre, np.ones(len(centre)), full.T.ravel())


def project(lens: Lens, features: np.ndarray, hidden: int, measures: int) -> np.ndarray:
    """[n, m] measures of features [n, f]."""
    x = (features - lens.centre) / lens.scale
    return mlp.forward(lens.weights, x, shapes(features.shape[1], hidden, measures), bias=bool(hidden))[-1]


def fit(
    triplets: np.ndarray,
    second: np.ndarray,
    hidden: int,
    measures: int,
    rng: np.random.Generator,
    *,
    margin: float,
    rate: float,
    batch: int,
    epochs: int,
) -> tuple[Lens, float]:
    """Fitted by Adam to judgements; also how many of the held-out ones it agrees with, as a share.

    triplets: [n, 3, f] features, of the reference and of two to choose from. second: [n], true where the second of the two was
    judged more alike. The loss is max(0, margin - y d), d being by how much the square of the first's distance exceeds that of
    the second's, y 1 or -1. Taken is what had the least loss on the held-out triplets.
    """
    lens = random(triplets.reshape(-1, triplets.shape[2]), hidden, measures, rng)
    x, sign = (triplets - lens.centre) / lens.scale, np.where(second, 1.0, -1.0)
    order = rng.permutation(len(x))
    held, kept = order[: int(HELD_OUT * len(x))], order[int(HELD_OUT * len(x)) :]
    layers, weights = shapes(x.shape[2], hidden, measures), lens.weights
    first, square = np.zeros_like(weights), np.zeros_like(weights)
    best, least, agreed, when = weights, np.inf, 0.0, 0
    step = 0
    for epoch in range(epochs):
        for _ in range(max(len(kept) // batch, 1)):
            step += 1
            chosen = kept[rng.integers(len(kept), size=batch)]
            gradient = _slope(weights, x[chosen], sign[chosen], layers, margin, bool(hidden))
            first += 0.1 * (gradient - first)
            square += 0.001 * (gradient * gradient - square)
            weights = weights - rate * (first / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        told = held if len(held) else kept
        right = _excess(weights, x[told], layers, bool(hidden)) * sign[told]
        loss = float(np.maximum(0.0, margin - right).mean())
        if loss < least:
            best, least, agreed, when = weights, loss, float((right > 0).mean()), epoch
        if epoch - when >= PATIENCE:
            break
    return lens._replace(weights=best), agreed


def _excess(weights: np.ndarray, x: np.ndarray, layers: list[tuple[int, int]], bias: bool) -> np.ndarray:
    """[n] squared distance of the first less that of the second, for standardised triplets [n, 3, f]."""
    at = mlp.forward(weights, x.reshape(-1, x.shape[2]), layers, bias=bias)[-1].reshape(len(x), 3, -1)
    return np.asarray(((at[:, 0] - at[:, 1]) ** 2 - (at[:, 0] - at[:, 2]) ** 2).sum(axis=1))


def _slope(
    weights: np.ndarray, x: np.ndarray, sign: np.ndarray, layers: list[tuple[int, int]], margin: float, bias: bool
) -> np.ndarray:
    """Gradient [p] of the mean loss."""
    values = mlp.forward(weights, x.reshape(-1, x.shape[2]), layers, bias=bias)
    at = values[-1].reshape(len(x), 3, -1)
    to_first, to_second = at[:, 0] - at[:, 1], at[:, 0] - at[:, 2]
    excess = (to_first**2 - to_second**2).sum(axis=1)
    pull = np.where(sign * excess < margin, -2 * sign / len(x), 0.0)[:, None]
    back = np.stack([pull * (to_first - to_second), -pull * to_first, pull * to_second], axis=1)
    return mlp.backward(weights, values, back.reshape(len(x) * 3, -1), layers, bias=bias)
