"""The gate: nothing replaces the incumbent on luck.

Every look compares a candidate with the incumbent on the same held-out examples and tests "the candidate is no better":
scores that are 0 or 1 by the sign test at its unconditional size, graded scores by a betting test (``core.paired_tests``).
Which of the two is known from the checker's kind, before any score is there.

The gate split is asked again and again, and what a method does next may depend on earlier answers. So every look spends a
share of alpha. With ``planned`` looks to come the share is budget / (planned + 1), without a plan budget / (g + 1) at the
g-th look since the last acceptance. A refusal takes the share from the budget; an acceptance makes the share the budget. Let S(v)
bound the chance that the first false acceptance comes at or below state v: if the candidate there is no better,
S <= share + S(refused), otherwise S <= S(accepted) + S(refused), and both are at most the budget. So with probability 1 - alpha
no acceptance of the whole run was of a candidate that is no better, whatever the methods did with what they were told.

Nothing is dropped: an example without a score counts 0 for the candidate and 1 for the incumbent, so no kind of missing
score can make a candidate look better than it is.

A minimum effect stops gains that are real but not worth having: the measured mean difference must reach it as well.

With a ``margin`` the question is "not worse by the margin or more": the betting test on (d + margin) / (1 + margin), for verdicts
too, as the sign test does not hold there. The other side must then be the run's baseline, or what was last proved better:
against a chain of incumbents, small losses would add up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from loopwright.core.errors import InputError
from loopwright.core.feedback import Frozen
from loopwright.core.paired_tests import (
    betting_log_wealth,
    detectable_gain,
    fewest_wins,
    sign_cut,
    sign_p,
    sign_passes,
)
from loopwright.core.statistics import mean_interval, wilson

Side = Literal["incumbent", "candidate"]
MISSING_COUNTS: dict[Side, float] = {"incumbent": 1.0, "candidate": 0.0}


class Decision(Frozen):
    """One look. ``effect`` is the mean paired difference over all ``n`` examples, with its own 95% interval.

    ``p_value`` had to be at most ``needed``: of the sign test, or the reciprocal of the highest wealth of the betting test.
    ``level`` is the share of alpha that the look spent. Looks of earlier versions have an ``e_value`` and its ``threshold``
    instead, of a test called "mixture".
    """

    accepted: bool
    reason: str
    look: int
    effect: float
    low: float
    high: float
    n: int
    incumbent_score: float
    candidate_score: float
    test: Literal["sign", "betting", "mixture"] = "mixture"
    margin: float | None = None  # the loss that was refuted; None: "no better" was
    level: float | None = None
    p_value: float | None = None
    needed: float | None = None
    wins: int | None = None
    losses: int | None = None
    missing_incumbent: int = 0
    missing_candidate: int = 0
    early: bool = False  # refused on the first third of the examples
    e_value: float | None = None
    threshold: float | None = None

    @property
    def evidence(self) -> tuple[str, str]:
        """What the test found, and what it needed: "" for a look that ended before its test."""
        if self.p_value is not None and self.needed is not None:
            return f"p = {self.p_value:.2g}", f"{self.needed:.2g}"
        if self.e_value is not None and self.threshold is not None:
            return f"e = {self.e_value:.3g}", f"{self.threshold:.4g}"
        return "not tested", "" if self.needed is None else f"{self.needed:.2g}"


def counted(scores: Sequence[float | None], side: Side) -> list[float]:
    """What scores are worth in a comparison: a missing one counts 0 for the candidate and 1 for the incumbent.

    The one place that says so. A failed judgement, or no reply after all retries, must never speak for a change; what an answer
    that the policy failed to give is worth has been judged before.

    Args:
        scores: in [0, 1], None where there is none.
        side: whose they are.

    Returns:
        As many scores, none missing.
    """
    return [MISSING_COUNTS[side] if score is None else score for score in scores]


def as_verdicts(scores: Sequence[float | None], side: Side) -> list[float | None]:
    """Grades as verdicts that can only speak against a change: one between 0 and 1 is the candidate's 0, the incumbent's 1.

    For a test of verdicts that was chosen before the scores were there.

    Args:
        scores: in [0, 1], None where there is none.
        side: whose they are.

    Returns:
        0, 1 or None for each.
    """
    whole = math.ceil if side == "incumbent" else math.floor
    return [None if score is None else float(whole(score)) for score in scores]


def paired_differences(incumbent: Sequence[float | None], candidate: Sequence[float | None]) -> list[float]:
    """Candidate minus incumbent by example, missing scores as ``counted`` has them.

    Args:
        incumbent: scores in [0, 1] by example.
        candidate: those of the same examples in the same order.

    Returns:
        One difference in [-1, 1] for every example.
    """
    both = zip(counted(incumbent, "incumbent"), counted(candidate, "candidate"), strict=True)
    return [b - a for a, b in both]


def how_many(n: int, split: str, counts: str = "examples") -> str:
    """What a sample is the size of, in words: "14 gate examples", or "14 groups of gate examples" where a group counts as one.

    Args:
        n: how many were counted.
        split: that they are of.
        counts: "examples" or "groups".
    """
    if counts == "groups":
        return f"{n:,} group{'s' if n != 1 else ''} of {split} examples"
    return f"{n:,} {split} example{'s' if n != 1 else ''}"


class Gate:
    """Decides and remembers how often it was asked.

    Args:
        alpha: probability that anything no better is ever accepted in the run.
        min_effect: least mean gain worth having, in units of the score.
        planned: how many looks are expected; 0 where that is unknown. More than planned are as valid, at rising cost.
        graded: whether scores may lie between 0 and 1, as the checker's kind says.
        seed: chooses the order in which the betting test takes the examples, and which are the first third.
        margin: ask for "not worse than the baseline by the margin or more" instead of "better"; in units of the score.
        counts: what its messages say that it counts: "examples", or "groups" where each difference is that of a group.

    Raises:
        InputError: a setting is out of its range.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        min_effect: float = 0.01,
        planned: int = 6,
        graded: bool = False,
        seed: int = 0,
        margin: float | None = None,
        counts: Literal["examples", "groups"] = "examples",
    ) -> None:
        if not 0 < alpha < 1:
            raise InputError(f"alpha must be between 0 and 1, got {alpha}")
        if not 0 <= min_effect < 1:
            raise InputError(f"min_effect must be at least 0 and below 1, got {min_effect}")
        if planned < 0:
            raise InputError(f"planned must be a number of looks, or 0 where it is unknown, got {planned}")
        if margin is not None and not 0 < margin < 1:
            raise InputError(f"margin must be above 0 and below 1, or None to ask for better, got {margin}")
        self.alpha = alpha
        self.margin = margin
        self.min_effect = min_effect
        self.planned = planned  # looks still to come
        self.graded = graded
        self.seed = seed
        self.counts = counts
        self.looks = 0
        self.accepted = 0
        self.budget = alpha  # what later looks may spend together
        self._since = 1  # number of the next look since the last acceptance

    def level(self) -> float:
        """The share of alpha that the next look spends."""
        return self.budget / (self.planned + 1 if self.planned else self._since + 1)

    def _spend(self, share: float, accepted: bool) -> None:
        self.budget = share if accepted else self.budget - share
        self._since = 1 if accepted else self._since + 1
        self.planned = max(0, self.planned - 1)
        self.looks += 1
        self.accepted += accepted

    def order(self, keys: Sequence[str]) -> list[int]:
        """The positions of the examples in the order of a hash of seed and key, which no file's order can choose.

        Args:
            keys: what each example is known by.

        Returns:
            Every position once.
        """
        drawn = [hashlib.sha256(f"{self.seed}\n{key}".encode()).digest() for key in keys]
        return sorted(range(len(keys)), key=drawn.__getitem__)

    def first_third(self, keys: Sequence[str]) -> list[int]:
        """The positions of the examples that a look measures first, see ``futile``."""
        return self.order(keys)[: math.ceil(len(keys) / 3)]

    def futile(self, incumbent: Sequence[float | None], candidate: Sequence[float | None]) -> bool:
        """Whether scores of the first third show no gain at all (or a loss of the margin), so that the rest need not be measured.

        Stopping there can only refuse. It costs about one point of power and saves most of what a candidate without a gain costs.
        """
        return math.fsum(paired_differences(incumbent, candidate)) <= -(self.margin or 0.0) * len(incumbent)

    def look(
        self,
        incumbent: Sequence[float | None],
        candidate: Sequence[float | None],
        *,
        keys: Sequence[str] | None = None,
    ) -> Decision:
        """Compare scores of all gate examples, and spend the share of this look.

        Args:
            incumbent: scores in [0, 1] by example; a missing one counts 1.
            candidate: those of the same examples in the same order; a missing one counts 0.
            keys: what the examples are known by: the betting test takes them in ``order(keys)``. Their positions, if not given.

        Returns:
            The decision; ``accepted`` only if the test rejects "no better" and the effect reaches ``min_effect``, or with a
            margin, if the test rejects "worse by the margin".

        Raises:
            InputError: other than one score for each example on both sides, one outside of [0, 1], or one between 0 and 1
                where the gate was told that there are none.
        """
        keys = self._checked(incumbent, candidate, keys)
        differences = paired_differences(incumbent, candidate)
        share = self.level()
        wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
        if self.graded or self.margin is not None:
            needed = share
            wealth = betting_log_wealth(self._bets([differences[i] for i in self.order(keys)]), share)
            enough, p_value = wealth >= -math.log(share), math.exp(-wealth)
        else:
            needed, p_value = sign_cut(len(differences), share), sign_p(wins, losses)
            enough = sign_passes(p_value, needed)
        effect = math.fsum(differences) / len(differences)
        low, high = mean_interval(differences, low=-1.0, high=1.0)
        accepted = enough and (self.margin is not None or effect >= self.min_effect)
        if accepted:
            reason = "better" if self.margin is None else f"not worse by {self.margin:g} or more"
        elif high < 0:
            reason = "worse"
        elif not enough:
            reason = "not shown to be better" if self.margin is None else f"not shown to be less than {self.margin:g} worse"
        else:
            reason = f"better by less than the minimum effect of {self.min_effect:g}"
        return self._decide(
            incumbent, candidate, accepted=accepted, reason=reason, effect=effect, low=low, high=high, level=share,
            p_value=p_value, needed=needed, wins=wins, losses=losses,
        )  # fmt: skip

    def _bets(self, differences: Sequence[float]) -> list[float]:
        """What the betting test takes: above 0 on average exactly where the claim is true."""
        m = self.margin or 0.0
        return [(d + m) / (1 + m) for d in differences]

    def refuse_early(
        self,
        incumbent: Sequence[float | None],
        candidate: Sequence[float | None],
        *,
        of: int,
        keys: Sequence[str] | None = None,
    ) -> Decision:
        """Refuse on the scores of the first third; the share of this look is spent as by any refusal.

        Args:
            incumbent: scores of the first examples only.
            candidate: those of the same examples in the same order.
            of: how many gate examples there are in all.
            keys: what these examples are known by, for error messages.

        Returns:
            The refusal, its figures over the examples that were measured.

        Raises:
            InputError: as ``look``.
        """
        self._checked(incumbent, candidate, keys)
        differences = paired_differences(incumbent, candidate)
        low, high = mean_interval(differences, low=-1.0, high=1.0)
        return self._decide(
            incumbent, candidate, accepted=False, early=True, low=low, high=high, level=self.level(),
            reason=f"stopped early: {'no better' if self.margin is None else 'worse by the margin'} on the first "
            f"{len(differences)} of {how_many(of, 'gate', self.counts)}",
            effect=math.fsum(differences) / len(differences),
            wins=sum(d > 0 for d in differences), losses=sum(d < 0 for d in differences),
        )  # fmt: skip

    def _decide(
        self,
        incumbent: Sequence[float | None],
        candidate: Sequence[float | None],
        *,
        accepted: bool,
        reason: str,
        effect: float,
        low: float,
        high: float,
        level: float,
        wins: int,
        losses: int,
        p_value: float | None = None,
        needed: float | None = None,
        early: bool = False,
    ) -> Decision:
        self._spend(level, accepted)
        n = len(incumbent)
        return Decision(
            accepted=accepted, reason=reason, look=self.looks, effect=effect, low=low, high=high, n=n,
            incumbent_score=math.fsum(counted(incumbent, "incumbent")) / n,
            candidate_score=math.fsum(counted(candidate, "candidate")) / n,
            test="betting" if self.graded or self.margin is not None else "sign", margin=self.margin,
            level=level, p_value=p_value, needed=needed,
            wins=wins, losses=losses, early=early,
            missing_incumbent=sum(s is None for s in incumbent), missing_candidate=sum(s is None for s in candidate),
        )  # fmt: skip

    def _checked(
        self,
        incumbent: Sequence[float | None],
        candidate: Sequence[float | None],
        keys: Sequence[str] | None,
    ) -> Sequence[str]:
        n = len(incumbent)
        keys = [str(i) for i in range(n)] if keys is None else keys
        if not n == len(candidate) == len(keys):
            raise InputError(
                "paired scores of the same examples expected, "
                f"got {n} of the incumbent, {len(candidate)} of the candidate, and {len(keys)} examples"
            )
        if not n:
            raise InputError("the gate needs at least one example, got none")
        for side, scores in (("incumbent", incumbent), ("candidate", candidate)):
            for key, score in zip(keys, scores, strict=True):
                if score is None:
                    continue
                if not 0 <= score <= 1:
                    raise InputError(
                        f"example {key}: the {side}'s score is {score:g}; the gate takes scores from 0 to 1. Scale the metric"
                    )
                if not self.graded and score not in (0, 1):
                    raise InputError(
                        f"example {key}: the {side}'s score is {score:g}, but the gate was told that every score is 0 or 1; "
                        "declare the metric as graded"
                    )
        return keys

    def fewest(self) -> int:
        """How many gate examples the next look needs to accept anything.

        Even if every answer turns from wrong to right; with a margin, if none changes, so that a gain may do with fewer.
        """
        level, high = self.level(), 1
        while not self._could_accept(high, level):
            high *= 2
        low = high // 2  # not enough, as 0 is not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._could_accept(middle, level) else (middle, high)
        return high

    def _could_accept(self, n: int, level: float) -> bool:
        if self.margin is not None:
            return betting_log_wealth(self._bets([0.0] * n), level) >= -math.log(level)
        if self.graded:
            return betting_log_wealth([1.0] * n, level) >= -math.log(level)
        return fewest_wins(n, level) is not None

    def detectable(self, n: int, *, losses: float = 0.0, level: float | None = None) -> float | None:
        """The smallest gain that n gate examples notice 4 times in 5.

        Args:
            n: number of gate examples.
            losses: share of examples that turn from right to wrong.
            level: share of alpha of the look; that of the next look if not given.

        Returns:
            The mean gain, None if even the greatest is noticed less often. For graded scores it is an upper bound: scores
            that move by less than from 0 to 1 spread less.
        """
        return detectable_gain(n, self.level() if level is None else level, losses, graded=self.graded)

    def notice(self, n: int) -> str:
        """What the gate can notice, to be said before a run.

        Args:
            n: number of gate examples.

        Returns:
            One or more sentences; the last one advises where that is little.
        """
        looks = f"{self.planned} planned look{'s' if self.planned != 1 else ''}" if self.planned else "an unknown number of looks"
        begin = f"With {how_many(n, 'gate', self.counts)} and {looks}, an offered candidate "
        more = f"gate examples{' of further groups' if self.counts == 'groups' else ''}"
        if self.margin is not None:
            need = self.fewest()
            if n >= need:
                return (
                    f"{begin}whose scores are all the same as before can be accepted as not worse by {self.margin:g} or more "
                    f"(that takes {need}); with every score that falls it takes more."
                )
            return (
                f"{begin}can be accepted as not worse by {self.margin:g} or more only if it scores higher: one whose "
                f"scores are all the same as before takes {how_many(need, 'gate', self.counts)}. Add {more}, or raise margin."
            )
        usual, best = self.detectable(n, losses=0.05), self.detectable(n)
        least = "at least " if self.graded else ""
        if usual is None:
            reach = f"only one that is {_points(best)} points better and never worse" if best is not None else "hardly any gain"
            return f"{begin}is rarely accepted: {reach} is noticed 4 times in 5. Add {more}, or plan fewer looks."
        told = (
            f"{begin}that is {_points(usual)} points better ({_points(best)} if nothing gets worse) is accepted {least}"
            "4 times in 5"
        )
        if not self.planned:
            told += " at the first look; every later one takes more"
        elif self.planned > 1:
            after = Gate(alpha=self.alpha, planned=self.planned, graded=self.graded)
            after._spend(after.level(), True)
            later = self.detectable(n, losses=0.05, level=after.level())
            told += " until the first acceptance; afterwards it takes "
            told += f"about {_points(later)}" if later else "more examples"
        if usual > 0.3:
            told += f". Smaller gains will mostly be missed: add {more}"
            told += ", or plan fewer looks" if self.planned > 1 else ""
        return told + "."


def _points(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.0f}"


class Interval(Frozen):
    """A mean with its interval. ``missing`` counts the examples without a score."""

    score: float
    low: float
    high: float
    n: int = Field(ge=0)
    missing: int = 0


def summarise(scores: Sequence[float | None], *, side: Side | None = None, level: float = 0.95) -> Interval:
    """Mean of scores in [0, 1] with its interval: Wilson's where every score is 0 or 1, otherwise that of ``mean_interval``.

    Args:
        scores: of independent examples, None where there is none.
        side: of a comparison whose figure this is: missing scores are ``counted`` accordingly. None: they are left out,
            as for attempts of a method, where nothing is compared.
        level: coverage of the interval.

    Returns:
        The mean over ``n`` scores, and how many were missing.
    """
    missing = sum(s is None for s in scores)
    known = [s for s in scores if s is not None] if side is None else counted(scores, side)
    n = len(known)
    if not n:
        return Interval(score=0.0, low=0.0, high=1.0, n=0, missing=missing)
    proportion = all(s in (0.0, 1.0) for s in known)
    low, high = wilson(int(sum(known)), n, level=level) if proportion else mean_interval(known, level=level)
    return Interval(score=math.fsum(known) / n, low=low, high=high, n=n, missing=missing)
