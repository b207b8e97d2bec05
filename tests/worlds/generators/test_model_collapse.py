"""Generations of models on each other's data: linear regression against its theory, and what else must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from generator_kit import Bench

from loopwright.core.errors import InputError
from loopwright.worlds.generators.model import Generator
from loopwright.worlds.generators.regression import LeastSquares, Regression, expected

D, ROWS, K, GENERATIONS = 6, 24, 400, 10


def least_squares(blobs):
    return Generator(blobs, lambda: LeastSquares(D, K, 1.0), name="least-squares", fingerprint="test")


@pytest.fixture(scope="module")
def chain():
    """By what is kept: the test error of every generation, and that of the first times what theory says, for this design."""
    world = Regression(d=D, rows=ROWS, k=K)
    first = float(np.trace(np.linalg.inv(world.design.T @ world.design)))
    found = {}
    for keep in ("replace", "accumulate", "subsample"):
        bench = Bench(world, least_squares)
        offered = bench.run("model-collapse", keep=keep, generations=GENERATIONS, every=True)
        found[keep] = [bench.figure(c) for c in offered]
    return first, found


def test_replaced_data_make_the_error_grow_in_proportion(chain):
    first, found = chain
    # K repetitions of D squares each: a relative deviation of about sqrt(2 / (K D)) = 0.03
    for n, error in enumerate(found["replace"], 1):
        assert error == pytest.approx(first * n, rel=0.12)


def test_accumulated_data_keep_it_below_pi_squared_over_six(chain):
    first, found = chain
    for n, error in enumerate(found["accumulate"], 1):
        assert error == pytest.approx(first * sum(1 / i**2 for i in range(1, n + 1)), rel=0.12)
    assert found["accumulate"][-1] < first * math.pi**2 / 6 * 1.12 < found["replace"][-1] / 4


def test_subsampled_data_lie_between(chain):
    _, found = chain
    assert found["accumulate"][-1] < found["subsample"][-1] < 0.6 * found["replace"][-1]


def test_the_first_generation_is_the_same_whatever_is_kept(chain):
    _, found = chain
    assert found["replace"][0] == pytest.approx(found["accumulate"][0], rel=1e-5)
    assert found["replace"][0] == pytest.approx(found["subsample"][0], rel=1e-5)


def test_expected_is_the_mean_over_designs():
    errors = []
    for data in range(300):
        x = Regression(d=3, rows=12, k=1, data=data).design
        errors.append(np.trace(np.linalg.inv(x.T @ x)))
    assert np.mean(errors) == pytest.approx(expected(1, d=3, rows=12, noise=1.0, accumulate=False), rel=0.1)
    assert expected(7, d=3, rows=12, noise=2.0, accumulate=False) == pytest.approx(7 * 4 * 3 / 8)
    assert expected(10_000, d=3, rows=12, noise=2.0, accumulate=True) == pytest.approx(math.pi**2 / 6 * 4 * 3 / 8, rel=1e-3)


def test_one_generation_is_one_fit_on_real_data():
    adapters = set()
    for slug in ("model-collapse", "data-replacement", "accumulate-subsample"):
        bench = Bench(Regression(d=D, rows=ROWS, k=K), least_squares)
        (only,) = bench.run(slug, generations=1)
        adapters.add(round(bench.figure(only), 4))
    assert len(adapters) == 1


def test_no_data_is_said():
    class Empty(Regression):
        def examples(self, split):
            return []

    with pytest.raises(InputError, match="no train examples"):
        Bench(Empty(), least_squares).run("model-collapse")


def test_no_target_is_said():
    class Untold(Regression):
        def examples(self, split):
            return [e.model_copy(update={"target": None}) for e in super().examples(split)]

    with pytest.raises(InputError, match="has no target"):
        Bench(Untold(d=D, rows=ROWS, k=K), least_squares).run("model-collapse")


def test_no_generation_is_said():
    with pytest.raises(InputError, match="generations"):
        Bench(Regression(d=D, rows=ROWS, k=K), least_squares).run("model-collapse", generations=0)


def test_a_regression_that_cannot_be_solved_is_said():
    with pytest.raises(InputError, match="more rows than dimensions"):
        Regression(d=10, rows=10)
