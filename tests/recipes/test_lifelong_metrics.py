"""Lifelong-learning metrics, computed by hand."""

import math

import numpy as np
import pytest

from loopwright.core.errors import InputError
from loopwright.core.feedback import Missing, Score
from loopwright.core.measure import Record
from loopwright.core.registry import get_recipe
from loopwright.core.types import Example, Rollout
from loopwright.recipes.continual.lifelong_metrics import efficiency, recovery, relative, smoothed

measure = get_recipe("lifelong-metrics")

# Tasks 3 and 7, either trained twice; the first evaluation is from before.
TRAINING = [None, 3, 3, 7, 7, 3, 3, 7]
SCORES = {
    3: [0.2, 0.4, 0.8, 0.6, 0.4, 0.5, 0.9, 0.6],
    7: [0.1, 0.2, 0.3, 0.6, 0.9, 0.7, 0.6, 0.8],
}
EXPERTS = {3: [0.5, 0.7, 0.8], 7: [0.6, 0.9, 0.9, 0.9]}


def _record(round: int, task: int, question: int, score: float | None, **meta: int | bool) -> Record:
    example = Example(id=f"{task}-{question}", input="?", meta={"task": task, **meta})
    said = Missing(expected="score", message="nobody was there") if score is None else Score(value=score)
    rollout = Rollout(id=f"{round}/{task}/{question}/{sorted(meta)}", example=example, turns=(), feedback=(said,))
    return Record(rollout=rollout, split="test", round=round, replicate=0)


def _run() -> list[Record]:
    return [
        _record(r, task, q, scores[r], **({} if now is None else {"training": now}))
        for task, scores in SCORES.items()
        for r, now in enumerate(TRAINING)
        for q in range(2)
    ]


def _alone() -> list[Record]:
    return [
        _record(r, task, q, score, expert=True)
        for task, scores in EXPERTS.items()
        for r, score in enumerate(scores)
        for q in range(2)
    ]


def _told(records: list[Record]) -> dict[str, float]:
    return {str(row[1]): row[2] for row in measure(records).rows}


def test_figures_of_a_run_by_hand() -> None:
    assert _told(_run()) == pytest.approx(
        {
            # Of task 3: 0.4 - 0.8, then 0.6 - 0.9; of task 7: 0.6 - 0.9.
            "performance maintenance": ((-0.4 - 0.3) / 2 - 0.3) / 2,
            "forward transfer": (0.3 - 0.1) / (0.3 + 0.1),
            # Task 7 to 3, the first time alone, and 3 to 7.
            "backward transfer": ((0.4 - 0.8) / 1.2 + (0.6 - 0.9) / 1.5) / 2,
            "mean evaluation performance": ((0.2 + 0.8 + 0.4 + 0.9 + 0.6) / 5 + (0.1 + 0.3 + 0.9 + 0.6 + 0.8) / 5) / 2,
            "mean training performance": ((0.6 + 0.7) / 2 + (0.75 + 0.8) / 2) / 2,
        }
    )


def test_figures_beside_experts_by_hand() -> None:
    told = _told([*_run(), *_alone()])
    assert told["relative performance"] == pytest.approx(((0.4 + 0.8 + 0.5) / 2.0 + (0.6 + 0.9 + 0.8) / 2.4) / 2)
    assert told["sample efficiency"] == pytest.approx((0.9 / 0.8 * (2 / 3) + 1.0) / 2)
    assert {name: told[name] for name in _told(_run())} == pytest.approx(_told(_run()))


def test_experts_change_nothing_that_others_read() -> None:
    gap = get_recipe("stability-gap")
    assert gap([*_run(), *_alone()]) == gap(_run())


def test_a_run_that_tells_little_gives_little() -> None:
    one = [_record(r, 0, q, 0.25 * (r + q)) for r in range(3) for q in range(2)]
    assert _told(one) == pytest.approx({"mean evaluation performance": 0.375})
    assert measure(_alone()).rows == ()
    missing = [_record(r, 0, q, None) for r in range(3) for q in range(2)]
    assert _told([*one, *missing]) == _told(one)
    with pytest.raises(InputError, match="training"):
        measure([_record(0, task, 0, 1.0) for task in (0, 1)])


def test_experts_are_asked_the_same() -> None:
    other = [_record(r, 3, q + 10, 0.5, expert=True) for r in range(2) for q in range(2)]
    with pytest.raises(InputError, match=r"task 3.*its expert"):
        measure([*_run(), *other])


def test_a_task_at_nothing_before_and_after_has_no_transfer() -> None:
    run = [_record(r, t, 0, s[r], training=r) for t, s in enumerate(([0.5, 0.5], [0.0, 1.0])) for r in range(2)]
    before = [_record(-1, t, 0, 0.0) for t in range(2)]
    told = _told([*before, *run])
    assert "forward transfer" not in told and told["backward transfer"] == 0.0


def test_recovery_is_the_slope_of_the_times() -> None:
    curves = [np.array(c) for c in ([0.2, 0.8], [0.1, 0.5, 0.8], [0.9], [0.3, 0.3])]
    assert recovery(curves) == -0.5  # times 2, 0, and 3 for never; slopes -2, 3 and 0.5
    assert math.isnan(recovery(curves[:2]))
    # The level before is that of the last tenth alone, and sums round: 0.3 is enough where 0.1 + 0.2 was.
    assert recovery([np.array([0.0] * 18 + [0.1 + 0.2] * 2), np.array([0.0, 0.3]), np.array([0.3])]) == 1.0


@pytest.mark.parametrize(
    ("own", "alone", "expected"),
    [
        ([0.2, 0.4, 0.4], [0.1, 0.2, 0.8], 0.5 * 2.0),
        ([0.1, 0.15, 0.1], [0.1, 0.8], 0.0),  # below a fifth of the expert
        ([0.8, 0.9, 0.2], [0.1, 0.8], 0.0),  # falls
        ([0.9, 0.2, 0.2], [0.1, 0.8], math.nan),  # at its highest from the start
        ([0.2, 0.4], [0.8, 0.1], math.nan),
        ([0.2, 0.4], [0.0, 0.0], math.nan),
    ],
)
def test_efficiency(own: list[float], alone: list[float], expected: float) -> None:
    assert efficiency(np.array(own), np.array(alone), np.arange(len(own))) == pytest.approx(expected, nan_ok=True)


def test_whether_a_curve_falls_goes_by_when_it_was_asked() -> None:
    own, alone = np.array([0.5, 0.6, 0.2, 0.58]), np.array([0.1, 0.6])
    assert efficiency(own, alone, np.array([0, 1, 2, 3])) == 0.0
    assert efficiency(own, alone, np.array([0, 1, 2, 40])) > 0.0


def test_relative_performance_of_nothing() -> None:
    assert math.isnan(relative(np.array([0.5]), np.array([0.0, 1.0])))


def test_smoothing_is_over_a_fifth_and_reaches_back() -> None:
    short = np.arange(14.0)
    assert smoothed(short) is short
    assert smoothed(np.arange(15.0)).tolist() == pytest.approx([1.0, 2 / 3, *np.arange(1.0, 14.0)])
    assert smoothed(np.arange(20.0))[10] == pytest.approx(np.mean([8, 9, 10, 11]))
    assert len(smoothed(np.arange(600.0))) == 600


def test_intervals_hold_and_questions_that_differ_make_them_wide() -> None:
    rows = {row[1]: row for row in measure([*_run(), *_alone()]).rows}
    assert all(row[3] == pytest.approx(row[2]) == row[4] for row in rows.values())  # two questions that are alike
    mixed = [_record(r, 0, q, s + 0.1 * q) for r, s in enumerate([0.2, 0.4]) for q in range(4)]
    (row,) = measure(mixed).rows
    assert row[4] - row[2] == pytest.approx(row[2] - row[3]) == pytest.approx(1.96 * np.std([0, 0.1, 0.2, 0.3], ddof=1) / 2)
