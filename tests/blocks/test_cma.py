"""Covariance matrix adaptation: it finds optima, takes the shape of a valley, and is not moved far by strangers."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.blocks import cma
from loopwright.blocks.space import Box

WIDE = Box(np.full(6, -1e9), np.full(6, 1e9))


def descend(cost, updates: int, *, seed: int = 0, d: int = 6, lag: int = 0) -> cma.Strategy:
    """``lag``: populations that are out while another is drawn."""
    rng, strategy = np.random.default_rng(seed), cma.fresh(np.full(d, 3.0), 1.0)
    out: list[np.ndarray] = []
    for _ in range(updates):
        out.append(cma.draw(strategy, WIDE, rng, cma.population(d)))
        if len(out) > lag:
            points = out.pop(0)
            order = np.argsort([cost(x) for x in points])
            strategy = cma.update(strategy, points[order[: len(order) // 2]])
    return strategy


@pytest.mark.parametrize("lag", [0, 1])
def test_it_finds_the_bottom_of_a_bowl_also_where_answers_are_late(lag: int) -> None:
    strategy = descend(lambda x: float(x @ x), 220 if lag == 0 else 500, lag=lag)
    assert np.linalg.norm(strategy.mean) < 1e-6 and strategy.step < 1e-5


def test_it_takes_the_shape_of_a_valley() -> None:
    steep = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1e4])
    strategy = descend(lambda x: float(steep @ x**2), 300)
    widths = np.sqrt(np.diag(strategy.covariance))
    assert widths[:5].min() / widths[5] > 20
    assert strategy.axes @ strategy.axes.T == pytest.approx(strategy.covariance, rel=0.3, abs=1e-9)


def test_roots_undo_each_other() -> None:
    strategy = descend(lambda x: float(np.abs(x).sum()), 50)
    covariance = strategy.axes @ strategy.axes.T
    assert strategy.whiten @ covariance @ strategy.whiten == pytest.approx(np.eye(6), abs=1e-8)


def test_a_stranger_moves_it_no_farther_than_a_long_draw_would() -> None:
    strategy = cma.fresh(np.zeros(6), 1.0)
    moved = cma.update(strategy, np.full((1, 6), 1e6))
    assert np.linalg.norm(moved.mean) <= np.sqrt(6) + 2 * 6 / 8 + 1e-9
    assert np.isfinite(moved.covariance).all() and moved.step < 3.0


def test_draws_stay_in_the_box() -> None:
    box = Box(np.zeros(3), np.ones(3))
    points = cma.draw(cma.fresh(np.array([0.0, 0.5, 5.0]), 0.2), box, np.random.default_rng(0), 200)
    assert ((points >= 0) & (points <= 1)).all() and (points[:, 2] == 1).all()
    assert points[:, 1].std() == pytest.approx(0.2, rel=0.2)


def test_it_says_when_nothing_more_can_come() -> None:
    assert not cma.spent(cma.fresh(np.ones(3), 1e-3))
    assert cma.spent(cma.fresh(np.ones(3), 1e-14))
    flat = cma.fresh(np.ones(3), 1.0)._replace(axes=np.diag([1.0, 1.0, 1e-9]))
    assert cma.spent(flat)
