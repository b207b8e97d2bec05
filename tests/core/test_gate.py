"""Nothing replaces the incumbent on luck, and a real gain gets through."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.core.gate import Decision, Gate, counted, paired_differences, summarise

verdicts = st.lists(st.tuples(st.none() | st.sampled_from([0.0, 1.0]), st.none() | st.sampled_from([0.0, 1.0])), min_size=1)
grades = st.lists(st.tuples(st.none() | st.floats(0, 1), st.none() | st.floats(0, 1)), min_size=1, max_size=40)
Scores = Sequence[float | None]


# ---- shares of alpha -----------------------------------------------------------------------------------------------------


def shares(answers: Sequence[bool], planned: int) -> Iterator[float]:
    gate = Gate(planned=planned)
    for accepted in answers:
        share = gate.level()
        yield share
        gate._spend(share, accepted)
    yield gate.level()


def test_the_shares_are_those_that_the_page_says() -> None:
    assert [round(1 / s) for s in shares([False] * 5, 6)] == [140] * 6
    for k in range(1, 6):
        after = list(shares([False] * (k - 1) + [True], 6))[-1]
        assert 1 / after == pytest.approx(140 * (7 - k)), f"after an acceptance at look {k}"
    assert [round(1 / s) for s in shares([False] * 4, 0)] == [40, 120, 240, 400, 600]
    assert [round(1 / s) for s in shares([], 1)] == [40]


@pytest.mark.parametrize("planned", [0, 1, 3, 6])
def test_the_first_false_acceptance_stays_below_alpha_over_every_tree_of_answers(planned: int) -> None:
    """The worst nature, which chooses at every node whether the candidate is a null that passes with probability ``share``,
    or one whose answer it sets itself, by what it knows of the answers so far: by dynamic programming, sixteen looks deep."""

    @cache
    def worst(budget: float, left: int, since: int, depth: int) -> float:
        if depth == 0:
            return 0.0
        gate = Gate(planned=left)
        gate.budget, gate._since = budget, since
        share = gate.level()

        def beyond(accepted: bool) -> float:
            after = Gate(planned=left)
            after.budget, after._since = budget, since
            after._spend(share, accepted)
            return worst(after.budget, after.planned, after._since, depth - 1)

        # A union bound: a null may pass exactly where later nulls would not, so the chances add.
        return max(share + beyond(False), beyond(True) + beyond(False))

    found = worst(0.05, planned, 1, 16)
    assert found <= 0.05 * (1 + 1e-9)
    assert found > 0.04, "nearly all of alpha is there to be spent"


def test_more_looks_than_planned_are_as_valid_and_never_impossible() -> None:
    gate = Gate(planned=2)
    spent = []
    for _ in range(12):
        spent.append(gate.level())
        assert not gate.look([0.0, 1.0], [1.0, 0.0]).accepted
    assert math.fsum(spent) < 0.05
    assert gate.look([0.0] * 40, [1.0] * 40).accepted


# ---- errors and power ----------------------------------------------------------------------------------------------------


@pytest.fixture
def without_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval of a decision is for the report and dear; simulations of thousands of looks leave it out."""
    monkeypatch.setattr("loopwright.core.gate.mean_interval", lambda *values, **options: (-1.0, 1.0))


Null = Callable[[random.Random, int], tuple[list[float | None], list[float | None]]]


def fair(rng: random.Random, n: int) -> tuple[list[float | None], list[float | None]]:
    return [float(rng.random() < 0.5) for _ in range(n)], [float(rng.random() < 0.5) for _ in range(n)]


def smooth(rng: random.Random, n: int) -> tuple[list[float | None], list[float | None]]:
    return [rng.random() for _ in range(n)], [rng.random() for _ in range(n)]


def lopsided(rng: random.Random, n: int) -> tuple[list[float | None], list[float | None]]:
    """Mostly a little better, seldom much worse: the shape that deceives a normal approximation."""
    return [0.5 + 0.45 * (rng.random() < 0.1) for _ in range(n)], [0.545] * n


@pytest.mark.usefixtures("without_interval")
@pytest.mark.parametrize("null", [fair, smooth, lopsided])
@pytest.mark.parametrize("n", [20, 60])
def test_candidates_that_are_no_better_are_hardly_ever_accepted(null: Null, n: int) -> None:
    rng = random.Random(f"{null.__name__}{n}")
    alpha, runs, looks, wrong = 0.1, 250, 12, 0
    for _ in range(runs):
        gate = Gate(alpha=alpha, min_effect=0.0, graded=null is not fair)
        wrong += any(gate.look(*null(rng, n)).accepted for _ in range(looks))
    # Two standard errors of the simulation on top; the exact tests are in test_paired_tests.py.
    assert wrong / runs <= alpha + 0.038


@pytest.mark.usefixtures("without_interval")
def test_a_search_that_adapts_to_the_answers_is_not_rewarded() -> None:
    """Guess after guess at one gate split that never changes; in truth no candidate is better than a coin of 0.5."""
    alpha, runs, wrong = 0.1, 200, 0
    for seed in range(runs):
        rng = random.Random(seed)
        gate = Gate(alpha=alpha, min_effect=0.0)
        incumbent = [float(rng.random() < 0.5) for _ in range(40)]
        for _ in range(25):
            flips = [rng.random() < 0.3 for _ in incumbent]
            candidate = [float(rng.random() < 0.5) if f else s for f, s in zip(flips, incumbent, strict=True)]
            if gate.look(incumbent, candidate).accepted:
                wrong += 1
                break
    assert wrong / runs <= alpha


@pytest.mark.usefixtures("without_interval")
@pytest.mark.parametrize(("gain", "n", "least"), [(0.45, 40, 0.9), (0.25, 100, 0.9)])
def test_a_plain_gain_is_accepted_at_the_fifth_look(gain: float, n: int, least: float) -> None:
    rng = random.Random(7)
    accepted = 0
    for _ in range(100):
        gate = Gate()
        for _ in range(4):
            gate.look([0.0] * n, [0.0] * n)
        before = [float(rng.random() < 0.2) for _ in range(n)]
        after = [1.0 if b == 0 and rng.random() < gain / 0.8 else b for b in before]
        accepted += gate.look(before, after).accepted
    assert accepted / 100 >= least


def test_fourteen_wins_and_no_loss_of_forty_four_pass_at_the_fifth_look() -> None:
    """A real run's candidate, which the gate refused."""
    gate = Gate()
    for _ in range(4):
        gate.look([0.0] * 44, [0.0] * 44)
    assert gate.look([0.0] * 44, [1.0] * 14 + [0.0] * 30).accepted


# ---- reasons -------------------------------------------------------------------------------------------------------------


def test_a_real_gain_below_the_minimum_effect_is_refused_with_that_reason() -> None:
    before, after = [0.50] * 3000, [0.55] * 3000
    refused = Gate(min_effect=0.1, graded=True).look(before, after)
    assert not refused.accepted
    assert refused.reason == "better by less than the minimum effect of 0.1"
    assert refused.effect == pytest.approx(0.05)
    assert Gate(min_effect=0.05 - 1e-9, graded=True).look(before, after).accepted


def test_worse_and_undecided_are_told_apart() -> None:
    assert Gate().look([1.0] * 30, [0.0] * 30).reason == "worse"
    assert Gate().look([0.0, 1.0], [1.0, 1.0]).reason == "not shown to be better"


# ---- what is missing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graded", [False, True])
def test_nothing_is_shown_better_than_a_baseline_that_was_not_measured(graded: bool) -> None:
    """A failed judgement, or no reply at all, says nothing: it counts 1 for the incumbent."""
    decision = Gate(graded=graded).look([None] * 40, [1.0] * 40)
    assert not decision.accepted
    assert (decision.effect, decision.incumbent_score, decision.candidate_score, decision.n) == (0.0, 1.0, 1.0, 40)
    assert (decision.missing_incumbent, decision.missing_candidate) == (40, 0)


@pytest.mark.parametrize("graded", [False, True])
def test_an_unmeasured_incumbent_has_no_gap_to_be_seen(graded: bool) -> None:
    decision = Gate(graded=graded).look([1.0] * 24 + [None] * 16, [1.0] * 40)
    assert (decision.wins, decision.losses, decision.effect) == (0, 0, 0.0)
    assert Gate(graded=graded).look([1.0] * 24 + [0.0] * 16, [1.0] * 40).accepted, "once it is judged, it has"


@pytest.mark.parametrize("graded", [False, True])
def test_missing_scores_of_the_incumbent_shift_no_weight_to_the_others(graded: bool) -> None:
    decision = Gate(graded=graded).look([None] * 20 + [0.0] * 12 + [1.0] * 8, [0.0] * 20 + [1.0] * 20)
    assert not decision.accepted
    assert decision.effect == pytest.approx((12 - 20) / 40)


def test_scores_and_effect_are_over_all_examples_by_one_rule() -> None:
    decision = Gate().look([1.0] * 20 + [0.0] * 20, [1.0] * 10 + [None] * 30)
    assert (decision.incumbent_score, decision.candidate_score, decision.n) == (0.5, 0.25, 40)
    assert decision.effect == pytest.approx(-0.25)
    assert decision.missing_candidate == 30


@pytest.mark.fault(71)
def test_keeping_silent_where_it_is_weak_makes_no_candidate_better() -> None:
    """The candidate answers only the half that both get right, and leaves out what the incumbent knew as well."""
    incumbent = [1.0] * 40 + [0.0] * 40
    silent: list[float | None] = [1.0] * 20 + [None] * 20 + [1.0] * 5 + [None] * 35
    decision = Gate().look(incumbent, silent)
    assert not decision.accepted
    assert decision.effect < 0
    assert Gate().look(incumbent, [1.0] * 40 + [1.0] * 20 + [None] * 20).accepted


@pytest.mark.fault(71)
@given(grades, st.randoms())
def test_losing_scores_never_helps_a_candidate(pairs: list[tuple[float | None, float | None]], rng: random.Random) -> None:
    incumbent, candidate = [a for a, _ in pairs], [b for _, b in pairs]
    fewer = [None if rng.random() < 0.5 else s for s in incumbent], [None if rng.random() < 0.5 else s for s in candidate]
    assert all(b <= a for a, b in zip(paired_differences(incumbent, candidate), paired_differences(*fewer), strict=True))


@pytest.mark.fault(71)
def test_a_missing_score_is_worth_the_same_wherever_it_is_counted() -> None:
    assert counted([None, 0.25], "candidate") == [0.0, 0.25]
    assert counted([None, 0.25], "incumbent") == [1.0, 0.25]
    final = summarise([1.0] * 10 + [None] * 30, side="candidate")
    assert (final.score, final.n, final.missing) == (0.25, 40, 30)
    assert summarise([0.0] * 10 + [None] * 30, side="incumbent").score == 0.75


# ---- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("incumbent", "candidate", "message"),
    [
        ([0.0, 0.5], [0.0, 1.5], "example b: the candidate's score is 1.5"),
        ([0.0, 1.8], [0.0, 1.0], "example b: the incumbent's score is 1.8"),
        ([0.0, 1.0], [float("nan"), 1.0], "example a: the candidate's score is nan"),
        ([float("inf"), 1.0], [0.0, 1.0], "example a: the incumbent's score is inf"),
        ([0.0, 1.0], [-0.1, 1.0], "example a: the candidate's score is -0.1"),
        ([0.0, 1.0], [1.0], "got 2 of the incumbent, 1 of the candidate, and 2 examples"),
        ([0.0], [1.0], "got 1 of the incumbent, 1 of the candidate, and 2 examples"),
    ],
)
def test_scores_that_are_none_are_refused_by_the_name_of_the_example(
    incumbent: Scores, candidate: Scores, message: str
) -> None:
    gate = Gate(graded=True)
    with pytest.raises(InputError, match=re.escape(message)):
        gate.look(incumbent, candidate, keys=["a", "b"])
    assert (gate.looks, gate.budget) == (0, 0.05), "what was refused spends nothing"


def test_a_grade_where_only_verdicts_were_announced_is_an_error() -> None:
    """The test must not be chosen by the scores that it tests."""
    with pytest.raises(InputError, match=r"example q7: the candidate's score is 0\.5.*graded"):
        Gate().look([0.0], [0.5], keys=["q7"])


def test_settings_out_of_range_are_errors() -> None:
    settings: list[tuple[dict[str, Any], str]] = [
        ({"alpha": 1.0}, "alpha"), ({"alpha": 0.0}, "alpha"), ({"min_effect": -0.1}, "min_effect"),
        ({"min_effect": float("nan")}, "min_effect"), ({"planned": -1}, "planned"),
    ]  # fmt: skip
    for given_, name in settings:
        with pytest.raises(InputError, match=f"^{name} must be"):
            Gate(**given_)
    with pytest.raises(InputError, match="at least one example"):
        Gate().look([], [])


# ---- order and futility --------------------------------------------------------------------------------------------------


def test_the_order_is_of_the_keys_and_of_no_file() -> None:
    keys = [f"q{i}" for i in range(50)]
    order = Gate(seed=3).order(keys)
    assert sorted(order) == list(range(50))
    shuffled = keys[::-1]
    assert [keys[i] for i in order] == [shuffled[i] for i in Gate(seed=3).order(shuffled)]
    assert order != Gate(seed=4).order(keys)
    assert order != list(range(50))
    assert Gate(seed=3).first_third(keys) == order[:17]


def test_a_graded_look_depends_on_the_keys_alone_and_not_on_the_order_of_the_file() -> None:
    rng = random.Random(5)
    rows = [(f"q{i}", rng.random() * 0.6, rng.random()) for i in range(60)]
    seen = set()
    for _ in range(5):
        rng.shuffle(rows)
        gate = Gate(graded=True)
        seen.add(gate.look([a for _, a, _ in rows], [b for _, _, b in rows], keys=[k for k, _, _ in rows]).p_value)
    assert len(seen) == 1


def test_stopping_early_spends_the_share_of_a_refusal() -> None:
    early, whole = Gate(), Gate()
    assert early.futile([0.0, 1.0, 0.0], [1.0, 0.0, 0.0])
    assert not early.futile([0.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    assert early.futile([None, 0.0], [1.0, None]), "what is missing speaks for no gain"
    decision = early.refuse_early([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], of=9)
    whole.look([0.0] * 9, [0.0] * 9)
    assert not decision.accepted
    assert decision.early
    assert decision.reason == "stopped early: no better on the first 3 of 9 gate examples"
    assert (early.budget, early.planned, early.looks, early.level()) == (whole.budget, whole.planned, whole.looks, whole.level())
    assert decision.n == 3


# ---- decisions -----------------------------------------------------------------------------------------------------------


@given(verdicts | grades)
def test_any_scores_give_a_decision_that_adds_up(pairs: list[tuple[float | None, float | None]]) -> None:
    incumbent, candidate = [a for a, _ in pairs], [b for _, b in pairs]
    graded = any(s not in (None, 0.0, 1.0) for s in [*incumbent, *candidate])
    decision = Gate(graded=graded).look(incumbent, candidate)
    assert decision.low - 1e-9 <= decision.effect <= decision.high + 1e-9
    assert decision.accepted == (decision.reason == "better")
    assert decision.p_value is not None and 0 <= decision.p_value <= 1
    assert decision.effect == pytest.approx(decision.candidate_score - decision.incumbent_score, abs=1e-9)
    assert decision.n == len(pairs)
    assert decision.test == ("betting" if graded else "sign")
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_a_decision_stored_by_an_earlier_version_is_still_read() -> None:
    old = {
        "accepted": True, "reason": "better", "look": 1, "effect": 0.2, "low": 0.1, "high": 0.3, "e_value": 50.0,
        "threshold": 40.0, "n": 30, "incumbent_score": 0.5, "candidate_score": 0.7,
    }  # fmt: skip
    decision = Decision.model_validate(old)
    assert decision.test == "mixture"
    assert decision.evidence == ("e = 50", "40")


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("planned", [0, 1, 6])
def test_the_fewest_examples_are_enough_if_all_turn_right_and_one_less_is_not(graded: bool, planned: int) -> None:
    need = Gate(planned=planned, graded=graded).fewest()
    assert Gate(planned=planned, graded=graded).look([0.0] * need, [1.0] * need).accepted
    assert not Gate(planned=planned, graded=graded).look([0.0] * (need - 1), [1.0] * (need - 1)).accepted


@pytest.mark.parametrize(
    ("given_", "expected"),
    [([1.0, 0.0, None], (0.5, 2, 1)), ([], (0.0, 0, 0)), ([None], (0.0, 0, 1))],
)
def test_a_summary_without_a_side_counts_what_is_missing_and_leaves_it_out(
    given_: Sequence[float | None], expected: tuple[float, int, int]
) -> None:
    made = summarise(given_)
    assert (made.score, made.n, made.missing) == expected
    assert 0.0 <= made.low <= made.score <= made.high <= 1.0
