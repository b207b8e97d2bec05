"""Figures of continual learning on matrices small enough to do by hand."""

import math

import numpy as np
import pytest

from loopwright.blocks import continual
from loopwright.core.errors import InputError

# Three tasks, each trained for two evaluations after the one before all training.
#         task 0  1    2
MATRIX = [
    [0.1, 0.0, 0.2],  # nothing learned
    [0.6, 0.0, 0.2],
    [0.9, 0.1, 0.2],  # end of task 0
    [0.3, 0.5, 0.2],
    [0.7, 0.8, 0.3],  # end of task 1
    [0.2, 0.4, 0.6],
    [0.5, 0.7, 1.0],  # end of task 2
]
ENDS = [2, 4, 6]


def test_every_figure_by_hand() -> None:
    found = continual.figures(MATRIX, ENDS, window=3)
    expected = {
        "ACC": (0.5 + 0.7 + 1.0) / 3,
        "min-ACC": (0.2 + 0.4) / 2,
        "WC-ACC": 1.0 / 3 + 2 / 3 * 0.3,
        # task 0 in task 1: min(.9, .7) - .3; task 0 in task 2: min(.7, .5) - .2; task 1 in task 2: min(.8, .7) - .4
        "stability gap": (0.4 + 0.3 + 0.3) / 3,
        "forgetting": ((0.9 - 0.5) + (0.8 - 0.7)) / 2,
        "BWT": ((0.5 - 0.9) + (0.7 - 0.8)) / 2,
        "FWT": ((0.1 - 0.0) + (0.3 - 0.2)) / 2,
        "WF": (0.6 + 0.4 + 0.0) / 3,
        "WP": (0.8 + 0.7 + 0.7) / 3,
    }
    assert found == pytest.approx(expected)
    assert tuple(found) == continual.FIGURES


def test_worst_case_at_every_evaluation() -> None:
    curve = continual.worst_case_curve(MATRIX, ENDS)
    assert curve[:3] == pytest.approx([0.1, 0.6, 0.9])  # the first task alone
    assert curve[3:5] == pytest.approx([(0.5 + 0.3) / 2, (0.8 + 0.3) / 2])
    assert curve[-1] == pytest.approx(continual.worst_case(MATRIX, ENDS))


def test_windows_are_as_wide_as_they_say() -> None:
    fall, rise = continual.windowed(MATRIX, 2)
    assert fall.tolist() == pytest.approx([0.6, 0.4, 0.0])
    assert rise.tolist() == pytest.approx([0.5, 0.4, 0.4])
    assert continual.windowed(MATRIX, 100)[1].tolist() == pytest.approx([0.8, 0.8, 0.8])


def test_ends_alone_show_no_gap() -> None:
    ends_alone = np.array(MATRIX)[[0, *ENDS]]
    assert continual.gap(ends_alone, [1, 2, 3]) == 0.0
    assert continual.worst_case(ends_alone, [1, 2, 3]) > continual.worst_case(MATRIX, ENDS)


def test_one_task_has_an_accuracy_and_no_past() -> None:
    found = continual.figures([[0.1], [0.8]], [1])
    assert found["ACC"] == found["WC-ACC"] == pytest.approx(0.8)
    assert all(math.isnan(found[name]) for name in ("min-ACC", "stability gap", "forgetting", "BWT", "FWT"))


def test_a_task_that_is_not_asked_about_before_it_begins() -> None:
    matrix = np.array(MATRIX)
    matrix[:3, 1] = matrix[:5, 2] = np.nan
    found = continual.figures(matrix, ENDS, window=3)
    known = continual.figures(MATRIX, ENDS, window=3)
    for name in ("ACC", "min-ACC", "WC-ACC", "stability gap", "forgetting", "BWT"):
        assert found[name] == pytest.approx(known[name])
    assert math.isnan(found["FWT"])
    assert found["WF"] == pytest.approx(known["WF"])


def test_training_goes_on_after_the_last_task() -> None:
    longer = [*MATRIX, [0.1, 0.9, 0.9]]
    assert continual.min_accuracy(longer, ENDS) == pytest.approx((0.1 + 0.4) / 2)
    assert continual.worst_case(longer, ENDS) == pytest.approx(0.9 / 3 + 2 / 3 * 0.25)


@pytest.mark.parametrize(
    ("matrix", "ends"),
    [([0.5], [0]), ([[]], [0]), (MATRIX, []), (MATRIX, [2, 2]), (MATRIX, [7]), (MATRIX, [-1]), (MATRIX, [1, 2, 3, 4])],
)
def test_what_is_no_matrix_or_no_end_is_refused(matrix: list, ends: list[int]) -> None:
    with pytest.raises(InputError):
        continual.figures(matrix, ends)
    with pytest.raises(InputError):
        continual.worst_case_curve(matrix, ends)


def test_a_window_of_one_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        continual.windowed(MATRIX, 1)
