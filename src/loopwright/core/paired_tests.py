"""Tests of "the candidate is no better" on paired scores of the same examples. Pure functions.

Pass or fail: the sign test, with the cut of its p-value chosen so that the *unconditional* size, the maximum over the share
of examples whose verdict changes, is at most the level (the idea of Boschloo's test, for pairs: Suissa and Shuster,
Biometrics 1991). Graded scores: a betting test whose plug-in bets are those of STaR (Voracek and Orabona, arXiv:2505.22422).
Both hold at every sample size and for every distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

CAP = 0.95  # largest bet; below 1, so that no single loss ruins
_GRID = 2000  # points on which the size is computed
_LARGE = 3000  # from here on the level itself is the cut: always valid, and almost nothing is lost
_SAME = 1 + 1e-9  # two p-values within this factor are one: they come from different sums


def sign_p(wins: int, losses: int) -> float:
    """P(Bin(wins + losses, 1/2) >= wins): the one-sided p-value of the sign test; ties say nothing.

    Args:
        wins: examples on which the candidate is better.
        losses: examples on which it is worse.

    Returns:
        The exact probability, 1 without any example that differs.
    """
    m = wins + losses
    term, total = 1, 0
    for lost in range(losses + 1):
        total += term
        term = term * (m - lost) // (lost + 1)
    return float(total / 2**m)


@lru_cache(maxsize=1024)
def sign_cut(n: int, level: float) -> float:
    """The largest p-value of ``sign_p`` that may be accepted among n examples, at an error of at most ``level``.

    A p-value up to the level is always valid, whatever the number of ties. This is larger where it can be: for every share q of
    examples that differ, sum_m Bin(m; n, q) P(p <= cut | m differ) stays below the level. Between the points of the grid
    in arcsin(sqrt(q)) that sum f moves by at most sqrt(n) max_m s_m a unit, as df/dq = Cov(s_M, M) / (q (1 - q)).

    Args:
        n: number of examples, those that tie included.
        level: probability of accepting a candidate that is no better.

    Returns:
        The cut, at least ``level``.
    """
    if n < 1 or n > _LARGE:
        return level
    tails = _tails(n)
    candidates = np.unique(tails[(tails > level) & (tails < 8 * level)])
    low, high, best = 0, len(candidates) - 1, level
    while low <= high:
        middle = (low + high) // 2
        if _size(n, float(candidates[middle])) <= level:
            best, low = float(candidates[middle]), middle + 1
        else:
            high = middle - 1
    return best


def sign_passes(p: float, cut: float) -> bool:
    """Whether a p-value of ``sign_p`` is within a cut of ``sign_cut``."""
    return p <= cut * _SAME


@lru_cache(maxsize=4)
def _tails(n: int) -> np.ndarray:
    """[n + 1, K] P(Bin(m, 1/2) >= m // 2 + k) by row m and column k; columns end where the tail is below 1e-18."""
    logs = _log_factorials(n)
    m = np.arange(n + 1)[:, None]
    count = m // 2 + np.arange(min(n - n // 2, math.ceil(4.7 * math.sqrt(n)) + 2) + 2)[None, :]
    inside = count <= m
    k = np.where(inside, count, 0)
    density = np.where(inside, np.exp(logs[m] - logs[k] - logs[m - k] - m * math.log(2)), 0.0)
    tails: np.ndarray = np.minimum(np.cumsum(density[:, ::-1], axis=1)[:, ::-1], 1.0)
    return tails


@lru_cache(maxsize=4)
def _differing(n: int) -> np.ndarray:
    """[n + 1, grid] Bin(m; n, q) by row m and grid point q, the ends q = 0 and q = 1 left out."""
    logs = _log_factorials(n)
    m = np.arange(n + 1)[:, None]
    q = np.sin(np.arange(1, _GRID) * (math.pi / 2 / _GRID)) ** 2
    chosen = (logs[n] - logs - logs[::-1])[:, None]
    density: np.ndarray = np.exp(chosen + m * np.log(q)[None, :] + (n - m) * np.log1p(-q)[None, :])
    return density


def _log_factorials(n: int) -> np.ndarray:
    return np.array([math.lgamma(k + 1) for k in range(n + 1)])


def _size(n: int, cut: float) -> float:
    """An upper bound of the error at its worst share of examples that differ."""
    tails = _tails(n)
    first = (tails > cut * _SAME).sum(axis=1)
    accepted = tails[np.arange(n + 1), first]
    slack = math.sqrt(n) * float(accepted.max()) * math.pi / (4 * _GRID)
    return max(float((accepted @ _differing(n)).max()), float(accepted[n])) + slack


def fewest_wins(n: int, level: float) -> int | None:
    """How many of n examples must turn right if none turns wrong; None where even n do not suffice."""
    cut = sign_cut(n, level)
    need = max(0, math.ceil(-math.log2(cut * _SAME)))
    return need if need <= n else None


def betting_log_wealth(differences: Sequence[float], level: float) -> float:
    """Highest log wealth of a bettor against "the mean is at most 0"; reaching -log(level) refutes it at that level.

    Each bet is known before its difference is: the fraction that would bring the wealth to the bar over what is left, as far as
    mean and spread so far can tell (STaR, Voracek and Orabona, arXiv:2505.22422), so the wealth is a nonnegative supermartingale
    under the null, and by Ville's inequality ever reaching 1/level has probability at most ``level``.

    Args:
        differences: each in [-1, 1], in an order that was fixed without looking at them.
        level: probability of reaching the bar though the mean is at most 0.

    Returns:
        The highest log wealth on the way, at least 0; the bets end where it reaches the bar.
    """
    n, need = len(differences), -math.log(level)
    wealth = highest = total = 0.0
    square = 0.25
    for t, x in enumerate(differences):
        spread = max(square / (t + 1), 1e-4)
        wealth += math.log1p(min(CAP, math.sqrt(2 * (need - wealth) / ((n - t) * spread))) * x)
        highest = max(highest, wealth)
        if wealth >= need:
            break
        square += (x - total / (t + 1)) ** 2
        total += x
    return highest


def sign_power(n: int, win: float, loss: float, level: float) -> float:
    """How often the sign test at ``level`` accepts, exactly up to a thousand examples and by a normal approximation beyond.

    Args:
        n: number of examples.
        win: probability that an example turns from wrong to right.
        loss: probability that one turns from right to wrong.
        level: error of the test.

    Returns:
        The probability of an acceptance.
    """
    return sign_chance(n, win, loss, sign_cut(n, level))


def sign_chance(n: int, win: float, loss: float, cut: float) -> float:
    """How often the p-value of ``sign_p`` is within a cut, see ``sign_power``.

    Args:
        n: number of examples.
        win: probability that an example turns from wrong to right.
        loss: probability that one turns from right to wrong.
        cut: the largest p-value that counts, below 1/2.

    Returns:
        The probability.
    """
    differ = win + loss
    if n > 1000:
        spread = math.sqrt(max(differ - (win - loss) ** 2, 1e-12))
        bar = NormalDist().inv_cdf(1 - cut) * math.sqrt(differ)
        # Wins less losses move in steps of two, so that the bar lies on average one above where a smooth one would.
        return NormalDist().cdf(((win - loss) * math.sqrt(n) - bar - 1 / math.sqrt(n)) / spread)
    need = np.arange(n + 1) // 2 + (_tails(n) > cut * _SAME).sum(axis=1)  # wins, by the number of examples that differ
    logs = _log_factorials(n)
    wins, losses = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    ties = n - wins - losses
    accepted = (ties >= 0) & (wins >= need[np.minimum(wins + losses, n)])
    w, lost = np.nonzero(accepted)
    t = n - w - lost
    chance = logs[n] - logs[w] - logs[lost] - logs[t] + w * _log(win) + lost * _log(loss) + t * _log(1 - differ)
    return float(np.exp(chance).sum())


def _log(chance: float) -> float:
    return math.log(max(chance, 1e-300))  # times a count of 0 it is 0, otherwise as good as impossible


def betting_power(n: int, win: float, loss: float, level: float, *, margin: float = 0.0, draws: int = 2000) -> float:
    """How often the betting test at ``level`` accepts where examples turn right or wrong as a whole, by seeded draws.

    Of all grades with the same mean difference these spread most, so others are accepted more often.

    Args:
        n: number of examples.
        win: probability that a score rises from 0 to 1.
        loss: probability that one falls from 1 to 0.
        level: error of the test.
        margin: the loss that is to be refuted; 0 where a gain is to be shown.
        draws: how many; fewer beyond two thousand examples, of which each then tells more.

    Returns:
        The share of draws with an acceptance.
    """
    rng = np.random.default_rng(n)
    drawn = rng.random((max(200, min(draws, 4_000_000 // n)), n))
    values = np.where(drawn < win, 1.0, np.where(drawn < win + loss, -1.0, 0.0))
    values = (values + margin) / (1 + margin)
    return float((betting_log_wealths(values, level) >= -math.log(level)).mean())


def betting_log_wealths(rows: np.ndarray, level: float) -> np.ndarray:
    """``betting_log_wealth`` of many rows of differences at once.

    Args:
        rows: differences in [-1, 1] [rows, n].
        level: as there.

    Returns:
        The highest log wealth of each row; the bets go on beyond the bar [rows].
    """
    count, n = rows.shape
    need = -math.log(level)
    wealth, highest, total, square = np.zeros(count), np.zeros(count), np.zeros(count), np.full(count, 0.25)
    for t in range(n):
        x = rows[:, t]
        spread = np.maximum(square / (t + 1), 1e-4)
        bets = np.sqrt(2 * np.maximum(need - wealth, 0.0) / ((n - t) * spread))
        wealth = wealth + np.log1p(np.minimum(CAP, bets) * x)
        highest = np.maximum(highest, wealth)
        square = square + (x - total / (t + 1)) ** 2
        total = total + x
    return highest


@lru_cache(maxsize=256)
def detectable_gain(n: int, level: float, losses: float = 0.0, power: float = 0.8, graded: bool = False) -> float | None:
    """The smallest mean gain that is accepted with the given probability.

    Args:
        n: number of gate examples.
        level: share of alpha of the look.
        losses: share of examples that turn from right to wrong.
        power: probability of an acceptance.
        graded: for the betting test, as ``betting_power`` has it; the sign test otherwise.

    Returns:
        The gain, to about a tenth of a point; None where even the greatest possible one is accepted less often.
    """
    chance = betting_power if graded else sign_power
    low, high = 0.0, 1 - 2 * losses
    if chance(n, high + losses, losses, level) < power:
        return None
    while high - low > 5e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if chance(n, middle + losses, losses, level) < power else (low, middle)
    return high
