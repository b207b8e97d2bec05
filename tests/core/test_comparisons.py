"""The figures of two versions on the same examples: nothing is dropped, and what belongs together counts once."""

from __future__ import annotations

import pytest

from loopwright.core.gate import Gate
from loopwright.core.groups import compare_units, unit_scores, units
from loopwright.core.types import Example


def examples(count: int, *, group: int = 0) -> list[Example]:
    meta = [{"group": f"g{i // group}"} if group else {} for i in range(count)]
    return [Example(id=f"e{i}", input=f"question {i}", meta=meta[i]) for i in range(count)]


def scored(*scores: float | None) -> dict[str, float | None]:
    return {f"e{i}": score for i, score in enumerate(scores)}


def test_a_winner_without_scores_is_not_shown_as_perfect() -> None:
    """Ten right answers, thirty that nobody could judge: 25%, not 100%."""
    found = compare_units(examples(40), scored(*[1.0] * 20, *[0.0] * 20), scored(*[1.0] * 10, *[None] * 30))
    assert (found.after.score, found.after.n, found.after.missing) == (0.25, 40, 30)
    assert (found.before.score, found.before.n) == (0.5, 40)
    assert sum(found.differences) / 40 == pytest.approx(found.after.score - found.before.score)
    assert found.missing == 30


def test_final_figures_are_those_that_the_gate_would_have() -> None:
    before, after = [1.0, None, 0.0, None, 0.0], [1.0, 1.0, None, None, 1.0]
    found = compare_units(examples(5), scored(*before), scored(*after))
    decision = Gate().look(before, after)
    assert (decision.incumbent_score, decision.candidate_score) == pytest.approx((found.before.score, found.after.score))
    assert decision.effect == pytest.approx(sum(found.differences) / 5)
    assert decision.missing_incumbent == 2 and decision.missing_candidate == 2 and found.missing == 3


def test_where_nothing_replaced_the_baseline_it_is_one_and_the_same_figure() -> None:
    scores = scored(1.0, None, 0.0)
    found = compare_units(examples(3), scores, scores)
    assert found.before == found.after and found.after.score == pytest.approx(1 / 3)
    assert found.differences == [0.0, 0.0, 0.0]


def test_groups_count_once_in_the_report_as_at_the_gate() -> None:
    """Five questions on one text are one value; a group with gaps has the mean in which they count."""
    asked = examples(10, group=5)
    before, after = scored(*[0.0] * 10), scored(*[1.0] * 4, None, *[0.0] * 5)
    found = compare_units(asked, before, after)
    assert found.differences == pytest.approx([0.8, 0.0])
    assert (found.before.n, found.after.n, found.after.score) == (2, 2, pytest.approx(0.4))
    assert unit_scores(units(asked), [after[e.id] for e in asked], "candidate") == pytest.approx([0.8, 0.0])


def test_only_what_both_were_asked_is_compared() -> None:
    found = compare_units(examples(3), scored(1.0, 0.0), scored(1.0, 1.0, 1.0))
    assert found.differences == [0.0, 1.0]
    assert compare_units(examples(3), {}, scored(1.0)).differences == []
