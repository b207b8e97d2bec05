"""What the gate can notice, said beforehand, and "not worse" with a margin."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.core.gate import Gate
from loopwright.core.paired_tests import (
    betting_log_wealth,
    betting_log_wealths,
    betting_power,
    detectable_gain,
    sign_chance,
    sign_cut,
    sign_p,
    sign_passes,
    sign_power,
)


@pytest.mark.parametrize(("n", "win", "loss"), [(8, 0.7, 0.0), (20, 0.4, 0.1), (44, 0.3, 0.05), (30, 0.1, 0.1)])
def test_power_is_the_sum_over_all_outcomes(n: int, win: float, loss: float) -> None:
    level, total = 0.05 / 7, 0.0
    for w in range(n + 1):
        for lost in range(n + 1 - w):
            chance = math.comb(n, w) * math.comb(n - w, lost) * win**w * loss**lost * (1 - win - loss) ** (n - w - lost)
            total += chance * sign_passes(sign_p(w, lost), sign_cut(n, level))
    assert sign_power(n, win, loss, level) == pytest.approx(total, abs=1e-9)


def test_power_beyond_a_thousand_examples_goes_on_from_below() -> None:
    below, beyond = sign_power(1000, 0.08, 0.05, 0.01), sign_power(1001, 0.08, 0.05, 0.01)
    assert beyond == pytest.approx(below, abs=0.02)
    assert 0.5 < below < 0.95


@pytest.mark.parametrize(
    ("n", "one", "six"),  # of losses 0, 5 and 10%, as the page on the gate has them
    [(20, (31, 41, 49), (42, 51, 60)), (40, (16, 25, 31), (22, 33, 39)), (100, (8, 14, 17), (9, 17, 21))],
)
def test_the_detectable_gains_are_those_of_the_page(n: int, one: tuple[int, ...], six: tuple[int, ...]) -> None:
    for planned, expected in ((1, one), (6, six)):
        found = [Gate(planned=planned).detectable(n, losses=losses) for losses in (0.0, 0.05, 0.1)]
        assert [round(100 * gain) for gain in found if gain] == pytest.approx(expected, abs=1)


def test_what_is_announced_is_what_happens() -> None:
    gain = Gate().detectable(60, losses=0.05)
    assert gain is not None
    level = Gate().level()
    assert sign_power(60, gain + 0.05, 0.05, level) >= 0.8 > sign_power(60, gain + 0.05 - 0.002, 0.05, level)
    graded = Gate(graded=True).detectable(60, losses=0.05)
    assert graded is not None
    rng = random.Random(2)
    drawn = [[(u < graded + 0.05) - (u > 0.95) for u in (rng.random() for _ in range(60))] for _ in range(1500)]
    found = sum(betting_log_wealth([float(d) for d in row], level) >= -math.log(level) for row in drawn) / 1500
    assert found == pytest.approx(0.8, abs=0.035)


def test_smoother_grades_are_noticed_more_often_than_announced() -> None:
    rng, level = random.Random(4), 0.05 / 7
    smooth = [[min(1.0, max(-1.0, rng.gauss(0.3, 0.3))) for _ in range(40)] for _ in range(300)]
    found = sum(betting_log_wealth(row, level) >= -math.log(level) for row in smooth) / 300
    assert found > betting_power(40, 0.35, 0.05, level)


@given(st.lists(st.lists(st.floats(-1, 1), min_size=12, max_size=12), min_size=1, max_size=5))
def test_many_bettors_at_once_do_as_one_does(rows: list[list[float]]) -> None:
    import numpy as np

    need = math.log(20)
    for row, wealth in zip(rows, betting_log_wealths(np.array(rows), 0.05), strict=True):
        assert min(betting_log_wealth(row, 0.05), need) == pytest.approx(min(wealth, need), abs=1e-9)


def test_too_few_examples_notice_nothing() -> None:
    assert detectable_gain(5, 0.05 / 7) is None
    assert detectable_gain(5, 0.05 / 7, graded=True) is None


# ---- the sentence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "n", "said"),
    [
        (
            Gate(), 40,
            "With 40 gate examples and 6 planned looks, an offered candidate that is 33 points better (22 if nothing gets "
            "worse) is accepted 4 times in 5 until the first acceptance; afterwards it takes about 41. Smaller gains will mostly "
            "be missed: add gate examples, or plan fewer looks.",
        ),
        (
            Gate(planned=1), 100,
            "With 100 gate examples and 1 planned look, an offered candidate that is 14 points better (8 if nothing gets worse) "
            "is accepted 4 times in 5.",
        ),
        (
            Gate(planned=0), 400,
            "With 400 gate examples and an unknown number of looks, an offered candidate that is 6 points better (2 if nothing "
            "gets worse) is accepted 4 times in 5 at the first look; every later one takes more.",
        ),
        (
            Gate(), 1,
            "With 1 gate example and 6 planned looks, an offered candidate is rarely accepted: hardly any gain is noticed 4 "
            "times in 5. Add gate examples, or plan fewer looks.",
        ),
    ],
)  # fmt: skip
def test_the_notice_says_what_can_be_noticed(gate: Gate, n: int, said: str) -> None:
    assert gate.notice(n) == said
    assert (gate.looks, gate.level()) == (0, Gate(planned=gate.planned).level()), "telling spends nothing"


def test_the_notice_of_grades_says_that_it_is_a_bound() -> None:
    assert "is accepted at least 4 times in 5" in Gate(graded=True).notice(60)


def test_the_notice_with_a_margin_says_how_many_examples_that_takes() -> None:
    need = Gate(margin=0.05).fewest()
    few, many = Gate(margin=0.05).notice(40), Gate(margin=0.05).notice(200)
    assert f"only if it scores higher: one whose scores are all the same as before takes {need} gate examples" in few
    assert f"can be accepted as not worse by 0.05 or more (that takes {need})" in many
    grouped = Gate(margin=0.05, counts="groups").notice(1)
    assert grouped.startswith("With 1 group of gate examples and ") and f"takes {need} groups of gate examples" in grouped


# ---- not worse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("margin", "least"), [(0.02, 149), (0.05, 59), (0.1, 29)])
def test_no_margin_needs_less_than_any_test_could(margin: float, least: int) -> None:
    """Without a flip among n, a share of margin that gets worse is excluded at 0.05 from (1 - margin)^n <= 0.05 on."""
    need = Gate(margin=margin, planned=1).fewest()
    assert least <= need <= 1.6 * least
    assert Gate(margin=margin, planned=1).look([1.0] * need, [1.0] * need).accepted
    assert not Gate(margin=margin, planned=1).look([1.0] * (need - 1), [1.0] * (need - 1)).accepted


def test_not_worse_is_another_reason_than_better() -> None:
    decision = Gate(margin=0.05).look([1.0] * 300, [1.0] * 300)
    assert decision.accepted
    assert (decision.reason, decision.test, decision.margin) == ("not worse by 0.05 or more", "betting", 0.05)
    refused = Gate(margin=0.05).look([1.0] * 40, [1.0] * 40)
    assert refused.reason == "not shown to be less than 0.05 worse"
    assert Gate(margin=0.05).look([1.0] * 40, [0.0] * 40).reason == "worse"
    assert Gate().look([1.0] * 300, [1.0] * 300).margin is None


def test_a_loss_of_the_whole_margin_is_accepted_within_the_level_only() -> None:
    """The sign test would take twelve losses of one margin for nothing; every look is at its boundary here."""
    rng, accepted, runs = random.Random(8), 0, 400
    gate = Gate(margin=0.1, planned=1)
    level = gate.level()
    for _ in range(runs):
        # 10 points worse on average: 5% turn right, 15% turn wrong.
        drawn = [rng.random() for _ in range(80)]
        worse = [1.0 if u < 0.05 else -1.0 if u > 0.85 else 0.0 for u in drawn]
        accepted += betting_log_wealth(gate._bets(worse), level) >= -math.log(level)
    assert accepted / runs <= level + 2 * math.sqrt(level / runs)


def test_futility_with_a_margin_stops_at_a_loss_of_the_margin() -> None:
    gate = Gate(margin=0.25)
    assert not gate.futile([1.0, 1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0, 1.0])
    assert gate.futile([1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])
    assert gate.refuse_early([1.0, 1.0], [1.0, 0.0], of=6).reason == (
        "stopped early: worse by the margin on the first 2 of 6 gate examples"
    )


def test_margins_out_of_range_are_errors() -> None:
    for margin in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="margin must be above 0 and below 1"):
            Gate(margin=margin)


def test_the_chance_to_pass_a_screen_is_that_of_its_p_value() -> None:
    for n, win, loss, cut in ((20, 0.38, 0.05, 0.25), (21, 0.2, 0.0, 0.25), (3, 0.5, 0.2, 0.3)):
        exact = sum(
            math.comb(n, w) * math.comb(n - w, k) * win**w * loss**k * (1 - win - loss) ** (n - w - k)
            for w in range(n + 1) for k in range(n + 1 - w) if sign_p(w, k) <= cut
        )  # fmt: skip
        assert sign_chance(n, win, loss, cut) == pytest.approx(exact, abs=1e-9)
