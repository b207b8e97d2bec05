"""The stability gap: what is lost of old tasks while a new one is learned, though it may be back by the time that is over.

De Lange, van de Ven and Tuytelaars, "Continual evaluation for lifelong learning: Identifying the stability gap",
arXiv:2205.13452; repository Mattdl/ContinualEvaluation. Evaluations only at the end of each task do not see it: a system in use
is at its worst in between. Figures are those of ``blocks.continual``: ACC, min-ACC, WC-ACC, the gap itself, forgetting, backward
and forward transfer, and the greatest fall (WF) and rise (WP) within ``window`` evaluations.

When to use it: on anything that goes on learning while it is in use, a prompt or a memory as well as a network. A record's round
is the evaluation; its example says in ``meta`` which task it belongs to ("task", a number), and which was being learned then
("training"). Where it says nothing there is one task, and WF and WP show how unsteady the rounds were. ``loopwright watch``
drives a Learner through a stream, asks and shows these figures.

How this differs: intervals, which the paper has none of: the jackknife over questions, for this one run. The gap as a figure of
its own is ours (the paper shows it in curves): the fall below both of the accuracies before and after the new task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopwright.blocks import continual, evaluations
from loopwright.core.lazy import lazy
from loopwright.core.measure import Record, Table
from loopwright.core.registry import measure

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@measure(paper="arXiv:2205.13452", learns_from=("score", "verdict"))
def stability_gap(records: Sequence[Record], *, window: int = 10) -> Table:
    def figures(log: evaluations.Log) -> evaluations.Figures:
        ends = last_rows(log.training) if len(log.tasks) > 1 else [len(log.training) - 1]
        return lambda curves, _: continual.figures(np.column_stack(list(curves)), ends, window=window)

    return evaluations.table(records, figures)


def last_rows(training: Sequence[int | None]) -> list[int]:
    """The last row of each task's first training, in the order in which they were trained."""
    ends: dict[int, int] = {}
    over: set[int] = set()  # a task that comes back ends where it ended first
    before = None
    for row, task in enumerate(training):
        if before is not None and task != before:
            over.add(before)
        if task is not None and task not in over:
            ends[task] = row
        before = task
    return sorted(ends.values())
