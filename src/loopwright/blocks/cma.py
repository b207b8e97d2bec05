"""Covariance matrix adaptation: a normal distribution that moves to where better solutions were found, and takes their shape.

Hansen, "The CMA evolution strategy: a tutorial", arXiv:1604.00772, with positive weights only. An update takes any number of
parents, best first, whether they were drawn from the distribution as it is, as it was some updates ago (answers came late), or
by somebody else: steps longer than a draw's would be are shortened, as in Hansen, "Injecting external solutions into CMA-ES",
arXiv:1110.4181. cma (pycma) is the reference implementation; its object holds what a Learner's state must hold as plain data.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from loopwright.blocks.space import Box, inside
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

TRIES = 10  # for a draw inside the box, before it is put on the box's side


class Strategy(NamedTuple):
    mean: np.ndarray  # [d]
    step: float  # sigma
    covariance: np.ndarray  # [d, d]
    shape_path: np.ndarray  # [d] p_c
    step_path: np.ndarray  # [d] p_sigma
    axes: np.ndarray  # [d, d] root of the covariance: eigenvectors times the roots of the eigenvalues
    whiten: np.ndarray  # [d, d] inverse of the symmetric root
    updates: int
    since: int  # updates since axes and whiten were computed


def population(dimensions: int) -> int:
    """lambda, the number of solutions to an update: 4 + 3 ln d."""
    return 4 + int(3 * math.log(dimensions))


def fresh(mean: np.ndarray, step: float) -> Strategy:
    d = len(mean)
    unit = np.eye(d)
    return Strategy(np.array(mean, dtype=float), float(step), unit, np.zeros(d), np.zeros(d), unit, unit, 0, 0)


def draw(strategy: Strategy, box: Box, rng: np.random.Generator, number: int) -> np.ndarray:
    """[number, d] solutions in the box: one outside is drawn anew, and after some tries put on the side."""
    d = len(strategy.mean)
    root = strategy.step * strategy.axes.T
    points = strategy.mean + rng.standard_normal((number, d)) @ root
    for _ in range(TRIES):
        outside = ((points < box.low) | (points > box.high)).any(axis=1)
        if not outside.any():
            return np.asarray(points)
        points[outside] = strategy.mean + rng.standard_normal((int(outside.sum()), d)) @ root
    return inside(box, points)


def update(strategy: Strategy, parents: np.ndarray) -> Strategy:
    """After seeing parents [k, d], the best first; how many were no parents makes no difference."""
    k, d = parents.shape
    weights = math.log(k + 0.5) - np.log(np.arange(1, k + 1))
    weights /= weights.sum()
    effective = 1.0 / float(weights @ weights)
    along_shape = (4 + effective / d) / (d + 4 + 2 * effective / d)
    along_step = (effective + 2) / (d + effective + 5)
    rank_one = 2 / ((d + 1.3) ** 2 + effective)
    rank_many = min(1 - rank_one, 2 * (effective - 2 + 1 / effective) / ((d + 2) ** 2 + effective))
    damping = 1 + 2 * max(0.0, math.sqrt((effective - 1) / (d + 1)) - 1) + along_step

    steps = (parents - strategy.mean) / strategy.step
    lengths = np.sqrt(((steps @ strategy.whiten) ** 2).sum(axis=1))
    longest = math.sqrt(d) + 2 * d / (d + 2)
    steps = steps * np.minimum(1.0, longest / np.maximum(lengths, 1e-300))[:, None]
    move = weights @ steps

    step_path = (1 - along_step) * strategy.step_path
    step_path = step_path + math.sqrt(along_step * (2 - along_step) * effective) * (strategy.whiten @ move)
    squared = float(step_path @ step_path)
    expected = math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))
    settled = 1 - (1 - along_step) ** (2 * (strategy.updates + 1))
    steady = squared / settled < (2 + 4 / (d + 1)) * d
    shape_path = (1 - along_shape) * strategy.shape_path
    if steady:
        shape_path = shape_path + math.sqrt(along_shape * (2 - along_shape) * effective) * move
    keep = 1 - rank_one - rank_many + (0.0 if steady else rank_one * along_shape * (2 - along_shape))
    covariance = keep * strategy.covariance + rank_one * np.outer(shape_path, shape_path)
    covariance += rank_many * (steps.T * weights) @ steps
    step = strategy.step * math.exp(min(1.0, along_step / damping * (math.sqrt(squared) / expected - 1)))

    axes, whiten, since = strategy.axes, strategy.whiten, strategy.since + 1
    if since >= 1 / (10 * d * (rank_one + rank_many)):  # the roots change little with each update, and cost the most
        covariance = (covariance + covariance.T) / 2
        values, vectors = np.linalg.eigh(covariance)
        roots = np.sqrt(np.maximum(values, 1e-300))
        axes, whiten, since = vectors * roots, (vectors / roots) @ vectors.T, 0
    return Strategy(
        strategy.mean + strategy.step * move, step, covariance, shape_path, step_path, axes, whiten, strategy.updates + 1, since
    )


def spent(strategy: Strategy) -> bool:
    """Nothing more can come of it: it is too narrow, or so flat that its roots mean nothing any more."""
    roots = np.sqrt((strategy.axes**2).sum(axis=0))
    widest, narrowest = float(roots.max()), float(roots.min())
    return not (
        math.isfinite(strategy.step) and strategy.step * widest > 1e-11 * (1 + float(np.abs(strategy.mean).max()))
        and widest < 1e7 * narrowest
    )  # fmt: skip
