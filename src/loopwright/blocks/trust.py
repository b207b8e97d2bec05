"""Whether a judge can be trusted: doubts about one while it judges, and what its judgements of labelled answers show."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from loopwright.core.errors import InputError
from loopwright.core.heard import Heard
from loopwright.core.statistics import log_e_above

Knots = Sequence[tuple[float, float]]

_MANY = 0.1  # share of judgements that are missing or contradict themselves, above which a judge is doubted
_ALL = 0.85  # of praised answers
_FAVOUR = 0.65  # of comparisons won by the one shown first
_LEAST = 20  # judgements before one is doubted
_SURE = math.log(20)  # log e-value of a doubt; chance that a judge which deserves none is ever doubted for it: 1/20


def doubts(heard: Heard) -> dict[str, str]:
    """Reasons to doubt a judge by what was heard of it.

    Asked anew after every judgement, so each rests on an e-value, which may be looked at as often as one likes: the chance that a
    share which is not beyond its limit is ever called so, over the whole run, is at most 1/20.

    Args:
        heard: counts so far.

    Returns:
        What is doubted and why, in words; empty before 20 judgements of the kind.
    """

    def beyond(count: int, n: int, limit: float, *, sure: float = _SURE) -> bool:
        return n >= _LEAST and log_e_above(count, n, limit) >= sure

    found: dict[str, str] = {}
    if beyond(heard.missing, heard.asked, _MANY):
        found["unreadable"] = (
            f"gave no usable judgement in {heard.missing} of {heard.asked} cases; these are missing, not zeros. "
            "Allow more max_tokens, or ask for a simpler form"
        )
    if beyond(heard.contradicted, heard.repeated, _MANY):
        found["contradicts"] = f"contradicted itself in {heard.contradicted} of {heard.repeated} cases that it was asked again"
    if beyond(heard.praised, heard.rated, _ALL):
        found["praises"] = (
            f"praised {heard.praised} of {heard.rated} answers: they are all good, or it praises everything. "
            "loopwright judge-report tells which"
        )
    for which, count in (("first", heard.first), ("last", heard.compared - heard.first)):
        if beyond(count, heard.compared, _FAVOUR, sure=_SURE + math.log(2)):  # one of two that are asked
            found["position"] = (
                f"preferred the answer shown {which} in {count} of {heard.compared} comparisons; show it both orders"
            )
    return found


# ---- against labels ---------------------------------------------------------------------------------------------------


def auc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """How often a value of ``right`` is above one of ``wrong``, ties counting half. Raises InputError where one is empty."""
    if not right or not wrong:
        raise InputError(f"expected values of both kinds, got {len(right)} and {len(wrong)}")
    return math.fsum((a > b) + (a == b) / 2 for a in right for b in wrong) / (len(right) * len(wrong))


def auc_interval(right: Sequence[float], wrong: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """Interval of ``auc``: the values that its score test does not reject.

    The variance is that of Hanley and McNeil (Radiology 1982) at the value that is tested, with both counts replaced by their
    mean: method 5 of Newcombe (Statistics in Medicine 25, 2006, 559). With ten values of each kind it covers in 95 to 96 of 100
    draws, where the variance at the estimate covers in 89 to 92.

    Args:
        right: values of one kind.
        wrong: of the other.
        level: coverage.

    Returns:
        Both ends, within [0, 1].

    Raises:
        InputError: one of them is empty.
    """
    estimate, n, m = auc(right, wrong), len(right), len(wrong)
    z, more = NormalDist().inv_cdf(0.5 + level / 2), (n + m) / 2 - 1

    def rejected(value: float) -> bool:
        variance = value * (1 - value) / (n * m) * (1 + more * (1 - value) / (2 - value) + more * value / (1 + value))
        return abs(estimate - value) > z * math.sqrt(variance)

    def end(outer: float) -> float:
        inner = estimate
        for _ in range(50):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if rejected(middle) else (middle, outer)
        return inner

    return (end(0.0) if estimate > 0 else 0.0), (end(1.0) if estimate < 1 else 1.0)


def kappa(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Cohen's kappa: agreement beyond what the two raters' shares of yes give by chance. NaN where both say but one thing.

    Raises InputError where the lengths differ or nothing was rated.
    """
    n = len(first)
    if n != len(second) or not n:
        raise InputError(f"expected as many ratings of both, got {n} and {len(second)}")
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    p, q = sum(first) / n, sum(second) / n
    chance = p * q + (1 - p) * (1 - q)
    return math.nan if chance == 1.0 else (observed - chance) / (1 - chance)


def disagreement(readings: Sequence[Sequence[float]], threshold: float = 0.5) -> tuple[int, int]:
    """Of all pairs of readings of one item: how many lie on different sides of the threshold, and how many pairs there are."""
    apart = pairs = 0
    for item in readings:
        above = sum(r >= threshold for r in item)
        apart += above * (len(item) - above)
        pairs += len(item) * (len(item) - 1) // 2
    return apart, pairs


def length_effect(values: Sequence[float], lengths: Sequence[int], labels: Sequence[bool]) -> list[float]:
    """Of each pair of answers with one label, the longer one's value less the shorter one's; each answer is in one pair.

    Sorted by length, the upper half of each label is paired with the lower half: what is left is not that right answers are
    longer than wrong ones. Empty where no label has two answers of different length.
    """
    out: list[float] = []
    for label in (False, True):
        group = sorted((n, v) for v, n, y in zip(values, lengths, labels, strict=True) if y == label)
        half = len(group) // 2
        short, long = group[:half], group[len(group) - half :]
        out += [b[1] - a[1] for a, b in zip(short, long, strict=True) if b[0] > a[0]]
    return out


# ---- calibration ------------------------------------------------------------------------------------------------------


def isotonic(values: Sequence[float], labels: Sequence[float]) -> list[tuple[float, float]]:
    """Knots (value, share that is right) of the non-decreasing map that fits the labels best in squares.

    Pool adjacent violators (Ayer et al. 1955); the knots are the ends of each pool. Raises InputError without values.
    """
    if not values:
        raise InputError("expected labelled values to calibrate on, got none")
    pools: list[list[float]] = []  # sum of labels, count, lowest value, highest value
    by_value: dict[float, list[float]] = {}
    for value, label in zip(values, labels, strict=True):
        by_value.setdefault(value, []).append(label)
    for value in sorted(by_value):
        pools.append([math.fsum(by_value[value]), float(len(by_value[value])), value, value])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            total, count, _, high = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + count, pools[-1][2], high]
    ends = [(v, s / n) for s, n, low, high in pools for v in ((low,) if low == high else (low, high))]
    return [(v, min(max(p, 0.0), 1.0)) for v, p in ends]


def calibrated(knots: Knots, value: float) -> float:
    """Where a value lies on the map: straight between knots, flat beyond the outer ones."""
    at = bisect_right([v for v, _ in knots], value)
    if at == 0:
        return knots[0][1]
    if at == len(knots):
        return knots[-1][1]
    (a, p), (b, q) = knots[at - 1], knots[at]
    return p + (q - p) * (value - a) / (b - a)


def calibration_error(values: Sequence[float], labels: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error: over equal bins of [0, 1], the mean distance of value and share right, by count.

    Guo et al., arXiv:1706.04599, equation 3. Raises InputError without values.
    """
    if not values:
        raise InputError("expected values to compare with labels, got none")
    groups: dict[int, list[tuple[float, float]]] = {}
    for value, label in zip(values, labels, strict=True):
        groups.setdefault(min(int(value * bins), bins - 1), []).append((value, label))
    return math.fsum(abs(math.fsum(v for v, _ in g) - math.fsum(y for _, y in g)) for g in groups.values()) / len(values)


def read_knots(data: object) -> Mapping[str, Knots]:
    """Calibrations by judge, as ``judge-report --calibrate`` writes them. Raises InputError for anything else."""
    if isinstance(data, dict) and all(
        isinstance(k, str) and isinstance(v, list) and v and all(isinstance(p, list) and len(p) == 2 for p in v)
        for k, v in data.items()
    ):
        return {k: tuple((float(a), float(b)) for a, b in v) for k, v in data.items()}
    raise InputError("expected the file that loopwright judge-report --calibrate FILE writes")
