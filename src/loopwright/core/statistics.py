"""The intervals that every report stands on. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike
else:
    np = lazy("numpy")

_NODES = 120  # of the integral of Gaffke's p-value
_DISTINCT = 1000  # values in an interval that are told apart

# Midpoints of a grid of betting fractions: the mixture over them is itself an e-value, whatever the grid.
_FRACTIONS = [(i + 0.5) / 64 for i in range(64)]


def betting_log_e(differences: Sequence[float]) -> float:
    """log of mean_f prod_i (1 + f d_i) over the fraction grid; d_i in [-1, 1]. Tests "the mean is at most 0".

    Source: Waudby-Smith & Ramdas, JRSS-B 2024, section 4 (mixture over constant bets).
    """
    logs = [math.fsum(math.log1p(f * d) for d in differences) for f in _FRACTIONS]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(value - top) for value in logs) / len(logs))


def wilson(successes: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (JASA 1927)."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(
    values: Sequence[float], *, low: float = 0.0, high: float = 1.0, level: float = 0.95
) -> tuple[float, float]:
    """Gaffke's interval for the mean of independent values in [low, high], each side at half of what ``level`` leaves.

    The ends are quantiles of a weighted mean of the values and the end of the range, with weights uniform on the simplex
    (Gaffke 2005; Learned-Miller and Thomas, arXiv:1905.06208). That it covers for every distribution is a conjecture, without a
    counterexample so far; for values that are one of two it is the exact binomial interval. One method for graded scores
    and paired differences, whether or not there are ties.

    Args:
        values: independent, each in [low, high].
        low: least value that there can be.
        high: greatest value that there can be.
        level: coverage.

    Returns:
        Both ends, within [low, high]; that whole range without values.
    """
    if not len(values):
        return low, high
    width = high - low
    # Rounded, or an end of the range that lost its last bit would not count as the end it is.
    unit = np.clip(np.round((np.asarray(values, dtype=float) - low) / width, 12), 0.0, 1.0)
    tail = (1 - level) / 2
    return low + _gaffke_bound(unit, tail) * width, high - _gaffke_bound(1 - unit, tail) * width


def _gaffke_bound(unit: np.ndarray, tail: float) -> float:
    """The largest m whose "the mean is at most m" has a p-value of at most ``tail``; values in [0, 1]."""
    distinct, counts = np.unique(unit, return_counts=True)
    if len(distinct) > _DISTINCT:  # rounded down, which can only lower the bound
        distinct, counts = np.unique(np.floor(unit * _DISTINCT) / _DISTINCT, return_counts=True)
    below, above = 0.0, float(np.average(distinct, weights=counts))
    for _ in range(36):
        middle = (below + above) / 2
        if middle and gaffke_p((distinct - middle) / middle, counts) <= tail:
            below = middle
        else:
            above = middle
    return below


def gaffke_p(differences: ArrayLike, counts: ArrayLike | None = None) -> float:
    """Gaffke's p-value of "the mean is at most 0" for independent values of at least -1.

    P(E_0 >= sum E_i d_i) with standard exponential E_i, by the inversion of its transform along Re z = c, where the integrand is
    least on the real axis (there it neither swings nor cancels). Equal to the sign test's where all values are -1, 0 or 1.

    Args:
        differences: each at least -1.
        counts: how often each value occurs; once where not given.

    Returns:
        The p-value, good to about ten digits.
    """
    d = np.asarray(differences, dtype=float)
    w = np.ones_like(d) if counts is None else np.asarray(counts, dtype=float)
    low, high = 1e-12, 1 - 1e-12
    for _ in range(60):  # the slope of the logarithm is increasing
        c = (low + high) / 2
        low, high = (low, c) if 1 / (1 - c) - 1 / c > float((w * d / (1 + c * d)).sum()) else (c, high)
    width = (1 / c**2 + 1 / (1 - c) ** 2 + float((w * d * d / (1 + c * d) ** 2).sum())) ** -0.5
    # The fewer values count, the slower the integrand falls, and the further out t = width sinh(x) has to go.
    far = 3 + 38 / (2 + float((w * np.abs(d) / (1 + np.abs(d))).sum()))
    x = (np.arange(_NODES) + 0.5) * far / _NODES
    z = c + 1j * width * np.sinh(x)
    logs = -np.log(z) - np.log(1 - z) - np.log(1 + z[:, None] * d[None, :]) @ w
    return float((np.exp(logs).real * width * np.cosh(x)).sum()) * far / _NODES / math.pi


def t_interval(values: Sequence[float], *, level: float = 0.95, exact: bool = False) -> tuple[float, float]:
    """Student's interval for the mean of values that are about normal: one a seed, each a mean over many examples or steps.

    Args:
        values: independent values without a range, or too few for ``mean_interval`` to say anything.
        level: coverage.
        exact: whether a value is what it is whatever the seed. Values that are all the same otherwise say that what
            varies has not been seen yet, not that nothing does.

    Returns:
        Both ends; infinite with fewer than two values, or with a spread of 0 where the values are not exact.
    """
    n = len(values)
    if n < 2:
        return -math.inf, math.inf
    mean = math.fsum(values) / n
    if max(values) - min(values) <= 1e-12 * max(1.0, abs(mean)):
        return (mean, mean) if exact else (-math.inf, math.inf)
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in values) / (n - 1) / n)
    half = _t_quantile(0.5 + level / 2, n - 1) * spread
    return mean - half, mean + half


def _t_quantile(p: float, freedom: int) -> float:
    """Where Student's distribution function reaches p > 1/2. Substituting t = sqrt(freedom) tan(u), it is a power of cosine."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)

    def above_half(u: float, steps: int = 200) -> float:
        # Simpson's rule; the integrand is smooth on [0, pi/2].
        h = u / steps
        values = [math.cos(i * h) ** (freedom - 1) for i in range(steps + 1)]
        return scale * h / 3 * (values[0] + values[-1] + 4 * math.fsum(values[1:-1:2]) + 2 * math.fsum(values[2:-1:2]))

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if above_half(middle) < p - 0.5 else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)
