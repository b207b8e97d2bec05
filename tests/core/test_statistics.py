"""Intervals hold what they promise, by simulation with fixed seeds and against known values."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.paired_tests import sign_p
from loopwright.core.statistics import gaffke_p, mean_interval, t_interval, two_way_interval, wilson


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


# ---- Gaffke ----------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_gaffkes_p_value_is_the_sign_tests_for_wins_ties_and_losses(wins: int, losses: int, ties: int) -> None:
    assert gaffke_p([1.0, -1.0, 0.0], [wins, losses, ties]) == pytest.approx(sign_p(wins, losses), rel=1e-4, abs=1e-12)


@pytest.mark.parametrize(("ones", "n"), [(3, 200), (0, 30), (30, 30), (1, 1), (197, 200), (1000, 1000), (20, 40)])
def test_of_one_proportion_it_is_clopper_and_pearsons(ones: int, n: int) -> None:
    """Their ends leave a binomial tail of 2.5% each."""

    def above(p: float) -> float:
        return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(ones, n + 1))

    def below(p: float) -> float:
        return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(ones + 1))

    low, high = mean_interval([1.0] * ones + [0.0] * (n - ones))
    assert above(low) == pytest.approx(0.025, rel=1e-3) if ones else low == 0.0
    assert below(high) == pytest.approx(0.025, rel=1e-3) if ones < n else high == 1.0


@pytest.mark.parametrize("values", [[0.3, -0.2, 0.5, 0.1], [5.0, 2.0, -0.9, 0.01], [0.02] * 4, [1000.0, -1.0, 0.5], [-0.3, 0.2]])
def test_gaffkes_p_value_is_the_chance_that_it_is_by_definition(values: list[float]) -> None:
    """P(E_0 >= sum E_i d_i), by partial fractions where the values differ, by draws where they are alike."""
    rng = random.Random(3)
    draws = 20000
    found = sum(rng.expovariate(1) >= math.fsum(rng.expovariate(1) * d for d in values) for _ in range(draws)) / draws
    assert gaffke_p(values) == pytest.approx(found, abs=4 * math.sqrt(0.25 / draws))
    if len(set(values)) == len(values):
        # Residues of 1 / (z (1 - z) prod(1 + z d)) to the left: at 0, and at -1/d for the positive d.
        exact = 1.0
        for d in values:
            if d > 0:
                z = -1 / d
                exact += 1 / (z * (1 - z) * d * math.prod(1 + z * e for e in values if e != d))
        assert gaffke_p(values) == pytest.approx(exact, rel=1e-6)


def test_ties_change_no_method_and_give_no_certainty() -> None:
    """All pairs moved by the same amount: the interval is wide, not a point."""
    low, high = mean_interval([0.1] * 10, low=-1.0, high=1.0)
    assert low < -0.1
    assert high > 0.3
    near = mean_interval([0.1 + 1e-6 * i for i in range(10)], low=-1.0, high=1.0)
    assert near == pytest.approx((low, high), abs=1e-4)


def test_thousands_of_different_values_are_quick_and_never_too_narrow() -> None:
    rng = random.Random(6)
    values = [rng.random() for _ in range(5000)]
    low, high = mean_interval(values)
    mean = math.fsum(values) / 5000
    assert low < mean - 0.006
    assert high > mean + 0.006
    assert high - low < 0.025


# ---- Student ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.02083, 0.0, 0.1 + 0.2])
def test_values_that_are_all_the_same_are_no_certainty(value: float) -> None:
    """Four seeds of one and the same gain: what varies has not been seen."""
    assert t_interval([value] * 4) == (-math.inf, math.inf)
    assert t_interval([value] * 4, exact=True) == pytest.approx((value, value))
    low, high = t_interval([value, value, value, value + 1e-3])
    assert low < value < high < math.inf


# ---- seeds that share questions --------------------------------------------------------------------------------------------


def drawn_table(rng: random.Random, pool: int, seeds: int, each: int) -> list[dict[str, float]]:
    """Every question has its own gain, every seed its own luck; the truth over all questions and seeds is 0."""
    gains = [rng.gauss(0, 0.3) for _ in range(pool)]
    table = []
    for _ in range(seeds):
        luck = rng.gauss(0, 0.03)
        table.append({str(q): gains[q] + luck + rng.gauss(0, 0.2) for q in rng.sample(range(pool), each)})
    return table


@pytest.mark.parametrize(("pool", "each"), [(48, 48), (60, 48)])
def test_shared_questions_widen_the_interval_as_they_must(pool: int, each: int) -> None:
    rng = random.Random(pool)
    runs, alone, both = 250, 0, 0
    for _ in range(runs):
        table = drawn_table(rng, pool, 8, each)
        low, high = t_interval([math.fsum(row.values()) / each for row in table])
        alone += low <= 0 <= high
        low, high = two_way_interval(table)
        both += low <= 0 <= high
    assert both / runs >= 0.93
    assert alone / runs < 0.75, "seeds alone take the same questions for new ones"


def test_with_questions_of_their_own_it_is_students_interval_over_seeds() -> None:
    rng = random.Random(4)
    table = [{f"{s}-{q}": rng.gauss(0.1 * s, 0.05) for q in range(20)} for s in range(8)]
    means = [math.fsum(row.values()) / 20 for row in table]
    # By the seeds V is the same; what is added, question less pair, is only the factors n / (n - 1), which agree.
    assert two_way_interval(table) == pytest.approx(t_interval(means), rel=1e-9)


def test_the_variance_is_cameron_gelbach_and_millers_by_hand() -> None:
    table = [{"a": 1.0, "b": 0.0}, {"a": 0.8, "b": 0.1}, {"a": 0.9, "b": -0.3}]
    middle = 2.5 / 6
    by_seed = sum((m - middle) ** 2 for m in (0.5, 0.45, 0.3)) / 9 * 3 / 2
    parts = {q: sum(row[q] - middle for row in table) / 6 for q in "ab"}
    by_question = sum(p * p for p in parts.values()) * 2
    both = sum((v - middle) ** 2 for row in table for v in row.values()) / 36 * 6 / 5
    half = 12.7062 * math.sqrt(max(by_seed, by_question, by_seed + by_question - both))
    assert two_way_interval(table) == pytest.approx((middle - half, middle + half), rel=1e-4)


def test_nothing_is_known_of_one_seed_one_question_or_no_spread() -> None:
    for table in ([{"a": 0.1, "b": 0.3}], [{"a": 0.1}, {"a": 0.3}], [{"a": 0.1, "b": 0.1}] * 4):
        assert two_way_interval(table) == (-math.inf, math.inf)
    assert two_way_interval([{"a": 0.1, "b": 0.1}] * 4, exact=True) == pytest.approx((0.1, 0.1))
