"""The intervals that every report stands on. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike
else:
    np = lazy("numpy")

_STEP = 0.08  # of the integral of Gaffke's p-value
_DISTINCT = 1000  # values in an interval that are told apart


def wilson(successes: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (JASA 1927)."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def log_e_above(count: int, n: int, limit: float) -> float:
    """Log e-value of "a share is above the limit", from counts that may be looked at after every case.

    The likelihood of shares p above the limit over that of the limit itself, averaged over p. Under any share up to the limit
    it is a nonnegative supermartingale, so it ever reaches 1/a with probability at most a (Ville; Howard, Ramdas, McAuliffe
    and Sekhon, Annals of Statistics 2021, on mixtures of this kind).

    Args:
        count: cases so far that have the property.
        n: cases so far.
        limit: in (0, 1).

    Returns:
        The logarithm of the e-value, 0 without a case.
    """
    shares = [limit + (1 - limit) * (i + 0.5) / 64 for i in range(64)]
    logs = [count * math.log(p / limit) + (n - count) * math.log((1 - p) / (1 - limit)) for p in shares]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(log - top) for log in logs) / len(logs))


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
    mean = float(np.average(distinct, weights=counts))
    if mean <= 0:
        return 0.0

    def over(log_m: float) -> float:
        m = math.exp(log_m)
        return math.log(max(gaffke_p((distinct - m) / m, counts), 1e-300) / tail)

    # log p rises with log m, nearly on a line: regula falsi, an end that stays twice counting half (the Illinois rule).
    above = math.log(mean)
    high = over(above)
    below, low = above - 1, over(above - 1)
    while low > 0:
        above, high = below, low
        below -= 2
        low = over(below)
    kept = 0
    while above - below > 1e-10 and high > 0:
        middle = above - high * (above - below) / (high - low)
        value = over(middle)
        if abs(value) < 1e-9:
            return math.exp(middle)
        if value <= 0:
            below, low, high, kept = middle, value, high / 2 if kept < 0 else high, -1
        else:
            above, high, low, kept = middle, value, low / 2 if kept > 0 else low, 1
    return math.exp(below)


def gaffke_p(differences: ArrayLike, counts: ArrayLike | None = None) -> float:
    """Gaffke's p-value of "the mean is at most 0" for independent values of at least -1.

    P(E_0 >= sum E_i d_i) with standard exponential E_i, by the inversion of its transform along Re z = c, where it is least on
    the real axis, so that little cancels. Equal to the sign test's where all values are -1, 0 or 1.

    Args:
        differences: each at least -1.
        counts: how often each value occurs; once where not given.

    Returns:
        The p-value, good to five digits or more.
    """
    d = np.asarray(differences, dtype=float)
    w = np.ones_like(d) if counts is None else np.asarray(counts, dtype=float)
    low, high, c = 1e-12, 1 - 1e-12, 0.5
    for _ in range(60):  # Newton's method within a bracket: the logarithm is convex
        part = d / (1 + c * d)
        slope = 1 / (1 - c) - 1 / c - float(w @ part)
        curve = 1 / c**2 + 1 / (1 - c) ** 2 + float(w @ (part * part))
        low, high = (low, c) if slope > 0 else (c, high)
        if abs(slope) < 1e-6 * math.sqrt(curve):
            break
        step = c - slope / curve
        c = step if low < step < high else (low + high) / 2
    width = curve**-0.5

    def logs(x: np.ndarray) -> np.ndarray:
        z = c + 1j * width * np.sinh(x)
        found: np.ndarray = np.log(width * np.cosh(x)) - np.log(z) - np.log(1 - z) - np.log(1 + z[:, None] * d[None, :]) @ w
        return found

    # As far out as the integrand counts.
    outward = logs(np.arange(0.0, 31.0)).real
    far = float(np.argmax(outward < outward[0] - 26)) or 30.0
    return float(np.exp(logs(np.arange(_STEP / 2, far, _STEP))).real.sum()) * _STEP / math.pi


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


def two_way_interval(
    table: Sequence[Mapping[str, float]], *, level: float = 0.95, exact: bool = False
) -> tuple[float, float]:
    """Interval for the mean over seeds of the mean over questions, where the same question may be asked with several seeds.

    Values of one question are alike whatever the seed, so seeds that share questions are not independent. The variance is
    clustered both ways, V_seed + V_question - V_both (Cameron, Gelbach and Miller, Journal of Business and Economic
    Statistics 2011), at least the larger of the first two, and Student's quantile is that of the fewer clusters. Where no
    question comes twice it is Student's interval over seeds, or wider if there are fewer questions than seeds.

    Args:
        table: for every seed, a value by question: of a paired comparison, the difference.
        level: coverage.
        exact: as ``t_interval`` has it.

    Returns:
        Both ends; infinite with fewer than two seeds or questions, or with a spread of 0 where the values are not exact.
    """
    seeds = len(table)
    means = [math.fsum(row.values()) / len(row) for row in table]
    questions: dict[str, float] = {}
    both, middle = 0.0, math.fsum(means) / max(seeds, 1)
    for row in table:
        for question, value in row.items():
            part = (value - middle) / (seeds * len(row))
            questions[question] = questions.get(question, 0.0) + part
            both += part * part
    if seeds < 2 or len(questions) < 2:
        return -math.inf, math.inf

    def clustered(parts: Sequence[float]) -> float:
        return math.fsum(part * part for part in parts) * len(parts) / (len(parts) - 1)

    by_seed = clustered([(mean - middle) / seeds for mean in means])
    by_question = clustered(list(questions.values()))
    pairs = sum(len(row) for row in table)
    variance = max(by_seed, by_question, by_seed + by_question - both * pairs / (pairs - 1))
    if variance <= 1e-24 * max(1.0, middle * middle):
        return (middle, middle) if exact else (-math.inf, math.inf)
    half = _t_quantile(0.5 + level / 2, min(seeds, len(questions)) - 1) * math.sqrt(variance)
    return middle - half, middle + half


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
