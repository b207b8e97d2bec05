"""Nothing replaces the incumbent on luck, and a real gain gets through."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.gate import Gate, summarise

scores = st.lists(st.tuples(st.none() | st.floats(0, 1), st.none() | st.floats(0, 1)), min_size=1, max_size=40)


def test_the_shares_of_all_histories_sum_to_alpha() -> None:
    """sum over looks k and acceptances j of C(k-1, j) a(k, j): the union bound of the module's docstring."""
    total, last = 0.0, 400
    for k in range(1, last + 1):
        for j in range(k):
            gate = Gate(alpha=0.05)
            gate.looks, gate.accepted = k - 1, j
            total += math.comb(k - 1, j) * gate.next_alpha()
    assert total <= 0.05
    assert total == pytest.approx(0.05 * (1 - 1 / (last + 1)))


@pytest.fixture
def without_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval of a decision is for the report and dear; simulations of thousands of looks leave it out."""
    monkeypatch.setattr("loopwright.core.gate.mean_interval", lambda *values, **options: (-1.0, 1.0))


Null = Callable[[random.Random, int], tuple[list[float | None], list[float | None]]]


def fair(rng: random.Random, n: int) -> tuple[list[float | None], list[float | None]]:
    return [float(rng.random() < 0.5) for _ in range(n)], [float(rng.random() < 0.5) for _ in range(n)]


def graded(rng: random.Random, n: int) -> tuple[list[float | None], list[float | None]]:
    return [rng.random() for _ in range(n)], [rng.random() for _ in range(n)]


def lopsided(rng: random.Random, n: int) -> tuple[list[float | None], list[float | None]]:
    """Mostly a little better, seldom much worse: the shape that deceives a normal approximation."""
    return [0.5 + 0.45 * (rng.random() < 0.1) for _ in range(n)], [0.545] * n


@pytest.mark.usefixtures("without_interval")
@pytest.mark.parametrize("null", [fair, graded, lopsided])
@pytest.mark.parametrize("n", [20, 60])
def test_candidates_that_are_no_better_are_hardly_ever_accepted(null: Null, n: int) -> None:
    rng = random.Random(f"{null.__name__}{n}")
    alpha, runs, looks, wrong = 0.1, 120, 12, 0
    for _ in range(runs):
        gate = Gate(alpha=alpha, min_effect=0.0)
        wrong += any(gate.look(*null(rng, n)).accepted for _ in range(looks))
    assert wrong / runs <= alpha


@pytest.mark.usefixtures("without_interval")
def test_a_search_that_adapts_to_the_answers_is_not_rewarded() -> None:
    """Guess after guess at one gate split that never changes; in truth no candidate is better than a coin of 0.5."""
    alpha, runs, wrong = 0.1, 100, 0
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
@pytest.mark.parametrize(("gain", "n", "least"), [(0.6, 40, 0.9), (0.4, 100, 0.9)])
def test_a_plain_gain_is_accepted_at_the_first_look(gain: float, n: int, least: float) -> None:
    rng = random.Random(7)
    accepted = 0
    for _ in range(60):
        before = [float(rng.random() < 0.2) for _ in range(n)]
        after = [float(rng.random() < 0.2 + gain) for _ in range(n)]
        accepted += Gate().look(before, after).accepted
    assert accepted / 60 >= least


def test_many_looks_make_the_next_one_harder_and_never_impossible() -> None:
    gate = Gate()
    shares = []
    for _ in range(8):
        shares.append(gate.next_alpha())
        gate.look([0.0, 1.0], [1.0, 0.0])
    assert shares == sorted(shares, reverse=True)
    assert gate.look([0.0] * 40, [1.0] * 40).accepted


def test_a_real_gain_below_the_minimum_effect_is_refused_with_that_reason() -> None:
    before, after = [0.50] * 3000, [0.55] * 3000
    refused = Gate(min_effect=0.1).look(before, after)
    assert not refused.accepted
    assert refused.reason == "better by less than the minimum effect of 0.1"
    assert refused.effect == pytest.approx(0.05)
    assert Gate(min_effect=0.05 - 1e-9).look(before, after).accepted


def test_worse_and_undecided_are_told_apart() -> None:
    assert Gate().look([1.0] * 30, [0.0] * 30).reason == "worse"
    assert Gate().look([0.0, 1.0], [1.0, 1.0]).reason == "not shown to be better"


def test_a_missing_score_of_the_incumbent_drops_the_pair() -> None:
    decision = Gate().look([None, 0.0, 1.0], [1.0, 1.0, 1.0])
    assert (decision.n, decision.effect, decision.incumbent_score, decision.candidate_score) == (2, 0.5, 0.5, 1.0)


def test_keeping_silent_where_it_is_weak_makes_no_candidate_better() -> None:
    """The candidate answers only the half that both get right, and leaves out what the incumbent knew as well."""
    incumbent = [1.0] * 40 + [0.0] * 40
    silent: list[float | None] = [1.0] * 20 + [None] * 20 + [1.0] * 5 + [None] * 35
    decision = Gate().look(incumbent, silent)
    assert not decision.accepted
    assert decision.effect < 0
    assert Gate().look(incumbent, [1.0] * 40 + [1.0] * 20 + [None] * 20).accepted


def test_nothing_to_compare_is_a_refusal_that_says_so() -> None:
    gate = Gate()
    decision = gate.look([None, None], [0.5, None])
    assert (decision.accepted, decision.n, decision.reason) == (False, 0, "no example was scored for both")
    assert gate.looks == 1


def test_scores_of_other_examples_are_an_error() -> None:
    with pytest.raises(ValueError, match="got 2 and 1"):
        Gate().look([0.0, 1.0], [1.0])
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        Gate(alpha=1.0)


@given(scores)
def test_any_scores_give_a_decision_that_adds_up(pairs: list[tuple[float | None, float | None]]) -> None:
    decision = Gate().look([a for a, _ in pairs], [b for _, b in pairs])
    assert decision.low - 1e-9 <= decision.effect <= decision.high + 1e-9
    assert math.isfinite(decision.e_value)
    assert decision.accepted == (decision.reason == "better")
    if all(a is not None and b is not None for a, b in pairs):
        assert decision.effect == pytest.approx(decision.candidate_score - decision.incumbent_score, abs=1e-9)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [([1.0, 0.0, None], (0.5, 2, 1)), ([], (0.0, 0, 0)), ([None], (0.0, 0, 1))],
)
def test_a_summary_counts_what_is_missing_and_leaves_it_out(
    given_: Sequence[float | None], expected: tuple[float, int, int]
) -> None:
    made = summarise(given_)
    assert (made.score, made.n, made.missing) == expected
    assert 0.0 <= made.low <= made.score <= made.high <= 1.0
