"""Figures of a judge against tables that were worked out by hand."""

import math
import random
from statistics import NormalDist

import pytest

from loopwright.blocks import trust
from loopwright.core.errors import InputError
from loopwright.core.feedback import Missing, Preference, Rater, Score, Verdict
from loopwright.core.heard import Heard
from loopwright.core.statistics import log_e_above

JUDGE = Rater(kind="model", name="judge")


def test_auc():
    assert trust.auc([1.0, 0.5], [0.5, 0.0]) == 3.5 / 4
    low, high = trust.auc_interval([1.0] * 40, [0.0] * 40)
    assert 0.9 < low < 1.0 == high
    with pytest.raises(InputError):
        trust.auc([1.0], [])


@pytest.mark.parametrize(("n", "m", "shift"), [(5, 5, 0.0), (5, 5, 2.0), (10, 10, 1.0), (30, 30, 0.5)])
def test_the_interval_of_an_auc_covers_with_few_answers(n: int, m: int, shift: float) -> None:
    rng, truth = random.Random(1), NormalDist().cdf(shift / math.sqrt(2))
    covered = 0
    for _ in range(600):
        right, wrong = [rng.gauss(shift, 1) for _ in range(n)], [rng.gauss(0, 1) for _ in range(m)]
        low, high = trust.auc_interval(right, wrong)
        assert 0 <= low <= trust.auc(right, wrong) <= high <= 1
        covered += low <= truth <= high
    assert covered / 600 > 0.93


def test_the_interval_of_an_auc_mirrors_and_ends_where_it_can() -> None:
    right, wrong = [3.0, 2.0, 2.0, 5.0], [1.0, 2.0, 4.0]
    low, high = trust.auc_interval(right, wrong)
    assert trust.auc_interval(wrong, right) == pytest.approx((1 - high, 1 - low))
    assert trust.auc_interval([0.0], [1.0])[0] == 0.0 and trust.auc_interval([1.0], [0.0])[1] == 1.0


def test_kappa():
    # 20 both yes, 5 and 10 one yes, 15 both no: observed 0.7, by chance 0.5
    a = [True] * 25 + [False] * 25
    b = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert trust.kappa(a, b) == pytest.approx(0.4)
    assert math.isnan(trust.kappa([True, True], [True, True]))


def test_disagreement():
    assert trust.disagreement([(1.0, 0.0, 1.0), (0.2, 0.3), (1.0,)]) == (2, 4)


def test_length_is_compared_within_a_label():
    # the right answers are the longer ones, and among equals the judge does not care
    assert trust.length_effect([0, 0, 1, 1], [1, 2, 8, 9], [False, False, True, True]) == [0, 0]
    assert trust.length_effect([0.1, 0.4, 0.5, 0.9], [1, 2, 8, 9], [True] * 4) == pytest.approx([0.4, 0.5])
    assert trust.length_effect([1, 0], [5, 5], [True, True]) == []


def test_isotonic():
    knots = trust.isotonic([1, 2, 3, 4], [0, 1, 0, 1])
    assert knots == [(1, 0.0), (2, 0.5), (3, 0.5), (4, 1.0)]
    assert [trust.calibrated(knots, x) for x in (0, 1.5, 2.5, 3.5, 9)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert trust.isotonic([0.7, 0.7], [1, 0]) == [(0.7, 0.5)]


def test_calibration_error():
    assert trust.calibration_error([0.9, 0.9, 0.1], [1, 0, 0]) == pytest.approx((0.8 + 0.1) / 3)


def heard(*said):
    made = Heard()
    for one in said:
        made.add(one)
    return trust.doubts(made)


def test_doubts():
    good = Score(value=1.0, by=JUDGE)
    assert heard() == heard(*[good] * 12) == {}
    assert set(heard(*[good] * 30)) == {"praises"}
    assert set(heard(*[Verdict(passed=True, by=JUDGE)] * 30)) == {"praises"}
    missing, usable = Missing(expected="score", message="no JSON", by=JUDGE), Score(value=0.2, by=JUDGE)
    assert set(heard(*[missing] * 15, *[usable] * 5)) == {"unreadable"}
    torn = Score(value=0.5, by=JUDGE, readings=(0.0, 1.0))
    assert set(heard(*[torn] * 20)) == {"contradicts"} and heard(*[torn] * 19) == {}
    assert heard(*[Score(value=0.5, by=JUDGE, readings=(0.3, 0.7))] * 30) == {}
    first = Preference(chosen="a", rejected="b", shown=("a", "b"), by=JUDGE)
    last = Preference(chosen="b", rejected="a", shown=("a", "b"), by=JUDGE)
    assert set(heard(*[first] * 20)) == set(heard(*[last] * 20)) == {"position"}
    assert "shown last in 20 of 20" in heard(*[last] * 20)["position"]
    assert heard(*[first.model_copy(update={"tie": True})] * 30) == heard(*[first, last] * 30) == {}


def test_the_first_judgements_doubt_nobody():
    missing = Missing(expected="score", message="no JSON", by=JUDGE)
    for count in range(1, 20):
        assert heard(*[missing] * count) == {}
    assert set(heard(*[missing] * 20)) == {"unreadable"}


def ever_doubted(share: float, *, limit: float, cases: int) -> float:
    """The chance that the e-value ever reaches 20 in so many cases of a judge with this share, exactly: what has not been
    stopped yet is carried on case by case."""
    waiting, stopped = {0: 1.0}, 0.0
    for n in range(1, cases + 1):
        after: dict[int, float] = {}
        for count, chance in waiting.items():
            after[count + 1] = after.get(count + 1, 0.0) + chance * share
            after[count] = after.get(count, 0.0) + chance * (1 - share)
        waiting = {}
        for count, chance in after.items():
            if n >= 20 and log_e_above(count, n, limit) >= math.log(20):
                stopped += chance
            else:
                waiting[count] = chance
    return stopped


def test_a_judge_that_deserves_no_doubt_is_hardly_ever_doubted_however_often_one_looks():
    assert ever_doubted(0.05, limit=0.1, cases=250) < 0.001
    assert ever_doubted(0.1, limit=0.1, cases=250) <= 0.05
    assert ever_doubted(0.85, limit=0.85, cases=250) <= 0.05
    assert ever_doubted(0.25, limit=0.1, cases=100) > 0.85, "and one that does is"


def test_the_e_value_has_mean_one_at_the_limit():
    for limit in (0.1, 0.65):
        mean = sum(
            math.comb(30, k) * limit**k * (1 - limit) ** (30 - k) * math.exp(log_e_above(k, 30, limit)) for k in range(31)
        )
        assert mean == pytest.approx(1.0)
    assert log_e_above(0, 0, 0.3) == 0.0
