"""The gate: nothing replaces the incumbent on luck.

Every look compares a candidate with the incumbent on the same held-out examples. The differences d_i in [-1, 1] are
tested against "the mean is at most 0" with a betting e-value,

    E = mean over f of prod_i (1 + f d_i),   f uniform on (0, 1),

which has expectation at most 1 under the null for any distribution of bounded differences and any sample size
(Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024, section 4; Markov's
inequality gives P(E >= 1/a) <= a). No normal approximation, no exchangeable-sign assumption: a graded score is as
welcome as pass or fail.

The gate split is asked again and again, and what a method does next may depend on earlier answers. Only accepted or
not is ever told, so before look k with j acceptances so far there are C(k-1, j) histories that could have led there. Each is
given its share of the error rate in advance,

    a(k, j) = a / (k (k+1) * k * C(k-1, j)),   and   sum_k sum_j C(k-1, j) a(k, j) = a,

a union bound over transcripts (the description-length argument of Dwork et al., "Generalization in adaptive data
analysis and holdout reuse", NeurIPS 2015). So with probability 1 - a no acceptance of the whole run was of a candidate
that is not better, however many were offered.

An example that only the candidate left without a score (it gave no usable answer) is a gain nowhere: it enters as the
loss of what the incumbent had there. Otherwise a candidate could look better by keeping silent where it is weak.

A minimum effect stops gains that are real but not worth having: the measured mean difference must reach it as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from loopwright.core.feedback import Frozen
from loopwright.core.statistics import betting_log_e, mean_interval


class Decision(Frozen):
    """One look. ``effect`` is the mean paired difference with its 95% interval; ``e_value`` had to reach ``threshold``."""

    accepted: bool
    reason: str
    look: int
    effect: float
    low: float
    high: float
    e_value: float
    threshold: float
    n: int
    incumbent_score: float
    candidate_score: float


class Gate:
    """Decides and remembers how often it was asked.

    alpha: probability that anything not better is ever accepted in the run.
    min_effect: least mean gain worth having, in units of the score.
    """

    def __init__(self, *, alpha: float = 0.05, min_effect: float = 0.01) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
        self.alpha = alpha
        self.min_effect = min_effect
        self.looks = 0
        self.accepted = 0

    def next_alpha(self) -> float:
        """The share of alpha that the next look may spend."""
        k, j = self.looks + 1, self.accepted
        return self.alpha / (k * (k + 1) * k * math.comb(k - 1, j))

    def look(self, incumbent: Sequence[float | None], candidate: Sequence[float | None]) -> Decision:
        """Compare scores in [0, 1] of the same examples in the same order.

        A pair without the incumbent's score is dropped; one without the candidate's alone counts against it.
        """
        if len(incumbent) != len(candidate):
            raise ValueError(f"paired scores of the same examples expected, got {len(incumbent)} and {len(candidate)}")
        pairs = [(a, b) for a, b in zip(incumbent, candidate, strict=True) if a is not None and b is not None]
        level = self.next_alpha()
        self.looks += 1
        if not pairs:
            return Decision(
                accepted=False, reason="no example was scored for both", look=self.looks, effect=0.0, low=-1.0, high=1.0,
                e_value=0.0, threshold=1 / level, n=0, incumbent_score=0.0, candidate_score=0.0,
            )  # fmt: skip
        silent = [a for a, b in zip(incumbent, candidate, strict=True) if a is not None and b is None]
        differences = [b - a for a, b in pairs] + [-a for a in silent]
        effect = math.fsum(differences) / len(differences)
        low, high = mean_interval(differences, low=-1.0, high=1.0)
        log_e = betting_log_e(differences)
        e_value = math.exp(min(log_e, 700.0))
        enough = log_e >= -math.log(level)
        accepted = enough and effect >= self.min_effect
        if accepted:
            self.accepted += 1
            reason = "better"
        elif high < 0:
            reason = "worse"
        elif not enough:
            reason = "not shown to be better"
        else:
            reason = f"better by less than the minimum effect of {self.min_effect:g}"
        return Decision(
            accepted=accepted, reason=reason, look=self.looks, effect=effect, low=low, high=high,
            e_value=e_value, threshold=1 / level, n=len(pairs),
            incumbent_score=math.fsum(a for a, _ in pairs) / len(pairs),
            candidate_score=math.fsum(b for _, b in pairs) / len(pairs),
        )  # fmt: skip


class Interval(Frozen):
    """A mean with its interval. ``missing`` counts examples without a score; they are in neither."""

    score: float
    low: float
    high: float
    n: int = Field(ge=0)
    missing: int = 0


def summarise(scores: Sequence[float | None], *, level: float = 0.95) -> Interval:
    """Mean of scores in [0, 1] with its interval."""
    known = [s for s in scores if s is not None]
    missing = len(scores) - len(known)
    if not known:
        return Interval(score=0.0, low=0.0, high=1.0, n=0, missing=missing)
    low, high = mean_interval(known, level=level)
    return Interval(score=math.fsum(known) / len(known), low=low, high=high, n=len(known), missing=missing)
