"""Figures of learning task after task, from a matrix of accuracies: what is kept, what is lost in between, what carries over.

    matrix [evaluations, tasks]: the accuracy (or any score in [0, 1]) on held-out work of each task, at each evaluation in the
        order of time; NaN where a task was not asked about
    ends [k]: the row of the last evaluation in each task's training, in the order of the tasks; at least one. Columns beyond
        k are tasks that have not been trained to their end

The rows may be of anything that learns from a stream: a network, a prompt, a memory. min-ACC, WC-ACC and the windowed figures
are those of De Lange, van de Ven and Tuytelaars (arXiv:2205.13452), forgetting is that of Chaudhry et al. (arXiv:1801.10112),
transfer that of Lopez-Paz and Ranzato (arXiv:1706.08840). Raises InputError for a matrix or ends that are none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import InputError
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

# In the order in which tables show them.
FIGURES = ("ACC", "min-ACC", "WC-ACC", "stability gap", "forgetting", "BWT", "FWT", "WF", "WP")


def checked(matrix: Any, ends: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """The matrix as an array and the ends as numbers."""
    found = np.asarray(matrix, dtype=float)
    rows = [int(end) for end in ends]
    if found.ndim != 2 or 0 in found.shape or np.isinf(found).any():
        raise InputError(f"expected a matrix of accuracies, [evaluations, tasks], got an array of shape {found.shape}")
    rising = all(a < b for a, b in pairwise(rows))
    if not rows or not rising or rows[0] < 0 or rows[-1] >= len(found) or len(rows) > found.shape[1]:
        raise InputError(
            f"ends must be rising rows of the matrix, one for each of at most {found.shape[1]} tasks, from 0 to "
            f"{len(found) - 1}; got {rows}"
        )
    return found, rows


def accuracy(matrix: Any, ends: Sequence[int]) -> float:
    """ACC: the mean over the tasks trained on, at the last evaluation."""
    found, rows = checked(matrix, ends)
    return float(found[-1, : len(rows)].mean())


def least(matrix: Any, ends: Sequence[int]) -> np.ndarray:
    """[k] the lowest accuracy of each task at any evaluation after its training; NaN where there was none."""
    found, rows = checked(matrix, ends)
    return np.array([_least(found[end + 1 :, task]) for task, end in enumerate(rows)])


def min_accuracy(matrix: Any, ends: Sequence[int]) -> float:
    """min-ACC: the mean over all tasks before the last one of the lowest accuracy since its training; NaN for one task."""
    lowest = least(matrix, ends)[:-1]
    return float(lowest.mean()) if len(lowest) else math.nan


def worst_case(matrix: Any, ends: Sequence[int]) -> float:
    """WC-ACC: accuracy of the last task as it is now, and of all before at their lowest; of one task its accuracy."""
    found, rows = checked(matrix, ends)
    k = len(rows)
    now = float(found[-1, k - 1])
    return now if k == 1 else now / k + (1 - 1 / k) * min_accuracy(found, rows)


def worst_case_curve(matrix: Any, ends: Sequence[int]) -> np.ndarray:
    """[evaluations] WC-ACC as it stood at each: the task then being trained counts as the last one."""
    found, rows = checked(matrix, ends)
    curve = np.empty(len(found))
    for n in range(len(found)):
        k = min(sum(end < n for end in rows), len(rows) - 1)
        lowest = [_least(found[rows[i] + 1 : n + 1, i]) for i in range(k)]
        curve[n] = (found[n, k] + sum(lowest)) / (k + 1)
    return curve


def gap(matrix: Any, ends: Sequence[int]) -> float:
    """The stability gap: how far an old task falls while a new one is trained and comes back by the time that is over.

    For each new task and each one before it: the lower of the accuracies before and after the new task's training, less the
    lowest during it; never below 0, and 0 where only the ends were evaluated. The mean over all these pairs; NaN for one task.
    """
    found, rows = checked(matrix, ends)
    falls = []
    for new in range(1, len(rows)):
        before, after = rows[new - 1], rows[new]
        for old in range(new):
            falls.append(min(found[before, old], found[after, old]) - _least(found[before + 1 : after + 1, old]))
    return float(np.maximum(falls, 0.0).mean()) if falls else math.nan


def forgetting(matrix: Any, ends: Sequence[int]) -> float:
    """The mean over the tasks before the last of their best accuracy at an end, less that at the last evaluation."""
    found, rows = checked(matrix, ends)
    lost = [found[rows[i:-1], i].max() - found[-1, i] for i in range(len(rows) - 1)]
    return float(np.mean(lost)) if lost else math.nan


def backward_transfer(matrix: Any, ends: Sequence[int]) -> float:
    """BWT: the mean over the tasks before the last of their accuracy now, less that at their own end; negative: forgotten."""
    found, rows = checked(matrix, ends)
    gained = [found[-1, i] - found[rows[i], i] for i in range(len(rows) - 1)]
    return float(np.mean(gained)) if gained else math.nan


def forward_transfer(matrix: Any, ends: Sequence[int], *, untaught: Sequence[float] | None = None) -> float:
    """FWT: the mean over the tasks after the first of their accuracy before they began, less that of knowing nothing.

    untaught: [tasks] that accuracy; without it the first row, which must then be from before all training.
    """
    found, rows = checked(matrix, ends)
    nothing = found[0] if untaught is None else np.asarray(untaught, dtype=float)
    gained = [found[rows[i - 1], i] - nothing[i] for i in range(1, len(rows))]
    return float(np.mean(gained)) if gained else math.nan


def windowed(matrix: Any, window: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """([tasks] WF, [tasks] WP): the greatest fall, and the greatest rise, within as many evaluations in a row.

    Falls show how unstable a task is, rises how fast it is learned, at the pace of the evaluations.
    """
    found, _ = checked(matrix, [0])
    if window < 2:
        raise InputError(f"a window holds at least 2 evaluations, got {window}")
    fall, rise = np.zeros(found.shape[1]), np.zeros(found.shape[1])
    for lag in range(1, min(window, len(found))):
        change = found[lag:] - found[:-lag]
        fall, rise = np.fmax(fall, np.fmax.reduce(-change)), np.fmax(rise, np.fmax.reduce(change))
    return fall, rise


def figures(matrix: Any, ends: Sequence[int], *, window: int = 10) -> dict[str, float]:
    """All of FIGURES by name, WF and WP as means over the tasks trained on; NaN where one task is too few to tell."""
    fall, rise = windowed(matrix, window)
    k = len(ends)
    values = (
        accuracy(matrix, ends), min_accuracy(matrix, ends), worst_case(matrix, ends), gap(matrix, ends),
        forgetting(matrix, ends), backward_transfer(matrix, ends), forward_transfer(matrix, ends),
        float(fall[:k].mean()), float(rise[:k].mean()),
    )  # fmt: skip
    return dict(zip(FIGURES, values, strict=True))


def _least(values: np.ndarray) -> float:
    return float(np.fmin.reduce(values)) if len(values) else math.nan
