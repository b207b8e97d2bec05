"""The tests behind the gate hold their level: exactly, by enumeration, where that is possible."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.paired_tests import betting_log_wealth, fewest_wins, sign_cut, sign_p, sign_passes


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_p_value_is_the_binomial_tail(wins: int, losses: int) -> None:
    m = wins + losses
    assert sign_p(wins, losses) == pytest.approx(sum(math.comb(m, k) for k in range(wins, m + 1)) / 2**m, rel=1e-12)


def error(n: int, share: float, cut: float) -> float:
    """P(accepted) exactly, where a share of n examples differs and either side wins with 1/2."""
    total = 0.0
    for m in range(n + 1):
        within = [p for p in (sign_p(c, m - c) for c in range(m + 1)) if sign_passes(p, cut)]
        total += math.comb(n, m) * share**m * (1 - share) ** (n - m) * max(within, default=0.0)
    return total


@pytest.mark.parametrize("n", [1, 2, 7, 8, 15, 20, 40, 100])
@pytest.mark.parametrize("level", [0.05, 0.025, 0.05 / 7, 0.00125])
def test_the_sign_test_keeps_its_level_for_every_share_of_ties(n: int, level: float) -> None:
    """Over shares that lie between those that the search for the cut looks at, at a null of equal chances."""
    cut = sign_cut(n, level)
    assert cut >= level
    shares = [math.sin((i + 0.37) * math.pi / 2 / 61) ** 2 for i in range(61)] + [1.0]
    assert max(error(n, share, cut) for share in shares) <= level


def test_the_cut_cannot_be_raised_further() -> None:
    """One step to the next possible p-value and the level is passed, up to the slack of the grid: nothing is given away."""
    for n, level in ((20, 0.025), (40, 0.05 / 7)):
        cut = sign_cut(n, level)
        assert cut > level, "more than the conditional test has"
        later = min(p for m in range(n + 1) for c in range(m + 1) if (p := sign_p(c, m - c)) > cut * 1.000001)
        shares = [math.sin(i * math.pi / 2 / 200) ** 2 for i in range(1, 201)]
        assert max(error(n, share, later) for share in shares) > level * 0.985


@pytest.mark.parametrize("n", [400, 3000, 100_000])
def test_large_gates_take_no_minutes_and_never_less_than_the_level(n: int) -> None:
    assert 0.01 <= sign_cut(n, 0.01) <= 0.08


def test_fourteen_wins_without_a_loss_pass_at_any_look() -> None:
    assert sign_passes(sign_p(14, 0), sign_cut(44, 0.05 / 40))


@given(st.integers(1, 80), st.sampled_from([0.05, 0.0125, 0.05 / 7]))
def test_the_fewest_wins_pass_and_one_less_does_not(n: int, level: float) -> None:
    need, cut = fewest_wins(n, level), sign_cut(n, level)
    if need is None:
        assert not sign_passes(sign_p(n, 0), cut)
    else:
        assert sign_passes(sign_p(need, 0), cut)
        assert not sign_passes(sign_p(need - 1, 0), cut)


def crossings(n: int, values: tuple[float, ...], chances: tuple[float, ...], level: float) -> float:
    """P(the bar is reached) exactly, over all sequences of n draws."""
    need = -math.log(level) - 1e-9

    def beyond(prefix: list[float], chance: float) -> float:
        if len(prefix) == n:
            return chance * (betting_log_wealth(prefix, level) >= need)
        return sum(beyond([*prefix, v], chance * c) for v, c in zip(values, chances, strict=True))

    return beyond([], 1.0)


@pytest.mark.parametrize(
    ("n", "values", "chances"),
    [
        (12, (1.0, -1.0), (0.5, 0.5)),
        (8, (1.0, 0.0, -1.0), (0.2, 0.6, 0.2)),
        (12, (0.1, -0.9), (0.9, 0.1)),  # mostly a little better, seldom much worse
        (8, (0.5, 0.25, -0.75), (0.4, 0.2, 1 / 3)),
    ],
)
def test_the_betting_test_keeps_its_level_exactly(n: int, values: tuple[float, ...], chances: tuple[float, ...]) -> None:
    rest = 1 - sum(chances)
    chances = (*chances[:-1], chances[-1] + rest)
    assert math.fsum(v * c for v, c in zip(values, chances, strict=True)) <= 1e-9
    for level in (0.2, 0.1):
        assert crossings(n, values, chances, level) <= level


DRAWS: dict[str, Callable[[random.Random], float]] = {
    "gain of 20 points, smooth": lambda rng: min(1.0, max(-1.0, rng.gauss(0.2, 0.3))),
    "half credit": lambda rng: rng.choice([0.5, 0.5, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_graded_gain_of_twenty_points_is_found_at_forty_examples(name: str) -> None:
    rng = random.Random(name)
    level, found = 0.05 / 7, 0
    for _ in range(300):
        found += betting_log_wealth([DRAWS[name](rng) for _ in range(40)], level) >= -math.log(level)
    assert found / 300 > 0.7


@given(st.lists(st.floats(-1, 1), max_size=50), st.sampled_from([0.05, 0.001]))
def test_wealth_is_finite_and_never_below_the_start(differences: list[float], level: float) -> None:
    assert 0 <= betting_log_wealth(differences, level) < math.inf
    assert betting_log_wealth([-abs(d) for d in differences], level) == 0
