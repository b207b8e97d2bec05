"""Intervals hold what they promise, by simulation with fixed seeds and against known values."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.statistics import betting_log_e, mean_interval, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_against_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric_and_nothing_is_known_from_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(3, 17)
    assert wilson(14, 17) == pytest.approx((1 - high, 1 - low))
    assert wilson(17, 17)[1] == pytest.approx(1.0)


def test_betting_agrees_with_the_definition() -> None:
    values = [0.5, -1.0, 1.0, 0.25]
    fractions = [(i + 0.5) / 64 for i in range(64)]
    plain = sum(math.prod(1 + f * d for d in values) for f in fractions) / 64
    assert math.exp(betting_log_e(values)) == pytest.approx(plain)
    assert betting_log_e([]) == 0.0
    assert math.isfinite(betting_log_e([-1.0] * 10_000))
    assert math.isfinite(betting_log_e([1.0] * 10_000))


@pytest.mark.parametrize("n", [1, 5, 40])
def test_the_e_value_has_mean_at_most_one_under_the_null(n: int) -> None:
    """Exactly, over all outcomes of n fair coins with values -1 and 1."""
    total = sum(math.comb(n, k) * math.exp(betting_log_e([1.0] * k + [-1.0] * (n - k))) for k in range(n + 1))
    assert total / 2**n == pytest.approx(1.0)


DISTRIBUTIONS: dict[str, tuple[float, Callable[[random.Random], float]]] = {
    "pass or fail, 0.5": (0.5, lambda rng: float(rng.random() < 0.5)),
    "pass or fail, 0.9": (0.9, lambda rng: float(rng.random() < 0.9)),
    "uniform": (0.5, lambda rng: rng.random()),
    "mostly zero, sometimes half": (0.05, lambda rng: 0.5 * (rng.random() < 0.1)),
    "three values": (0.7, lambda rng: rng.choice([1.0, 1.0, 0.5, 0.5, 0.5])),
}


@pytest.mark.parametrize("n", [8, 40])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_interval_covers_the_mean(name: str, n: int) -> None:
    mean, draw = DISTRIBUTIONS[name]
    rng = random.Random(f"{name}{n}")
    runs, covered, width = 150, 0, 0.0
    for _ in range(runs):
        low, high = mean_interval([draw(rng) for _ in range(n)])
        covered += low <= mean <= high
        width += (high - low) / runs
    # 95% less two standard errors of the simulation; Wilson's own coverage wavers around its level at small n.
    assert covered / runs >= 0.91
    assert width < 1.0, "an interval that says nothing covers everything"


def test_the_interval_narrows_with_more_values() -> None:
    rng = random.Random(1)
    values = [rng.random() for _ in range(800)]
    widths = [high - low for low, high in (mean_interval(values[:n]) for n in (12, 100, 800))]
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


@given(st.lists(st.floats(0, 1), max_size=30))
def test_the_interval_lies_in_the_range_and_holds_the_mean(values: list[float]) -> None:
    low, high = mean_interval(values)
    assert 0.0 <= low <= high <= 1.0
    if values:
        mean = math.fsum(values) / len(values)
        assert low - 1e-9 <= mean <= high + 1e-9


@given(st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=1, max_size=20))
def test_turning_the_scale_round_turns_the_interval_round(values: list[float]) -> None:
    low, high = mean_interval(values, low=-1.0, high=1.0)
    assert mean_interval([-v for v in values], low=-1.0, high=1.0) == pytest.approx((-high, -low), abs=1e-6)
